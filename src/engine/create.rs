//! New executions: what must hold before there is one, and what is written of it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::engine::error::EngineError;
use crate::engine::host::FoundSecrets;
use crate::engine::names::EvalContext;
use crate::engine::replay::ReplayPart;
use crate::engine::request::{ExecutionRequest, SubmitError};
use crate::engine::runner::{Runner, folder_of};
use crate::engine::schedule::ClockHost;
use crate::engine::snapshot;
use crate::engine::target::target_of;
use crate::engine::{input_files, literal, replay};
use crate::file_access::{FileAccess, texts};
use crate::flow::expression::{evaluate_condition, render};
use crate::flow::input;
use crate::flow::{CheckAction, CheckStyle, Flow};
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionSpec, ExecutionState, StartedBy, State, Triggered};
use crate::secret::secret_parts;
use crate::storage::Storage;
use crate::task::{Level, LogSource};
use crate::text::plain;

/// The inputs of an execution that the journal does not keep.
pub(super) type SecretInputs = Map<String, Value>;

impl Runner {
    /// Writes a new execution down, to be started. Secret inputs are not written, of addresses the password is not.
    ///
    /// # Errors
    /// When the flow is disabled, an input does not fit, one of the flow's checks forbids the execution, or the journal
    /// cannot be written.
    pub(super) fn create(
        &self,
        flow: &Flow,
        request: ExecutionRequest,
    ) -> Result<(ExecutionId, SecretInputs), SubmitError> {
        self.create_with(flow, request, &[])
    }

    fn create_with(
        &self,
        flow: &Flow,
        request: ExecutionRequest,
        events: &[Event],
    ) -> Result<(ExecutionId, SecretInputs), SubmitError> {
        self.write_new(flow, request.id.clone(), |id, now| {
            let (created, secrets) = self.validated_spec(id, flow, &request, now)?;
            self.journal.create_with(id, now, created, events).map_err(EngineError::from)?;
            Ok(secrets)
        })
    }

    /// Gives a new execution its id and lets `write` write it down.
    pub(super) fn write_new<T>(
        &self,
        flow: &Flow,
        known: Option<ExecutionId>,
        write: impl FnOnce(&ExecutionId, DateTime<Utc>) -> Result<T, SubmitError>,
    ) -> Result<(ExecutionId, T), SubmitError> {
        SubmitError::if_disabled(flow)?;
        let (now, is_new) = (clock::now(), known.is_none());
        let id = known.map_or_else(|| self.journal.new_id(now), Ok).map_err(EngineError::from)?;
        let written = write(&id, now);
        if written.is_err() && is_new {
            // Files that were copied for an execution that is not to be. Those that stay are removed by the retention.
            let _ = Storage::new(self.settings.storage(), id.clone()).purge();
        }
        written.map(|written| (id, written))
    }

    /// What the journal keeps of a new execution, and the secret inputs that it does not, if there may be one. Files
    /// among the inputs are copied into its storage.
    pub(super) fn validated_spec(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        request: &ExecutionRequest,
        now: DateTime<Utc>,
    ) -> Result<(ExecutionSpec, SecretInputs), SubmitError> {
        let files = self.files_of_inputs(flow, request, now);
        let storage = Storage::new(self.settings.storage(), id.clone());
        // The files of one that is repeated were there when it began.
        if request.original.is_none() {
            let mut missing = input_files::unreadable(flow, &request.inputs, &files);
            missing.extend(input_files::lost(&flow.inputs, &request.inputs, &storage));
            if !missing.is_empty() {
                return Err(SubmitError::Inputs(missing));
            }
        }
        let inputs = input_files::keep(flow, &request.inputs, (&storage, &self.settings.uploads()), &files)?;
        let (created, secrets) = self.spec(flow, &inputs, request, now);
        let blocking = self.blocking_checks(id, flow, &request.inputs, &created)?;
        if blocking.is_empty() { Ok((created, secrets)) } else { Err(SubmitError::Inputs(blocking)) }
    }

    /// The files that the inputs of a new execution may name.
    fn files_of_inputs(&self, flow: &Flow, request: &ExecutionRequest, now: DateTime<Utc>) -> FileAccess {
        let restricted = request.from_outside || self.started_by == StartedBy::Server;
        let files = match &request.files {
            Some(given) => given.in_folder(folder_of(flow)),
            None => self.files(flow, restricted).with_folder(self.settings.uploads()),
        };
        let files = files.with_found(request.trigger.as_ref().and_then(Triggered::file));
        if !files.is_restricted() {
            return files;
        }
        files.with_literal(literal::of_files(flow, request.trigger_date.unwrap_or(now), &ClockHost(now)))
    }

    /// What the journal keeps of a new execution whose files are where they are to be, and the secret inputs that it does
    /// not.
    pub(super) fn spec(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        request: &ExecutionRequest,
        now: DateTime<Utc>,
    ) -> (ExecutionSpec, SecretInputs) {
        let file = std::path::absolute(&flow.document.file).unwrap_or_else(|_| PathBuf::from(&flow.document.file));
        let (public, secrets) = self.split_secrets(flow, inputs, request.parent.is_some());
        let mut labels = flow.labels.clone();
        labels.extend(request.labels.clone());
        let created = ExecutionSpec {
            flow: flow.id.to_string(),
            namespace: flow.namespace.clone(),
            file: file.display().to_string(),
            text: snapshot::blank(&flow.document),
            sha256: snapshot::fingerprint(&flow.document.text),
            inputs: public,
            labels,
            trigger_date: request.trigger_date.unwrap_or(now),
            trigger: request.trigger.clone(),
            revision: request.revision,
            parent: request.parent.clone(),
            original: request.original.clone(),
            attempt: request.attempt.max(1),
            started_by: Some(self.started_by),
            target: Some(target_of(&self.settings, flow)),
            from_outside: request.from_outside,
            only: request.only.clone(),
        };
        (created, secrets)
    }

    /// The checks that do not hold and forbid an execution.
    ///
    /// # Errors
    /// When a check has no value.
    fn blocking_checks(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        created: &ExecutionSpec,
    ) -> Result<Vec<Diagnostic>, EngineError> {
        if flow.checks.is_empty() {
            return Ok(Vec::new());
        }
        let unmet = self.unmet_checks(id, flow, inputs, &State::new(created.clone()))?;
        let blocking = unmet.into_iter().filter(|unmet| unmet.behavior == CheckAction::BlockExecution);
        Ok(blocking.map(|unmet| flow.document.locate_key(&unmet.path, Diagnostic::error(unmet.message))).collect())
    }

    /// Says which checks a new execution does not meet; whether one of them fails it.
    pub(super) fn fails_a_check(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        state: &mut State,
    ) -> Result<bool, EngineError> {
        let unmet = self.unmet_checks(id, flow, inputs, state)?;
        for UnmetCheck { message, style, .. } in &unmet {
            let level = match style {
                CheckStyle::Error => Level::Error,
                CheckStyle::Warning => Level::Warn,
                CheckStyle::Info | CheckStyle::Success => Level::Info,
            };
            self.log(id, level, LogSource::Execution, message)?;
        }
        let fails = unmet.iter().any(|unmet| unmet.behavior == CheckAction::FailExecution);
        if fails {
            self.append(id, state, Event::Ended { state: ExecutionState::Failed, outputs: Map::new() })?;
        }
        Ok(fails)
    }

    fn unmet_checks(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        state: &State,
    ) -> Result<Vec<UnmetCheck>, EngineError> {
        if flow.checks.is_empty() {
            return Ok(Vec::new());
        }
        let run = self.execution_context(id, flow, inputs, state);
        let found = FoundSecrets::default();
        let eval = EvalContext { state, flow, run: &run, now: clock::now(), found: &found, end: None };
        let unmet = unmet_of(flow, &eval);
        run.host.register(&found);
        unmet
    }

    /// The execution that repeats one which failed; it is made unless it is there.
    pub(super) fn create_retry(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        id: &ExecutionId,
        state: &State,
        successor: &ExecutionId,
    ) -> Result<(), EngineError> {
        if self.journal.status(successor)?.is_some() {
            return Ok(());
        }
        let created = &state.created;
        let request = ExecutionRequest {
            inputs: inputs.clone(),
            labels: created.labels.clone(),
            trigger_date: Some(created.trigger_date),
            parent: created.parent.clone(),
            original: Some(created.original.clone().unwrap_or_else(|| id.clone())),
            attempt: created.attempt + 1,
            id: Some(successor.clone()),
            from_outside: self.is_restricted(state),
            // These were allowed the first time.
            files: Some(self.files(flow, self.is_restricted(state)).with_literal(inputs.values().flat_map(texts))),
            ..ExecutionRequest::default()
        };
        Ok(self.create(flow, request).map(drop)?)
    }

    /// A new execution that repeats another, or a part of it, with the outputs of what ran before that.
    ///
    /// # Errors
    /// When there is no such task, or as [`Runner::create`].
    pub(super) fn create_replay(
        &self,
        id: &ExecutionId,
        state: &State,
        flow: &Flow,
        inputs: &Map<String, Value>,
        part: &ReplayPart,
    ) -> Result<(ExecutionId, SecretInputs), EngineError> {
        let kept = match part {
            ReplayPart::All => None,
            ReplayPart::From(task) => Some((task, replay::kept_runs(state, flow, task))),
            ReplayPart::Only(task) => Some((task, replay::kept_runs_around(state, flow, task))),
        };
        let kept = kept.map(|(task, kept)| kept.map(|tasks| Event::Replayed { from: task.clone(), tasks }));
        let events = Vec::from_iter(kept.transpose().map_err(Diagnostic::error)?);
        let request = ExecutionRequest {
            inputs: inputs.clone(),
            labels: part.labels(state),
            only: part.only().map(str::to_owned),
            trigger_date: Some(state.created.trigger_date),
            original: Some(state.created.original.clone().unwrap_or_else(|| id.clone())),
            from_outside: self.is_restricted(state),
            ..ExecutionRequest::default()
        };
        Ok(self.create_with(flow, request, &events)?)
    }

    /// The inputs that the journal may keep, and those that it may not.
    pub(super) fn split_secrets(
        &self,
        flow: &Flow,
        inputs: &Map<String, Value>,
        are_handed_on: bool,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let redactor = &self.settings.redactor;
        let is_secret = |name: &str, value: &Value| {
            input::is_secret(&flow.inputs, name, value)
                // What a flow hands to another may hold its own secrets.
                || (are_handed_on && !redactor.known_in(value).is_empty())
        };
        let (secret, mut public): (Map<_, _>, Map<_, _>) =
            inputs.clone().into_iter().partition(|(name, value)| is_secret(name, value));
        for (name, value) in secret.iter().filter(|(name, _)| !input::is_declared_secret(&flow.inputs, name)) {
            let shown = if are_handed_on { redactor.value_without_known(value.clone()) } else { value.clone() };
            public.insert(name.clone(), input::redact_passwords(&shown));
        }
        self.secret_texts(flow, &secret).iter().for_each(|text| redactor.learn(text));
        (public, secret)
    }

    /// What must not be seen of secret inputs.
    pub(super) fn secret_texts(&self, flow: &Flow, secrets: &Map<String, Value>) -> Vec<String> {
        let of = |(name, value): (&String, &Value)| match input::is_declared_secret(&flow.inputs, name) {
            true => input::strings_in(value),
            false => [
                self.settings.redactor.known_in(value),
                input::strings_in(value).iter().flat_map(|text| secret_parts(text)).collect(),
            ]
            .concat(),
        };
        secrets.iter().flat_map(of).collect()
    }
}

fn unmet_of(flow: &Flow, eval: &EvalContext) -> Result<Vec<UnmetCheck>, EngineError> {
    let names = eval.of_flow();
    let mut unmet = Vec::new();
    for (index, check) in flow.checks.iter().enumerate() {
        let path = |key: &str| ["checks".to_owned(), index.to_string(), key.to_owned()];
        let broken = |key: &str, error: crate::flow::expression::ExpressionError| {
            let finding = Diagnostic::error(error.message);
            EngineError::from(flow.document.locate_text(&path(key), &error.culprit, finding))
        };
        if !evaluate_condition(&check.condition, &names, &eval.snapshot())
            .map_err(|error| broken("condition", error))?
        {
            let message = render(&check.message, &names, &eval.snapshot()).map_err(|error| broken("message", error))?;
            let (style, behavior) = (check.style, check.behavior);
            unmet.push(UnmetCheck { message: plain(&message), style, behavior, path: path("condition") });
        }
    }
    Ok(unmet)
}

/// A check that does not hold.
struct UnmetCheck {
    message: String,
    style: CheckStyle,
    behavior: CheckAction,
    path: [String; 3],
}
