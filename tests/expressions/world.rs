//! The names and the world that the tables are rendered in.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use jitney::flow::expression::{Host, Names};
use serde_json::{Value, json};

pub fn names() -> Names {
    jitney::jq::enable(env!("CARGO_BIN_EXE_jitney").into());
    let value = json!({
        "inputs": {"taxi": "green", "year": 2019, "rate": 2.5, "list": [3, 1, 2], "flag": false, "none": null, "empty": ""},
        "vars": {"file": "{{ inputs.taxi }}_tripdata_{{ inputs.year }}.csv", "twice": "{{ vars.file }}.gz",
            "loop": "{{ vars.loop }}", "plain": "as it is"},
        "outputs": {
            "extract": {"outputFiles": {"green_2019.csv": "jitney:///e1/extract/green_2019.csv"}, "uri": "u", "rows": [{"n": 1}, {"n": 2}]},
            "my-task": {"value": "dashed"},
            "each": {"a": {"x": {"value": "from a x"}}, "b": {"value": "from b"}},
        },
        "trigger": {"date": "2019-03-01T00:00:00Z"},
        "execution": {"id": "e1", "startDate": "2024-05-06T07:08:09.123Z"},
        "flow": {"id": "taxi", "namespace": "zoomcamp"},
        "taskrun": {"value": "x"},
        "item": {"value": "x", "parents": [{"value": "a"}]},
        "parents": [{"taskrun": {"value": "a"}}],
        "labels": {"team": "data"},
    });
    value.as_object().unwrap().clone()
}

/// A world that stands still: 10 March 2024, 14:05:06.789 UTC, a Sunday.
#[derive(Default)]
pub struct World {
    random: AtomicU64,
}

impl Host for World {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(DateTime::parse_from_rfc3339("2024-03-10T14:05:06.789Z").unwrap().to_utc())
    }

    fn random(&self) -> Result<u64, String> {
        Ok(self.random.fetch_add(1, Ordering::Relaxed))
    }

    fn secret(&self, name: &str, _: Option<&str>) -> Result<String, String> {
        if name == "API_KEY" { Ok("s3cret".to_owned()) } else { Err(format!("there is no secret `{name}`")) }
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        Ok((key == "city").then(|| json!({"name": "New York", "namespace": namespace})))
    }

    fn read(&self, uri: &str, _: Option<&str>) -> Result<String, String> {
        if uri == "a.json" { Ok(r#"{"a": [1, 2]}"#.to_owned()) } else { Err(format!("there is no file `{uri}`")) }
    }

    fn file_size(&self, uri: &str, _: Option<&str>) -> Result<u64, String> {
        self.read(uri, None).map(|text| text.len() as u64)
    }

    fn file_exists(&self, uri: &str, _: Option<&str>) -> Result<bool, String> {
        Ok(self.read(uri, None).is_ok())
    }

    fn file_uri(&self, path: &str, _: Option<&str>) -> Result<String, String> {
        Ok(format!("jitney:///files/{path}"))
    }

    fn error_logs(&self) -> Result<Value, String> {
        Ok(json!([{"taskId": "extract", "message": "no such month"}]))
    }

    fn tasks_with_state(&self, state: &str) -> Result<Value, String> {
        Ok(json!([{"taskId": "extract", "state": state}]))
    }
}
