//! From the YAML of a task to its struct, and what is wrong where that fails.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fields::{self, FieldValue, has_template, is_template};
use super::{Task, TaskError};

/// Why a task's YAML does not fit its struct: the path of the field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Keys and indexes from the task down to the field, such as `["mode", "merge", "key"]`.
    pub path: Vec<String>,
    /// What is wrong, in serde's words.
    pub message: String,
}

/// Fields that are each well-formed, and contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// The fields that are part in it; the first is the one to point at.
    pub fields: Vec<&'static str>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl FieldConflict {
    /// A conflict between these fields.
    pub fn between<const N: usize>(fields: [&'static str; N], message: impl Into<String>) -> Self {
        Self { fields: fields.to_vec(), message: message.into() }
    }
}

/// Reads a struct that is never rendered from values, as leniently as a task is read. A template is but a text in it.
///
/// # Errors
/// When a field does not fit.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, FieldError> {
    parse(FieldValue::new(value, false))
}

/// Whether these fields can make a task. A field that a template decides later is left aside, and the rest looked at.
pub(super) fn check<T: Task>(fields: &Value) -> Result<(), FieldError> {
    let mut rest = Cow::Borrowed(fields);
    let mut is_whole = true;
    let task = loop {
        let error = match parse::<T>(FieldValue::new(&rest, true)) {
            Ok(task) => break task,
            Err(error) => error,
        };
        // A field that is not known is wrong, whatever its value comes to.
        let is_unknown = error.message.starts_with("unknown field");
        if is_unknown || (error.message != fields::DECIDED_LATER && !is_decided_later(&rest, &error)) {
            let is_left_aside = !is_whole && error.message.starts_with("missing field");
            return if is_left_aside { Ok(()) } else { Err(error) };
        }
        let later = error.path.first().and_then(|field| rest.to_mut().as_object_mut()?.shift_remove(field));
        if later.is_none() {
            return Ok(());
        }
        is_whole = false;
    };
    // What a template decides may well agree with the rest.
    let is_known = |name: &&str| fields.get(*name).is_none_or(|value| !has_template(value));
    let conflict = task.conflicts().into_iter().find(|conflict| conflict.fields.iter().all(is_known));
    conflict.map_or(Ok(()), |conflict| {
        let path = conflict.fields.iter().filter(|name| fields.get(**name).is_some()).take(1);
        Err(FieldError { path: path.map(|name| (*name).to_owned()).collect(), message: conflict.message })
    })
}

/// Whether a template is at the place of an error: what it comes to may well fit. Text around it can make no list
/// and no map.
fn is_decided_later(fields: &Value, error: &FieldError) -> bool {
    let mut found = fields;
    for part in &error.path {
        let inside = match found {
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            other => other.get(part),
        };
        let Some(inside) = inside else { return false };
        found = inside;
    }
    let wants_many = ["expected a sequence", "expected a map"].iter().any(|wanted| error.message.ends_with(wanted));
    let fits = |text: &str| is_template(text) && (!wants_many || fields::may_be_many(text));
    !error.path.is_empty() && found.as_str().is_some_and(fits)
}

fn parse<T: DeserializeOwned>(fields: FieldValue) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(fields).map_err(|error| {
        let path = error.path().iter().filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
            serde_path_to_error::Segment::Map { key } => Some(key.clone()),
            serde_path_to_error::Segment::Enum { variant } => Some(variant.clone()),
            serde_path_to_error::Segment::Unknown => None,
        });
        FieldError { path: path.collect(), message: error.inner().to_string() }
    })
}

/// A message with the field that it is about, unless it begins with what is below the field: `options.auth.token`.
pub(super) fn named(field: &str, message: &str) -> String {
    let is_named = message.strip_prefix(field.trim_end_matches('`')).is_some_and(|rest| rest.starts_with('.'));
    if is_named { message.to_owned() } else { format!("{field}: {message}") }
}

/// Reads a task from its rendered fields.
pub(super) fn read_rendered<T: Task>(fields: &Value) -> Result<T, TaskError> {
    let task: T = parse(FieldValue::new(fields, false)).map_err(|error| {
        let mut plain = error.plainly(&[]);
        if error.path.len() > 1 {
            plain.message = format!("`{}`: {}", error.path.join("."), plain.message);
        }
        TaskError::from(plain)
    })?;
    match task.conflicts().into_iter().next() {
        None => Ok(task),
        Some(FieldConflict { fields, message }) => {
            Err(TaskError::permanent(named(&format!("`{}`", fields.first().unwrap_or(&"")), &message)))
        }
    }
}
