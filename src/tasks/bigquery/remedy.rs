//! What to do about BigQuery's refusals, beyond what holds for all of Google Cloud.

use crate::gcp::GoogleError;

/// The remedy for a refusal, if it is one of the usual ones. `location` is the task's own.
pub(super) fn of(refusal: &GoogleError, location: Option<&str>) -> Option<String> {
    let message = refusal.message.to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    if refusal.reason == "bytesBilledLimitExceeded" || says("bytes billed") {
        return Some(BYTES.to_owned());
    }
    if says("different location") {
        return Some(place(location));
    }
    if says("invalid dataset id") {
        return Some("names of datasets have letters, digits and underscores, but no dashes: write my_data".into());
    }
    if refusal.status == 404 || refusal.reason == "notFound" {
        return missing(&message, location);
    }
    if says("access denied") && (says("permission to query") || says("permission to access")) {
        return Some(READER.to_owned());
    }
    if says("but got \"-\"") {
        return Some("quote names with a dash with backticks: `my-project.dataset.table`".into());
    }
    if says("partition elimination") || says("filter over column") {
        return Some("the table requires a condition on its partition column in WHERE".into());
    }
    reading(&message)
}

fn missing(message: &str, location: Option<&str>) -> Option<String> {
    let says = |words: &str| message.contains(words);
    let text = if says("not found: dataset") {
        "create it first, with a task of type `bigquery.create_dataset` or `jitney run flows/gcp_setup.yaml`"
    } else if says("not found: table") {
        "check the names of project, dataset and table"
    } else if says("not found: uri") || says("matched no files") {
        "check the address, and that the upload went into the same bucket; `gcloud storage ls gs://BUCKET/` shows it"
    } else if says("not found: project") {
        "check `project`: `gcloud projects list` shows yours"
    } else {
        return None;
    };
    match says("in location") {
        true => Some(format!("{text}. If it exists, it is in another location: {}", place(location))),
        false => Some(text.to_owned()),
    }
}

/// Mistakes in files, as load jobs find them.
fn reading(message: &str) -> Option<String> {
    let says = |words: &str| message.contains(words);
    let text = if says("provided schema does not match") {
        "the columns of the table and of the schema differ: change one of them, or add columns with \
         `schema_update_options: [ALLOW_FIELD_ADDITION]`"
    } else if says("already exists: table") || says("already exists and") {
        "`write_disposition: WRITE_APPEND` adds to the table, `WRITE_TRUNCATE` replaces its rows"
    } else if says("error while reading data") || says("too many errors") || says("could not parse") {
        "correct the file or the schema (`csv_options: {skip_leading_rows: 1}` skips a header), or allow bad rows: \
         `max_bad_records: 10`"
    } else {
        return None;
    };
    Some(text.to_owned())
}

fn place(location: Option<&str>) -> String {
    let now = location.map_or("no `location` is set".to_owned(), |place| format!("`location` is {place}"));
    format!(
        "{now}; bucket, datasets and jobs must share one: `bq show --format=prettyjson DATASET` and `gcloud storage \
         buckets describe gs://BUCKET` show their locations. Data cannot be moved: recreate the other one in the same location"
    )
}

const BYTES: &str = "read fewer columns, add a condition on the partition column, or increase `maximum_bytes_billed`. \
     `dry_run: true` shows how much a query would read, without cost";

const READER: &str = "grant reading: gcloud projects add-iam-policy-binding PROJECT --member=user:YOUR-ADDRESS \
     --role=roles/bigquery.dataViewer; if it is your own table, check its name";
