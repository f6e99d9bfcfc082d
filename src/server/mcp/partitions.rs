//! Tools about partitions and backfills.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::tool::{McpResult, McpTool, ToolError, flow, list};
use crate::clock;
use crate::engine::backfill::GridRequest;
use crate::flow::input::to_argument;
use crate::server::App;
use crate::server::access::Role;
use crate::server::api::backfills::{self, CreateBackfillRequest};
use crate::server::api::error::ApiError;
use crate::server::api::pool::run_on_pool;

/// The most partitions in a result.
const MAX_PARTITIONS: usize = 60;

/// Lists the partitions of a flow, such as its months: which are loaded, which failed and why, and which were never run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListPartitions {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    id: String,
    /// The first partition, such as 2020-01; a year ago by default.
    from: Option<String>,
    /// The last partition, inclusive; now by default.
    to: Option<String>,
    /// Only the partitions of this schedule.
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month (default), day or hour.
    every: Option<String>,
    /// Values of inputs, by name.
    #[serde(default)]
    inputs: Map<String, Value>,
}

impl McpTool for ListPartitions {
    const NAME: &'static str = "list_partitions";
    const TITLE: &'static str = "List partitions";

    async fn call(self, app: Arc<App>) -> McpResult {
        let entry = flow(&app, &self.namespace, &self.id)?;
        let given: Vec<(String, String)> =
            self.inputs.iter().map(|(name, value)| (name.clone(), to_argument(value))).collect();
        ApiError::check_file_inputs(&app, &entry.flow, &given)?;
        let (trigger, every, from, to) = (self.trigger, self.every, self.from, self.to);
        let request = GridRequest { trigger, every, from, to, last: None, given, check: false };
        let reading = async move || {
            let grid = app.executor.runner().grid(&entry.flow, &request, clock::now()).await?;
            let columns: Vec<Value> = grid
                .columns
                .iter()
                .map(|column| {
                    let partitions: Vec<Value> = column.known.iter().map(|known| trimmed(json!(known))).collect();
                    let mut shown = list("partitions", &partitions, MAX_PARTITIONS);
                    shown.insert("column".to_owned(), json!(column.name));
                    Value::Object(shown)
                })
                .collect();
            let mut result = list("columns", &columns, 5);
            result.insert("notes".to_owned(), json!(grid.notes));
            Ok(Value::Object(result))
        };
        let next = "call again with a shorter period, or with values for `inputs`";
        run_on_pool(reading).await.map_err(|error| ToolError::from(error).next(next))
    }
}

/// Without what is empty.
fn trimmed(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.into_iter().filter(|(name, value)| !value.is_null() && name != "sha256").collect())
        }
        other => other,
    }
}

/// Which partitions a backfill is for.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(deny_unknown_fields)]
struct BackfillPeriod {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    id: String,
    /// The first partition: a month (2020-01), a day, an hour or a year.
    from: String,
    /// The last partition, inclusive.
    to: String,
    /// The schedule whose times are the partitions; the flow's only one by default.
    trigger: Option<String>,
    /// The step, for a flow without a schedule: month (default), day or hour.
    every: Option<String>,
    /// Values of inputs, by name; expressions may name `trigger.date`.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// Which partitions run: all (default), missing or failed.
    only: Option<String>,
    /// How many run at a time, 1 to 64; 1 by default.
    parallel: Option<u32>,
}

impl BackfillPeriod {
    async fn start(self, app: &Arc<App>, dry_run: bool) -> McpResult {
        flow(app, &self.namespace, &self.id)?;
        let wanted = json!({
            "namespace": self.namespace, "flowId": self.id, "from": self.from, "to": self.to, "trigger": self.trigger,
            "every": self.every, "inputs": self.inputs, "only": self.only.as_deref().unwrap_or("all"),
            "parallel": self.parallel.unwrap_or(1), "dryRun": dry_run,
        });
        let request: CreateBackfillRequest = serde_json::from_value(wanted)
            .map_err(|error| ToolError::new(format!("the backfill is not valid: {error}")))?;
        let started = backfills::start(app, request).await;
        let started =
            started.map_err(|error| ToolError::from(error).next("`explain_flow` lists inputs and schedules"))?;
        Ok(shortened(json!(started)))
    }
}

/// A plan or a backfill with only so many of its partitions.
fn shortened(mut value: Value) -> Value {
    let Some(map) = value.as_object_mut() else { return value };
    if let Some(backfill) = map.get_mut("backfill") {
        // The plan has them.
        backfill.as_object_mut().and_then(|backfill| backfill.shift_remove("partitions"));
    }
    if let Some(Value::Array(partitions)) = map.shift_remove("partitions") {
        map.extend(list("partitions", &partitions, MAX_PARTITIONS));
    }
    value
}

/// Plans a backfill without starting it: which partitions would run, and the state of each.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct PlanBackfill(BackfillPeriod);

impl McpTool for PlanBackfill {
    const NAME: &'static str = "plan_backfill";
    const TITLE: &'static str = "Plan backfill";

    async fn call(self, app: Arc<App>) -> McpResult {
        self.0.start(&app, true).await
    }
}

/// Starts a backfill: runs a flow for each partition of a past period. Plan it with `plan_backfill` first.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct StartBackfill(BackfillPeriod);

impl McpTool for StartBackfill {
    const NAME: &'static str = "start_backfill";
    const TITLE: &'static str = "Start backfill";
    const ROLE: Role = Role::Operator;
    const IS_CHANGE: bool = true;

    fn target(&self) -> String {
        format!("{}.{}", self.0.namespace, self.0.id)
    }

    async fn call(self, app: Arc<App>) -> McpResult {
        self.0.start(&app, false).await
    }
}

/// Shows how far a backfill has come: its state and its partitions.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowBackfill {
    /// The backfill's id.
    id: String,
}

impl McpTool for FollowBackfill {
    const NAME: &'static str = "follow_backfill";
    const TITLE: &'static str = "Follow backfill";

    async fn call(self, app: Arc<App>) -> McpResult {
        let found = backfills::described(&app, &self.id).await?;
        Ok(shortened(json!(found)))
    }
}
