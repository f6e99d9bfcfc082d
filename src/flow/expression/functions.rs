//! Functions: `now()`, `secret('X')` and so on.

use std::cmp::Ordering;

use serde_json::Value;

use super::builtin::{Builtin, BuiltinCall, BuiltinResult};
use super::date::Moment;
use super::filters::date::{english, zone};
use super::operators::{compare, range};
use super::value::{kind, to_text};
use crate::diagnostic::nearest;
use crate::flow::document;
use crate::text::not_json;

/// What a byte of YAML counts, which is slow to read.
const YAML_COST: usize = 32;

const FILE: &[&str] = &["path", "namespace"];

const ALL: &[Builtin] = &[
    Builtin::new("currentEachOutput", &["outputs"], 1, current_each_output),
    Builtin::new("errorLogs", &[], 0, |call| call.evaluator.host.error_logs()),
    Builtin::new("fileEmpty", FILE, 1, |call| {
        call.evaluator.host.file_empty(call.required_text("path")?, call.text("namespace")?).map(Value::Bool)
    }),
    Builtin::new("fileExists", FILE, 1, |call| {
        call.evaluator.host.file_exists(call.required_text("path")?, call.text("namespace")?).map(Value::Bool)
    }),
    Builtin::new("fileSize", FILE, 1, |call| {
        call.evaluator.host.file_size(call.required_text("path")?, call.text("namespace")?).map(Value::from)
    }),
    Builtin::new("fileURI", FILE, 1, |call| {
        call.evaluator.host.file_uri(call.required_text("path")?, call.text("namespace")?).map(Value::String)
    }),
    Builtin::new("fromJson", &["json"], 1, from_json),
    Builtin::new("id", &[], 0, id),
    Builtin::new("json", &["json"], 1, from_json),
    Builtin::new("kv", &["key", "namespace", "errorOnMissing"], 1, kv),
    Builtin::new("max", &["…"], 1, |call| extremum(call, Ordering::Greater)),
    Builtin::new("min", &["…"], 1, |call| extremum(call, Ordering::Less)),
    Builtin::new("now", &["format", "timeZone", "existingFormat", "locale"], 0, now),
    Builtin::new("printContext", &[], 0, |call| Ok(Value::Object(call.evaluator.names.clone()))),
    Builtin::new("randomInt", &["lower", "upper"], 2, random_int),
    Builtin::new("range", &["start", "end", "increment"], 2, |call| {
        let bound = |name: &str| call.argument(name).unwrap_or(&Value::Null);
        range(bound("start"), bound("end"), call.integer("increment")?.unwrap_or(1))
    }),
    Builtin::new("read", FILE, 1, |call| {
        call.evaluator.host.read(call.required_text("path")?, call.text("namespace")?).map(Value::String)
    }),
    Builtin::new("render", &["toRender", "recursive"], 1, |call| {
        call.evaluator.render(value(call, "toRender"), call.flag("recursive", true)?)
    }),
    Builtin::new("renderOnce", &["toRender"], 1, |call| call.evaluator.render(value(call, "toRender"), false)),
    // Secrets belong to no namespace; Kestra's own open version has it so too.
    Builtin::new("secret", &["key", "namespace", "subkey"], 1, |call| {
        call.evaluator.host.secret(call.required_text("key")?, call.text("subkey")?).map(Value::String)
    }),
    Builtin::new("tasksWithState", &["state"], 1, |call| {
        call.evaluator.host.tasks_with_state(call.required_text("state")?)
    }),
    Builtin::new("uuid", &[], 0, uuid),
    Builtin::new("yaml", &["yaml"], 1, from_yaml),
];

/// The function of this name.
pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|function| function.name == name)
}

/// Every function with its parameters.
pub(super) fn signatures() -> impl Iterator<Item = String> {
    ALL.iter().map(Builtin::signature)
}

/// Every function's name.
pub(in crate::flow) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|function| function.name)
}

/// What to say of a function that is neither there nor a macro.
pub(super) fn unknown<'m>(name: &str, macros: impl Iterator<Item = &'m String>) -> String {
    let known = ALL.iter().map(|function| function.name).chain(macros.map(String::as_str));
    if super::filters::find(name).is_some() {
        return format!("there is no function `{name}`, but a filter: write `value | {name}`");
    }
    let guess = nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no function `{name}`{guess}")
}

fn value<'c>(call: &'c BuiltinCall, name: &str) -> &'c Value {
    call.argument(name).unwrap_or(&Value::Null)
}

fn now(call: &BuiltinCall) -> BuiltinResult {
    english(call)?;
    let moment = Moment::new(call.evaluator.host.now()?, zone(call)?);
    moment.format(call.text("format")?.unwrap_or("iso")).map(Value::String)
}

fn from_json(call: &BuiltinCall) -> BuiltinResult {
    // What is no text any more has been read already.
    let Some(Value::String(text)) = call.argument("json") else { return Ok(value(call, "json").clone()) };
    call.check_text_size(text.len())?;
    call.spend(text.len())?;
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

fn from_yaml(call: &BuiltinCall) -> BuiltinResult {
    let Some(Value::String(text)) = call.argument("yaml") else { return Ok(value(call, "yaml").clone()) };
    call.spend(text.len().saturating_mul(YAML_COST))?;
    document::from_yaml(text)
}

fn kv(call: &BuiltinCall) -> BuiltinResult {
    let (key, namespace) = (call.required_text("key")?, call.text("namespace")?);
    match call.evaluator.host.kv(key, namespace)? {
        Some(value) => Ok(value),
        None if call.flag("errorOnMissing", true)? => {
            Err(format!("there is no key `{key}` in the store; `errorOnMissing=false` gives null instead"))
        }
        None => Ok(Value::Null),
    }
}

fn extremum(call: &BuiltinCall, ordering: Ordering) -> BuiltinResult {
    let mut values = call.arguments.iter().flatten();
    let first = values.next().cloned().unwrap_or_default();
    values
        .try_fold(first, |best, value| Ok(if compare(value, &best)? == Some(ordering) { value.clone() } else { best }))
}

fn random_int(call: &BuiltinCall) -> BuiltinResult {
    let (Some(lower), Some(upper)) = (call.integer("lower")?, call.integer("upper")?) else {
        return Err("`lower` and `upper` are whole numbers".to_owned());
    };
    if lower > upper {
        return Err(format!("`lower` ({lower}) is above `upper` ({upper})"));
    }
    let span = i128::from(upper) - i128::from(lower) + 1;
    let number = i128::from(lower) + i128::from(call.evaluator.host.random()?) % span;
    i64::try_from(number).map(Value::from).map_err(|error| error.to_string())
}

fn uuid(call: &BuiltinCall) -> BuiltinResult {
    let (high, low) = (call.evaluator.host.random()?, call.evaluator.host.random()?);
    let bits = u128::from(high) << 64 | u128::from(low);
    Ok(Value::String(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()))
}

/// 22 letters and digits.
fn id(call: &BuiltinCall) -> BuiltinResult {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::new();
    for _ in 0..2 {
        let mut bits = call.evaluator.host.random()?;
        for _ in 0..11 {
            let index = usize::try_from(bits % LETTERS.len() as u64).unwrap_or_default();
            text.extend(LETTERS.get(index).map(|letter| char::from(*letter)));
            bits /= LETTERS.len() as u64;
        }
    }
    Ok(Value::String(text))
}

/// What a task of the same iteration gave: one step into `outputs` for the value of each loop around.
fn current_each_output(call: &BuiltinCall) -> BuiltinResult {
    let item = call.evaluator.names.get("item").ok_or("it is for tasks inside of a loop")?;
    let outer = item.get("parents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let values = outer.iter().rev().chain([item]).filter_map(|item| item.get("value")).map(to_text);
    let mut found = value(call, "outputs");
    for step in values {
        found = match found {
            Value::Object(map) => map.get(&step).ok_or_else(|| format!("there is no output for the value `{step}`"))?,
            other => return Err(format!("`outputs` is {}, not the outputs of a task in a loop", kind(other))),
        };
    }
    Ok(found.clone())
}
