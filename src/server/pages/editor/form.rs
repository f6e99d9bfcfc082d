//! A flow's tasks as forms: each field by its schema. What is entered changes the text where the field is in it, and nothing
//! else of the text.

use askama::Template;
use serde_json::Value;

use super::check::Check;
use super::{Draft, EditOutcome, EditorFrame};
use crate::flow::documentation::{TypeDocumentation, flowing};
use crate::flow::edit::{self, FlowEdit, NewValue};
use crate::flow::{Document, from_yaml};
use crate::server::App;
use crate::server::api::parameters::QueryParameters;
use crate::server::pages::shell::{NavPage, Shell};
use crate::server::pages::{PageResult, page};
use crate::task::documentation::FieldDoc;
use crate::task::{Branch, TaskType};
use crate::tasks;
use crate::text::plain;

/// What the name of a field's control begins with.
const FIELD: &str = "field.";
/// The lists of tasks of a flow.
const LISTS: [&str; 4] = ["tasks", "errors", "finally", "afterExecution"];

#[derive(Template)]
#[template(path = "editor_form.html")]
struct FormPage {
    shell: Shell,
    frame: EditorFrame,
    tasks: Vec<FormTask>,
    open: Option<OpenTask>,
    kinds: Vec<&'static str>,
}

/// A task of the list.
struct FormTask {
    path: String,
    id: String,
    kind: String,
    depth: usize,
    is_open: bool,
    /// Whether it is an item of a list, with others before and after it.
    is_item: bool,
    has_before: bool,
    has_behind: bool,
}

/// The task whose fields are shown.
struct OpenTask {
    path: String,
    id: String,
    kind: String,
    about: String,
    fields: Vec<FormField>,
    /// The fields that few tasks have.
    more: Vec<FormField>,
}

struct FormField {
    name: String,
    kind: String,
    about: String,
    is_required: bool,
    /// `input`, `select` or `textarea`.
    element: &'static str,
    value: String,
    choices: Vec<String>,
}

/// The form of a draft, with the fields of one of its tasks.
pub(super) fn show(app: &App, draft: Draft, task: &str, file: String, outcome: EditOutcome) -> PageResult {
    let (check, tasks, open) = crate::blocking::run_blocking(|| {
        let document = Document::parse("flow.yaml", &draft.text).ok();
        let mut tasks = document.as_ref().map(|document| listed(&document.value)).unwrap_or_default();
        let known = tasks.iter().any(|listed| listed.path == task);
        let first = tasks.first().map(|first| first.path.clone()).unwrap_or_default();
        let path = if known { task.to_owned() } else { first };
        tasks.iter_mut().for_each(|listed| listed.is_open = listed.path == path);
        let open = document.as_ref().and_then(|document| open(document, &path));
        (Check::of(&file, &draft.text), tasks, open)
    });
    page(&FormPage {
        shell: Shell::of(app, NavPage::Flows, ""),
        frame: EditorFrame::of(draft, file, check, outcome),
        tasks,
        open,
        kinds: tasks::ALL.iter().map(|task| task.name).collect(),
    })
}

fn listed(flow: &Value) -> Vec<FormTask> {
    let mut found = Vec::new();
    for list in LISTS {
        add_list(flow.get(list), &[list.to_owned()], 0, &mut found);
    }
    found
}

fn add_list(list: Option<&Value>, path: &[String], depth: usize, into: &mut Vec<FormTask>) {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        let own = below(path, &index.to_string());
        // An item of a graph has its task in it.
        let (task, at, is_item) = match item.get("task") {
            Some(task) => (task, below(&own, "task"), false),
            None => (item, own, true),
        };
        add_task(task, &at, depth, into);
        if let Some(added) = into.iter_mut().rev().find(|added| added.path == at.join("/")).filter(|_| is_item) {
            (added.is_item, added.has_before, added.has_behind) = (true, index > 0, index + 1 < items.len());
        }
    }
}

fn add_task(task: &Value, path: &[String], depth: usize, into: &mut Vec<FormTask>) {
    let text = |key: &str| task.get(key).map(plain).unwrap_or_default();
    let kind = text("type");
    into.push(FormTask {
        path: path.join("/"),
        id: text("id"),
        depth,
        is_open: false,
        is_item: false,
        has_before: false,
        has_behind: false,
        kind: kind.clone(),
    });
    for branch in tasks::find(&kind).map(|task| task.branches).unwrap_or_default() {
        match branch {
            Branch::List(name) | Branch::Graph(name) => add_list(task.get(*name), &below(path, name), depth + 1, into),
            Branch::One(name) => {
                if let Some(inner) = task.get(*name) {
                    add_task(inner, &below(path, name), depth + 1, into);
                }
            }
            Branch::Cases(name) => {
                for (case, list) in task.get(*name).and_then(Value::as_object).into_iter().flatten() {
                    add_list(Some(list), &below(&below(path, name), case), depth + 1, into);
                }
            }
        }
    }
}

fn below(path: &[String], key: &str) -> Vec<String> {
    path.iter().cloned().chain([key.to_owned()]).collect()
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

fn open(document: &Document, path: &str) -> Option<OpenTask> {
    let parts = parts(path);
    let task = document.value.pointer(&format!("/{path}"))?;
    let kind = task.get("type").map(plain).unwrap_or_default();
    let id = task.get("id").map(plain).unwrap_or_default();
    let Some(found) = tasks::find(&kind) else {
        let about = format!("There is no task type `{kind}`: change it in the YAML.");
        return Some(OpenTask { path: path.to_owned(), id, kind, about, fields: Vec::new(), more: Vec::new() });
    };
    let documentation = TypeDocumentation::of_task(found);
    let is_shown = |field: &FieldDoc| field.depth == 0 && !holds_tasks(found, &field.name);
    let form_field = |field: FieldDoc| form_field(document, &parts, field);
    let own = documentation.fields.into_iter().filter(is_shown);
    let common = documentation.common.into_iter().filter(|field| field.depth == 0 && field.name != "type");
    let (first, more): (Vec<_>, Vec<_>) = common.partition(|field| field.name == "id");
    Some(OpenTask {
        path: path.to_owned(),
        id,
        kind,
        about: flowing(&documentation.description),
        fields: first.into_iter().chain(own).map(form_field).collect(),
        more: more.into_iter().map(form_field).collect(),
    })
}

fn holds_tasks(task: &TaskType, field: &str) -> bool {
    task.branches.iter().any(|branch| {
        let (Branch::List(name) | Branch::One(name) | Branch::Cases(name) | Branch::Graph(name)) = branch;
        *name == field
    })
}

fn form_field(document: &Document, task: &[String], field: FieldDoc) -> FormField {
    let value = shown_value(document, &below(task, &field.name));
    let mut choices: Vec<String> = match field.kind.as_str() {
        "boolean" => vec!["true".to_owned(), "false".to_owned()],
        kind if kind.contains(" | ") && !kind.contains(" or ") => kind.split(" | ").map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if !choices.is_empty() && !value.is_empty() && !choices.contains(&value) {
        choices.push(value.clone());
    }
    let is_plain = ["string", "integer", "number"].contains(&field.kind.as_str());
    let element = match choices.is_empty() {
        false => "select",
        true if is_plain && !value.contains('\n') => "input",
        true => "textarea",
    };
    FormField {
        name: field.name,
        kind: field.kind,
        about: field.about,
        is_required: field.is_required,
        element,
        value,
        choices,
    }
}

/// A value as its control has it: a text as it is, anything else as it is written.
fn shown_value(document: &Document, path: &[String]) -> String {
    let pointer: String = path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
    match document.value.pointer(&pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => edit::source(document, path).unwrap_or_default(),
    }
}

/// What a button of the form, or what was entered in its fields, makes of a text.
///
/// # Errors
/// When a change cannot be made; the text then has those before it.
pub(super) fn changed(text: &mut String, form: &QueryParameters, action: &str) -> Result<(), String> {
    entered(text, form)?;
    let (verb, path) = action.split_once(' ').unwrap_or((action, ""));
    let change = match verb {
        "up" | "down" => {
            let mut list = parts(path);
            let index = list.pop().and_then(|last| last.parse::<usize>().ok()).ok_or("this is no item of a list")?;
            let first = if verb == "up" { index.checked_sub(1).ok_or("it is the first one")? } else { index };
            FlowEdit::Swap { list, first }
        }
        "remove" => FlowEdit::Remove { path: parts(path) },
        "add" => {
            let mut list = parts(form.one("task").unwrap_or_default());
            list.pop();
            let list = if list.is_empty() { vec!["tasks".to_owned()] } else { list };
            FlowEdit::Add { list, item: new_task(text, form.one("kind").unwrap_or_default())? }
        }
        _ => return Ok(()),
    };
    *text = edit::apply(text, &change)?;
    Ok(())
}

/// Sets the fields that were changed in the form.
fn entered(text: &mut String, form: &QueryParameters) -> Result<(), String> {
    let Some(path) = form.one("task").filter(|path| !path.is_empty()) else { return Ok(()) };
    let task = parts(path);
    for (name, values) in &form.map() {
        let Some(name) = name.strip_prefix(FIELD) else { continue };
        let typed = values.as_array().and_then(|values| values.first()).and_then(Value::as_str).unwrap_or_default();
        let typed = typed.replace("\r\n", "\n");
        let document = Document::parse("flow.yaml", text).map_err(|finding| finding.message)?;
        let field = below(&task, name);
        let before = shown_value(&document, &field);
        if typed.trim_end_matches('\n') == before.trim_end_matches('\n') {
            continue;
        }
        let change = match typed.trim().is_empty() {
            true => FlowEdit::Remove { path: field },
            false => FlowEdit::Set { value: new_value(&document, &task, name, typed), path: field },
        };
        *text = edit::apply(text, &change).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(())
}

/// What was typed: a text where the field is one or holds a template, else YAML.
fn new_value(document: &Document, task: &[String], name: &str, typed: String) -> NewValue {
    let kind = document.value.pointer(&format!("/{}/type", task.join("/"))).map(plain).unwrap_or_default();
    let fields = tasks::find(&kind).map(TypeDocumentation::of_task);
    let field = fields
        .and_then(|all| all.fields.into_iter().chain(all.common).find(|field| field.depth == 0 && field.name == name));
    let is_text = field.is_none_or(|field| field.kind == "string" || field.kind.contains(" | "));
    if is_text || typed.trim_start().starts_with("{{") || from_yaml(&typed).is_ok_and(|value| value.is_string()) {
        NewValue::Text(typed)
    } else {
        NewValue::Yaml(typed)
    }
}

/// A new task of a type: its example, under an id that is free.
fn new_task(text: &str, kind: &str) -> Result<String, String> {
    let task = tasks::find(kind).ok_or_else(|| format!("there is no task type `{kind}`"))?;
    let lines = task.example.trim_end().lines();
    let item: Vec<&str> =
        lines.map(|line| line.strip_prefix("- ").or_else(|| line.strip_prefix("  ")).unwrap_or(line)).collect();
    let value = from_yaml(text)?;
    let ids: Vec<String> = listed(&value).into_iter().map(|task| task.id).collect();
    let stem = task.name.rsplit('.').next().unwrap_or(task.name);
    let is_free = |id: &String| !ids.contains(id);
    let id = [stem.to_owned()].into_iter().chain((2..).map(|number| format!("{stem}_{number}"))).find(is_free);
    let id = id.unwrap_or_default();
    let renamed = item.iter().map(|line| match line.strip_prefix("id: ") {
        Some(_) => format!("id: {id}"),
        None => (*line).to_owned(),
    });
    Ok(renamed.collect::<Vec<_>>().join("\n"))
}
