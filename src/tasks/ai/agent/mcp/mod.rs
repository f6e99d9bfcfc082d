//! The tools of MCP servers: a small client of the Model Context Protocol, over the standard input and output of a program,
//! or over HTTP.

mod http;
mod stdio;

use std::time::Duration;

use serde_json::{Map, Value, json};

use self::http::HttpTransport;
use self::stdio::StdioTransport;
use super::definition::{ToolDefinition, ToolKind};
use crate::ai::ToolSpec;
use crate::task::{TaskContext, TaskError};

/// The version of the protocol that is asked for; a server may answer with another one, and all have these requests.
const VERSION: &str = "2025-06-18";
/// How long a server may take for an answer unless the flow says it.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many pages of tools are read.
const MAX_PAGES: usize = 20;

/// The way to a server.
enum Transport {
    Stdio(StdioTransport),
    Http(HttpTransport),
}

/// A server that is connected.
pub(super) struct McpServer {
    transport: Transport,
    timeout: Duration,
    /// What messages call it.
    name: String,
    next: u64,
}

impl McpServer {
    /// Starts the server, or reaches it, and says hello.
    ///
    /// # Errors
    /// When it cannot be started or reached, or does not speak the protocol.
    pub(super) async fn connect(definition: &ToolDefinition, context: &TaskContext) -> Result<Self, TaskError> {
        let (name, transport) = match definition.kind {
            ToolKind::McpHttp => {
                let http = HttpTransport::new(definition, context)?;
                (http.shown().to_owned(), Transport::Http(http))
            }
            _ => {
                let program = definition.command.first().cloned().unwrap_or_default();
                (program, Transport::Stdio(StdioTransport::start(definition, context)?))
            }
        };
        let timeout = definition.timeout.map_or(TIMEOUT, |span| span.0);
        let mut server = Self { transport, timeout, name, next: 0 };
        let client = json!({"name": "jitney", "version": env!("CARGO_PKG_VERSION")});
        let hello = json!({"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client});
        let answer = server.request("initialize", hello, context).await?;
        let version = answer["protocolVersion"].as_str().unwrap_or(VERSION).to_owned();
        if let Transport::Http(http) = &mut server.transport {
            http.set_version(&version);
        }
        server.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), None, context).await?;
        Ok(server)
    }

    /// The tools that it offers.
    ///
    /// # Errors
    /// When it does not list them.
    pub(super) async fn tools(&mut self, context: &TaskContext) -> Result<Vec<ToolSpec>, TaskError> {
        let (mut found, mut parameters) = (Vec::new(), json!({}));
        for _ in 0..MAX_PAGES {
            let answer = self.request("tools/list", parameters, context).await?;
            for tool in answer["tools"].as_array().into_iter().flatten() {
                let Some(name) = tool["name"].as_str() else { continue };
                let schema = tool.get("inputSchema").filter(|schema| schema.is_object()).cloned();
                found.push(ToolSpec {
                    name: name.to_owned(),
                    description: tool["description"].as_str().unwrap_or_default().to_owned(),
                    schema: schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
                });
            }
            let Some(cursor) = answer["nextCursor"].as_str() else { break };
            parameters = json!({"cursor": cursor});
        }
        Ok(found)
    }

    /// Uses a tool.
    ///
    /// # Errors
    /// When the server does not answer, or says that it went wrong.
    pub(super) async fn call(
        &mut self,
        tool: &str,
        arguments: &Map<String, Value>,
        context: &TaskContext,
    ) -> Result<String, TaskError> {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}), context).await?;
        let parts = answer["content"].as_array().into_iter().flatten().map(|part| match part["text"].as_str() {
            Some(text) => text.to_owned(),
            None => format!("[{}]", part["type"].as_str().unwrap_or("content")),
        });
        let mut text = parts.collect::<Vec<_>>().join("\n");
        if text.is_empty() && !answer["structuredContent"].is_null() {
            text = answer["structuredContent"].to_string();
        }
        if answer["isError"] == true { Err(TaskError::permanent(text)) } else { Ok(text) }
    }

    async fn request(&mut self, method: &str, parameters: Value, context: &TaskContext) -> Result<Value, TaskError> {
        self.next += 1;
        let id = self.next;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters});
        let answer = self.send(message, Some(id), context).await?.unwrap_or_default();
        match answer.get("error") {
            None => Ok(answer.get("result").cloned().unwrap_or_default()),
            Some(error) => {
                let words = error["message"].as_str().unwrap_or("no reason given");
                let words = context.settings.redactor.excerpt(words, 500);
                Err(TaskError::permanent(format!("the MCP server `{}` refuses {method}: {words}", self.name)))
            }
        }
    }

    async fn send(
        &mut self,
        message: Value,
        id: Option<u64>,
        context: &TaskContext,
    ) -> Result<Option<Value>, TaskError> {
        let sending = async {
            match &mut self.transport {
                Transport::Stdio(stdio) => stdio.send(&message, id).await,
                Transport::Http(http) => http.send(&message, id).await,
            }
        };
        let late = || TaskError::transient(format!("the MCP server `{}` does not answer", self.name)).code("timeout");
        tokio::select! {
            sent = tokio::time::timeout(self.timeout, sending) => sent.map_err(|_| late())?,
            () = context.cancel.cancelled() => Err(TaskError::cancelled("the agent was stopped")),
        }
    }
}
