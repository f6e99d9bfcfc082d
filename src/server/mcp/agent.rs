//! Answers the requests of one agent: which tools there are for it, and what a call gives.

use std::sync::Arc;

use axum::http::StatusCode;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;

use super::registry::TOOLS;
use super::tool::{McpResult, McpToolType, ToolError};
use crate::server::App;
use crate::server::access::{Identity, Sender};
use crate::server::audit;
use crate::task::documentation::description;

const INSTRUCTIONS: &str = "Jitney runs YAML flows that extract, load and transform data. Find flows with `list_flows`, \
    see what one does with `explain_flow`, and what went wrong with `explain_execution`. Before you write a flow, read about \
    its task types with `search_documentation` and `read_documentation`, and check it with `validate_flow` until it has no \
    errors. Rows of tables are only in the results of `query_data`.";

/// Who calls, and what they may do.
#[derive(Clone)]
pub(super) struct AgentCaller {
    pub(super) identity: Arc<Identity>,
    /// Where the request comes from, for the audit log; none over stdio.
    pub(super) sender: Option<Sender>,
    pub(super) may_change: bool,
    /// How to allow changes.
    pub(super) how_to_allow: &'static str,
}

/// The server of one agent.
#[derive(Clone)]
pub(super) struct Agent {
    app: Arc<App>,
    caller: AgentCaller,
}

impl Agent {
    pub(super) fn new(app: Arc<App>, caller: AgentCaller) -> Self {
        Self { app, caller }
    }

    /// Why the caller may not use a tool.
    fn refusal(&self, tool: &McpToolType) -> Option<ToolError> {
        if tool.is_change && !self.caller.may_change {
            let error = ToolError::new(format!("`{}` changes something, and changes are not allowed", tool.name));
            return Some(error.next(self.caller.how_to_allow));
        }
        self.caller.identity.missing(tool.role).map(ToolError::new)
    }

    /// Calls a tool as its caller, and writes down what it changes.
    async fn call(&self, tool: &McpToolType, arguments: Value) -> McpResult {
        let target = (tool.target)(&arguments);
        let refusal = self.refusal(tool);
        let is_refused = refusal.is_some();
        let result = match refusal {
            Some(refusal) => Err(refusal),
            None => {
                let call = (tool.call)(arguments, self.app.clone());
                self.caller.identity.clone().scope(audit::with_targets(call)).await.0
            }
        };
        if let Some(sender) = self.caller.sender.as_ref().filter(|_| tool.is_change) {
            let status = match (&result, is_refused) {
                (_, true) => StatusCode::FORBIDDEN,
                (Ok(_), _) => StatusCode::OK,
                (Err(_), _) => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let action = tool.title.to_lowercase();
            audit::record(&self.app, &self.caller.identity.name, sender, (&action, &target), status);
        }
        result
    }

    /// A value without secrets.
    fn clean(&self, value: Value) -> Value {
        let redactor = &self.app.settings.redactor;
        match value {
            Value::String(text) => Value::String(redactor.clean(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.clean(item)).collect(),
            Value::Object(map) => map.into_iter().map(|(key, value)| (key, self.clean(value))).collect(),
            other => redactor.value_without_known(other),
        }
    }
}

fn described(tool: &McpToolType) -> Tool {
    let schema = (tool.schema)().to_value();
    let about = description(&schema);
    let schema = schema.as_object().cloned().unwrap_or_default();
    let hints = ToolAnnotations::with_title(tool.title).read_only(!tool.is_change).open_world(false);
    Tool::new(tool.name, about, schema).with_title(tool.title).with_annotations(hints)
}

impl ServerHandler for Agent {
    fn get_info(&self) -> ServerConfig {
        let name = Implementation::new("jitney", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(name)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let usable = TOOLS.iter().filter(|tool| self.refusal(tool).is_none());
        Ok(ListToolsResult { tools: usable.map(described).collect(), ..ListToolsResult::default() })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = TOOLS.iter().find(|tool| tool.name == request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None));
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        Ok(match self.call(tool, arguments).await {
            Ok(result) => CallToolResult::structured(self.clean(result)).into(),
            Err(error) => CallToolResult::structured_error(self.clean(error.to_json())).into(),
        })
    }

    /// The default logs each client.
    async fn on_initialized(&self, _: NotificationContext<RoleServer>) {}
}
