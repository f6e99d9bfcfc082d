//! Columns of Parquet files that hold a type which is not read.

use polars::io::parquet::read::FileMetadata;
use polars::prelude::{ArrowDataType, ArrowSchema};

use super::{Column, Result, parquet::broken};

/// A column with such a type.
pub(super) struct Unreadable {
    column: String,
    /// What Arrow calls the type.
    kind: &'static str,
    /// What can be written instead.
    instead: &'static str,
}

/// All such columns of a file, by its index and by what Polars makes of it.
pub(super) fn unreadable(index: &FileMetadata, schema: &ArrowSchema) -> Vec<Unreadable> {
    let column = |(name, kind): (String, &ArrowDataType)| {
        let (kind, instead) = found(kind)?;
        Some(Unreadable { column: name, kind, instead })
    };
    let known = schema.iter_values().map(|field| (field.name.to_string(), &field.dtype)).filter_map(column);
    known.chain(float16(index)).collect()
}

/// Without Arrow's own schema in the file, Polars takes these for bytes. What it knows of them can only be printed.
fn float16(index: &FileMetadata) -> impl Iterator<Item = Unreadable> {
    let columns = index.schema_descr.columns().iter().filter(|column| {
        let kind = column.descriptor.primitive_type.logical_type.as_ref();
        kind.is_some_and(|kind| format!("{kind:?}") == "Float16")
    });
    let names = columns.filter_map(|column| column.path_in_schema.first());
    names.map(|name| Unreadable { column: name.to_string(), kind: "float16", instead: "float32" })
}

fn found(kind: &ArrowDataType) -> Option<(&'static str, &'static str)> {
    match kind {
        ArrowDataType::UInt8 => Some(("uint8", "int16")),
        ArrowDataType::UInt16 => Some(("uint16", "int32")),
        ArrowDataType::Float16 => Some(("float16", "float32")),
        ArrowDataType::Decimal(39.., _) | ArrowDataType::Decimal256(..) => {
            Some(("decimal256", "decimal128, which has up to 38 digits, or string"))
        }
        ArrowDataType::List(item) | ArrowDataType::LargeList(item) | ArrowDataType::FixedSizeList(item, _) => {
            found(&item.dtype)
        }
        ArrowDataType::Map(item, _) => found(&item.dtype),
        ArrowDataType::Struct(fields) => fields.iter().find_map(|field| found(&field.dtype)),
        _ => None,
    }
}

/// Checks that no wanted column is one of these.
///
/// # Errors
/// Names the column and its type.
pub(super) fn check(all: &[Unreadable], wanted: &[Column], file: &str) -> Result<()> {
    let is_wanted = |column: &&Unreadable| wanted.iter().any(|wanted| wanted.name == column.column);
    all.iter().find(is_wanted).map_or(Ok(()), |column| Err(column.refused(file)))
}

impl Unreadable {
    /// The error.
    pub(super) fn refused(&self, file: &str) -> Box<crate::diagnostic::Diagnostic> {
        let Self { column, kind, instead } = self;
        let mut refused = broken(file, format!("`{column}` holds values of type {kind}, which is not supported"));
        refused.help = Some(format!("write the column as {instead}"));
        refused
    }
}
