//! `loop`

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flow::FlowOutput;
use crate::storage::is_uri;
use crate::task::{Branch, Capability, Expansion, Task, TaskContext, TaskError};

/// Runs tasks once for each value of a list or map, or for each line of a file in storage. `item.value` is the value,
/// `item.index` its index from 0, `item.key` its key in a map; `item.parent` is the enclosing iteration. Outputs of
/// the tasks are visible only inside the loop, except for `outputs`: later tasks read these from
/// `outputs.<id>.outputs`, a list of `{item, outputs}`. The tasks under `errors` run in an iteration that failed,
/// those under `finally` once at the end.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Loop {
    /// The values: a list, a map, the JSON text of either, or the address of a file in storage, for its lines.
    values: Value,
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// How many values are processed at a time; 0 means no limit.
    #[serde(default = "one")]
    concurrency_limit: u32,
    /// Whether a failed iteration fails the loop. Otherwise the other iterations continue, and the loop ends with a
    /// warning.
    #[serde(default = "yes")]
    transmit_failed: bool,
    /// The outputs of each iteration: a list of `{id, type, value}`, rendered when its tasks have succeeded.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine renders them; the field is here for its documentation and its check")]
    outputs: Vec<FlowOutput>,
    /// Where the outputs are stored: with the execution, for both values.
    #[serde(default)]
    #[expect(dead_code, reason = "there is one way; flows may name it")]
    fetch_type: FetchType,
}

/// Where the outputs of a loop are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum FetchType {
    /// Where it fits.
    #[default]
    Auto,
    /// With the execution.
    Fetch,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// What is known when the loop begins.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoopCounts {
    iteration_count: usize,
}

/// What the iterations gave.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the engine gathers it; the struct is here for its documentation")]
struct Gathered {
    /// How many values there are.
    iteration_count: usize,
    /// The outputs of each iteration, as `{item: {value, iteration, key}, outputs}`, in the order of the values.
    outputs: Vec<Value>,
}

impl Task for Loop {
    const NAME: &'static str = "loop";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.flow.Loop"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Loops, Capability::IsolatesOutputs];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const DEFERRED: &'static [&'static str] = &["outputs"];
    const EXAMPLE: &'static str = "\
- id: months
  type: loop
  values: [\"01\", \"02\", \"03\"]
  outputs:
    - id: name
      type: STRING
      value: \"{{ outputs.say_month.value }}\"
  tasks:
    - id: say_month
      type: return
      format: \"month {{ item.value }}\"";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(Gathered)
    }

    async fn run(&self, context: &TaskContext) -> Result<Expansion, TaskError> {
        let (values, keys) = self.list(context)?;
        let count = values.len();
        let expansion = Expansion::of("tasks").each(values).at_a_time(self.concurrency_limit);
        let expansion = expansion.giving(&LoopCounts { iteration_count: count });
        Ok(Expansion { keys, isolated: true, continue_on_failure: !self.transmit_failed, ..expansion })
    }
}

impl Loop {
    fn list(&self, context: &TaskContext) -> Result<(Vec<Value>, Option<Vec<String>>), TaskError> {
        let parsed = match &self.values {
            Value::String(text) if is_uri(text.trim()) => {
                return lines(context, text.trim()).map(|lines| (lines, None));
            }
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            other => other.clone(),
        };
        match parsed {
            Value::Array(items) => Ok((items, None)),
            Value::Object(map) => {
                let (keys, values) = map.into_iter().unzip();
                Ok((values, Some(keys)))
            }
            _ => Err(TaskError::permanent(format!("`values` is neither a list nor a map: {}", self.values))
                .help("write a list, or an expression whose result is one: `{{ outputs.months.value }}`")),
        }
    }
}

fn lines(context: &TaskContext, uri: &str) -> Result<Vec<Value>, TaskError> {
    let text = std::fs::read_to_string(context.input_file("values", uri)?)
        .map_err(|error| TaskError::permanent(format!("cannot read the values in `{uri}`")).caused_by(error))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(Value::from).collect())
}
