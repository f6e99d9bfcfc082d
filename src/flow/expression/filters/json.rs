//! Filters between values and their texts.

use serde_json::Value;

use super::super::builtin::{Answer, Builtin, Call};
use super::jq;
use crate::flow::document;

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("jq", &["expression"], 1, |call| {
        call.spend(500_000)?;
        jq::run(call.required_text("expression")?, call.input)
    }),
    Builtin::new("json", &[], 0, to_json).takes_null(),
    Builtin::new("toJson", &[], 0, to_json).takes_null(),
    Builtin::new("yaml", &[], 0, |call| document::to_yaml(call.input).map(Value::String)).takes_null(),
];

fn to_json(call: &Call) -> Answer {
    Ok(Value::String(call.input.to_string()))
}
