//! What a column is inferred to hold, as a Postgres type.

use std::fmt;

use crate::stream::ColumnType;

/// The type of a column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InferredType {
    /// True or false.
    Boolean,
    /// A whole number of 16 bits.
    SmallInt,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    BigInt,
    /// A single precision number.
    Real,
    /// A double precision number.
    Double,
    /// A decimal number of any length.
    Numeric,
    /// A decimal number of so many digits, and so many of them after the point.
    Decimal(usize, usize),
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time of day.
    Timestamp,
    /// A point in time.
    TimestampTz,
    /// Text.
    Text,
    /// A UUID.
    Uuid,
    /// Bytes.
    Bytea,
    /// JSON.
    Jsonb,
    /// A list.
    Array(Box<Self>),
}

impl InferredType {
    /// What the values are read as.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Bool,
            Self::SmallInt => ColumnType::Int(16),
            Self::Integer => ColumnType::Int(32),
            Self::BigInt => ColumnType::Int(64),
            Self::Real => ColumnType::Real,
            Self::Double => ColumnType::Float,
            Self::Numeric | Self::Decimal(..) => ColumnType::Numeric,
            Self::Date => ColumnType::Date,
            Self::Timestamp => ColumnType::Timestamp,
            Self::TimestampTz => ColumnType::TimestampTz,
            Self::Text | Self::Uuid => ColumnType::Text,
            Self::Time | Self::Bytea => ColumnType::Other,
            Self::Jsonb => ColumnType::Json,
            Self::Array(_) => ColumnType::Array,
        }
    }

    /// The type of a column that is computed.
    pub fn of_computed(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Boolean,
            ColumnType::Int(..=16) => Self::SmallInt,
            ColumnType::Int(..=32) => Self::Integer,
            ColumnType::Int(_) => Self::BigInt,
            ColumnType::Real => Self::Real,
            ColumnType::Float => Self::Double,
            ColumnType::Numeric => Self::Numeric,
            ColumnType::Date => Self::Date,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::TimestampTz | ColumnType::Instant => Self::TimestampTz,
            ColumnType::Json => Self::Jsonb,
            ColumnType::Text | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray => Self::Text,
        }
    }
}

impl fmt::Display for InferredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Decimal(precision, scale) => return write!(f, "numeric({precision},{scale})"),
            Self::Array(items) => return write!(f, "{items}[]"),
            Self::Boolean => "boolean",
            Self::SmallInt => "smallint",
            Self::Integer => "integer",
            Self::BigInt => "bigint",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric => "numeric",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Jsonb => "jsonb",
        };
        f.pad(name)
    }
}
