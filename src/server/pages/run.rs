//! The form that starts a flow: a field for each of its inputs.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::error::PageError;
use super::shell::{Place, Shell, flow_address};
use super::{PageResult, page};
use crate::blocking::run_blocking;
use crate::diagnostic::Diagnostic;
use crate::engine::{Request, SubmitError};
use crate::flow::Flow;
use crate::flow::input::{Input, InputType};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::form::{FormUpload, InputForm};
use crate::server::api::parameters::QueryParameters;
use crate::task;
use crate::text::{plain, shell_quoted};

/// A field of the form.
struct Field {
    id: String,
    title: String,
    description: String,
    kind: &'static str,
    /// The type of the HTML element: `select`, `checkbox`, `textarea` or one of `input`.
    element: &'static str,
    value: String,
    choices: Vec<(String, bool)>,
    is_required: bool,
    example: String,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    shell: Shell,
    address: String,
    id: String,
    namespace: String,
    fields: Vec<Field>,
    problems: Vec<String>,
    command: String,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    parameters: QueryParameters,
) -> PageResult {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let given: Vec<(String, String)> = parameters.pairs("inputs")?;
    form(&app, &flow, &given, &[])
}

/// Starts the flow and shows the execution; what is wrong with the inputs is shown in the form.
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Path((namespace, id)): Path<(String, String)>,
    upload: FormUpload,
) -> Result<Response, PageError> {
    let flow = app.catalog.flow(&namespace, &id).ok_or_else(|| ApiError::flow_not_found(&namespace, &id))?;
    let read = InputForm::read(upload, &app).await?;
    // A field that was left empty has no value.
    let given: Vec<(String, String)> = read.inputs.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    let submitted = run_blocking(|| {
        let inputs = app.executor.resolve(&flow, &given)?;
        app.executor.submit(&flow, Request { inputs, ..Request::default() })
    });
    match submitted {
        Ok(execution) => Ok(Redirect::to(&format!("/executions/{execution}")).into_response()),
        Err(SubmitError::Inputs(findings)) => Ok(form(&app, &flow, &given, &findings)?.into_response()),
        Err(error) => Err(ApiError::from(error).into()),
    }
}

fn form(app: &App, flow: &Flow, given: &[(String, String)], findings: &[Diagnostic]) -> PageResult {
    let (namespace, id) = (flow.namespace.clone(), flow.id.to_string());
    let inputs = given.iter().map(|(name, value)| format!(" -i {}", shell_quoted(&format!("{name}={value}"))));
    page(&RunPage {
        address: flow_address(&namespace, &id),
        shell: Shell::of(app, Place::Flows, ""),
        fields: flow.inputs.iter().map(|input| field(input, given)).collect(),
        problems: findings.iter().map(Diagnostic::sentence).collect(),
        command: format!("jitney run {namespace}.{id}{}", inputs.collect::<String>()),
        id,
        namespace,
    })
}

fn field(input: &Input, given: &[(String, String)]) -> Field {
    let element = match input.kind {
        InputType::Select => "select",
        InputType::Bool => "checkbox",
        InputType::File => "file",
        InputType::Secret => "password",
        InputType::Int | InputType::Float => "text",
        InputType::Date => "date",
        InputType::Json | InputType::Yaml | InputType::Array => "textarea",
        _ => "text",
    };
    let default = input.defaults.as_ref().or(input.prefill.as_ref()).map(plain);
    let value = given.iter().find(|(name, _)| *name == input.id).map(|(_, value)| value.clone());
    let value = value.or(default.filter(|text| !task::is_template(text))).unwrap_or_default();
    Field {
        id: input.id.clone(),
        title: input.title().to_owned(),
        description: input.description.clone().unwrap_or_default(),
        kind: input.kind.name(),
        element,
        choices: input.values.iter().map(|choice| (choice.clone(), *choice == value)).collect(),
        value,
        is_required: input.required && input.defaults.is_none(),
        example: input.example().to_owned(),
    }
}
