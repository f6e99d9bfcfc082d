//! What a script says: lines for the log, and lines of the form `::{"outputs": …}::` that mean something to us.

use std::borrow::Cow;
use std::process::ExitStatus;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::bounded_log::BoundedLog;
use crate::process::{OutputLine, OutputStream, exit_description, push_bounded};
use crate::task::{Level, TaskContext, TaskError};

/// Bytes of an ordinary line that go into the log.
const MAX_LOGGED_BYTES: usize = 16 << 10;
/// Bytes of outputs and metrics that a script may give.
const MAX_OUTPUT_BYTES: usize = 16 << 20;
/// Lines of the error output that an error message repeats.
const MAX_QUOTED_LINES: usize = 5;

/// `::{…}::`, as the PyPI package `kestra` prints it.
#[derive(Deserialize)]
struct ProtocolMessage {
    outputs: Option<Map<String, Value>>,
    metrics: Option<Vec<Value>>,
    logs: Option<Vec<MessageLog>>,
}

#[derive(Deserialize)]
struct MessageLog {
    #[serde(default)]
    level: String,
    #[serde(default)]
    message: String,
}

/// What a script has said so far.
pub(super) struct ScriptReport<'a> {
    /// What it gave as outputs.
    pub(super) vars: Map<String, Value>,
    /// What it measured.
    pub(super) metrics: Vec<Value>,
    stderr: Level,
    last_errors: Vec<String>,
    log_output: BoundedLog<'a>,
    /// Bytes of outputs and metrics.
    output_bytes: usize,
    /// Why what it gave cannot be taken.
    rejected: Option<TaskError>,
}

impl<'a> ScriptReport<'a> {
    /// Nothing yet; lines of the error output will be logged at the given level.
    pub(super) fn new(context: &'a TaskContext, stderr: Level) -> Self {
        Self {
            vars: Map::new(),
            metrics: Vec::new(),
            stderr,
            last_errors: Vec::new(),
            log_output: BoundedLog::new(context),
            output_bytes: 0,
            rejected: None,
        }
    }

    /// Takes a line in.
    pub(super) fn handle_line(&mut self, line: OutputLine) {
        if line.text.starts_with("::{") && line.is_cut {
            return self.reject("the script printed outputs in a line of more than 1 MiB");
        }
        match line.text.trim_end().strip_prefix("::").and_then(|rest| rest.strip_suffix("::")) {
            Some(json) if json.starts_with('{') => match serde_json::from_str(json) {
                Ok(message) => self.take(message, json.len()),
                Err(error) => self.log_output.log(
                    Level::Warn,
                    &format!(
                        "these outputs cannot be parsed ({error}): {}",
                        self.log_output.truncated(&line.text, MAX_LOGGED_BYTES)
                    ),
                ),
            },
            _ => self.log(&line),
        }
    }

    /// Whether there was any error output.
    pub(super) fn has_errors(&self) -> bool {
        !self.last_errors.is_empty()
    }

    fn reject(&mut self, why: &str) {
        let help = "write large results to a file, and name it in `outputFiles`";
        self.rejected.get_or_insert_with(|| TaskError::permanent(why).help(help));
    }

    fn take(&mut self, message: ProtocolMessage, bytes: usize) {
        if message.outputs.is_some() || message.metrics.is_some() {
            self.output_bytes += bytes;
        }
        if self.output_bytes > MAX_OUTPUT_BYTES {
            return self.reject("the script printed more than 16 MiB of outputs and metrics");
        }
        self.vars.extend(message.outputs.unwrap_or_default());
        for metric in message.metrics.unwrap_or_default() {
            self.log_output.log(Level::Debug, &format!("metric {metric}"));
            self.metrics.push(metric);
        }
        for line in message.logs.unwrap_or_default() {
            let text = self.log_output.truncated(&line.message, MAX_LOGGED_BYTES);
            self.log_output.log(level(&line.level), &text);
        }
    }

    fn log(&mut self, line: &OutputLine) {
        let level = if line.stream == OutputStream::Out { Level::Info } else { self.stderr };
        let text = self.log_output.truncated(&line.text, MAX_LOGGED_BYTES);
        match (&text, line.is_cut) {
            (Cow::Borrowed(text), false) => self.log_output.log(level, text),
            (Cow::Borrowed(text), true) => self.log_output.log(level, &format!("{text}… (a longer line)")),
            (Cow::Owned(text), _) => self.log_output.log(level, &format!("{text} (a longer line)")),
        }
        if line.stream == OutputStream::Error {
            push_bounded(&mut self.last_errors, text.into_owned(), MAX_QUOTED_LINES);
        }
    }

    /// What the script came to.
    ///
    /// # Errors
    /// When it did not end with exit code 0, with its last words; or when its outputs could not be taken.
    pub(super) fn finish(&mut self, status: ExitStatus) -> Result<(), TaskError> {
        if status.success() {
            return self.rejected.take().map_or(Ok(()), Err);
        }
        let said = self.last_errors.join("\n");
        let colon = if said.is_empty() { "" } else { ":\n" };
        let error = TaskError::transient(format!("the script {}{colon}{said}", exit_description(status)));
        Err(match remedy(status, &said) {
            Some(help) => error.help(help),
            None => error,
        })
    }
}

fn remedy(status: ExitStatus, said: &str) -> Option<String> {
    let module = said.rsplit_once("ModuleNotFoundError: No module named '").and_then(|(_, rest)| rest.split_once('\''));
    match (status.code(), module) {
        (_, Some((module, _))) => {
            let package = module.split('.').next().unwrap_or(module);
            Some(format!(
                "add the package that provides `{package}` to `dependencies`, such as dependencies: [{package}]"
            ))
        }
        (Some(127), None) => Some("a program that the script calls is not installed on this machine".to_owned()),
        (None, None) => Some("the script was ended from outside, perhaps because memory ran out".to_owned()),
        _ => None,
    }
}

fn level(name: &str) -> Level {
    match name.to_ascii_uppercase().as_str() {
        "TRACE" | "DEBUG" => Level::Debug,
        "WARN" | "WARNING" => Level::Warn,
        "ERROR" | "CRITICAL" | "FATAL" => Level::Error,
        _ => Level::Info,
    }
}
