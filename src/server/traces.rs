//! OpenTelemetry: one trace for each execution with a span for each of its tasks, sent by OTLP over HTTP when the execution
//! has ended.

use std::borrow::Cow;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use sha2::{Digest, Sha256};

use crate::id::{ExecutionId, RunId};
use crate::journal::{ExecutionState, State, TaskRun, TaskState};
use crate::secret::hide_address;

/// Sends traces to one collector.
#[derive(Debug)]
pub(super) struct Traces {
    exporter: SpanExporter,
    endpoint: String,
}

impl Traces {
    /// An exporter to `endpoint`, such as `http://localhost:4318`, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub(super) fn to(endpoint: &str) -> Result<Self, String> {
        crate::web::client::install_crypto();
        let address = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(address).build();
        let mut exporter = exporter.map_err(|error| format!("traces cannot be sent to {endpoint}: {error}"))?;
        exporter.set_resource(&Resource::builder().with_service_name("jitney").build());
        Ok(Self { exporter, endpoint: endpoint.to_owned() })
    }

    /// Sends an execution that has ended.
    ///
    /// # Errors
    /// When the collector does not accept it.
    pub(super) async fn send(&self, id: &ExecutionId, state: &State) -> Result<(), String> {
        let sent = self.exporter.export(spans(id, state)).await;
        sent.map_err(|error| {
            let error = error.to_string();
            let why = error.rsplit(": ").next().unwrap_or_default();
            // Without the execution's id, so that a collector that is down is one cause and not many.
            format!("cannot send traces to {}: {why}", hide_address(&self.endpoint))
        })
    }
}

/// The spans of an execution, its own first.
fn spans(id: &ExecutionId, state: &State) -> Vec<SpanData> {
    let own = context(id, None);
    let of_flow = vec![
        KeyValue::new("jitney.flow", state.created.flow.clone()),
        KeyValue::new("jitney.namespace", state.created.namespace.clone()),
        KeyValue::new("jitney.execution", id.to_string()),
        KeyValue::new("jitney.rows", i64::try_from(state.rows).unwrap_or(i64::MAX)),
    ];
    let status = if state.status == ExecutionState::Failed { Status::error("failed") } else { Status::Ok };
    let root = span(own.clone(), SpanId::INVALID, state.created.flow.clone(), (state.started, state.ended));
    let tasks = state.tasks.iter().map(|(run, task)| task_span(id, own.span_id(), run, task));
    [SpanData { attributes: of_flow, status, ..root }].into_iter().chain(tasks).collect()
}

fn task_span(id: &ExecutionId, parent: SpanId, run: &RunId, task: &TaskRun) -> SpanData {
    let message = task.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
    let status = if task.state == TaskState::Failed { Status::error(message) } else { Status::Ok };
    let attributes = vec![
        KeyValue::new("jitney.state", task.state.as_str()),
        KeyValue::new("jitney.attempts", i64::from(task.attempts)),
    ];
    let times = (task.since.or(task.started), task.ended);
    SpanData { attributes, status, ..span(context(id, Some(run)), parent, run.to_string(), times) }
}

fn span(
    span_context: SpanContext,
    parent_span_id: SpanId,
    name: impl Into<Cow<'static, str>>,
    (started, ended): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
) -> SpanData {
    let ended = ended.or(started).unwrap_or_default();
    SpanData {
        span_context,
        parent_span_id,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: SystemTime::from(started.unwrap_or(ended)),
        end_time: SystemTime::from(ended),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("jitney").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}

/// Ids derived from the execution and the task, so that sending twice gives the same trace.
fn context(id: &ExecutionId, run: Option<&RunId>) -> SpanContext {
    let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&digest(id.as_str())[..16]);
    span.copy_from_slice(&digest(&format!("{id}/{}", run.map_or("", RunId::as_str)))[..8]);
    let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
}
