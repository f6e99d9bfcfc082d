//! What can be known about a task before it runs: what its target holds already, and what its source offers now.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::task::TaskError;

/// An answer on its way.
pub type ProbeFuture<T> = Pin<Box<dyn Future<Output = Result<T, TaskError>> + Send>>;

/// Asks a ledger for many loads at once, each given by the fields of its task and by the files that these may name.
pub type LedgerProbe = fn(Vec<(Value, FileAccess)>, Arc<Settings>) -> ProbeFuture<Vec<LedgerAnswer>>;

/// How to ask the target of a loading task what it holds.
#[derive(Clone, Copy)]
pub struct Ledger {
    /// The fields that say what is loaded where. Only these are rendered.
    pub fields: &'static [&'static str],
    /// Asks for many loads at once, each given by those fields; the answers are in the same order.
    pub probe: LedgerProbe,
}

/// What a target holds of one load.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerAnswer {
    /// All of it.
    Held(LoadRecord),
    /// Nothing, or not all, with a word about it if there is something to say.
    Missing(Option<String>),
    /// It cannot be known: why.
    Unknown(String),
}

/// A load that a target holds.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadRecord {
    /// The execution that loaded it.
    pub execution: String,
    /// The rows that it loaded.
    pub rows: u64,
    /// When.
    pub loaded_at: DateTime<Utc>,
    /// SHA-256 of the source, in hex.
    pub sha256: String,
    /// Bytes of the source.
    pub bytes: u64,
}

/// How to ask the source of a downloading task what it offers, without downloading it.
#[derive(Clone, Copy)]
pub struct SourceProbe {
    /// The fields that say where it is. Only these are rendered.
    pub fields: &'static [&'static str],
    /// Asks. A file must be among those that may be named.
    pub probe: fn(Value, FileAccess, Arc<Settings>) -> ProbeFuture<SourceVersion>,
}

/// What a source offers now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceVersion {
    /// Whether there is such a file.
    pub exists: bool,
    /// The server's status code, if it is one that speaks HTTP.
    pub code: Option<u16>,
    /// Bytes of the file, if the source says.
    pub length: Option<u64>,
    /// Headers that tell one version of the file from another, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// SHA-256 of the file, if that could be had without a download.
    pub sha256: Option<String>,
}
