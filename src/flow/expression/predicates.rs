//! The predicates after `is`, which Pebble calls tests.

use serde_json::Value;

use super::ast::CallExpr;
use super::value::{is_empty, kind};
use crate::diagnostic::nearest;

/// The names of all tests.
pub(super) const NAMES: &[&str] = &["defined", "empty", "even", "iterable", "json", "map", "null", "odd"];

/// Whether a value is what a test asks for.
pub(super) fn evaluate(name: &str, value: &Value) -> Result<bool, String> {
    Ok(match name {
        "defined" => !value.is_null(),
        "null" => value.is_null(),
        "empty" => is_empty(value),
        "even" => whole_number(value)? % 2 == 0,
        "odd" => whole_number(value)? % 2 != 0,
        "iterable" => value.is_array() || value.is_object(),
        "map" => value.is_object(),
        "json" => value.as_str().is_some_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()),
        other => return Err(unknown(other)),
    })
}

fn whole_number(value: &Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("only a whole number is even or odd, not {}", kind(value)))
}

/// What is wrong with a test before it runs.
pub(super) fn check(test: &CallExpr) -> Result<(), String> {
    match (NAMES.contains(&test.name.as_str()), test.arguments.is_empty()) {
        (false, _) => Err(unknown(&test.name)),
        (true, false) => Err(format!("the test `{}` takes no arguments", test.name)),
        (true, true) => Ok(()),
    }
}

fn unknown(name: &str) -> String {
    match nearest(name, NAMES.iter().copied()) {
        Some(near) => format!("there is no test `{name}`; did you mean `{near}`?"),
        None => format!("there is no test `{name}`; there is `{}`", NAMES.join("`, `")),
    }
}
