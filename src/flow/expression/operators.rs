//! What operators do to values.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Number, Value};

use super::ast::Operator;
use super::limits::Budget;
use super::value::{kind, to_text};

/// Applies an operator that looks at both sides.
pub(super) fn apply(operator: Operator, left: &Value, right: &Value, budget: &Budget) -> Result<Value, String> {
    use Operator as O;
    Ok(match operator {
        O::Equal => Value::Bool(equal(left, right)),
        O::Unequal => Value::Bool(!equal(left, right)),
        O::Less => Value::Bool(compare(left, right)?.is_some_and(Ordering::is_lt)),
        O::AtMost => Value::Bool(compare(left, right)?.is_some_and(Ordering::is_le)),
        O::More => Value::Bool(compare(left, right)?.is_some_and(Ordering::is_gt)),
        O::AtLeast => Value::Bool(compare(left, right)?.is_some_and(Ordering::is_ge)),
        O::Contains => Value::Bool(contains(left, right, budget)?),
        O::In => Value::Bool(is_in(left, right, budget)?),
        O::NotIn => Value::Bool(!is_in(left, right, budget)?),
        O::Join => Value::String(to_text(left) + &to_text(right)),
        O::Add => add(left, right)?,
        O::Range => range(left, right, 1)?,
        other => arithmetic(other, left, right)?,
    })
}

/// Equality. Numbers are equal by value, whatever their kind; a number never equals a text.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => order(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => left == right,
    }
}

/// The order of two numbers or two texts; none when one side is null.
pub(super) fn compare(left: &Value, right: &Value) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(None),
        (Value::Number(a), Value::Number(b)) => Ok(order(a, b)),
        (Value::String(a), Value::String(b)) => Ok(Some(a.cmp(b))),
        _ => Err(format!(
            "{} cannot be compared with {}; `| number` reads a number from a text",
            kind(left),
            kind(right)
        )),
    }
}

fn order(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn contains(whole: &Value, part: &Value, budget: &Budget) -> Result<bool, String> {
    Ok(match (whole, part) {
        (Value::Null, _) => false,
        (Value::Array(items), Value::Array(parts)) => {
            items.iter().any(|item| equal(item, part)) || has_all(items, parts, budget)?
        }
        (Value::Array(items), part) => items.iter().any(|item| equal(item, part)),
        (Value::Object(map), part) => map.contains_key(&to_text(part)),
        (Value::String(text), part) => text.contains(&to_text(part)),
        (other, _) => return Err(format!("{} cannot contain anything", kind(other))),
    })
}

/// A value that is found by its hash: no other kind of value equals it but another kind of number.
#[derive(PartialEq, Eq, Hash)]
enum HashableValue<'v> {
    Nothing,
    Flag(bool),
    Whole(i64),
    Text(&'v str),
}

fn hashable(value: &Value) -> Option<HashableValue<'_>> {
    match value {
        Value::Null => Some(HashableValue::Nothing),
        Value::Bool(flag) => Some(HashableValue::Flag(*flag)),
        Value::Number(number) => number.as_i64().map(HashableValue::Whole),
        Value::String(text) => Some(HashableValue::Text(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether each of the parts is one of the items. What has no simple form is compared with one after the other.
fn has_all(items: &[Value], parts: &[Value], budget: &Budget) -> Result<bool, String> {
    let known: HashSet<HashableValue> = items.iter().filter_map(hashable).collect();
    let (all, others): (Vec<&Value>, Vec<&Value>) =
        (items.iter().collect(), items.iter().filter(|item| hashable(item).is_none()).collect());
    for part in parts {
        let own = hashable(part);
        if own.as_ref().is_some_and(|own| known.contains(own)) {
            continue;
        }
        let candidates = if own.is_some() { &others } else { &all };
        budget.charge_times(part, candidates.len())?;
        if !candidates.iter().any(|item| equal(item, part)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a value is in a list, as a key or value in a map, or in a text. In lists and maps texts are compared, as
/// Kestra does.
fn is_in(part: &Value, whole: &Value, budget: &Budget) -> Result<bool, String> {
    let part = match part {
        Value::Null => return Ok(false),
        part => to_text(part),
    };
    Ok(match whole {
        Value::Array(items) => items.iter().any(|item| to_text(item) == part),
        Value::Object(map) => map.iter().any(|(key, value)| *key == part || to_text(value) == part),
        whole => contains(whole, &Value::String(part), budget)?,
    })
}

fn add(left: &Value, right: &Value) -> Result<Value, String> {
    match (left, right) {
        (Value::Array(items), Value::Array(more)) => Ok(Value::Array(items.iter().chain(more).cloned().collect())),
        (Value::Array(items), item) => Ok(Value::Array(items.iter().chain([item]).cloned().collect())),
        (Value::String(_), _) | (_, Value::String(_)) => Ok(Value::String(to_text(left) + &to_text(right))),
        _ => arithmetic(Operator::Add, left, right),
    }
}

/// Whole numbers stay whole (`7 / 2` is 3), as in Pebble.
fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let (Value::Number(a), Value::Number(b)) = (left, right) else {
        return Err(format!(
            "cannot calculate with {} and {}; `| number` reads a number from a text",
            kind(left),
            kind(right)
        ));
    };
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => integer(operator, a, b),
        _ => float(operator, a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN)),
    }
}

fn integer(operator: Operator, a: i64, b: i64) -> Result<Value, String> {
    let result = match operator {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::Remainder if b == 0 => return Err("cannot divide by zero".to_owned()),
        Operator::Divide => a.checked_div(b),
        Operator::Remainder => a.checked_rem(b),
        _ => None,
    };
    result.map(Value::from).ok_or_else(|| "the result is too large".to_owned())
}

fn float(operator: Operator, a: f64, b: f64) -> Result<Value, String> {
    let result = match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Remainder => a % b,
        _ => f64::NAN,
    };
    from_float(result)
}

/// A number, unless it is none (a division by zero).
pub(super) fn from_float(number: f64) -> Result<Value, String> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| "the result is not a number".to_owned())
}

/// `-value`
pub(super) fn negative(value: &Value) -> Result<Value, String> {
    arithmetic(Operator::Subtract, &Value::from(0), value)
}

/// The whole numbers from one to another, both included.
pub(super) fn range(start: &Value, end: &Value, step: i64) -> Result<Value, String> {
    let (Some(start), Some(end)) = (start.as_i64(), end.as_i64()) else {
        return Err(format!("a range needs two whole numbers, not {} and {}", kind(start), kind(end)));
    };
    let (distance, step_size) = (i128::from(end) - i128::from(start), i128::from(step));
    if step == 0 {
        return Err("a range cannot have a step of 0".to_owned());
    }
    let count = if distance.signum() * step_size.signum() < 0 { 0 } else { distance / step_size + 1 };
    if count > i128::from(super::limits::MAX_ITERATIONS) {
        return Err(format!("the range has {count} items, more than {}", super::limits::MAX_ITERATIONS));
    }
    Ok((0..count).map(|index| Value::from((i128::from(start) + index * step_size) as i64)).collect())
}
