//! Filters on numbers.

use serde_json::Value;

use super::super::builtin::{Builtin, BuiltinCall, BuiltinResult};
use super::super::operators::{from_float, negative};
use super::super::value::kind;

/// How long a number's pattern may be.
const MAX_PATTERN_LENGTH: usize = 60;

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("abs", &[], 0, |call| {
        let number = input(call)?;
        if number < 0.0 { negative(call.input) } else { Ok(call.input.clone()) }
    }),
    Builtin::new("number", &["type"], 0, number),
    Builtin::new("numberFormat", &["format"], 0, format),
];

fn input(call: &BuiltinCall) -> Result<f64, String> {
    call.input.as_f64().ok_or_else(|| format!("it needs a number, not {}", kind(call.input)))
}

/// Reads a number from a text. Its kind follows from the text unless `type` names one.
fn number(call: &BuiltinCall) -> BuiltinResult {
    let text = call.input_text()?;
    let written = text.trim();
    let not_a = |what: &str| format!("`{}` is not a {what}", super::super::value::shorten(&text));
    let whole = || written.parse::<i64>().map(Value::from);
    let float = || written.parse::<f64>().map_err(|_| not_a("number")).and_then(from_float);
    match call.text("type")?.unwrap_or_default() {
        "INT" | "LONG" | "BIGINTEGER" => whole().map_err(|_| not_a("whole number")),
        "FLOAT" | "DOUBLE" | "BIGDECIMAL" => float(),
        "" => whole().or_else(|_| float()),
        other => Err(format!(
            "there is no type `{other}`; there is `INT`, `LONG`, `FLOAT`, `DOUBLE`, `BIGDECIMAL`, `BIGINTEGER`"
        )),
    }
}

/// A number by a pattern such as `#,##0.00`.
fn format(call: &BuiltinCall) -> BuiltinResult {
    let number = input(call)?;
    let pattern = call.text("format")?.unwrap_or("#,##0.###");
    let digits = |c: char| "#0,.".contains(c);
    let (Some(start), Some(end)) = (pattern.find(digits), pattern.rfind(digits)) else {
        return Err(format!("`{pattern}` is not a pattern such as `#,##0.00`"));
    };
    if end - start > MAX_PATTERN_LENGTH {
        return Err(format!("the pattern is longer than {MAX_PATTERN_LENGTH} characters"));
    }
    let (prefix, digits, suffix) = (&pattern[..start], &pattern[start..=end], &pattern[end + 1..]);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let number = if suffix.contains('%') { number * 100.0 } else { number };
    let rounded = format!("{:.*}", fraction.len(), number.abs());
    let (int, decimals) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let min_digits = fraction.matches('0').count();
    let kept = decimals.trim_end_matches('0').len().max(min_digits);
    let int = grouped(int, whole);
    let point = if kept > 0 { "." } else { "" };
    let is_zero = rounded.chars().all(|c| c == '0' || c == '.');
    let sign = if number < 0.0 && !is_zero { "-" } else { "" };
    Ok(Value::String(format!("{sign}{prefix}{int}{point}{}{suffix}", decimals.get(..kept).unwrap_or(decimals))))
}

/// The digits before the point, filled up and grouped as the pattern has it.
fn grouped(int: &str, pattern: &str) -> String {
    let min_digits = pattern.matches('0').count();
    let digits = format!("{:0>min_digits$}", int.trim_start_matches('0'));
    let Some(size) = pattern.rfind(',').map(|comma| pattern.len() - comma - 1).filter(|size| *size > 0) else {
        return digits;
    };
    let first = digits.len() % size;
    let head = digits.get(..first).filter(|head| !head.is_empty());
    let groups = (first..digits.len()).step_by(size).filter_map(|at| digits.get(at..at + size));
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}
