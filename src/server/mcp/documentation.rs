//! Tools about the documentation of task and trigger types.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::tool::{McpResult, McpTool, ToolError, brief, list};
use crate::diagnostic::nearest;
use crate::flow::trigger::{TRIGGERS, TriggerType};
use crate::flow::type_page::{task_page, trigger_page};
use crate::flow::type_search::find_types;
use crate::server::App;
use crate::tasks;

/// The most types of a search.
const MAX_TYPES: usize = 15;
/// The longest page, in letters.
const MAX_PAGE: usize = 30_000;

/// Searches the task and trigger types by words, such as "load csv postgres"; the best match comes first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchDocumentation {
    /// The words.
    words: String,
}

impl McpTool for SearchDocumentation {
    const NAME: &'static str = "search_documentation";
    const TITLE: &'static str = "Search documentation";

    async fn call(self, _: Arc<App>) -> McpResult {
        let found = find_types(tasks::ALL, &self.words);
        if found.is_empty() {
            return Err(ToolError::new("no task or trigger type has any of these words")
                .next("try other words, such as the system's name: postgres, bigquery, gcs, http, duckdb, python"));
        }
        let shown: Vec<Value> = found
            .iter()
            .map(|found| {
                let kind = if found.is_trigger { "trigger" } else { "task" };
                json!({"name": found.name, "kind": kind, "about": found.about})
            })
            .collect();
        let mut result = list("types", &shown, MAX_TYPES);
        result.insert("next".to_owned(), json!("`read_documentation` gives fields, outputs and an example of a type"));
        Ok(Value::Object(result))
    }
}

/// Reads the documentation of a task or trigger type: its fields, its outputs and an example.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadDocumentation {
    /// The type, by its short name or its Kestra name.
    name: String,
}

impl McpTool for ReadDocumentation {
    const NAME: &'static str = "read_documentation";
    const TITLE: &'static str = "Read documentation";

    async fn call(self, _: Arc<App>) -> McpResult {
        let page = tasks::find(&self.name).map(task_page);
        let page = page.or_else(|| TriggerType::find(&self.name).map(trigger_page));
        let page = page.ok_or_else(|| {
            let names = tasks::ALL.iter().map(|task| task.name).chain(TRIGGERS.iter().map(|trigger| trigger.name));
            let near = nearest(&self.name, names).map(|near| format!("; did you mean `{near}`?"));
            ToolError::new(format!("there is no task or trigger type `{}`{}", self.name, near.unwrap_or_default()))
                .next("`search_documentation` finds types by words")
        })?;
        Ok(json!({"documentation": brief(&page, MAX_PAGE)}))
    }
}
