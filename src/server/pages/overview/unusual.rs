//! Executions of the last day that loaded an unusual number of rows, compared with other runs of the same flow.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock;
use crate::journal::Summary;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::pages::executions::ListedExecution;
use crate::server::pages::partitions::is_unusual;
use crate::text::{count, plain};

/// How many executions are looked at: the newest ones, and of each flow that is among them.
const MAX_EXECUTIONS: u32 = 200;
/// How many flows are looked at, and how many executions are shown.
const MAX_FLOWS: usize = 10;
const SHOWN: usize = 10;
/// How many executions on each side tell what is usual.
const AROUND: usize = 3;

/// An execution whose number of rows is unusual.
#[derive(Serialize)]
pub(super) struct Unusual {
    pub(super) execution: ListedExecution,
    /// `237,993 rows, 92 % fewer than around it`
    pub(super) words: String,
}

/// Those that nobody has marked as expected.
pub(super) fn of(app: &App) -> Result<Vec<Unusual>, ApiError> {
    let journal = app.executor.journal();
    let recent = journal.executions(None, MAX_EXECUTIONS)?;
    let since = clock::now() - TimeDelta::days(1);
    let is_recent = |summary: &Summary| has_loaded(summary) && summary.ended.is_some_and(|ended| ended >= since);
    let flows: BTreeSet<&str> =
        recent.iter().filter(|summary| is_recent(summary)).map(|summary| summary.flow.as_str()).collect();
    let mut unusual = Vec::new();
    for flow in flows.into_iter().take(MAX_FLOWS) {
        let executions = journal.executions(Some(flow), MAX_EXECUTIONS)?;
        let expected = journal.expected(executions.iter().map(|summary| &summary.id))?;
        for series in series(executions) {
            let counts: Vec<Option<u64>> = series.iter().map(|summary| Some(summary.rows)).collect();
            for (index, summary) in series.iter().enumerate() {
                let is_new = is_recent(summary) && !expected.contains_key(&summary.id);
                if unusual.len() < SHOWN && is_new && is_unusual(&counts, index) {
                    let words = words(&series, index);
                    unusual.push(Unusual { execution: ListedExecution::of(app, summary)?, words });
                }
            }
        }
    }
    Ok(unusual)
}

fn has_loaded(summary: &Summary) -> bool {
    summary.rows > 0 && summary.only.is_none() && summary.state.has_ended() && !summary.state.is_restartable()
}

/// Executions that differ in their period alone, in its order: numbers and dates among the inputs are the period. Of those
/// of one period the newest counts.
fn series(newest_first: Vec<Summary>) -> Vec<Vec<Summary>> {
    let mut all: BTreeMap<(String, String), BTreeMap<String, Summary>> = BTreeMap::new();
    for summary in newest_first.into_iter().filter(has_loaded) {
        let (period, rest): (Map<_, _>, Map<_, _>) =
            summary.inputs.clone().into_iter().partition(|(_, value)| is_of_period(value));
        let mut period: String = period.values().map(|value| format!("{} ", plain(value))).collect();
        if period.is_empty() {
            period = summary.trigger_date.unwrap_or(summary.created).to_rfc3339();
        }
        let key = (summary.namespace.clone(), Value::Object(rest).to_string());
        all.entry(key).or_default().entry(period).or_insert(summary);
    }
    all.into_values().map(|series| series.into_values().collect()).collect()
}

fn is_of_period(value: &Value) -> bool {
    let text = plain(value);
    text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.chars().all(|letter| letter.is_ascii_digit() || "-:TZ. ".contains(letter))
}

fn words(series: &[Summary], index: usize) -> String {
    let range = index.saturating_sub(AROUND)..(index + AROUND + 1).min(series.len());
    let mut others: Vec<u64> = range.filter(|other| *other != index).map(|other| series[other].rows).collect();
    others.sort_unstable();
    let (rows, usual) = (series[index].rows, others[others.len() / 2].max(1));
    let rows_text = count(rows, "row");
    let percent = (100.0 * (rows as f64 - usual as f64) / usual as f64).round();
    match percent < 0.0 {
        true => format!("{rows_text}, {:.0} % fewer than around it", -percent),
        false => format!("{rows_text}, {percent:.0} % more than around it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ExecutionId;
    use crate::journal::ExecutionState;

    #[test]
    fn numbers_and_dates_are_the_period() {
        for (value, is) in
            [("2020", true), ("03", true), ("2020-03-01", true), ("green", false), ("1x", false), ("", false)]
        {
            assert_eq!(is_of_period(&Value::from(value)), is, "{value}");
        }
    }

    #[test]
    fn months_of_one_taxi_are_compared_and_a_repeat_counts_once() {
        let summary = |id: &str, taxi: &str, month: &str, rows: u64| Summary {
            id: ExecutionId::new(id),
            namespace: "shop".to_owned(),
            flow: "taxi".to_owned(),
            state: ExecutionState::Success,
            inputs: Map::from_iter([("taxi".to_owned(), taxi.into()), ("month".to_owned(), month.into())]),
            created: clock::now(),
            started: None,
            ended: Some(clock::now()),
            took: None,
            rows,
            labels: Map::new(),
            trigger: None,
            trigger_date: None,
            only: None,
        };
        let green = [
            ("e5", "05", 90),
            ("e4", "04", 8),
            ("e3", "03", 100),
            ("e2", "04", 95),
            ("e1", "01", 110),
            ("e0", "02", 105),
        ];
        let mut all: Vec<Summary> = green.iter().map(|(id, month, rows)| summary(id, "green", month, *rows)).collect();
        all.push(summary("e6", "yellow", "04", 7));
        let series = series(all);
        let rows: Vec<Vec<u64>> = series.iter().map(|one| one.iter().map(|summary| summary.rows).collect()).collect();
        assert_eq!(rows, [vec![110, 105, 100, 8, 90], vec![7]]);
        assert_eq!(words(&series[0], 3), "8 rows, 92 % fewer than around it");
    }
}
