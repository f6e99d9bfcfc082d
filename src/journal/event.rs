//! What can happen to an execution, as data.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::outcome::{TaskFailure, TaskOutcome};
use super::row::word;
use super::target::{ExecutionTarget, StartedBy};
use super::task_run::TaskRunSnapshot;
use crate::execution_state::ExecutionState;
use crate::id::{ExecutionId, RunId};
use crate::task::{Expansion, OnPauseTimeout, Outputs};

/// One thing that happened. Events are only ever appended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "an execution has one large event, its first")]
pub enum Event {
    /// The execution exists: what it runs and with what.
    Created(ExecutionSpec),
    /// The execution replays another one from a task on: the runs of earlier tasks are copied.
    Replayed {
        /// The task that it begins with.
        from: String,
        /// The task runs that are copied.
        tasks: BTreeMap<RunId, TaskRunSnapshot>,
    },
    /// It is queued: no slot of its flow is free, or its process has died.
    Queued,
    /// The execution begins, or begins again: tasks that had not ended well start anew.
    Started,
    /// A process adopts an execution whose process has died: attempts that were running start anew.
    #[serde(rename = "taken_up")]
    Adopted {
        /// The task runs that are reset.
        #[serde(default, rename = "again", skip_serializing_if = "Vec::is_empty")]
        reset: Vec<RunId>,
    },
    /// The process that worked on it has died; written by the server that resumes it.
    Interrupted,
    /// Somebody has moved it to another kind of process, or to another target.
    Moved {
        /// Who resumes it from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started_by: Option<StartedBy>,
        /// What its tasks reach from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<ExecutionTarget>,
    },
    /// The execution is to run again from the tasks that had not ended well.
    Restarted {
        /// The task runs that are reset, such as those of `errors`: they run anew should they be needed.
        #[serde(default, rename = "again", skip_serializing_if = "Vec::is_empty")]
        reset: Vec<RunId>,
    },
    /// An attempt of a task begins.
    TaskStarted {
        /// The task run.
        run: RunId,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// A task with sub-tasks has decided which of them run; it is running until they have ended.
    TaskExpanded {
        /// The task run.
        run: RunId,
        /// The decision.
        expansion: Expansion,
    },
    /// All sub-tasks of one iteration of a loop have ended.
    IterationEnded {
        /// The loop's task run.
        run: RunId,
        /// The iteration, from 0.
        index: u32,
        /// How it ended.
        outcome: TaskOutcome,
        /// The outputs of the iteration, of a loop that declares some.
        #[serde(default, rename = "gave", skip_serializing_if = "Option::is_none")]
        outputs: Option<Map<String, Value>>,
        /// Whether the condition that the loop waits for is met.
        #[serde(default, rename = "over", skip_serializing_if = "std::ops::Not::not")]
        condition_met: bool,
    },
    /// A task waits: for somebody to resume it, or for a moment.
    TaskPaused {
        /// The task run.
        run: RunId,
        /// The moment; none when it waits for somebody.
        until: Option<DateTime<Utc>>,
        /// What happens then.
        behavior: OnPauseTimeout,
    },
    /// It is paused until somebody resumes it, or a pause of a task times out.
    Paused,
    /// An attempt, or all sub-tasks, ended well.
    TaskSucceeded {
        /// The task run.
        run: RunId,
        /// What it gives to later tasks.
        outputs: Outputs,
        /// Labels that it adds to the execution.
        labels: Map<String, Value>,
        /// Whether something in it failed that may.
        #[serde(default)]
        warning: bool,
    },
    /// An attempt, or a sub-task, ended badly.
    TaskFailed {
        /// The task run.
        run: RunId,
        /// Why.
        error: TaskFailure,
        /// When the next attempt starts; none when this was the last.
        retry_at: Option<DateTime<Utc>>,
    },
    /// The task's condition kept it from running.
    TaskSkipped {
        /// The task run.
        run: RunId,
    },
    /// The execution failed and is retried.
    Retrying {
        /// When.
        at: DateTime<Utc>,
        /// The new execution that retries it; none when it is retried itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<ExecutionId>,
    },
    /// The execution has violated an SLA of its flow.
    Violated {
        /// The id of the SLA.
        sla: String,
        /// Labels that the execution gets.
        labels: Map<String, Value>,
    },
    /// Somebody has given an execution that has ended other labels.
    Labelled {
        /// All of its labels from now on.
        labels: Map<String, Value>,
    },
    /// The execution is being killed; running attempts are being cancelled.
    Killing {
        /// How it ends.
        state: ExecutionState,
    },
    /// The execution has ended, for good or until somebody restarts it.
    Ended {
        /// How it ended.
        state: ExecutionState,
        /// The flow's outputs.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
    },
}

/// What an execution runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExecutionSpec {
    /// The flow's id.
    pub flow: String,
    /// The flow's namespace.
    pub namespace: String,
    /// Path of the flow's file.
    pub file: String,
    /// The flow's text, passwords blanked.
    pub text: String,
    /// SHA-256 of the flow's own text, in hex.
    pub sha256: String,
    /// The validated inputs; secret ones are left out.
    pub inputs: Map<String, Value>,
    /// Labels.
    pub labels: Map<String, Value>,
    /// The moment that the run is for.
    pub trigger_date: DateTime<Utc>,
    /// What started it, if nobody did by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Triggered>,
    /// Which of the flow's texts it runs; none where they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// The task run of another execution that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The execution that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<ExecutionId>,
    /// How often the flow has been tried with this one, where its `retry` makes new executions.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attempt: u32,
    /// Which kind of process started it; none in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<StartedBy>,
    /// What its tasks reach that do not name it themselves; none in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ExecutionTarget>,
    /// Whether it is derived from one that a server ran: so the user who starts it did not choose its values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_outside: bool,
    /// The one task that it runs, with what another execution left of the tasks before it; none if it runs all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

/// What started a sub-execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The execution.
    pub execution: ExecutionId,
    /// Its task run, and where that starts several the number of this one: `each#3`.
    pub run: String,
    /// The flow's id.
    pub flow: String,
    /// The flow's namespace.
    pub namespace: String,
    /// How many executions stand above, this parent included.
    pub depth: u32,
}

/// The trigger that started an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triggered {
    /// The trigger's id in its flow.
    pub id: String,
    /// What kind of trigger it is: `schedule`, `webhook`, `flow`, `file`, `http`.
    pub kind: String,
    /// What expressions see as `trigger`, in addition to its `date`.
    pub facts: Map<String, Value>,
}

impl Triggered {
    /// The file that arrived, if the trigger waits for files of this machine.
    pub fn file(&self) -> Option<&str> {
        let uri = self.facts.get("uri").filter(|_| self.kind == "file")?;
        uri.as_str().filter(|uri| !uri.contains("://"))
    }
}

word!(ExecutionState);
