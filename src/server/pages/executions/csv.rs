//! The list of executions as a CSV file: all that match the filters, a page after the other.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;

use crate::blocking::run_blocking;
use crate::journal::{ExecutionQuery, Summary};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;

/// How many executions are read at a time, and the most of them.
const PAGE_SIZE: u32 = 1000;
const MAX_EXECUTIONS: u32 = 100_000;

const HEAD: [&str; 11] =
    ["id", "namespace", "flow", "state", "trigger", "created", "started", "ended", "seconds", "rows", "inputs"];

struct ListPages {
    app: Arc<App>,
    query: ExecutionQuery,
    read: u32,
    is_over: bool,
}

impl ListPages {
    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.is_over {
            return None;
        }
        let found = self.app.executor.journal().search(&self.query, PAGE_SIZE, self.read);
        let executions = match found {
            Ok(page) => page.executions,
            Err(error) => {
                self.is_over = true;
                return Some(Err(io::Error::other(error)));
            }
        };
        let is_first = self.read == 0;
        self.read += PAGE_SIZE;
        self.is_over = executions.len() < PAGE_SIZE as usize || self.read >= MAX_EXECUTIONS;
        Some(written(&executions, is_first))
    }
}

pub(in crate::server::pages) async fn download(
    State(app): State<Arc<App>>,
    parameters: QueryParameters,
) -> Result<impl IntoResponse, ApiError> {
    let query = run_blocking(|| parameters.query_in(&app))?;
    let pages = ListPages { app, query, read: 0, is_over: false };
    let rows = futures_util::stream::unfold(pages, |mut pages| async move {
        let page = run_blocking(|| pages.next())?;
        Some((page, pages))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"executions.csv\""),
    ];
    Ok((headers, Body::from_stream(rows)))
}

fn written(executions: &[Summary], has_head: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if has_head {
        writer.write_record(HEAD)?;
    }
    for summary in executions {
        writer.write_record(record(summary))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn record(summary: &Summary) -> [String; 11] {
    let stamp = |moment: Option<DateTime<Utc>>| {
        moment.map(|moment| moment.to_rfc3339_opts(SecondsFormat::Millis, true)).unwrap_or_default()
    };
    [
        summary.id.to_string(),
        summary.namespace.clone(),
        summary.flow.clone(),
        summary.state.to_string(),
        summary.trigger.clone().unwrap_or_default(),
        stamp(Some(summary.created)),
        stamp(summary.started),
        stamp(summary.ended),
        summary.took.map(|seconds| format!("{seconds:.3}")).unwrap_or_default(),
        summary.rows.to_string(),
        Value::Object(summary.inputs.clone()).to_string(),
    ]
}
