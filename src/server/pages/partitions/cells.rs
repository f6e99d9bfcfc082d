//! The cells of a grid: how a partition stands, in a word of a few letters, and whether its rows are unusual.

use chrono::{DateTime, Datelike, Timelike, Utc};

use crate::engine::backfill::{Granularity, GridColumn, PartitionReport, PartitionStatus, SourceChange};

/// One partition.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) partition: String,
    /// What names it in the page's address.
    pub(super) name: String,
    pub(super) sign: &'static str,
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    /// What stands in the cell.
    pub(super) text: String,
    pub(super) is_unusual: bool,
    pub(super) is_chosen: bool,
}

/// A row of a grid: a year, a month or a day.
pub(super) struct GridRow {
    pub(super) name: String,
    pub(super) cells: Vec<Option<Cell>>,
}

/// What names a partition in the page's address.
pub(super) fn name(column: &GridColumn, known: &PartitionReport) -> String {
    format!("{}|{}", column.name, known.partition)
}

/// The rows that a partition holds, where it holds any.
pub(super) fn rows(status: &PartitionStatus) -> Option<u64> {
    match status {
        PartitionStatus::Loaded { rows, .. } => Some(*rows),
        _ => None,
    }
}

impl Cell {
    pub(super) fn of(column: &GridColumn, known: &PartitionReport, is_unusual: bool, is_chosen: bool) -> Self {
        let changed = matches!(known.source, Some(SourceChange::Changed(_)));
        let (sign, word, class, text) = match &known.status {
            PartitionStatus::Loaded { rows, .. } if changed => ("△", "changed at the source", "warn", short(*rows)),
            PartitionStatus::Loaded { rows, .. } => ("✓", "loaded", "ok", short(*rows)),
            PartitionStatus::Running => ("◐", "running", "run", String::new()),
            PartitionStatus::Failed { reason, .. } => ("✗", "failed", "fail", reason.clone()),
            PartitionStatus::Stopped => ("⊘", "stopped", "idle", "stopped".to_owned()),
            PartitionStatus::Skipped { .. } => ("↷", "skipped", "idle", String::new()),
            PartitionStatus::Waiting => ("–", "never ran", "none", String::new()),
        };
        let (partition, name) = (known.partition.clone(), name(column, known));
        Self { partition, name, sign, word, class, text, is_unusual, is_chosen }
    }
}

/// `631k`, `7.67M`
fn short(rows: u64) -> String {
    let amount = rows as f64;
    match rows {
        0..1000 => rows.to_string(),
        1000..999_500 => format!("{:.0}k", amount / 1e3),
        999_500..999_500_000 => format!("{:.2}M", amount / 1e6),
        _ => format!("{:.2}G", amount / 1e9),
    }
}

/// The heads of a grid's columns, and its rows.
pub(super) fn rows_of(column: &GridColumn, looked_at: Option<&str>) -> (Vec<String>, Vec<GridRow>) {
    let shape = Shape::of(column.granularity());
    let counts: Vec<Option<u64>> = column.known.iter().map(|known| rows(&known.status)).collect();
    let mut grid: Vec<GridRow> = Vec::new();
    for (index, known) in column.known.iter().enumerate() {
        let (row, place) = shape.place(column, known.date);
        if grid.last().is_none_or(|last| last.name != row) {
            grid.push(GridRow { name: row, cells: vec![None; shape.heads().len()] });
        }
        let is_chosen = looked_at.is_some_and(|looked_at| looked_at == name(column, known));
        let cell = Cell::of(column, known, is_unusual(&counts, index), is_chosen);
        if let Some(free) = grid.last_mut().and_then(|row| row.cells.get_mut(place)) {
            *free = Some(cell);
        }
    }
    (shape.heads(), grid)
}

/// Whether a count is less than a quarter, or more than four times, of what is usual around it.
fn is_unusual(counts: &[Option<u64>], index: usize) -> bool {
    let Some(Some(own)) = counts.get(index) else { return false };
    let around = index.saturating_sub(3)..(index + 4).min(counts.len());
    let mut others: Vec<u64> = around.filter(|other| *other != index).filter_map(|other| counts[other]).collect();
    others.sort_unstable();
    let Some(usual) = others.get(others.len() / 2).filter(|_| others.len() >= 3) else { return false };
    own * 4 < *usual || *own > usual * 4
}

/// How partitions are laid out.
#[derive(Clone, Copy)]
enum Shape {
    MonthsOfYears,
    DaysOfMonths,
    HoursOfDays,
}

impl Shape {
    fn of(granularity: Granularity) -> Self {
        match granularity {
            Granularity::Month => Self::MonthsOfYears,
            Granularity::Day => Self::DaysOfMonths,
            Granularity::Minute | Granularity::Second => Self::HoursOfDays,
        }
    }

    fn heads(self) -> Vec<String> {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        match self {
            Self::MonthsOfYears => months.map(str::to_owned).to_vec(),
            Self::DaysOfMonths => (1..=31).map(|day| day.to_string()).collect(),
            Self::HoursOfDays => (0..24).map(|hour| format!("{hour:02}")).collect(),
        }
    }

    /// The row of a moment, and its place there.
    fn place(self, column: &GridColumn, date: DateTime<Utc>) -> (String, usize) {
        let local = date.with_timezone(&column.schedule.times().zone());
        match self {
            Self::MonthsOfYears => (local.format("%Y").to_string(), local.month0() as usize),
            Self::DaysOfMonths => (local.format("%Y-%m").to_string(), local.day0() as usize),
            Self::HoursOfDays => (local.format("%Y-%m-%d").to_string(), local.hour() as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_unusual_beside_those_around_it() {
        let counts: Vec<Option<u64>> = [631, 576, 601, 36, 505, 471].map(|rows| Some(rows * 1000)).to_vec();
        let unusual: Vec<usize> = (0..counts.len()).filter(|index| is_unusual(&counts, *index)).collect();
        assert_eq!(unusual, [3]);
        assert!(!is_unusual(&[Some(1), Some(1000)], 0), "two say nothing of what is usual");
    }

    #[test]
    fn counts_are_short() {
        assert_eq!([7, 36_004, 630_918, 7_667_792].map(short), ["7", "36k", "631k", "7.67M"]);
    }
}
