//! Which files of this machine a value of a flow may name.
//!
//! A flow that its user runs on the command line may read whatever that user may. In an execution that a server runs,
//! values come from elsewhere: inputs, webhooks, stored values, answers of other systems, what scripts print. There a file
//! is read, and a database file written, only if its path
//!
//! - is **literal**: written in the flow, whose author is trusted (`engine/literal.rs` says what that is);
//! - or leads into the flow's folder, the server's storage, or the working folder that tasks share; but not into the
//!   rest of the server's home;
//! - or is that of the file for which a trigger started the execution, unless it is a link out of its folder;
//! - or leads below a folder that `JITNEY_FILE_ROOTS` names.
//!
//! Links are followed before this is decided. What lies below `/proc`, `/sys` or `/dev` is never read. Every reader of a file
//! opens it here: what counts is where the file is that was opened, whatever has become of its path since.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::{FILE_ROOTS, Settings};
use crate::diagnostic::Diagnostic;

/// What shows the machine's and the server's own state as files.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];
/// What the address of a file of this machine begins with.
const FILE: &str = "file://";

/// The files that the values of a flow may name.
#[derive(Clone, Debug, Default)]
pub struct FileAccess {
    folder: PathBuf,
    /// The task whose values name them; empty where there is none.
    task: String,
    rule: Option<AccessRule>,
}

/// What holds in an execution of a server.
#[derive(Clone, Debug)]
struct AccessRule {
    /// The folders whose files may be read, in addition to the flow's own.
    open: Vec<PathBuf>,
    home: PathBuf,
    literal: BTreeSet<String>,
    found: Option<PathBuf>,
}

impl FileAccess {
    /// Every file; relative paths start at the folder.
    pub fn unrestricted(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }

    /// The files that values from outside may name.
    pub fn restricted(folder: impl Into<PathBuf>, settings: &Settings) -> Self {
        let mut open = settings.file_roots.clone();
        open.push(settings.storage());
        let rule = AccessRule { open, home: settings.home.clone(), literal: BTreeSet::new(), found: None };
        Self { folder: folder.into(), rule: Some(rule), ..Self::default() }
    }

    /// Whether not every file may be read.
    pub fn is_restricted(&self) -> bool {
        self.rule.is_some()
    }

    /// Whether a text is written in the flow. Without restrictions every text counts as such.
    pub fn is_literal(&self, text: &str) -> bool {
        self.rule.as_ref().is_none_or(|rule| rule.literal.contains(text.trim()))
    }

    /// The same for a flow in another folder.
    pub fn in_folder(&self, folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), ..self.clone() }
    }

    /// The same for the values of a task, which errors then name.
    pub fn of_task(mut self, task: &str) -> Self {
        task.clone_into(&mut self.task);
        self
    }

    /// The finding about a value of this field.
    pub fn in_field(&self, field: &str, mut finding: Diagnostic) -> Diagnostic {
        finding.message = format!("task `{}`, field `{field}`: {}", self.task, finding.message);
        finding
    }

    /// These paths may be read too: they are written in the flow.
    pub fn with_literal(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        if let Some(rule) = &mut self.rule {
            rule.literal.extend(texts);
        }
        self
    }

    /// The files of this folder may be read too.
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        if let Some(rule) = &mut self.rule {
            rule.open.push(folder.into());
        }
        self
    }

    /// This file may be read too: a trigger found it.
    pub fn with_found(mut self, file: Option<&str>) -> Self {
        if let Some(rule) = &mut self.rule {
            rule.found = file.map(PathBuf::from);
        }
        self
    }

    /// The folder of the flow's file.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a text that names a file of this machine.
    pub fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text.strip_prefix(FILE).unwrap_or(text))
    }

    /// The path of a text that names a file of this machine, if it may be read. The file need not be there.
    ///
    /// # Errors
    /// When it may not.
    pub fn resolve(&self, text: &str) -> Result<PathBuf, Box<Diagnostic>> {
        let path = self.path(text.trim());
        let real = real(&path);
        self.judge(text, &path, real.clone())?;
        // The path that was looked at: no link leads its reader elsewhere.
        Ok(real.filter(|_| self.is_restricted()).unwrap_or(path))
    }

    /// Whether a file may be read that a text names.
    ///
    /// # Errors
    /// When it may not.
    pub fn check(&self, text: &str, path: &Path) -> Result<(), Box<Diagnostic>> {
        self.judge(text, path, real(path))
    }

    /// Opens a file for reading that a text names. The file that was opened may be read, even if its path leads elsewhere
    /// by now.
    ///
    /// # Errors
    /// When it may not be read; within that, when it cannot be opened.
    pub fn open(&self, text: &str, path: &Path) -> Result<io::Result<File>, Box<Diagnostic>> {
        // What may not be read is not touched: some files do something when they are opened.
        self.check(text, path)?;
        if self.rule.is_none() {
            return Ok(File::open(path));
        }
        match opened(path) {
            Ok((file, real)) => self.judge(text, path, Some(real)).map(|()| Ok(file)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn judge(&self, text: &str, path: &Path, real: Option<PathBuf>) -> Result<(), Box<Diagnostic>> {
        let Some(rule) = &self.rule else { return Ok(()) };
        let places = [Some(path), real.as_deref()];
        if let Some(place) = places.into_iter().flatten().find_map(never) {
            let finding =
                Diagnostic::error(format!("the path `{text}` is inside {place}, which a server does not read"));
            return Err(Box::new(finding.help("copy the data into a file of the execution with a script")));
        }
        let is_open = real.is_some_and(|real| self.leads_into(rule, &real) || rule.has_found(path, &real));
        if rule.literal.contains(text.trim()) || is_open {
            return Ok(());
        }
        let finding = Diagnostic::error(format!(
            "the path `{text}` is not written in the flow, and leads out of the flow's folder and the storage"
        ));
        Err(Box::new(finding.help(format!(
            "write the path in the flow itself, or ask the administrator of the server to add its folder to {FILE_ROOTS}"
        ))))
    }

    /// Whether the innermost folder that holds the file is one whose files may be read.
    fn leads_into(&self, rule: &AccessRule, real: &Path) -> bool {
        let depth = |folder: &PathBuf| {
            let folder = folder.canonicalize().ok().filter(|folder| real.starts_with(folder))?;
            Some(folder.components().count())
        };
        let open = rule.open.iter().chain([&self.folder]).filter_map(depth).max();
        open.is_some_and(|open| depth(&rule.home).is_none_or(|home| open >= home))
    }
}

impl AccessRule {
    /// Whether it is the file that a trigger found, by whichever path, and no link out of its folder.
    fn has_found(&self, path: &Path, real: &Path) -> bool {
        let Some(found) = &self.found else { return false };
        let is_found = found == path || found.canonicalize().is_ok_and(|found| found == path);
        let folder = || found.parent()?.canonicalize().ok();
        is_found && folder().is_some_and(|folder| real.starts_with(folder))
    }
}

/// The texts and numbers in a value, and in the JSON that a text of it may be.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            let inner = serde_json::from_str(text).ok().filter(|inner: &Value| inner.is_array() || inner.is_object());
            let inner = inner.iter().flat_map(texts).collect::<Vec<_>>();
            inner.into_iter().chain([text.trim().to_owned()]).collect()
        }
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        Value::Number(number) => vec![number.to_string()],
        Value::Bool(_) | Value::Null => Vec::new(),
    }
}

/// Where a path leads, all links followed; of one that is not there, where it would be. None if that is unknown.
fn real(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        Ok(real) => Some(real),
        // A link whose target is missing: opening it for writing creates that.
        Err(_) if path.is_symlink() => None,
        Err(_) => Some(real(path.parent()?)?.join(path.file_name()?)),
    }
}

/// Opens a file, and tells where the file is that was opened. A pipe is not waited for.
fn opened(path: &Path) -> io::Result<(File, PathBuf)> {
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(no_wait).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("this is not a file"));
    }
    if let Ok(real) = handle(&file).read_link() {
        return Ok((file, real));
    }
    // Where the system does not tell, the path must lead to this very file still.
    let real = path.canonicalize()?;
    let now = real.symlink_metadata()?;
    let is_same = (now.dev(), now.ino()) == (found.dev(), found.ino());
    if is_same { Ok((file, real)) } else { Err(io::Error::other("it was replaced while it was being opened")) }
}

/// What leads to an open file as long as it is open, on Linux.
pub fn handle(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The folder that nothing is read from in which a path lies.
fn never(path: &Path) -> Option<&'static str> {
    NEVER.into_iter().find(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::config::CliOverrides;

    /// A folder with a file `x` and a secret next to it, and what a server may read there.
    fn place() -> (tempfile::TempDir, FileAccess) {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("flows")).unwrap();
        fs::write(place.path().join("secret"), "secret").unwrap();
        fs::write(place.path().join("flows/x"), "open").unwrap();
        let overrides = CliOverrides { home: Some(place.path().join("home")), postgres: None };
        let settings = Settings::from_environment(overrides, std::collections::BTreeMap::new()).unwrap();
        let files = FileAccess::restricted(place.path().join("flows"), &settings);
        (place, files)
    }

    fn read(files: &FileAccess) -> Option<String> {
        let file = files.open("x", &files.path("x")).ok()?.ok()?;
        Some(io::read_to_string(file).unwrap())
    }

    #[test]
    fn the_file_that_is_read_is_the_one_that_was_judged_whatever_becomes_of_its_path() {
        let (place, files) = place();
        assert_eq!(read(&files).as_deref(), Some("open"));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let swap = || {
                let path = |name: &str| place.path().join(name);
                while !is_over.load(Ordering::Relaxed) {
                    symlink(path("secret"), path("flows/new")).unwrap();
                    fs::rename(path("flows/new"), path("flows/x")).unwrap();
                    fs::write(path("flows/new"), "open").unwrap();
                    fs::rename(path("flows/new"), path("flows/x")).unwrap();
                }
            };
            scope.spawn(swap);
            let mut found = Vec::new();
            // On a busy machine the other thread may not come to put the open file back for long.
            for tries in 0.. {
                found.extend(read(&files));
                if tries >= 3_000 && !found.is_empty() {
                    break;
                }
                std::thread::yield_now();
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(found.iter().all(|text| text == "open"), "the secret came through");
        });
    }

    #[test]
    fn a_pipe_is_no_file_and_holds_nobody_up() {
        let (place, files) = place();
        let pipe = place.path().join("flows/pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = files.open("pipe", &pipe).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "this is not a file");
    }
}
