//! Suggestions for unknown task types.

use crate::diagnostic::nearest;
use crate::flow::trigger::TriggerType;
use crate::task::TaskType;

/// Parts of Kestra's type names, the closest task types here, and the reason.
const FAMILIES: &[(&[&str], &[&str], &str)] = &[
    (
        &["ai", "openai", "langchain4j", "langchain", "vertexai", "ollama", "gemini"],
        &["ai.chat", "ai.answer", "http.request"],
        "models are asked with these tasks",
    ),
    (&["postgresql"], &["postgres.load", "postgres.query"], "the first of them loads files into a table"),
    (&["jdbc"], &["postgres.query", "duckdb.query"], "DuckDB can attach other databases and read their tables"),
    (
        &["aws", "azure", "minio", "fs", "googleworkspace"],
        &["gcs.upload", "http.download", "python.script"],
        "for this system, use a script with its client among the `dependencies`",
    ),
    (&["serdes", "transform", "pandas"], &["polars.transform"], "it reads CSV, NDJSON and Parquet"),
    (
        &["notifications", "slack", "discord", "teams", "telegram", "airbyte", "fivetran"],
        &["http.request", "shell.commands"],
        "such services can be called over HTTP",
    ),
    (&["gcp"], &["gcs.upload", "bigquery.query", "python.script"], "these tasks work with Google's services"),
];

fn family(name: &str) -> Option<&'static (&'static [&'static str], &'static [&'static str], &'static str)> {
    FAMILIES.iter().find(|(words, ..)| name.split('.').any(|part| words.contains(&part)))
}

/// A help line for a task type that is not there.
pub(super) fn help(name: &str, tasks: &[TaskType]) -> String {
    if let Some(kind) = TriggerType::find(name).filter(|_| name.contains('.')) {
        return format!("this is a trigger type: move it to `triggers`, where its short name is `{}`", kind.name);
    }
    let all = || tasks.iter().flat_map(|task| std::iter::once(task.name).chain(task.aliases.iter().copied()));
    let nearest_name = match name.starts_with("io.kestra.") {
        true => task_of_same_class(name, tasks).or_else(|| closest_spelling(name, all())),
        false => nearest(name, tasks.iter().map(|task| task.name)),
    };
    if let Some(nearest_name) = nearest_name {
        return format!("did you mean `{nearest_name}`? `jitney tasks` lists all types");
    }
    let (candidates, reason) = match family(name) {
        Some((_, candidates, reason)) => (*candidates, *reason),
        None => (&["shell.commands", "python.script"][..], "where there is no task type, a script can call the system"),
    };
    let known: Vec<&str> = candidates.iter().copied().filter(|name| tasks.iter().any(|task| task.is(name))).collect();
    if known.is_empty() {
        return "`jitney tasks` lists all task types".to_owned();
    }
    format!("the nearest is `{}`: {reason}; `jitney tasks` lists all types", known.join("`, `"))
}

/// The task of an older package of Kestra's core, by the last part of its name.
fn task_of_same_class(name: &str, tasks: &[TaskType]) -> Option<&'static str> {
    let class = name.strip_prefix("io.kestra.core.")?.rsplit('.').next()?;
    let found = tasks.iter().find(|task| task.aliases.iter().any(|alias| alias.rsplit('.').next() == Some(class)));
    found.map(|task| task.name)
}

/// A name that differs by a letter or two.
fn closest_spelling<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let closest = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min()?;
    (closest.0 <= 2).then_some(closest.1)
}
