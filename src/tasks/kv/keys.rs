//! `kv.keys`
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{failed, open};
use crate::clock;
use crate::task::{Task, TaskContext, TaskError};

/// Lists the keys of a namespace.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvKeys {
    /// The prefix of the keys. By default all keys are listed.
    #[serde(default)]
    prefix: String,
    /// The namespace. By default the flow's own.
    namespace: Option<String>,
}

/// What there is.
#[derive(Serialize, JsonSchema)]
pub struct KeyList {
    /// The keys, in order.
    keys: Vec<String>,
}

impl Task for KvKeys {
    const NAME: &'static str = "kv.keys";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.kv.GetKeys"];
    const EXAMPLE: &'static str = "\
- id: known
  type: kv.keys
  prefix: last_";
    type Outputs = KeyList;

    async fn run(&self, context: &TaskContext) -> Result<KeyList, TaskError> {
        let namespace = self.namespace.as_deref().unwrap_or(&context.namespace);
        let all = open(context)?.list(Some(namespace), clock::now());
        let all = all.map_err(|error| failed("cannot list the keys", error))?;
        let keys = all.into_iter().map(|entry| entry.key).filter(|key| key.starts_with(&self.prefix));
        Ok(KeyList { keys: keys.collect() })
    }
}
