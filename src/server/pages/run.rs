//! The form that starts a flow: a field for each of its inputs, and the same as a command, a request and a link.

use std::path::Path as FilePath;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

use super::error::PageError;
use super::format::{ShownTime, filters};
use super::input_fields::{self, Element, InputField};
use super::shell::{NavPage, Shell, flow_address};
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::diagnostic::Diagnostic;
use crate::engine::backfill::may_read_date;
use crate::engine::catalog::CatalogEntry;
use crate::engine::{ExecutionRequest, SubmitError};
use crate::flow::Flow;
use crate::flow::input::{InputType, to_argument};
use crate::journal::{ExecutionQuery, Summary};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::form::{FormUpload, InputForm};
use crate::server::api::parameters::QueryParameters;
use crate::task::is_template;
use crate::text::shell_quoted;

/// How many executions are looked at for the last one that somebody started.
const MAX_LAST: u32 = 20;
/// The fields that are no inputs, whose names have no colon.
const DATE: &str = ":date";
const LABELS: &str = ":labels";

/// What a form says.
#[derive(Default)]
struct RunValues {
    inputs: Vec<(String, String)>,
    date: String,
    labels: String,
}

/// The execution that the form has its values from.
struct SourceExecution {
    id: String,
    began: ShownTime,
    is_last: bool,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    fields: Vec<InputField>,
    asks_for_date: bool,
    date: String,
    labels: String,
    source: Option<SourceExecution>,
    problems: Vec<String>,
    command: String,
    curl: String,
    /// The query of the form with these values.
    link: String,
}

/// A form that is to be shown.
struct RunForm<'a> {
    entry: &'a CatalogEntry,
    answers: RunValues,
    source: Option<SourceExecution>,
    findings: Vec<Diagnostic>,
    /// The server as the browser calls it.
    host: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
    headers: HeaderMap,
) -> PageResult {
    let entry = app.catalog.get(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let mut answers = RunValues {
        inputs: parameters.pairs("inputs")?,
        date: parameters.one("date").unwrap_or_default().to_owned(),
        labels: parameters.all("labels").collect::<Vec<_>>().join(", "),
    };
    let is_filled = ["inputs", "date", "labels", "defaults"].iter().any(|name| parameters.one(name).is_some());
    let source = match parameters.one("from") {
        None if is_filled => None,
        from => run_blocking(|| source(&app, &entry, from))?,
    };
    let source = source.map(|(summary, is_last)| {
        answers.inputs = values(&entry.flow, &summary.inputs, is_last);
        SourceExecution { id: summary.id.to_string(), began: ShownTime::of(summary.created), is_last }
    });
    run_blocking(|| {
        page(&of(&app, RunForm { entry: &entry, answers, source, findings: Vec::new(), host: host(&headers) }))
    })
}

/// The flow with its inputs, as the API gives it.
pub(super) async fn json(Path((namespace, id)): Path<(String, String)>) -> Redirect {
    Redirect::to(&format!("/api/v1{}", flow_address(&namespace, &id)))
}

/// Starts the flow and shows the execution; what is wrong with the inputs is shown in the form. With `show` it starts nothing.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
    headers: HeaderMap,
    upload: FormUpload,
) -> Result<Response, PageError> {
    let entry = app.catalog.get(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let read = InputForm::read(upload, &app).await?;
    let answers = answers(&entry.flow, &read.inputs);
    let submitted = match parameters.is_on("show") {
        true => Err(Vec::new()),
        false => run_blocking(|| submit(&app, &entry, &answers))?,
    };
    match submitted {
        Ok(execution) => Ok(Redirect::to(&format!("/executions/{execution}")).into_response()),
        Err(findings) => {
            let form = RunForm { entry: &entry, answers, source: None, findings, host: host(&headers) };
            Ok(run_blocking(|| page(&of(&app, form)))?.into_response())
        }
    }
}

fn submit(app: &App, entry: &CatalogEntry, answers: &RunValues) -> Result<Result<String, Vec<Diagnostic>>, ApiError> {
    let (date, labels) = match (date(&answers.date), labels(&answers.labels)) {
        (Ok(date), Ok(labels)) => (date, labels),
        (date, labels) => return Ok(Err([date.err(), labels.err()].into_iter().flatten().collect())),
    };
    let submitted = app.executor.resolve(&entry.flow, &answers.inputs).and_then(|inputs| {
        app.executor
            .submit(&entry.flow, ExecutionRequest { inputs, labels, trigger_date: date, ..ExecutionRequest::default() })
    });
    match submitted {
        Ok(execution) => Ok(Ok(execution.to_string())),
        Err(SubmitError::Inputs(findings)) => Ok(Err(findings)),
        Err(error) => Err(error.into()),
    }
}

/// The values of a form. A field that was left empty has none; of a field with several values they are a list.
fn answers(flow: &Flow, fields: &[(String, String)]) -> RunValues {
    let mut answers = RunValues::default();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            DATE => answers.date.clone_from(value),
            LABELS => answers.labels.clone_from(value),
            _ => answers.inputs.push((name.clone(), value.clone())),
        }
    }
    for input in flow.inputs.iter().filter(|input| input.kind == InputType::Multiselect) {
        let own = |(name, _): &&(String, String)| *name == input.id;
        let all: Vec<String> = answers.inputs.iter().filter(own).map(|(_, value)| value.clone()).collect();
        if all.len() > 1 {
            answers.inputs.retain(|(name, _)| *name != input.id);
            answers.inputs.push((input.id.clone(), Value::from(all).to_string()));
        }
    }
    answers
}

/// The execution that the address names, else the last one that somebody started, and whether it is that.
fn source(app: &App, entry: &CatalogEntry, from: Option<&str>) -> Result<Option<(Summary, bool)>, ApiError> {
    let journal = app.executor.journal();
    if let Some(id) = from {
        let id = id.parse()?;
        let summary = journal.summary(&id)?.ok_or_else(|| ApiError::execution_not_found(&id))?;
        return Ok(Some((summary, false)));
    }
    let query = ExecutionQuery { flow: Some(entry.id.clone()), ..ExecutionQuery::default() };
    let found = journal.search(&query, MAX_LAST, 0)?.executions;
    let is_meant = |summary: &Summary| summary.namespace == entry.namespace && summary.trigger.is_none();
    Ok(found.into_iter().find(is_meant).filter(|last| !last.inputs.is_empty()).map(|last| (last, true)))
}

/// The inputs of an execution that a form can repeat. Of the last run those are left out whose default is computed anew.
fn values(flow: &Flow, inputs: &Map<String, Value>, is_last: bool) -> Vec<(String, String)> {
    let is_kept = |name: &str| {
        let input = flow.inputs.iter().find(|input| input.id == name);
        input.is_some_and(|input| {
            let is_computed = input.defaults.as_ref().and_then(Value::as_str).is_some_and(is_template);
            input.kind != InputType::File && !(is_last && is_computed)
        })
    };
    let given = inputs.iter().filter(|(name, value)| !value.is_null() && is_kept(name));
    given.map(|(name, value)| (name.clone(), to_argument(value))).collect()
}

fn date(text: &str) -> Result<Option<DateTime<Utc>>, Diagnostic> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|day| day.and_utc());
    let moment = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    let wrong = || {
        Diagnostic::error(format!("the date `{text}` is not valid")).help("write 2020-03-01, or 2020-03-01T06:00:00Z")
    };
    moment.or_else(day).map(Some).ok_or_else(wrong)
}

fn labels(text: &str) -> Result<Map<String, Value>, Diagnostic> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once(':').ok_or_else(|| {
            Diagnostic::error(format!("the label `{pair}` is not valid")).help("write `key:value`, several with commas")
        })?;
        Ok((key.trim().to_owned(), Value::from(value.trim())))
    });
    pairs.collect()
}

fn host(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:8080");
    format!("http://{host}")
}

fn of(app: &App, form: RunForm) -> RunPage {
    let RunForm { entry, answers, source, findings, host } = form;
    let flow = &entry.flow;
    let resolved = app.executor.resolve_partial(flow, &answers.inputs);
    let findings = if findings.is_empty() { resolved.findings.clone() } else { findings };
    let fields = input_fields::of(&flow.inputs, &resolved, &answers.inputs, &findings);
    RunPage {
        address: flow_address(&entry.namespace, &entry.id),
        shell: Shell::of(app, NavPage::Flows, ""),
        problems: input_fields::others(&fields, &findings),
        fields,
        asks_for_date: may_read_date(flow),
        command: command(flow, &entry.file, &answers),
        curl: curl(entry, &host, &answers),
        link: link(flow, &answers),
        date: answers.date,
        labels: answers.labels,
        source,
        id: entry.id.clone(),
        namespace: entry.namespace.clone(),
    }
}

/// A value as the form's equivalents have it: that of a secret is a variable of the shell, that of a file its name.
fn argument(flow: &Flow, name: &str, value: &str) -> String {
    match flow.inputs.iter().find(|input| input.id == name).map(|input| input.kind) {
        Some(InputType::Secret) => format!("{}\"$SECRET\"", shell_quoted(&format!("{name}="))),
        Some(InputType::File) => {
            let file = FilePath::new(value).file_name().unwrap_or_default().to_string_lossy();
            shell_quoted(&format!("{name}={file}"))
        }
        _ => shell_quoted(&format!("{name}={value}")),
    }
}

fn command(flow: &Flow, file: &FilePath, answers: &RunValues) -> String {
    let mut command = format!("jitney run {}", shell_quoted(&file.display().to_string()));
    for (name, value) in &answers.inputs {
        command.push_str(&format!(" -i {}", argument(flow, name, value)));
    }
    if !answers.date.is_empty() {
        command.push_str(&format!(" --trigger-date {}", shell_quoted(&answers.date)));
    }
    for (key, value) in labels(&answers.labels).unwrap_or_default() {
        command.push_str(&format!(" --label {}", shell_quoted(&format!("{key}={}", crate::text::plain(&value)))));
    }
    command
}

fn curl(entry: &CatalogEntry, host: &str, answers: &RunValues) -> String {
    let mut query = QueryParameters::default();
    if let Ok(Some(date)) = date(&answers.date) {
        query = query.adding("scheduleDate", &date.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    for (key, value) in labels(&answers.labels).unwrap_or_default() {
        query = query.adding("labels", &format!("{key}:{}", crate::text::plain(&value)));
    }
    let query =
        Some(query.text()).filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
    let path = flow_address(&entry.namespace, &entry.id).replacen("/flows/", "/executions/", 1);
    let mut command = format!("curl -X POST {}", shell_quoted(&format!("{host}/api/v1{path}{query}")));
    for (name, value) in &answers.inputs {
        let is_file = entry.flow.inputs.iter().any(|input| input.id == *name && input.kind == InputType::File);
        match is_file {
            true => command.push_str(&format!(" -F {}", argument(&entry.flow, name, value).replacen('=', "=@", 1))),
            false => command.push_str(&format!(" --form-string {}", argument(&entry.flow, name, value))),
        }
    }
    command
}

/// The query of the form with these values, except for files and secrets.
fn link(flow: &Flow, answers: &RunValues) -> String {
    let mut query = QueryParameters::default();
    for (name, value) in &answers.inputs {
        let kind = flow.inputs.iter().find(|input| input.id == *name).map(|input| input.kind);
        if !matches!(kind, Some(InputType::Secret | InputType::File)) {
            query = query.adding("inputs", &format!("{name}:{value}"));
        }
    }
    for (name, value) in [("date", &answers.date), ("labels", &answers.labels)] {
        query = query.adding(name, value);
    }
    query.text()
}
