//! `tools`: what a model may use, as a flow writes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::task_tool;
use crate::duration::DurationSpec;

/// A tool.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ToolDefinition {
    /// `flow`, which runs another flow; `task`, which runs tasks; `sql`, which reads from Postgres; `mcp_stdio` or `mcp_http`,
    /// the tools of an MCP server. Or Kestra's name of one.
    #[serde(rename = "type")]
    pub(super) kind: ToolKind,
    /// flow, sql: what the model calls it. By default the flow's id, or `query_sql`.
    pub(super) name: Option<String>,
    /// flow, sql: what it does and when to use it, for the model.
    pub(super) description: Option<String>,
    /// flow: the flow's namespace.
    pub(super) namespace: Option<String>,
    /// flow: the flow's id.
    #[serde(alias = "flow_id")]
    pub(super) flow_id: Option<String>,
    /// flow: inputs that the model does not choose.
    #[serde(default)]
    pub(super) inputs: Map<String, Value>,
    /// flow: labels for its execution: a map, or a list of `{key, value}`.
    #[serde(default)]
    pub(super) labels: Value,
    /// flow: whether its execution also gets the labels of this one.
    #[serde(default, alias = "inherit_labels")]
    pub(super) inherit_labels: bool,
    /// task: the tasks, each of which is a tool with its id as its name. A field whose value is `...` is chosen by the model.
    #[serde(default)]
    pub(super) tasks: Vec<Map<String, Value>>,
    /// sql: the server, such as `postgres://user:password@host:5432/database`. By default the one of `--postgres` or of
    /// the environment, else the private server.
    #[serde(alias = "uri")]
    pub(super) url: Option<String>,
    /// sql: the user that logs in; best one that may only read what the model may see.
    pub(super) username: Option<String>,
    /// sql: the user's password.
    pub(super) password: Option<String>,
    /// sql: the most rows of a result.
    #[serde(alias = "max_rows")]
    pub(super) max_rows: Option<usize>,
    /// `mcp_stdio`: the command that starts the server, such as `[npx, "-y", some-server]`.
    #[serde(default)]
    pub(super) command: Vec<String>,
    /// `mcp_stdio`: variables of its environment.
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// `mcp_http`: headers to send.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// mcp: how long the server may take for an answer. By default 60s.
    pub(super) timeout: Option<DurationSpec>,
}

/// What a tool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolKind {
    Flow,
    Task,
    Sql,
    McpStdio,
    McpHttp,
}

/// What the names of Kestra's tools begin with.
const KESTRA: &str = "io.kestra.plugin.ai.tool.";

/// The names of each kind, Kestra's last.
const KINDS: [(ToolKind, &[&str]); 5] = [
    (ToolKind::Flow, &["flow", "KestraFlow"]),
    (ToolKind::Task, &["task", "KestraTask"]),
    (ToolKind::Sql, &["sql"]),
    (ToolKind::McpStdio, &["mcp_stdio", "StdioMcpClient"]),
    (ToolKind::McpHttp, &["mcp_http", "StreamableHttpMcpClient"]),
];

/// Tools of Kestra that there are not, and what to use.
const OTHERS: [(&str, &str); 8] = [
    ("SseMcpClient", "`mcp_http`: servers with Server-Sent Events alone are of an older version of the protocol"),
    ("DockerMcpClient", "`mcp_stdio` with `command: [docker, run, -i, --rm, IMAGE]`"),
    ("CodeExecution", "`task` with a python.script"),
    ("GoogleCustomWebSearch", "`task` with an http.request to a search engine"),
    ("TavilyWebSearch", "`task` with an http.request to a search engine"),
    ("A2AClient", "`task` with an http.request"),
    ("AIAgent", "`flow` with a flow that has an ai.agent"),
    ("Skill", "the `systemMessage`"),
];

impl<'de> Deserialize<'de> for ToolKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = String::deserialize(deserializer)?;
        let name = given.strip_prefix(KESTRA).unwrap_or(&given);
        if let Some((kind, _)) = KINDS.iter().find(|(_, names)| names.contains(&name)) {
            return Ok(*kind);
        }
        let instead = OTHERS.iter().find(|(other, _)| *other == name).map_or_else(
            || "`flow`, `task`, `sql`, `mcp_stdio` or `mcp_http`".to_owned(),
            |(_, instead)| (*instead).to_owned(),
        );
        Err(D::Error::custom(format!("the tool `{given}` is not supported; use {instead}")))
    }
}

impl JsonSchema for ToolKind {
    fn schema_name() -> Cow<'static, str> {
        "ToolKind".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let name = |name: &&str| {
            if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                format!("{KESTRA}{name}")
            } else {
                (*name).to_owned()
            }
        };
        let names: Vec<String> = KINDS.iter().flat_map(|(_, names)| names.iter().map(name)).collect();
        json_schema!({"type": "string", "enum": names})
    }
}

impl ToolDefinition {
    /// What is missing, or has no effect.
    pub(super) fn problem(&self) -> Option<String> {
        let has = |field: &Option<String>| field.is_some();
        let given: [(&str, bool, &[ToolKind]); 15] = [
            ("name", has(&self.name), &[ToolKind::Flow, ToolKind::Sql]),
            ("namespace", has(&self.namespace), &[ToolKind::Flow]),
            ("flowId", has(&self.flow_id), &[ToolKind::Flow]),
            ("inputs", !self.inputs.is_empty(), &[ToolKind::Flow]),
            ("labels", !self.labels.is_null(), &[ToolKind::Flow]),
            ("inheritLabels", self.inherit_labels, &[ToolKind::Flow]),
            ("tasks", !self.tasks.is_empty(), &[ToolKind::Task]),
            ("url", has(&self.url), &[ToolKind::Sql, ToolKind::McpHttp]),
            ("username", has(&self.username), &[ToolKind::Sql]),
            ("password", has(&self.password), &[ToolKind::Sql]),
            ("maxRows", self.max_rows.is_some(), &[ToolKind::Sql]),
            ("command", !self.command.is_empty(), &[ToolKind::McpStdio]),
            ("env", !self.env.is_empty(), &[ToolKind::McpStdio]),
            ("headers", !self.headers.is_empty(), &[ToolKind::McpHttp]),
            ("timeout", self.timeout.is_some(), &[ToolKind::McpStdio, ToolKind::McpHttp]),
        ];
        let idle = given.iter().find(|(_, is_given, kinds)| *is_given && !kinds.contains(&self.kind));
        if let Some((field, ..)) = idle {
            return Some(format!("`{field}` has no effect for a tool of this type"));
        }
        let missing = |field: &str| Some(format!("a tool of this type needs `{field}`"));
        match self.kind {
            ToolKind::Flow if self.namespace.is_none() => missing("namespace"),
            ToolKind::Flow if self.flow_id.is_none() => missing("flowId"),
            ToolKind::Flow if self.description.is_none() => missing("description"),
            ToolKind::Task if self.tasks.is_empty() => missing("tasks"),
            ToolKind::Task => self.tasks.iter().find_map(task_tool::problem),
            ToolKind::McpStdio if self.command.is_empty() => missing("command"),
            ToolKind::McpHttp if self.url.is_none() => missing("url"),
            _ => None,
        }
    }
}
