//! The documentation of task, trigger and condition types, as `jitney tasks` prints it, and what expressions offer.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;

use super::shell::{NavPage, Shell};
use super::{PageResult, named, page_as, page_or_json};
use crate::diagnostic::nearest;
use crate::flow::expression;
use crate::flow::input::InputType;
use crate::flow::trigger::condition::{CONDITIONS, ConditionType};
use crate::flow::trigger::{TRIGGERS, TriggerCommon, TriggerType};
use crate::server::App;
use crate::server::api::error::ApiError;
use crate::server::api::parameters::QueryParameters;
use crate::task::TaskType;
use crate::task::documentation::{FieldDoc, description, fields, first_sentence, groups};
use crate::tasks;

/// A type in the list.
#[derive(Serialize)]
struct ListedType {
    name: &'static str,
    about: Vec<TextPiece>,
}

#[derive(Serialize)]
struct TaskGroup {
    title: &'static str,
    types: Vec<ListedType>,
}

/// A part of a sentence: code, or words.
#[derive(Serialize)]
struct TextPiece {
    is_code: bool,
    text: String,
}

/// A field as a row of a table.
#[derive(Serialize)]
struct FieldRow {
    name: String,
    kind: String,
    is_required: bool,
    default: String,
    about: Vec<TextPiece>,
    depth: usize,
}

#[derive(Serialize, Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    #[serde(skip)]
    shell: Shell,
    text: String,
    groups: Vec<TaskGroup>,
    inputs: Vec<(String, Vec<TextPiece>)>,
    functions: Vec<String>,
    filters: Vec<String>,
    is_empty: bool,
}

/// A table of fields with its title.
#[derive(Serialize)]
struct Fields {
    title: &'static str,
    rows: Vec<FieldRow>,
}

#[derive(Serialize, Template)]
#[template(path = "task.html")]
struct TaskPage {
    #[serde(skip)]
    shell: Shell,
    name: &'static str,
    kind: &'static str,
    about: Vec<Vec<TextPiece>>,
    aliases: Vec<String>,
    example: &'static str,
    tables: Vec<Fields>,
}

pub(super) async fn list(State(app): State<Arc<App>>, parameters: QueryParameters) -> PageResult {
    let text = parameters.one("q").unwrap_or_default().to_lowercase();
    let has = |found: &str| found.to_lowercase().contains(&text);
    let mut groups: Vec<TaskGroup> = groups(tasks::ALL)
        .into_iter()
        .map(|(title, members)| TaskGroup { title, types: found_tasks(&members, &has) })
        .collect();
    groups.push(TaskGroup { title: "Triggers", types: found_triggers(&has) });
    groups.push(TaskGroup { title: "Conditions of triggers", types: found_conditions(&has) });
    groups.retain(|group| !group.types.is_empty());
    let inputs: Vec<_> = input_types().into_iter().filter(|(name, about)| has(name) || has(&plain(about))).collect();
    let those = |all: Vec<String>| all.into_iter().filter(|signature| has(signature)).collect::<Vec<_>>();
    let (functions, filters) = (those(expression::functions()), those(expression::filters()));
    page_or_json(&TasksPage {
        shell: Shell::of(&app, NavPage::Tasks, ""),
        text: parameters.one("q").unwrap_or_default().to_owned(),
        is_empty: groups.is_empty() && inputs.is_empty() && functions.is_empty() && filters.is_empty(),
        groups,
        inputs,
        functions,
        filters,
    })
}

fn found_tasks(members: &[&TaskType], has: &impl Fn(&str) -> bool) -> Vec<ListedType> {
    let found = members.iter().filter_map(|task| {
        let about = description(&(task.schema)().to_value());
        let is_meant = has(task.name) || has(&about) || task.aliases.iter().any(|alias| has(alias));
        is_meant.then(|| ListedType { name: task.name, about: pieces(&first_sentence(&about)) })
    });
    found.collect()
}

fn found_triggers(has: &impl Fn(&str) -> bool) -> Vec<ListedType> {
    let found = TRIGGERS.iter().filter_map(|trigger| {
        let about = description(&(trigger.schema)().to_value());
        let is_meant = has(trigger.name) || has(&about) || trigger.aliases.iter().any(|alias| has(alias));
        is_meant.then(|| ListedType { name: trigger.name, about: pieces(&first_sentence(&about)) })
    });
    found.collect()
}

fn found_conditions(has: &impl Fn(&str) -> bool) -> Vec<ListedType> {
    let found = CONDITIONS.iter().filter_map(|condition| {
        let about = description(&(condition.schema)().to_value());
        let is_meant = has(condition.name) || has(&about) || has(condition.kestra);
        is_meant.then(|| ListedType { name: condition.name, about: pieces(&first_sentence(&about)) })
    });
    found.collect()
}

/// The types of inputs, each with what it takes.
fn input_types() -> Vec<(String, Vec<TextPiece>)> {
    let schema = schemars::schema_for!(InputType).to_value();
    let types = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let one =
        |kind: &Value| Some((kind.get("const")?.as_str()?.to_owned(), pieces(&first_sentence(&description(kind)))));
    types.filter_map(one).collect()
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> PageResult {
    let Some((shown, is_json)) = named(&name, |name| documented(&app, name)) else {
        let names = tasks::ALL.iter().map(|task| task.name).chain(TRIGGERS.iter().map(|trigger| trigger.name));
        let near = nearest(&name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(ApiError::not_found(format!("there is no task type `{name}`{near}")).into());
    };
    page_as(&shown, is_json)
}

/// The documentation of the type of a name.
fn documented(app: &App, name: &str) -> Option<TaskPage> {
    let shell = || Shell::of(app, NavPage::Tasks, "");
    let task = tasks::find(name).map(|task| of_task(shell(), task));
    let trigger = || TriggerType::find(name).map(|trigger| of_trigger(shell(), trigger));
    let condition = || CONDITIONS.iter().find(|condition| condition.name == name);
    task.or_else(trigger).or_else(|| Some(of_condition(shell(), condition()?)))
}

fn of_condition(shell: Shell, condition: &ConditionType) -> TaskPage {
    let schema = (condition.schema)().to_value();
    TaskPage {
        shell,
        name: condition.name,
        kind: "condition of a trigger",
        about: paragraphs(&description(&schema)),
        aliases: vec![format!("io.kestra.plugin.core.condition.{}", condition.kestra)],
        example: "",
        tables: vec![table("Fields", &schema)],
    }
}

fn of_task(shell: Shell, task: &TaskType) -> TaskPage {
    let schema = (task.schema)().to_value();
    TaskPage {
        shell,
        name: task.name,
        kind: "task",
        about: paragraphs(&description(&schema)),
        aliases: task.aliases.iter().map(ToString::to_string).collect(),
        example: task.example,
        tables: vec![table("Fields", &schema), table("Outputs", &(task.outputs)().to_value())],
    }
}

fn of_trigger(shell: Shell, trigger: &TriggerType) -> TaskPage {
    let schema = (trigger.schema)().to_value();
    let common = schemars::schema_for!(TriggerCommon).to_value();
    TaskPage {
        shell,
        name: trigger.name,
        kind: "trigger",
        about: paragraphs(&description(&schema)),
        aliases: trigger.aliases.iter().map(ToString::to_string).collect(),
        example: trigger.example,
        tables: vec![table("Fields", &schema), table("Fields of every trigger", &common)],
    }
}

fn table(title: &'static str, schema: &Value) -> Fields {
    let row = |field: FieldDoc| FieldRow {
        // Outputs are there in any case.
        is_required: field.is_required && title != "Outputs",
        default: field.default.filter(|default| !["[]", "{}", "\"\""].contains(&default.as_str())).unwrap_or_default(),
        about: pieces(&field.about.replace('\n', " ")),
        name: field.name,
        kind: field.kind,
        depth: field.depth,
    };
    Fields { title, rows: fields(schema).into_iter().map(row).collect() }
}

fn paragraphs(text: &str) -> Vec<Vec<TextPiece>> {
    text.split("\n\n").map(|paragraph| pieces(&paragraph.replace('\n', " "))).collect()
}

/// A text in pieces: what is between backticks is code.
fn pieces(text: &str) -> Vec<TextPiece> {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| TextPiece { is_code: at % 2 == 1, text: part.to_owned() });
    parts.filter(|piece| !piece.text.is_empty()).collect()
}

fn plain(pieces: &[TextPiece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_input_has_a_name_and_a_sentence() {
        let types = input_types();
        assert!(types.iter().all(|(_, about)| !plain(about).is_empty()));
        assert!(types.len() > 10 && types.iter().any(|(name, _)| name == "MULTISELECT"));
    }
}
