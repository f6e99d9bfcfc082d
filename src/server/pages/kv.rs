//! What flows keep between executions, by namespace and key. A value is shown when it is asked for, unless it looks secret.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;

use super::error::PageError;
use super::executions::FilterChoice;
use super::format::{Amount, ByteCount, ShownTime};
use super::shell::{NavPage, Shell, segment};
use super::{PageResult, page, page_or_json};
use crate::blocking::run_blocking;
use crate::clock;
use crate::duration::DurationSpec;
use crate::journal::{KvEntry, KvError, KvSummary, KvType, NewKvEntry};
use crate::secret::{hide_literals, is_secret_name};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::kv::store;
use crate::server::api::parameters::QueryParameters;
use crate::server::audit::note_target;
use crate::text::plain;

/// How many keys one page shows.
const PAGE_SIZE: u32 = 100;
/// The most bytes of a value that a page shows.
const MAX_SHOWN_BYTES: usize = 64 << 10;
const TYPES: [&str; 7] = ["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON"];

#[derive(Serialize)]
struct ListedKey {
    namespace: String,
    key: String,
    address: String,
    kind: String,
    size: ByteCount,
    description: String,
    updated: ShownTime,
    expires: Option<ShownTime>,
}

/// What a form for a value holds.
#[derive(Default, Serialize)]
struct KvForm {
    namespace: String,
    key: String,
    value: String,
    kind: String,
    ttl: String,
    description: String,
}

#[derive(Serialize, Template)]
#[template(path = "kv.html")]
struct KvPage {
    #[serde(skip)]
    shell: Shell,
    total: Amount,
    namespaces: Vec<FilterChoice>,
    text: String,
    keys: Vec<ListedKey>,
    has_filter: bool,
    newer: Option<String>,
    older: Option<String>,
    form: KvForm,
    types: Vec<FilterChoice>,
    problem: String,
    known: Vec<String>,
}

#[derive(Template)]
#[template(path = "kv_value.html")]
struct KvValuePage {
    shell: Shell,
    key: ListedKey,
    created: ShownTime,
    /// The value; none where it looks secret.
    value: Option<String>,
    is_cut: bool,
    form: KvForm,
    types: Vec<FilterChoice>,
    problem: String,
}

pub(super) async fn list(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let namespace = parameters.one("namespace").unwrap_or_default().to_owned();
    let form = KvForm { namespace, kind: "STRING".to_owned(), ..KvForm::default() };
    page_or_json(&listed(&app, &parameters, form, String::new())?)
}

fn listed(app: &App, parameters: &QueryParameters, form: KvForm, problem: String) -> Result<KvPage, ApiError> {
    let (namespace, text) = (parameters.one("namespace"), parameters.one("q").unwrap_or_default());
    let number = parameters.read("page", "1")?.unwrap_or(1_u32).max(1);
    let skipped = PAGE_SIZE.saturating_mul(number - 1);
    let (known, (total, found)) = run_blocking(|| {
        let (store, now) = (store(app)?, clock::now());
        Ok::<_, ApiError>((store.namespaces(now)?, store.search(namespace, text, (PAGE_SIZE, skipped), now)?))
    })?;
    let mut known_with_flows: Vec<String> = app.catalog.list().iter().map(|entry| entry.namespace.clone()).collect();
    known_with_flows.extend(known.iter().cloned());
    known_with_flows.sort();
    known_with_flows.dedup();
    let is_last = u64::from(skipped) + found.len() as u64 >= total;
    let to = |page: u32| parameters.with("page", &page.to_string());
    Ok(KvPage {
        shell: Shell::of(app, NavPage::Kv, ""),
        total: Amount(total),
        namespaces: choices(known.iter().map(String::as_str), namespace.unwrap_or_default()),
        text: text.to_owned(),
        keys: found.into_iter().map(ListedKey::of).collect(),
        has_filter: namespace.is_some() || !text.is_empty(),
        newer: (number > 1).then(|| to(number - 1)),
        older: (!is_last).then(|| to(number.saturating_add(1))),
        types: choices(TYPES.into_iter(), &form.kind),
        form,
        problem,
        known: known_with_flows,
    })
}

fn choices<'a>(values: impl Iterator<Item = &'a str>, chosen: &str) -> Vec<FilterChoice> {
    values.map(|value| FilterChoice { is_chosen: value == chosen, value: value.to_owned() }).collect()
}

fn address(namespace: &str, key: &str) -> String {
    format!("/kv/{}/{}", segment(namespace), segment(key))
}

impl ListedKey {
    fn of(summary: KvSummary) -> Self {
        Self {
            address: address(&summary.namespace, &summary.key),
            namespace: summary.namespace,
            key: summary.key,
            kind: summary.kind.to_string(),
            size: ByteCount(summary.size),
            description: summary.description.unwrap_or_default(),
            updated: ShownTime::of(summary.updated),
            expires: summary.expires.map(ShownTime::of),
        }
    }
}

pub(super) async fn show(State(app): State<Arc<App>>, Path((namespace, key)): Path<(String, String)>) -> PageResult {
    page(&of_key(&app, &namespace, &key, None, String::new())?)
}

/// The page of a key, with what was typed and why it was refused if it was.
fn of_key(
    app: &App,
    namespace: &str,
    key: &str,
    typed: Option<KvForm>,
    problem: String,
) -> Result<KvValuePage, ApiError> {
    let not_found = || ApiError::not_found(format!("there is no key `{key}` in the namespace `{namespace}`"));
    let found = run_blocking(|| Ok::<_, ApiError>(store(app)?.get(namespace, key, clock::now())?))?;
    let entry = found.ok_or_else(not_found)?;
    let value = shown(app, &entry);
    let is_cut = value.as_ref().is_some_and(|value| value.len() > MAX_SHOWN_BYTES);
    let kind = entry.kind.to_string();
    let editable = value.clone().filter(|_| !is_cut).unwrap_or_default();
    let form = typed.unwrap_or_else(|| KvForm {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        value: editable,
        kind,
        // What is saved begins anew: without it the value would never expire.
        ttl: entry.expires.map(|at| format!("{}s", (at - clock::now()).num_seconds().max(1))).unwrap_or_default(),
        description: entry.description.clone().unwrap_or_default(),
    });
    let cut = |value: String| value.get(..value.floor_char_boundary(MAX_SHOWN_BYTES)).map(str::to_owned);
    Ok(KvValuePage {
        shell: Shell::of(app, NavPage::Kv, ""),
        created: ShownTime::of(entry.created),
        types: choices(TYPES.into_iter(), &form.kind),
        form,
        is_cut,
        value: value.and_then(cut),
        problem,
        key: ListedKey {
            address: address(namespace, key),
            size: ByteCount(entry.value.to_string().len() as u64),
            namespace: entry.namespace,
            key: entry.key,
            kind: entry.kind.to_string(),
            description: entry.description.unwrap_or_default(),
            updated: ShownTime::of(entry.updated),
            expires: entry.expires.map(ShownTime::of),
        },
    })
}

/// The value as text, unless its name, its content or what is known of secrets says that it is one.
fn shown(app: &App, entry: &KvEntry) -> Option<String> {
    let text = match &entry.value {
        value if value.is_array() || value.is_object() => serde_json::to_string_pretty(value).ok()?,
        value => plain(value),
    };
    let is_secret = !entry.secrets.is_empty()
        || is_secret_name(&entry.key)
        || hide_literals(&text) != text
        || app.settings.redactor.clean(&text) != text;
    (!is_secret).then_some(text)
}

/// Sets a value. A form that says `exists` changes a value; any other makes a new one, and overwrites none.
pub(super) async fn set(State(app): State<Arc<App>>, body: String) -> Result<Response, PageError> {
    let fields = QueryParameters::parse(&body);
    let text = |name: &str| fields.one(name).unwrap_or_default().to_owned();
    let form = KvForm {
        namespace: text("namespace"),
        key: text("key"),
        value: text("value"),
        kind: text("type"),
        ttl: text("ttl"),
        description: text("description"),
    };
    note_target(format!("{}.{}", form.namespace, form.key));
    let exists = fields.is_on("exists");
    match run_blocking(|| save(&app, &form, exists)) {
        Ok(()) => Ok(Redirect::to(&address(&form.namespace, &form.key)).into_response()),
        Err(error) if error.status().is_client_error() => {
            let (status, problem) = (error.status(), error.message().to_owned());
            let html = match exists {
                true => {
                    let (namespace, key) = (form.namespace.clone(), form.key.clone());
                    page(&of_key(&app, &namespace, &key, Some(form), problem)?)?
                }
                false => page(&listed(&app, &QueryParameters::default(), form, problem)?)?,
            };
            Ok((status, html).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn save(app: &App, form: &KvForm, overwrite: bool) -> Result<(), ApiError> {
    let ttl = Some(form.ttl.trim()).filter(|ttl| !ttl.is_empty()).map(str::parse::<DurationSpec>).transpose();
    let ttl = ttl.map_err(|error| ApiError::unprocessable(error.to_string()))?;
    let kind = Some(form.kind.to_uppercase()).filter(|kind| !kind.is_empty());
    let unknown = |kind: &String| ApiError::unprocessable(format!("there is no type `{kind}`"));
    let kind: Option<KvType> =
        kind.map(|kind| serde_json::from_value(kind.clone().into()).map_err(|_| unknown(&kind))).transpose()?;
    let value = serde_json::Value::from(form.value.replace("\r\n", "\n"));
    let secrets = app.settings.redactor.known_in(&value);
    let description = Some(form.description.clone());
    let new = NewKvEntry { value, kind, description, ttl: ttl.map(|span| span.0), secrets };
    let saved: Result<_, KvError> = store(app)?.set(&form.namespace, &form.key, new, overwrite, clock::now());
    Ok(saved.map(drop)?)
}

/// Deletes a key, and leads back to its namespace.
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path((namespace, key)): Path<(String, String)>,
) -> Result<Redirect, PageError> {
    run_blocking(|| Ok::<_, ApiError>(store(&app)?.delete(&namespace, &key, clock::now())?))?;
    let query = QueryParameters::default().with("namespace", &namespace);
    Ok(Redirect::to(&format!("/kv?{query}")))
}
