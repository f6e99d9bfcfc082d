//! JSON in the text of an answer, and whether it has the shape that was asked for.
//!
//! Not every server enforces a schema, and a small model may write around it: what a task passes on is checked here.

use serde_json::{Map, Value};

use crate::text::nests_too_deeply;

/// The value in a text: the whole of it, what stands between its fences, or what begins with its first bracket.
///
/// # Errors
/// Why there is none.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let fenced =
        text.split_once("```").and_then(|(_, rest)| rest.split_once('\n')).and_then(|(_, rest)| rest.split_once("```"));
    let from_bracket = text.find(['{', '[']).and_then(|at| text.get(at..));
    let first = |text: &str| serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok();
    let in_fences = || serde_json::from_str(fenced?.0.trim()).ok();
    let within = || first(from_bracket?).filter(|value| value.is_object() || value.is_array());
    let found: Option<Value> = serde_json::from_str(text).ok().or_else(in_fences).or_else(within);
    match found {
        Some(value) if nests_too_deeply(&value) => Err("it is nested too deeply".to_owned()),
        Some(value) => Ok(value),
        None => Err("it is not JSON".to_owned()),
    }
}

/// Whether a value has the shape of a schema, as far as types, properties, lists and choices go.
///
/// # Errors
/// What does not fit, and where.
pub(super) fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    fits_at(schema, value, "the answer", 0)
}

fn fits_at(schema: &Value, value: &Value, place: &str, depth: usize) -> Result<(), String> {
    let Value::Object(schema) = schema else { return Ok(()) };
    if depth > crate::text::MAX_DEPTH {
        return Ok(());
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array).filter(|choices| !choices.contains(value)) {
        let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
        return Err(format!("{place} must be one of {}", choices.join(", ")));
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of(name, value)) {
        return Err(format!("{place} must be of type {}", types.join(" or ")));
    }
    match value {
        Value::Object(map) => map_fits(schema, map, place, depth),
        Value::Array(items) => {
            let item_schema = schema.get("items").unwrap_or(&Value::Null);
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| fits_at(item_schema, item, &format!("{place}[{index}]"), depth + 1))
        }
        _ => Ok(()),
    }
}

fn map_fits(schema: &Map<String, Value>, map: &Map<String, Value>, place: &str, depth: usize) -> Result<(), String> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !map.contains_key(*name)) {
        return Err(format!("{place} has no `{missing}`"));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, value) in map {
        match properties.and_then(|properties| properties.get(name)) {
            Some(inner) => fits_at(inner, value, &format!("`{name}` of {place}"), depth + 1)?,
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                return Err(format!("{place} has `{name}`, which is not wanted"));
            }
            None => {}
        }
    }
    Ok(())
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_found_in_what_models_write_around_it() {
        for text in ["{\"a\": 1}", "```json\n{\"a\": 1}\n```", "Sure! Here it is: {\"a\": 1} Enjoy."] {
            assert_eq!(parse(text), Ok(json!({"a": 1})), "{text}");
        }
        assert_eq!(parse("no idea"), Err("it is not JSON".to_owned()));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let schema = json!({"type": "object", "required": ["name", "tags"], "properties": {
            "name": {"type": "string"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        }});
        assert_eq!(fits(&schema, &json!({"name": "x", "tags": ["a"]})), Ok(()));
        let wrong = |value: Value| fits(&schema, &value).unwrap_err();
        assert_eq!(wrong(json!({"name": "x"})), "the answer has no `tags`");
        assert_eq!(wrong(json!({"name": 1, "tags": []})), "`name` of the answer must be of type string");
        assert_eq!(wrong(json!({"name": "x", "tags": ["c"]})), "`tags` of the answer[0] must be one of \"a\", \"b\"");
    }
}
