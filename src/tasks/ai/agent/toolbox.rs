//! The tools of an agent, whatever they are made of.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::definition::{ToolDefinition, ToolKind};
use super::flow_tool::FlowTool;
use super::mcp::McpServer;
use super::sql_tool::SqlTool;
use super::task_tool::TaskTool;
use crate::ai::{ToolCall, ToolSpec};
use crate::task::{ErrorClass, TaskContext, TaskError};
use crate::text::shortened;

/// The most tools, and the most letters of what one returns.
const MAX_TOOLS: usize = 128;
const MAX_RESULT: usize = 20_000;
/// How many letters of the arguments the log has.
const MAX_LOGGED: usize = 200;

/// What a tool is made of.
enum ToolAction {
    Flow(FlowTool),
    Task(TaskTool),
    Sql(SqlTool),
    /// The number of the server, and the tool's name there.
    Mcp(usize, String),
}

/// All tools of an agent.
pub(super) struct Toolbox {
    specs: Vec<ToolSpec>,
    actions: BTreeMap<String, ToolAction>,
    servers: Vec<McpServer>,
    /// How often the same flow was run with the same inputs.
    runs: BTreeMap<u64, u32>,
}

impl Toolbox {
    /// Makes the tools ready, and starts the servers that they need.
    ///
    /// # Errors
    /// When a server cannot be started or reached, or two tools have one name.
    pub(super) async fn open(definitions: &[ToolDefinition], context: &TaskContext) -> Result<Self, TaskError> {
        let mut toolbox =
            Self { specs: Vec::new(), actions: BTreeMap::new(), servers: Vec::new(), runs: BTreeMap::new() };
        for definition in definitions {
            match definition.kind {
                ToolKind::Flow => {
                    let (tool, spec) = FlowTool::of(definition);
                    toolbox.add(spec, ToolAction::Flow(tool))?;
                }
                ToolKind::Task => {
                    for task in &definition.tasks {
                        let (tool, spec) = TaskTool::of(task)?;
                        toolbox.add(spec, ToolAction::Task(tool))?;
                    }
                }
                ToolKind::Sql => {
                    let (tool, spec) = SqlTool::of(definition, context);
                    toolbox.add(spec, ToolAction::Sql(tool))?;
                }
                ToolKind::McpStdio | ToolKind::McpHttp => toolbox.add_server(definition, context).await?,
            }
        }
        Ok(toolbox)
    }

    async fn add_server(&mut self, definition: &ToolDefinition, context: &TaskContext) -> Result<(), TaskError> {
        let mut server = McpServer::connect(definition, context).await?;
        let number = self.servers.len();
        for spec in server.tools(context).await? {
            let name = spec.name.clone();
            self.add(spec, ToolAction::Mcp(number, name))?;
        }
        self.servers.push(server);
        Ok(())
    }

    fn add(&mut self, mut spec: ToolSpec, action: ToolAction) -> Result<(), TaskError> {
        // What every provider takes as a name.
        spec.name = spec.name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_");
        spec.name.truncate(64);
        if self.specs.len() == MAX_TOOLS {
            return Err(TaskError::permanent(format!("there are more than {MAX_TOOLS} tools")));
        }
        if self.actions.insert(spec.name.clone(), action).is_some() {
            return Err(TaskError::permanent(format!("there are two tools called `{}`", spec.name))
                .help("name one of them with `name`, or give the task another id"));
        }
        self.specs.push(spec);
        Ok(())
    }

    /// What the model is offered.
    pub(super) fn specs(&self) -> Vec<ToolSpec> {
        self.specs.clone()
    }

    /// Uses a tool; returns what the model is told, and whether it went wrong.
    ///
    /// # Errors
    /// When the user stopped the task.
    pub(super) async fn call(&mut self, call: &ToolCall, context: &TaskContext) -> Result<(String, bool), TaskError> {
        let shown = context.settings.redactor.excerpt(&call.arguments.to_string(), MAX_LOGGED);
        context.info(format!("the model uses `{}` with {shown}", call.name));
        let done = tokio::select! {
            done = self.act(call, context) => done,
            () = context.cancel.cancelled() => Err(TaskError::cancelled("the agent was stopped")),
        };
        let (text, is_error) = match done {
            Ok(text) => (text, false),
            Err(error) if error.class == ErrorClass::Cancelled => return Err(error),
            Err(error) => {
                context.warn(format!("`{}`: {}", call.name, error.message));
                (error.to_string(), true)
            }
        };
        // A tool may return what is secret; the model is somebody else.
        let text = context.settings.redactor.clean(&text);
        Ok((shortened(&text, MAX_RESULT).into_owned(), is_error))
    }

    async fn act(&mut self, call: &ToolCall, context: &TaskContext) -> Result<String, TaskError> {
        let Some(action) = self.actions.get(&call.name) else {
            let names: Vec<&str> = self.actions.keys().map(String::as_str).collect();
            let message = format!("there is no tool `{}`; there are: {}", call.name, names.join(", "));
            return Err(TaskError::permanent(message));
        };
        let empty = Map::new();
        let arguments = match &call.arguments {
            Value::Object(arguments) => arguments,
            Value::Null => &empty,
            _ => return Err(TaskError::permanent("the arguments are not a JSON object")),
        };
        match action {
            ToolAction::Flow(tool) => tool.run(arguments, &mut self.runs, context).await,
            ToolAction::Task(tool) => tool.run(arguments, context).await,
            ToolAction::Sql(tool) => tool.run(arguments, context).await,
            ToolAction::Mcp(number, name) => match self.servers.get_mut(*number) {
                Some(server) => server.call(name, arguments, context).await,
                None => Err(TaskError::permanent("the server is gone")),
            },
        }
    }
}
