//! How many executions of a flow may run at a time.

use schemars::JsonSchema;
use serde::Deserialize;

/// A flow's `concurrency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// The most executions that run at a time.
    pub limit: u32,
    /// What becomes of one more; it waits unless said otherwise.
    #[serde(default)]
    pub behavior: Behavior,
}

/// What becomes of an execution that is one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Behavior {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It is cancelled.
    Cancel,
    /// It fails.
    Fail,
}
