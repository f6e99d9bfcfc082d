//! The flows of one or more folders, by namespace and id. Files that come, change, break and go are seen; a broken one
//! keeps its last good flow.

mod duplicates;
mod edit;
mod files;
mod lookup;
mod watch;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch as channel;

use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::snapshot;
use crate::engine::walk::{self, FileVersion};
use crate::flow::{Flow, parse};
use crate::id::FlowKey;
use crate::journal::{Journal, JournalError, Revision};
use crate::task::TaskType;
use files::{LoadedFile, StaleFile};

pub use duplicates::duplicate;
pub use edit::EditedText;

/// The longest id or namespace of a flow that is saved: file systems take names of 255 bytes, and a file that is being
/// written has a longer one.
const MAX_NAME_LENGTH: usize = 200;

/// A flow of the catalog.
#[derive(Debug)]
pub struct CatalogEntry {
    /// The flow's namespace.
    pub namespace: String,
    /// The flow's id.
    pub id: String,
    /// The flow as it was last good.
    pub flow: Arc<Flow>,
    /// The number of its text.
    pub revision: u32,
    /// The file it is in.
    pub file: PathBuf,
    /// What is wrong with the file, and what could be better.
    pub findings: Vec<Diagnostic>,
    /// Whether the file is no good flow now.
    pub is_broken: bool,
    /// The file's text, where it is broken.
    broken_text: Option<String>,
}

impl CatalogEntry {
    /// What tells the flow from all others.
    pub fn key(&self) -> FlowKey {
        FlowKey::new(&self.namespace, &self.id)
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        self.broken_text.as_deref().unwrap_or(&self.flow.document.text)
    }
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowChangeKind {
    /// It is new.
    Added,
    /// It has another text.
    Changed,
    /// Its file is no good flow any more; the last good one stays.
    Broken,
    /// Its file is gone.
    Removed,
}

/// A flow that has changed.
#[derive(Clone, Debug)]
pub struct FlowChange {
    /// How.
    pub kind: FlowChangeKind,
    /// The flow, as it is now or was last.
    pub entry: Arc<CatalogEntry>,
}

/// Why the catalog cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The text is no flow.
    #[error("{}", .0.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Diagnostic>),
    /// A file cannot be read or written.
    #[error("cannot {what} {}", file.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// To which file.
        file: PathBuf,
        /// Why it failed.
        #[source]
        error: io::Error,
    },
    /// The journal, which numbers the texts.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no such flow.
    #[error("there is no flow {0}")]
    NotFound(FlowKey),
    /// There is such a flow already.
    #[error("the flow {0} already exists")]
    Exists(FlowKey),
    /// The file has another text than the one that was edited.
    #[error("the file {} has changed since the edit began", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
        /// Its text now; empty if it is gone.
        text: String,
    },
}

/// What has changed in the folders since they were last read.
#[derive(Debug, Default)]
pub struct RefreshReport {
    /// Flows that have changed.
    pub changes: Vec<FlowChange>,
    /// New problems of files that hold no flow.
    pub problems: Vec<Diagnostic>,
    /// The problems of folders, as long as they last: their flows stay as they were.
    pub unreadable: Vec<Diagnostic>,
}

/// The files below a folder that a catalog would read, and what is wrong with folders there.
pub fn flow_files(folder: &Path) -> (Vec<PathBuf>, Vec<Diagnostic>) {
    let found = walk::find(&[folder.to_owned()], &[]);
    let problems = [found.links(), found.problems()].concat();
    (found.files.into_keys().map(PathBuf::from).collect(), problems)
}

type Entries = BTreeMap<FlowKey, Arc<CatalogEntry>>;

/// By the file's path, as text: paths are compared part by part, which takes long for thousands of them.
type Files = BTreeMap<OsString, LoadedFile>;

/// The flows of some folders.
pub struct Catalog {
    folders: Vec<PathBuf>,
    /// The first folder, if it was not there and had to be made.
    made: Option<PathBuf>,
    tasks: &'static [TaskType],
    journal: Arc<Journal>,
    /// What each file held when it was last read. Locked throughout a refresh, so that refreshes take turns.
    files: Mutex<Files>,
    /// Never locked while the journal is called: the journal's transactions ask it for the limits of flows.
    view: RwLock<CatalogView>,
    changes: channel::Sender<u64>,
    /// Locked while a flow is saved, so that of two edits the second sees the first.
    saving: Mutex<()>,
    /// The reports of refreshes by calls, which the watcher has not passed on yet.
    unreported: Mutex<Vec<RefreshReport>>,
}

#[derive(Default)]
struct CatalogView {
    entries: Entries,
    /// What is wrong with files that give no flow.
    problems: Vec<Diagnostic>,
    unreadable: Vec<Diagnostic>,
    /// Links that are not followed.
    links: Vec<Diagnostic>,
}

impl Catalog {
    /// Reads the flows of some folders. The first one is where new flows are saved; it is made if need be.
    ///
    /// # Errors
    /// When a folder cannot be read or made, or the journal cannot be used. Files that are no flows are problems, not
    /// errors.
    pub fn open(
        folders: Vec<PathBuf>,
        tasks: &'static [TaskType],
        journal: Arc<Journal>,
    ) -> Result<Arc<Self>, CatalogError> {
        let absolute = |folder: PathBuf| std::path::absolute(&folder).unwrap_or(folder);
        let folders: Vec<PathBuf> = folders.into_iter().map(absolute).collect();
        let made = folders.first().filter(|first| !first.exists()).cloned();
        if let Some(first) = folders.first() {
            std::fs::create_dir_all(first).map_err(file_error("create the folder", first))?;
        }
        for folder in &folders {
            std::fs::read_dir(folder).map_err(file_error("read the folder", folder))?;
        }
        let (files, view, changes) = (Mutex::default(), RwLock::default(), channel::Sender::new(0));
        let (saving, unreported) = (Mutex::default(), Mutex::default());
        let catalog = Self { folders, made, tasks, journal, files, view, changes, saving, unreported };
        catalog.refresh()?;
        Ok(Arc::new(catalog))
    }

    /// A flow as it was last good.
    pub fn flow(&self, namespace: &str, id: &str) -> Option<Arc<Flow>> {
        self.get(namespace, id).map(|entry| entry.flow.clone())
    }

    /// A flow with all that is known about it.
    pub fn get(&self, namespace: &str, id: &str) -> Option<Arc<CatalogEntry>> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.entries.get(&FlowKey::new(namespace, id)).cloned()
    }

    /// All flows, by namespace and id.
    pub fn list(&self) -> Vec<Arc<CatalogEntry>> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).entries.values().cloned().collect()
    }

    /// Problems other than those of the flows: files that never were one, files whose flow another file has, folders that cannot
    /// be read, and a folder that was not there.
    pub fn problems(&self) -> Vec<Diagnostic> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let made = self.made.iter().filter(|_| view.entries.is_empty()).map(|folder| {
            let message = format!("the folder {} did not exist and was created; it has no flows", folder.display());
            Diagnostic::warning(message).help("specify the folder of flows with `--flows`")
        });
        made.chain(view.unreadable.iter().chain(&view.links).chain(&view.problems).cloned()).collect()
    }

    /// A count that goes up whenever a flow has changed.
    pub fn subscribe(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The folders that are looked at.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Reads what has changed in the folders.
    ///
    /// # Errors
    /// When the journal cannot be used; the catalog is then as it was.
    pub fn refresh(&self) -> Result<RefreshReport, CatalogError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let found = walk::find(&self.folders, &[]);
        let (unreadable, links) = (found.problems(), found.links());
        let before = files.len();
        files.retain(|file, _| found.may_contain(file));
        let is_stale =
            |(file, version): &(OsString, FileVersion)| files.get(file).is_none_or(|read| read.version != *version);
        let stale: Vec<(OsString, FileVersion)> = found.files.into_iter().filter(is_stale).collect();
        let is_same = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            unreadable == view.unreadable && links == view.links
        };
        if stale.is_empty() && files.len() == before && is_same {
            return Ok(RefreshReport { unreadable, ..RefreshReport::default() });
        }
        let stale =
            stale.into_iter().map(|(file, version)| StaleFile { version, before: files.remove(&file), file }).collect();
        files.extend(files::read_all(stale, self.tasks, &self.journal)?);
        let view = CatalogView { links, ..self.view_of(&mut files, unreadable.clone())? };
        let mut held = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *held, view);
        let changes = differences(&old.entries, &held.entries);
        let is_new = |problem: &&Diagnostic| !old.problems.contains(problem) && !old.links.contains(problem);
        let problems = held.links.iter().chain(&held.problems).filter(is_new).cloned().collect();
        drop(held);
        if !changes.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
        Ok(RefreshReport { changes, problems, unreadable })
    }

    /// Gives the texts of these files their numbers.
    fn number(&self, files: &mut Files, of: &HashSet<OsString>) -> Result<(), CatalogError> {
        let is_new = |(file, read): &(&OsString, &mut LoadedFile)| read.revision == 0 && of.contains(*file);
        let mut new: Vec<&mut LoadedFile> = files.iter_mut().filter(is_new).map(|(_, read)| read).collect();
        let revision = |flow: &Flow| Revision {
            number: 0,
            time: clock::now(),
            sha256: snapshot::fingerprint(&flow.document.text),
            file: flow.document.file.clone(),
            text: snapshot::blank(&flow.document),
        };
        let flows: Vec<Arc<Flow>> = new.iter().filter_map(|read| read.flow.clone()).collect();
        let texts: Vec<(&str, &str, Revision)> =
            flows.iter().map(|flow| (flow.namespace.as_str(), flow.id.as_str(), revision(flow))).collect();
        let numbers = self.journal.number_revisions(&texts)?;
        new.iter_mut().zip(numbers).for_each(|(read, number)| read.revision = number);
        Ok(())
    }

    /// The text of a file that does not have its flow is no revision of it.
    fn view_of(&self, files: &mut Files, unreadable: Vec<Diagnostic>) -> Result<CatalogView, CatalogError> {
        let (chosen, duplicates) = {
            // Only a refresh changes it, and they take turns.
            let entries = self.view.read().unwrap_or_else(PoisonError::into_inner).entries.clone();
            duplicates::choose(files, &entries, &self.journal)?
        };
        let without = files.values().filter(|read| read.flow.is_none());
        let problems = without.flat_map(|read| read.findings.clone()).chain(duplicates).collect();
        let mut view = CatalogView { entries: BTreeMap::new(), problems, unreadable, links: Vec::new() };
        self.number(files, &chosen.values().cloned().collect())?;
        for (key, file) in chosen {
            let Some((read, flow)) = files.get(&file).and_then(|read| Some((read, read.flow.as_ref()?))) else {
                continue;
            };
            view.entries.insert(key, Arc::new(read.entry(Path::new(&file), flow)));
        }
        Ok(view)
    }

    /// Saves a flow: into the file that has it, else into `{namespace}/{id}.yaml` of the first folder. The file is
    /// there as a whole or as it was before.
    ///
    /// # Errors
    /// When the text is no flow, or the file cannot be written; nothing is changed then.
    pub fn save(&self, text: &str) -> Result<Arc<CatalogEntry>, CatalogError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(text)
    }

    fn write(&self, text: &str) -> Result<Arc<CatalogEntry>, CatalogError> {
        let parsed = parse("flow.yaml", text, self.tasks);
        let flow = parsed.flow.ok_or(CatalogError::Invalid(parsed.findings))?;
        let (namespace, id) = (flow.namespace.as_str(), flow.id.as_str());
        let file = match self.get(namespace, id) {
            Some(entry) => entry.file.clone(),
            None => {
                self.reject_contested(&flow)?;
                self.new_file(namespace, id)?
            }
        };
        files::replace(&file, text).map_err(file_error("write", &file))?;
        self.refresh_unreported()?;
        self.get(namespace, id).ok_or_else(|| CatalogError::NotFound(FlowKey::new(namespace, id)))
    }

    /// Rejects a flow that several files hold, none of which is loaded: it is not clear which of them to write.
    fn reject_contested(&self, flow: &Flow) -> Result<(), CatalogError> {
        let duplicate = duplicate(flow).message;
        let problems = self.problems().into_iter().filter(|problem| problem.message == duplicate);
        let files: Vec<String> = problems.map(|problem| problem.file).collect();
        if files.is_empty() {
            return Ok(());
        }
        let finding = Diagnostic::error(duplicate).help(format!("remove one of the files {}", files.join(" and ")));
        Err(CatalogError::Invalid(vec![finding]))
    }

    fn new_file(&self, namespace: &str, id: &str) -> Result<PathBuf, CatalogError> {
        let none = || CatalogError::NotFound(FlowKey::new(namespace, id));
        let folder = self.folders.first().ok_or_else(none)?.join(namespace);
        if let Some(part) =
            [namespace, id].into_iter().find(|part| part.starts_with('_') || part.len() > MAX_NAME_LENGTH)
        {
            let message = format!("a flow named `{part}` cannot be saved: its file would be ignored");
            let help = format!("use a name of at most {MAX_NAME_LENGTH} characters that does not begin with `_`");
            return Err(CatalogError::Invalid(vec![Diagnostic::error(message).help(help)]));
        }
        let file = folder.join(format!("{id}.yaml"));
        if file.exists() {
            let message = format!("{} already exists, and contains another flow", file.display());
            return Err(CatalogError::Invalid(vec![Diagnostic::error(message).help("rename that file")]));
        }
        Ok(file)
    }

    /// Removes a flow with its file. Its executions stay.
    ///
    /// # Errors
    /// When there is none, or the file cannot be removed.
    pub fn remove(&self, namespace: &str, id: &str) -> Result<(), CatalogError> {
        let unknown = || CatalogError::NotFound(FlowKey::new(namespace, id));
        let entry = self.get(namespace, id).ok_or_else(unknown)?;
        std::fs::remove_file(&entry.file).map_err(file_error("remove", &entry.file))?;
        self.refresh_unreported()
    }

    /// Reads what has changed, and leaves the report to the watcher.
    fn refresh_unreported(&self) -> Result<(), CatalogError> {
        let look = self.refresh()?;
        if !(look.changes.is_empty() && look.problems.is_empty()) {
            self.unreported.lock().unwrap_or_else(PoisonError::into_inner).push(look);
        }
        Ok(())
    }
}

fn file_error(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> CatalogError {
    let file = file.to_owned();
    move |error| CatalogError::File { what, file, error }
}

fn differences(old: &Entries, new: &Entries) -> Vec<FlowChange> {
    let mut changes = Vec::new();
    for (key, entry) in new {
        let kind = match old.get(key) {
            None => FlowChangeKind::Added,
            Some(_) if entry.is_broken => FlowChangeKind::Broken,
            Some(_) => FlowChangeKind::Changed,
        };
        let is_same = |old: &Arc<CatalogEntry>| {
            old.file == entry.file && old.is_broken == entry.is_broken && old.text() == entry.text()
        };
        if !old.get(key).is_some_and(is_same) {
            changes.push(FlowChange { kind, entry: entry.clone() });
        }
    }
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    changes.extend(gone.map(|(_, entry)| FlowChange { kind: FlowChangeKind::Removed, entry: entry.clone() }));
    changes
}
