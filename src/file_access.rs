//! Which files of this machine a value of a flow may name.
//!
//! A flow that its user runs on the command line may read whatever that user may. In an execution that a server runs,
//! values come from elsewhere: inputs, webhooks, kept values, answers of other systems, what scripts print. There a file
//! is read, and a database file written, only if its path
//!
//! - is **literal**: written in the flow, whose author is trusted (`engine/literal.rs` says what that is);
//! - or leads into the flow's folder, the server's storage, or the working folder that tasks share; but not into the
//!   rest of the server's home;
//! - or is that of the file for which a trigger started the execution, unless it is a link out of its folder;
//! - or leads below a folder that `JITNEY_FILE_ROOTS` names.
//!
//! Links are followed before this is decided. What lies below `/proc`, `/sys` or `/dev` is never read.

use std::collections::BTreeSet;
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
    rule: Option<Rule>,
}

/// What holds in an execution of a server.
#[derive(Clone, Debug)]
struct Rule {
    /// The folders whose files may be read, beside the flow's own.
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
        let rule = Rule { open, home: settings.home.clone(), literal: BTreeSet::new(), found: None };
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
        self.check(text, &path).map(|()| path)
    }

    /// Whether a file may be read that a text names.
    ///
    /// # Errors
    /// When it may not.
    pub fn check(&self, text: &str, path: &Path) -> Result<(), Box<Diagnostic>> {
        let Some(rule) = &self.rule else { return Ok(()) };
        let real = real(path);
        let places = [Some(path), real.as_deref()];
        if let Some(place) = places.into_iter().flatten().find_map(never) {
            let finding = Diagnostic::error(format!("the path `{text}` leads below {place}, which no server reads"));
            return Err(Box::new(finding.help("let a script copy what you need into a file of the execution")));
        }
        let is_open = real.is_some_and(|real| self.leads_into(rule, &real) || rule.has_found(path, &real));
        if rule.literal.contains(text.trim()) || is_open {
            return Ok(());
        }
        let finding = Diagnostic::error(format!(
            "the path `{text}` is not written in the flow, and leads out of the flow's folder and the storage"
        ));
        Err(Box::new(finding.help(format!(
            "write the path itself into the flow, or let whoever runs the server name its folder in {FILE_ROOTS}"
        ))))
    }

    /// Whether the innermost folder that holds the file is one whose files may be read.
    fn leads_into(&self, rule: &Rule, real: &Path) -> bool {
        let depth = |folder: &PathBuf| {
            let folder = folder.canonicalize().ok().filter(|folder| real.starts_with(folder))?;
            Some(folder.components().count())
        };
        let open = rule.open.iter().chain([&self.folder]).filter_map(depth).max();
        open.is_some_and(|open| depth(&rule.home).is_none_or(|home| open >= home))
    }
}

impl Rule {
    /// Whether it is the file that a trigger found, and no link out of its folder.
    fn has_found(&self, path: &Path, real: &Path) -> bool {
        let folder = || path.parent()?.canonicalize().ok();
        self.found.as_deref() == Some(path) && folder().is_some_and(|folder| real.starts_with(folder))
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

/// Where a path leads, all links followed; of one that is not there, where it would be. None where that cannot be told.
fn real(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        Ok(real) => Some(real),
        Err(_) => Some(real(path.parent()?)?.join(path.file_name()?)),
    }
}

/// The folder that nothing is read from in which a path lies.
fn never(path: &Path) -> Option<&'static str> {
    NEVER.into_iter().find(|folder| path.starts_with(folder))
}
