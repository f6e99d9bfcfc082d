//! The parts of the schema of flows that describe a place.

use serde_json::Value;

use super::place::{CursorContext, Segment, value_of};

/// How many references are followed in a row.
const MAX_REFERENCES: usize = 32;

/// A property that may be in a map.
#[derive(Clone, Copy)]
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
    pub(super) is_required: bool,
}

/// The schemas of the map that a place is in.
pub(super) fn schemas_at<'a>(root: &'a Value, place: &CursorContext) -> Vec<&'a Value> {
    let mut maps = place.maps.iter();
    let mut found = vec![root];
    // A map stands for the step after which it begins; a list has none.
    let mut map = maps.next();
    for (index, segment) in place.path.iter().enumerate() {
        let kind = map.and_then(|map| value_of(map, "type"));
        let all = resolved(root, &found, kind);
        found = match segment {
            Segment::Key(key) => all.iter().flat_map(|schema| below(schema, key)).collect(),
            Segment::Item => all.iter().filter_map(|schema| schema.get("items")).collect(),
        };
        if place.path.get(index + 1) != Some(&Segment::Item) {
            map = maps.next();
        }
    }
    resolved(root, &found, map.and_then(|map| value_of(map, "type")))
}

/// What a map may have at a key.
fn below<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let known = schema.get("properties").and_then(|properties| properties.get(key));
    known.or_else(|| schema.get("additionalProperties")).filter(|schema| schema.is_object())
}

/// The properties of some schemas, each once.
pub(super) fn properties<'a>(schemas: &[&'a Value]) -> Vec<Property<'a>> {
    let mut found: Vec<Property> = Vec::new();
    for schema in schemas {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|other| other == name));
        let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, schema) in own.filter(|(_, schema)| schema.is_object()) {
            match found.iter_mut().find(|property| property.name == name) {
                Some(known) => known.is_required |= is_required(name),
                None => found.push(Property { name, schema, is_required: is_required(name) }),
            }
        }
    }
    found
}

/// Some schemas and all that they refer to; of those that depend on the type of a map, that of its type.
pub(super) fn resolved<'a>(root: &'a Value, schemas: &[&'a Value], kind: Option<&str>) -> Vec<&'a Value> {
    let mut found = Vec::new();
    schemas.iter().for_each(|schema| resolve(root, schema, kind, MAX_REFERENCES, &mut found));
    found
}

fn resolve<'a>(root: &'a Value, schema: &'a Value, kind: Option<&str>, left: usize, found: &mut Vec<&'a Value>) {
    if left == 0 || found.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    let mut follow = |schema: &'a Value| resolve(root, schema, kind, left - 1, found);
    if let Some(condition) = schema.get("if") {
        let names = condition.pointer("/properties/type/enum").and_then(Value::as_array);
        if names.is_some_and(|names| names.iter().any(|name| name.as_str() == kind)) {
            schema.get("then").into_iter().for_each(&mut follow);
        }
        return;
    }
    let target = schema.get("$ref").and_then(Value::as_str);
    target.and_then(|target| root.pointer(target.trim_start_matches('#'))).into_iter().for_each(&mut follow);
    for key in ["allOf", "anyOf", "oneOf"] {
        schema.get(key).and_then(Value::as_array).into_iter().flatten().for_each(&mut follow);
    }
    found.push(schema);
}

/// The words that a value may be, each with what it means.
pub(super) fn words(root: &Value, schema: &Value) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for schema in resolved(root, &[schema], None) {
        let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let descriptions = schema.get("markdownEnumDescriptions").and_then(Value::as_array);
        let all = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        for (index, word) in all.enumerate().filter_map(|(index, word)| Some((index, word.as_str()?))) {
            let own = descriptions.and_then(|all| all.get(index)).and_then(Value::as_str);
            found.push((word.to_owned(), own.unwrap_or_default().to_owned()));
        }
        found.extend(schema.get("const").and_then(Value::as_str).map(|word| (word.to_owned(), about.to_owned())));
        if schema.get("type").is_some_and(|kind| kind == "boolean") {
            found.extend(["true", "false"].map(|word| (word.to_owned(), String::new())));
        }
    }
    let mut seen = Vec::new();
    found.retain(|(word, _)| {
        !seen.contains(word) && {
            seen.push(word.clone());
            true
        }
    });
    found
}
