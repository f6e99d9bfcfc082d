//! `wait_for`

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;

use crate::duration::DurationSpec;
use crate::task::{Branch, Capability, Expansion, LoopCondition, Task, TaskContext, TaskError};

/// Runs tasks repeatedly until a condition holds. The condition can read their latest outputs and
/// `outputs.<id>.iterationCount`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WaitFor {
    /// The condition to wait for. It does not hold if its value is `false`, `0`, empty, or the text of one of these.
    #[expect(dead_code, reason = "the engine asks it after each iteration; the field is here for its documentation")]
    condition: Value,
    /// The tasks.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// The task, if there is only one.
    task: Option<Value>,
    /// How often the condition is checked, and for how long.
    #[serde(default)]
    check_frequency: CheckFrequency,
    /// Whether the task fails if the condition does not hold by then; otherwise the flow continues.
    #[serde(default)]
    fail_on_max_reached: bool,
}

/// How often a condition is looked at, and how long it is waited for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CheckFrequency {
    /// The time from the end of one iteration to the next; one minute by default.
    interval: Option<DurationSpec>,
    /// The maximum number of iterations; there is no limit by default.
    max_iterations: Option<u32>,
    /// The maximum total duration; there is no limit by default.
    max_duration: Option<DurationSpec>,
}

/// How far it has come.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the engine counts; the struct is here for its documentation")]
struct Waited {
    /// How often the tasks have run, including the current iteration.
    iteration_count: u32,
}

impl Task for WaitFor {
    const NAME: &'static str = "wait_for";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.WaitFor", "io.kestra.plugin.core.flow.LoopUntil"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Repeats];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks"), Branch::One("task")];
    const DEFERRED: &'static [&'static str] = &["condition"];
    const EXAMPLE: &'static str = "\
- id: ready
  type: wait_for
  condition: \"{{ outputs.count_again.value == '3' }}\"
  checkFrequency:
    interval: 1s
    maxIterations: 10
  tasks:
    - id: count_again
      type: return
      format: \"{{ outputs.ready.iterationCount }}\"";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(Waited)
    }

    async fn run(&self, _: &TaskContext) -> Result<Expansion, TaskError> {
        let CheckFrequency { interval, max_iterations, max_duration } = self.check_frequency;
        let seconds = |span: DurationSpec| span.0.as_secs_f64();
        let until = LoopCondition {
            interval: interval.map_or(60.0, seconds),
            max_iterations,
            max_duration: max_duration.map(seconds),
            fail_on_max: self.fail_on_max_reached,
        };
        let branch = if self.task.is_some() { "task" } else { "tasks" };
        Ok(Expansion { until: Some(until), ..Expansion::of(branch) })
    }
}
