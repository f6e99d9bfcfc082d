//! The labels of executions, which people may change once these have ended.

use serde_json::Value;

use super::Executor;
use super::adopt::invalid_state;
use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::id::ExecutionId;
use crate::journal::{BACKFILL_LABEL, Event, PARTITION_LABEL};
use crate::text::plain;

/// The most labels of an execution, and the most characters of a name and of a value.
const MAX_LABELS: usize = 100;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 1024;

impl Executor {
    /// Gives an execution that has ended these labels: in addition to those that it has, or in their place.
    ///
    /// # Errors
    /// When it has not ended, another process works on it, a label is not allowed, or it tells to which backfill the execution
    /// belongs.
    pub fn set_labels(&self, id: &ExecutionId, given: &[(String, String)], replace: bool) -> Result<(), EngineError> {
        let running = self.running();
        let (_lock, mut state) = self.lock_idle(&running, id)?;
        if !state.status.has_ended() {
            return Err(invalid_state(id, "labelled", &state));
        }
        let own = |name: &str| [BACKFILL_LABEL, PARTITION_LABEL].contains(&name);
        let mut labels = state.labels.clone();
        labels.retain(|name, _| !replace || own(name));
        for (name, value) in given {
            check(name, value)?;
            if own(name) && state.labels.get(name).map(plain).as_ref() != Some(value) {
                let problem =
                    format!("the label `{name}` tells to which backfill an execution belongs, and cannot be changed");
                return Err(Diagnostic::error(problem).into());
            }
            let clean = |text: &str| self.shared.runner.settings.redactor.clean(text);
            labels.insert(clean(name), Value::from(clean(value)));
        }
        if labels.len() > MAX_LABELS {
            return Err(Diagnostic::error(format!("an execution has at most {MAX_LABELS} labels")).into());
        }
        if labels != state.labels {
            self.shared.runner.append(id, &mut state, Event::Labelled { labels })?;
        }
        Ok(())
    }
}

fn check(name: &str, value: &str) -> Result<(), Diagnostic> {
    let is_plain = |text: &str| !text.chars().any(char::is_control);
    let problem = match () {
        () if name.trim().is_empty() => "a label has no name".to_owned(),
        () if name.chars().count() > MAX_NAME => format!("the name of a label has at most {MAX_NAME} characters"),
        () if value.chars().count() > MAX_VALUE => format!("the value of a label has at most {MAX_VALUE} characters"),
        () if !is_plain(name) || !is_plain(value) => {
            format!("the label `{}` contains control characters", name.escape_debug())
        }
        () => return Ok(()),
    };
    Err(Diagnostic::error(problem))
}

/// Labels as people write them, one a line: `team: data`.
///
/// # Errors
/// When a line has no colon.
pub fn parse_labels(text: &str) -> Result<Vec<(String, String)>, Diagnostic> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let pair = |(index, line): (usize, &str)| match line.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(Diagnostic::error(format!("line {} of the labels is not of the form `name: value`", index + 1))),
    };
    lines.map(pair).collect()
}
