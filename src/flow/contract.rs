//! What a flow promises and requires besides its tasks: outputs, checks, SLAs, concurrency and retries.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, offer};
use crate::duration::DurationSpec;
use crate::flow::findings;
use crate::flow::parse::{FlowParser, below};
use crate::flow::{RetrySpec, input};
use crate::task::read;
use crate::text::plain;

/// What an execution returns to its caller.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlowOutput {
    /// The name.
    pub id: String,
    /// What kind of value it is; one of the types of inputs.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value, rendered when all tasks have ended well.
    pub value: Value,
    /// A short name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether the execution fails when there is no value; true by default.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

impl FlowOutput {
    /// The value as its type has it.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn typed(&self, value: Value) -> Result<Value, String> {
        let (text, name) = (plain(&value), &self.id);
        let parsed = |expected: &str, fits: fn(&Value) -> bool| {
            let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            let parsed = parsed.unwrap_or_else(|| value.clone());
            if fits(&parsed) { Ok(parsed) } else { Err(format!("output `{name}`: `{text}` is not {expected}")) }
        };
        match self.kind.as_str() {
            "INT" => parsed("a whole number", |value| value.is_i64() || value.is_u64()),
            "FLOAT" => parsed("a number", Value::is_number),
            "BOOL" | "BOOLEAN" => parsed("true or false", Value::is_boolean),
            "ARRAY" | "MULTISELECT" => parsed("a list", Value::is_array),
            "JSON" | "YAML" => parsed("", |_| true),
            _ if value.is_null() => Ok(value),
            _ => Ok(Value::String(text)),
        }
    }
}

/// How many executions of a flow run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Concurrency {
    /// The most executions.
    pub limit: u32,
    /// What happens to one more: it waits (`QUEUE`), or it ends at once (`CANCEL`, `FAIL`).
    #[serde(default)]
    pub behavior: ConcurrencyPolicy,
}

/// What happens to an execution for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConcurrencyPolicy {
    /// It waits.
    #[default]
    Queue,
    /// It is cancelled.
    Cancel,
    /// It fails.
    Fail,
}

/// A promise about every execution.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Sla {
    /// The promise's name.
    pub id: String,
    /// What is promised.
    #[serde(rename = "type")]
    pub kind: SlaKind,
    /// `MAX_DURATION`: the longest that an execution may take.
    pub duration: Option<DurationSpec>,
    /// `EXECUTION_ASSERTION`: what must hold when all tasks have ended well.
    #[serde(rename = "assert")]
    pub assertion: Option<Value>,
    /// What happens when the promise is not kept: the execution fails, is cancelled, or continues (`NONE`).
    pub behavior: SlaAction,
    /// Labels that the execution gets then: a map, or a list of `{key, value}`.
    #[serde(default)]
    pub labels: Value,
}

/// What an [`Sla`] promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SlaKind {
    /// It does not take longer.
    MaxDuration,
    /// A condition holds at its end.
    ExecutionAssertion,
}

/// What happens to an execution that breaks a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SlaAction {
    /// It fails.
    Fail,
    /// It is cancelled.
    Cancel,
    /// It continues, with the labels.
    None,
}

/// What must hold before an execution starts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlowCheck {
    /// The condition, of inputs, variables and labels.
    pub condition: Value,
    /// What is said when it does not hold.
    pub message: Value,
    /// How that is shown.
    #[serde(default)]
    pub style: CheckStyle,
    /// What happens then.
    #[serde(default)]
    pub behavior: CheckAction,
}

/// How the message of a [`FlowCheck`] is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckStyle {
    /// As an error.
    Error,
    /// As a warning.
    Warning,
    /// As good news.
    Success,
    /// As a note.
    #[default]
    Info,
}

/// What happens when a [`FlowCheck`] does not hold; of several the last in this order counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckAction {
    /// The execution starts all the same.
    CreateExecution,
    /// The execution is there, and has failed.
    FailExecution,
    /// There is no execution.
    #[default]
    BlockExecution,
}

fn present<'m>(map: &'m Map<String, Value>, key: &str) -> Option<&'m Value> {
    map.get(key).filter(|value| !value.is_null())
}

impl FlowParser<'_> {
    pub(super) fn outputs(&mut self, map: &Map<String, Value>) -> Vec<FlowOutput> {
        let outputs: Vec<FlowOutput> = self.each(map, "outputs");
        for (index, output) in outputs.iter().enumerate() {
            let path = ["outputs".to_owned(), index.to_string()];
            if !input::TYPES.contains(&output.kind.as_str()) {
                let finding = Diagnostic::error(format!("unknown type `{}`", output.kind));
                let finding = finding.help(offer(&output.kind, input::TYPES));
                self.findings.push(self.document.locate(&below(&path, "type"), finding));
            }
            if outputs[..index].iter().any(|other| other.id == output.id) {
                let finding = Diagnostic::error(format!("there are two outputs called `{}`", output.id));
                self.findings.push(self.document.locate(&path, finding));
            }
        }
        outputs
    }

    pub(super) fn sla(&mut self, map: &Map<String, Value>) -> Vec<Sla> {
        let slas: Vec<Sla> = self.each(map, "sla");
        for (index, sla) in slas.iter().enumerate() {
            let missing = match sla.kind {
                SlaKind::MaxDuration if sla.duration.is_none() => "duration",
                SlaKind::ExecutionAssertion if sla.assertion.is_none() => "assert",
                _ => continue,
            };
            let path = ["sla".to_owned(), index.to_string()];
            let finding = Diagnostic::error(format!("`{missing}` is missing")).help(format!("add `{missing}: …`"));
            self.findings.push(self.document.locate(&path, finding));
        }
        slas
    }

    pub(super) fn checks(&mut self, map: &Map<String, Value>) -> Vec<FlowCheck> {
        self.each(map, "checks")
    }

    pub(super) fn concurrency(&mut self, map: &Map<String, Value>) -> Option<Concurrency> {
        let concurrency: Concurrency = self.one(present(map, "concurrency")?, &["concurrency".to_owned()])?;
        if concurrency.limit == 0 {
            let finding = Diagnostic::error("with a limit of 0, nothing could run").help("write 1 or more");
            let path = ["concurrency".to_owned(), "limit".to_owned()];
            self.findings.push(self.document.locate(&path, finding));
        }
        Some(concurrency)
    }

    pub(super) fn retry(&mut self, map: &Map<String, Value>) -> Option<RetrySpec> {
        let retry = self.one(present(map, "retry")?, &["retry".to_owned()]);
        retry.inspect(|retry| self.warn_unreachable_retry(retry, &["retry".to_owned()]))
    }

    /// Warns that `maxDuration` is over before the first retry.
    pub(super) fn warn_unreachable_retry(&mut self, retry: &RetrySpec, path: &[String]) {
        let Some(pause) = retry.pause_too_long() else { return };
        let finding =
            Diagnostic::warning(format!("`{pause}` is longer than `maxDuration`, so there would be no retry"))
                .help("increase `maxDuration`, or limit the retries with `maxAttempts`");
        self.findings.push(self.document.locate(&below(path, "maxDuration"), finding));
    }

    fn each<T: DeserializeOwned>(&mut self, map: &Map<String, Value>, key: &str) -> Vec<T> {
        let items = self.list(map.get(key), key);
        let read =
            items.iter().enumerate().filter_map(|(index, item)| self.one(item, &[key.to_owned(), index.to_string()]));
        read.collect()
    }

    fn one<T: DeserializeOwned>(&mut self, value: &Value, path: &[String]) -> Option<T> {
        let field_findings = findings::all(self.document, path, value, |value| read::<T>(value).map(drop));
        self.findings.extend(field_findings);
        read(value).ok()
    }
}
