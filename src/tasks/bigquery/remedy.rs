//! What to do about BigQuery's refusals, beyond what holds for all of Google Cloud.

use crate::gcp::GoogleError;

/// The remedy for a refusal, if it is one of the usual ones. `location` is the task's own.
pub(super) fn of(google_error: &GoogleError, location: Option<&str>) -> Option<String> {
    let message = google_error.message.to_ascii_lowercase();
    let mentions = |words: &str| message.contains(words);
    if google_error.reason == "bytesBilledLimitExceeded" || mentions("bytes billed") {
        return Some(BYTES_HELP.to_owned());
    }
    if mentions("different location") {
        return Some(location_help(location));
    }
    if mentions("invalid dataset id") {
        return Some("names of datasets have letters, digits and underscores, but no dashes: write my_data".into());
    }
    if google_error.status == 404 || google_error.reason == "notFound" {
        return missing_help(&message, location);
    }
    if mentions("access denied") && (mentions("permission to query") || mentions("permission to access")) {
        return Some(READER_HELP.to_owned());
    }
    if mentions("but got \"-\"") {
        return Some("quote names with a dash with backticks: `my-project.dataset.table`".into());
    }
    if mentions("partition elimination") || mentions("filter over column") {
        return Some("the table requires a condition on its partition column in WHERE".into());
    }
    file_help(&message)
}

fn missing_help(message: &str, location: Option<&str>) -> Option<String> {
    let mentions = |words: &str| message.contains(words);
    let text = if mentions("not found: dataset") {
        "create it first, with a task of type `bigquery.create_dataset` or `jitney run flows/gcp_setup.yaml`"
    } else if mentions("not found: table") {
        "check the names of project, dataset and table"
    } else if mentions("not found: uri") || mentions("matched no files") {
        "check the address, and that the upload went into the same bucket; `gcloud storage ls gs://BUCKET/` shows it"
    } else if mentions("not found: project") {
        "check `project`: `gcloud projects list` shows yours"
    } else {
        return None;
    };
    match mentions("in location") {
        true => Some(format!("{text}. If it exists, it is in another location: {}", location_help(location))),
        false => Some(text.to_owned()),
    }
}

/// Mistakes in files, as load jobs find them.
fn file_help(message: &str) -> Option<String> {
    let mentions = |words: &str| message.contains(words);
    let text = if mentions("provided schema does not match") {
        "the columns of the table and of the schema differ: change one of them, or add columns with \
         `schema_update_options: [ALLOW_FIELD_ADDITION]`"
    } else if mentions("already exists: table") || mentions("already exists and") {
        "`write_disposition: WRITE_APPEND` adds to the table, `WRITE_TRUNCATE` replaces its rows"
    } else if mentions("error while reading data") || mentions("too many errors") || mentions("could not parse") {
        "correct the file or the schema (`csv_options: {skip_leading_rows: 1}` skips a header), or allow bad rows: \
         `max_bad_records: 10`"
    } else {
        return None;
    };
    Some(text.to_owned())
}

fn location_help(location: Option<&str>) -> String {
    let now = location.map_or("no `location` is set".to_owned(), |place| format!("`location` is {place}"));
    format!(
        "{now}; bucket, datasets and jobs must share one: `bq show --format=prettyjson DATASET` and `gcloud storage \
         buckets describe gs://BUCKET` show their locations. Data cannot be moved: recreate the other one in the same location"
    )
}

const BYTES_HELP: &str = "read fewer columns, add a condition on the partition column, or increase `maximum_bytes_billed`. \
     `dry_run: true` shows how much a query would read, without cost";

const READER_HELP: &str = "grant reading: gcloud projects add-iam-policy-binding PROJECT --member=user:YOUR-ADDRESS \
     --role=roles/bigquery.dataViewer; if it is your own table, check its name";
