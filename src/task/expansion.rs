//! What a task with sub-tasks decides: which of them run, how often and how many at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The decision of a flowable task, taken once and kept in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expansion {
    /// The field whose tasks run, such as `then`, or a case of a switch, such as `cases.green`; none runs when it is
    /// missing.
    pub branch: Option<String>,
    /// The values of a loop: the tasks run once for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
    /// How many tasks, or iterations of a loop, run at a time; 0 means all.
    pub concurrent: u32,
    /// How many tasks of an iteration run at a time; 0 means all.
    #[serde(default = "one")]
    pub concurrent_within: u32,
    /// Whether a failure of the sub-tasks is a warning.
    #[serde(default)]
    pub allow_failure: bool,
    /// What later tasks may refer to.
    #[serde(default)]
    pub outputs: Map<String, Value>,
}

fn one() -> u32 {
    1
}

impl Expansion {
    /// The tasks of one field, one after another.
    pub fn of(branch: impl Into<String>) -> Self {
        Self {
            branch: Some(branch.into()),
            values: None,
            concurrent: 1,
            concurrent_within: 1,
            allow_failure: false,
            outputs: Map::new(),
        }
    }

    /// At most `limit` at a time; 0 means all.
    pub fn at_a_time(mut self, limit: u32) -> Self {
        self.concurrent = limit;
        self
    }

    /// Once for each value.
    pub fn each(mut self, values: Vec<Value>) -> Self {
        self.values = Some(values);
        self
    }

    /// Adds an output.
    pub fn output(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.outputs.insert(name.to_owned(), value.into());
        self
    }
}
