//! Errors about the home folder, with its path and a remedy.

use std::io;
use std::time::SystemTime;

use crate::cli::InvalidFlow;
use crate::cli::exit::has_findings;
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::EngineError;
use crate::engine::backfill::BackfillError;
use crate::journal::{JournalError, KvError};

/// A failure of the machine, with a remedy.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
struct Unusable(Diagnostic);

/// The same error, with the path and a remedy if it is about the home folder.
pub(super) fn with_remedy(error: anyhow::Error, settings: &Settings) -> anyhow::Error {
    if has_findings(&error) {
        return error;
    }
    if let Some(problem) = error.chain().find_map(journal_error) {
        return journal_problem(problem, settings).unwrap_or(error);
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<KvError>()) {
        Some(KvError::Folder(cause)) => unusable_home(cause, settings),
        _ => error,
    }
}

/// Some errors show the message of their cause and are not linked to it by `source`.
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

fn journal_problem(problem: &JournalError, settings: &Settings) -> Option<anyhow::Error> {
    let journal = settings.journal().display().to_string();
    let finding = match problem.kind() {
        JournalError::Folder(cause) => return Some(unusable_home(cause, settings)),
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

/// The error for a home folder that cannot be created or written.
pub(super) fn unusable_home(cause: &io::Error, settings: &Settings) -> anyhow::Error {
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

/// The error for a clock that is set before 1970.
pub(super) fn clock_problem(now: SystemTime) -> Option<InvalidFlow> {
    let is_early = now < SystemTime::UNIX_EPOCH;
    let finding = Diagnostic::error("the clock of this machine is set to a time before 1970");
    is_early.then(|| finding.help("set the clock, and try again").into())
}

/// The remedy for an error, if it has one.
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
        assert!(clock_problem(early).unwrap().to_string().contains("before 1970"));
        assert!(clock_problem(SystemTime::UNIX_EPOCH).is_none());
    }
}
