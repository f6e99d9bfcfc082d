//! Taking up what processes left that are no more.

use std::sync::Arc;
use std::time::Duration;

use super::poison::is_poisoned;
use super::{Executor, TERMINAL, lock as lock_of};
use crate::clock;
use crate::engine::EngineError;
use crate::engine::health::Part;
use crate::engine::interrupted::{STARTUP_GRACE, end_killing};
use crate::engine::lock::{self, ExecutionLock};
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionQuery, ExecutionState, StartedBy, State};

/// How often to look for slots that other processes have freed, where much may wait.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The same where somebody sits before it.
const TERMINAL_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// At which of these looks to look for what other processes left.
const RARELY: u64 = 20;
/// The most paused executions that are looked at.
const MAX_EXECUTIONS: u32 = 100_000;

impl Executor {
    /// Takes up all that nobody works on: executions whose process is gone come first, in their old order, then their
    /// queues. How many there were.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn take_over(&self) -> Result<usize, EngineError> {
        let journal = self.journal();
        let (mut taken, mut retrying) = (0, Vec::new());
        {
            let under_way = self.under_way();
            for queue in journal.queues()?.iter().filter(|queue| **queue != self.shared.queue) {
                let is_ours = queue.starts_with(TERMINAL) == (self.kind() == StartedBy::Terminal);
                if is_ours && !lock::is_execution_locked(&self.shared.runner.settings, &ExecutionId::new(queue)) {
                    self.adopt_queue(queue)?;
                    taken += 1;
                }
            }
            for (id, created) in journal.unattended()? {
                let is_fresh = (clock::now() - created).abs() < STARTUP_GRACE;
                if !under_way.contains_key(&id) && self.take_one(&id, is_fresh, &mut retrying)? {
                    taken += 1;
                }
            }
        }
        for id in retrying {
            match self.take_up(&id, Vec::new()) {
                Ok(()) => taken += 1,
                Err(error) => self.say_once(&id, &format!("not resumed: {error}")),
            }
        }
        let paused = ExecutionQuery { states: vec![ExecutionState::Paused], ..ExecutionQuery::default() };
        for id in journal.search(&paused, MAX_EXECUTIONS, 0)?.executions.into_iter().map(|summary| summary.id) {
            // Whoever is told twice to go on does so once.
            let state = journal.state(&id)?.filter(|state| self.is_ours(state));
            let ends = state.and_then(|state| state.pause_ends());
            self.wake_at(&id, ends.filter(|at| *at <= clock::now() + STARTUP_GRACE));
        }
        self.dispatch();
        Ok(taken)
    }

    /// Puts an execution at the front of the queue, or among `retrying` if it waits to be repeated: when, and by which
    /// execution, has been decided.
    fn take_one(&self, id: &ExecutionId, is_fresh: bool, retrying: &mut Vec<ExecutionId>) -> Result<bool, EngineError> {
        let Some(_lock) = ExecutionLock::take_if_free(&self.shared.runner.settings, id)? else { return Ok(false) };
        let Some(mut state) = self.journal().state(id)? else { return Ok(false) };
        if !self.is_ours(&state) || state.status.has_ended() || !self.is_here(id, &state) {
            return Ok(false);
        }
        let has_stalled = lock_of(&self.shared.stalled).contains(id);
        if state.status == ExecutionState::Running && !has_stalled {
            self.shared.runner.append(id, &mut state, Event::Interrupted)?;
        }
        match state.status {
            ExecutionState::Running if !has_stalled && is_poisoned(&state) => self.fail_as_poisoned(id, &mut state)?,
            ExecutionState::Created if is_fresh => return Ok(false),
            ExecutionState::Retrying => {
                retrying.push(id.clone());
                return Ok(false);
            }
            ExecutionState::Created | ExecutionState::Running | ExecutionState::Restarted => {
                self.journal().enqueue(id, &mut state, clock::now(), &self.shared.queue, true)?;
            }
            ExecutionState::Killing => drop(end_killing(self.journal(), id, &mut state)?),
            ExecutionState::Queued => self.journal().move_to_front(id, &self.shared.queue)?,
            _ => return Ok(false),
        }
        lock_of(&self.shared.stalled).remove(id);
        Ok(true)
    }

    fn kind(&self) -> StartedBy {
        self.shared.runner.started_by
    }

    /// Whether this kind of process started it: what was started in a terminal is resumed there, or when somebody tells
    /// the server to.
    fn is_ours(&self, state: &State) -> bool {
        state.started_by.is_none_or(|kind| kind == self.kind())
    }

    /// The queue of a process of this kind that is no more, but for what this one cannot go on with.
    fn adopt_queue(&self, queue: &str) -> Result<(), EngineError> {
        let journal = self.journal();
        for id in journal.queued_in(queue)? {
            if journal.state(&id)?.is_some_and(|state| !self.is_here(&id, &state)) {
                journal.requeue(&id)?;
            }
        }
        Ok(journal.adopt_queue(queue, &self.shared.queue)?)
    }

    /// Whether an execution would reach what it began with. Of one that would not its log says so, once.
    fn is_here(&self, id: &ExecutionId, state: &State) -> bool {
        let Err(error) = self.shared.runner.expect_here("it", state.target.as_ref()) else { return true };
        self.say_once(id, &format!("not resumed: {error}; to resume it there or here: jitney resume {id}"));
        false
    }

    /// Logs why an execution is left alone, the first time.
    fn say_once(&self, id: &ExecutionId, why: &str) {
        if lock_of(&self.shared.left_alone).insert(id.clone()) {
            self.say(id, why);
        }
    }

    /// Looks again and again, as long as the executor is there: for slots that other processes have freed, and for what
    /// they left.
    pub(super) fn keep_looking(&self) {
        let shared = Arc::downgrade(&self.shared);
        let interval = if self.shared.options.takes_all { POLL_INTERVAL } else { TERMINAL_POLL_INTERVAL };
        tokio::spawn(async move {
            for look in 1_u64.. {
                tokio::time::sleep(interval).await;
                let Some(shared) = shared.upgrade() else { return };
                let executor = Self { shared };
                if executor.shared.options.takes_all && look.is_multiple_of(RARELY) {
                    // A journal that cannot be used now is tried again at the next look.
                    executor.shared.health.note(Part::Takeover, executor.take_over());
                } else {
                    executor.dispatch();
                }
            }
        });
    }
}
