//! The world that the expressions of an execution ask: secrets, stored values, files, and what happened so far.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::config::Settings;
use crate::engine::secrets;
use crate::file_access::FileAccess;
use crate::flow::Flow;
use crate::flow::expression::Host;
use crate::id::ExecutionId;
use crate::journal::{ExecutionState, Journal, Kv, KvEntry, State};
use crate::namespace_files::NamespaceFiles;
use crate::secret::Redactor;
use crate::storage::{self, Storage};
use crate::task::{Level, Outputs, TaskError};

/// The largest file that an expression reads.
const MAX_READ: u64 = 16 << 20;
/// What the variables of `envs` begin with.
const ENVS: &str = "ENV_";

/// The state of a task that its condition kept from running; it has the others in common with executions.
const SKIPPED: &str = "SKIPPED";

/// The host of one execution's expressions, and the secrets that they have been given.
pub struct ExecutionHost {
    settings: Arc<Settings>,
    journal: Arc<Journal>,
    execution: ExecutionId,
    storage: Storage,
    namespace: String,
    flows: PathBuf,
    kv: Mutex<Option<Kv>>,
    files: FileAccess,
    /// Knows the secret inputs, and what `secret()` gave.
    known_secrets: Redactor,
}

impl std::fmt::Debug for ExecutionHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutionHost").field("execution", &self.execution).finish_non_exhaustive()
    }
}

impl ExecutionHost {
    pub(super) fn new(
        settings: &Arc<Settings>,
        journal: &Arc<Journal>,
        id: &ExecutionId,
        flow: &Flow,
        secrets: &[String],
        files: FileAccess,
    ) -> Self {
        let host = Self {
            settings: settings.clone(),
            journal: journal.clone(),
            execution: id.clone(),
            storage: Storage::new(settings.storage(), id.clone()),
            namespace: flow.namespace.clone(),
            flows: std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone()),
            kv: Mutex::default(),
            files,
            known_secrets: Redactor::of_values(),
        };
        secrets.iter().for_each(|secret| host.register_secret(secret));
        host
    }

    /// The environment variables that `envs` holds: `ENV_NAME` as `name`.
    pub(super) fn envs(&self) -> Map<String, Value> {
        let variables = self.settings.variables(ENVS);
        variables.map(|(name, value)| (name.to_lowercase(), Value::from(value))).collect()
    }

    /// A text without the secrets that are known.
    pub(super) fn redacted(&self, text: &str) -> String {
        self.settings.redactor.without_known(text)
    }

    /// Blanks the secrets that a task repeats in what the journal is to keep.
    pub(super) fn without_secrets(&self, kept: Map<String, Value>) -> Map<String, Value> {
        match self.known_secrets.value_without_known(Value::Object(kept)) {
            Value::Object(kept) => kept,
            _ => Map::new(),
        }
    }

    /// The decision of a task with sub-tasks as the journal is to keep it.
    ///
    /// # Errors
    /// When a loop goes over secrets: blanked, they would be other values.
    pub(super) fn fit_to_keep(&self, mut decision: Outputs) -> Result<Outputs, TaskError> {
        let values = Map::from_iter(decision.get_key_value("values").map(|(key, value)| (key.clone(), value.clone())));
        if self.without_secrets(values.clone()) != values {
            let error = TaskError::permanent("the values of the loop contain a secret, but the journal stores them");
            return Err(error.help("loop over the names of secrets, and call secret() inside the loop"));
        }
        if let Some(Value::Object(outputs)) = decision.get_mut("outputs") {
            *outputs = self.without_secrets(std::mem::take(outputs));
        }
        Ok(decision)
    }

    /// Notes the secrets that expressions used, so that they are masked wherever they appear.
    pub(super) fn register(&self, found: &FoundSecrets) {
        let found = std::mem::take(&mut *found.0.lock().unwrap_or_else(PoisonError::into_inner));
        found.iter().for_each(|secret| self.register_secret(secret));
    }

    fn register_secret(&self, secret: &str) {
        self.settings.redactor.learn(secret);
        self.known_secrets.learn_for_good(secret);
    }

    fn namespace_files(&self, namespace: Option<&str>) -> Result<NamespaceFiles, String> {
        NamespaceFiles::new(&self.flows, namespace.unwrap_or(&self.namespace))
    }

    /// The file of a storage address or of a path in a namespace.
    fn file(&self, uri: &str, namespace: Option<&str>) -> Result<PathBuf, String> {
        if !storage::is_uri(uri) {
            let found = self.namespace_files(namespace)?.find(uri)?;
            return self.files.check(uri, &found).map(|()| found).map_err(|finding| finding.message);
        }
        let path = self.storage.path(uri).map_err(|error| error.to_string())?;
        self.files.check(uri, &path).map_err(|finding| finding.message)?;
        if path.is_file() { Ok(path) } else { Err(format!("the file `{uri}` is no longer in storage")) }
    }

    fn stored(&self, key: &str, namespace: Option<&str>, now: DateTime<Utc>) -> Result<Option<KvEntry>, String> {
        let mut store = self.kv.lock().unwrap_or_else(PoisonError::into_inner);
        if store.is_none() {
            *store = Some(Kv::open(&self.settings.kv()).map_err(|error| error_chain(&error))?);
        }
        let Some(kv) = store.as_ref() else { return Ok(None) };
        let found = match namespace {
            Some(namespace) => kv.get(namespace, key, now),
            None => kv.find(&self.namespace, key, now),
        };
        found.map_err(|error| error_chain(&error))
    }
}

/// Secrets that expressions used and that the redactor does not know yet.
#[derive(Debug, Default)]
pub struct FoundSecrets(Mutex<BTreeSet<String>>);

impl FoundSecrets {
    fn note(&self, secret: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.to_owned());
    }
}

/// What expressions may ask at one moment. Asking changes nothing: secrets that are found are noted separately.
pub(super) struct HostSnapshot<'a> {
    pub(super) host: &'a ExecutionHost,
    pub(super) state: &'a State,
    pub(super) now: DateTime<Utc>,
    pub(super) found: &'a FoundSecrets,
}

impl HostSnapshot<'_> {
    /// A stored value; `mask` in its place if it holds a secret.
    pub(super) fn kv_without_secrets(
        &self,
        key: &str,
        namespace: Option<&str>,
        mask: &str,
    ) -> Result<Option<Value>, String> {
        let found = self.host.stored(key, namespace, self.now)?;
        let value = found.map(|entry| if entry.secrets.is_empty() { entry.value } else { Value::from(mask) });
        Ok(value.map(|value| self.host.settings.redactor.value_without_known(value)))
    }
}

impl Host for HostSnapshot<'_> {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(self.now)
    }

    fn random(&self) -> Result<u64, String> {
        Ok(rand::random())
    }

    fn secret(&self, name: &str, subkey: Option<&str>) -> Result<String, String> {
        let secret = secrets::find(&self.host.settings, &self.host.flows, name)?;
        self.found.note(&secret);
        let Some(subkey) = subkey else { return Ok(secret) };
        let map: Map<String, Value> =
            serde_json::from_str(&secret).map_err(|_| format!("the secret `{name}` is not a JSON map"))?;
        let value = map.get(subkey).ok_or_else(|| format!("the secret `{name}` has no key `{subkey}`"))?;
        let value = crate::text::plain(value);
        self.found.note(&value);
        Ok(value)
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        let found = self.host.stored(key, namespace, self.now)?;
        found.iter().flat_map(|entry| &entry.secrets).for_each(|secret| self.found.note(secret));
        Ok(found.map(|entry| entry.value))
    }

    fn read(&self, uri: &str, namespace: Option<&str>) -> Result<String, String> {
        let path = self.host.file(uri, namespace)?;
        let unreadable = |error: std::io::Error| format!("cannot read `{uri}`: {error}");
        let file = self.host.files.open(uri, &path).map_err(|finding| finding.message)?.map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_READ + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_READ {
            return Err(format!("`{uri}` is larger than {} MiB; process it in a task instead", MAX_READ >> 20));
        }
        String::from_utf8(bytes).map_err(|_| format!("`{uri}` is not text"))
    }

    fn file_size(&self, uri: &str, namespace: Option<&str>) -> Result<u64, String> {
        size(&self.host.file(uri, namespace)?, uri)
    }

    fn file_exists(&self, uri: &str, namespace: Option<&str>) -> Result<bool, String> {
        self.host.namespace_files(namespace)?;
        Ok(self.host.file(uri, namespace).is_ok())
    }

    fn file_uri(&self, path: &str, namespace: Option<&str>) -> Result<String, String> {
        if storage::is_uri(path) { Ok(path.to_owned()) } else { self.host.namespace_files(namespace)?.uri(path) }
    }

    fn error_logs(&self) -> Result<Value, String> {
        let lines = self.host.journal.logs(&self.host.execution).map_err(|error| error_chain(&error))?;
        let errors = lines.iter().filter(|line| line.level == Level::Error);
        let shown = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        Ok(errors
            .map(|line| {
                json!({"taskId": line.source, "level": line.level, "message": line.message, "timestamp": shown(line.time)})
            })
            .collect())
    }

    fn tasks_with_state(&self, state: &str) -> Result<Value, String> {
        let wanted = state.to_uppercase();
        let states: Vec<&str> = ExecutionState::ALL.iter().map(|state| state.as_str()).chain([SKIPPED]).collect();
        if !states.contains(&wanted.as_str()) {
            return Err(format!("there is no state `{state}`; there is {}", states.join(", ")));
        }
        let tasks = self.state.tasks.iter().filter(|(_, task)| task.state.as_str() == wanted);
        Ok(tasks.map(|(run, _)| json!({"taskId": run.task(), "taskRunId": run, "state": wanted})).collect())
    }
}

fn size(path: &Path, uri: &str) -> Result<u64, String> {
    std::fs::metadata(path).map(|data| data.len()).map_err(|error| format!("cannot access `{uri}`: {error}"))
}

pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    crate::text::chain(error)
}
