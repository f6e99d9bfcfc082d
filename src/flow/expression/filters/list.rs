//! Filters on lists and maps.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::Value;

use super::super::builtin::{Builtin, BuiltinCall, BuiltinResult};
use super::super::operators::compare;
use super::super::value::{is_empty, kind, to_text};

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("chunk", &["size"], 1, chunk),
    Builtin::new("default", &["default"], 1, default).takes_null(),
    Builtin::new("distinct", &[], 0, distinct),
    Builtin::new("first", &[], 0, |call| end(call, <[Value]>::first, |text| text.chars().next())),
    Builtin::new("flatten", &[], 0, flatten),
    Builtin::new("join", &["separator"], 0, join),
    Builtin::new("keys", &[], 0, keys),
    Builtin::new("last", &[], 0, |call| end(call, <[Value]>::last, |text| text.chars().next_back())),
    Builtin::new("length", &[], 0, length).takes_null(),
    Builtin::new("merge", &["items"], 1, merge),
    Builtin::new("reverse", &[], 0, reverse),
    Builtin::new("rsort", &[], 0, |call| sort(call, true)),
    Builtin::new("slice", &["fromIndex", "toIndex"], 0, slice),
    Builtin::new("sort", &[], 0, |call| sort(call, false)),
    Builtin::new("values", &[], 0, values),
];

fn wrong_input(call: &BuiltinCall, expected: &str) -> String {
    format!("it needs {expected}, not {}", kind(call.input))
}

/// The other value where the input is missing, null or empty.
fn default(call: &BuiltinCall) -> BuiltinResult {
    let other = || call.argument("default").cloned().unwrap_or_default();
    Ok(if is_empty(call.input) { other() } else { call.input.clone() })
}

fn end(
    call: &BuiltinCall,
    of_list: impl for<'l> Fn(&'l [Value]) -> Option<&'l Value>,
    of_text: impl Fn(&str) -> Option<char>,
) -> BuiltinResult {
    Ok(match call.input {
        Value::Array(items) => of_list(items).cloned().unwrap_or_default(),
        Value::String(text) => of_text(text).map(|letter| Value::String(letter.into())).unwrap_or_default(),
        _ => return Err(wrong_input(call, "a list or a text")),
    })
}

fn length(call: &BuiltinCall) -> BuiltinResult {
    Ok(Value::from(match call.input {
        Value::Null => 0,
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::String(text) => text.chars().count(),
        _ => return Err(wrong_input(call, "a list, a map or a text")),
    }))
}

fn join(call: &BuiltinCall) -> BuiltinResult {
    let separator = call.text("separator")?.unwrap_or_default();
    let items: Vec<String> = call.input_list()?.iter().map(to_text).collect();
    call.check_text_size(separator.len().saturating_mul(items.len()))?;
    Ok(Value::String(items.join(separator)))
}

fn keys(call: &BuiltinCall) -> BuiltinResult {
    Ok(match call.input {
        Value::Object(map) => map.keys().map(|key| Value::from(key.as_str())).collect(),
        Value::Array(items) => (0..items.len()).map(Value::from).collect(),
        _ => return Err(wrong_input(call, "a map or a list")),
    })
}

fn values(call: &BuiltinCall) -> BuiltinResult {
    match call.input {
        Value::Object(map) => Ok(map.values().cloned().collect()),
        _ => Err(wrong_input(call, "a map")),
    }
}

fn chunk(call: &BuiltinCall) -> BuiltinResult {
    let size = call.count("size")?;
    if size == 0 {
        return Err("a chunk holds at least one item".to_owned());
    }
    Ok(call.input_list()?.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect())
}

fn flatten(call: &BuiltinCall) -> BuiltinResult {
    let inner = |item: &Value| match item {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    Ok(call.input_list()?.iter().flat_map(inner).collect())
}

fn distinct(call: &BuiltinCall) -> BuiltinResult {
    let mut seen = HashSet::new();
    Ok(call.input_list()?.iter().filter(|item| seen.insert(item.to_string())).cloned().collect())
}

fn reverse(call: &BuiltinCall) -> BuiltinResult {
    Ok(match call.input {
        Value::Array(items) => items.iter().rev().cloned().collect(),
        Value::String(text) => Value::String(text.chars().rev().collect()),
        _ => return Err(wrong_input(call, "a list or a text")),
    })
}

/// Numbers by value, texts by letter, null first. The two kinds do not mix.
fn sort(call: &BuiltinCall, descending: bool) -> BuiltinResult {
    // Each item is compared with up to some twenty others.
    call.evaluator.budget.charge_times(call.input, 16)?;
    let mut items = call.input_list()?.to_vec();
    if let Some(first) = items.iter().find(|item| !item.is_null()) {
        items.iter().try_for_each(|item| compare(first, item).map(drop))?;
    }
    items.sort_by(|a, b| {
        let order = sort_key(a).partial_cmp(&sort_key(b)).unwrap_or(Ordering::Equal);
        if descending { order.reverse() } else { order }
    });
    Ok(Value::Array(items))
}

/// What a value is sorted by: a total order, which sorting insists on. Large whole numbers are the same as floats, so
/// a second number tells them apart.
fn sort_key(value: &Value) -> (bool, f64, i128, &str) {
    let float = value.as_f64().unwrap_or_default();
    let whole = value.as_i64().map_or(float as i128, i128::from);
    (!value.is_null(), float, whole, value.as_str().unwrap_or_default())
}

fn slice(call: &BuiltinCall) -> BuiltinResult {
    let length = match call.input {
        Value::Array(items) => items.len(),
        Value::String(text) => text.chars().count(),
        _ => return Err(wrong_input(call, "a list or a text")),
    };
    let bound = |name: &str, default: usize| -> Result<usize, String> {
        let index = call.argument(name).map(|_| call.count(name)).transpose()?;
        Ok(index.unwrap_or(default))
    };
    let (from, to) = (bound("fromIndex", 0)?, bound("toIndex", length)?);
    if from > to || to > length {
        return Err(format!("from {from} to {to} is out of range: there are {length} items"));
    }
    Ok(match call.input {
        Value::String(text) => Value::String(text.chars().skip(from).take(to - from).collect()),
        Value::Array(items) => items.iter().skip(from).take(to - from).cloned().collect(),
        _ => Value::Null,
    })
}

fn merge(call: &BuiltinCall) -> BuiltinResult {
    match (call.input, call.argument("items")) {
        (Value::Object(map), Some(Value::Object(more))) => {
            Ok(Value::Object(map.iter().chain(more).map(|(key, value)| (key.clone(), value.clone())).collect()))
        }
        (Value::Array(items), Some(Value::Array(more))) => Ok(items.iter().chain(more).cloned().collect()),
        (input, other) => Err(format!(
            "it takes two lists or two maps, not {} and {}",
            kind(input),
            kind(other.unwrap_or(&Value::Null))
        )),
    }
}
