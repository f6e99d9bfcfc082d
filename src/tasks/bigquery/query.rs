//! `bigquery.query`: a user's SQL.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Instant;

use gcp_bigquery_client::model::clustering::Clustering;
use gcp_bigquery_client::model::dataset_reference::DatasetReference;
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_configuration_query::JobConfigurationQuery;
use gcp_bigquery_client::model::job_reference::JobReference;
use gcp_bigquery_client::model::time_partitioning::TimePartitioning;
use reqwest::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::BigQueryClient;
use super::job::{JobRequest, text};
use super::name::{BigQueryTableName, check_dataset};
use super::parameter;
use crate::duration::DurationSpec;
use crate::gcp::google_task;
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::tasks::fetch::{FetchMode, ResultSet};

google_task! {
    /// Runs SQL on BigQuery: a query, DDL, DML, or a script of several statements. The text is sent unchanged.
    ///
    /// It runs once, even if the process dies: a new attempt finds the job of the previous one, and waits for it.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct BigQueryQuery {
        /// The SQL; either this or `file`.
        sql: Option<String>,
        /// A file of SQL, relative to the flow's own folder.
        file: Option<String>,
        /// Values for the SQL: a list for `?`, or a map for `@name`. Types are inferred, or specified as in `{type:
        /// DATE, value: 2020-04-01}`.
        #[serde(default)]
        parameters: Value,
        /// What to do with the rows: `NONE`, `FETCH` them all as `rows`, `FETCH_ONE` as `row`, or `STORE` them as a file
        /// of one JSON object per line.
        #[serde(default, alias = "fetchType")]
        fetch: FetchMode,
        /// The table that the rows are written to, `dataset.table`, optionally with a partition:
        /// `dataset.table$202004`.
        #[serde(alias = "destinationTable")]
        destination_table: Option<String>,
        /// What to do with existing rows of the destination: `WRITE_EMPTY` (fail, by default), `WRITE_APPEND` or
        /// `WRITE_TRUNCATE`.
        #[serde(alias = "writeDisposition")]
        write_disposition: Option<WriteDisposition>,
        /// Whether a missing destination is created: `CREATE_IF_NEEDED` (by default) or `CREATE_NEVER`.
        #[serde(alias = "createDisposition")]
        create_disposition: Option<CreateDisposition>,
        /// How the destination may change: `ALLOW_FIELD_ADDITION`, `ALLOW_FIELD_RELAXATION`.
        #[serde(default, alias = "schemaUpdateOptions")]
        schema_update_options: Vec<String>,
        /// The time column that a new destination is partitioned by.
        #[serde(alias = "timePartitioningField")]
        time_partitioning_field: Option<String>,
        /// The time span of one partition: `DAY` (by default), `HOUR`, `MONTH` or `YEAR`.
        #[serde(alias = "timePartitioningType")]
        time_partitioning_type: Option<PartitionPeriod>,
        /// The columns that a new destination is clustered by, at most four.
        #[serde(default, alias = "clusteringFields")]
        clustering_fields: Vec<String>,
        /// The dataset of tables that do not name one.
        #[serde(alias = "defaultDataset")]
        default_dataset: Option<String>,
        /// Checks the SQL and reports how many bytes it would read, without running it and without cost.
        #[serde(default, alias = "dryRun")]
        dry_run: bool,
        /// A query that would be billed for more bytes than this fails, without cost.
        #[serde(alias = "maximumBytesBilled")]
        maximum_bytes_billed: Option<u64>,
        /// Labels of the job, which are shown on bills and in logs: lowercase letters, digits, dashes and underscores.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// `INTERACTIVE` (by default), or `BATCH`, which waits for idle capacity.
        priority: Option<Priority>,
        /// Whether a cached result of the last day may be used. By default it may.
        #[serde(alias = "useQueryCache")]
        use_query_cache: Option<bool>,
        /// The maximum duration of the job.
        #[serde(alias = "jobTimeout")]
        job_timeout: Option<DurationSpec>,
        /// Whether the SQL is in BigQuery's legacy dialect.
        #[serde(default, alias = "legacySql", alias = "useLegacySql")]
        legacy_sql: bool,
        /// In the legacy dialect: whether results may be large.
        #[serde(alias = "allowLargeResults")]
        allow_large_results: Option<bool>,
        /// In the legacy dialect: whether nested results are flattened.
        #[serde(alias = "flattenResults")]
        flatten_results: Option<bool>,
    }
}

/// What a job does with what its table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "these are Google's words")]
pub(super) enum WriteDisposition {
    /// Add to it.
    WriteAppend,
    /// Replace it.
    WriteTruncate,
    /// Fail if it holds anything.
    WriteEmpty,
}

/// What a job does where its table is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum CreateDisposition {
    /// Make it.
    CreateIfNeeded,
    /// Fail.
    CreateNever,
}

/// How long the time of one partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum PartitionPeriod {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// When a query runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Priority {
    /// At once.
    Interactive,
    /// When there is idle capacity.
    Batch,
}

/// A variant of an enumeration as Google calls it.
pub(super) fn word<T: Serialize>(value: T) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// How a table is partitioned by time.
pub(super) fn by_time(field: Option<&String>, period: Option<PartitionPeriod>) -> Option<TimePartitioning> {
    if field.is_none() && period.is_none() {
        return None;
    }
    let period = word(period.unwrap_or(PartitionPeriod::Day)).unwrap_or_default();
    Some(TimePartitioning { field: field.cloned(), ..TimePartitioning::new(period) })
}

/// What the SQL gave.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// The job.
    #[serde(rename = "jobId")]
    job_id: String,
    /// The rows.
    #[serde(flatten)]
    result: ResultSet,
    /// What kind of statement it was, such as `SELECT`, `MERGE` or `SCRIPT`.
    statement_type: Option<String>,
    /// Rows inserted, updated and deleted; for a script, by its last statement if Google reports it.
    affected: u64,
    /// Rows that a DML statement inserted.
    inserted: u64,
    /// Rows that a DML statement updated.
    updated: u64,
    /// Rows that a DML statement deleted.
    deleted: u64,
    /// Bytes read; for a dry run, bytes that would be read.
    bytes_processed: u64,
    /// Bytes billed.
    bytes_billed: u64,
    /// Whether an earlier result was used.
    cache_hit: bool,
    /// The destination table, if one was specified.
    #[serde(rename = "destinationTable", skip_serializing_if = "Option::is_none")]
    destination_table: Option<BigQueryTableName>,
    /// Whether it was a dry run.
    dry_run: bool,
    /// Seconds from the request to the end.
    seconds: f64,
}

impl Task for BigQueryQuery {
    const NAME: &'static str = "bigquery.query";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.bigquery.Query"];
    const SQL: &'static [&'static str] = &["sql"];
    const FILES: &'static [&'static str] = &["file", "service_account"];
    const DEFINITIONS: &'static [&'static str] = &["file"];
    const EXAMPLE: &'static str = "\
- id: trips
  type: bigquery.query
  sql: SELECT COUNT(*) AS trips FROM zoomcamp.green_tripdata WHERE filename = @file
  parameters: {file: green_tripdata_2019-01.csv}
  maximum_bytes_billed: 1000000000
  fetch: FETCH_ONE
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let began = Instant::now();
        let (name, sql) = self.source(context)?;
        let bigquery = BigQueryClient::open(context, &self.login(), self.location.as_deref()).await?;
        let configuration = self.configuration(sql, &bigquery.project)?;
        let what = format!("running {name}");
        if self.dry_run {
            return self.estimate(&bigquery, &what, configuration, began).await;
        }
        let identity = JobRequest::identity(&configuration)?;
        let job = bigquery.run(&JobRequest { what: what.clone(), configuration, identity, file: None }).await?;
        let reference = job.job_reference.clone().unwrap_or_default();
        let result = bigquery.rows(&reference, self.fetch).await?;
        let mut outputs = self.outputs(&bigquery, &job, began)?;
        if outputs.affected > 0 {
            let counts = bigquery.dml(&what, &reference).await?;
            let count = |name: &str| counts[name].as_str().and_then(|count| count.parse().ok()).unwrap_or(0);
            outputs.inserted = count("insertedRowCount");
            outputs.updated = count("updatedRowCount");
            outputs.deleted = count("deletedRowCount");
        }
        outputs.result = result;
        self.log_result(context, &outputs);
        Ok(outputs)
    }
}

impl BigQueryQuery {
    /// What the SQL is called, and the SQL.
    fn source(&self, context: &TaskContext) -> Result<(String, String), TaskError> {
        match (&self.sql, &self.file) {
            (Some(sql), None) if !sql.trim().is_empty() => Ok(("the SQL".to_owned(), sql.clone())),
            (None, Some(file)) => {
                let text = fs::read_to_string(context.input_file("file", file)?);
                let text =
                    text.map_err(|error| TaskError::permanent(format!("cannot read `{file}`")).caused_by(error))?;
                Ok((format!("`{file}`"), text))
            }
            _ => Err(TaskError::permanent("`bigquery.query` needs either `sql` or `file`")),
        }
    }

    fn configuration(&self, sql: String, project: &str) -> Result<JobConfiguration, TaskError> {
        let destination =
            self.destination_table.as_deref().map(|name| BigQueryTableName::parse(name, project)).transpose()?;
        let (mode, parameters) = parameter::read(&self.parameters)?.unzip();
        let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let query = JobConfigurationQuery {
            query: sql,
            use_legacy_sql: Some(self.legacy_sql),
            parameter_mode: mode.map(str::to_owned),
            query_parameters: parameters,
            destination_table: destination.map(|table| table.reference()),
            write_disposition: self.write_disposition.and_then(word),
            create_disposition: self.create_disposition.and_then(word),
            schema_update_options: some(&self.schema_update_options),
            time_partitioning: by_time(self.time_partitioning_field.as_ref(), self.time_partitioning_type),
            clustering: some(&self.clustering_fields).map(|fields| Clustering { fields: Some(fields) }),
            default_dataset: self.default_dataset.as_deref().map(|name| dataset(name, project)).transpose()?,
            maximum_bytes_billed: self.maximum_bytes_billed.map(|bytes| bytes.to_string()),
            priority: self.priority.and_then(word),
            use_query_cache: self.use_query_cache,
            allow_large_results: self.allow_large_results,
            flatten_results: self.flatten_results,
            ..JobConfigurationQuery::default()
        };
        Ok(JobConfiguration {
            dry_run: self.dry_run.then_some(true),
            job_timeout_ms: self.job_timeout.map(|span| span.0.as_millis().to_string()),
            labels: labels(&self.labels),
            query: Some(query),
            ..JobConfiguration::default()
        })
    }

    /// Asks what the SQL would read. Such a job has no id and leaves no trace.
    async fn estimate(
        &self,
        bigquery: &BigQueryClient<'_>,
        what: &str,
        configuration: JobConfiguration,
        began: Instant,
    ) -> Result<Outputs, TaskError> {
        let place = bigquery.location.clone();
        let reference = JobReference { location: place, project_id: Some(bigquery.project.clone()), job_id: None };
        let job = Job { configuration: Some(configuration), job_reference: Some(reference), ..Job::default() };
        let what = format!("checking what {} would read", what.trim_start_matches("running "));
        let jobs = bigquery.client.job();
        let job = bigquery.call(&what, || jobs.insert(&bigquery.project, job.clone())).await?;
        let outputs = self.outputs(bigquery, &job, began)?;
        bigquery.context.info(format!("would read {}", size(outputs.bytes_processed)));
        Ok(outputs)
    }

    fn outputs(&self, bigquery: &BigQueryClient<'_>, job: &Job, began: Instant) -> Result<Outputs, TaskError> {
        let query = job.statistics.as_ref().and_then(|all| all.query.clone()).unwrap_or_default();
        let total = job.statistics.as_ref().and_then(|all| all.total_bytes_processed.clone());
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let destination = self.destination_table.as_deref();
        Ok(Outputs {
            job_id: job.job_reference.as_ref().map(|own| text(&own.job_id).to_owned()).unwrap_or_default(),
            statement_type: query.statement_type.clone(),
            affected: number(&query.num_dml_affected_rows),
            bytes_processed: number(&query.total_bytes_processed.clone().or(total)),
            bytes_billed: number(&query.total_bytes_billed),
            cache_hit: query.cache_hit.unwrap_or(false),
            destination_table: destination.map(|name| BigQueryTableName::parse(name, &bigquery.project)).transpose()?,
            dry_run: self.dry_run,
            seconds: began.elapsed().as_secs_f64(),
            ..Outputs::default()
        })
    }

    fn log_result(&self, context: &TaskContext, outputs: &Outputs) {
        let changed = match outputs.affected {
            0 => String::new(),
            _ => format!(
                ", {} rows inserted, {} updated, {} deleted",
                outputs.inserted, outputs.updated, outputs.deleted
            ),
        };
        context.info(format!("{}: {} read{changed}", outputs.job_id, size(outputs.bytes_processed)));
    }
}

impl BigQueryClient<'_> {
    /// What a DML statement did, which the crate does not read.
    async fn dml(&self, what: &str, reference: &JobReference) -> Result<Value, TaskError> {
        let place = reference.location.as_deref().map(|place| format!("&location={place}")).unwrap_or_default();
        let fields = "fields=statistics/query/dmlStats";
        let path = format!("{}/jobs/{}?{fields}{place}", self.project, text(&reference.job_id));
        let job = self.request(what, Method::GET, &path, None).await?;
        Ok(job["statistics"]["query"]["dmlStats"].clone())
    }
}

fn dataset(name: &str, project: &str) -> Result<DatasetReference, TaskError> {
    let (project, dataset) = name.rsplit_once(['.', ':']).unwrap_or((project, name));
    check_dataset(dataset)?;
    Ok(DatasetReference { project_id: project.to_owned(), dataset_id: dataset.to_owned() })
}

pub(super) fn labels(labels: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!labels.is_empty()).then(|| labels.clone().into_iter().collect())
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{bytes} bytes"),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
