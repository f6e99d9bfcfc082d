//! What to do after an execution that did not end well: commands that can be pasted into a shell.

use std::path::Path;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::Value;

use crate::cli::target::{self, quoted};
use crate::config::Settings;
use crate::id::ExecutionId;
use crate::journal::{BACKFILL_LABEL, State, TaskState};
use crate::storage;
use crate::task::ErrorClass;
use crate::text::{plain, visible_line};

/// Values of inputs that are longer are not repeated.
const MAX_VALUE_LENGTH: usize = 200;
/// An execution that is for another moment than that of its start, by more than this, was given it.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// The command that resumes an execution or a backfill, and what to say below it.
pub(super) fn resume(command: &str, is_unreachable: bool, settings: &Settings) -> String {
    if is_unreachable {
        return format!("{command}\nWith another address: {command} --postgres ADDRESS --retarget");
    }
    format!("{command}{}{}", target::flags(settings), target::remark(settings))
}

/// Whether a message says that the server of `--postgres` gave no session: it names where the address comes from.
pub(super) fn names_wrong_address(message: &str) -> bool {
    message.contains("(from --postgres)")
}

/// What to do after a failure. Resuming keeps the flow and the files that were downloaded, so a mistake in one of them needs
/// another command.
pub(super) fn after_failure(id: &ExecutionId, state: &State, settings: &Settings) -> String {
    let failed = || state.tasks.values().filter(|task| task.state == TaskState::Failed);
    let errors: Vec<_> = failed().filter_map(|task| task.error.as_ref()).collect();
    let is_unreachable = settings.postgres.is_some() && errors.iter().any(|error| names_wrong_address(&error.message));
    let again = resume(&format!("jitney resume {id}"), is_unreachable, settings);
    let mut text = format!("Logs: jitney executions logs {id}   Retry: {again}");
    if errors.iter().any(|error| error.class == ErrorClass::Permanent) && !is_unreachable {
        let anew = anew(state, settings);
        text +=
            &format!("\nResuming uses the same flow and the files that it downloaded. If you change either: {anew}");
    }
    text
}

/// The command that runs the same once more, with the flow as its file is then.
fn anew(state: &State, settings: &Settings) -> String {
    let flags = target::flags(settings);
    if let Some(backfill) = state.labels.get(BACKFILL_LABEL) {
        return format!("jitney backfill retry {}{flags}", plain(backfill));
    }
    let created = &state.created;
    let inputs = created.inputs.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| given(name, value));
    let started = state.started.unwrap_or(created.trigger_date);
    let is_for_another = (started - created.trigger_date).abs() > MAX_CLOCK_SKEW;
    let date = created.trigger_date.to_rfc3339_opts(SecondsFormat::Secs, true);
    let date = if is_for_another { format!(" --trigger-date {date}") } else { String::new() };
    format!(
        "jitney run {}{}{date}{flags}",
        visible_line(&quoted(&shown_path(&created.file))),
        inputs.collect::<String>()
    )
}

/// An input as it is given again: not what is secret or has more than a line, nor a copy of a file that belongs to the old execution.
fn given(name: &str, value: &Value) -> String {
    let text = plain(value);
    let is_plain = text.len() <= MAX_VALUE_LENGTH && visible_line(&text) == text;
    let is_shown = is_plain && !text.contains("***") && !storage::is_uri(&text);
    format!(" -i {}", if is_shown { quoted(&format!("{name}={text}")) } else { format!("{name}=…") })
}

/// The flow's file as messages name it, from the folder that the user is in.
pub(super) fn shown_path(file: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    Path::new(file).strip_prefix(&here).map_or_else(|_| file.to_owned(), |path| path.display().to_string())
}
