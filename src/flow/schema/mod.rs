//! The JSON Schema of flows, for editors: made from the structs that read them. `lenient.rs` lets templates and texts
//! stand where the structs' own schemas want other types, as the reader does; `probe.rs` asks the structs for the other
//! spellings of their fields and words, of which their schemas know nothing.

mod lenient;
mod probe;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::flow::input::type_fields;
use crate::flow::parse::FLOW_KEYS;
use crate::flow::trigger::{TRIGGER_FIELDS, TRIGGERS, TriggerCommon, TriggerType};
use crate::flow::{
    COMMON_FIELDS, CommonFields, Concurrency, FlowCheck, FlowOutput, Input, PluginDefault, RetrySpec, Sla,
    WITHOUT_EFFECT,
};
use crate::task::{Branch, TaskType, read};
use lenient::SchemaRewriter;

const BOOLEAN: &str = "^(true|false|yes|no|on|off)$";

/// The JSON Schema (draft 7) of a flow whose tasks may be of these types.
pub fn schema(tasks: &[TaskType]) -> Value {
    let mut definitions = Map::from_iter([
        ("template".to_owned(), lenient::template()),
        ("tasks".to_owned(), json!({"type": "array", "items": reference("task")})),
    ]);
    add::<Input>(&mut definitions, "input");
    input_rules(&mut definitions);
    add::<RetrySpec>(&mut definitions, "retry");
    add::<Concurrency>(&mut definitions, "concurrency");
    add::<PluginDefault>(&mut definitions, "pluginDefault");
    add::<FlowOutput>(&mut definitions, "output");
    add::<Sla>(&mut definitions, "promise");
    add::<FlowCheck>(&mut definitions, "check");
    add_tasks(&mut definitions, tasks);
    add_triggers(&mut definitions);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A flow of Jitney",
        "type": "object",
        "properties": flow_properties(),
        "required": ["id", "namespace", "tasks"],
        "additionalProperties": false,
        "definitions": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

/// Adds the schema of a struct and those of the structs in it.
fn add<T: DeserializeOwned + JsonSchema>(definitions: &mut Map<String, Value>, name: &str) {
    add_as(definitions, name, &schemars::schema_for!(T).to_value(), &|value| read::<T>(value).map(drop));
}

fn add_as(definitions: &mut Map<String, Value>, name: &str, schema: &Value, check: probe::FieldProbe) {
    let mut rewriter = SchemaRewriter::new(name, schema, check);
    let root = rewriter.root();
    definitions.insert(name.to_owned(), root);
    definitions.extend(rewriter.into_definitions());
}

/// Replaces the plain values that a task's struct has for sub-tasks by their schemas.
fn add_branches(task: &TaskType, schema: &mut Value) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    let error_branches = [Branch::List("errors"), Branch::List("finally")];
    for branch in task.branches.iter().chain(if task.is_flowable() { &error_branches[..] } else { &[] }) {
        let (name, content) = match branch {
            Branch::List(name) => (*name, reference("tasks")),
            Branch::One(name) => (*name, reference("task")),
            Branch::Cases(name) => (*name, json!({"type": "object", "additionalProperties": reference("tasks")})),
            Branch::Graph(name) => (*name, json!({"type": "array", "items": graph_item()})),
        };
        let described = properties.get(name).and_then(|property| property.get("description")).cloned();
        let description = described.unwrap_or_else(|| json!(branch_description(name)));
        properties.insert(name.to_owned(), json!({"description": description, "allOf": [content]}));
    }
}

fn branch_description(name: &str) -> &'static str {
    match name {
        "errors" => "Tasks that run when one of these tasks has failed.",
        _ => "Tasks that run after all others, whether those succeeded or failed.",
    }
}

fn graph_item() -> Value {
    json!({
        "type": "object",
        "properties": {
            "task": reference("task"),
            "dependsOn": {
                "description": "The tasks that must succeed before it starts.",
                "type": "array",
                "items": {"type": "string"},
            },
        },
        "required": ["task"],
        "additionalProperties": false,
    })
}

struct SchemaKind {
    /// Every name, the short one first.
    names: Vec<&'static str>,
    /// The definition with its own fields.
    definition: String,
    schema: Value,
}

/// Lets a type's own schema accept the common fields, which are described elsewhere.
fn allow_common_fields(own: &mut Value, common: &Value, more: &[&str]) {
    let described = common.get("properties").and_then(Value::as_object);
    let names = described.into_iter().flat_map(Map::keys).map(String::as_str).chain(more.iter().copied());
    if let Some(Value::Object(properties)) = own.get_mut("properties") {
        for name in names {
            properties.entry(name).or_insert(Value::Bool(true));
        }
    }
}

/// The common fields, and conditionally on `type` those of that type.
fn by_type(kinds: &[SchemaKind], title: &str, mut common: Value) -> Value {
    let (mut names, mut words, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    for kind in kinds {
        let description = kind.schema.get("description").cloned().unwrap_or_default();
        rules.push(json!({
            "if": {"properties": {"type": {"enum": kind.names}}, "required": ["type"]},
            "then": reference(&kind.definition),
        }));
        words.extend(kind.names.iter().map(|_| description.clone()));
        names.extend(kind.names.iter().copied());
    }
    if let Some(kind) = common.pointer_mut("/properties/type") {
        let description = kind.get("description").cloned();
        *kind = json!({"description": description, "type": "string", "enum": names, "markdownEnumDescriptions": words});
    }
    if let Value::Object(common) = &mut common {
        common.insert("title".to_owned(), json!(title));
        let description = format!("A {title}: an `id`, a `type`, and the fields of that type.");
        common.insert("description".to_owned(), json!(description));
        // Each type's own schema is closed, so this one must be open.
        common.shift_remove("additionalProperties");
        common.insert("allOf".to_owned(), Value::Array(rules));
    }
    common
}

fn task_kind(task: &TaskType) -> SchemaKind {
    let names = std::iter::once(task.name).chain(task.aliases.iter().copied()).collect();
    SchemaKind { names, definition: format!("task.{}", task.name), schema: (task.schema)().to_value() }
}

fn trigger_kind(trigger: &TriggerType) -> SchemaKind {
    let names = std::iter::once(trigger.name).chain(trigger.aliases.iter().copied()).collect();
    SchemaKind { names, definition: format!("trigger.{}", trigger.name), schema: (trigger.schema)().to_value() }
}

fn add_tasks(definitions: &mut Map<String, Value>, tasks: &[TaskType]) {
    add::<CommonFields>(definitions, "task");
    let common = definitions.get("task").cloned().unwrap_or_default();
    let kinds: Vec<SchemaKind> = tasks.iter().map(task_kind).collect();
    for (task, kind) in tasks.iter().zip(&kinds) {
        add_as(definitions, &kind.definition, &kind.schema, &task.check);
        if let Some(own) = definitions.get_mut(&kind.definition) {
            add_branches(task, own);
            let without_effect: Vec<&str> = task.without_effect.iter().map(|(name, _)| *name).collect();
            allow_common_fields(own, &common, &[COMMON_FIELDS, WITHOUT_EFFECT, &without_effect].concat());
        }
    }
    definitions.insert("task".to_owned(), by_type(&kinds, "task", common));
}

fn add_triggers(definitions: &mut Map<String, Value>) {
    add::<TriggerCommon>(definitions, "trigger");
    let common = definitions.get("trigger").cloned().unwrap_or_default();
    let kinds: Vec<SchemaKind> = TRIGGERS.iter().map(trigger_kind).collect();
    for (trigger, kind) in TRIGGERS.iter().zip(&kinds) {
        add_as(definitions, &kind.definition, &kind.schema, &trigger.check);
        if let Some(own) = definitions.get_mut(&kind.definition) {
            allow_common_fields(own, &common, &[TRIGGER_FIELDS, &["workerGroup"]].concat());
        }
    }
    definitions.insert("trigger".to_owned(), by_type(&kinds, "trigger", common));
}

/// Which fields go with which types of inputs.
fn input_rules(definitions: &mut Map<String, Value>) {
    let Some(Value::Object(input)) = definitions.get_mut("input") else { return };
    let rule = |(field, kinds): (&str, Vec<&str>)| json!({"if": {"required": [field]}, "then": {"properties": {"type": {"enum": kinds}}}});
    let rules: Vec<Value> = type_fields().map(rule).collect();
    match input.get_mut("allOf") {
        Some(Value::Array(all)) => all.extend(rules),
        _ => drop(input.insert("allOf".to_owned(), Value::Array(rules))),
    }
}

/// The keys of a flow.
fn flow_properties() -> Map<String, Value> {
    FLOW_KEYS.iter().map(|key| ((*key).to_owned(), flow_property(key))).collect()
}

/// A key of a flow: what it is for, and what may be there.
fn flow_property(key: &str) -> Value {
    let name = json!({"type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9._-]*$"});
    let (description, mut schema) = match key {
        "id" => ("The flow's name, unique in its namespace.", name),
        "namespace" => ("The namespace of the flow, such as a team or a project.", name),
        "description" => ("What the flow is for.", json!({"type": "string"})),
        "labels" => (
            "Labels that every execution gets: a map, or a list of `{key, value}`.",
            json!({"type": ["object", "array"]}),
        ),
        "inputs" => ("The inputs of the flow.", json!({"type": "array", "items": reference("input")})),
        "variables" => ("Values that expressions read as `vars`.", json!({"type": "object"})),
        "tasks" => ("What the flow does, in order.", reference("tasks")),
        "errors" => ("Tasks that run when one of `tasks` has failed.", reference("tasks")),
        "finally" => ("Tasks that run after all others, whether those succeeded or failed.", reference("tasks")),
        "afterExecution" => ("Tasks that run when the execution has its final state.", reference("tasks")),
        "triggers" => ("What starts the flow automatically.", json!({"type": "array", "items": reference("trigger")})),
        "outputs" => ("The outputs of an execution: a list of `{id, type, value}`.", each("output")),
        "pluginDefaults" => ("Values for the fields of all tasks of a type.", each("pluginDefault")),
        "retry" => ("How an execution is retried when it fails.", reference("retry")),
        "concurrency" => ("The limit on executions that run at the same time.", reference("concurrency")),
        "sla" => ("The service level agreements of an execution.", each("promise")),
        "checks" => ("The conditions that must hold before an execution starts.", each("check")),
        "disabled" => (
            "Whether the flow is disabled.",
            json!({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": BOOLEAN}]}),
        ),
        "revision" => ("The revision of the flow in Kestra; it is ignored.", json!({"type": "integer"})),
        _ => ("A key of a flow.", json!({})),
    };
    if !["id", "namespace", "tasks"].contains(&key) {
        // A key may be there without a value.
        schema = json!({"anyOf": [schema, {"type": "null"}]});
    }
    if let Value::Object(map) = &mut schema {
        // Draft 7 ignores everything next to a `$ref`.
        if let Some(target) = map.shift_remove("$ref") {
            map.insert("allOf".to_owned(), json!([{"$ref": target}]));
        }
        map.insert("description".to_owned(), json!(description));
    }
    schema
}

fn each(definition: &str) -> Value {
    json!({"type": "array", "items": reference(definition)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_flow_is_described() {
        for key in FLOW_KEYS {
            assert_ne!(flow_property(key)["description"], "A key of a flow.", "`{key}`");
        }
    }
}
