//! Starting an execution for a trigger, whatever it waited for.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Scheduler, TriggerDefinition, kind};
use crate::blocking::run_blocking;
use crate::diagnostic::Diagnostic;
use crate::engine::input_host::InputHost;
use crate::engine::request::{ExecutionRequest, SubmitError};
use crate::engine::schedule::ClockHost;
use crate::engine::secrets;
use crate::flow::expression::{Names, render, render_interactive};
use crate::flow::input::is_declared_secret;
use crate::flow::trigger::{ConditionContext, TriggerKind, UpstreamExecution};
use crate::id::ExecutionId;
use crate::journal::{TriggerFiring, TriggerKey, Triggered};
use crate::secret::Redactor;
use crate::text::plain;

/// A call of a webhook.
#[derive(Clone, Debug, Default)]
pub struct WebhookCall {
    /// The body: JSON if it is that, else text.
    pub body: Value,
    /// The headers.
    pub headers: Map<String, Value>,
    /// The parameters of the address.
    pub parameters: Map<String, Value>,
}

/// Why a call starts nothing.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no such address.
    #[error("there is no such webhook")]
    Unknown,
    /// The trigger's conditions do not hold.
    #[error("the conditions of the trigger do not hold")]
    Conditions,
    /// A condition cannot be decided.
    #[error("a condition of the trigger cannot be decided: {0}")]
    Undecided(String),
    /// There is no execution.
    #[error(transparent)]
    Refused(#[from] SubmitError),
}

impl Scheduler {
    /// Starts an execution for a call of `/executions/webhook/{namespace}/{flow}/{key}`.
    ///
    /// # Errors
    /// When there is no such webhook, or it starts nothing. A wrong key is as good as no webhook.
    pub fn webhook(
        &self,
        namespace: &str,
        flow: &str,
        key: &str,
        call: WebhookCall,
        now: DateTime<Utc>,
    ) -> Result<ExecutionId, WebhookError> {
        let found = self.lock().known.iter().find_map(|(of, known)| {
            let is_it = |on: &TriggerKind| match on {
                TriggerKind::Webhook(webhook) => is_same(&webhook.key, key) && self.why_not_served(on).is_none(),
                _ => false,
            };
            let is_meant = of.namespace == namespace && of.flow == flow && !known.is_disabled();
            (is_meant && is_it(&known.trigger().on)).then(|| (of.clone(), known.definition.clone()))
        });
        let Some((of, definition)) = found else { return Err(WebhookError::Unknown) };
        let WebhookCall { body, headers, parameters } = call;
        let facts = json!({"body": body, "headers": headers, "parameters": parameters});
        run_blocking(|| {
            if !holds(&definition, &facts, None, now).map_err(WebhookError::Undecided)? {
                return Err(WebhookError::Conditions);
            }
            let id = self.start(&definition, &of, now, facts, None)?;
            self.clear_problem(&of);
            Ok(id)
        })
    }

    /// Starts an execution for something that a trigger found: a file, an answer. For the same `what` it does so once.
    /// None when its conditions do not hold.
    ///
    /// # Errors
    /// When it is refused, or a condition cannot be decided.
    pub fn fire(
        &self,
        key: &TriggerKey,
        what: Option<&str>,
        facts: Value,
        now: DateTime<Utc>,
    ) -> Result<Option<ExecutionId>, WebhookError> {
        let Some(definition) = self.definition(key) else { return Ok(None) };
        run_blocking(|| {
            if !holds(&definition, &facts, None, now).map_err(WebhookError::Undecided)? {
                return Ok(None);
            }
            let firing = what.map(|what| TriggerFiring::about(key.clone(), what));
            let id = self.start(&definition, key, now, facts, firing)?;
            self.clear_problem(key);
            Ok(Some(id))
        })
    }

    /// A trigger's fields, rendered; their expressions may ask for secrets and stored values too.
    ///
    /// # Errors
    /// In plain words, when an expression has no value.
    pub fn rendered(&self, key: &TriggerKey, fields: &Value, now: DateTime<Utc>) -> Result<Value, String> {
        let Some(definition) = self.definition(key) else { return Err("the trigger no longer exists".to_owned()) };
        let host = InputHost::of(&self.executor.runner().settings, &definition.flow, now);
        run_blocking(|| render(fields, &names(&definition, &json!({})), &host)).map_err(|error| error.message)
    }

    /// Whether a trigger's own condition holds for what it found, which expressions know by `name`.
    ///
    /// # Errors
    /// In plain words, when it cannot be decided.
    pub fn holds(
        &self,
        key: &TriggerKey,
        condition: &Value,
        name: &str,
        found: Value,
        now: DateTime<Utc>,
    ) -> Result<bool, String> {
        let Some(definition) = self.definition(key) else { return Ok(false) };
        let mut names = names(&definition, &json!({}));
        names.insert(name.to_owned(), found);
        run_blocking(|| crate::flow::expression::evaluate_condition(condition, &names, &ClockHost(now)))
            .map_err(|error| error.message)
    }

    /// Says something about a trigger that is no problem.
    pub fn log(&self, key: &TriggerKey, text: &str) {
        log(key, text);
    }

    /// Says that something went wrong with a trigger, or that it is well again.
    pub fn set_problem(&self, key: &TriggerKey, problem: Option<String>) {
        let mut state = self.lock();
        let Some(known) = state.known.get_mut(key) else { return };
        match problem {
            // The same again is not said again.
            Some(problem) if known.problem.as_ref() != Some(&problem) => self.report_problem(known, key, problem),
            Some(_) => {}
            None => known.problem = None,
        }
    }

    pub(super) fn start(
        &self,
        definition: &TriggerDefinition,
        key: &TriggerKey,
        moment: DateTime<Utc>,
        mut facts: Value,
        firing: Option<TriggerFiring>,
    ) -> Result<ExecutionId, SubmitError> {
        let trigger = definition.trigger();
        if let Some(facts) = facts.as_object_mut() {
            facts.entry("date").or_insert_with(|| Value::from(moment.to_rfc3339()));
        }
        let redactor = self.secrets_of(definition, &facts);
        let hidden = redactor.value_without_known(facts.clone());
        let rendered = |map: &Map<String, Value>| -> Result<Map<String, Value>, SubmitError> {
            // What is kept of a call holds no secret of the flow, except for its secret inputs.
            let of = |name: &str| if is_declared_secret(&definition.flow.inputs, name) { &facts } else { &hidden };
            let one = |(name, value): (&String, &Value)| match render_interactive(
                value,
                &names(definition, of(name)),
                &ClockHost(moment),
            ) {
                Ok(value) => Ok((name.clone(), value)),
                Err(error) => {
                    let message = format!("`{name}` of trigger `{}`: {}", key.trigger, error.message);
                    Err(SubmitError::Inputs(vec![Diagnostic::error(message)]))
                }
            };
            map.iter().map(one).collect()
        };
        let inputs = rendered(&trigger.common.inputs)?;
        let inputs: Vec<_> = inputs.into_iter().map(|(name, value)| (name, plain(&value))).collect();
        let labels = rendered(&trigger.labels)?;
        let facts = match hidden {
            Value::Object(facts) => facts,
            _ => Map::new(),
        };
        let request = ExecutionRequest {
            inputs: self.executor.resolve(&definition.flow, &inputs)?,
            labels,
            trigger_date: Some(moment),
            trigger: Some(Triggered { id: key.trigger.clone(), kind: kind(trigger).to_owned(), facts }),
            firing,
            revision: Some(definition.revision),
            ..ExecutionRequest::default()
        };
        self.executor.submit(&definition.flow, request)
    }
}

impl Scheduler {
    /// What knows the secrets that a flow names in its text; nothing where a trigger says no more than its moments.
    fn secrets_of(&self, definition: &TriggerDefinition, facts: &Value) -> Redactor {
        let redactor = Redactor::default();
        let says_more = facts.as_object().is_some_and(|facts| facts.values().any(|fact| !fact.is_null()));
        if matches!(definition.trigger().on, TriggerKind::Schedule(..)) || !says_more {
            return redactor;
        }
        for name in secrets::named_in(&definition.flow.document.text) {
            // A missing one is reported where it is used.
            if let Ok(secret) = secrets::find(&self.executor.runner().settings, &definition.flow.folder, name) {
                redactor.learn(&secret);
            }
        }
        redactor
    }
}

/// Logs something about a trigger.
pub(super) fn log(TriggerKey { namespace, flow, trigger }: &TriggerKey, text: &str) {
    tracing::warn!(target: "jitney::scheduler", namespace, flow, "trigger {trigger}: {text}");
}

/// Whether a trigger's conditions hold.
pub(super) fn holds(
    definition: &TriggerDefinition,
    facts: &Value,
    upstream: Option<&UpstreamExecution>,
    now: DateTime<Utc>,
) -> Result<bool, String> {
    let names = names(definition, facts);
    definition.trigger().is_met(&ConditionContext {
        date: now.fixed_offset(),
        upstream,
        names: &names,
        host: &ClockHost(now),
    })
}

fn names(definition: &TriggerDefinition, facts: &Value) -> Names {
    let flow = &definition.flow;
    Names::from_iter([
        ("trigger".to_owned(), facts.clone()),
        ("vars".to_owned(), Value::Object(flow.variables.clone())),
        ("labels".to_owned(), Value::Object(flow.labels.clone())),
        ("flow".to_owned(), json!({"id": flow.id, "namespace": flow.namespace, "revision": definition.revision})),
    ])
}

/// Compares so that the time it takes says nothing about where the texts differ.
fn is_same(ours: &str, theirs: &str) -> bool {
    Sha256::digest(ours.as_bytes()) == Sha256::digest(theirs.as_bytes())
}
