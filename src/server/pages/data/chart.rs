//! Numbers as bars: an SVG that the template draws.

use serde::Serialize;

use crate::text::count;

/// The most bars of a chart.
const MAX_BARS: usize = 360;
/// The height of a chart in its own units.
const HEIGHT: f64 = 80.0;
/// The width of a bar, and of a bar with the gap after it.
const BAR: usize = 8;
const STEP: usize = 10;

/// One bar.
#[derive(Serialize)]
pub(super) struct ChartBar {
    pub(super) label: String,
    pub(super) x: usize,
    pub(super) y: String,
    pub(super) height: String,
}

/// Bars with what is written at both ends.
#[derive(Serialize)]
pub(super) struct Chart {
    pub(super) width: usize,
    pub(super) bars: Vec<ChartBar>,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) most: String,
}

impl Chart {
    /// A bar for each name, at least one unit high where there is anything; none without values.
    pub(super) fn of(values: &[(String, f64)], label: impl Fn(&str, f64) -> String) -> Option<Self> {
        let values = values.get(values.len().saturating_sub(MAX_BARS)..)?;
        let most = values.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
        let ends = values.first().zip(values.last())?;
        let bar = |(index, (name, value)): (usize, &(String, f64))| {
            let share = if most > 0.0 && *value > 0.0 { (value / most).min(1.0) } else { 0.0 };
            let height = if share > 0.0 { ((HEIGHT - 2.0) * share).max(1.0) } else { 0.0 };
            ChartBar {
                label: label(name, *value),
                x: index * STEP,
                y: format!("{:.1}", HEIGHT - height),
                height: format!("{height:.1}"),
            }
        };
        Some(Self {
            width: (values.len() * STEP).max(12 * STEP) - (STEP - BAR),
            bars: values.iter().enumerate().map(bar).collect(),
            first: ends.0.0.clone(),
            last: ends.1.0.clone(),
            most: label("", most).trim_start_matches(": ").to_owned(),
        })
    }

    /// Rows by month, with a place for each month between the first and the last.
    pub(super) fn of_months(months: &[(String, u64)]) -> Option<Self> {
        let (first, last) = (month_number(&months.first()?.0)?, month_number(&months.last()?.0)?);
        let known = |number: u32| {
            months.iter().find(|(month, _)| month_number(month) == Some(number)).map_or(0, |(_, rows)| *rows)
        };
        let from = first.max(last.saturating_sub(MAX_BARS as u32 - 1));
        let all: Vec<(String, f64)> = (from..=last).map(|number| (month_name(number), known(number) as f64)).collect();
        Self::of(&all, |month, rows| format!("{month}: {}", count(rows as u64, "row")))
    }
}

/// A month as a number of months.
fn month_number(month: &str) -> Option<u32> {
    let (year, month) = month.split_once('-')?;
    Some(year.parse::<u32>().ok()? * 12 + month.parse::<u32>().ok()?.checked_sub(1)?)
}

fn month_name(number: u32) -> String {
    format!("{}-{:02}", number / 12, number % 12 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_without_rows_have_a_place_of_their_own() {
        let months = [("2019-11", 100), ("2020-02", 50)].map(|(month, rows)| (month.to_owned(), rows));
        let chart = Chart::of_months(&months).unwrap();
        let labels: Vec<&str> = chart.bars.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(labels, ["2019-11: 100 rows", "2019-12: 0 rows", "2020-01: 0 rows", "2020-02: 50 rows"]);
        let heights: Vec<&str> = chart.bars.iter().map(|bar| bar.height.as_str()).collect();
        assert_eq!((heights, chart.most.as_str()), (vec!["78.0", "0.0", "0.0", "39.0"], "100 rows"));
        assert!(Chart::of_months(&[]).is_none());
    }
}
