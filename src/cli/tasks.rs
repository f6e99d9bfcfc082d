//! `jitney tasks`

use clap::Args;
use serde_json::{Value, json};

use crate::cli::colour::Style;
use crate::cli::out::{self, errln, out, outln};
use crate::cli::{ExitStatus, InvalidFlow, layout, reference};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::trigger::{TRIGGERS, TriggerType};
use crate::flow::type_page::{task_page, trigger_page};
use crate::task::TaskType;
use crate::task::documentation::{description, first_sentence};
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
            (Some(task), _) => out!("{}", task_page(task)),
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
        let page = |name: &str| task_page(find(name).unwrap());
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
            let text = task_page(task);
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
