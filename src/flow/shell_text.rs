//! Values from outside in the text that a shell, an interpreter or a database reads: whoever gives them can give commands.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::expression::{printed, quoted_twice};
use crate::flow::input::InputType;
use crate::flow::parse::below;
use crate::flow::{Flow, Step};

/// What a trigger itself says, and not who set it off.
const OF_TRIGGERS: &[&str] =
    &["date", "next", "previous", "executionId", "flowId", "namespace", "state", "flowRevision"];

/// Warnings of values from outside that stand in such a text as they are.
pub(super) fn warnings(flow: &Flow) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for steps in [&flow.steps, &flow.errors, &flow.finally, &flow.after] {
        look(flow, steps, &mut found);
    }
    found
}

/// Who reads a text that expressions stand in.
#[derive(Clone, Copy, PartialEq)]
enum ShellKind {
    Shell,
    Program,
    Database,
}

impl ShellKind {
    /// Who reads a field of a task, if a value there could be more than a value.
    fn of(step: &Step, key: &str) -> Option<Self> {
        let task = step.task;
        match () {
            () if task.shell.contains(&key) && reads_shell(step) => Some(Self::Shell),
            () if task.shell.contains(&key) || task.program.contains(&key) => Some(Self::Program),
            () if task.sql.contains(&key) => Some(Self::Database),
            () => None,
        }
    }

    /// Filters that make a value harmless to this reader.
    fn harmless(self) -> &'static [&'static str] {
        match self {
            Self::Shell => &["shellQuote"],
            Self::Program => &["json", "toJson"],
            Self::Database => &[],
        }
    }

    fn warning(self, name: &str) -> Diagnostic {
        let (who, part, help) = match self {
            Self::Shell => (
                "the shell",
                "the command",
                format!(
                    "write `env: {{VALUE: \"{{{{ {name} }}}}\"}}` and use \"$VALUE\" in the command, or \
                     `{{{{ {name} | shellQuote }}}}`"
                ),
            ),
            Self::Program => (
                "the program",
                "the program",
                format!(
                    "write `env: {{VALUE: \"{{{{ {name} }}}}\"}}` and read the variable, in Python `os.environ[\"VALUE\"]`"
                ),
            ),
            Self::Database => (
                "the database",
                "the SQL",
                format!(
                    "write `parameters: {{value: \"{{{{ {name} }}}}\"}}` and use the parameter in the SQL; for the name of a \
                     table, give the input a `validator` or the type SELECT"
                ),
            ),
        };
        Diagnostic::warning(format!("{who} runs whatever `{name}` holds: its value becomes part of {part}")).help(help)
    }
}

fn look(flow: &Flow, steps: &[Step], found: &mut Vec<Diagnostic>) {
    for step in steps {
        for (key, value) in step.fields.as_object().into_iter().flatten() {
            let Some(reader) = ShellKind::of(step, key) else { continue };
            let path = below(&step.path, key);
            match value {
                Value::Array(lines) => lines
                    .iter()
                    .enumerate()
                    .for_each(|(index, line)| text(flow, reader, line, &below(&path, &index.to_string()), found)),
                other => text(flow, reader, other, &path, found),
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

fn text(flow: &Flow, reader: ShellKind, value: &Value, path: &[String], found: &mut Vec<Diagnostic>) {
    let Some(text) = value.as_str() else { return };
    // What is malformed has a finding of its own.
    let names = printed(text, reader.harmless()).unwrap_or_default();
    let outside = names.into_iter().filter(|name| is_from_outside(flow, name));
    let mut findings: Vec<_> = outside.map(|name| (reader.warning(&name), name)).collect();
    if reader == ShellKind::Shell {
        let twice = quoted_twice(text).unwrap_or_default();
        findings.extend(twice.into_iter().map(|expression| (within_quotes(&expression), expression)));
    }
    for (finding, culprit) in findings {
        let finding = flow.document.locate_text(path, &culprit, finding);
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
}

fn within_quotes(expression: &str) -> Diagnostic {
    let message = format!("`{{{{ {expression} }}}}` stands within quotes, where `shellQuote` protects nothing");
    Diagnostic::warning(message).help("take the quotes around it away: the filter sets its own")
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
