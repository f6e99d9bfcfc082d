//! `jitney tasks`

use clap::Args;
use serde_json::{Value, json};

use crate::cli::out::{errln, out, outln};
use crate::cli::{Exit, Invalid, reference};
use crate::diagnostic::{Diagnostic, nearest};
use crate::task::TaskType;
use crate::tasks::{ALL, find};

#[derive(Args)]
pub(super) struct Arguments {
    /// A task type, by its short name or Kestra's
    #[arg(value_name = "TYPE")]
    name: Option<String>,
    /// Print JSON: with a type its JSON Schema, else the list
    #[arg(long)]
    json: bool,
    /// Print the page of all task and trigger types, docs/tasks.md
    #[arg(long, conflicts_with_all = ["name", "json"])]
    markdown: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.name {
        None if arguments.markdown => out!("{}", reference::page(ALL)),
        None if arguments.json => outln!("{}", ALL.iter().map(summary_json).collect::<Value>()),
        None => list(),
        Some(name) => {
            let task = find(name).ok_or_else(|| unknown(name))?;
            if arguments.json { outln!("{}", details_json(task)) } else { out!("{}", page(task)) }
        }
    }
    Ok(Exit::Ok)
}

fn unknown(name: &str) -> Invalid {
    let help = match nearest(name, ALL.iter().map(|task| task.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`jitney tasks` lists them".to_owned(),
    };
    Diagnostic::error(format!("there is no task type `{name}`")).help(help).into()
}

fn list() {
    for task in ALL {
        outln!("{:<20} {}", task.name, first_sentence(&description(&(task.schema)().to_value())));
    }
    errln!("\nFields, outputs and an example of one: jitney tasks TYPE");
}

/// All about one task type, as text.
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

fn fields(schema: &Value, inputs: bool) -> String {
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|found| !found.is_empty()) else {
        return "  none\n".to_owned();
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
    let mut text = String::new();
    for (name, property) in properties {
        let mut facts = vec![kind(schema, property)];
        if inputs && is_required(name) {
            facts.push("required".to_owned());
        }
        if let Some(default) = property.get("default").filter(|default| !default.is_null()) {
            facts.push(format!("default {default}"));
        }
        let documentation = indent(&description(property), "      ");
        text += &format!("  {name}  ({})\n{documentation}\n", facts.join(", "));
    }
    text
}

/// A field's type in a word or two.
pub(super) fn kind(root: &Value, property: &Value) -> String {
    if let Some(target) = property.get("$ref").and_then(Value::as_str) {
        return root
            .pointer(target.trim_start_matches('#'))
            .map_or_else(|| "any".to_owned(), |found| kind(root, found));
    }
    if let Some(options) = property.get("anyOf").or_else(|| property.get("oneOf")).and_then(Value::as_array) {
        let mut kinds: Vec<String> =
            options.iter().map(|option| kind(root, option)).filter(|kind| kind != "null").collect();
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
        Some(Value::String(word)) => word.clone(),
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
