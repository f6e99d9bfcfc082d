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
    /// The keys of the values, where these come from a map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// How many tasks, or iterations of a loop, run at a time; 0 means all.
    pub concurrent: u32,
    /// How many tasks of an iteration run at a time; 0 means all.
    #[serde(default = "one")]
    pub concurrent_within: u32,
    /// Whether a failure of the sub-tasks is a warning.
    #[serde(default)]
    pub allow_failure: bool,
    /// Whether the other iterations of a loop run when one has failed.
    #[serde(default, rename = "go_on", skip_serializing_if = "std::ops::Not::not")]
    pub continue_on_failure: bool,
    /// Whether the outputs of a loop's tasks stay inside of the loop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// How often the tasks are repeated until the field `condition` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LoopCondition>,
    /// The name of the folder that the sub-tasks share. They start anew together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// What later tasks may refer to.
    #[serde(default)]
    pub outputs: Map<String, Value>,
}

/// The bounds of a loop that waits for a condition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoopCondition {
    /// Seconds from the end of one iteration to the next.
    pub interval: f64,
    /// The most iterations.
    pub max_iterations: Option<u32>,
    /// The most seconds in all.
    pub max_duration: Option<f64>,
    /// Whether the task fails when the condition does not hold by then.
    pub fail_on_max: bool,
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
            keys: None,
            concurrent: 1,
            concurrent_within: 1,
            allow_failure: false,
            continue_on_failure: false,
            isolated: false,
            until: None,
            folder: None,
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

    /// Adds outputs, the fields of a struct.
    pub fn giving(mut self, outputs: &impl Serialize) -> Self {
        if let Ok(Value::Object(outputs)) = serde_json::to_value(outputs) {
            self.outputs.extend(outputs);
        }
        self
    }

    /// Whether the tasks run more than once.
    pub fn is_loop(&self) -> bool {
        self.values.is_some() || self.until.is_some()
    }

    /// The value of an iteration.
    pub fn value(&self, index: u32) -> Option<&Value> {
        self.values.as_ref()?.get(index as usize)
    }

    /// Whether there can be an iteration of this number.
    pub fn has_iteration(&self, index: u32) -> bool {
        self.until.is_some() || self.value(index).is_some()
    }
}
