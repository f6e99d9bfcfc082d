//! `kv.delete`
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{failed, open};
use crate::clock;
use crate::task::{Task, TaskContext, TaskError};

/// Deletes a key and its value.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KvDelete {
    /// The key.
    key: String,
    /// The namespace. By default the flow's own.
    namespace: Option<String>,
    /// Whether the task fails if there is no such key.
    #[serde(default, alias = "error_on_missing")]
    error_on_missing: bool,
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a key.
    deleted: bool,
}

impl Task for KvDelete {
    const NAME: &'static str = "kv.delete";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.kv.Delete"];
    const EXAMPLE: &'static str = "\
- id: forget
  type: kv.delete
  key: last_month";
    type Outputs = Deleted;

    async fn run(&self, context: &TaskContext) -> Result<Deleted, TaskError> {
        let namespace = self.namespace.as_deref().unwrap_or(&context.namespace);
        let deleted = open(context)?.delete(namespace, &self.key, clock::now());
        let deleted = deleted.map_err(|error| failed(&format!("cannot delete `{}`", self.key), error))?;
        if !deleted && self.error_on_missing {
            let error = TaskError::permanent(format!("there is no key `{}` in namespace `{namespace}`", self.key));
            return Err(error.help("`jitney kv list` lists all keys"));
        }
        Ok(Deleted { deleted })
    }
}
