//! `bigquery.delete_table`

use reqwest::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::BigQueryClient;
use super::name::BigQueryTableName;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};

google_task! {
    /// Deletes a table, a view, or one partition of a table. A missing one is not an error.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct DeleteTable {
        /// The table, as `dataset.table`, or its name alone together with `dataset`. `table$202004` is one partition.
        table: String,
        /// The dataset, if `table` does not include it.
        dataset: Option<String>,
    }
}

/// What the task gives to later ones.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The project.
    #[serde(rename = "projectId")]
    pub project: String,
    /// The dataset.
    #[serde(rename = "datasetId")]
    pub dataset: String,
    /// The table.
    pub table: String,
    /// Whether it existed.
    pub deleted: bool,
}

impl Task for DeleteTable {
    const NAME: &'static str = "bigquery.delete_table";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.bigquery.DeleteTable"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: drop
  type: bigquery.delete_table
  table: zoomcamp.green_tripdata_2020_04
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let bigquery = BigQueryClient::open(context, &self.login(), self.location.as_deref()).await?;
        let full = match &self.dataset {
            Some(dataset) => format!("{}.{dataset}.{}", bigquery.project, self.table),
            None => self.table.clone(),
        };
        let name = BigQueryTableName::parse(&full, &bigquery.project)?;
        let deleted = bigquery.delete(&name).await?;
        if !deleted {
            context.info(format!("table {name} does not exist"));
        }
        Ok(Outputs { project: name.project, dataset: name.dataset, table: name.table, deleted })
    }
}

impl BigQueryClient<'_> {
    /// Deletes a table. Whether it existed.
    pub(super) async fn delete(&self, name: &BigQueryTableName) -> Result<bool, TaskError> {
        let what = format!("deleting table {name}");
        let tables = self.client.table();
        match self.call(&what, || tables.delete(&name.project, &name.dataset, &name.table)).await {
            Ok(()) => Ok(true),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }
}
