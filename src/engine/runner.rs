//! What executions are run with: settings, the journal, and an observer.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock;
use crate::config::Settings;
use crate::engine::context::ExecutionContext;
use crate::engine::ended_facts::EndedFactsCache;
use crate::engine::error::EngineError;
use crate::engine::host::ExecutionHost;
use crate::engine::live::LiveProgress;
use crate::engine::lookup::Lookup;
use crate::engine::notice::{Notice, Observer};
use crate::engine::plan::Start;
use crate::file_access::FileAccess;
use crate::flow::Flow;
use crate::id::ExecutionId;
use crate::journal::{Event, Journal, StartedBy, State, Triggered};
use crate::task::{Level, LogQuota, LogSource};

/// What executions are run with.
#[derive(Clone)]
pub struct Runner {
    /// The process's settings.
    pub settings: Arc<Settings>,
    /// Where events go.
    pub journal: Arc<Journal>,
    /// Where notices go.
    pub observer: Observer,
    /// Where flows find the others that they start; without one, each looks in its own folder.
    pub catalog: Option<Arc<dyn Lookup>>,
    /// Which kind of process this is: executions that it starts belong to it.
    pub started_by: StartedBy,
    /// How far what runs has come.
    pub live: LiveProgress,
    /// What lists of partitions need of executions that have ended.
    pub ended: EndedFactsCache,
}

impl Runner {
    /// A terminal's runner, whose flows find others in their own folder.
    pub fn new(settings: Arc<Settings>, journal: Arc<Journal>, observer: Observer) -> Self {
        Self {
            settings,
            journal,
            observer,
            catalog: None,
            started_by: StartedBy::Terminal,
            live: LiveProgress::default(),
            ended: EndedFactsCache::default(),
        }
    }

    /// What plans need to know besides the state.
    pub(super) fn execution_context(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        inputs: &Map<String, Value>,
        state: &State,
    ) -> ExecutionContext {
        let (_, secrets) = self.split_secrets(flow, inputs, state.created.parent.is_some());
        let restricted = self.is_restricted(state);
        let secret_texts = self.secret_texts(flow, &secrets);
        let host = Arc::new(ExecutionHost::new(
            &self.settings,
            &self.journal,
            id,
            flow,
            &secret_texts,
            self.files(flow, restricted),
        ));
        // Without its size the log starts anew: that it grows longer is better than that nothing runs.
        let used = self.journal.log_size(id).unwrap_or_default();
        let quota = Arc::new(LogQuota::new(self.settings.log_limit.unwrap_or(LogQuota::DEFAULT), used));
        ExecutionContext { id: id.clone(), secrets, restricted, said: Arc::default(), quota, host }
    }

    /// Whether the values of an execution may come from somebody who may not read every file of this machine.
    pub(super) fn is_restricted(&self, state: &State) -> bool {
        let by_server = [Some(self.started_by), state.started_by].contains(&Some(StartedBy::Server));
        by_server || state.created.from_outside
    }

    /// The files that the values of a flow may name.
    pub(super) fn files(&self, flow: &Flow, restricted: bool) -> FileAccess {
        let folder = folder_of(flow);
        if restricted { FileAccess::restricted(folder, &self.settings) } else { FileAccess::unrestricted(folder) }
    }

    /// The files that a task's fields may name.
    pub(super) fn files_of_task(&self, flow: &Flow, start: &Start, state: &State) -> FileAccess {
        let files = self.files(flow, self.is_restricted(state)).of_task(start.step.id.as_str());
        let files = files.with_literal(start.literal.iter().cloned());
        let files = files.with_found(state.created.trigger.as_ref().and_then(Triggered::file));
        match &start.folder {
            Some(folder) => files.with_folder(self.settings.home.join("work").join(folder)),
            None => files,
        }
    }

    /// The state of an execution.
    ///
    /// # Errors
    /// When there is none, or the journal cannot be read.
    pub fn state(&self, id: &ExecutionId) -> Result<State, EngineError> {
        self.journal.state(id)?.ok_or_else(|| EngineError::NotFound(id.clone()))
    }

    pub(super) fn append(&self, id: &ExecutionId, state: &mut State, event: Event) -> Result<(), EngineError> {
        Ok(self.journal.append(id, state, clock::now(), &event)?)
    }

    /// Logs a line, and passes it to the observer.
    pub(super) fn log(
        &self,
        id: &ExecutionId,
        level: Level,
        source: impl Into<LogSource>,
        text: &str,
    ) -> Result<(), EngineError> {
        let (source, message) = (source.into(), &self.settings.redactor.line(text));
        (self.observer)(Notice::Log { source: &source, level, message });
        Ok(self.journal.log(id, clock::now(), source, level, message)?)
    }
}

/// The folder of a flow's file as an absolute path.
pub(super) fn folder_of(flow: &Flow) -> PathBuf {
    std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone())
}
