//! `pluginDefaults`: values that tasks, triggers and task runners of a type have unless they say otherwise.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::flow::parse::below;
use crate::flow::{COMMON_FIELDS, Document, WITHOUT_EFFECT, findings};
use crate::task::{TaskType, read};

const PLUGIN_KEYS: &[&str] = &["tasks", "errors", "finally", "afterExecution", "triggers"];

/// An item of `pluginDefaults`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginDefault {
    /// The type that the values are for, or the beginning of several types' names.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether these values win over a task's own.
    #[serde(default)]
    pub forced: bool,
    /// The values, by the names of fields.
    #[serde(default)]
    pub values: Map<String, Value>,
}

/// Merges the defaults of a document into the matching tasks. Findings about such a value point at the default.
pub(super) fn apply(document: &mut Document, tasks: &'static [TaskType]) -> Vec<Diagnostic> {
    let items = match document.value.get("pluginDefaults") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(_) => {
            let path = ["pluginDefaults".to_owned()];
            let finding = Diagnostic::error("`pluginDefaults` is not a list")
                .help("write `- type: …`, and the values below `values:`");
            return vec![document.locate(&path, finding)];
        }
    };
    let mut filler = DefaultsFiller { tasks, defaults: Vec::new(), applied: BTreeSet::new(), origins: Vec::new() };
    let mut problems = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = vec!["pluginDefaults".to_owned(), index.to_string()];
        problems.extend(findings::all(document, &path, item, |value| read::<PluginDefault>(value).map(drop)));
        filler.defaults.extend(read(item).ok().map(|default: PluginDefault| (default, path)));
    }
    let mut value = std::mem::take(&mut document.value);
    for place in PLUGIN_KEYS {
        if let Some(part) = value.get_mut(*place) {
            filler.fill(part, &[(*place).to_owned()]);
        }
    }
    document.value = value;
    problems.extend(filler.unused_fields(document));
    for (place, default) in filler.origins {
        document.redirect(place, default);
    }
    problems
}

struct DefaultsFiller {
    tasks: &'static [TaskType],
    defaults: Vec<(PluginDefault, Vec<String>)>,
    /// Defaults that matched a task, and their fields that a matching task has.
    applied: BTreeSet<(usize, Option<String>)>,
    /// Paths of inserted values, and where they come from.
    origins: Vec<(Vec<String>, Vec<String>)>,
}

impl DefaultsFiller {
    fn fill(&mut self, value: &mut Value, path: &[String]) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.fill(item, &below(path, &index.to_string()));
                }
            }
            Value::Object(map) => {
                if let Some(kind) = map.get("type").and_then(Value::as_str).map(str::to_owned) {
                    self.fill_plugin(map, &kind, path);
                }
                for (key, item) in map.iter_mut() {
                    self.fill(item, &below(path, key));
                }
            }
            _ => {}
        }
    }

    fn fill_plugin(&mut self, map: &mut Map<String, Value>, kind: &str, path: &[String]) {
        let task = self.tasks.iter().find(|task| task.is(kind));
        let mut names = vec![kind];
        names.extend(task.into_iter().flat_map(|task| task.aliases.iter().copied().chain([task.name])));
        for (index, (default, from)) in self.defaults.iter().enumerate() {
            if !names.iter().any(|name| name.starts_with(&default.kind)) {
                continue;
            }
            self.applied.insert((index, None));
            let is_exact = names.contains(&default.kind.as_str());
            // A prefix matches several types; not every field exists in each of them.
            let accepts_field = |field: &str| is_exact || task.is_none_or(|task| has_field(task, field));
            let values = default
                .values
                .iter()
                .filter(|(field, _)| !["id", "type"].contains(&field.as_str()) && accepts_field(field));
            let values: Map<String, Value> = values.map(|(field, value)| (field.clone(), value.clone())).collect();
            self.applied.extend(values.keys().map(|field| (index, Some(field.clone()))));
            merge(map, &values, default.forced, (path, &below(from, "values")), &mut self.origins);
        }
    }

    /// Warns about fields that none of the matching tasks has.
    fn unused_fields(&self, document: &Document) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (index, (default, from)) in self.defaults.iter().enumerate() {
            let is_applied = |field: Option<&String>| self.applied.contains(&(index, field.cloned()));
            for field in default.values.keys().filter(|field| is_applied(None) && !is_applied(Some(field))) {
                let finding =
                    Diagnostic::warning(format!("no task that this default applies to has a field `{field}`"));
                let path = below(&below(from, "values"), field);
                problems.push(document.locate_key(&path, finding.help("it may be left out")));
            }
        }
        problems
    }
}

fn has_field(task: &TaskType, field: &str) -> bool {
    let one = Value::Object(Map::from_iter([(field.to_owned(), Value::Null)]));
    let is_unknown = |message: &str| {
        message.strip_prefix("unknown field `").is_some_and(|rest| rest.starts_with(&format!("{field}`")))
    };
    COMMON_FIELDS.contains(&field)
        || WITHOUT_EFFECT.contains(&field)
        || task.without_effect.iter().any(|(name, _)| *name == field)
        || !(task.check)(&one).is_err_and(|error| is_unknown(&error.message))
}

/// Merges values deeply into a map; `forced` ones win over existing ones.
fn merge(
    own: &mut Map<String, Value>,
    values: &Map<String, Value>,
    forced: bool,
    (path, from): (&[String], &[String]),
    origins: &mut Vec<(Vec<String>, Vec<String>)>,
) {
    for (key, value) in values {
        let (path, from) = (below(path, key), below(from, key));
        match (own.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value, forced, (&path, &from), origins),
            (Some(_), _) if !forced => {}
            _ => {
                own.insert(key.clone(), value.clone());
                origins.push((path, from));
            }
        }
    }
}
