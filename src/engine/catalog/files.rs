//! The files of a catalog: finding, reading and replacing them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{CatalogError, Entry, file_error};
use crate::diagnostic::Diagnostic;
use crate::engine::snapshot;
use crate::flow::{Flow, parse};
use crate::journal::{Journal, JournalError};
use crate::task::TaskType;

/// How deep below a catalog's folder flows may stand.
const DEEPEST: usize = 16;

/// What tells a file's texts apart without reading them.
pub(super) type Mark = (Option<SystemTime>, u64);

/// What a file held when it was last read.
pub(super) struct Read {
    pub(super) mark: Mark,
    /// The flow, as it was last good.
    pub(super) flow: Option<Arc<Flow>>,
    /// Its number; 0 until it is known.
    pub(super) revision: u32,
    pub(super) findings: Vec<Diagnostic>,
    broken_text: Option<String>,
}

impl Read {
    /// Reads a file; none when it is gone. One that is no good flow keeps what it was: now, or, at the start of a
    /// process, when another one saw it.
    pub(super) fn file(
        file: &Path,
        mark: Mark,
        before: Option<Self>,
        tasks: &'static [TaskType],
        journal: &Journal,
    ) -> Result<Option<Self>, JournalError> {
        let name = file.display().to_string();
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let finding = Diagnostic::error(format!("cannot read the flow `{name}`: {error}"));
                return Ok(Some(Self::broken(mark, before, vec![finding], String::new())));
            }
        };
        let parsed = parse(&name, &text, tasks);
        Ok(Some(match (parsed.flow, before) {
            (Some(flow), _) => {
                Self { mark, flow: Some(Arc::new(flow)), revision: 0, findings: parsed.findings, broken_text: None }
            }
            (None, Some(before)) => Self::broken(mark, Some(before), parsed.findings, text),
            (None, None) => Self::broken(mark, last_good(&name, tasks, journal)?, parsed.findings, text),
        }))
    }

    fn broken(mark: Mark, before: Option<Self>, findings: Vec<Diagnostic>, text: String) -> Self {
        let (flow, revision) = before.map_or((None, 0), |before| (before.flow, before.revision));
        Self { mark, flow, revision, findings, broken_text: Some(text) }
    }

    /// The catalog's entry of a flow.
    pub(super) fn entry(&self, file: &Path, flow: &Arc<Flow>) -> Entry {
        Entry {
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
fn last_good(name: &str, tasks: &'static [TaskType], journal: &Journal) -> Result<Option<Read>, JournalError> {
    for revision in journal.revisions_of_file(name)? {
        if snapshot::fingerprint(&revision.text) == revision.sha256
            && let Some(flow) = parse(name, &revision.text, tasks).flow
        {
            let (flow, findings) = (Some(Arc::new(flow)), Vec::new());
            return Ok(Some(Read { mark: (None, 0), flow, revision: revision.number, findings, broken_text: None }));
        }
    }
    Ok(None)
}

/// The YAML files of folders and the folders below them. Folders whose names begin with `.` or `_` hold other things.
pub(super) fn find(folders: &[PathBuf]) -> Result<BTreeMap<PathBuf, Mark>, CatalogError> {
    let mut found = BTreeMap::new();
    for folder in folders {
        walk(folder, 0, &mut found).map_err(file_error("read the folder", folder))?;
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut BTreeMap<PathBuf, Mark>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        // What is gone before it could be looked at is gone.
        let Ok(about) = fs::metadata(&path) else { continue };
        if name.starts_with(['.', '_']) {
            continue;
        }
        if about.is_dir() && depth < DEEPEST {
            walk(&path, depth + 1, found)?;
        } else if about.is_file() && is_yaml {
            found.insert(path, (about.modified().ok(), about.len()));
        }
    }
    Ok(())
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
