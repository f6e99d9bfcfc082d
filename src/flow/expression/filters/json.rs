//! Filters between values and their texts.

use serde_json::Value;

use super::super::builtin::{Builtin, BuiltinCall, BuiltinResult};
use crate::flow::document;
use crate::jq;

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("jq", &["expression"], 1, run_jq),
    Builtin::new("json", &[], 0, to_json).takes_null(),
    Builtin::new("toJson", &[], 0, to_json).takes_null(),
    Builtin::new("yaml", &[], 0, to_yaml).takes_null(),
];

fn to_json(call: &BuiltinCall) -> BuiltinResult {
    Ok(Value::String(call.input.to_string()))
}

fn to_yaml(call: &BuiltinCall) -> BuiltinResult {
    call.evaluator.budget.charge_times(call.input, 8)?;
    document::to_yaml(call.input).map(Value::String)
}

/// A text is read as JSON first.
fn run_jq(call: &BuiltinCall) -> BuiltinResult {
    let input = match call.input {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // Starting a process is work, too.
    call.spend(2_000_000 + input.len())?;
    let program = call.required_text("expression")?;
    call.evaluator.budget.timed(|remaining| jq::run(program, input, remaining))
}
