//! Moments that Parquet files have in nanoseconds, and that are rounded to microseconds, as Postgres rounds a text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use polars::prelude::{DataFrame, DataType, PolarsResult, Series, TimeUnit, col};

use super::{ParquetFile, broken, frames};
use crate::diagnostic::Diagnostic;
use crate::stream::{ColumnSpec, ColumnType, Result};
use crate::text::count;

/// How many values were rounded so far, by column.
#[derive(Debug, Default)]
pub(in crate::stream) struct Rounded(Mutex<BTreeMap<String, u64>>);

impl Rounded {
    /// Counts those of a frame that are wanted as moments.
    pub(super) fn take(&self, frame: &DataFrame, wanted: &[ColumnSpec]) -> PolarsResult<()> {
        let is_moment = |column: &&ColumnSpec| {
            matches!(column.kind, ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant)
        };
        for column in wanted.iter().filter(is_moment) {
            let rounded = rounded(frame.column(&column.name)?.as_materialized_series())?;
            if rounded > 0 {
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                *all.entry(column.name.clone()).or_default() += rounded;
            }
        }
        Ok(())
    }

    /// A line for each column of which values were rounded.
    pub(in crate::stream) fn notes(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, rounded)| format!("`{name}`: {}", note(*rounded))).collect()
    }
}

/// What is to be said of so many values.
pub(in crate::stream) fn note(rounded: u64) -> String {
    let were = if rounded == 1 { "has nanoseconds and is" } else { "have nanoseconds and are" };
    format!("{} {were} rounded to microseconds", count(rounded, "value"))
}

fn rounded(values: &Series) -> PolarsResult<u64> {
    if !is_nanoseconds(values.dtype()) {
        return Ok(0);
    }
    let physical = values.to_physical_repr();
    // The largest number stands for a moment that nanoseconds cannot hold, which is a bad row.
    let is_rounded = |value: &i64| *value != i64::MAX && value.rem_euclid(1000) != 0;
    Ok(physical.i64()?.iter().flatten().filter(is_rounded).count() as u64)
}

fn is_nanoseconds(kind: &DataType) -> bool {
    matches!(kind, DataType::Datetime(TimeUnit::Nanoseconds, _))
}

impl ParquetFile {
    /// What is counted while the rows are read.
    pub(in crate::stream) fn rounded(&self) -> Arc<Rounded> {
        self.rounded.clone()
    }

    /// How many values of each column would be rounded. Only columns in nanoseconds are read for it.
    ///
    /// # Errors
    /// When the file is damaged, or somebody stops it.
    pub(in crate::stream) fn count_rounded(self, is_stopped: &dyn Fn() -> bool) -> Result<BTreeMap<String, u64>> {
        let columns = self.empty.columns().iter().filter(|column| is_nanoseconds(column.dtype()));
        let names: Vec<String> = columns.map(|column| column.name().to_string()).collect();
        let mut all = BTreeMap::new();
        if names.is_empty() || self.layout.rows() == 0 {
            return Ok(all);
        }
        let failed = |error| broken(&self.name, format!("cannot read the Parquet file: {error}"));
        let portions = self.layout.portions(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let query = self.scan.select(names.iter().map(|name| col(name.as_str())).collect::<Vec<_>>());
        for frame in frames(query, portions) {
            if is_stopped() {
                return Err(Box::new(Diagnostic::error("stopped")));
            }
            let frame = frame.and_then(|frame| self.physical.apply(frame)).map_err(failed)?;
            for name in &names {
                let column = frame.column(name).map_err(failed)?;
                *all.entry(name.clone()).or_default() += rounded(column.as_materialized_series()).map_err(failed)?;
            }
        }
        Ok(all)
    }
}
