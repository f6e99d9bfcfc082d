//! What a tool is: a struct whose fields are its arguments and whose doc comments are what agents read.

use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::diagnostic::{Diagnostic, nearest};
use crate::engine::catalog::CatalogEntry;
use crate::server::App;
use crate::server::access::Role;
use crate::server::api::error::ApiError;
use crate::task::{TaskError, read};
use crate::text::shortened;

/// The most findings in a result.
const MAX_FINDINGS: usize = 20;
/// The largest result, in bytes of JSON.
const MAX_RESULT_BYTES: usize = 64 << 10;

/// What a call gives.
pub(super) type McpResult = std::result::Result<Value, ToolError>;

type ToolFuture = Pin<Box<dyn Future<Output = McpResult> + Send>>;

/// A tool with its arguments.
pub(super) trait McpTool: DeserializeOwned + JsonSchema + Send + 'static {
    /// What agents call it by.
    const NAME: &'static str;
    /// The same for people.
    const TITLE: &'static str;
    /// The least role of a caller.
    const ROLE: Role = Role::Viewer;
    /// Whether it changes something.
    const IS_CHANGE: bool = false;

    /// What it changes, for the audit log.
    fn target(&self) -> String {
        String::new()
    }

    /// Does it.
    fn call(self, app: Arc<App>) -> impl Future<Output = McpResult> + Send;
}

/// The entry of a tool in the registry.
pub(super) struct McpToolType {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) role: Role,
    pub(super) is_change: bool,
    pub(super) schema: fn() -> Schema,
    pub(super) target: fn(&Value) -> String,
    pub(super) call: fn(Value, Arc<App>) -> ToolFuture,
}

impl McpToolType {
    pub(super) const fn of<T: McpTool>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            role: T::ROLE,
            is_change: T::IS_CHANGE,
            schema: || schemars::schema_for!(T),
            target: |arguments| read::<T>(arguments).map(|tool| tool.target()).unwrap_or_default(),
            call: |arguments, app| {
                Box::pin(async move {
                    let tool = read::<T>(&arguments).map_err(|error| {
                        let place = error.path.join(".");
                        let place = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
                        ToolError::new(format!("the arguments do not fit: {place}{}", error.message))
                            .next(format!("see the input schema of `{}`", T::NAME))
                    })?;
                    bounded(tool.call(app).await?)
                })
            },
        }
    }
}

/// A result of an acceptable size. Tools bound their results; this is for values that are large in another way.
fn bounded(result: Value) -> McpResult {
    let bytes = result.to_string().len();
    if bytes <= MAX_RESULT_BYTES {
        return Ok(result);
    }
    let message = format!("the result has {bytes} bytes, more than the limit of {MAX_RESULT_BYTES}");
    Err(ToolError::new(message).next("ask for less: a smaller `limit`, fewer columns, a shorter period"))
}

/// Why a call failed, in words for the agent.
#[derive(Debug)]
pub(super) struct ToolError {
    message: String,
    findings: Vec<Diagnostic>,
    next: Option<String>,
}

impl ToolError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), findings: Vec::new(), next: None }
    }

    /// Adds what to do, or which tool to call.
    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("error".to_owned(), json!(self.message));
        if !self.findings.is_empty() {
            body.extend(list("findings", &self.findings, MAX_FINDINGS));
        }
        body.extend(self.next.as_ref().map(|next| ("next".to_owned(), json!(next))));
        Value::Object(body)
    }
}

impl From<ApiError> for ToolError {
    fn from(error: ApiError) -> Self {
        Self { message: error.message().to_owned(), findings: error.located().to_vec(), next: None }
    }
}

impl From<TaskError> for ToolError {
    fn from(error: TaskError) -> Self {
        Self { message: error.message, findings: Vec::new(), next: error.help }
    }
}

/// The first items of a list under its name, and how many more there are.
pub(super) fn list<T: Serialize>(name: &str, items: &[T], most: usize) -> Map<String, Value> {
    let shown = &items[..items.len().min(most)];
    page(name, shown, items.len().saturating_sub(most) as u64)
}

/// Items of a list under its name, and how many more there are.
pub(super) fn page<T: Serialize>(name: &str, shown: &[T], more: u64) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert(name.to_owned(), json!(shown));
    if more > 0 {
        map.insert("more".to_owned(), json!(format!("{more} more")));
    }
    map
}

/// The findings of a flow's text.
pub(super) fn findings(all: &[Diagnostic]) -> Map<String, Value> {
    list("findings", all, MAX_FINDINGS)
}

/// The beginning of a text.
pub(super) fn brief(text: &str, most: usize) -> String {
    shortened(text, most).into_owned()
}

/// A flow of the catalog.
pub(super) fn flow(app: &App, namespace: &str, id: &str) -> std::result::Result<Arc<CatalogEntry>, ToolError> {
    app.catalog.get(namespace, id).ok_or_else(|| {
        let all = app.catalog.list();
        let elsewhere = all.iter().find(|entry| entry.id == id);
        let near = || nearest(id, all.iter().map(|entry| entry.id.as_str()));
        let found = elsewhere.or_else(|| all.iter().find(|entry| Some(entry.id.as_str()) == near()));
        let hint = found.map(|entry| format!("; did you mean `{}` in `{}`?", entry.id, entry.namespace));
        let error = ToolError::from(ApiError::flow_not_found(namespace, id));
        ToolError { message: error.message + &hint.unwrap_or_default(), ..error }.next("`list_flows` lists the flows")
    })
}
