//! How a column's values get to the server: in binary, where this program's encoding is proven equal to what the server
//! makes of the text, and as text for every other type that there is.

use tokio_postgres::types::{Oid, Type};

use crate::stream::ColumnType;

/// What a column holds, as far as it matters for its encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Bool,
    /// Types whose binary form is their text: text, varchar, char and enums.
    Text,
    Json,
    Jsonb,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
    /// Any other type. Its values are sent as text, and the server reads them.
    Other,
}

impl Kind {
    /// The kind of a type, or of the type that a domain is made of.
    pub(super) fn of(oid: Oid, is_enum: bool) -> Self {
        match Type::from_oid(oid) {
            Some(Type::INT2) => Self::Int2,
            Some(Type::INT4) => Self::Int4,
            Some(Type::INT8) => Self::Int8,
            Some(Type::FLOAT4) => Self::Float4,
            Some(Type::FLOAT8) => Self::Float8,
            Some(Type::NUMERIC) => Self::Numeric,
            Some(Type::BOOL) => Self::Bool,
            Some(Type::TEXT | Type::VARCHAR | Type::BPCHAR) => Self::Text,
            Some(Type::JSON) => Self::Json,
            Some(Type::JSONB) => Self::Jsonb,
            Some(Type::UUID) => Self::Uuid,
            Some(Type::DATE) => Self::Date,
            Some(Type::TIMESTAMP) => Self::Timestamp,
            Some(Type::TIMESTAMPTZ) => Self::TimestampTz,
            None if is_enum => Self::Text,
            _ => Self::Other,
        }
    }

    /// What a step that looks at the column reads its text as.
    pub(super) fn column_type(self) -> ColumnType {
        match self {
            Self::Int2 => ColumnType::Int(16),
            Self::Int4 => ColumnType::Int(32),
            Self::Int8 => ColumnType::Int(64),
            Self::Float4 => ColumnType::Real,
            Self::Float8 => ColumnType::Float,
            Self::Numeric => ColumnType::Numeric,
            Self::Bool => ColumnType::Bool,
            Self::Text | Self::Uuid => ColumnType::Text,
            Self::Other => ColumnType::Other,
            Self::Json | Self::Jsonb => ColumnType::Json,
            Self::Date => ColumnType::Date,
            Self::Timestamp => ColumnType::Timestamp,
            Self::TimestampTz => ColumnType::TimestampTz,
        }
    }

    /// Whether a blank text is a value. In columns of the other kinds it is NULL.
    pub(super) fn holds_blanks(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Jsonb | Self::Other)
    }

    /// Whether values may be equal that are not the same, such as 1.0 and 1.00, or `a` and `A` in some collations.
    pub(super) fn has_equal_values(self) -> bool {
        matches!(self, Self::Float4 | Self::Float8 | Self::Numeric | Self::Text | Self::Jsonb | Self::Other)
    }
}
