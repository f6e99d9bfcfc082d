//! What to do after an execution that did not succeed: commands that can be pasted into a shell.

use std::path::Path;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::Value;

use crate::cli::target::{self, shell_quoted};
use crate::config::Settings;
use crate::id::ExecutionId;
use crate::journal::{BACKFILL_LABEL, State, TaskState};
use crate::storage;
use crate::task::ErrorClass;
use crate::text::{plain, visible_line};

/// Longer values of inputs are not shown in commands.
const MAX_VALUE_LENGTH: usize = 200;
/// If the date of an execution differs from its start by more than this, it was given with `--trigger-date`.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// The command that resumes an execution or a backfill, and a hint below it.
pub(super) fn resume_command(command: &str, is_unreachable: bool, settings: &Settings) -> String {
    if is_unreachable {
        return format!("{command}\nWith another address: {command} --postgres ADDRESS --retarget");
    }
    format!("{command}{}{}", target::postgres_flag(settings), target::password_hint(settings))
}

/// Whether a message is about the server of `--postgres`: such messages name the origin of the address.
pub(super) fn mentions_postgres_option(message: &str) -> bool {
    message.contains("(from --postgres)")
}

/// What to do after a failure. Resuming uses the same flow and downloaded files, so correcting one of them needs
/// another command. Without a file, the flow was composed by a command, which the user can repeat.
pub(super) fn after_failure(id: &ExecutionId, state: &State, settings: &Settings, has_file: bool) -> String {
    let failed = || state.tasks.values().filter(|task| task.state == TaskState::Failed);
    let errors: Vec<_> = failed().filter_map(|task| task.error.as_ref()).collect();
    let is_unreachable =
        settings.postgres.is_some() && errors.iter().any(|error| mentions_postgres_option(&error.message));
    let again = resume_command(&format!("jitney resume {id}"), is_unreachable, settings);
    let mut text = format!("Logs: jitney executions logs {id}   Retry: {again}");
    let is_permanent = errors.iter().any(|error| error.class == ErrorClass::Permanent) && !is_unreachable;
    // A flow that a command has composed has a name, but no file.
    let has_file = has_file && Path::new(&state.created.file).is_file();
    if is_permanent && has_file {
        let command = new_run_command(state, settings);
        text +=
            &format!("\nResuming uses the same flow and the files that it downloaded. If you change either: {command}");
    }
    if is_permanent && !has_file {
        text += "\nIf you change the file or an option, repeat the command.";
    }
    text
}

/// The command that runs the flow again with the same inputs, as its file is then.
fn new_run_command(state: &State, settings: &Settings) -> String {
    let flags = target::postgres_flag(settings);
    if let Some(backfill) = state.labels.get(BACKFILL_LABEL) {
        return format!("jitney backfill retry {}{flags}", plain(backfill));
    }
    let created = &state.created;
    let inputs =
        created.inputs.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| input_argument(name, value));
    let started = state.started.unwrap_or(created.trigger_date);
    let is_for_another = (started - created.trigger_date).abs() > MAX_CLOCK_SKEW;
    let date = created.trigger_date.to_rfc3339_opts(SecondsFormat::Secs, true);
    let date = if is_for_another { format!(" --trigger-date {date}") } else { String::new() };
    format!(
        "jitney run {}{}{date}{flags}",
        visible_line(&shell_quoted(&shown_path(&created.file))),
        inputs.collect::<String>()
    )
}

/// The option for an input; the value is omitted if it is secret, has several lines, or is a stored file of the old
/// execution.
fn input_argument(name: &str, value: &Value) -> String {
    let text = plain(value);
    let is_plain = text.len() <= MAX_VALUE_LENGTH && visible_line(&text) == text;
    let is_shown = is_plain && !text.contains("***") && !storage::is_uri(&text);
    format!(" -i {}", if is_shown { shell_quoted(&format!("{name}={text}")) } else { format!("{name}=…") })
}

/// The path of a flow's file relative to the current folder, for messages.
pub(super) fn shown_path(file: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    Path::new(file).strip_prefix(&here).map_or_else(|_| file.to_owned(), |path| path.display().to_string())
}
