//! Files that executions of a flow hand on to the next one: what was fetched or built, and takes long to get again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration::DurationSpec;
use crate::namespace_files::{files_below, open_no_link, real_file};
use crate::task::{TaskContext, TaskError};
use crate::tasks::script::glob;
use crate::tasks::script::workspace::Workspace;
use crate::text::count;

/// What is kept, and how long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Cache {
    /// The files, by patterns such as `node_modules/**`.
    patterns: Vec<String>,
    /// How long they are valid; without it, forever.
    ttl: Option<DurationSpec>,
}

impl Cache {
    /// Copies what is kept into a folder.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(super) fn bring(&self, context: &TaskContext, folder: &Path) -> Result<(), TaskError> {
        let store = store(context);
        let age = fs::metadata(&store).and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        let longest = self.ttl.map_or(Duration::MAX, |span| span.0);
        match age {
            Some(age) if age <= longest => {
                let copied = copy(&store, folder, |_| true).map_err(|error| broken("restore", &error))?;
                context.info(format!("{} from the cache", count(copied as u64, "file")));
                Ok(())
            }
            Some(_) => fs::remove_dir_all(&store).map_err(|error| broken("clear", &error)),
            None => Ok(()),
        }
    }

    /// Keeps the files of a folder that the patterns name, in place of those kept before. The old ones stay as long as
    /// they are good.
    ///
    /// # Errors
    /// When a pattern is malformed, or a file cannot be copied.
    pub(super) fn keep(&self, context: &TaskContext, folder: &Path) -> Result<(), TaskError> {
        let store = store(context);
        if store.exists() {
            return Ok(());
        }
        let patterns = self.patterns.iter().map(|pattern| glob::pattern(pattern.trim_start_matches("./")));
        let patterns: Vec<_> = patterns.collect::<Result<_, _>>()?;
        let fresh = store.with_extension(format!("{}.new", context.execution));
        let named = |name: &str| patterns.iter().any(|pattern| pattern.is_match(name));
        fs::create_dir_all(&fresh)
            .and_then(|()| copy(folder, &fresh, named).map(drop))
            // Another execution may have been quicker; its files are as good.
            .and_then(|()| fs::rename(&fresh, &store).or_else(|_| fs::remove_dir_all(&fresh)))
            .map_err(|error| broken("fill", &error))
    }
}

fn store(context: &TaskContext) -> PathBuf {
    let name = format!("{}.{}.{}", context.namespace, context.flow, Workspace::plain(context.task.as_str()));
    context.settings.home.join("cache").join("folders").join(name)
}

/// Copies the files below a folder whose relative paths are wanted; says how many.
fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<usize> {
    let mut names = Vec::new();
    files_below(from, "", &mut names)?;
    names.retain(|name| wanted(name));
    // What a script has linked to from elsewhere is none of the folder's files.
    let files = names.iter().filter_map(|name| Some((name, real_file(from, name)?)));
    let mut copied = 0;
    for (name, file) in files {
        let target = to.join(name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        io::copy(&mut open_no_link(&file)?, &mut fs::File::create(target)?)?;
        copied += 1;
    }
    Ok(copied)
}

fn broken(what: &str, error: &io::Error) -> TaskError {
    TaskError::permanent(format!("cannot {what} the folder's cache: {error}"))
}
