//! Warns about untrusted values in text that a shell, an interpreter or a database executes: their author could
//! inject commands.

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::flow::expression::{interpolated, quoted_twice};
use crate::flow::input::InputType;
use crate::flow::parse::below;
use crate::flow::{Flow, Step};

/// Fields of `trigger` that the server sets, not the caller.
const TRUSTED_TRIGGER_FIELDS: &[&str] =
    &["date", "next", "previous", "executionId", "flowId", "namespace", "state", "flowRevision"];

pub(super) fn warnings(flow: &Flow) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for steps in [&flow.steps, &flow.errors, &flow.finally, &flow.after] {
        scan_steps(flow, steps, &mut findings);
    }
    findings
}

/// What executes a text with expressions in it.
#[derive(Clone, Copy, PartialEq)]
enum TextReader {
    Shell,
    Program,
    Database,
}

impl TextReader {
    fn of(step: &Step, key: &str) -> Option<Self> {
        let task = step.task;
        if task.shell.contains(&key) && uses_shell(step) {
            Some(Self::Shell)
        } else if task.shell.contains(&key) || task.program.contains(&key) {
            Some(Self::Program)
        } else if task.sql.contains(&key) {
            Some(Self::Database)
        } else {
            None
        }
    }

    /// Filters that make a value safe for this reader.
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
        Diagnostic::warning(format!("{who} executes whatever `{name}` contains: its value becomes part of {part}"))
            .help(help)
    }
}

fn scan_steps(flow: &Flow, steps: &[Step], findings: &mut Vec<Diagnostic>) {
    for step in steps {
        for (key, value) in step.fields.as_object().into_iter().flatten() {
            let Some(reader) = TextReader::of(step, key) else { continue };
            let path = below(&step.path, key);
            match value {
                Value::Array(lines) => lines.iter().enumerate().for_each(|(index, line)| {
                    scan_text(flow, reader, line, &below(&path, &index.to_string()), findings);
                }),
                other => scan_text(flow, reader, other, &path, findings),
            }
        }
        step.branches.iter().for_each(|(_, branch)| scan_steps(flow, branch, findings));
    }
}

/// Other interpreters have other quoting rules, so `shellQuote` does not help there.
fn uses_shell(step: &Step) -> bool {
    let interpreter = step.fields.get("interpreter").and_then(|words| words.get(0)).and_then(Value::as_str);
    interpreter.is_none_or(|program| program.ends_with("sh"))
}

fn scan_text(flow: &Flow, reader: TextReader, value: &Value, path: &[String], findings: &mut Vec<Diagnostic>) {
    let Some(text) = value.as_str() else { return };
    // A malformed template is reported elsewhere.
    let names = interpolated(text, reader.harmless()).unwrap_or_default();
    let untrusted = names.into_iter().filter(|name| is_untrusted(flow, name));
    let mut warnings: Vec<_> = untrusted.map(|name| (reader.warning(&name), name)).collect();
    if reader == TextReader::Shell {
        let expressions = quoted_twice(text).unwrap_or_default();
        warnings.extend(expressions.into_iter().map(|expression| (nested_quotes_warning(&expression), expression)));
    }
    for (finding, culprit) in warnings {
        let finding = flow.document.locate_text(path, &culprit, finding);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

fn nested_quotes_warning(expression: &str) -> Diagnostic {
    let message = format!("`{{{{ {expression} }}}}` is inside quotes, where `shellQuote` does not protect it");
    Diagnostic::warning(message).help("remove the quotes around it: the filter adds its own")
}

fn is_untrusted(flow: &Flow, name: &str) -> bool {
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
        (Some("trigger"), part) => part.is_none_or(|part| !TRUSTED_TRIGGER_FIELDS.contains(&part)),
        _ => false,
    }
}
