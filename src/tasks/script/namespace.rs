//! `namespaceFiles`: the files of namespaces in a script's folder.

use schemars::JsonSchema;
use serde::Deserialize;

use super::glob;
use super::inputs::Inputs;
use crate::namespace_files::NamespaceFiles;
use crate::task::{TaskContext, TaskError};

/// Whether files are wanted, and which.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write true, or a map of `enabled`, `include`, `exclude` and `namespaces`")]
pub(in crate::tasks) enum NamespaceFilesField {
    /// All or none.
    Plain(bool),
    /// Some.
    Some(FileSelection),
}

impl Default for NamespaceFilesField {
    fn default() -> Self {
        Self::Plain(false)
    }
}

/// Which files are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::tasks) struct FileSelection {
    /// Whether files are copied.
    #[serde(default = "super::yes")]
    enabled: bool,
    /// Patterns of files to copy, such as `scripts/**`. All by default.
    #[serde(default)]
    include: Patterns,
    /// Patterns of files to exclude.
    #[serde(default)]
    exclude: Patterns,
    /// The namespaces; files of a later one replace those of an earlier one. By default the flow's own.
    #[serde(default)]
    namespaces: Vec<String>,
}

/// One pattern, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "write a pattern or a list of patterns")]
enum Patterns {
    One(String),
    Several(Vec<String>),
}

impl Default for Patterns {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Patterns {
    /// Whether there is a pattern that a path matches; none when there are no patterns.
    fn matching(&self) -> Result<impl Fn(&str) -> Option<bool> + use<>, TaskError> {
        let written = match self {
            Self::One(pattern) => std::slice::from_ref(pattern),
            Self::Several(patterns) => patterns.as_slice(),
        };
        let patterns =
            written.iter().map(|text| glob::pattern(text.trim_start_matches('/'))).collect::<Result<Vec<_>, _>>()?;
        Ok(move |path: &str| (!patterns.is_empty()).then(|| patterns.iter().any(|pattern| pattern.is_match(path))))
    }
}

impl NamespaceFilesField {
    /// Adds the files that are wanted.
    ///
    /// # Errors
    /// When a namespace has no folder of files, or a pattern is malformed.
    pub(in crate::tasks) fn add_to(&self, inputs: &mut Inputs<'_>, context: &TaskContext) -> Result<(), TaskError> {
        let all = FileSelection {
            enabled: true,
            include: Patterns::default(),
            exclude: Patterns::default(),
            namespaces: Vec::new(),
        };
        let choice = match self {
            Self::Plain(false) => return Ok(()),
            Self::Plain(true) => &all,
            Self::Some(choice) if !choice.enabled => return Ok(()),
            Self::Some(choice) => choice,
        };
        let own = std::slice::from_ref(&context.namespace);
        let namespaces = if choice.namespaces.is_empty() { own } else { choice.namespaces.as_slice() };
        namespaces.iter().try_for_each(|namespace| choice.add(namespace, inputs, context))
    }
}

impl FileSelection {
    fn add(&self, namespace: &str, inputs: &mut Inputs<'_>, context: &TaskContext) -> Result<(), TaskError> {
        let files = NamespaceFiles::new(context.files.folder(), namespace).map_err(TaskError::permanent)?;
        let all = files.all().map_err(|error| {
            let what = format!("cannot read the files of namespace `{namespace}` in {}", files.folder().display());
            TaskError::permanent(what)
                .caused_by(error)
                .help("create this folder next to the flow, and put the files there")
        })?;
        let (included, excluded) = (self.include.matching()?, self.exclude.matching()?);
        let wanted = all.iter().filter(|name| included(name).unwrap_or(true) && !excluded(name).unwrap_or(false));
        wanted.into_iter().try_for_each(|name| inputs.add_file(name, files.folder().join(name)))
    }
}
