//! What an attempt needs in its folder: `inputFiles`, and the stored files that a script names by their addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::workspace::Workspace;
use crate::storage::is_uri;
use crate::task::{TaskContext, TaskError};

/// What the addresses of stored files begin with.
const ADDRESS: &str = "jitney:///";

/// The field that names files.
const FIELD: &str = "inputFiles";

/// Where a file's content comes from.
enum FileContent {
    Text(String),
    File(PathBuf),
}

/// Files to be put in place.
pub(in crate::tasks) struct Inputs<'a> {
    context: &'a TaskContext,
    workspace: &'a Workspace,
    files: Vec<(FileContent, PathBuf)>,
    /// The places of the stored files that texts name.
    named: BTreeMap<String, PathBuf>,
}

impl<'a> Inputs<'a> {
    /// No files yet.
    pub(in crate::tasks) fn new(context: &'a TaskContext, workspace: &'a Workspace) -> Self {
        Self { context, workspace, files: Vec::new(), named: BTreeMap::new() }
    }

    /// Adds what `inputFiles` says: a map from names to contents or addresses, the same as JSON text, or a list of
    /// addresses and paths.
    ///
    /// # Errors
    /// When it is something else, a name points outside the folder, or a file is not there.
    pub(in crate::tasks) fn add(&mut self, files: &Value) -> Result<(), TaskError> {
        match files {
            Value::Null => Ok(()),
            Value::Object(map) => map.iter().try_for_each(|(name, content)| self.add_one(name, content)),
            Value::Array(list) => list.iter().try_for_each(|from| self.add_listed(from)),
            Value::String(text) => match serde_json::from_str(text) {
                Ok(inner @ (Value::Object(_) | Value::Array(_))) => self.add(&inner),
                _ => self.add_listed(files),
            },
            other => Err(not_files(other)),
        }
    }

    fn add_one(&mut self, name: &str, content: &Value) -> Result<(), TaskError> {
        let target = self.workspace.place(name)?;
        let content = match content {
            Value::String(text) if is_uri(text.trim()) || text.starts_with("file://") => {
                FileContent::File(self.context.input_file(FIELD, text.trim())?)
            }
            Value::String(text) => FileContent::Text(self.workspace.fill(text)),
            other => FileContent::Text(other.to_string()),
        };
        self.files.push((content, target));
        Ok(())
    }

    fn add_listed(&mut self, from: &Value) -> Result<(), TaskError> {
        let path = self.context.input_file(FIELD, from.as_str().ok_or_else(|| not_files(from))?.trim())?;
        let target = self.workspace.place(&path.file_name().unwrap_or_default().to_string_lossy())?;
        self.files.push((FileContent::File(path), target));
        Ok(())
    }

    /// Adds a file of this machine under a name.
    ///
    /// # Errors
    /// When the name points outside the folder.
    pub(in crate::tasks) fn add_file(&mut self, name: &str, source: PathBuf) -> Result<(), TaskError> {
        let target = self.workspace.place(name)?;
        self.files.push((FileContent::File(source), target));
        Ok(())
    }

    /// Adds a file of ours.
    pub(in crate::tasks) fn add_text(&mut self, target: PathBuf, text: String) {
        self.files.push((FileContent::Text(text), target));
    }

    /// The text with paths in place of `{{ workingDir }}` and of the addresses of stored files, which are added.
    pub(in crate::tasks) fn localize(&mut self, text: &str) -> String {
        let text = self.workspace.fill(text);
        let (mut local, mut rest) = (String::with_capacity(text.len()), text.as_str());
        while let Some(at) = rest.find(ADDRESS) {
            let (before, from) = rest.split_at(at);
            local.push_str(before);
            let (used, path) = self.local_path(from).unwrap_or((ADDRESS.len(), ADDRESS.to_owned()));
            local.push_str(&path);
            rest = &from[used..];
        }
        local + rest
    }

    /// The length of the address that the text begins with, and the place of its file. An address that names no file
    /// stays as it is; it may be mere talk.
    fn local_path(&mut self, text: &str) -> Option<(usize, String)> {
        let ends = |letter: char| letter.is_whitespace() || "\"'`<>|;,(){}$&\\".contains(letter);
        let mut address = text.split(ends).next()?;
        // Brackets and full stops may belong to the address or to the text around it.
        loop {
            if let Some(path) = self.local_copy(address) {
                return Some((address.len(), path.display().to_string()));
            }
            address = address.strip_suffix(['.', ':', ']', '!', '?', '*'])?;
        }
    }

    fn local_copy(&mut self, address: &str) -> Option<PathBuf> {
        if let Some(path) = self.named.get(address) {
            return Some(path.clone());
        }
        let source = self.context.input_file(FIELD, address).ok()?;
        let folder = self.workspace.root().join("inputs").join(self.named.len().to_string());
        let target = folder.join(source.file_name()?);
        self.files.push((FileContent::File(source), target.clone()));
        self.named.insert(address.to_owned(), target.clone());
        Some(target)
    }

    /// Puts the files in place. They are copies, so that a script may change them.
    ///
    /// # Errors
    /// When one cannot be written.
    pub(in crate::tasks) async fn place(self) -> Result<(), TaskError> {
        let files = self.files;
        // The folder of the working folder: what leads there is ours.
        let start = self.workspace.folder().parent().unwrap_or(self.workspace.folder()).to_owned();
        let placed = tokio::task::spawn_blocking(move || files.iter().try_for_each(|(from, to)| put(from, to, &start)));
        placed.await.map_err(|error| TaskError::permanent("copying the input files failed").caused_by(error))?
    }
}

/// Writes a file, and not through a link: a script that used the folder before may have put one there.
fn put(content: &FileContent, target: &Path, start: &Path) -> Result<(), TaskError> {
    let write = || -> io::Result<()> {
        let below_start = |path: &&Path| path.starts_with(start) && *path != start;
        if let Some(link) = target.ancestors().skip(1).take_while(below_start).find(|path| path.is_symlink()) {
            return Err(io::Error::other(format!("{} is a link", link.display())));
        }
        if target.is_symlink() {
            fs::remove_file(target)?;
        }
        fs::create_dir_all(target.parent().unwrap_or(target))?;
        match content {
            FileContent::Text(text) => fs::write(target, text),
            FileContent::File(path) => fs::copy(path, target).map(drop),
        }
    };
    write().map_err(|error| {
        TaskError::permanent(format!("cannot write the input file {}", target.display())).caused_by(error)
    })
}

fn not_files(value: &Value) -> TaskError {
    TaskError::permanent(format!("`inputFiles` cannot be {value}")).help(
        "write a map from file names to contents or addresses, such as {trips.csv: \"{{ outputs.extract.uri }}\"}",
    )
}
