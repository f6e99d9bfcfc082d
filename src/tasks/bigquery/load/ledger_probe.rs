//! What BigQuery holds of loads that are yet to run: the ledger's word, held against the table's rows.
//!
//! One query asks for up to 500 partitions of a table. It reads six columns of the ledger and one of the table, that of
//! the partition: some 30 bytes for each row where that is the name of a month's file, and less where the table is sorted
//! by it. Looking at table and ledger themselves costs nothing.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::DateTime;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::client::path;
use super::super::name::{BigQueryTableName, column, literal};
use super::ledger::NAME;
use super::mode::LoadMode;
use super::script::constant;
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::gcp::{Api, ApiFailure, GoogleLogin, RetryPolicy, Service};
use crate::task::{Ledger, LedgerAnswer, LoadRecord, TaskError, read};
use crate::text::count;

/// Partitions that one query asks for.
const MAX_PARTITIONS: usize = 500;
/// How long Google may take before it says that it is not done yet.
const WAIT_MS: u32 = 10_000;

pub(super) const LEDGER: Ledger = Ledger {
    fields: &[
        "table",
        "destinationTable",
        "destination_table",
        "mode",
        "service_account",
        "serviceAccount",
        "impersonate",
        "impersonatedServiceAccount",
        "scopes",
        "project",
        "projectId",
    ],
    probe: |loads, settings| Box::pin(probe(loads, settings)),
};

/// Where a load goes.
#[derive(Deserialize)]
struct LoadTarget {
    #[serde(alias = "destinationTable", alias = "destination_table")]
    table: String,
    mode: Option<LoadMode>,
    #[serde(flatten)]
    login: CredentialFields,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
struct CredentialFields {
    #[serde(alias = "serviceAccount")]
    service_account: Option<String>,
    #[serde(alias = "impersonatedServiceAccount")]
    impersonate: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(alias = "projectId")]
    project: Option<String>,
}

/// The partition of a load, and its place among the answers.
struct PartitionQuery {
    place: usize,
    value: String,
}

/// By table and column.
type PartitionQueries = HashMap<(String, String), Vec<PartitionQuery>>;

async fn probe(loads: Vec<(Value, FileAccess)>, settings: Arc<Settings>) -> Result<Vec<LedgerAnswer>, TaskError> {
    let mut answers = vec![LedgerAnswer::Missing(None); loads.len()];
    // Whether the path of a key is written in the flow decides whether it may be read.
    let mut all: HashMap<(CredentialFields, bool), (&FileAccess, PartitionQueries)> = HashMap::new();
    for (place, (load, files)) in loads.iter().enumerate() {
        let load: LoadTarget = read(load).map_err(|error| TaskError::permanent(error.message))?;
        match &load.mode {
            Some(mode @ LoadMode::ReplacePartition(_)) => {
                let Some((column, value)) = mode.constant()? else { continue };
                let is_literal = load.login.service_account.as_deref().is_some_and(|key| files.is_literal(key));
                let (_, tables) =
                    all.entry((load.login, is_literal)).or_insert_with(|| (files, PartitionQueries::new()));
                tables.entry((load.table, column)).or_default().push(PartitionQuery { place, value });
            }
            _ => answers[place] = LedgerAnswer::Unknown(format!("the load into `{}` has no partition", load.table)),
        }
    }
    for ((login, _), (files, tables)) in all {
        let reader = LedgerReader::open(&settings, files, &login).await?;
        for ((table, column), partitions) in &tables {
            reader.look_up(table, column, partitions, &mut answers).await?;
        }
    }
    Ok(answers)
}

/// Somebody who asks BigQuery without a task.
struct LedgerReader {
    api: Api,
    project: String,
}

impl LedgerReader {
    async fn open(settings: &Settings, files: &FileAccess, login: &CredentialFields) -> Result<Self, TaskError> {
        let login = GoogleLogin {
            service_account: login.service_account.as_deref(),
            impersonate: login.impersonate.as_deref(),
            project: login.project.as_deref(),
            scopes: &login.scopes,
        };
        let api = Api::find(settings, files, Service::BigQuery, &login).await?;
        let project = api.access.project()?.to_owned();
        Ok(Self { api, project })
    }

    async fn look_up(
        &self,
        table: &str,
        column: &str,
        partitions: &[PartitionQuery],
        answers: &mut [LedgerAnswer],
    ) -> Result<(), TaskError> {
        let main = BigQueryTableName::parse(table, &self.project)?;
        let Some(found) = self.find(&main).await? else { return Ok(()) };
        if self.find(&main.sibling(NAME)).await?.is_none() {
            return Ok(());
        }
        let fields: Vec<TableFieldSchema> =
            serde_json::from_value(found["schema"]["fields"].clone()).unwrap_or_default();
        let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case(column)) else { return Ok(()) };
        for chunk in partitions.chunks(MAX_PARTITIONS) {
            let sql = ledger_sql(&main, field, chunk);
            let records = self.rows(&format!("reading what {main} holds"), &sql, found["location"].as_str()).await?;
            for partition in chunk {
                let Some((record, there)) = records.get(&partition.value) else { continue };
                answers[partition.place] = if *there == record.rows {
                    LedgerAnswer::Held(record.clone())
                } else {
                    LedgerAnswer::Missing(Some(format!("`{table}` holds {there} of {}", count(record.rows, "row"))))
                };
            }
        }
        Ok(())
    }

    /// What Google says of a table; none where it is missing, perhaps with its dataset.
    async fn find(&self, name: &BigQueryTableName) -> Result<Option<Value>, TaskError> {
        let address = format!("/bigquery/v2/projects/{}", path(name));
        let what = format!("looking at table {name}");
        match self.api.call_value(&RetryPolicy::brief(), &what, || self.api.request(Method::GET, &address)).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The newest load of each partition, and the rows that the table holds of it.
    async fn rows(
        &self,
        what: &str,
        sql: &str,
        location: Option<&str>,
    ) -> Result<HashMap<String, (LoadRecord, u64)>, TaskError> {
        let query = json!({"query": sql, "useLegacySql": false, "useQueryCache": false, "timeoutMs": WAIT_MS, "location": location});
        let start = format!("/bigquery/v2/projects/{}/queries", self.project);
        let call = |method: Method, address: String, body: Option<Value>| async move {
            let request = || {
                let request = self.api.request(method.clone(), &address);
                body.iter().fold(request, reqwest::RequestBuilder::json)
            };
            let answer: Result<Value, ApiFailure> = self.api.call_value(&RetryPolicy::brief(), what, request).await;
            answer
        };
        let mut answer = call(Method::POST, start.clone(), Some(query)).await?;
        while answer["jobComplete"] == false {
            let job = &answer["jobReference"];
            let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
            let place = format!("{start}/{}?timeoutMs={WAIT_MS}&location={}", text("jobId"), text("location"));
            answer = call(Method::GET, place, None).await?;
        }
        Ok(answer["rows"].as_array().into_iter().flatten().map(record).collect())
    }
}

/// The SQL that asks for the newest load of each partition and for its rows in the table.
fn ledger_sql(main: &BigQueryTableName, field: &TableFieldSchema, partitions: &[PartitionQuery]) -> String {
    let column = column(&field.name);
    let names: Vec<String> = partitions.iter().map(|partition| literal(&partition.value)).collect();
    let values: Vec<String> = partitions.iter().map(|partition| constant(Some(field), &partition.value)).collect();
    let cases: String = values.iter().zip(&names).map(|(value, name)| format!(" WHEN {value} THEN {name}")).collect();
    format!(
        "SELECT newest.`partition`, execution, rows_loaded, UNIX_MICROS(loaded_at), source_sha256, bytes, IFNULL(n, 0)\n\
         FROM (SELECT * FROM {} WHERE target = {} AND `partition` IN ({})\n\
         QUALIFY ROW_NUMBER() OVER (PARTITION BY `partition` ORDER BY loaded_at DESC) = 1) newest\n\
         LEFT JOIN (SELECT CASE {column}{cases} END AS name, COUNT(*) AS n FROM {} WHERE {column} IN ({}) GROUP BY 1) there\n\
         ON there.name = newest.`partition`",
        main.sibling(NAME).sql(),
        literal(&main.to_string()),
        names.join(", "),
        main.sql(),
        values.join(", "),
    )
}

/// A row of the answer.
fn record(row: &Value) -> (String, (LoadRecord, u64)) {
    let text = |index: usize| row["f"][index]["v"].as_str().unwrap_or_default();
    let number = |index: usize| text(index).parse::<u64>().unwrap_or_default();
    let record = LoadRecord {
        execution: text(1).to_owned(),
        rows: number(2),
        loaded_at: text(3).parse().ok().and_then(DateTime::from_timestamp_micros).unwrap_or_default(),
        sha256: text(4).to_owned(),
        bytes: number(5),
    };
    (text(0).to_owned(), (record, number(6)))
}
