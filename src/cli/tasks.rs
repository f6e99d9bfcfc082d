//! `jitney tasks`

use clap::Args;
use serde_json::{Value, json};

use crate::cli::colour::Style;
use crate::cli::out::{self, errln, out, outln};
use crate::cli::{ExitStatus, InvalidFlow, layout, reference};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::trigger::{TRIGGERS, TriggerCommon, TriggerType};
use crate::task::TaskType;
use crate::task::documentation::{self, FieldDoc, description, first_sentence};
use crate::tasks::{ALL, find};

/// The columns of the names in the list.
const NAMES: usize = 25;

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
        entry(task.name, &(task.schema)().to_value());
    }
    outln!();
    out::led(Style::Heading, "triggers", "");
    for trigger in TRIGGERS {
        entry(trigger.name, &(trigger.schema)().to_value());
    }
    errln!("\nTo show the fields, the outputs and an example of a type: jitney tasks TYPE");
}

fn entry(name: &str, schema: &Value) {
    outln!("{}", layout::entry(name, NAMES, &first_sentence(&description(schema)), layout::width()));
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
    let text: String = documentation::fields(schema).iter().map(|field| field_text(field, inputs)).collect();
    if text.is_empty() { "  none\n".to_owned() } else { text }
}

fn field_text(field: &FieldDoc, inputs: bool) -> String {
    let mut facts = vec![field.kind.clone()];
    if inputs && field.is_required {
        facts.push("required".to_owned());
    }
    facts.extend(field.default.as_ref().map(|default| format!("default {default}")));
    let margin = "    ".repeat(field.depth);
    format!("{margin}  {}  ({})\n{}\n", field.name, facts.join(", "), indent(&field.about, &format!("{margin}      ")))
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
