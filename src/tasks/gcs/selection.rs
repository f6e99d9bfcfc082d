//! Which objects a task means: what their names begin with, a pattern, how deep, how many.

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Address;
use super::blob::Blob;
use super::store::Store;
use crate::task::TaskError;

/// How deep a listing goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Depth {
    /// What is in the folder; deeper folders are shown as one entry each.
    #[default]
    #[serde(alias = "directory")]
    Directory,
    /// Everything below.
    #[serde(alias = "recursive")]
    Recursive,
}

/// What of a listing counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ListingKind {
    /// Objects.
    #[serde(alias = "files")]
    Files,
    /// Folders.
    #[serde(alias = "directory")]
    Directory,
    /// Both.
    #[default]
    #[serde(alias = "both")]
    Both,
}

/// A choice of objects.
pub(super) struct Selection {
    pub(super) start: Address,
    pub(super) depth: Depth,
    pub(super) kind: ListingKind,
    pub(super) pattern: Option<Regex>,
    pub(super) versions: bool,
    pub(super) most: usize,
}

/// A pattern that has to fit an object's whole address.
pub(super) fn pattern(text: Option<&str>) -> Result<Option<Regex>, TaskError> {
    let compile = |text: &str| {
        Regex::new(&format!("^(?:{text})$")).map_err(|error| {
            let problem = error.to_string();
            let last = problem.lines().last().unwrap_or_default().trim().to_owned();
            TaskError::permanent(format!("`{text}` is not a regular expression: {last}"))
                .help("it must match the whole address, as in `.*2020-0[1-6]\\.csv\\.gz`")
        })
    };
    text.map(compile).transpose()
}

impl Selection {
    /// All that is chosen, page by page, and whether more was left out.
    pub(super) async fn find(&self, store: &Store<'_>) -> Result<(Vec<Blob>, bool), TaskError> {
        let mut options = String::new();
        if self.depth == Depth::Directory {
            options.push_str("&delimiter=%2F");
        }
        if self.versions {
            options.push_str("&versions=true");
        }
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = store.page(&self.start, &options, token.as_deref()).await?;
            let folders = page.prefixes.into_iter().map(|name| Blob::folder(&self.start.bucket, name));
            let blobs = page.items.into_iter().map(Blob::addressed);
            found.extend(folders.chain(blobs).filter(|blob| self.fits(blob)));
            token = page.next_page_token;
            if found.len() > self.most || token.is_none() {
                break;
            }
        }
        let is_cut = found.len() > self.most;
        found.truncate(self.most);
        Ok((found, is_cut))
    }

    fn fits(&self, blob: &Blob) -> bool {
        let kind = match self.kind {
            ListingKind::Files => !blob.directory,
            ListingKind::Directory => blob.directory,
            ListingKind::Both => true,
        };
        kind && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&blob.uri))
    }
}
