//! The task types.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::tasks;

/// A task type.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginResponse {
    /// The short name.
    name: &'static str,
    /// Other names, with Kestra's first.
    aliases: &'static [&'static str],
    /// A list item of a flow's `tasks` that shows the usual fields.
    example: &'static str,
    /// The JSON Schema of the fields.
    #[schema(value_type = Object)]
    schema: schemars::Schema,
    /// The JSON Schema of the outputs.
    #[schema(value_type = Object)]
    outputs: schemars::Schema,
}

/// Every task type with its fields, outputs and an example.
#[utoipa::path(get, path = "/plugins", tag = "plugins", responses((status = 200, body = [PluginResponse])))]
pub(super) async fn list() -> Json<Vec<PluginResponse>> {
    let plugin = |task: &crate::task::TaskType| PluginResponse {
        name: task.name,
        aliases: task.aliases,
        example: task.example,
        schema: (task.schema)(),
        outputs: (task.outputs)(),
    };
    Json(tasks::ALL.iter().map(plugin).collect())
}
