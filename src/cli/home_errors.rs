//! Errors of the home folder: where it is, and what to do about it.

use std::io;
use std::time::SystemTime;

use crate::cli::InvalidFlow;
use crate::cli::exit::has_findings;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::engine::backfill::BackfillError;
use crate::journal::{JournalError, KvError};

/// A machine that cannot go on, in plain words.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
struct Unusable(Diagnostic);

/// The same error, with the path and a remedy where the home folder is what is wrong.
pub(super) fn of(error: anyhow::Error, settings: &Settings) -> anyhow::Error {
    if has_findings(&error) {
        return error;
    }
    if let Some(problem) = error.chain().find_map(journal_error) {
        return about_journal(problem, settings).unwrap_or(error);
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<KvError>()) {
        Some(KvError::Folder(cause)) => unusable(cause, settings),
        _ => error,
    }
}

/// Some errors say what their cause says and hide it from their chain.
fn journal_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a JournalError> {
    let engine = cause.downcast_ref::<EngineError>().or_else(|| match cause.downcast_ref::<BackfillError>() {
        Some(BackfillError::Engine(error)) => Some(error),
        _ => None,
    });
    match engine {
        Some(EngineError::Journal(error)) => Some(error),
        _ => cause.downcast_ref::<JournalError>(),
    }
}

fn about_journal(problem: &JournalError, settings: &Settings) -> Option<anyhow::Error> {
    let journal = settings.journal().display().to_string();
    let finding = match problem.kind() {
        JournalError::Folder(cause) => return Some(unusable(cause, settings)),
        JournalError::Full => Diagnostic::error(format!("cannot write {journal}: the disk is full"))
            .help("free some space: `jitney clean` removes files that are no longer needed"),
        JournalError::Damaged(cause) => {
            Diagnostic::error(format!("the journal {journal} is damaged: {cause}")).help(format!(
                "move it away together with its -wal and -shm files, and a new journal is created. The old one holds the \
                 executions and the progress of schedules and backfills; your tables and {} are not affected",
                settings.kv().display()
            ))
        }
        JournalError::Sqlite(cause) => {
            Diagnostic::error(format!("cannot use {journal}: {}", crate::text::chain(cause)))
                .help("choose another folder with `--home` or JITNEY_HOME")
        }
        _ => return None,
    };
    Some(Unusable(finding).into())
}

/// What is wrong with a home folder that cannot be made or written.
pub(super) fn unusable(cause: &io::Error, settings: &Settings) -> anyhow::Error {
    let home = settings.home.display();
    if cause.kind() == io::ErrorKind::StorageFull {
        let finding = Diagnostic::error(format!("cannot write to the home folder {home}: the disk is full"));
        return Unusable(finding.help("free some space: `jitney clean` removes files that are no longer needed"))
            .into();
    }
    let why = if settings.home.is_file() { "it is a file".to_owned() } else { cause.to_string() };
    let finding = Diagnostic::error(format!("cannot use the home folder {home}: {why}"));
    InvalidFlow::from(finding.help("choose another folder with `--home` or JITNEY_HOME, one that you may write to"))
        .into()
}

/// What is wrong with a clock that no date can be told from.
pub(super) fn about_clock(now: SystemTime) -> Option<InvalidFlow> {
    let is_early = now < SystemTime::UNIX_EPOCH;
    let finding = Diagnostic::error("the clock of this machine is set to a time before 1970");
    is_early.then(|| finding.help("set the clock, and try again").into())
}

/// The remedy of an error that has one.
pub(super) fn help(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<Unusable>()?.0.help.as_deref()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_set_before_1970_is_an_error() {
        let early = SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(3600)).unwrap();
        assert!(about_clock(early).unwrap().to_string().contains("before 1970"));
        assert!(about_clock(SystemTime::UNIX_EPOCH).is_none());
    }
}
