//! `ai.agent`: a model that uses tools until it has an answer.

mod definition;
mod flow_tool;
mod mcp;
mod sql_tool;
mod task_tool;
mod toolbox;

use schemars::JsonSchema;
use serde::Deserialize;

use self::definition::ToolDefinition;
use self::toolbox::Toolbox;
use super::ask::ask;
use super::configuration::ChatConfiguration;
use super::json;
use super::outputs::{ChatOutputs, IntermediateResponse, TokenTally, ToolExecution};
use super::provider::{self, ProviderSpec};
use super::refused::{NoGuardrails, NoMemory, NoObservability, NoOutputFiles, NoRetrievers};
use crate::ai::{AnswerFormat, ChatMessage, ChatRequest, ToolResult};
use crate::task::{Capability, FieldConflict, Task, TaskContext, TaskError};
use crate::text::count;

/// How often a model may ask for tools, unless the task says it, and at most.
const USUAL_STEPS: u32 = 10;
const MAX_STEPS: u32 = 100;

/// Lets a model use tools until it has an answer: other flows, tasks, queries that only read, and MCP servers.
///
/// The model decides which tools it uses and with which arguments, as often as `maxSequentialToolsInvocations` says. Each use
/// is logged and is an output. What a tool returns is sent to the model, without known secrets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AiAgent {
    /// The model. By default the first provider of the settings.
    provider: Option<ProviderSpec>,
    /// What is to be done.
    prompt: String,
    /// How the model should behave.
    #[serde(alias = "system_message")]
    system_message: Option<String>,
    /// What the model may use.
    #[serde(default)]
    tools: Vec<ToolDefinition>,
    /// How often the model may ask for tools, up to 100; several at a time count once.
    #[serde(default = "usual_steps", alias = "max_sequential_tools_invocations")]
    max_sequential_tools_invocations: u32,
    /// How the model answers.
    #[serde(default)]
    configuration: ChatConfiguration,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    content_retrievers: Option<NoRetrievers>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    memory: Option<NoMemory>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    guardrails: Option<NoGuardrails>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    observability: Option<NoObservability>,
    #[serde(default)]
    #[schemars(skip)]
    #[expect(dead_code, reason = "it is always refused")]
    output_files: Option<NoOutputFiles>,
}

fn usual_steps() -> u32 {
    USUAL_STEPS
}

impl Task for AiAgent {
    const NAME: &'static str = "ai.agent";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.ai.agent.AIAgent"];
    const CAPABILITIES: &'static [Capability] = &[Capability::StartsFlows];
    const STRINGIFY: &'static [&'static str] = &["prompt"];
    const EXAMPLE: &'static str = "\
- id: trips
  type: ai.agent
  provider: {type: ollama, modelName: \"qwen3:4b\"}
  prompt: How many trips did each borough have in January 2019?
  tools:
    - type: sql
      description: Queries the tables green_tripdata and taxi_zone_lookup";
    type Outputs = ChatOutputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let mut found = self.configuration.conflicts(self.provider.as_ref());
        let wrong = self.tools.iter().enumerate().find_map(|(index, tool)| Some((index, tool.problem()?)));
        found.extend(
            wrong.map(|(index, problem)| FieldConflict::between(["tools"], format!("tool {}: {problem}", index + 1))),
        );
        if self.max_sequential_tools_invocations > MAX_STEPS {
            let message = format!("it can be at most {MAX_STEPS}");
            found.push(FieldConflict::between(["maxSequentialToolsInvocations"], message));
        }
        found
    }

    async fn run(&self, context: &TaskContext) -> Result<ChatOutputs, TaskError> {
        let model = provider::open(self.provider.as_ref(), context)?;
        let mut toolbox = Toolbox::open(&self.tools, context).await?;
        let mut request = ChatRequest {
            system: self.system_message.clone(),
            messages: vec![ChatMessage::user(&self.prompt)],
            tools: toolbox.specs(),
            format: self.configuration.format(),
            options: self.configuration.options(self.provider.as_ref()),
        };
        let mut tally = TokenTally::new(&context.settings);
        let (mut executions, mut said) = (Vec::new(), Vec::new());
        for step in 0.. {
            let answer = ask(&model, &request, &self.configuration, &mut tally, context).await?;
            if answer.calls.is_empty() {
                let value = match request.format {
                    AnswerFormat::Text => None,
                    AnswerFormat::Json | AnswerFormat::Schema { .. } => json::parse(&answer.text).ok(),
                };
                if value.is_none() && !matches!(request.format, AnswerFormat::Text) {
                    context.warn("the answer is not JSON");
                }
                let uses = [("ai.agent.tool.calls", executions.len() as u64)];
                let metrics = tally.metrics(&uses);
                let outputs = tally.outputs(answer, self.configuration.return_thinking);
                let (tool_executions, intermediate_responses) = (executions, said);
                return Ok(ChatOutputs {
                    json_output: value,
                    tool_executions,
                    intermediate_responses,
                    metrics,
                    ..outputs
                });
            }
            if step >= self.max_sequential_tools_invocations {
                break;
            }
            let tools = answer.calls.iter().map(|call| call.name.clone()).collect();
            said.push(IntermediateResponse { completion: answer.text.clone(), tools });
            request.messages.push(answer.to_message());
            let mut results = Vec::new();
            for call in answer.calls {
                let (content, is_error) = toolbox.call(&call, context).await?;
                executions.push(ToolExecution {
                    request_id: call.id.clone(),
                    request_name: call.name.clone(),
                    request_arguments: call.arguments,
                    result: content.clone(),
                });
                results.push(ToolResult { id: call.id, name: call.name, content, is_error });
            }
            request.messages.push(ChatMessage::Tools(results));
        }
        let steps = count(u64::from(self.max_sequential_tools_invocations), "round");
        Err(TaskError::permanent(format!("the model has no answer after {steps} of tools"))
            .code("no answer")
            .help("raise `maxSequentialToolsInvocations`, or describe the tools and the task more precisely"))
    }
}
