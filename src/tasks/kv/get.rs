//! `kv.get`
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{failed, open};
use crate::clock;
use crate::task::{Task, TaskContext, TaskError};

/// Outputs the value that is stored under a key. A value that contains a secret is an error, since outputs are stored:
/// use `kv('key')` in an expression.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KvGet {
    /// The key.
    key: String,
    /// The namespace. By default the flow's own, then its parents: `a.b`, then `a`.
    namespace: Option<String>,
    /// Whether the task fails if there is no such key; otherwise the value is null.
    #[serde(default, alias = "error_on_missing")]
    error_on_missing: bool,
}

/// What is kept.
#[derive(Serialize, JsonSchema)]
pub struct ValueOutput {
    /// The value, or null if there is none.
    value: Value,
}

impl Task for KvGet {
    const NAME: &'static str = "kv.get";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.kv.Get"];
    const EXAMPLE: &'static str = "\
- id: recall
  type: kv.get
  key: last_month";
    type Outputs = ValueOutput;

    async fn run(&self, context: &TaskContext) -> Result<ValueOutput, TaskError> {
        let (store, now) = (open(context)?, clock::now());
        let found = match &self.namespace {
            Some(namespace) => store.get(namespace, &self.key, now),
            None => store.find(&context.namespace, &self.key, now),
        };
        let found = found.map_err(|error| failed(&format!("cannot read `{}`", self.key), error))?;
        if found.is_none() && self.error_on_missing {
            let namespace = self.namespace.as_ref().unwrap_or(&context.namespace);
            let error = TaskError::permanent(format!("there is no key `{}` in namespace `{namespace}`", self.key));
            return Err(error.help("`jitney kv list` lists all keys"));
        }
        if let Some(entry) = found.as_ref().filter(|entry| !entry.secrets.is_empty()) {
            entry.secrets.iter().for_each(|secret| context.settings.redactor.learn(secret));
            let error = TaskError::permanent(format!(
                "the value of `{}` contains a secret, which outputs must not contain",
                self.key
            ));
            return Err(error.help(format!("write {{{{ kv('{}') }}}} where the value is needed", self.key)));
        }
        Ok(ValueOutput { value: found.map(|entry| entry.value).unwrap_or_default() })
    }
}
