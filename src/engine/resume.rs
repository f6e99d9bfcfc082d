//! Resuming a paused execution: its pauses end, with the answers that they ask for.

use serde_json::{Map, Value};

use crate::engine::error::EngineError;
use crate::engine::input_files;
use crate::engine::runner::Runner;
use crate::engine::work::handlers::resume_outputs;
use crate::flow::input::{self, Input};
use crate::flow::{Flow, Step};
use crate::id::{ExecutionId, RunId};
use crate::journal::{Event, ExecutionState, StartedBy, State};
use crate::storage::Storage;
use crate::task::read;

impl Runner {
    /// The events that end the pauses of an execution, `given` being their inputs. Files among these are copied into its
    /// storage.
    ///
    /// # Errors
    /// When it is not paused, or an input does not fit.
    pub(super) fn answers(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        state: &State,
        given: &[(String, String)],
        by: &str,
    ) -> Result<Vec<Event>, EngineError> {
        let paused: Vec<RunId> = state.paused().map(|(run, _)| run.clone()).collect();
        if paused.is_empty() && state.status == ExecutionState::Paused {
            // Only the one who paused it is waited for.
            return Ok(vec![Event::Queued]);
        }
        if paused.is_empty() || state.status.has_ended() {
            return Err(EngineError::InvalidState { id: id.clone(), what: "resumed", state: state.status });
        }
        let inputs = wanted_by_pauses(flow, &paused);
        let mut events = Vec::new();
        for (run, own) in paused.into_iter().zip(&inputs) {
            let is_own = |name: &str| own.iter().any(|input| input.id == name);
            let is_others = |name: &str| inputs.iter().flatten().any(|input| input.id == name);
            let given = given.iter().filter(|(name, _)| is_own(name) || !is_others(name));
            let given: Vec<(String, String)> = given.cloned().collect();
            let values = input::resolve_without_host(own, &given).map_err(EngineError::Invalid)?;
            let values = self.keep_files(id, flow, &run, own, &values)?;
            let outputs = resume_outputs(by, values);
            events.push(Event::TaskSucceeded { run, outputs, labels: Map::new(), warning: false });
        }
        Ok(events)
    }

    /// Copies the files among a pause's inputs into the execution's storage.
    fn keep_files(
        &self,
        id: &ExecutionId,
        flow: &Flow,
        run: &RunId,
        own: &[Input],
        values: &Map<String, Value>,
    ) -> Result<Map<String, Value>, EngineError> {
        let restricted = self.started_by == StartedBy::Server;
        let files = self.files(flow, restricted).with_folder(self.settings.uploads());
        let storage = Storage::new(self.settings.storage(), id.clone());
        let mut unreadable = input_files::unreadable_of(own, values, &files);
        unreadable.extend(input_files::lost(own, values, &storage));
        if !unreadable.is_empty() {
            return Err(EngineError::Invalid(unreadable));
        }
        let uploads = self.settings.uploads();
        input_files::keep_of(own, values, (&storage, &uploads), &format!("onResume[{run}]"), &files)
    }
}

/// The inputs that each of some pauses wants.
pub fn wanted_by_pauses(flow: &Flow, paused: &[RunId]) -> Vec<Vec<Input>> {
    let steps = flow.all_steps();
    paused.iter().map(|run| wanted(&steps, run)).collect()
}

/// The inputs that a pause wants.
fn wanted(steps: &[&Step], run: &RunId) -> Vec<Input> {
    let step = steps.iter().find(|step| step.id.as_str() == run.task());
    step.and_then(|step| step.fields.get("onResume")).and_then(|inputs| read(inputs).ok()).unwrap_or_default()
}
