//! The file that a command is about: on this machine, at an address, or what comes in on stdin.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::yaml::scalar;
use crate::cli::exit::io_error;
use crate::cli::run::RunSession;
use crate::cli::{ExitStatus, InvalidFlow};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::ExecutionRequest;
use crate::flow::{Flow, ParsedFlow, parse};
use crate::home;
use crate::id::ExecutionId;
use crate::journal::ExecutionState;
use crate::storage::Storage;
use crate::task::Task as _;
use crate::tasks;
use crate::tasks::http::download::HttpDownload;

/// What the file from stdin is called.
const STDIN: &str = "stdin";
/// The namespace of flows that commands compose.
pub(in crate::cli) const NAMESPACE: &str = "jitney";

/// Where the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Place {
    File(PathBuf),
    Url(String),
    Stdin,
}

impl Place {
    /// As the user writes it.
    pub(in crate::cli) fn of(text: &str) -> Self {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            _ if text == "-" => Self::Stdin,
            Some("http" | "https") => Self::Url(text.to_owned()),
            Some("file") => Self::File(PathBuf::from(text.get("file://".len()..).unwrap_or_default())),
            _ => Self::File(PathBuf::from(text)),
        }
    }

    /// The name of the file, if it has one.
    pub(in crate::cli) fn file_name(&self) -> Option<String> {
        match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Self::Url(url) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let (_, path) = path.split_once("://")?;
                path.split_once('/')?.1.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
            }
            Self::Stdin => None,
        }
    }
}

/// A download that failed.
pub(in crate::cli) struct FailedDownload {
    pub exit: ExitStatus,
    execution: ExecutionId,
    state: ExecutionState,
    error: Option<(String, Option<String>)>,
}

impl FailedDownload {
    /// What there is to say of it.
    pub(in crate::cli) fn json(&self) -> Value {
        let (error, help) = self.error.clone().unzip();
        json!({"execution": self.execution, "state": self.state, "error": error, "help": help.flatten()})
    }
}

/// The file, here.
pub(in crate::cli) struct FetchedFile {
    pub path: PathBuf,
    /// What messages call it.
    pub name: String,
    /// The execution that downloaded it, and its address in storage.
    pub download: Option<(ExecutionId, String)>,
    /// What is removed with this value.
    _folder: Option<tempfile::TempDir>,
}

impl FetchedFile {
    /// Brings the file here if it is elsewhere: quietly or not, to be loaded or only to be looked at. A download is an
    /// execution of its own; the exit status of one that failed is given instead of a file.
    ///
    /// # Errors
    /// When there is no such file, or stdin cannot be read.
    pub(in crate::cli) async fn bring(
        place: &Place,
        settings: &Arc<Settings>,
        (quiet, is_loaded): (bool, bool),
    ) -> anyhow::Result<Result<Self, FailedDownload>> {
        match place {
            Place::File(path) if path.is_dir() => {
                let finding = Diagnostic::error(format!("`{}` is a folder, not a file", path.display()));
                Err(InvalidFlow::from(finding.help("give one file; a flow with `for_each` loads several")).into())
            }
            Place::File(path) => {
                let name = place.file_name().unwrap_or_default();
                std::fs::File::open(path)
                    .map_err(|error| io_error(format_args!("read `{}`", path.display()), &error))?;
                Ok(Ok(Self { path: path.clone(), name, download: None, _folder: None }))
            }
            Place::Stdin => Self::of_stdin(is_loaded.then_some(settings)).map(Ok),
            Place::Url(url) => Self::downloaded(url, settings, quiet).await,
        }
    }

    /// Keeps what comes in. What is to be loaded lies among the uploads, which are known by their content wherever they
    /// lay.
    fn of_stdin(settings: Option<&Arc<Settings>>) -> anyhow::Result<Self> {
        let unwritable = |error: &std::io::Error| io_error("keep what comes in on stdin", error);
        let folder = match settings {
            Some(settings) => home::make_private(&settings.home)
                .and_then(|()| DirBuilder::new().recursive(true).mode(0o700).create(settings.uploads()))
                .and_then(|()| tempfile::tempdir_in(settings.uploads())),
            None => tempfile::tempdir(),
        };
        let folder = folder.map_err(|error| unwritable(&error))?;
        let path = folder.path().join(STDIN);
        let mut file = std::fs::File::create(&path).map_err(|error| unwritable(&error))?;
        std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(|error| unwritable(&error))?;
        file.flush().map_err(|error| unwritable(&error))?;
        Ok(Self { path, name: STDIN.to_owned(), download: None, _folder: Some(folder) })
    }

    async fn downloaded(
        url: &str,
        settings: &Arc<Settings>,
        quiet: bool,
    ) -> anyhow::Result<Result<Self, FailedDownload>> {
        let text = format!("id: download\nnamespace: {NAMESPACE}\ntasks:\n{}", download_task(url)?);
        let flow = Arc::new(composed(Path::new("download.yaml"), &text)?);
        let session = RunSession::open(settings, quiet)?;
        let (id, state) = session.run(&flow, ExecutionRequest::default()).await?;
        if state.status != ExecutionState::Success {
            let exit = session.report_as_text(&id, &state, false);
            let error = state.tasks.values().find_map(|task| task.error.as_ref());
            let error = error.map(|error| (error.message.clone(), error.help.clone()));
            return Ok(Err(FailedDownload { exit, execution: id, state: state.status, error }));
        }
        let uri = state.tasks.values().find_map(|task| task.outputs.get("uri").and_then(Value::as_str));
        let uri = uri.unwrap_or_default().to_owned();
        let path = Storage::new(settings.storage(), id.clone()).path(&uri)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Ok(Self { path, name, download: Some((id, uri)), _folder: None }))
    }

    /// Removes what was downloaded. What cannot be removed is left to `jitney clean`.
    pub(in crate::cli) fn discard(&self, settings: &Settings) {
        if let Some((id, _)) = &self.download {
            let _ = Storage::new(settings.storage(), id.clone()).purge();
        }
    }
}

/// The task that downloads a file.
///
/// # Errors
/// When the address would be an expression.
pub(in crate::cli) fn download_task(url: &str) -> anyhow::Result<String> {
    literal(url)?;
    Ok(format!("  - id: download\n    type: {}\n    uri: {}\n", HttpDownload::NAME, scalar(url)))
}

/// Checks that a text means itself in a flow.
///
/// # Errors
/// When it would be read as an expression.
pub(in crate::cli) fn literal(text: &str) -> Result<(), InvalidFlow> {
    match ["{{", "{%", "{#"].iter().find(|mark| text.contains(**mark)) {
        None => Ok(()),
        Some(mark) => {
            let finding =
                Diagnostic::error(format!("`{text}` contains `{mark}`, which begins an expression in a flow"));
            Err(finding.help("rename the file, or write a flow by hand").into())
        }
    }
}

/// A flow of a text that this program has composed, as if it were in this file.
///
/// # Errors
/// [`InvalidFlow`] with every finding.
pub(in crate::cli) fn composed(file: &Path, text: &str) -> anyhow::Result<Flow> {
    let ParsedFlow { flow, findings } = parse(&file.display().to_string(), text, tasks::ALL);
    flow.ok_or_else(|| InvalidFlow(findings.into_iter().filter(Diagnostic::is_error).collect()).into())
}
