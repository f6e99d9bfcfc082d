//! The folder that an attempt works in: what goes in before it, and what comes out after it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::namespace_files::{files_below, open_no_link, real_file};
use crate::process::ProgramSpec;
use crate::process::mark::ProcessMark;
use crate::task::{TaskContext, TaskError};

use super::glob;
use super::predecessor::{self, LOCK, MARK};

/// What `{{ workingDir }}` is rendered to, since the folder is known only to the attempt.
pub(in crate::tasks) const PLACEHOLDER: &str = crate::task::WORKING_DIR;

/// A folder of one attempt, removed when this is dropped.
pub(in crate::tasks) struct Workspace {
    root: PathBuf,
    folder: PathBuf,
    /// Whether others use it too.
    stays: bool,
    /// Held as long as the attempt runs.
    lock: Option<Arc<File>>,
    /// Whether there may have been an attempt before that could not tidy up.
    is_repeated: bool,
}

/// The folder that programs work in, within the one of an attempt.
const FILES: &str = "files";

fn unmade(error: &io::Error) -> TaskError {
    TaskError::permanent("cannot create the task's working folder").caused_by(error)
}

impl Workspace {
    /// Makes the folder, below `work` in jitney's home, when nothing of an earlier attempt is running any more.
    ///
    /// # Errors
    /// When it cannot be made, or the processes of an earlier attempt will not end.
    pub(in crate::tasks) async fn make(context: &TaskContext) -> Result<Self, TaskError> {
        let folders = context.settings.home.join("work");
        let is_repeated = predecessor::end(context, &folders).await?;
        let name = format!("{}.{}.{}", context.execution, Self::plain(context.run.as_str()), context.attempt);
        let (root, lock) = make_folder(&folders, &name, &ProcessMark::of(context)).map_err(|error| unmade(&error))?;
        let shared = context.services.folder.as_ref();
        let folder = shared.map_or_else(|| root.join(FILES), |shared| shared.join(FILES));
        Ok(Self { folder, root, stays: false, lock: Some(Arc::new(lock)), is_repeated })
    }

    /// A name without brackets, which a loop's tasks have in theirs, and which mean something to shells and globs.
    pub(in crate::tasks) fn plain(name: &str) -> String {
        name.replace(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_', "-")
    }

    /// Makes a folder that several tasks share, in place of one that an earlier attempt left behind. It stays.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(in crate::tasks) fn make_shared(root: PathBuf) -> Result<Self, TaskError> {
        let workspace = Self::shared(root);
        if workspace.root.exists() {
            fs::remove_dir_all(&workspace.root).map_err(|error| unmade(&error))?;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(workspace.folder()).map_err(|error| unmade(&error))?;
        Ok(workspace)
    }

    /// A folder that several tasks share, which is there.
    pub(in crate::tasks) fn shared(root: PathBuf) -> Self {
        Self { folder: root.join(FILES), root, stays: true, lock: None, is_repeated: false }
    }

    /// Has a program end, and be waited for, before another attempt begins, even if this process is killed.
    pub(in crate::tasks) fn guard(&self, program: ProgramSpec) -> ProgramSpec {
        match &self.lock {
            Some(lock) => program.holding(lock),
            None => program,
        }
    }

    /// Whether there may have been an attempt before that could not tidy up.
    pub(in crate::tasks) fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// The folder that the program starts in and `{{ workingDir }}` stands for.
    pub(in crate::tasks) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder around it, which no pattern of `outputFiles` reaches.
    pub(in crate::tasks) fn root(&self) -> &Path {
        &self.root
    }

    /// The text with the folder in place of `{{ workingDir }}`.
    pub(in crate::tasks) fn fill(&self, text: &str) -> String {
        text.replace(PLACEHOLDER, &self.folder.display().to_string())
    }

    /// The path of a file below the folder that a user named.
    ///
    /// # Errors
    /// When the name points outside.
    pub(in crate::tasks) fn place(&self, name: &str) -> Result<PathBuf, TaskError> {
        let relative = Path::new(name);
        let is_inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_inside || relative.file_name().is_none() {
            let error = TaskError::permanent(format!("`{name}` is not a valid name for a file in the working folder"));
            return Err(error.help("write a relative path without `..`, such as data/trips.csv"));
        }
        Ok(self.folder.join(relative))
    }

    /// Moves the files that match any of the patterns into storage, and gives their addresses by their names.
    ///
    /// # Errors
    /// When a pattern is malformed or a file cannot be stored.
    pub(in crate::tasks) fn take(
        &self,
        context: &TaskContext,
        patterns: &[String],
    ) -> Result<BTreeMap<String, String>, TaskError> {
        let mut found = Vec::new();
        if !patterns.is_empty() {
            files_below(&self.folder, "", &mut found)
                .map_err(|error| TaskError::permanent("cannot list the working folder").caused_by(error))?;
        }
        let mut taken = BTreeMap::new();
        for written in patterns {
            let written = self.fill(written);
            let relative = Path::new(&written).strip_prefix(&self.folder).ok().and_then(Path::to_str);
            let pattern = glob::pattern(relative.unwrap_or(&written).trim_start_matches("./"))?;
            let matching: Vec<&String> = found.iter().filter(|name| pattern.is_match(name)).collect();
            if matching.is_empty() {
                context.warn(format!("no file matches `{written}` of `outputFiles`"));
            }
            for name in matching {
                if taken.contains_key(name) {
                    continue;
                }
                match real_file(&self.folder, name) {
                    Some(file) => drop(taken.insert(name.clone(), self.store(context, name, &file)?)),
                    None if written == *name => return Err(leads_out(name)),
                    None => context.warn(leads_out(name).message),
                }
            }
        }
        Ok(taken)
    }

    fn store(&self, context: &TaskContext, name: &str, file: &Path) -> Result<String, TaskError> {
        let stored = context.output_file(&flat(name))?;
        let is_link = self.folder.join(name).is_symlink();
        let moved = if is_link { Err(io::Error::other("a link")) } else { fs::rename(file, &stored.path) };
        moved
            .or_else(|_| io::copy(&mut open_no_link(file)?, &mut File::create(&stored.path)?).map(drop))
            .map_err(|error| TaskError::permanent(format!("cannot store `{name}`")).caused_by(error))?;
        Ok(stored.uri)
    }
}

/// A relative path as one name: storage knows no folders within a task, and `a/b` must not meet `a_b`.
fn flat(name: &str) -> String {
    let escaped = |letter: char| match letter {
        '%' | '/' | ' ' => format!("%{:02X}", u32::from(letter)),
        other => other.to_string(),
    };
    name.chars().map(escaped).collect()
}

fn leads_out(name: &str) -> TaskError {
    TaskError::permanent(format!(
        "`{name}` of `outputFiles` is a link that leads out of the working folder, and is not stored"
    ))
    .help("copy the file into the working folder instead of linking to it")
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // What cannot be removed, such as a folder that a container's root made, is only untidy.
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A new folder of this name, or of one like it if there is one, and its lock.
fn make_folder(parent: &Path, name: &str, mark: &ProcessMark) -> io::Result<(PathBuf, File)> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut number = 1;
    let root = loop {
        let root = parent.join(format!("{name}.{number}"));
        match fs::DirBuilder::new().mode(0o700).create(&root) {
            Ok(()) => break root,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    let lock = File::create(root.join(LOCK))?;
    lock.lock()?;
    fs::write(root.join(MARK), mark.as_str())?;
    fs::create_dir(root.join(FILES))?;
    Ok((root, lock))
}
