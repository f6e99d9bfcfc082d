//! The ledger: what has been loaded, written in the load's own transaction, so that it is never ahead or behind.

use gcp_bigquery_client::model::dataset_reference::DatasetReference;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_configuration_query::JobConfigurationQuery;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::super::client::BigQueryClient;
use super::super::job::JobRequest;
use super::super::name::{BigQueryTableName, literal};
use crate::task::TaskError;
use crate::tasks::counts::Counts;
use crate::tasks::fetch::FetchMode;
use crate::tasks::file_address::FileAddress;

const DDL: &str = include_str!("../../../../sql/bigquery/jitney_loads.sql");
/// What ledgers of earlier versions lack.
const MORE: &str = "ALTER TABLE jitney_loads ADD COLUMN IF NOT EXISTS address STRING";
/// What the ledger is called, in the dataset of the table that is loaded.
pub(super) const NAME: &str = "jitney_loads";

/// The newest load of a partition.
#[derive(Debug)]
pub(super) struct CommittedLoad {
    /// Its name in the ledger.
    pub(super) id: String,
    /// The execution that did it.
    pub(super) execution: String,
    /// Its flow's id.
    pub(super) flow: String,
    pub(super) partition: String,
    /// The address of the source, if it is not the partition.
    pub(super) address: Option<String>,
    /// The name of the source.
    pub(super) source: String,
    /// SHA-256 of the source and of the definition.
    pub(super) sums: (String, String),
    /// What it counted.
    pub(super) counts: Counts,
    /// Rows of the partition that the table holds now.
    pub(super) present: u64,
    /// Rows that all loads into the table have brought.
    pub(super) noted: u64,
}

/// Which load is asked about.
pub(super) struct LoadLookup<'a> {
    pub(super) main: &'a BigQueryTableName,
    pub(super) which: LoadSelector<'a>,
    /// Which rows of the table are the partition's, in SQL.
    pub(super) rows: String,
}

/// Which load of a table to look up.
pub(super) enum LoadSelector<'a> {
    Newest,
    /// The newest of a partition.
    Partition(&'a str),
    /// The one of this name in the ledger; else what comes nearest to a file: the same, else the same content under
    /// another address, else other content under the same address. The newest of each.
    Nearest {
        id: &'a str,
        address: &'a FileAddress,
        flow: &'a str,
        sha256: &'a str,
        definitions: [&'a str; 2],
    },
}

impl LoadSelector<'_> {
    /// The condition and the order, in SQL.
    fn sql(&self) -> (String, String) {
        match self {
            Self::Newest => (String::new(), String::new()),
            Self::Partition(value) => (format!(" AND `partition` = {}", literal(value)), String::new()),
            Self::Nearest { id, address, flow, sha256, definitions } => {
                let [id, whole, short, flow, sha256] =
                    [id, address.whole.as_str(), address.short.as_str(), flow, sha256].map(literal);
                // Earlier versions noted the short one, which another flow may have for another file.
                let noted = "IFNULL(address, `partition`)";
                let is_same = format!("({noted} = {whole} OR ({noted} = {short} AND flow = {flow}))");
                let definitions = definitions.map(literal).join(", ");
                let condition = format!(" AND ({is_same} OR source_sha256 = {sha256})");
                let order = format!(
                    "IF(id = {id}, 0, 1), IF(source_sha256 = {sha256}, 0, 1), IF({is_same}, 0, 1), \
                     IF(definition_sha256 IN ({definitions}), 0, 1), "
                );
                (condition, order)
            }
        }
    }
}

impl BigQueryClient<'_> {
    /// Makes the ledger if it is not there, or adds the column that one of an earlier version lacks.
    pub(super) async fn ensure_ledger(&self, main: &BigQueryTableName) -> Result<(), TaskError> {
        let name = main.sibling(NAME);
        match self.table(&name).await {
            Ok(found) if has_column(&found, "address") => return Ok(()),
            Ok(_) => {
                let what = format!("adding a column to the ledger {name}");
                return self.statement(&what, MORE, main, &fresh()).await.map(|_| ());
            }
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => {}
            Err(failure) => return Err(failure.into()),
        }
        let what = format!("creating the ledger {name}");
        self.statement(&what, DDL, main, &fresh()).await.map(|_| ())
    }

    /// The newest load, if any.
    pub(super) async fn newest_load(&self, query: &LoadLookup<'_>) -> Result<Option<CommittedLoad>, TaskError> {
        let (condition, order) = query.which.sql();
        let ledger = query.main.sibling(NAME).sql();
        let target = literal(&query.main.to_string());
        let sql = format!(
            "SELECT id, execution, flow, `partition`, address, source, source_sha256, definition_sha256, rows_read, rows_loaded, \
             rows_rejected, rows_skipped, (SELECT COUNT(*) FROM {} WHERE {}) AS present, \
             (SELECT SUM(rows_loaded) FROM {ledger} WHERE target = {target}) AS noted\n\
             FROM {ledger} WHERE target = {target}{condition} ORDER BY {order}loaded_at DESC LIMIT 1",
            query.main.sql(),
            query.rows,
        );
        let job = self.statement("reading the ledger", &sql, query.main, &fresh()).await?;
        let result = self.rows(&job.job_reference.unwrap_or_default(), FetchMode::First).await?;
        Ok(result.row.map(|row| CommittedLoad::of(&row)))
    }

    /// Runs SQL of this task's own, once for each `identity`.
    pub(super) async fn statement(
        &self,
        what: &str,
        sql: &str,
        main: &BigQueryTableName,
        identity: &str,
    ) -> Result<gcp_bigquery_client::model::job::Job, TaskError> {
        let dataset = DatasetReference { dataset_id: main.dataset.clone(), project_id: main.project.clone() };
        let query = JobConfigurationQuery {
            query: sql.to_owned(),
            use_legacy_sql: Some(false),
            use_query_cache: Some(false),
            default_dataset: Some(dataset),
            ..JobConfigurationQuery::default()
        };
        let configuration = JobConfiguration { query: Some(query), ..JobConfiguration::default() };
        self.run(&JobRequest { what: what.to_owned(), configuration, identity: identity.to_owned(), file: None }).await
    }
}

fn has_column(table: &Value, name: &str) -> bool {
    let fields = table["schema"]["fields"].as_array();
    fields.is_some_and(|fields| fields.iter().any(|field| field["name"].as_str() == Some(name)))
}

/// A mark that no other job has: an earlier job's answer would be out of date.
fn fresh() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl CommittedLoad {
    fn of(row: &Map<String, Value>) -> Self {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let count = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
        let counts = Counts {
            read: count("rows_read"),
            loaded: count("rows_loaded"),
            rejected: count("rows_rejected"),
            skipped: count("rows_skipped"),
        };
        Self {
            id: text("id"),
            execution: text("execution"),
            flow: text("flow"),
            partition: text("partition"),
            address: row.get("address").and_then(Value::as_str).map(str::to_owned),
            source: text("source"),
            sums: (text("source_sha256"), text("definition_sha256")),
            counts,
            present: count("present"),
            noted: count("noted"),
        }
    }
}
