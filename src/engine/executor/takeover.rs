//! Taking over the executions and queues of processes that have died.

use std::sync::Arc;
use std::time::Duration;

use super::poison::is_poisoned;
use super::{Executor, locked};
use crate::clock;
use crate::engine::EngineError;
use crate::engine::health::Component;
use crate::engine::interrupted::{STARTUP_GRACE, end_killing};
use crate::engine::lock::{HomeLock, is_locked};
use crate::id::ExecutionId;
use crate::journal::{Event, ExecutionQuery, ExecutionState, QueueName, StartedBy, State};

/// How often a server polls for slots that other processes have freed.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The same in a terminal, where somebody waits for it.
const TERMINAL_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How many of these polls come between two looks for executions of processes that have died.
const POLLS_PER_TAKEOVER: u64 = 20;
/// The maximum number of paused executions that are looked at.
const MAX_EXECUTIONS: u32 = 100_000;

impl Executor {
    /// Takes over the executions whose process has died, then the queues of such processes; returns how many of both.
    ///
    /// Queues are adopted at the back of this process's queue and in their order, and interrupted executions, the newest
    /// first, are put at its front one by one: so what was running runs first, in its old order, before anything that had not
    /// begun. All of it happens under `running`, so that nothing is dispatched before the order is right.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn take_over(&self) -> Result<usize, EngineError> {
        let journal = self.journal();
        let (mut count, mut retrying) = (0, Vec::new());
        {
            let running = self.running();
            for queue in journal.queues()?.iter().filter(|queue| **queue != self.shared.queue) {
                if queue.is_of(self.kind()) && !is_locked(&self.shared.runner.settings, queue) {
                    self.adopt_queue(queue)?;
                    count += 1;
                }
            }
            for (id, created) in journal.unattended()? {
                let is_fresh = (clock::now() - created).abs() < STARTUP_GRACE;
                if !running.contains_key(&id) && self.take_over_one(&id, is_fresh, &mut retrying)? {
                    count += 1;
                }
            }
        }
        for id in retrying {
            match self.adopt(&id, Vec::new()) {
                Ok(()) => count += 1,
                Err(error) => self.log_once(&id, &format!("not resumed: {error}")),
            }
        }
        let paused = ExecutionQuery { states: vec![ExecutionState::Paused], ..ExecutionQuery::default() };
        for id in journal.search(&paused, MAX_EXECUTIONS, 0)?.executions.into_iter().map(|summary| summary.id) {
            // Of two wake-ups the second finds nothing to resume.
            let state = journal.state(&id)?.filter(|state| self.is_ours(state));
            let ends = state.and_then(|state| state.pause_ends());
            self.schedule_wake(&id, ends.filter(|at| *at <= clock::now() + STARTUP_GRACE));
        }
        self.dispatch();
        Ok(count)
    }

    /// Puts an execution at the front of the queue, or among `retrying` if it waits to be retried: when, and by which
    /// execution, has been decided.
    fn take_over_one(
        &self,
        id: &ExecutionId,
        is_fresh: bool,
        retrying: &mut Vec<ExecutionId>,
    ) -> Result<bool, EngineError> {
        let Some(_lock) = HomeLock::try_acquire(&self.shared.runner.settings, id)? else { return Ok(false) };
        let Some(mut state) = self.journal().state(id)? else { return Ok(false) };
        if !self.is_ours(&state) || state.status.has_ended() || !self.has_same_target(id, &state) {
            return Ok(false);
        }
        let has_stalled = locked(&self.shared.stalled).contains(id);
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
            ExecutionState::Killing => {
                end_killing(self.journal(), id, &mut state)?;
            }
            ExecutionState::Queued => self.journal().move_to_front(id, &self.shared.queue)?,
            _ => return Ok(false),
        }
        locked(&self.shared.stalled).remove(id);
        Ok(true)
    }

    fn kind(&self) -> StartedBy {
        self.shared.runner.started_by
    }

    /// Whether this kind of process started it: what was started in a terminal is resumed there, or by a server that
    /// somebody tells to.
    fn is_ours(&self, state: &State) -> bool {
        state.started_by.is_none_or(|kind| kind == self.kind())
    }

    /// Adopts the queue of a process that has died, except for executions that began with another target: they leave the queue
    /// and wait for somebody to resume them.
    fn adopt_queue(&self, queue: &QueueName) -> Result<(), EngineError> {
        let journal = self.journal();
        for id in journal.queued_in(queue)? {
            if journal.state(&id)?.is_some_and(|state| !self.has_same_target(&id, &state)) {
                journal.dequeue(&id)?;
            }
        }
        Ok(journal.adopt_queue(queue, &self.shared.queue)?)
    }

    /// Whether an execution would reach the target that it began with; its log says so once if not.
    fn has_same_target(&self, id: &ExecutionId, state: &State) -> bool {
        let Err(error) = self.shared.runner.check_target("it", state.target.as_ref()) else { return true };
        self.log_once(id, &format!("not resumed: {error}; to resume it there or here: jitney resume {id}"));
        false
    }

    /// Logs why an execution is not resumed, the first time.
    fn log_once(&self, id: &ExecutionId, why: &str) {
        if locked(&self.shared.reported_mismatches).insert(id.clone()) {
            self.log(id, why);
        }
    }

    /// Polls as long as the executor exists: for slots that other processes have freed, and for executions of those that have
    /// died.
    pub(super) fn spawn_poll_loop(&self) {
        let shared = Arc::downgrade(&self.shared);
        let interval = if self.shared.options.takes_over { POLL_INTERVAL } else { TERMINAL_POLL_INTERVAL };
        tokio::spawn(async move {
            for poll in 1_u64.. {
                tokio::time::sleep(interval).await;
                let Some(shared) = shared.upgrade() else { return };
                let executor = Self { shared };
                if executor.shared.options.takes_over && poll.is_multiple_of(POLLS_PER_TAKEOVER) {
                    // A journal that cannot be used now is tried again at the next poll.
                    executor.shared.health.record(Component::Takeover, executor.take_over());
                } else {
                    executor.dispatch();
                }
            }
        });
    }
}
