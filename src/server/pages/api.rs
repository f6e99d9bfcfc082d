//! The API as a page, made from its own description, with a form to try each call. Calls are the reader's own: what the reader
//! may not do, the form may not either.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::Serialize;
use serde_json::Value;

use super::shell::{NavPage, Shell};
use super::{PageResult, page_or_json};
use crate::server::App;
use crate::server::api::description;
use crate::server::api::parameters::QueryParameters;
use crate::task::documentation::{fields_within, type_name};
use crate::text::shell_quoted;

/// A parameter of a call.
#[derive(Serialize)]
struct Parameter {
    name: String,
    /// `path` or `query`
    place: String,
    kind: String,
    is_required: bool,
    about: String,
}

/// A field of a body.
#[derive(Serialize)]
struct BodyField {
    name: String,
    kind: String,
    is_required: bool,
    about: String,
    depth: usize,
}

/// What a call sends.
#[derive(Serialize)]
struct ShownBody {
    /// Its content type.
    kind: String,
    about: String,
    fields: Vec<BodyField>,
    /// What the form holds at first.
    example: String,
}

/// An answer: the status, and what it is.
#[derive(Serialize)]
struct ShownResponse {
    status: String,
    is_good: bool,
    about: String,
    kind: String,
}

#[derive(Serialize)]
struct Operation {
    /// The place on the page.
    anchor: String,
    method: String,
    path: String,
    about: String,
    parameters: Vec<Parameter>,
    body: Option<ShownBody>,
    answers: Vec<ShownResponse>,
    curl: String,
}

#[derive(Serialize)]
struct OperationGroup {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Serialize, Template)]
#[template(path = "api.html")]
struct ApiPage {
    #[serde(skip)]
    shell: Shell,
    text: String,
    base: String,
    groups: Vec<OperationGroup>,
}

pub(super) async fn show(State(app): State<Arc<App>>, parameters: QueryParameters, headers: HeaderMap) -> PageResult {
    let text = parameters.one("q").unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:8080");
    let document = description();
    let base = document.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or("/api/v1").to_owned();
    let root = format!("http://{host}{base}");
    let mut groups: Vec<OperationGroup> = Vec::new();
    for (path, methods) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for (method, call) in methods.as_object().into_iter().flatten() {
            let operation = operation(&document, &root, path, method, call);
            if !operation.has(text) {
                continue;
            }
            let name = call.pointer("/tags/0").and_then(Value::as_str).unwrap_or("others");
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) => group.operations.push(operation),
                None => groups.push(OperationGroup { name: name.to_owned(), operations: vec![operation] }),
            }
        }
    }
    page_or_json(&ApiPage { shell: Shell::of(&app, NavPage::Api, ""), text: text.to_owned(), base, groups })
}

impl Operation {
    fn has(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [&self.path, &self.about].iter().any(|place| place.to_lowercase().contains(&text))
            || self.method.eq_ignore_ascii_case(&text)
    }
}

fn operation(document: &Value, root: &str, path: &str, method: &str, call: &Value) -> Operation {
    let parameters = call.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let parameters: Vec<Parameter> = parameters.map(|found| parameter(document, found)).collect();
    let body = call.get("requestBody").map(|found| body(document, found));
    let summary = [text_of(call, "summary"), text_of(call, "description")];
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    Operation {
        anchor: std::iter::once(method).chain(words).collect::<Vec<_>>().join("-"),
        method: method.to_uppercase(),
        curl: curl(root, path, method, body.as_ref()),
        path: path.to_owned(),
        about: summary.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" "),
        answers: answers(document, call),
        parameters,
        body,
    }
}

fn text_of(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn parameter(document: &Value, found: &Value) -> Parameter {
    Parameter {
        name: text_of(found, "name"),
        place: text_of(found, "in"),
        kind: found.get("schema").map(|schema| kind_of(document, schema)).unwrap_or_default(),
        is_required: found.get("required").and_then(Value::as_bool).unwrap_or_default(),
        about: text_of(found, "description"),
    }
}

/// The type of a value; of a named one its name.
fn kind_of(document: &Value, schema: &Value) -> String {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return target.rsplit('/').next().unwrap_or_default().to_owned();
    }
    match schema.get("items") {
        Some(items) => format!("list of {}", kind_of(document, items)),
        None => type_name(document, schema),
    }
}

fn body(document: &Value, found: &Value) -> ShownBody {
    let content = found.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
    let (kind, schema) = content.map_or(("", None), |(kind, content)| (kind.as_str(), content.get("schema")));
    let found_fields = schema.map(|schema| fields_within(document, schema)).unwrap_or_default();
    let example = match kind {
        "application/json" => {
            let given = found_fields.iter().filter(|field| field.depth == 0 && field.is_required);
            let pairs = given.map(|field| (field.name.clone(), Value::from(""))).collect();
            serde_json::to_string_pretty(&Value::Object(pairs)).unwrap_or_default()
        }
        _ => String::new(),
    };
    let fields = found_fields.into_iter().map(|field| BodyField {
        name: field.name,
        kind: field.kind,
        is_required: field.is_required,
        about: field.about,
        depth: field.depth,
    });
    ShownBody { kind: kind.to_owned(), about: text_of(found, "description"), fields: fields.collect(), example }
}

fn answers(document: &Value, call: &Value) -> Vec<ShownResponse> {
    let all = call.get("responses").and_then(Value::as_object).into_iter().flatten();
    let one = |(status, answer): (&String, &Value)| {
        let content = answer.get("content").and_then(Value::as_object).and_then(|content| content.iter().next());
        let schema = content.and_then(|(_, content)| content.get("schema"));
        let kind = schema.map(|schema| kind_of(document, schema)).filter(|kind| kind != "map").unwrap_or_default();
        ShownResponse {
            is_good: status.starts_with('2'),
            about: text_of(answer, "description"),
            kind,
            status: status.clone(),
        }
    };
    all.map(one).collect()
}

/// The same call from a terminal.
fn curl(root: &str, path: &str, method: &str, body: Option<&ShownBody>) -> String {
    let mut words = vec!["curl".to_owned()];
    if method != "get" {
        words.push(format!("-X {}", method.to_uppercase()));
    }
    match body.map(|body| body.kind.as_str()) {
        None => {}
        Some("multipart/form-data") => words.push("-F name=value".to_owned()),
        Some(kind) => {
            words.push(format!("-H {}", shell_quoted(&format!("Content-Type: {kind}"))));
            let file = if kind.ends_with("yaml") { "--data-binary @flow.yaml" } else { "-d @body.json" };
            words.push(file.to_owned());
        }
    }
    words.push(shell_quoted(&format!("{root}{path}")));
    words.join(" ")
}
