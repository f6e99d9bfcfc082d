//! Values for the parameters of a query.

use gcp_bigquery_client::model::query_parameter::QueryParameter;
use gcp_bigquery_client::model::query_parameter_type::QueryParameterType;
use gcp_bigquery_client::model::query_parameter_value::QueryParameterValue;
use serde_json::Value;

use crate::task::TaskError;
use crate::text::plain;

/// How parameters are identified, and their values: a list stands for `?`, a map for `@name`.
pub(super) type Parameters = (&'static str, Vec<QueryParameter>);

/// Reads a list or a map of values.
///
/// # Errors
/// When it is neither, or a value has no type.
pub(super) fn read(values: &Value) -> Result<Option<Parameters>, TaskError> {
    match values {
        Value::Null => Ok(None),
        Value::Array(values) => {
            let all = values.iter().enumerate().map(|(index, value)| one(None, &format!("{}", index + 1), value));
            Ok(Some(("POSITIONAL", all.collect::<Result<_, _>>()?)))
        }
        Value::Object(values) => {
            let all = values.iter().map(|(name, value)| one(Some(name.clone()), name, value));
            Ok(Some(("NAMED", all.collect::<Result<_, _>>()?)))
        }
        _ => Err(TaskError::permanent("`parameters` must be a list for `?`, or a map for `@name`")),
    }
}

fn one(name: Option<String>, called: &str, value: &Value) -> Result<QueryParameter, TaskError> {
    let (kind, value) = typed(value).ok_or_else(|| {
        TaskError::permanent(format!("the parameter `{called}` is not a text, number, boolean, or a list of these"))
            .help("specify other types as in `{type: DATE, value: 2020-04-01}`; pass structures as text and use PARSE_JSON")
    })?;
    Ok(QueryParameter { name, parameter_type: Some(kind), parameter_value: Some(value) })
}

fn typed(value: &Value) -> Option<(QueryParameterType, QueryParameterValue)> {
    match value {
        Value::Array(items) => list(items, None),
        Value::Object(map) => {
            let kind = map.get("type")?.as_str()?.to_uppercase();
            let inner = map.get("value").filter(|_| map.len() <= 2)?;
            if let Some(element) = kind.strip_prefix("ARRAY<").and_then(|rest| rest.strip_suffix('>')) {
                return list(inner.as_array()?, Some(element));
            }
            Some((of(&kind), text(inner)))
        }
        scalar => Some((of(kind_of(scalar)), text(scalar))),
    }
}

fn list(items: &[Value], element: Option<&str>) -> Option<(QueryParameterType, QueryParameterValue)> {
    let element = element.unwrap_or_else(|| items.first().map_or("STRING", kind_of));
    if items.iter().any(|item| item.is_array() || item.is_object()) {
        return None;
    }
    let kind = QueryParameterType { array_type: Some(Box::new(of(element))), ..of("ARRAY") };
    let values = Some(items.iter().map(text).collect());
    Some((kind, QueryParameterValue { array_values: values, ..QueryParameterValue::default() }))
}

fn of(kind: &str) -> QueryParameterType {
    QueryParameterType { r#type: kind.to_owned(), ..QueryParameterType::default() }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "BOOL",
        Value::Number(number) if number.is_f64() => "FLOAT64",
        Value::Number(_) => "INT64",
        _ => "STRING",
    }
}

fn text(value: &Value) -> QueryParameterValue {
    let text = (!value.is_null()).then(|| plain(value));
    QueryParameterValue { value: text, ..QueryParameterValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_tell_their_types_or_name_them() {
        let values = json!({"file": "a.csv", "rows": 7, "rate": 0.5, "day": {"type": "date", "value": "2020-04-01"},
            "zones": [1, 2]});
        let (mode, all) = read(&values).unwrap().unwrap();
        assert_eq!(mode, "NAMED");
        let kinds: Vec<String> = all.iter().map(|one| one.parameter_type.clone().unwrap().r#type).collect();
        assert_eq!(kinds, ["STRING", "INT64", "FLOAT64", "DATE", "ARRAY"]);
        assert_eq!(all[3].parameter_value.as_ref().unwrap().value.as_deref(), Some("2020-04-01"));
        assert_eq!(read(&json!([1])).unwrap().unwrap().0, "POSITIONAL");
        assert!(read(&json!({"a": {"b": 1}})).is_err() && read(&json!(3)).is_err());
    }
}
