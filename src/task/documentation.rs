//! What the doc comments of a type say, from its JSON Schema: the same for the command line, the reference and the server's
//! pages.

use serde_json::{Map, Value};

use super::TaskType;

/// The depth to which nested fields are documented.
const MAX_DEPTH: usize = 3;

/// The systems by which task types are grouped, by the first part of their names.
const SYSTEMS: &[(&str, &str)] = &[
    ("http", "HTTP"),
    ("file", "Files"),
    ("polars", "Transforming rows"),
    ("postgres", "Postgres"),
    ("gcs", "Cloud Storage"),
    ("bigquery", "BigQuery"),
    ("duckdb", "DuckDB"),
    ("shell", "Shell"),
    ("python", "Python"),
    ("kv", "Stored values"),
    ("ai", "Language models"),
];

/// The documentation of a field or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDoc {
    /// Its name.
    pub name: String,
    /// Its type in a word or two.
    pub kind: String,
    /// Whether it must be given.
    pub is_required: bool,
    /// What it is where it is not given, as JSON.
    pub default: Option<String>,
    /// What it is for.
    pub about: String,
    /// How many fields it is within.
    pub depth: usize,
}

/// The fields of a map, each followed by those within it.
pub fn fields(schema: &Value) -> Vec<FieldDoc> {
    fields_within(schema, schema)
}

/// The fields of a schema that is a part of `root`, to which its references refer.
pub fn fields_within(root: &Value, schema: &Value) -> Vec<FieldDoc> {
    let mut found = Vec::new();
    nested_maps(root, schema).into_iter().for_each(|map| add_fields(&mut found, root, map, 0));
    found
}

fn add_fields(found: &mut Vec<FieldDoc>, root: &Value, schema: &Value, depth: usize) {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.push(FieldDoc {
            kind: type_name(root, property),
            is_required: is_required(name),
            default: default(property),
            about: description(property),
            name: name.clone(),
            depth,
        });
        if depth < MAX_DEPTH {
            nested_maps(root, property).into_iter().for_each(|inner| add_fields(found, root, inner, depth + 1));
        }
    }
}

/// A default as JSON; one of null is none.
fn default(property: &Value) -> Option<String> {
    property.get("default").filter(|default| !default.is_null()).map(Value::to_string)
}

/// The maps with named fields that a field, or an item of it, may be.
fn nested_maps<'a>(root: &'a Value, property: &'a Value) -> Vec<&'a Value> {
    let target = property.get("$ref").and_then(Value::as_str);
    if let Some(found) = target.and_then(|target| root.pointer(target.trim_start_matches('#'))) {
        return nested_maps(root, found);
    }
    if property.get("properties").is_some() {
        return vec![property];
    }
    let options = ["anyOf", "oneOf"].iter().find_map(|key| property.get(*key)?.as_array());
    let inside = options.into_iter().flatten().chain(property.get("items"));
    inside.flat_map(|inner| nested_maps(root, inner)).collect()
}

/// A field's type in a word or two.
pub fn type_name(root: &Value, property: &Value) -> String {
    if let Some(target) = property.get("$ref").and_then(Value::as_str) {
        return root
            .pointer(target.trim_start_matches('#'))
            .map_or_else(|| "any".to_owned(), |found| type_name(root, found));
    }
    if let Some(options) = property.get("anyOf").or_else(|| property.get("oneOf")).and_then(Value::as_array) {
        let mut kinds: Vec<String> =
            options.iter().map(|option| type_name(root, option)).filter(|kind| kind != "null").collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    if let Some(word) = property.get("const") {
        return word.as_str().map_or_else(|| word.to_string(), str::to_owned);
    }
    if let Some(words) = property.get("enum").and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ");
    }
    match property.get("type") {
        Some(Value::String(word)) if word == "object" => variant(property).unwrap_or_else(|| "map".to_owned()),
        Some(Value::String(word)) if word == "array" => "list".to_owned(),
        Some(Value::String(word)) => word.clone(),
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).filter(|word| *word != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// A variant with a value: `{merge: …}`.
fn variant(property: &Value) -> Option<String> {
    let required = property.get("required")?.as_array()?;
    let properties: &Map<String, Value> = property.get("properties")?.as_object()?;
    let (name, _) = properties.iter().next().filter(|_| properties.len() == 1 && required.len() == 1)?;
    let is_closed = property.get("additionalProperties") == Some(&Value::Bool(false));
    (is_closed && property.get("title").is_none()).then(|| format!("{{{name}: …}}"))
}

/// The doc comment of a type or a field.
pub fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The first sentence of a documentation, without its full stop.
pub fn first_sentence(text: &str) -> String {
    let line = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    line.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// The task types by system, after those that control the flow and those without a system.
pub fn groups(tasks: &[TaskType]) -> Vec<(&'static str, Vec<&TaskType>)> {
    let those = |is_meant: &dyn Fn(&TaskType) -> bool| tasks.iter().filter(|task| is_meant(task)).collect::<Vec<_>>();
    let is_known = |task: &TaskType| SYSTEMS.iter().any(|(system, _)| *system == task.system());
    let mut groups = vec![
        ("Control flow", those(&|task| !is_known(task) && task.is_flowable())),
        ("Basics, other flows and pauses", those(&|task| !is_known(task) && !task.is_flowable())),
    ];
    groups.extend(SYSTEMS.iter().map(|(system, title)| (*title, those(&|task| task.system() == *system))));
    groups
}
