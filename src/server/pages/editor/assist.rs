//! What the editor asks while somebody types: the findings, what may be written here, and what stands here.

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::check::{self, Check};
use super::line_ends;
use crate::blocking::run_blocking;
use crate::flow::assist::{Completion, DescribedPlace};
use crate::flow::documentation::flowing;
use crate::flow::{self, MAX_FLOW_BYTES, assist};
use crate::id::FlowKey;
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::{PageResult, page};
use crate::task::documentation::FieldDoc;
use crate::tasks;

/// The schema of flows, made once.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| flow::schema(tasks::ALL));

/// The parts of the editor's page that depend on its text.
#[derive(Template)]
#[template(path = "editor_check.html")]
struct CheckPage {
    check: Check,
}

/// The panel that tells what is at the cursor.
#[derive(Template)]
#[template(path = "editor_help.html")]
struct HelpPage {
    name: String,
    about: String,
    aliases: String,
    field: Option<FieldDoc>,
    groups: Vec<(&'static str, Vec<FieldDoc>)>,
    example: String,
}

/// The text of a request, with the flow that it is of.
fn text_of(form: &QueryParameters) -> Result<String, ApiError> {
    let text = line_ends::shown(form.one("text").unwrap_or_default());
    if text.len() > MAX_FLOW_BYTES {
        return Err(ApiError::unprocessable(format!("a flow has at most {} kB", MAX_FLOW_BYTES >> 10)));
    }
    Ok(text)
}

fn position(form: &QueryParameters) -> Result<(usize, usize), ApiError> {
    Ok((form.read("line", "3")?.unwrap_or(1), form.read("column", "5")?.unwrap_or(1)))
}

/// The findings and the picture of a text.
pub(in crate::server::pages) async fn diagnose(State(app): State<Arc<App>>, body: String) -> PageResult {
    let form = QueryParameters::parse(&body);
    let text = text_of(&form)?;
    let key = form.one("namespace").zip(form.one("id")).map(|(namespace, id)| FlowKey::new(namespace, id));
    let file = check::file_of(&app, key.as_ref());
    page(&CheckPage { check: run_blocking(|| Check::of(&file, &text)) })
}

/// What may be written at a line and a column.
pub(in crate::server::pages) async fn complete(body: String) -> Result<Json<Completion>, ApiError> {
    let form = QueryParameters::parse(&body);
    let (text, (line, column)) = (text_of(&form)?, position(&form)?);
    Ok(Json(run_blocking(|| assist::complete(&text, line, column, &SCHEMA, tasks::ALL))))
}

/// What is at a line and a column.
pub(in crate::server::pages) async fn describe(body: String) -> PageResult {
    let form = QueryParameters::parse(&body);
    let (text, (line, column)) = (text_of(&form)?, position(&form)?);
    page(&help(run_blocking(|| assist::describe(&text, line, column, &SCHEMA, tasks::ALL))))
}

fn help(place: DescribedPlace) -> HelpPage {
    let DescribedPlace { documentation, keys, field } = place;
    match documentation {
        Some(found) => HelpPage {
            name: found.name.to_owned(),
            about: flowing(&found.description),
            aliases: found.aliases.join(", "),
            field,
            groups: vec![("Fields", found.fields), ("Outputs", found.outputs), ("Fields of every one", found.common)],
            example: found.example.to_owned(),
        },
        None => HelpPage {
            name: String::new(),
            about: String::new(),
            aliases: String::new(),
            field,
            groups: vec![("Keys", keys)],
            example: String::new(),
        },
    }
}
