//! `log`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::task::{Level, Task, TaskContext, TaskError};

/// Writes a line, or several, to the execution's log.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The text, or a list of texts.
    message: Message,
    /// How grave it is.
    #[serde(default = "info")]
    level: Level,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Message {
    One(String),
    Many(Vec<String>),
}

fn info() -> Level {
    Level::Info
}

/// Nothing.
#[derive(Serialize, JsonSchema)]
pub struct Nothing {}

impl Task for Log {
    const NAME: &'static str = "log";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.log.Log"];
    const EXAMPLE: &'static str = "\
- id: say
  type: log
  message: Loading {{ inputs.taxi }}";
    type Outputs = Nothing;

    async fn run(&self, context: &TaskContext) -> Result<Nothing, TaskError> {
        match &self.message {
            Message::One(text) => context.say(self.level, text),
            Message::Many(texts) => texts.iter().for_each(|text| context.say(self.level, text)),
        }
        Ok(Nothing {})
    }
}
