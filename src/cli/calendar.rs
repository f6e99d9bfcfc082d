//! Partitions as a calendar: years by months, months by days, or days by hours, with a mark for each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Tz;

use crate::engine::backfill::{Granularity, PartitionStatus};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// A longer calendar would be less useful than the counts below it.
const MAX_ROWS: usize = 40;

/// The mark of a partition; in a shared cell, the worst one is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CalendarMark {
    Skipped,
    Loaded,
    Waiting,
    Stopped,
    Running,
    Failed,
}

impl CalendarMark {
    pub(super) fn of(status: &PartitionStatus) -> Self {
        match status {
            PartitionStatus::Waiting => Self::Waiting,
            PartitionStatus::Running => Self::Running,
            PartitionStatus::Loaded { .. } => Self::Loaded,
            PartitionStatus::Failed { .. } => Self::Failed,
            PartitionStatus::Stopped => Self::Stopped,
            PartitionStatus::Skipped { .. } => Self::Skipped,
        }
    }

    pub(super) fn sign(self) -> char {
        match self {
            Self::Skipped => '-',
            Self::Loaded => '✓',
            Self::Waiting => '·',
            Self::Stopped => '!',
            Self::Running => '▸',
            Self::Failed => '✗',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Loaded => "loaded",
            Self::Waiting => "not loaded",
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }
}

/// The meaning and number of the marks that are present.
pub(super) fn legend(marks: impl Iterator<Item = CalendarMark>) -> String {
    let mut counts: BTreeMap<CalendarMark, usize> = BTreeMap::new();
    marks.for_each(|mark| *counts.entry(mark).or_default() += 1);
    let parts = counts.iter().map(|(mark, count)| format!("{} {count} {}", mark.sign(), mark.word()));
    parts.collect::<Vec<_>>().join("   ")
}

/// The calendar; empty if it would be longer than a screen.
pub(super) fn calendar(cells: &[(DateTime<Utc>, CalendarMark)], zone: Tz, granularity: Granularity) -> String {
    let mut rows: BTreeMap<String, BTreeMap<u32, CalendarMark>> = BTreeMap::new();
    for (date, mark) in cells {
        let date = date.with_timezone(&zone);
        let (row, column) = match granularity {
            Granularity::Month => (date.format("%Y").to_string(), date.month()),
            Granularity::Day => (date.format("%Y-%m").to_string(), date.day()),
            Granularity::Minute | Granularity::Second => (date.format("%Y-%m-%d").to_string(), date.hour() + 1),
        };
        let place = rows.entry(row).or_default().entry(column).or_insert(*mark);
        *place = (*place).max(*mark);
    }
    if rows.len() > MAX_ROWS {
        return String::new();
    }
    let columns: Vec<String> = match granularity {
        Granularity::Month => MONTHS.iter().map(|name| format!(" {name}")).collect(),
        Granularity::Day => (1..=31).map(|day| format!(" {day:2}")).collect(),
        Granularity::Minute | Granularity::Second => (0..24).map(|hour| format!(" {hour:2}")).collect(),
    };
    let (width, margin) = (columns[0].chars().count(), rows.keys().map(String::len).max().unwrap_or(0));
    let mut text = format!("  {:margin$}{}\n", "", columns.concat());
    for (name, marks) in &rows {
        let signs = (1..=columns.len() as u32).map(|column| marks.get(&column).map_or(' ', |mark| mark.sign()));
        let line = signs.fold(format!("  {name:margin$}"), |mut line, sign| {
            // Writing into a String cannot fail.
            let _ = write!(line, "{sign:>width$}");
            line
        });
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_months_is_a_line_and_a_month_of_days_too() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let months = [
            (at("2019-01-01T00:00:00Z"), CalendarMark::Loaded),
            (at("2019-03-01T00:00:00Z"), CalendarMark::Failed),
            (at("2020-12-01T00:00:00Z"), CalendarMark::Waiting),
        ];
        let expected = "       Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec\n  2019   ✓       ✗\n  \
                        2020                                               ·\n";
        assert_eq!(calendar(&months, Tz::UTC, Granularity::Month), expected);
        let hours =
            [(at("2019-01-01T23:30:00Z"), CalendarMark::Loaded), (at("2019-01-01T23:45:00Z"), CalendarMark::Failed)];
        let text = calendar(&hours, Tz::Europe__Paris, Granularity::Minute);
        assert!(text.ends_with("  2019-01-02  ✗\n"), "{text}");
        assert_eq!(legend(months.iter().map(|(_, mark)| *mark)), "✓ 1 loaded   · 1 not loaded   ✗ 1 failed");
    }
}
