//! The cells of a grid: how a partition stands, in a word of a few letters, and whether its rows are unusual. Where there are
//! too many partitions for a screen a cell stands for all of a day or a month, and opens it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Timelike};
use chrono_tz::Tz;

use crate::engine::backfill::{Granularity, GridColumn, PartitionReport, PartitionStatus, SourceChange};
use crate::id::ExecutionId;
use crate::journal::ExpectedMark;
use crate::server::api::parameters::QueryParameters;
use crate::text::thousands;

/// The most rows of a grid before its cells stand for longer times.
const MAX_ROWS: usize = 100;

/// One partition, or several.
#[derive(Clone, Debug)]
pub(super) struct PartitionCell {
    /// What names it in the page's address; empty for several.
    pub(super) name: String,
    /// Which it is: `2020-04`, or `2020-04-01 to 2020-04-30`.
    pub(super) partition: String,
    /// The first and the last of its partitions.
    pub(super) from: String,
    pub(super) to: String,
    /// The query of the page that shows it.
    pub(super) query: String,
    pub(super) sign: &'static str,
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    /// What is in the cell.
    pub(super) text: String,
    pub(super) is_unusual: bool,
}

/// A row of a grid: a year, a month, a day or an hour.
pub(super) struct GridRow {
    pub(super) name: String,
    pub(super) cells: Vec<Option<PartitionCell>>,
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

fn is_changed(known: &PartitionReport) -> bool {
    matches!(known.source, Some(SourceChange::Changed(_)))
}

impl PartitionCell {
    /// The cell of one partition.
    pub(super) fn of(column: &GridColumn, known: &PartitionReport, parameters: &QueryParameters) -> Self {
        let (sign, word, class, text) = match &known.status {
            PartitionStatus::Loaded { rows, .. } if is_changed(known) => {
                ("△", "changed at the source", "warn", short(*rows))
            }
            PartitionStatus::Loaded { rows, .. } => ("✓", "loaded", "ok", short(*rows)),
            PartitionStatus::Running => ("◐", "running", "run", String::new()),
            PartitionStatus::Failed { reason, .. } => ("✗", "failed", "fail", reason.clone()),
            PartitionStatus::Stopped => ("⊘", "stopped", "idle", "stopped".to_owned()),
            PartitionStatus::Skipped { .. } => ("↷", "skipped", "idle", String::new()),
            PartitionStatus::Waiting => ("–", "never ran", "none", String::new()),
        };
        let (partition, name) = (known.partition.clone(), name(column, known));
        let (from, to) = (partition.clone(), partition.clone());
        let query = parameters.with("cell", &name);
        Self { name, partition, from, to, query, sign, word, class, text, is_unusual: false }
    }

    /// The cell of several partitions: the worst of their states, and how many are loaded. Its page shows them.
    fn of_several(known: &[&PartitionReport], parameters: &QueryParameters) -> Self {
        let counted = |is_so: fn(&PartitionReport) -> bool| known.iter().filter(|known| is_so(known)).count();
        let loaded = counted(|known| rows(&known.status).is_some());
        let skipped = counted(|known| matches!(known.status, PartitionStatus::Skipped { .. }));
        let (sign, word, class) = match () {
            () if counted(|known| known.status.is_failed()) > 0 => ("✗", "failed in part", "fail"),
            () if counted(|known| matches!(known.status, PartitionStatus::Running)) > 0 => ("◐", "running", "run"),
            () if counted(is_changed) > 0 => ("△", "changed at the source in part", "warn"),
            () if skipped == known.len() => ("↷", "skipped", "idle"),
            () if loaded + skipped == known.len() => ("✓", "loaded", "ok"),
            () if loaded > 0 => ("△", "loaded in part", "warn"),
            () => ("–", "never ran", "none"),
        };
        let text = match loaded {
            0 => String::new(),
            all if all + skipped == known.len() => short(known.iter().filter_map(|known| rows(&known.status)).sum()),
            some => format!("{some}/{}", known.len()),
        };
        let [from, to] =
            [known.first(), known.last()].map(|end| end.map(|end| end.partition.clone()).unwrap_or_default());
        let query = parameters.without("cell").adding("from", &from).adding("to", &to).text();
        let partition = format!("{from} to {to}, {} partitions", thousands(known.len() as u64));
        let name = String::new();
        Self { name, partition, from, to, query, sign, word, class, text, is_unusual: false }
    }
}

/// `2.1k`, `631k`, `7.7M`
fn short(rows: u64) -> String {
    let amount = rows as f64;
    match rows {
        0..1000 => rows.to_string(),
        1000..9_950 => format!("{:.1}k", amount / 1e3),
        9_950..999_500 => format!("{:.0}k", amount / 1e3),
        999_500..9_950_000 => format!("{:.1}M", amount / 1e6),
        9_950_000..999_500_000 => format!("{:.0}M", amount / 1e6),
        _ => format!("{:.1}G", amount / 1e9),
    }
}

/// The heads of a grid's columns, and its rows.
pub(super) fn rows_of(
    column: &GridColumn,
    expected: &BTreeMap<ExecutionId, ExpectedMark>,
    parameters: &QueryParameters,
) -> (Vec<String>, Vec<GridRow>) {
    let zone = column.schedule.times().zone();
    let times: Vec<DateTime<Tz>> = column.known.iter().map(|known| known.date.with_timezone(&zone)).collect();
    let shape = Shape::of(column.granularity(), &times);
    let heads = shape.heads(&times);
    let counts: Vec<Option<u64>> = column.known.iter().map(|known| rows(&known.status)).collect();
    let mut grid: Vec<GridRow> = Vec::new();
    let mut begin = 0;
    for group in times.chunk_by(|one, next| shape.group(one) == shape.group(next)) {
        let known: Vec<&PartitionReport> = column.known[begin..begin + group.len()].iter().collect();
        let cell = match known.as_slice() {
            [one] => {
                let is_expected = one.execution.as_ref().is_some_and(|id| expected.contains_key(id));
                let is_unusual = !is_expected && is_unusual(&counts, begin);
                PartitionCell { is_unusual, ..PartitionCell::of(column, one, parameters) }
            }
            several => PartitionCell::of_several(several, parameters),
        };
        begin += group.len();
        let (row, place) = (shape.name(&group[0]), shape.place(&group[0], &heads));
        if grid.last().is_none_or(|last| last.name != row) {
            grid.push(GridRow { name: row, cells: vec![None; heads.len()] });
        }
        if let Some(free) = grid.last_mut().and_then(|row| row.cells.get_mut(place)) {
            *free = Some(cell);
        }
    }
    (heads, grid)
}

/// Whether a count is less than a quarter, or more than four times, of what is usual around it.
pub(in crate::server::pages) fn is_unusual(counts: &[Option<u64>], index: usize) -> bool {
    let Some(Some(own)) = counts.get(index) else { return false };
    let around = index.saturating_sub(3)..(index + 4).min(counts.len());
    let mut others: Vec<u64> = around.filter(|other| *other != index).filter_map(|other| counts[other]).collect();
    others.sort_unstable();
    let Some(usual) = others.get(others.len() / 2).filter(|_| others.len() >= 3) else { return false };
    own * 4 < *usual || *own > usual * 4
}

/// How partitions are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    MonthsOfYears,
    DaysOfMonths,
    HoursOfDays,
    MinutesOfHours,
}

impl Shape {
    /// The finest shape that is no longer than a few screens. Moments are in order.
    fn of(granularity: Granularity, times: &[DateTime<Tz>]) -> Self {
        let finest = match granularity {
            Granularity::Month => return Self::MonthsOfYears,
            Granularity::Day => Self::DaysOfMonths,
            Granularity::Minute | Granularity::Second if times.windows(2).any(|pair| same_hour(&pair[0], &pair[1])) => {
                Self::MinutesOfHours
            }
            Granularity::Minute | Granularity::Second => Self::HoursOfDays,
        };
        let shapes = [Self::MinutesOfHours, Self::HoursOfDays, Self::DaysOfMonths, Self::MonthsOfYears];
        let usable = shapes.into_iter().skip_while(|shape| *shape != finest);
        let rows = |shape: Self| times.chunk_by(|one, next| shape.row(one) == shape.row(next)).count();
        let mut short = usable.filter(|shape| rows(*shape) <= MAX_ROWS);
        short.next().unwrap_or(Self::MonthsOfYears)
    }

    fn heads(self, times: &[DateTime<Tz>]) -> Vec<String> {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        match self {
            Self::MonthsOfYears => months.map(str::to_owned).to_vec(),
            Self::DaysOfMonths => (1..=31).map(|day| day.to_string()).collect(),
            Self::HoursOfDays => (0..24).map(|hour| format!("{hour:02}")).collect(),
            Self::MinutesOfHours => {
                let minutes: BTreeSet<u32> = times.iter().map(Timelike::minute).collect();
                minutes.into_iter().map(|minute| format!(":{minute:02}")).collect()
            }
        }
    }

    /// The row of a moment: a year, and a month, a day and an hour where the row is no longer than these.
    fn row(self, time: &DateTime<Tz>) -> [u32; 4] {
        let mut row = [time.year().unsigned_abs(), time.month(), time.day(), time.hour()];
        let known = match self {
            Self::MonthsOfYears => 1,
            Self::DaysOfMonths => 2,
            Self::HoursOfDays => 3,
            Self::MinutesOfHours => 4,
        };
        row[known..].fill(0);
        row
    }

    /// Its row, and its place in that.
    fn group(self, time: &DateTime<Tz>) -> ([u32; 4], u32) {
        let place = match self {
            Self::MonthsOfYears => time.month0(),
            Self::DaysOfMonths => time.day0(),
            Self::HoursOfDays => time.hour(),
            Self::MinutesOfHours => time.minute(),
        };
        (self.row(time), place)
    }

    /// The name of its row.
    fn name(self, time: &DateTime<Tz>) -> String {
        let form = match self {
            Self::MonthsOfYears => "%Y",
            Self::DaysOfMonths => "%Y-%m",
            Self::HoursOfDays => "%Y-%m-%d",
            Self::MinutesOfHours => "%Y-%m-%d %H",
        };
        time.format(form).to_string()
    }

    /// Its place in the row.
    fn place(self, time: &DateTime<Tz>, heads: &[String]) -> usize {
        match self {
            Self::MonthsOfYears => time.month0() as usize,
            Self::DaysOfMonths => time.day0() as usize,
            Self::HoursOfDays => time.hour() as usize,
            Self::MinutesOfHours => {
                let minute = format!(":{:02}", time.minute());
                heads.iter().position(|head| *head == minute).unwrap_or_default()
            }
        }
    }
}

fn same_hour(one: &DateTime<Tz>, next: &DateTime<Tz>) -> bool {
    (one.date_naive(), one.hour()) == (next.date_naive(), next.hour())
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};

    use super::*;

    #[test]
    fn a_count_is_unusual_among_those_around_it() {
        let counts: Vec<Option<u64>> = [631, 576, 601, 36, 505, 471].map(|rows| Some(rows * 1000)).to_vec();
        let unusual: Vec<usize> = (0..counts.len()).filter(|index| is_unusual(&counts, *index)).collect();
        assert_eq!(unusual, [3]);
        assert!(!is_unusual(&[Some(1), Some(1000)], 0), "two say nothing of what is usual");
    }

    #[test]
    fn counts_are_short() {
        assert_eq!(
            [7, 2_099, 36_004, 630_918, 7_667_792, 12_000_000].map(short),
            ["7", "2.1k", "36k", "631k", "7.7M", "12M"]
        );
    }

    #[test]
    fn a_grid_stays_within_a_few_screens() {
        let times = |minutes: usize, count: usize| -> Vec<DateTime<Tz>> {
            let begin: DateTime<Tz> = Tz::UTC.with_ymd_and_hms(2020, 1, 1, 0, 0, 0).unwrap();
            (0..count).map(|at| begin + TimeDelta::minutes((at * minutes) as i64)).collect()
        };
        let cases = [
            (Granularity::Minute, times(60, 24), Shape::HoursOfDays),
            (Granularity::Minute, times(60, 40_000), Shape::DaysOfMonths),
            (Granularity::Minute, times(15, 96), Shape::MinutesOfHours),
            (Granularity::Minute, times(15, 4_000), Shape::HoursOfDays),
            (Granularity::Day, times(1440, 365), Shape::DaysOfMonths),
            (Granularity::Day, times(1440, 40_000), Shape::MonthsOfYears),
            (Granularity::Month, times(43_800, 180), Shape::MonthsOfYears),
        ];
        for (granularity, times, shape) in cases {
            assert_eq!(Shape::of(granularity, &times), shape, "{} times {granularity:?}", times.len());
        }
        assert_eq!(Shape::MinutesOfHours.heads(&times(15, 9)), [":00", ":15", ":30", ":45"]);
    }
}
