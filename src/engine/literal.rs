//! What of a flow's values is literal: what its author alone decides, no matter who starts it or what comes from outside.
//!
//! A text is literal if its field has this value when only what nobody outside can choose is known:
//! the flow's `vars`, `envs` and secrets, its names, the ids and moments of the execution and of a schedule. So
//! `/data/trips.csv` is literal, and so are `{{ vars.folder }}/trips.csv` and `/data/{{ trigger.date | date("yyyy") }}`.
//! What needs `outputs`, `kv()`, `labels`, `read()` or the body of a webhook is not. An input counts as long as its value is
//! one that the flow itself gives: a choice of its `values`, its default, or what a trigger of the flow says, themselves literal. The value of a loop
//! counts if the values of the loops around are literal.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::engine::host::HostSnapshot;
use crate::engine::names::{EvalContext, moments, stamp};
use crate::engine::scope::Scope;
use crate::file_access::texts;
use crate::flow::expression::{Host, Names, render};
use crate::flow::input::{Input, InputType, nest};
use crate::flow::{Flow, Step};
use crate::text::plain;

/// What an author's own expressions may ask.
struct Author<'v>(HostSnapshot<'v>);

impl Host for Author<'_> {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        self.0.now()
    }

    fn secret(&self, name: &str, subkey: Option<&str>) -> Result<String, String> {
        self.0.secret(name, subkey)
    }
}

/// The literal texts of a task's fields.
pub(super) fn of_task(eval: &EvalContext, step: &Step, scope: &Scope) -> BTreeSet<String> {
    let author = Author(eval.snapshot());
    let names = names_of_task(eval, step, scope, &author);
    let mut found = BTreeSet::new();
    each(&step.fields, &mut |value| found.extend(literal(value, &names, &author).iter().flat_map(texts)));
    found
}

/// The literal texts that the flow gives to its inputs of type `FILE`, in an execution of that moment.
pub(super) fn of_files(flow: &Flow, date: DateTime<Utc>, host: &dyn Host) -> BTreeSet<String> {
    let names = names_of_flow(flow, date, None);
    let files = flow.inputs.iter().filter(|input| input.kind == InputType::File);
    files.flat_map(|input| given(flow, input, &names, host)).collect()
}

/// The values that a flow itself gives to an input, as texts, where they are literal.
fn given(flow: &Flow, input: &Input, names: &Names, host: &dyn Host) -> Vec<String> {
    let by_triggers = flow.triggers.iter().filter_map(|trigger| trigger.common.inputs.get(&input.id));
    let all = input.defaults.iter().chain(by_triggers);
    let all = all.filter_map(|value| literal(value, names, host)).map(|value| plain(&value));
    all.chain(input.values.iter().cloned()).collect()
}

fn literal(value: &Value, names: &Names, host: &dyn Host) -> Option<Value> {
    render(value, names, host).ok()
}

/// Every value in a value that holds no others.
fn each(value: &Value, see: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each(item, see)),
        Value::Object(map) => map.values().for_each(|value| each(value, see)),
        scalar => see(scalar),
    }
}

fn names_of_flow(flow: &Flow, date: DateTime<Utc>, triggered: Option<&str>) -> Names {
    Names::from_iter([
        ("vars".to_owned(), Value::Object(flow.variables.clone())),
        ("flow".to_owned(), json!({"id": flow.id, "namespace": flow.namespace})),
        ("trigger".to_owned(), moments(flow, date, triggered)),
    ])
}

fn names_of_task(eval: &EvalContext, step: &Step, scope: &Scope, author: &Author) -> Names {
    let EvalContext { state, flow, run, now, .. } = *eval;
    let triggered = state.created.trigger.as_ref().map(|triggered| triggered.id.as_str());
    let mut names = names_of_flow(flow, state.created.trigger_date, triggered);
    let is_own = |input: &&Input| {
        let value = state.created.inputs.get(&input.id).map(plain);
        value.is_some_and(|value| given(flow, input, &names, author).contains(&value))
    };
    let inputs = flow.inputs.iter().filter(is_own).filter_map(|input| state.created.inputs.get_key_value(&input.id));
    let inputs: Map<String, Value> = inputs.map(|(name, value)| (name.clone(), value.clone())).collect();
    let started = stamp(state.started.unwrap_or(now));
    names.insert("inputs".to_owned(), Value::Object(nest(&inputs)));
    names.insert("envs".to_owned(), Value::Object(run.host.envs()));
    names.insert("execution".to_owned(), json!({"id": run.id, "startDate": started}));
    names.insert("task".to_owned(), json!({"id": step.id, "type": step.common.kind}));
    let steps = flow.all_steps();
    let is_literal = |(task, value): (&str, String)| {
        let looping = steps.iter().find(|step| step.id.as_str() == task);
        let values = looping.and_then(|step| step.fields.get("values").or_else(|| step.fields.get("value")));
        let values = values.and_then(|values| literal(values, &names, author));
        values.is_some_and(|values| texts(&values).contains(&value))
    };
    if scope.loops().all(is_literal) {
        names.insert("taskrun".to_owned(), Value::Object(scope.of_taskrun()));
        scope.item().into_iter().for_each(|item| drop(names.insert("item".to_owned(), item)));
    }
    names
}
