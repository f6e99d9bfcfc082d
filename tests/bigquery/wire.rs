//! What the emulator does not do, or does wrongly: the requests are what Google documents.

use serde_json::{Value, json};

use super::proxy::{Proxy, reply};
use super::{attempt, context};

/// The configuration of the one job that a task asks for; the answer says that it is done.
async fn asked(kind: &str, fields: Value) -> Option<Value> {
    let home = tempfile::tempdir().unwrap();
    let done = json!({"jobReference": {"projectId": "test-project", "jobId": "x", "location": "EU"}, "status": {"state": "DONE"},
        "statistics": {"load": {"outputRows": "0"}, "query": {"statementType": "CREATE_TABLE"}}});
    let rows = json!({"jobComplete": true, "totalRows": "0", "schema": {"fields": []}});
    let proxy =
        Proxy::start(vec![reply("POST", done), reply("GET /bigquery/v2/projects/test-project/queries", rows)]).await?;
    let (context, _) = context(home.path(), &[("BIGQUERY_EMULATOR_HOST", &proxy.url)])?;
    attempt::run(context, kind, fields).await.unwrap();
    let mut jobs = proxy.jobs();
    assert_eq!(jobs.len(), 1);
    Some(jobs.remove(0))
}

const COURSE: [&str; 3] = [
    "CREATE OR REPLACE EXTERNAL TABLE `kestra.zoomcamp.green_tripdata_2020_04_ext`\n(\n    VendorID STRING OPTIONS (description = 'A code indicating the LPEP provider'),\n    lpep_pickup_datetime TIMESTAMP\n)\nOPTIONS (\n    format = 'CSV',\n    uris = ['gs://bucket/green_tripdata_2020-04.csv'],\n    skip_leading_rows = 1,\n    ignore_unknown_values = TRUE\n);\n",
    "CREATE OR REPLACE TABLE `kestra.zoomcamp.green_tripdata_2020_04`\nAS\nSELECT\n  MD5(CONCAT(\n    COALESCE(CAST(VendorID AS STRING), \"\"),\n    COALESCE(CAST(lpep_pickup_datetime AS STRING), \"\")\n  )) AS unique_row_id,\n  \"green_tripdata_2020-04.csv\" AS filename,\n  *\nFROM `kestra.zoomcamp.green_tripdata_2020_04_ext`;",
    "MERGE INTO `kestra.zoomcamp.green_tripdata` T\nUSING `kestra.zoomcamp.green_tripdata_2020_04` S\nON T.unique_row_id = S.unique_row_id\nWHEN NOT MATCHED THEN\n  INSERT (unique_row_id, filename, VendorID)\n  VALUES (S.unique_row_id, S.filename, S.VendorID);",
];

#[tokio::test]
async fn the_statements_of_a_course_flow_are_sent_as_they_stand() {
    for sql in COURSE {
        let fields = json!({"sql": sql, "projectId": "test-project", "location": "EU", "bucket": "b"});
        let Some(job) = asked("io.kestra.plugin.gcp.bigquery.Query", fields).await else { return };
        assert_eq!(job["configuration"]["query"]["query"], json!(sql));
        assert_eq!(job["configuration"]["query"]["useLegacySql"], json!(false));
        assert_eq!(job["jobReference"]["location"], json!("EU"));
        let id = job["jobReference"]["jobId"].as_str().unwrap();
        assert!(id.starts_with("jitney_e1_test_") && id.ends_with("_1"), "{id}");
    }
}

#[tokio::test]
async fn a_load_job_names_partition_decorator_and_all_that_it_was_told() {
    let fields = json!({
        "from": ["gs://b/a-*.csv.gz"], "destinationTable": "other-project.d.t$202004", "location": "EU",
        "schema": [{"name": "at", "type": "timestamp", "mode": "required", "description": "when"}],
        "writeDisposition": "WRITE_TRUNCATE", "createDisposition": "CREATE_NEVER", "maxBadRecords": 7,
        "csvOptions": {"skipLeadingRows": 1, "fieldDelimiter": ";", "quote": "'", "nullMarker": "NA", "allowJaggedRows": true,
            "allowQuotedNewLines": true, "encoding": "UTF-8"},
        "ignoreUnknownValues": true, "schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"],
        "timePartitioningField": "at", "timePartitioningType": "MONTH", "clusteringFields": ["a", "b"],
        "labels": {"team": "taxi"},
    });
    let Some(job) = asked("io.kestra.plugin.gcp.bigquery.LoadFromGcs", fields).await else { return };
    assert_eq!(
        job["configuration"],
        json!({"labels": {"team": "taxi"}, "load": {
            "allowJaggedRows": true, "allowQuotedNewlines": true, "clustering": {"fields": ["a", "b"]},
            "createDisposition": "CREATE_NEVER",
            "destinationTable": {"datasetId": "d", "projectId": "other-project", "tableId": "t$202004"},
            "encoding": "UTF-8", "fieldDelimiter": ";", "ignoreUnknownValues": true, "maxBadRecords": 7, "nullMarker": "NA",
            "quote": "'", "schema": {"fields": [{"description": "when", "mode": "REQUIRED", "name": "at", "type": "TIMESTAMP"}]},
            "schemaUpdateOptions": ["ALLOW_FIELD_ADDITION"], "skipLeadingRows": 1, "sourceFormat": "CSV",
            "sourceUris": ["gs://b/a-*.csv.gz"], "timePartitioning": {"field": "at", "type": "MONTH"},
            "writeDisposition": "WRITE_TRUNCATE",
        }})
    );
}

#[tokio::test]
async fn a_query_names_destination_limits_and_labels() {
    let fields = json!({
        "sql": "SELECT 1 AS a", "destinationTable": "d.t$20200401", "writeDisposition": "WRITE_TRUNCATE",
        "maximum_bytes_billed": "1000000000", "labels": {"team": "taxi"}, "priority": "BATCH", "useQueryCache": false,
        "jobTimeout": "PT10M", "defaultDataset": "d", "clusteringFields": ["a"], "parameters": {"x": 1},
    });
    let Some(job) = asked("bigquery.query", fields).await else { return };
    assert_eq!(
        job["configuration"],
        json!({"jobTimeoutMs": "600000", "labels": {"team": "taxi"}, "query": {
            "clustering": {"fields": ["a"]}, "defaultDataset": {"datasetId": "d", "projectId": "test-project"},
            "destinationTable": {"datasetId": "d", "projectId": "test-project", "tableId": "t$20200401"},
            "maximumBytesBilled": "1000000000", "parameterMode": "NAMED", "priority": "BATCH", "query": "SELECT 1 AS a",
            "queryParameters": [{"name": "x", "parameterType": {"type": "INT64"}, "parameterValue": {"value": "1"}}],
            "useLegacySql": false, "useQueryCache": false, "writeDisposition": "WRITE_TRUNCATE",
        }})
    );
}

#[tokio::test]
async fn a_dry_run_tells_the_bytes_that_google_estimates() {
    let home = tempfile::tempdir().unwrap();
    let estimate = json!({"status": {"state": "DONE"}, "configuration": {"dryRun": true, "query": {"query": "SELECT 1"}},
        "statistics": {"totalBytesProcessed": "123456789", "query": {"totalBytesProcessed": "123456789", "statementType": "SELECT"}}});
    let Some(proxy) = Proxy::start(vec![reply("POST", estimate)]).await else { return };
    let (context, log) = context(home.path(), &[("BIGQUERY_EMULATOR_HOST", &proxy.url)]).unwrap();
    let outputs = attempt::run(context, "bigquery.query", json!({"sql": "SELECT 1", "dryRun": true})).await.unwrap();
    assert_eq!(outputs["bytes_processed"], json!(123_456_789));
    assert_eq!(proxy.jobs()[0]["configuration"]["dryRun"], json!(true));
    assert!(super::lines(&log).contains("would read 123.5 MB"));
}
