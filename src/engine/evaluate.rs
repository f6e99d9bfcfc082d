//! Evaluates an expression over an execution, for somebody who looks at it. Nothing is changed, and no secret is shown: an
//! expression gets asterisks in its place, so that no filter brings it to light in another form.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::clock;
use crate::engine::error::EngineError;
use crate::engine::executor::Executor;
use crate::engine::host::{FoundSecrets, HostSnapshot};
use crate::engine::names::EvalContext;
use crate::flow::expression::{Host, Names, render_interactive};
use crate::flow::input;
use crate::id::ExecutionId;
use crate::task::is_template;

/// What stands for a secret.
const MASK: &str = "******";
/// The longest expression.
const MAX_LETTERS: usize = 10_000;

impl Executor {
    /// The value of an expression over an execution as it stands now, or what is wrong with the expression. A text without
    /// braces is one expression.
    ///
    /// # Errors
    /// When there is no such execution, or its flow is no longer known.
    pub fn evaluate(&self, id: &ExecutionId, expression: &str) -> Result<Result<Value, String>, EngineError> {
        if expression.chars().count() > MAX_LETTERS {
            return Ok(Err(format!("the expression has more than {MAX_LETTERS} letters")));
        }
        let runner = self.runner();
        let state = runner.state(id)?;
        let flow = self.flow(&state).map_err(EngineError::Invalid)?;
        let mut run = runner.execution_context(id, &flow, &Map::new(), &state);
        let secrets = flow.inputs.iter().filter(|input| input::is_declared_secret(&flow.inputs, &input.id));
        run.secrets = secrets.map(|input| (input.id.clone(), Value::from(MASK))).collect();
        let found = FoundSecrets::default();
        let context =
            EvalContext { state: &state, flow: &flow, run: &run, now: clock::now(), found: &found, end: None };
        let redactor = &runner.settings.redactor;
        let names: Names = match redactor.value_without_known(Value::Object(context.of_flow())) {
            Value::Object(names) => names,
            _ => Names::new(),
        };
        let template = if is_template(expression) { expression.to_owned() } else { format!("{{{{ {expression} }}}}") };
        let value = render_interactive(&Value::from(template), &names, &Masked(context.snapshot()));
        Ok(value.map(|value| redactor.value_without_known(value)).map_err(|error| redactor.clean(&error.message)))
    }
}

/// The world of an execution without its secrets.
struct Masked<'a>(HostSnapshot<'a>);

impl Host for Masked<'_> {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        self.0.now()
    }

    fn random(&self) -> Result<u64, String> {
        self.0.random()
    }

    fn secret(&self, name: &str, subkey: Option<&str>) -> Result<String, String> {
        self.0.secret(name, subkey).map(|_| MASK.to_owned())
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        self.0.kv_without_secrets(key, namespace, MASK)
    }

    fn read(&self, uri: &str, namespace: Option<&str>) -> Result<String, String> {
        self.0.read(uri, namespace).map(|text| self.0.host.redacted(&text))
    }

    fn file_size(&self, uri: &str, namespace: Option<&str>) -> Result<u64, String> {
        self.0.file_size(uri, namespace)
    }

    fn file_exists(&self, uri: &str, namespace: Option<&str>) -> Result<bool, String> {
        self.0.file_exists(uri, namespace)
    }

    fn file_uri(&self, path: &str, namespace: Option<&str>) -> Result<String, String> {
        self.0.file_uri(path, namespace)
    }

    fn error_logs(&self) -> Result<Value, String> {
        self.0.error_logs()
    }

    fn tasks_with_state(&self, state: &str) -> Result<Value, String> {
        self.0.tasks_with_state(state)
    }
}
