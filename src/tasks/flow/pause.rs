//! `pause`

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::duration::DurationSpec;
use crate::flow::Input;
use crate::flow::input::InputType;
use crate::task::{Capability, OnPauseTimeout, PauseRequest, Task, TaskContext, TaskError};

/// Pauses the execution until somebody resumes it (`jitney resume`), or for some time. With a `timeout`, the task
/// fails if nobody has resumed it by then.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pause {
    /// How long to pause; without it, until somebody resumes the execution.
    #[serde(alias = "delay", alias = "pause_duration")]
    pause_duration: Option<DurationSpec>,
    /// What happens after that time: the flow continues (`RESUME`), continues with a warning (`WARN`), the task fails
    /// (`FAIL`), or the execution is cancelled (`CANCEL`).
    #[serde(default)]
    behavior: OnPauseTimeout,
    /// The inputs to ask for when it is resumed, defined like those of a flow. Later tasks read the answers from
    /// `outputs.<id>.onResume.<name>`.
    #[serde(default, deserialize_with = "questions")]
    #[expect(dead_code, reason = "the engine asks; the field is here for its documentation and its check")]
    on_resume: Vec<Input>,
}

/// The journal keeps the answers, so none may be secret.
fn questions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Input>, D::Error> {
    let inputs = Vec::<Input>::deserialize(deserializer)?;
    match inputs.iter().find(|input| input.kind == InputType::Secret) {
        Some(input) => Err(D::Error::custom(format!(
            "`{}` cannot be a SECRET: the answers to a pause are stored; use an input of the flow, or secret()",
            input.id
        ))),
        None => Ok(inputs),
    }
}

/// What a pause gives when it ends.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resumed {
    /// The answers, by the names of `onResume`.
    on_resume: Map<String, Value>,
    /// When (`on`) and by what (`by`) it was resumed.
    resumed: Map<String, Value>,
}

impl Task for Pause {
    const NAME: &'static str = "pause";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.core.flow.Pause", "io.kestra.core.tasks.flows.Pause"];
    const CAPABILITIES: &'static [Capability] = &[Capability::Pauses];
    const DEFERRED: &'static [&'static str] = &["onResume"];
    const EXAMPLE: &'static str = "\
- id: approve
  type: pause
  onResume:
    - id: reason
      type: STRING
      required: false";
    type Outputs = Resumed;

    async fn run(&self, context: &TaskContext) -> Result<Resumed, TaskError> {
        context.pause(PauseRequest { duration: self.pause_duration.map(|span| span.0), behavior: self.behavior });
        Ok(Resumed::default())
    }
}
