//! Values from outside in the text that a shell reads: whoever gives them can give commands.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::expression::printed;
use crate::flow::input::InputType;
use crate::flow::parse::below;
use crate::flow::{Flow, Step};

/// What a trigger itself says, and not who set it off.
const OF_TRIGGERS: &[&str] =
    &["date", "next", "previous", "executionId", "flowId", "namespace", "state", "flowRevision"];

/// Warnings of values from outside that stand in a shell's text as they are.
pub(super) fn warnings(flow: &Flow) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for steps in [&flow.steps, &flow.errors, &flow.finally, &flow.after] {
        look(flow, steps, &mut found);
    }
    found
}

fn look(flow: &Flow, steps: &[Step], found: &mut Vec<Diagnostic>) {
    for step in steps {
        let is_read = |key: &str| step.task.shell.contains(&key) && reads_shell(step);
        let fields = step.fields.as_object().into_iter().flatten().filter(|(key, _)| is_read(key));
        for (key, value) in fields {
            let path = below(&step.path, key);
            match value {
                Value::Array(lines) => lines
                    .iter()
                    .enumerate()
                    .for_each(|(index, line)| text(flow, line, &below(&path, &index.to_string()), found)),
                other => text(flow, other, &path, found),
            }
        }
        step.branches.iter().for_each(|(_, branch)| look(flow, branch, found));
    }
}

/// Another interpreter has other quotes.
fn reads_shell(step: &Step) -> bool {
    let interpreter = step.fields.get("interpreter").and_then(|words| words.get(0)).and_then(Value::as_str);
    interpreter.is_none_or(|program| program.ends_with("sh"))
}

fn text(flow: &Flow, value: &Value, path: &[String], found: &mut Vec<Diagnostic>) {
    // What is malformed has a finding of its own.
    let names = value.as_str().and_then(|text| printed(text).ok()).unwrap_or_default();
    for name in names.into_iter().filter(|name| is_from_outside(flow, name)) {
        let finding = Diagnostic::warning(format!(
            "the shell runs whatever `{name}` holds: its value becomes part of the command"
        ))
        .help(format!(
            "write `env: {{VALUE: \"{{{{ {name} }}}}\"}}` and use \"$VALUE\" in the command, or `{{{{ {name} | shellQuote }}}}`"
        ));
        let finding = flow.document.locate_text(path, &name, finding);
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
}

fn is_from_outside(flow: &Flow, name: &str) -> bool {
    let mut parts = name.split('.');
    match (parts.next(), parts.next()) {
        (Some("inputs"), Some(id)) => flow.inputs.iter().any(|input| {
            use InputType::{Array, Email, Json, Multiselect, Select, String, Uri, Yaml};
            input.id == id
                && match input.kind {
                    String | Uri | Email => input.validator.is_none(),
                    Select | Multiselect => input.allow_custom_value && input.validator.is_none(),
                    Array | Json | Yaml => true,
                    _ => false,
                }
        }),
        (Some("trigger"), part) => part.is_none_or(|part| !OF_TRIGGERS.contains(&part)),
        _ => false,
    }
}
