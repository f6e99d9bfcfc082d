//! The values that functions of [`super::pg_function`] get and give, row by row.

use polars::prelude::*;

/// The rows that a function is computed for, and where it may fail.
pub(super) struct KernelRows {
    /// How many there are.
    pub(super) count: usize,
    may_fail: BooleanChunked,
}

impl KernelRows {
    pub(super) fn of(columns: &[Column], may_fail: &Column) -> PolarsResult<Self> {
        let lengths = columns.iter().chain([may_fail]).map(Column::len);
        let count = if lengths.clone().any(|length| length == 0) { 0 } else { lengths.max().unwrap_or(0) };
        Ok(Self { count, may_fail: may_fail.cast(&DataType::Boolean)?.bool()?.clone() })
    }

    fn may_fail(&self, row: usize) -> bool {
        self.may_fail.get(index_of(self.may_fail.len(), row)) == Some(true)
    }

    fn each<T>(&self, compute: impl Fn(usize) -> Result<Option<T>, &'static str>) -> PolarsResult<Vec<Option<T>>> {
        let value = |row| match compute(row) {
            Ok(value) => Ok(value),
            Err(message) if self.may_fail(row) => Err(PolarsError::ComputeError(message.into())),
            Err(_) => Ok(None),
        };
        (0..self.count).map(value).collect()
    }

    /// Values that texts stand for; `value_error` says what is wrong with one that stands for none.
    pub(super) fn parsed<T>(
        &self,
        parse: impl Fn(usize) -> Option<Option<T>>,
        value_error: impl Fn(usize) -> PolarsError,
    ) -> PolarsResult<Vec<Option<T>>> {
        let value = |row| match parse(row) {
            Some(None) if self.may_fail(row) => Err(value_error(row)),
            value => Ok(value.flatten()),
        };
        (0..self.count).map(value).collect()
    }

    pub(super) fn texts(
        &self,
        compute: impl Fn(usize) -> Result<Option<String>, &'static str>,
    ) -> PolarsResult<Column> {
        self.each(compute).map(|values| Column::new(PlSmallStr::EMPTY, values))
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

/// Numbers by their rows.
pub(super) struct NumberValues<T: PolarsNumericType>(ChunkedArray<T>);

/// Whole numbers.
pub(super) type IntValues = NumberValues<Int64Type>;
/// Numbers in double precision.
pub(super) type FloatValues = NumberValues<Float64Type>;

impl<T: PolarsNumericType> NumberValues<T> {
    pub(super) fn of(column: &Column) -> PolarsResult<Self> {
        let numbers = column.strict_cast(&T::get_static_dtype())?;
        Ok(Self(numbers.as_materialized_series().unpack::<T>()?.rechunk().into_owned()))
    }

    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        self.0.get(index_of(self.0.len(), row))
    }
}

/// Texts by their rows.
pub(super) struct TextValues(StringChunked);

impl TextValues {
    pub(super) fn of(column: &Column) -> PolarsResult<Self> {
        Ok(Self(column.str()?.clone()))
    }

    /// Those of a column that may be without a type, such as one of NULLs.
    pub(super) fn cast(column: &Column) -> PolarsResult<Self> {
        Self::of(&column.cast(&DataType::String)?)
    }

    pub(super) fn get(&self, row: usize) -> Option<&str> {
        self.0.get(index_of(self.0.len(), row))
    }
}

/// Where the value of a row is in a column of this length: one that is the same in all rows comes as one row.
fn index_of(length: usize, row: usize) -> usize {
    if length == 1 { 0 } else { row }
}
