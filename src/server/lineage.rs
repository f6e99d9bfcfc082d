//! OpenLineage: for each load one run, with the table as its output and the file as its input
//! (<https://openlineage.io/spec/2-0-2/OpenLineage.json>).

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::flow::Flow;
use crate::id::{ExecutionId, RunId};
use crate::journal::{State, TaskRun, TaskState};
use crate::secret::hide_address;

/// This program as a package URL, which is a URI.
const PRODUCER: &str = concat!("pkg:cargo/jitney@", env!("CARGO_PKG_VERSION"));
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const STATISTICS: &str = "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json";
const ERROR: &str = "https://openlineage.io/spec/facets/1-0-1/ErrorMessageRunFacet.json";

/// Where the collector is.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct LineageCollector {
    /// The address that takes events, such as `http://localhost:5000/api/v1/lineage`.
    pub url: String,
    /// A token that is sent as `Authorization: Bearer …`, best as `"{{ secret('LINEAGE_TOKEN') }}"`.
    pub token: Option<String>,
}

/// The events of an execution that has ended: start and end of each load. Which of the failed tasks are loads is known from
/// `flow`; without it they are left out.
pub(super) fn events(id: &ExecutionId, state: &State, flow: Option<&Flow>) -> Vec<Value> {
    let steps = flow.map(Flow::all_steps).unwrap_or_default();
    let is_load = |run: &RunId| steps.iter().any(|step| step.id.as_str() == run.task() && step.task.ledger.is_some());
    let events = |(run, task): (&RunId, &TaskRun)| match (output(task), &task.state) {
        (Some(output), _) => events_of(id, state, run, task, "COMPLETE", &[output]),
        (None, TaskState::Failed) if is_load(run) => events_of(id, state, run, task, "FAIL", &[]),
        (None, _) => None,
    };
    state.tasks.iter().filter_map(events).flatten().collect()
}

/// The table that a load wrote to; none when the task is no load, or loaded nothing.
fn output(task: &TaskRun) -> Option<Value> {
    let text = |name: &str| task.outputs.get(name).and_then(Value::as_str);
    let table = text("table")?;
    let (namespace, name) = match (text("server"), text("destinationTable")) {
        (Some(server), _) => (namespace(server), name(server, table)),
        (None, Some(_)) => ("bigquery", table.to_owned()),
        (None, None) => return None,
    };
    Some(json!({
        "namespace": namespace,
        "name": name,
        "outputFacets": {"outputStatistics": {
            "_producer": PRODUCER,
            "_schemaURL": format!("{STATISTICS}#/$defs/OutputStatisticsOutputDatasetFacet"),
            "rowCount": task.outputs.get("rows_loaded"),
            "size": task.outputs.get("bytes"),
        }},
    }))
}

/// The start and the end of a load.
fn events_of(
    id: &ExecutionId,
    state: &State,
    run: &RunId,
    task: &TaskRun,
    end: &str,
    outputs: &[Value],
) -> Option<[Value; 2]> {
    let (began, ended) = (task.started?, task.ended?);
    let file = || task.outputs.get("source").map(|name| json!({"namespace": "file", "name": name}));
    let inputs: Vec<Value> = source(state).or_else(file).into_iter().collect();
    let event = |kind: &str, time: DateTime<Utc>, facets: Value| {
        json!({
            "eventType": kind,
            "eventTime": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "producer": PRODUCER,
            "schemaURL": SCHEMA,
            "run": {"runId": run_id(id, run), "facets": facets},
            "job": {
                "namespace": state.created.namespace,
                "name": format!("{}.{}", state.created.flow, run.task()),
            },
            "inputs": inputs,
            "outputs": outputs,
        })
    };
    Some([event("START", began, json!({})), event(end, ended, error(task))])
}

/// The datasets of a server are in a namespace of their own: its address without the database.
fn namespace(server: &str) -> &str {
    let path = server.find("://").map_or(0, |at| at + 3);
    server[path..].rfind('/').map_or(server, |slash| &server[..path + slash])
}

/// A table's name with its database and schema.
fn name(server: &str, table: &str) -> String {
    let database = server.rsplit('/').next().unwrap_or_default();
    let table = if table.contains('.') { table.to_owned() } else { format!("public.{table}") };
    format!("{database}.{table}")
}

/// The address that the execution downloaded from.
fn source(state: &State) -> Option<Value> {
    let uri = state.tasks.values().find_map(|task| task.outputs.get("source_uri").and_then(Value::as_str))?;
    let (scheme, rest) = uri.split_once("://")?;
    if scheme == "file" {
        return Some(json!({"namespace": "file", "name": rest}));
    }
    let (host, path) = rest.split_once('/')?;
    let path = path.split('?').next()?;
    Some(json!({"namespace": format!("{scheme}://{host}"), "name": path}))
}

fn error(task: &TaskRun) -> Value {
    let Some(error) = task.error.as_ref().filter(|_| task.state == TaskState::Failed) else { return json!({}) };
    json!({"errorMessage": {
        "_producer": PRODUCER,
        "_schemaURL": format!("{ERROR}#/$defs/ErrorMessageRunFacet"),
        "message": error.message,
        "programmingLanguage": "yaml",
    }})
}

/// A UUID derived from the execution and the task, so that an event that is sent twice is the same event.
fn run_id(id: &ExecutionId, run: &RunId) -> String {
    let digest = Sha256::digest(format!("{id}/{run}").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// Sends events to a collector, one after another.
///
/// # Errors
/// In plain words, at the first that is not accepted.
pub(super) async fn send(
    client: &reqwest::Client,
    collector: &LineageCollector,
    events: &[Value],
) -> Result<(), String> {
    for event in events {
        let mut request = client.post(&collector.url).json(event);
        if let Some(token) = &collector.token {
            request = request.bearer_auth(token);
        }
        let what = format!("cannot send lineage to {}", hide_address(&collector.url));
        let response = crate::web::follow::send(&what, request).await;
        let status = response.map_err(|error| error.into_error().message)?.status();
        if !status.is_success() {
            return Err(format!("{what}: it answered {status}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_named_as_the_convention_has_it() {
        assert_eq!(namespace("postgres://localhost:5432/ny_taxi"), "postgres://localhost:5432");
        assert_eq!(name("postgres://localhost:5432/ny_taxi", "public.green_tripdata"), "ny_taxi.public.green_tripdata");
        assert_eq!(name("postgres://localhost:5432/ny_taxi", "zones"), "ny_taxi.public.zones");
    }
}
