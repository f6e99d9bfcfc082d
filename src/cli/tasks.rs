//! `jitney tasks`

use clap::Args;
use serde_json::{Value, json};

use crate::cli::out::{errln, out, outln};
use crate::cli::{ExitStatus, InvalidFlow, reference};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::trigger::{TRIGGERS, TriggerCommon, TriggerType};
use crate::task::TaskType;
use crate::tasks::{ALL, find};

/// The depth to which nested fields are shown.
const MAX_DEPTH: usize = 3;

#[derive(Args)]
pub(super) struct Arguments {
    /// A task or trigger type, by its short name or its Kestra name
    #[arg(value_name = "TYPE")]
    name: Option<String>,
    /// Print JSON: the JSON Schema of the type, or the list of types
    #[arg(long)]
    json: bool,
    /// Print the reference of all task and trigger types as Markdown (docs/tasks.md)
    #[arg(long, conflicts_with_all = ["name", "json"])]
    markdown: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    match &arguments.name {
        None if arguments.markdown => out!("{}", reference::page(ALL)),
        None if arguments.json => outln!("{}", ALL.iter().map(summary_json).collect::<Value>()),
        None => list(),
        Some(name) => match (find(name), TriggerType::find(name)) {
            (Some(task), _) if arguments.json => outln!("{}", details_json(task)),
            (Some(task), _) => out!("{}", page(task)),
            (None, Some(trigger)) if arguments.json => outln!("{}", trigger_json(trigger)),
            (None, Some(trigger)) => out!("{}", trigger_page(trigger)),
            (None, None) => return Err(unknown(name).into()),
        },
    }
    Ok(ExitStatus::Ok)
}

fn unknown(name: &str) -> InvalidFlow {
    let names = ALL.iter().map(|task| task.name).chain(TRIGGERS.iter().map(|trigger| trigger.name));
    let help = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`jitney tasks` lists them".to_owned(),
    };
    Diagnostic::error(format!("there is no task type `{name}`")).help(help).into()
}

fn list() {
    for task in ALL {
        outln!("{:<20} {}", task.name, first_sentence(&description(&(task.schema)().to_value())));
    }
    outln!("\ntriggers");
    for trigger in TRIGGERS {
        outln!("{:<20} {}", trigger.name, first_sentence(&description(&(trigger.schema)().to_value())));
    }
    errln!("\nTo show the fields, the outputs and an example of a type: jitney tasks TYPE");
}

/// The documentation of one task type, as text.
fn page(task: &TaskType) -> String {
    let schema = (task.schema)().to_value();
    let mut text = format!("{}\n\n{}\n", task.name, description(&schema));
    if !task.aliases.is_empty() {
        text += &format!("\nalso called: {}\n", task.aliases.join(", "));
    }
    text += "\nfields\n";
    text += &fields(&schema, true);
    text += "\noutputs\n";
    text += &fields(&(task.outputs)().to_value(), false);
    text += &format!("\nexample\n{}\n", indent(task.example, "  "));
    text
}

/// The documentation of one trigger type, as text.
fn trigger_page(trigger: &TriggerType) -> String {
    let schema = (trigger.schema)().to_value();
    let mut text = format!("{}, a trigger: an item of a flow's `triggers`\n\n{}\n", trigger.name, description(&schema));
    if !trigger.aliases.is_empty() {
        text += &format!("\nalso called: {}\n", trigger.aliases.join(", "));
    }
    text += &format!("\nfields\n{}", fields(&schema, true));
    text += "\nfields of every trigger\n";
    text += &fields(&schemars::schema_for!(TriggerCommon).to_value(), true);
    text += &format!("\nexample\n{}\n", indent(trigger.example, "  "));
    text
}

fn fields(schema: &Value, inputs: bool) -> String {
    let text = fields_at(schema, schema, inputs, 0);
    if text.is_empty() { "  none\n".to_owned() } else { text }
}

/// The fields of a map, each followed by its nested fields.
fn fields_at(root: &Value, schema: &Value, inputs: bool, depth: usize) -> String {
    let mut text = String::new();
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut facts = vec![type_name(root, property)];
        if inputs && is_required(name) {
            facts.push("required".to_owned());
        }
        if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
            facts.push(format!("default {default}"));
        }
        let margin = "    ".repeat(depth);
        let documentation = indent(&description(property), &format!("{margin}      "));
        text += &format!("{margin}  {name}  ({})\n{documentation}\n", facts.join(", "));
        if depth < MAX_DEPTH {
            for inner in nested_maps(root, property) {
                text += &fields_at(root, inner, inputs, depth + 1);
            }
        }
    }
    text
}

/// The maps with named fields that a field, or an item of it, may be.
fn nested_maps<'a>(root: &'a Value, property: &'a Value) -> Vec<&'a Value> {
    let target = property.get("$ref").and_then(Value::as_str);
    if let Some(found) = target.and_then(|target| root.pointer(target.trim_start_matches('#'))) {
        return nested_maps(root, found);
    }
    if property.get("properties").is_some() {
        return vec![property];
    }
    let options = ["anyOf", "oneOf"].iter().find_map(|key| property.get(*key)?.as_array());
    let inside = options.into_iter().flatten().chain(property.get("items"));
    inside.flat_map(|inner| nested_maps(root, inner)).collect()
}

/// A field's type in a word or two.
pub(super) fn type_name(root: &Value, property: &Value) -> String {
    if let Some(target) = property.get("$ref").and_then(Value::as_str) {
        return root
            .pointer(target.trim_start_matches('#'))
            .map_or_else(|| "any".to_owned(), |found| type_name(root, found));
    }
    if let Some(options) = property.get("anyOf").or_else(|| property.get("oneOf")).and_then(Value::as_array) {
        let mut kinds: Vec<String> =
            options.iter().map(|option| type_name(root, option)).filter(|kind| kind != "null").collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    if let Some(word) = property.get("const") {
        return word.as_str().map_or_else(|| word.to_string(), str::to_owned);
    }
    if let Some(words) = property.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    }
    match property.get("type") {
        Some(Value::String(word)) if word == "object" => variant(property).unwrap_or_else(|| "map".to_owned()),
        Some(Value::String(word)) if word == "array" => "list".to_owned(),
        Some(Value::String(word)) => word.clone(),
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// A variant with a value: `{merge: …}`.
fn variant(property: &Value) -> Option<String> {
    let required = property.get("required")?.as_array()?;
    let properties = property.get("properties")?.as_object()?;
    let (name, _) = properties.iter().next().filter(|_| properties.len() == 1 && required.len() == 1)?;
    let is_closed = property.get("additionalProperties") == Some(&Value::Bool(false));
    (is_closed && property.get("title").is_none()).then(|| format!("{{{name}: …}}"))
}

pub(super) fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn first_sentence(text: &str) -> String {
    let line = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    line.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned()
}

fn indent(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}

fn summary_json(task: &TaskType) -> Value {
    json!({"name": task.name, "aliases": task.aliases, "description": description(&(task.schema)().to_value())})
}

fn details_json(task: &TaskType) -> Value {
    json!({
        "name": task.name,
        "aliases": task.aliases,
        "fields": (task.schema)(),
        "outputs": (task.outputs)(),
        "example": task.example,
    })
}

fn trigger_json(trigger: &TriggerType) -> Value {
    json!({
        "name": trigger.name,
        "aliases": trigger.aliases,
        "fields": (trigger.schema)(),
        "example": trigger.example,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_are_documented() {
        let page = |name: &str| page(find(name).unwrap());
        for (name, words) in [
            ("shell.commands", &["taskRunner  (", "pullPolicy"][..]),
            ("for_each_item", &["batch  (", "partitions"]),
            ("wait_for", &["checkFrequency  (", "maxIterations", "iterationCount"]),
            ("http.request", &["options  (", "readTimeout"]),
            ("postgres.load", &["{replace_partition: …}", "on_match"]),
            ("if", &["evaluationResult"]),
            ("working_directory", &["outputFiles"]),
        ] {
            let page = page(name);
            words.iter().for_each(|word| assert!(page.contains(word), "{word} is missing:\n{page}"));
        }
        assert!(trigger_page(TriggerType::find("webhook").unwrap()).contains("key  (string, required)"));
    }

    #[test]
    fn every_task_has_a_page_that_documents_every_field() {
        for task in ALL {
            let text = page(task);
            for schema in [(task.schema)().to_value(), (task.outputs)().to_value()] {
                assert!(!description(&schema).is_empty(), "{} has no documentation", task.name);
                for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    assert!(!description(property).is_empty(), "{}: `{name}` has no documentation", task.name);
                }
            }
            assert!(text.contains("example"), "{text}");
        }
    }
}
