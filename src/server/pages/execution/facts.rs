//! What an execution was started with: its inputs, its labels and what started it.

use serde_json::Value;

use crate::flow::Flow;
use crate::flow::input::is_declared_secret;
use crate::journal::State;
use crate::server::api::response::ExecutionTriggerResponse;
use crate::storage;
use crate::text::{plain, shortened};

/// The most letters of a value.
const MAX_LETTERS: usize = 2000;

/// A name with its value.
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) value: String,
    /// What kind of value it is, in a word.
    pub(super) kind: &'static str,
    /// Its address in storage, if it is a file.
    pub(super) file: Option<String>,
}

/// The facts of one kind.
pub(super) struct FactGroup {
    pub(super) title: &'static str,
    pub(super) facts: Vec<Fact>,
}

pub(super) fn of(state: &State, flow: Option<&Flow>) -> Vec<FactGroup> {
    let created = &state.created;
    let declared = flow.map(|flow| flow.inputs.as_slice()).unwrap_or_default();
    let kind = |name: &str| declared.iter().find(|input| input.id == name).map_or("", |input| input.kind.name());
    let mut inputs: Vec<Fact> = created.inputs.iter().map(|(name, value)| fact(name, value, kind(name))).collect();
    let secrets = declared.iter().filter(|input| is_declared_secret(declared, &input.id));
    inputs.extend(secrets.map(|input| fact(&input.id, &Value::from("not kept"), "SECRET")));
    let mut started = vec![fact("date", &Value::from(created.trigger_date.to_rfc3339()), "")];
    if let Some(trigger) = created.trigger.as_ref().map(ExecutionTriggerResponse::of) {
        started.push(fact("trigger", &Value::from(trigger.id), ""));
        started.extend(
            trigger.variables.iter().filter(|(name, _)| *name != "date").map(|(name, value)| fact(name, value, "")),
        );
    }
    let labels = state.labels.iter().map(|(name, value)| fact(name, value, "")).collect();
    let groups = [("Inputs", inputs), ("Labels", labels), ("Started for", started)];
    groups
        .into_iter()
        .map(|(title, facts)| FactGroup { title, facts })
        .filter(|group| !group.facts.is_empty())
        .collect()
}

fn fact(name: &str, value: &Value, kind: &'static str) -> Fact {
    Fact {
        name: name.to_owned(),
        value: shortened(&plain(value), MAX_LETTERS).into_owned(),
        kind,
        file: value.as_str().filter(|text| storage::is_uri(text)).map(str::to_owned),
    }
}
