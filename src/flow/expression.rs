//! Templates in a flow's values: `{{ inputs.taxi }}`.

use minijinja::value::{Serde, Value as Context};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::task::is_template;

/// The names that an expression may use, by their first word.
pub type Names = Map<String, Value>;

/// A template that cannot be used: what is wrong with it, and the part of it that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// The text to point at: the variable, or the whole template.
    pub culprit: String,
}

impl std::fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExpressionError {}

/// The value with every template in it rendered. A text that is one `{{ … }}` and nothing else keeps the type of its
/// result; any other becomes text.
///
/// # Errors
/// When a template is malformed or names what is not there.
pub fn render(value: &Value, names: &Names) -> Result<Value, ExpressionError> {
    match value {
        Value::String(text) if is_template(text) => render_text(text, names),
        Value::Array(items) => {
            Ok(Value::Array(items.iter().map(|item| render(item, names)).collect::<Result<_, _>>()?))
        }
        Value::Object(map) => {
            let rendered = map.iter().map(|(key, value)| Ok((key.clone(), render(value, names)?)));
            Ok(Value::Object(rendered.collect::<Result<_, _>>()?))
        }
        other => Ok(other.clone()),
    }
}

/// Whether a condition holds, by the rules of Kestra: false, 0, nothing and their texts do not.
///
/// # Errors
/// As [`render`].
pub fn holds(condition: &Value, names: &Names) -> Result<bool, ExpressionError> {
    Ok(is_truthy(&render(condition, names)?))
}

/// Whether a rendered condition counts as true.
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.trim(), "" | "false" | "0" | "-0"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// The dotted names that the templates of a text use, such as `outputs.extract.uri`.
///
/// # Errors
/// When a template is malformed.
pub fn references(text: &str) -> Result<Vec<String>, ExpressionError> {
    let environment = environment();
    let template = environment.template_from_str(text).map_err(|error| malformed(text, &error))?;
    let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
    names.sort();
    Ok(names)
}

fn render_text(text: &str, names: &Names) -> Result<Value, ExpressionError> {
    let environment = environment();
    if let Some(expression) = sole_expression(text) {
        let compiled = environment.compile_expression(expression).map_err(|error| malformed(text, &error))?;
        let result = compiled.eval(Context::from(Serde(names))).map_err(|error| failed(text, names, &error))?;
        if !result.is_undefined() {
            return serde_json::to_value(&result).map_err(|error| ExpressionError {
                message: format!("the result of `{}` is no plain value: {error}", text.trim()),
                culprit: text.to_owned(),
            });
        }
        return Err(undefined(text, names));
    }
    environment
        .render_str(text, Context::from(Serde(names)))
        .map(Value::String)
        .map_err(|error| failed(text, names, &error))
}

/// The expression of a text that is `{{ expression }}` and nothing else.
fn sole_expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inner.contains("{{") && !inner.contains("}}")).then(|| inner.trim_matches('-').trim())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

fn malformed(text: &str, error: &Error) -> ExpressionError {
    let detail = error.detail().unwrap_or("it cannot be read");
    let plain = detail
        .replace("end of variable block", "`}}`")
        .replace("end of block", "`%}`")
        .replace("end of input", "end of the text");
    ExpressionError { message: format!("this template is malformed: {plain}"), culprit: text.to_owned() }
}

fn failed(text: &str, names: &Names, error: &Error) -> ExpressionError {
    if error.kind() == ErrorKind::UndefinedError {
        return undefined(text, names);
    }
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    ExpressionError { message: format!("`{}` cannot be evaluated: {detail}", text.trim()), culprit: text.to_owned() }
}

/// Names the first reference that leads nowhere, and what there is in its place.
fn undefined(text: &str, names: &Names) -> ExpressionError {
    for reference in references(text).unwrap_or_default() {
        if let Some(message) = missing_part(&reference, names) {
            return ExpressionError { message, culprit: reference };
        }
    }
    ExpressionError { message: format!("`{}` uses a name that has no value", text.trim()), culprit: text.to_owned() }
}

fn missing_part(reference: &str, names: &Names) -> Option<String> {
    let mut map = names;
    let mut walked = String::new();
    for part in reference.split('.') {
        match map.get(part) {
            Some(Value::Object(inner)) => map = inner,
            Some(_) => return None,
            None => {
                let known: Vec<&str> = map.keys().map(String::as_str).collect();
                let place = if walked.is_empty() { "here".to_owned() } else { format!("in `{walked}`") };
                return Some(format!("`{reference}` is not defined; {place} there is {}", list(&known)));
            }
        }
        if !walked.is_empty() {
            walked.push('.');
        }
        walked.push_str(part);
    }
    None
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Names {
        let value =
            json!({"inputs": {"taxi": "green", "year": 2019, "list": [1, 2]}, "outputs": {"get": {"uri": "u"}}});
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_lone_expression_keeps_its_type_and_a_text_is_text() {
        let rendered = |text: &str| render(&json!(text), &names()).unwrap();
        assert_eq!(rendered("{{ inputs.year }}"), json!(2019));
        assert_eq!(rendered("{{ inputs.list }}"), json!([1, 2]));
        assert_eq!(rendered("{{ inputs.taxi }}_{{ inputs.year }}"), json!("green_2019"));
        assert_eq!(rendered("{{ inputs.taxi == 'green' }}"), json!(true));
        assert_eq!(rendered("plain"), json!("plain"));
    }

    #[test]
    fn an_unknown_name_is_an_error_that_says_which_there_are() {
        let error = render(&json!(["{{ outputs.fetch.uri }}"]), &names()).unwrap_err();
        assert_eq!(error.message, "`outputs.fetch.uri` is not defined; in `outputs` there is `get`");
        assert_eq!(error.culprit, "outputs.fetch.uri");
        let error = render(&json!("x {{ input.taxi }}"), &names()).unwrap_err();
        assert_eq!(error.message, "`input.taxi` is not defined; here there is `inputs`, `outputs`");
    }

    #[test]
    fn a_malformed_template_is_an_error_before_anything_runs() {
        for text in ["{{ inputs. }}", "{{ inputs.taxi", "{% if %}", "{{ 'a }}"] {
            assert!(references(text).is_err(), "{text}");
        }
        assert_eq!(references("{{ outputs.a.uri }} {{ inputs.x }}").unwrap(), ["inputs.x", "outputs.a.uri"]);
    }

    #[test]
    fn conditions_follow_kestra() {
        for (value, expected) in [(json!("false"), false), (json!("0"), false), (json!(""), false), (json!("no"), true)]
        {
            assert_eq!(is_truthy(&value), expected, "{value}");
        }
        assert!(holds(&json!("{{ inputs.taxi == 'green' }}"), &names()).unwrap());
    }
}
