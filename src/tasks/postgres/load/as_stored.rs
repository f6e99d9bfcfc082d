//! Values that steps look at, as columns with a precision, scale or length store them.

use polars::prelude::*;
use tokio_postgres::types::Type;

use super::stored::{push_decimal, rounded, stored_text};
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::table::TableField;

/// Columns of the file, with those of the table that they are read for.
pub(super) struct AsStored(Vec<(String, TableField)>);

impl AsStored {
    /// The columns of which a value may be stored otherwise than it is read.
    pub(super) fn of(columns: impl Iterator<Item = (String, TableField)>) -> Option<Self> {
        let is_rounded = |field: &TableField| match field.kind {
            Kind::Numeric | Kind::Timestamp | Kind::TimestampTz => field.modifier >= 0,
            Kind::Text => field.oid == Type::VARCHAR.oid() && field.modifier >= 0,
            _ => false,
        };
        let columns: Vec<_> = columns.filter(|(_, field)| is_rounded(field)).collect();
        (!columns.is_empty()).then_some(Self(columns))
    }

    /// The frame with the values as they are stored. Those that do not fit stay, for the server to refuse.
    pub(super) fn apply(&self, mut frame: DataFrame) -> PolarsResult<DataFrame> {
        for (name, field) in &self.0 {
            let Ok(column) = frame.column(name) else { continue };
            let stored = match column.dtype() {
                DataType::String => texts(column.str()?, field).into_column(),
                DataType::Datetime(..) => {
                    let moments = column.to_physical_repr();
                    let stored =
                        moments.i64()?.apply_values(|micros| rounded(micros, field.modifier).unwrap_or(micros));
                    stored.into_column().cast(column.dtype())?
                }
                _ => continue,
            };
            frame.with_column(stored)?;
        }
        Ok(frame)
    }
}

fn texts(values: &StringChunked, field: &TableField) -> StringChunked {
    let stored = |text: &str| {
        let mut out = Vec::new();
        let is_known = match field.kind {
            Kind::Numeric => push_decimal(text.as_bytes(), field.modifier, &mut out),
            _ => return stored_text(text, field).to_owned(),
        };
        match is_known {
            true => String::from_utf8(out).unwrap_or_else(|_| text.to_owned()),
            false => text.to_owned(),
        }
    };
    let all: StringChunked = values.iter().map(|text| text.map(stored)).collect();
    all.with_name(values.name().clone())
}
