//! `jitney tasks --markdown`: the page of all task and trigger types, from the same documentation as `jitney tasks TYPE`.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::flow::trigger::TRIGGERS;
use crate::flow::trigger::condition::CONDITIONS;
use crate::task::TaskType;
use crate::task::documentation::{description, first_sentence, groups, type_name};

const HEAD: &str = "\
# Task types

Every type of task, trigger and condition, with its fields, outputs and an example. `jitney tasks TYPE` prints the same in the
terminal. This page is generated from the source by `jitney tasks --markdown`.

The fields that every task may have are in [Flows](flows.md#fields-of-every-task), those of every trigger in
[Triggers](flows.md#triggers).
";

/// The depth to which nested fields are listed.
const MAX_DEPTH: usize = 2;

/// The page as Markdown.
pub(super) fn page(tasks: &[TaskType]) -> String {
    let mut text = HEAD.to_owned();
    let groups = groups(tasks);
    for (title, members) in &groups {
        text += &format!("\n**{title}**\n\n");
        for task in members {
            let about = first_sentence(&description(&(task.schema)().to_value()));
            text += &format!("- [`{}`](#{}): {about}.\n", task.name, anchor(task.name));
        }
    }
    for task in groups.iter().flat_map(|(_, members)| members) {
        text += &of_task(task);
    }
    text + &triggers() + &conditions()
}

fn of_task(task: &TaskType) -> String {
    let schema = (task.schema)().to_value();
    let mut text = section(task.name, task.aliases, &schema);
    text += &table("Field", &schema);
    text += &table("Output", &(task.outputs)().to_value());
    text + &example(task.example)
}

fn triggers() -> String {
    let mut text = "\n## Triggers\n".to_owned();
    for trigger in TRIGGERS {
        let schema = (trigger.schema)().to_value();
        text += &section(trigger.name, trigger.aliases, &schema).replacen("\n##", "\n###", 1);
        text += &table("Field", &schema);
        text += &example(trigger.example);
    }
    text
}

fn conditions() -> String {
    let mut text = "\n## Conditions\n\nConditions of triggers, under `conditions`.\n".to_owned();
    for condition in CONDITIONS {
        let schema = (condition.schema)().to_value();
        let kestra = format!("io.kestra.plugin.core.condition.{}", condition.kestra);
        text += &section(condition.name, &[&kestra], &schema).replacen("\n##", "\n###", 1);
        text += &table("Field", &schema);
    }
    text
}

fn section(name: &str, aliases: &[&str], schema: &Value) -> String {
    let mut text = format!("\n## {name}\n\n{}\n", description(schema));
    if !aliases.is_empty() {
        let aliases: Vec<String> = aliases.iter().map(|alias| format!("`{alias}`")).collect();
        text += &format!("\nAlso called: {}\n", aliases.join(", "));
    }
    text
}

fn example(yaml: &str) -> String {
    format!("\n```yaml\n{yaml}\n```\n")
}

/// A table with the properties of a schema; empty if there are none.
fn table(what: &str, schema: &Value) -> String {
    let mut rows = String::new();
    add_rows(&mut rows, schema, schema, "", what == "Field");
    if rows.is_empty() { rows } else { format!("\n| {what} | Type | |\n| --- | --- | --- |\n{rows}") }
}

fn add_rows(rows: &mut String, root: &Value, schema: &Value, prefix: &str, are_fields: bool) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let about = cell(&description(property));
        let facts = cell(&facts(root, schema, name, property, are_fields));
        // Writing to a text cannot fail.
        let _ = writeln!(rows, "| `{prefix}{name}` | {facts} | {about} |");
        let inner = object(root, property).filter(|_| prefix.matches('.').count() + 1 < MAX_DEPTH);
        if let Some(inner) = inner {
            add_rows(rows, root, inner, &format!("{prefix}{name}."), are_fields);
        }
    }
}

/// A field's type, whether it is required, and its default.
fn facts(root: &Value, schema: &Value, name: &str, property: &Value, is_field: bool) -> String {
    let mut text = type_name(root, property);
    let required = schema.get("required").and_then(Value::as_array);
    if is_field && required.is_some_and(|names| names.iter().any(|other| other == name)) {
        text += ", required";
    }
    let nothing = [Value::Null, Value::from(""), Value::Array(Vec::new()), Value::Object(Map::new())];
    if let Some(default) = property.get("default").filter(|default| !nothing.contains(default)) {
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        text += &format!(", default `{default}`");
    }
    text
}

/// The schema of a property that is a map with named fields.
fn object<'s>(root: &'s Value, property: &'s Value) -> Option<&'s Value> {
    if property.get("properties").is_some() {
        return Some(property);
    }
    if let Some(target) = property.get("$ref").and_then(Value::as_str) {
        return root.pointer(target.trim_start_matches('#')).and_then(|found| object(root, found));
    }
    property.get("anyOf").and_then(Value::as_array)?.iter().find_map(|option| object(root, option))
}

/// A text on one line, escaped for a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}
