//! What flows need of a machine.

use serde_json::Value;

use crate::flow::{Flow, Step};
use crate::task::Capability;

/// What flows need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowNeeds {
    /// The Postgres server that is used by default.
    pub postgres: bool,
    /// Credentials for Google Cloud.
    pub google: bool,
    /// Python on this machine.
    pub python: bool,
    /// A way to install packages of Python.
    pub packages: bool,
    /// Docker.
    pub docker: bool,
}

impl FlowNeeds {
    /// Adds what the tasks of a flow need. Tasks that ask for Docker need it unless `has_processes_only`.
    pub fn add(&mut self, flow: &Flow, has_processes_only: bool) {
        flow.all_steps().into_iter().for_each(|step| self.add_step(step, has_processes_only));
    }

    fn add_step(&mut self, step: &Step, has_processes_only: bool) {
        let is_in_docker = asks_for_docker(&step.fields) && !has_processes_only;
        self.docker |= is_in_docker;
        // A task with an address of its own does not use the server of the settings.
        self.postgres |= step.task.has(Capability::UsesPostgres) && step.fields.get("url").is_none_or(Value::is_null);
        self.google |= step.task.has(Capability::UsesGoogle);
        if step.task.has(Capability::UsesPython) && !is_in_docker {
            self.python = true;
            let has_own = step.task.has(Capability::InstallsPackages);
            self.packages |= has_own || step.fields.get("dependencies").is_some_and(|names| !is_empty(names));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Whether a script asks for a container.
fn asks_for_docker(fields: &Value) -> bool {
    let runner = fields.get("taskRunner").and_then(|runner| runner.get("type")).or_else(|| fields.get("runner"));
    runner.and_then(Value::as_str).is_some_and(|runner| runner.to_lowercase().ends_with("docker"))
}
