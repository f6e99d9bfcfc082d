//! How long processes have worked on an execution. The time between them, and that of pauses, does not count.

use chrono::{DateTime, TimeDelta, Utc};

use super::event::Event;
use crate::execution_state::ExecutionState;

/// The time that processes have worked, and the stretch that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct WorkTime {
    /// Of the stretches that are over.
    pub(super) total: TimeDelta,
    since: Option<DateTime<Utc>>,
    latest: Option<DateTime<Utc>>,
}

impl WorkTime {
    /// Takes in an event, after which the execution is at `status`.
    pub(super) fn follow(&mut self, time: DateTime<Utc>, event: &Event, status: ExecutionState) {
        let is_interrupted = *event == Event::Interrupted;
        if is_interrupted || matches!(event, Event::Started | Event::Adopted { .. }) {
            // A process that died has said nothing of its end: it worked until the last event at least.
            self.close(self.latest);
        }
        let is_worked_on =
            matches!(status, ExecutionState::Running | ExecutionState::Killing | ExecutionState::Retrying);
        match is_worked_on && !is_interrupted {
            true => drop(self.since.get_or_insert(time)),
            false => self.close(Some(time)),
        }
        self.latest = Some(time);
    }

    fn close(&mut self, at: Option<DateTime<Utc>>) {
        if let Some((since, at)) = self.since.take().zip(at) {
            self.total += (at - since).max(TimeDelta::zero());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::event::ExecutionSpec;
    use super::super::state::State;
    use super::*;
    use crate::id::RunId;

    fn took(events: &[(i64, Event)]) -> u64 {
        let mut state = State::new(ExecutionSpec::default());
        for (second, event) in events {
            state.apply(DateTime::UNIX_EPOCH + TimeDelta::seconds(*second), event).unwrap();
        }
        state.took().unwrap().as_secs()
    }

    fn ended(state: ExecutionState) -> Event {
        Event::Ended { state, outputs: Map::new() }
    }

    fn started(attempt: u32) -> Event {
        Event::TaskStarted { run: RunId::new("t"), attempt }
    }

    #[test]
    fn the_time_between_processes_and_in_pauses_does_not_count() {
        let end = ended(ExecutionState::Success);
        assert_eq!(took(&[(0, Event::Started), (3, end.clone())]), 3);
        let by_hand = Event::Adopted { reset: Vec::new() };
        let died = [(0, Event::Started), (2, started(1))];
        let resumed = [(1000, by_hand), (1000, started(2)), (1003, end.clone())];
        assert_eq!(took(&[&died[..], &resumed].concat()), 5);
        let found = [(1000, Event::Interrupted), (1000, Event::Queued), (1007, Event::Started), (1010, end.clone())];
        assert_eq!(took(&[&died[..], &found].concat()), 5);
        let stopped = [(0, Event::Started), (2, ended(ExecutionState::Killed))];
        let again = [(500, Event::Restarted { reset: Vec::new() }), (500, Event::Started), (501, end.clone())];
        assert_eq!(took(&[&stopped[..], &again].concat()), 3);
        let paused = [(0, Event::Started), (1, Event::Paused), (900, Event::Queued), (901, Event::Started), (903, end)];
        assert_eq!(took(&paused), 3);
    }
}
