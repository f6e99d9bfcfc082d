//! Types of Parquet files that Polars does not read, read as the numbers and bytes in which they are stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use either::Either;
use polars::io::parquet::read::FileMetadata;
use polars::prelude::{
    ArrowDataType, ArrowField, ArrowSchema, Column, DataFrame, DataType, Float32Chunked, IntoColumn, IntoSeries,
    LazyFrame, NewChunkedArray, PolarsError, PolarsResult, Schema, SchemaExt, Series, StringChunked,
};
use polars_parquet::parquet::schema::types::{PhysicalType, PrimitiveLogicalType};
use polars_parquet::write::schema_to_metadata_key;
use polars_plan::dsl::{DslPlan, FileScanDsl, FileScanIR};
use polars_plan::plans::{FileInfo, IR};

use super::fixed_bytes::{FixedBytes, decimal, half, uuid};
use super::unsupported::UnsupportedColumn;

/// The name of Arrow's extension type for UUIDs.
const UUID: &str = "arrow.uuid";
/// The longest decimal number that is read, in bytes.
const MAX_DECIMAL_BYTES: usize = 64;
/// The longest one that Polars reads.
const POLARS_DECIMAL_BYTES: usize = 16;

/// What a file's columns are stored as, where Polars would not read their types.
#[derive(Default)]
pub(super) struct Physical {
    /// What the bytes of a column mean.
    fixed_bytes: BTreeMap<String, FixedBytes>,
    /// Columns that cannot be read this way.
    pub unreadable: Vec<UnsupportedColumn>,
    /// The types as which Polars is to read the columns, if not as the file says.
    schema: Option<ArrowSchema>,
}

impl Physical {
    /// Looks for such types in a file's index, and in what Polars makes of it.
    pub(super) fn of(index: &FileMetadata, schema: &ArrowSchema) -> Self {
        let (mut found, mut replaced) = (Self::default(), ArrowSchema::default());
        for field in schema.iter_values() {
            let mut field = field.clone();
            found.column(index, &mut field);
            replaced.insert(field.name.clone(), field);
        }
        let is_other = replaced.iter_values().zip(schema.iter_values()).any(|(one, other)| one.dtype != other.dtype);
        found.schema = is_other.then_some(replaced);
        found
    }

    /// Gives a column the type that it is stored as.
    fn column(&mut self, index: &FileMetadata, field: &mut ArrowField) {
        let name = field.name.to_string();
        let parts: Vec<_> = index.schema_descr.columns().iter().collect();
        let mut parts = parts.iter().filter(|part| part.path_in_schema.first() == Some(&field.name));
        let is_nested = parts.clone().any(|part| part.path_in_schema.len() > 1);
        if let (false, Some(part)) = (is_nested, parts.clone().next()) {
            let primitive = &part.descriptor.primitive_type;
            if field.dtype == ArrowDataType::Date64 && primitive.physical_type == PhysicalType::Int32 {
                // A date to everybody else: Arrow's milliseconds are whole days, and Polars would make timestamps of them.
                (field.dtype, field.metadata) = (ArrowDataType::Date32, None);
                return;
            }
            if let Some((kind, fixed_bytes)) = bytes(&field.dtype, primitive.physical_type, primitive.logical_type) {
                self.fixed_bytes.insert(name, fixed_bytes);
                (field.dtype, field.metadata) = (kind, None);
                return;
            }
        }
        let mut found = parts.find_map(|part| unsupported_type(part.descriptor.primitive_type.logical_type.as_ref()));
        let kind = readable(&field.dtype, &mut found);
        if let Some((kind, instead)) = found {
            let place = if is_nested { " within a list or struct" } else { "" };
            self.unreadable.push(UnsupportedColumn::of_type(name, &format!("{kind}{place}"), instead));
        }
        if kind != field.dtype {
            (field.dtype, field.metadata) = (kind, None);
        }
    }

    /// Has Polars read the columns as what they are stored as.
    ///
    /// # Errors
    /// When Polars builds another plan than this one.
    pub(super) fn redirect(&self, scan: &LazyFrame, mut index: FileMetadata) -> PolarsResult<()> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let unknown = || PolarsError::ComputeError("its types cannot be replaced".into());
        let DslPlan::Scan { sources, unified_scan_args, scan_type, cached_ir } = &scan.logical_plan else {
            return Err(unknown());
        };
        let FileScanDsl::Parquet { options } = scan_type.as_ref() else { return Err(unknown()) };
        let mut arguments = unified_scan_args.clone();
        arguments.hive_options.enabled = Some(false);
        index.key_value_metadata = Some(vec![schema_to_metadata_key(schema)]);
        let read = Either::Left(Arc::new(schema.clone()));
        let rows = (Some(index.num_rows), index.num_rows);
        let scan_type = FileScanIR::Parquet {
            options: options.clone(),
            first_metadata: Some(Arc::new(index)),
            metadata_per_source: None,
        };
        let plan = IR::Scan {
            sources: sources.clone(),
            file_info: FileInfo::new(Arc::new(Schema::from_arrow_schema(schema)), Some(read), rows),
            hive_parts: None,
            predicate: None,
            predicate_file_skip_applied: None,
            output_schema: None,
            scan_type: Box::new(scan_type),
            unified_scan_args: arguments,
        };
        cached_ir.lock().map_err(|_| unknown())?.replace(plan);
        Ok(())
    }

    /// Makes values of what is stored.
    ///
    /// # Errors
    /// When Polars cannot tell a value.
    pub(super) fn apply(&self, frame: DataFrame) -> PolarsResult<DataFrame> {
        if self.fixed_bytes.is_empty() {
            return Ok(frame);
        }
        let columns = frame.columns().iter().map(|column| match self.fixed_bytes.get(column.name().as_str()) {
            Some(fixed_bytes) => values(column.as_materialized_series(), *fixed_bytes),
            None => Ok(column.clone()),
        });
        DataFrame::new(frame.height(), columns.collect::<PolarsResult<_>>()?)
    }

    /// Whether a column's values are handed on as the texts of another type.
    pub(super) fn is_printed(&self, name: &str) -> bool {
        matches!(self.fixed_bytes.get(name), Some(FixedBytes::Uuid | FixedBytes::Decimal(_)))
    }

    /// What the bytes of a column mean, where Polars would not read its type.
    pub(super) fn fixed_bytes(&self, name: &str) -> Option<FixedBytes> {
        self.fixed_bytes.get(name).copied()
    }
}

fn values(series: &Series, fixed_bytes: FixedBytes) -> PolarsResult<Column> {
    let bytes = series.cast(&DataType::Binary)?;
    let (name, bytes) = (series.name().clone(), bytes.binary()?);
    let values = bytes.iter();
    Ok(match fixed_bytes {
        FixedBytes::Half => Float32Chunked::from_iter_options(name, values.map(|value| value.map(half))).into_series(),
        FixedBytes::Uuid => StringChunked::from_iter_options(name, values.map(|value| value.map(uuid))).into_series(),
        FixedBytes::Decimal(scale) => {
            let texts = values.map(|value| value.map(|bytes| decimal(bytes, scale)));
            StringChunked::from_iter_options(name, texts).into_series()
        }
    }
    .into_column())
}

/// How a column's bytes are read, and what they mean, if Polars would not know.
fn bytes(
    kind: &ArrowDataType,
    physical: PhysicalType,
    logical: Option<PrimitiveLogicalType>,
) -> Option<(ArrowDataType, FixedBytes)> {
    let PhysicalType::FixedLenByteArray(length) = physical else { return None };
    let (kind, is_uuid) = match kind {
        ArrowDataType::Extension(extension) => (&extension.inner, extension.name.as_str() == UUID),
        kind => (kind, false),
    };
    let fixed_bytes = match kind {
        ArrowDataType::FixedSizeBinary(16) if is_uuid || logical == Some(PrimitiveLogicalType::Uuid) => {
            FixedBytes::Uuid
        }
        ArrowDataType::Float16 => FixedBytes::Half,
        ArrowDataType::FixedSizeBinary(2) if logical == Some(PrimitiveLogicalType::Float16) => FixedBytes::Half,
        ArrowDataType::Decimal(_, scale) | ArrowDataType::Decimal256(_, scale)
            if (POLARS_DECIMAL_BYTES + 1..=MAX_DECIMAL_BYTES).contains(&length) =>
        {
            FixedBytes::Decimal(*scale)
        }
        _ => return None,
    };
    Some((ArrowDataType::FixedSizeBinary(length), fixed_bytes))
}

/// A type and what can be written instead.
type UnsupportedType = (&'static str, &'static str);

/// Types of which only the index tells, where they stand within lists and structs.
fn unsupported_type(kind: Option<&PrimitiveLogicalType>) -> Option<UnsupportedType> {
    match kind {
        Some(PrimitiveLogicalType::Uuid) => Some(("uuid", "string")),
        Some(PrimitiveLogicalType::Float16) => Some(("float16", "float32")),
        _ => None,
    }
}

/// The type as which Polars reads the same values, or at least does not stumble over them; `unsupported_type` is then one of them that
/// would not be right.
fn readable(kind: &ArrowDataType, unsupported_type: &mut Option<UnsupportedType>) -> ArrowDataType {
    let mut field =
        |field: &ArrowField| ArrowField { dtype: readable(&field.dtype, unsupported_type), ..field.clone() };
    match kind {
        ArrowDataType::UInt8 | ArrowDataType::UInt16 => ArrowDataType::Int32,
        ArrowDataType::Float16 => {
            unsupported_type.get_or_insert(("float16", "float32"));
            ArrowDataType::FixedSizeBinary(2)
        }
        ArrowDataType::Decimal(39.., _) | ArrowDataType::Decimal256(39.., _) => {
            unsupported_type.get_or_insert((
                "decimal with more than 38 digits",
                "decimal128, which has up to 38 digits, or string",
            ));
            kind.clone()
        }
        ArrowDataType::Decimal256(precision, scale) => ArrowDataType::Decimal(*precision, *scale),
        ArrowDataType::Extension(extension) => {
            if extension.name.as_str() == UUID {
                unsupported_type.get_or_insert(("uuid", "string"));
            }
            readable(&extension.inner, unsupported_type)
        }
        ArrowDataType::List(inner) => ArrowDataType::List(Box::new(field(inner))),
        ArrowDataType::LargeList(inner) => ArrowDataType::LargeList(Box::new(field(inner))),
        ArrowDataType::FixedSizeList(inner, length) => ArrowDataType::FixedSizeList(Box::new(field(inner)), *length),
        ArrowDataType::Map(inner, is_sorted) => ArrowDataType::Map(Box::new(field(inner)), *is_sorted),
        ArrowDataType::Struct(fields) => ArrowDataType::Struct(fields.iter().map(field).collect()),
        kind => kind.clone(),
    }
}
