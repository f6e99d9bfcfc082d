//! Executions that end the process which works on them: resumed again and again, they would end every server.

use serde_json::Map;

use super::Executor;
use crate::engine::EngineError;
use crate::engine::lock::HomeLock;
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionState, State, TaskFailure, TaskState};
use crate::task::ErrorClass;

/// How often the process may die while an execution runs until it is no longer resumed automatically.
const MAX_INTERRUPTIONS: u32 = 3;

/// Whether an execution is not to be resumed automatically any more.
pub(super) fn is_poisoned(state: &State) -> bool {
    state.interruptions >= MAX_INTERRUPTIONS
}

impl Executor {
    /// Fails such an execution, and those that its tasks started. Somebody may still resume it.
    pub(super) fn fail_as_poisoned(&self, id: &ExecutionId, state: &mut State) -> Result<(), EngineError> {
        let message = format!(
            "poisoned: the process died {} times while this execution ran, so it is no longer resumed automatically",
            state.interruptions
        );
        let help = Some(format!("find out what ended the process, then resume it manually: jitney resume {id}"));
        let failure = TaskFailure { class: ErrorClass::Permanent, message, help, code: Some("poisoned".to_owned()) };
        self.fail_with(id, state, &failure)
    }

    fn fail_with(&self, id: &ExecutionId, state: &mut State, failure: &TaskFailure) -> Result<(), EngineError> {
        let runner = &self.shared.runner;
        self.log(id, &failure.message);
        let running = state.tasks.iter().filter(|(_, task)| task.state == TaskState::Running);
        for run in running.map(|(run, _)| run.clone()).collect::<Vec<_>>() {
            runner.append(id, state, Event::TaskFailed { run, error: failure.clone(), retry_at: None })?;
        }
        runner.append(id, state, Event::Ended { state: ExecutionState::Failed, outputs: Map::new() })?;
        for child in self.journal().children(id)? {
            // One that another process works on is none of ours.
            let Some(_lock) = HomeLock::try_acquire(&runner.settings, &child)? else { continue };
            let Some(mut state) = self.journal().state(&child)? else { continue };
            if state.status == ExecutionState::Running {
                runner.append(&child, &mut state, Event::Interrupted)?;
            }
            if !state.status.has_ended() {
                self.fail_with(&child, &mut state, failure)?;
            }
        }
        Ok(())
    }
}
