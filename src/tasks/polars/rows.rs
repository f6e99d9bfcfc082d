//! The values that functions of [`super::meaning`] get and give, row by row.

use polars::prelude::*;

/// The rows that a function is computed for, and where it may fail.
pub(super) struct Rows {
    /// How many there are.
    pub(super) count: usize,
    guard: BooleanChunked,
}

impl Rows {
    pub(super) fn of(columns: &[Column], guard: &Column) -> PolarsResult<Self> {
        // A value that is the same in all rows comes as one row.
        let lengths = columns.iter().chain([guard]).map(Column::len);
        let count = if lengths.clone().any(|length| length == 0) { 0 } else { lengths.max().unwrap_or(0) };
        Ok(Self { count, guard: guard.cast(&DataType::Boolean)?.bool()?.clone() })
    }

    fn may_fail(&self, row: usize) -> bool {
        let row = if self.guard.len() == 1 { 0 } else { row };
        self.guard.get(row) == Some(true)
    }

    fn each<T>(&self, compute: impl Fn(usize) -> Result<Option<T>, &'static str>) -> PolarsResult<Vec<Option<T>>> {
        let value = |row| match compute(row) {
            Ok(value) => Ok(value),
            Err(message) if self.may_fail(row) => Err(PolarsError::ComputeError(message.into())),
            Err(_) => Ok(None),
        };
        (0..self.count).map(value).collect()
    }

    pub(super) fn ints(
        &self,
        name: PlSmallStr,
        compute: impl Fn(usize) -> Result<Option<i64>, &'static str>,
    ) -> PolarsResult<Column> {
        self.each(compute).map(|values| Column::new(name, values))
    }

    pub(super) fn floats(
        &self,
        name: PlSmallStr,
        compute: impl Fn(usize) -> Result<Option<f64>, &'static str>,
    ) -> PolarsResult<Column> {
        self.each(compute).map(|values| Column::new(name, values))
    }
}

/// Whole numbers by their rows.
pub(super) struct Ints(Int64Chunked);

impl Ints {
    pub(super) fn of(column: &Column) -> PolarsResult<Self> {
        Ok(Self(column.strict_cast(&DataType::Int64)?.i64()?.rechunk().into_owned()))
    }

    pub(super) fn get(&self, row: usize) -> Option<i64> {
        self.0.get(if self.0.len() == 1 { 0 } else { row })
    }
}

/// Numbers in double precision by their rows.
pub(super) struct Floats(Float64Chunked);

impl Floats {
    pub(super) fn of(column: &Column) -> PolarsResult<Self> {
        Ok(Self(column.strict_cast(&DataType::Float64)?.f64()?.rechunk().into_owned()))
    }

    pub(super) fn get(&self, row: usize) -> Option<f64> {
        self.0.get(if self.0.len() == 1 { 0 } else { row })
    }
}
