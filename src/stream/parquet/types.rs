//! The types of a Parquet file's columns, as Postgres has them.

use polars::prelude::DataType;

use super::{ParquetFile, kind_of};
use crate::stream::fixed_bytes::FixedBytes;
use crate::stream::infer::InferredType;

/// The digits of the largest unsigned number of 64 bits.
const UINT64_DIGITS: usize = 20;

impl ParquetFile {
    /// How many rows the file has.
    pub(in crate::stream) fn rows(&self) -> u64 {
        self.layout.rows()
    }

    /// The columns with the types that hold their values exactly.
    pub(in crate::stream) fn types(&self) -> Vec<(String, InferredType)> {
        let kind = |name: &str, kind: &DataType| match self.physical.fixed_bytes(name) {
            Some(FixedBytes::Uuid) => InferredType::Uuid,
            Some(FixedBytes::Half) => InferredType::Real,
            Some(FixedBytes::Decimal(_)) => InferredType::Numeric,
            None => inferred(kind),
        };
        self.empty
            .columns()
            .iter()
            .map(|column| (column.name().to_string(), kind(column.name(), column.dtype())))
            .collect()
    }
}

fn inferred(kind: &DataType) -> InferredType {
    match kind {
        DataType::UInt64 => InferredType::Decimal(UINT64_DIGITS, 0),
        DataType::Decimal(precision, scale) => InferredType::Decimal(*precision, *scale),
        DataType::Int128 => InferredType::Numeric,
        DataType::Time => InferredType::Time,
        DataType::Binary => InferredType::Bytea,
        DataType::Struct(_) => InferredType::Jsonb,
        DataType::List(items) => match inferred(items) {
            // Arrays of Postgres have the same length in each row of a dimension, and no structures that are unnamed.
            InferredType::Jsonb | InferredType::Array(_) => InferredType::Jsonb,
            items => InferredType::Array(Box::new(items)),
        },
        kind => kind_of(kind).map_or(InferredType::Text, InferredType::of_computed),
    }
}
