//! Data-quality rules: what must be true of the rows that come out, counted as they pass.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use polars::prelude::*;
use serde_json::Value;

use super::decimal;
use super::expression::{self, Columns, find};
use super::keys::{KeySpool, Nulls};
use super::pg_function::PgFunction;
use super::spec::{Among, Between, Freshness, OnFail, RowCount, Rule};
use super::spool::failed;
use super::text_column::TextColumn;
use crate::diagnostic::Diagnostic;
use crate::stream::print::push_timestamp;
use crate::stream::{Batches, ColumnType, Result};
use crate::task::TaskError;
use crate::text::{count, plain};

/// How many wrong values a message shows.
const MAX_SAMPLES: usize = 3;

/// A rule whose columns are known to exist.
#[derive(Clone, Debug)]
pub struct Expectation {
    condition: RuleCondition,
    on_fail: OnFail,
}

#[derive(Clone, Debug)]
enum RuleCondition {
    /// No row for which `wrong` is true.
    Rows {
        column: (String, ColumnType),
        wrong: Expr,
        wants: String,
    },
    Unique {
        columns: Vec<(String, ColumnType)>,
    },
    RuleCheck {
        min: Option<u64>,
        max: Option<u64>,
    },
    Fresh {
        column: (String, ColumnType),
        max_age: Duration,
    },
}

/// Checks the rules against the columns of the result.
///
/// # Errors
/// When a rule names no condition or several, an unknown column, or a value that its column cannot have.
pub fn compile(rules: &[Rule], columns: &Columns) -> std::result::Result<Vec<Expectation>, TaskError> {
    let mut all = Vec::new();
    for rule in rules {
        let conditions = conditions(rule, columns)?;
        all.extend(conditions.into_iter().map(|condition| Expectation { condition, on_fail: rule.on_fail }));
    }
    Ok(all)
}

fn conditions(rule: &Rule, columns: &Columns) -> std::result::Result<Vec<RuleCondition>, TaskError> {
    let Rule { not_null, unique, between, among, row_count, freshness, on_fail: _ } = rule;
    match (not_null.is_empty(), unique.is_empty(), between, among, row_count, freshness) {
        (false, true, None, None, None, None) => not_null.iter().map(|name| not_null_in(name, columns)).collect(),
        (true, false, None, None, None, None) => Ok(vec![unique_in(unique, columns)?]),
        (true, true, Some(between), None, None, None) => Ok(vec![between_bounds(between, columns)?]),
        (true, true, None, Some(among), None, None) => Ok(vec![one_of(among, columns)?]),
        (true, true, None, None, Some(RowCount { min, max }), None) => {
            Ok(vec![RuleCondition::RuleCheck { min: *min, max: *max }])
        }
        (true, true, None, None, None, Some(freshness)) => Ok(vec![fresh(freshness, columns)?]),
        _ => Err(TaskError::permanent("`expect`: a rule has exactly one condition")
            .help("write each of not_null, unique, between, in, row_count, freshness as an item of its own")),
    }
}

fn not_null_in(name: &str, columns: &Columns) -> std::result::Result<RuleCondition, TaskError> {
    let column = find("expect.not_null", name, columns)?.clone();
    let wrong = col(column.0.as_str()).is_null();
    Ok(RuleCondition::Rows { column, wrong, wants: "is NULL".to_owned() })
}

fn unique_in(names: &[String], columns: &Columns) -> std::result::Result<RuleCondition, TaskError> {
    let columns = names.iter().map(|name| find("expect.unique", name, columns).cloned());
    Ok(RuleCondition::Unique { columns: columns.collect::<std::result::Result<_, _>>()? })
}

fn between_bounds(rule: &Between, columns: &Columns) -> std::result::Result<RuleCondition, TaskError> {
    let column = find("expect.between", &rule.column, columns)?.clone();
    let bound =
        |value: &Option<Value>| value.as_ref().map(|value| literal("expect.between", value, &column)).transpose();
    let below = bound(&rule.min)?.map(|min| compared(&column, min, Expr::lt));
    let above = bound(&rule.max)?.map(|max| compared(&column, max, Expr::gt));
    let wants = match (&rule.min, &rule.max) {
        (Some(min), Some(max)) => format!("is not between {min} and {max}"),
        (Some(min), None) => format!("is less than {min}"),
        (None, Some(max)) => format!("is more than {max}"),
        (None, None) => return Err(TaskError::permanent("`expect.between` needs `min`, `max` or both")),
    };
    let wrong = below.into_iter().chain(above).reduce(Expr::or).unwrap_or(lit(false));
    Ok(RuleCondition::Rows { column, wrong, wants })
}

fn one_of(rule: &Among, columns: &Columns) -> std::result::Result<RuleCondition, TaskError> {
    let column = find("expect.in", &rule.column, columns)?.clone();
    let equals = |value| literal("expect.in", value, &column).map(|value| compared(&column, value, Expr::eq));
    let equal: Vec<Expr> = rule.values.iter().map(equals).collect::<std::result::Result<_, _>>()?;
    let right = equal.into_iter().reduce(Expr::or).unwrap_or(lit(false));
    let wrong = right.not().and(col(column.0.as_str()).is_not_null());
    let mut values: Vec<String> = rule.values.iter().take(10).map(Value::to_string).collect();
    if rule.values.len() > values.len() {
        values.push("…".to_owned());
    }
    Ok(RuleCondition::Rows { column, wrong, wants: format!("is not one of {}", values.join(", ")) })
}

fn fresh(rule: &Freshness, columns: &Columns) -> std::result::Result<RuleCondition, TaskError> {
    let column = find("expect.freshness", &rule.column, columns)?.clone();
    if !matches!(column.1, ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz | ColumnType::Instant) {
        return Err(TaskError::permanent(format!(
            "`expect.freshness`: `{}` is neither a date nor a timestamp",
            column.0
        ))
        .help("give it a type in `schema`"));
    }
    Ok(RuleCondition::Fresh { column, max_age: rule.max_age.0 })
}

/// A comparison of a column with a value. Decimals are kept as text, and compared with every digit.
fn compared((name, kind): &(String, ColumnType), value: Expr, compare: fn(Expr, Expr) -> Expr) -> Expr {
    let column = col(name.as_str());
    match kind {
        ColumnType::Numeric => compare(PgFunction::Compare.call(vec![column, value, lit(true)]), lit(0)),
        _ => compare(column, value),
    }
}

fn literal(field: &str, value: &Value, (name, kind): &(String, ColumnType)) -> std::result::Result<Expr, TaskError> {
    let text = plain(value);
    let found = match kind {
        ColumnType::Bool => text.parse().ok().map(|flag: bool| lit(flag)),
        ColumnType::Numeric => decimal::compare(&text, "0").map(|_| lit(text)),
        ColumnType::Int(_) | ColumnType::Float | ColumnType::Real => {
            let whole = text.parse().ok().map(|number: i64| lit(number));
            whole.or_else(|| text.parse().ok().map(|number: f64| lit(number)))
        }
        ColumnType::Text | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray => Some(lit(text)),
        kind => expression::time_literal(&text, *kind).and_then(PolarsResult::ok),
    };
    found.ok_or_else(|| {
        TaskError::permanent(format!("`{field}`: {value} is not a value of `{name}`, which holds {kind}"))
    })
}

/// What one rule has seen.
struct RuleCheck {
    expectation: Expectation,
    wrong: u64,
    samples: Vec<String>,
    newest: Option<i64>,
    keys: Option<KeySpool>,
}

impl RuleCheck {
    fn start(expectation: &Expectation, folder: &Path) -> PolarsResult<Self> {
        let keys = match &expectation.condition {
            RuleCondition::Unique { columns } => {
                Some(KeySpool::create(columns.clone(), Nulls::Distinct, folder.to_owned())?)
            }
            _ => None,
        };
        Ok(Self { expectation: expectation.clone(), wrong: 0, samples: Vec::new(), newest: None, keys })
    }

    fn observe(&mut self, frame: &DataFrame) -> PolarsResult<()> {
        match &self.expectation.condition {
            RuleCondition::Rows { column: (name, kind), wrong, .. } => {
                let wrong = frame.clone().lazy().filter(wrong.clone()).select([col(name.as_str())]).collect()?;
                self.wrong += wrong.height() as u64;
                let texts = TextColumn::of(&wrong, name, *kind)?;
                for row in 0..wrong.height().min(MAX_SAMPLES - self.samples.len()) {
                    let mut text = Vec::new();
                    if texts.push(row, &mut text) {
                        self.samples.push(String::from_utf8_lossy(&text).into_owned());
                    }
                }
            }
            RuleCondition::Fresh { column: (name, kind), .. } => {
                let newest = newest(&TextColumn::of(frame, name, *kind)?);
                self.newest = self.newest.max(newest);
            }
            RuleCondition::Unique { .. } | RuleCondition::RuleCheck { .. } => {}
        }
        self.keys.as_mut().map_or(Ok(()), |keys| keys.observe(frame))
    }

    /// What is wrong after all `rows`, if anything is.
    fn failure(mut self, rows: u64, now: DateTime<Utc>) -> PolarsResult<Option<String>> {
        if let Some(mut keys) = self.keys.take() {
            keys.duplicates(|duplicate| {
                self.wrong += 1;
                if self.samples.len() < MAX_SAMPLES {
                    self.samples.push(duplicate.values());
                }
            })?;
        }
        let such =
            if self.samples.is_empty() { String::new() } else { format!(", such as {}", self.samples.join("; ")) };
        let wrong = self.wrong;
        Ok(match &self.expectation.condition {
            RuleCondition::Rows { column: (name, _), wants, .. } => {
                (wrong > 0).then(|| format!("`{name}` {wants} in {wrong} of {rows} rows{such}"))
            }
            RuleCondition::Unique { columns } => {
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                (wrong > 0).then(|| format!("`{}` repeats in {wrong} of {rows} rows{such}", names.join(", ")))
            }
            RuleCondition::RuleCheck { min, max } => out_of_bounds(rows, *min, *max),
            RuleCondition::Fresh { column: (name, _), max_age } => too_old(name, self.newest, *max_age, now),
        })
    }
}

fn newest(values: &TextColumn) -> Option<i64> {
    match values {
        TextColumn::Date(days) => days.max().map(|days| i64::from(days) * 86_400_000_000),
        TextColumn::Timestamp(micros) | TextColumn::TimestampTz(micros) => micros.max(),
        _ => None,
    }
}

fn out_of_bounds(rows: u64, min: Option<u64>, max: Option<u64>) -> Option<String> {
    let too_few = min.filter(|min| rows < *min).map(|min| format!("it has {}, fewer than {min}", count(rows, "row")));
    too_few
        .or_else(|| max.filter(|max| rows > *max).map(|max| format!("it has {}, more than {max}", count(rows, "row"))))
}

fn too_old(name: &str, newest: Option<i64>, max_age: Duration, now: DateTime<Utc>) -> Option<String> {
    let Some(newest) = newest else { return Some(format!("`{name}` has no value, so its age is unknown")) };
    let max_age = i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX);
    (newest < now.timestamp_micros().saturating_sub(max_age)).then(|| {
        let mut text = Vec::new();
        push_timestamp(newest, "", &mut text);
        let hours = (now.timestamp_micros() - newest) / 3_600_000_000;
        let ago = count(hours.unsigned_abs(), "hour");
        format!("the newest `{name}` is {}, {ago} ago", String::from_utf8_lossy(&text))
    })
}

/// What the rules that only warn have to say; filled when the stream ends.
pub type Warnings = Arc<Mutex<Vec<String>>>;

/// Passes batches on, and ends with an error if a rule does not hold.
///
/// # Errors
/// When the place for keys in `scratch` cannot be made.
pub fn checked(
    input: Batches,
    rules: &[Expectation],
    scratch: &Path,
    now: DateTime<Utc>,
    warnings: Warnings,
) -> PolarsResult<Batches> {
    let place = |number| scratch.join(format!("unique-{number}"));
    let start = |(number, rule): (usize, &Expectation)| RuleCheck::start(rule, &place(number));
    let counts = rules.iter().enumerate().map(start).collect::<PolarsResult<_>>()?;
    let mut checks = ResultChecks { counts, rows: 0, now, warnings };
    let mut input = Some(input);
    Ok(Box::new(std::iter::from_fn(move || {
        let next = input.as_mut()?.next();
        match next {
            Some(Ok(batch)) => Some(checks.observe(&batch.frame).map(|()| batch)),
            Some(Err(error)) => Some(Err(error)),
            None => {
                input = None;
                checks.end().err().map(Err)
            }
        }
    })))
}

struct ResultChecks {
    counts: Vec<RuleCheck>,
    rows: u64,
    now: DateTime<Utc>,
    warnings: Warnings,
}

impl ResultChecks {
    fn observe(&mut self, frame: &DataFrame) -> Result<()> {
        if frame.height() == 0 {
            return Ok(());
        }
        self.rows += frame.height() as u64;
        self.counts.iter_mut().try_for_each(|count| count.observe(frame)).map_err(|error| failed(&error))
    }

    fn end(&mut self) -> Result<()> {
        let mut failures = Vec::new();
        for count in std::mem::take(&mut self.counts) {
            let on_fail = count.expectation.on_fail;
            match (count.failure(self.rows, self.now).map_err(|error| failed(&error))?, on_fail) {
                (Some(message), OnFail::Fail) => failures.push(message),
                (Some(message), OnFail::Warn) => {
                    if let Ok(mut warnings) = self.warnings.lock() {
                        warnings.push(message);
                    }
                }
                (None, _) => {}
            }
        }
        fail_if_any(&failures)
    }
}

/// Rules about the number of rows, for a destination that leaves out some of those that come out.
#[derive(Debug, Default)]
pub struct RowCounts(Vec<Expectation>);

impl RowCounts {
    /// Takes these rules from the others.
    pub fn take_from(rules: &mut Vec<Expectation>) -> Self {
        Self(rules.extract_if(.., |rule| matches!(rule.condition, RuleCondition::RuleCheck { .. })).collect())
    }

    /// Checks a number of rows; gives what the rules that only warn have to say.
    ///
    /// # Errors
    /// When a rule does not hold.
    pub fn check(&self, rows: u64) -> Result<Vec<String>> {
        let failure = |rule: &Expectation| match rule.condition {
            RuleCondition::RuleCheck { min, max } => {
                out_of_bounds(rows, min, max).map(|message| (message, rule.on_fail))
            }
            _ => None,
        };
        let (failures, warnings): (Vec<_>, Vec<_>) =
            self.0.iter().filter_map(failure).partition(|(_, on_fail)| *on_fail == OnFail::Fail);
        fail_if_any(&failures.into_iter().map(|(message, _)| message).collect::<Vec<_>>())?;
        Ok(warnings.into_iter().map(|(message, _)| message).collect())
    }
}

/// What an error begins with that a rule has raised.
const UNEXPECTED: &str = "the data is not as expected: ";

/// Whether a message is what a rule said that did not hold: an error, or a warning.
pub fn is_verdict(message: &str) -> bool {
    let is_of_column = message.starts_with('`')
        && [" of ", " rows"].iter().all(|part| message.contains(part))
        && [" is ", " repeats "].iter().any(|part| message.contains(part));
    let is_of_count =
        message.starts_with("it has ") && [", fewer than ", ", more than "].iter().any(|part| message.contains(part));
    let is_of_age = message.starts_with("the newest `") || message.ends_with("has no value, so its age is unknown");
    message.contains(UNEXPECTED) || is_of_column || is_of_count || is_of_age
}

fn fail_if_any(failures: &[String]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    Err(Box::new(
        Diagnostic::error(format!("{UNEXPECTED}{}", failures.join("; ")))
            .help("correct the data or the rule; `on_fail: warn` accepts such data with a warning"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Batch;
    use chrono::TimeZone;
    use serde_json::json;

    fn check(rules: Value) -> (std::result::Result<(), String>, Vec<String>) {
        let columns = vec![
            ("id".to_owned(), ColumnType::Int(32)),
            ("price".to_owned(), ColumnType::Numeric),
            ("day".to_owned(), ColumnType::Date),
        ];
        let day = |days: i32| Series::new("day".into(), vec![days; 2]).cast(&DataType::Date).unwrap();
        let frame = |ids: [Option<i64>; 2], prices: [&str; 2], days| {
            let frame = df!("id" => ids, "price" => prices, "day" => day(days)).unwrap();
            Ok(Batch { frame, rows_read: 2, bad: Vec::new() })
        };
        let batches = [frame([Some(1), Some(2)], ["1.5", "20"], 18_353), frame([Some(1), None], ["-3", "4"], 18_354)];
        let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
        let compiled = match compile(&rules, &columns) {
            Ok(compiled) => compiled,
            Err(error) => return (Err(error.to_string()), Vec::new()),
        };
        let folder = tempfile::tempdir().unwrap();
        let warnings = Warnings::default();
        let now = Utc.with_ymd_and_hms(2020, 4, 4, 0, 0, 0).unwrap();
        let stream = checked(Box::new(batches.into_iter()), &compiled, folder.path(), now, warnings.clone()).unwrap();
        let result = stream.map(|batch| batch.map(drop)).collect::<Result<Vec<_>>>();
        let warnings = warnings.lock().unwrap().clone();
        (result.map(drop).map_err(|error| error.message.clone()), warnings)
    }

    fn failure(rule: Value) -> String {
        let message = check(json!([rule])).0.unwrap_err();
        let said = message.strip_prefix(UNEXPECTED).is_none_or(is_verdict);
        assert!(said, "every rule's words are known as such: {message}");
        message.strip_prefix("the data is not as expected: ").unwrap_or(&message).to_owned()
    }

    #[test]
    fn each_rule_says_how_much_is_wrong_and_shows_some() {
        assert_eq!(failure(json!({"not_null": ["id"]})), "`id` is NULL in 1 of 4 rows");
        assert_eq!(failure(json!({"unique": ["ID"]})), "`id` repeats in 1 of 4 rows, such as 1");
        let between = json!({"between": {"column": "price", "min": 0, "max": 10}});
        assert_eq!(failure(between), "`price` is not between 0 and 10 in 2 of 4 rows, such as 20; -3");
        let recent = json!({"between": {"column": "day", "min": "2020-04-02"}});
        assert_eq!(failure(recent), "`day` is less than \"2020-04-02\" in 2 of 4 rows, such as 2020-04-01; 2020-04-01");
        assert_eq!(
            failure(json!({"in": {"column": "id", "values": [1]}})),
            "`id` is not one of 1 in 1 of 4 rows, such as 2"
        );
        assert_eq!(failure(json!({"row_count": {"min": 5}})), "it has 4 rows, fewer than 5");
        assert_eq!(failure(json!({"row_count": {"max": 3}})), "it has 4 rows, more than 3");
        let fresh = json!({"freshness": {"column": "day", "max_age": "36h"}});
        assert_eq!(failure(fresh), "the newest `day` is 2020-04-02 00:00:00, 48 hours ago");
    }

    #[test]
    fn rules_that_hold_say_nothing_and_warnings_do_not_fail() {
        let rules = json!([
            {"unique": ["id", "day"]},
            {"in": {"column": "id", "values": [1, 2]}},
            {"row_count": {"min": 4, "max": 4}},
            {"freshness": {"column": "day", "max_age": "P2D"}},
            {"not_null": ["day"]},
        ]);
        assert_eq!(check(rules), (Ok(()), Vec::new()));
        let warned = check(json!([{"not_null": ["id"], "on_fail": "warn"}]));
        assert_eq!(warned, (Ok(()), vec!["`id` is NULL in 1 of 4 rows".to_owned()]));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_at_once() {
        assert!(failure(json!({"not_null": ["idd"]})).contains("did you mean `id`?"));
        assert!(failure(json!({"not_null": ["id"], "unique": ["id"]})).contains("exactly one condition"));
        assert!(failure(json!({"freshness": {"column": "id", "max_age": "1d"}})).contains("neither a date"));
        assert!(failure(json!({"between": {"column": "day", "min": "yesterday"}})).contains("not a value of `day`"));
    }
}
