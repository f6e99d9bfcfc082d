//! The files of a catalog: reading and replacing them.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use super::CatalogEntry;
use crate::diagnostic::Diagnostic;
use crate::engine::walk::FileVersion;
use crate::engine::{flow_file, snapshot};
use crate::flow::{Flow, parse};
use crate::journal::{Journal, JournalError};
use crate::task::TaskType;

/// So many files are read on one thread.
const FILES_PER_THREAD: usize = 64;

/// What a file held when it was last read.
pub(super) struct LoadedFile {
    pub(super) version: FileVersion,
    /// The flow, as it was last good.
    pub(super) flow: Option<Arc<Flow>>,
    /// Its number; 0 until it is known.
    pub(super) revision: u32,
    pub(super) findings: Vec<Diagnostic>,
    broken_text: Option<String>,
}

impl LoadedFile {
    /// Reads a file; none when it is gone. One that is no good flow keeps what it was: now, or, at the start of a
    /// process, when another one saw it.
    fn file(
        file: &Path,
        version: FileVersion,
        before: Option<Self>,
        tasks: &'static [TaskType],
        journal: &Journal,
    ) -> Result<Option<Self>, JournalError> {
        let name = file.display().to_string();
        let text = match flow_file::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let finding = Diagnostic::error(format!("cannot read the flow `{name}`: {error}"));
                // Rights can change and the version with them need not: it is tried at every look.
                return Ok(Some(Self::broken((None, u64::MAX), before, vec![finding], String::new())));
            }
        };
        let parsed = parse(&name, &text, tasks);
        Ok(Some(match (parsed.flow, before) {
            (Some(flow), _) => {
                Self { version, flow: Some(Arc::new(flow)), revision: 0, findings: parsed.findings, broken_text: None }
            }
            (None, Some(before)) => Self::broken(version, Some(before), parsed.findings, text),
            (None, None) => Self::broken(version, last_good(&name, tasks, journal)?, parsed.findings, text),
        }))
    }

    fn broken(version: FileVersion, before: Option<Self>, findings: Vec<Diagnostic>, text: String) -> Self {
        let (flow, revision) = before.map_or((None, 0), |before| (before.flow, before.revision));
        Self { version, flow, revision, findings, broken_text: Some(text) }
    }

    /// The catalog's entry of a flow.
    pub(super) fn entry(&self, file: &Path, flow: &Arc<Flow>) -> CatalogEntry {
        CatalogEntry {
            namespace: flow.namespace.clone(),
            id: flow.id.to_string(),
            flow: flow.clone(),
            revision: self.revision,
            file: file.to_owned(),
            findings: self.findings.clone(),
            is_broken: self.broken_text.is_some(),
            broken_text: self.broken_text.clone(),
        }
    }
}

/// The flow that a file held when a journal last saw it, if the journal's copy is whole.
fn last_good(name: &str, tasks: &'static [TaskType], journal: &Journal) -> Result<Option<LoadedFile>, JournalError> {
    for revision in journal.revisions_of_file(name)? {
        if snapshot::fingerprint(&revision.text) == revision.sha256
            && let Some(flow) = parse(name, &revision.text, tasks).flow
        {
            let (flow, findings) = (Some(Arc::new(flow)), Vec::new());
            return Ok(Some(LoadedFile {
                version: (None, 0),
                flow,
                revision: revision.number,
                findings,
                broken_text: None,
            }));
        }
    }
    Ok(None)
}

/// A file that is to be read.
pub(super) struct StaleFile {
    pub(super) file: OsString,
    pub(super) version: FileVersion,
    /// What it held before.
    pub(super) before: Option<LoadedFile>,
}

/// Reads files, side by side where there are many. One that is gone by now is left out, and is so at the next look.
pub(super) fn read_all(
    mut stale: Vec<StaleFile>,
    tasks: &'static [TaskType],
    journal: &Journal,
) -> Result<Vec<(OsString, LoadedFile)>, JournalError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = stale.len().div_ceil(threads).max(FILES_PER_THREAD);
    let mut read = Vec::with_capacity(stale.len());
    std::thread::scope(|scope| {
        let mut others = Vec::new();
        while stale.len() > share {
            let part = stale.split_off(stale.len() - share);
            others.push(scope.spawn(|| read_each(part, tasks, journal)));
        }
        read.extend(read_each(stale, tasks, journal)?);
        for other in others {
            read.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(read)
    })
}

fn read_each(
    stale: Vec<StaleFile>,
    tasks: &'static [TaskType],
    journal: &Journal,
) -> Result<Vec<(OsString, LoadedFile)>, JournalError> {
    let one =
        |StaleFile { file, version, before }| match LoadedFile::file(Path::new(&file), version, before, tasks, journal)
        {
            Ok(read) => read.map(|read| Ok((file, read))),
            Err(error) => Some(Err(error)),
        };
    stale.into_iter().filter_map(one).collect()
}

/// Puts a text in a file's place, all or nothing.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("flow");
    let new = folder.join(format!(".{name}.{:08x}", rand::random::<u32>()));
    let written = fs::File::create(&new).and_then(|mut handle| {
        handle.write_all(text.as_bytes())?;
        handle.sync_all()?;
        fs::rename(&new, file)
    });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}
