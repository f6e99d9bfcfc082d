//! `bigquery.create_dataset`: a place for tables.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::client::BigQueryClient;
use super::name::check_dataset;
use crate::duration::DurationSpec;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::tasks::if_exists::IfExists;

google_task! {
    /// Creates a dataset.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct CreateDataset {
        /// The dataset's name: letters, digits and underscores.
        #[serde(alias = "dataset")]
        name: String,
        /// What to do if it exists: `ERROR` (by default), `SKIP`, or `UPDATE` its settings.
        #[serde(default, alias = "ifExists")]
        if_exists: IfExists,
        /// A description of its content.
        #[serde(alias = "datasetDescription")]
        dataset_description: Option<String>,
        /// A descriptive name.
        #[serde(alias = "friendlyName")]
        friendly_name: Option<String>,
        /// Labels of the dataset, which are shown on bills.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// The lifetime of new tables: `60d`, `P60D`. At least an hour; in a project without billing at most 60 days.
        #[serde(alias = "defaultTableExpiration", alias = "defaultTableLifetime")]
        default_table_expiration: Option<DurationSpec>,
        /// The lifetime of new partitions.
        #[serde(alias = "defaultPartitionExpiration")]
        default_partition_expiration: Option<DurationSpec>,
        /// The same in milliseconds.
        #[serde(alias = "defaultPartitionExpirationMs")]
        default_partition_expiration_ms: Option<u64>,
    }
}

/// What the task gives to later ones.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The dataset's name.
    pub dataset: String,
    /// Its project.
    pub project: String,
    /// Its location.
    pub location: String,
    /// Its descriptive name.
    #[serde(rename = "friendlyName", skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// Its description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it was created.
    pub created: bool,
    /// Whether its settings were changed.
    pub updated: bool,
}

impl Task for CreateDataset {
    const NAME: &'static str = "bigquery.create_dataset";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.bigquery.CreateDataset"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: dataset
  type: bigquery.create_dataset
  name: zoomcamp
  location: EU
  if_exists: SKIP
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        check_dataset(&self.name)?;
        let bigquery = BigQueryClient::open(context, &self.login(), self.location.as_deref()).await?;
        let found = match bigquery.dataset(&bigquery.project, &self.name).await {
            Ok(found) => Some(found),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => None,
            Err(failure) => return Err(failure.into()),
        };
        let (json, created, updated) = match (found, self.if_exists) {
            (None, _) => (self.create(&bigquery).await?, true, false),
            (Some(found), IfExists::Skip) => (found, false, false),
            (Some(_), IfExists::Update) => (self.update(&bigquery).await?, false, true),
            (Some(_), IfExists::Error) => {
                let message = format!("creating dataset {}.{}: it already exists", bigquery.project, self.name);
                let help = "`if_exists: SKIP` leaves it unchanged, `UPDATE` changes its settings";
                return Err(TaskError::permanent(message).help(help));
            }
        };
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let location = text("location").unwrap_or_default();
        self.compare_location(context, &location);
        context.info(format!(
            "dataset {} in {location} {}",
            self.name,
            if created { "is created" } else { "is there" }
        ));
        Ok(Outputs {
            dataset: self.name.clone(),
            project: bigquery.project.clone(),
            location,
            friendly_name: text("friendlyName"),
            description: text("description"),
            created,
            updated,
        })
    }
}

impl CreateDataset {
    async fn create(&self, bigquery: &BigQueryClient<'_>) -> Result<Value, TaskError> {
        let what = format!("creating dataset {}.{}", bigquery.project, self.name);
        let mut body = self.settings();
        let reference = json!({"projectId": bigquery.project, "datasetId": self.name});
        body.insert("datasetReference".into(), reference);
        body.extend(self.location.as_ref().map(|place| ("location".to_owned(), place.as_str().into())));
        let path = format!("{}/datasets", bigquery.project);
        match bigquery.request(&what, Method::POST, &path, Some(&Value::Object(body))).await {
            Ok(created) => Ok(created),
            // A repeat of our own request, whose answer was lost, or somebody was quicker.
            Err(failure) if failure.is(StatusCode::CONFLICT) => {
                Ok(bigquery.dataset(&bigquery.project, &self.name).await?)
            }
            Err(failure) if failure.is(StatusCode::BAD_REQUEST) && self.location.is_some() => {
                Err(failure.help(LOCATIONS).into())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn update(&self, bigquery: &BigQueryClient<'_>) -> Result<Value, TaskError> {
        let what = format!("updating dataset {}.{}", bigquery.project, self.name);
        let path = format!("{}/datasets/{}", bigquery.project, self.name);
        Ok(bigquery.request(&what, Method::PATCH, &path, Some(&Value::Object(self.settings()))).await?)
    }

    /// The dataset as Google documents it, without name and place, which never change.
    fn settings(&self) -> Map<String, Value> {
        let milliseconds = |span: &DurationSpec| span.0.as_millis().to_string().into();
        let partitions = self.default_partition_expiration.as_ref().map(milliseconds);
        let partitions = partitions.or(self.default_partition_expiration_ms.map(|ms| ms.to_string().into()));
        let all: [(&str, Option<Value>); 5] = [
            ("description", self.dataset_description.as_deref().map(Value::from)),
            ("friendlyName", self.friendly_name.as_deref().map(Value::from)),
            ("labels", (!self.labels.is_empty()).then(|| json!(self.labels))),
            ("defaultTableExpirationMs", self.default_table_expiration.as_ref().map(milliseconds)),
            ("defaultPartitionExpirationMs", partitions),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn compare_location(&self, context: &TaskContext, location: &str) {
        let Some(requested) = self.location.as_deref().filter(|requested| !requested.eq_ignore_ascii_case(location))
        else {
            return;
        };
        context.warn(format!(
            "dataset {} is in {location}, not in {requested}, and datasets cannot be moved: jobs must run in {location}",
            self.name
        ));
    }
}

const LOCATIONS: &str = "check `location`: `EU`, `US`, or a region such as `europe-west3`; \
     https://cloud.google.com/bigquery/docs/locations lists all";
