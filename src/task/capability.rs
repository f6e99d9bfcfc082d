//! What parser, engine and pages must know of a task type, so that they need not know its name.

use crate::task::TaskType;

/// A property of a task type that something outside of `tasks/` depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// It waits for a person or for a time, perhaps for days.
    Pauses,
    /// Its sub-tasks share a folder, so after an interruption all of them start again.
    SharesFolder,
    /// Its sub-tasks run all at once.
    Parallel,
    /// It runs the same for each of several values.
    Loops,
    /// It runs its sub-tasks again until a condition holds.
    Repeats,
    /// The outputs of its sub-tasks are found under the loop's values.
    OutputsByValue,
    /// The outputs of its sub-tasks are not visible outside of it.
    IsolatesOutputs,
    /// Its outputs are also found under its id with `_merge`, as in Kestra.
    MergesOutputs,
    /// It runs other flows.
    StartsFlows,
    /// Which of its sub-tasks run depends on its own fields alone, and finding it out has no effect.
    Decidable,
    /// A failure within it does not fail the execution.
    AllowsFailure,
    /// It speaks with a Postgres server.
    UsesPostgres,
    /// It speaks with Google Cloud.
    UsesGoogle,
    /// It runs Python on this machine.
    UsesPython,
    /// It installs packages of Python, whatever its fields say.
    InstallsPackages,
}

impl TaskType {
    /// Whether the task has this property.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
