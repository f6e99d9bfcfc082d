//! `kv.set`
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{failed, open};
use crate::clock;
use crate::duration::DurationSpec;
use crate::journal::{KvError, KvType, NewKvEntry};
use crate::secret::Redactor;
use crate::task::{Task, TaskContext, TaskError};
use crate::tasks::core::log::Nothing;

/// Stores a value under a key, for later executions and other flows. Expressions read it with `kv('key')`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KvSet {
    /// The key: letters, digits, `.`, `_` and `-`.
    key: String,
    /// The value. A text is parsed according to its type.
    value: Value,
    /// The type of the value. By default it is derived from the value: a text is a `STRING`, a list or map is `JSON`.
    #[serde(alias = "kv_type")]
    kv_type: Option<KvType>,
    /// The namespace. By default the flow's own.
    namespace: Option<String>,
    /// Whether an existing value is replaced; otherwise the task fails.
    #[serde(default = "yes")]
    overwrite: bool,
    /// What the key is for. By default unchanged.
    #[serde(alias = "kv_description")]
    kv_description: Option<String>,
    /// After how long the key expires, such as `P1D` or `12h`. By default never.
    ttl: Option<DurationSpec>,
}

fn yes() -> bool {
    true
}

impl KvSet {
    /// The pieces of the value that are secret, as they are in it and as they are kept.
    fn secrets(&self, redactor: &Redactor) -> Vec<String> {
        let inner = self.value.as_str().filter(|_| self.kv_type == Some(KvType::Json));
        let inner = inner.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        [redactor.known_in(&self.value), redactor.known_in(&inner)].concat()
    }
}

impl Task for KvSet {
    const NAME: &'static str = "kv.set";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.kv.Set"];
    const EXAMPLE: &'static str = "\
- id: remember
  type: kv.set
  key: last_month
  value: \"{{ inputs.year }}-{{ inputs.month }}\"";
    type Outputs = Nothing;

    async fn run(&self, context: &TaskContext) -> Result<Nothing, TaskError> {
        let secrets = self.secrets(&context.settings.redactor);
        if !secrets.is_empty() {
            context.warn(format!(
                "the value of `{}` contains a secret; the key-value store stores it in plain text, and jitney redacts it wherever it is read",
                self.key
            ));
        }
        let namespace = self.namespace.as_deref().unwrap_or(&context.namespace);
        let new = NewKvEntry {
            value: self.value.clone(),
            kind: self.kv_type,
            description: self.kv_description.clone(),
            ttl: self.ttl.map(|span| span.0),
            secrets,
        };
        let kept = open(context)?.set(namespace, &self.key, new, self.overwrite, clock::now());
        kept.map(|_| Nothing {}).map_err(|error| {
            let is_taken = matches!(error, KvError::Taken { .. });
            let error = failed(&format!("cannot store `{}`", self.key), error);
            if is_taken { error.help("`overwrite: true` replaces it") } else { error }
        })
    }
}
