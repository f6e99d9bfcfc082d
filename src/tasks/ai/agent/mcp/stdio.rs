//! A server that is a program: messages are lines of its standard input and output.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::definition::ToolDefinition;
use crate::process::{OutputStream, ProgramSpec, RunningProgram, push_bounded};
use crate::task::{TaskContext, TaskError};

/// How many lines of its error output a message has.
const MAX_LINES: usize = 5;
/// How long the last of them are waited for.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// A program that answers.
pub(super) struct StdioTransport {
    program: RunningProgram,
    name: String,
    /// The last lines that it wrote for people.
    said: Vec<String>,
}

impl StdioTransport {
    pub(super) fn start(definition: &ToolDefinition, context: &TaskContext) -> Result<Self, TaskError> {
        let (name, arguments) = definition.command.split_first().ok_or_else(|| TaskError::permanent("no `command`"))?;
        let folder = context.services.folder.clone().unwrap_or_else(|| context.files.folder().to_owned());
        let program = if name.contains('/') { Path::new(name).to_owned() } else { name.into() };
        // Not marked as this task run's: a script that is another tool would end it with what it leaves behind.
        let mut spec = ProgramSpec::new(&context.settings, program, &folder).with(arguments.iter().cloned());
        spec.environment.extend(definition.env.clone());
        Ok(Self { program: spec.start()?, name: name.clone(), said: Vec::new() })
    }

    pub(super) async fn send(&mut self, message: &Value, id: Option<u64>) -> Result<Option<Value>, TaskError> {
        let sent = self.program.write_line(&message.to_string()).await;
        if let Err(error) = sent {
            return Err(self.gone().await.caused_by(error));
        }
        let Some(id) = id else { return Ok(None) };
        loop {
            let Some(batch) = self.program.lines.recv().await else { return Err(self.gone().await) };
            let mut answer = None;
            for line in batch {
                if line.stream == OutputStream::Error {
                    push_bounded(&mut self.said, line.text, MAX_LINES);
                    continue;
                }
                if line.is_cut {
                    let message = format!("the MCP server `{}` sends a message of more than 1 MiB", self.name);
                    return Err(TaskError::permanent(message));
                }
                let message: Option<Value> = serde_json::from_str(&line.text).ok();
                // Notifications, and what a program prints although it should not, are passed over.
                answer = answer.or(message.filter(|message| message["id"] == id && message.get("method").is_none()));
            }
            if answer.is_some() {
                return Ok(answer);
            }
        }
    }

    /// The error of a program that takes or sends nothing more, with what it wrote for people until then.
    async fn gone(&mut self) -> TaskError {
        let rest = async {
            while let Some(batch) = self.program.lines.recv().await {
                let lines = batch.into_iter().filter(|line| line.stream == OutputStream::Error);
                lines.for_each(|line| push_bounded(&mut self.said, line.text, MAX_LINES));
            }
        };
        // What it started may hold its pipes open.
        let _ = tokio::time::timeout(LAST_LINES_TIMEOUT, rest).await;
        let said = if self.said.is_empty() { String::new() } else { format!(": {}", self.said.join("; ")) };
        TaskError::permanent(format!("the MCP server `{}` has ended{said}", self.name))
            .help("run its command by hand to see what is wrong")
    }
}
