//! The documentation of one type as text: `jitney tasks TYPE`, and what agents and models read.

use serde_json::Value;

use crate::flow::trigger::{TriggerCommon, TriggerType};
use crate::task::TaskType;
use crate::task::documentation::{self, FieldDoc, description};

/// The documentation of one task type, as text.
pub fn task_page(task: &TaskType) -> String {
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
pub fn trigger_page(trigger: &TriggerType) -> String {
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
