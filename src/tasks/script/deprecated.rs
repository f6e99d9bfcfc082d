//! `runner` and `docker`: how older flows say what `taskRunner` and `containerImage` say now.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SharedFields;
use super::runner::{Cpu, Memory, PullPolicy, RunnerKind, TaskRunner};
use crate::task::TaskContext;

/// Where a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "Runner")]
pub(super) enum DeprecatedRunner {
    /// As a process.
    Process,
    /// In a container.
    Docker,
}

/// The options of the Docker runner.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Docker {
    /// The image.
    pub(super) image: Option<String>,
    /// When the image is pulled.
    pull_policy: Option<PullPolicy>,
    /// The user in the container.
    user: Option<String>,
    /// The network.
    network_mode: Option<String>,
    /// Folders of this machine to mount into the container.
    #[serde(default)]
    volumes: Vec<String>,
    /// Additional host names.
    #[serde(default)]
    extra_hosts: Vec<String>,
    /// The CPU limit.
    cpu: Option<Cpu>,
    /// The memory limit.
    memory: Option<Memory>,
}

/// The task runner that a task asks for, in whichever words. The newer win.
pub(super) fn task_runner_of<'a>(shared: &SharedFields<'a>, context: &TaskContext) -> Option<Cow<'a, TaskRunner>> {
    if shared.runner.is_some() || shared.docker.is_some() {
        context.warn("`runner` and `docker` are deprecated: write `taskRunner` and `containerImage`");
    }
    let old = match (shared.runner, shared.docker) {
        (None, None) => None,
        (Some(DeprecatedRunner::Process), _) => Some(TaskRunner::default()),
        (_, None) => Some(TaskRunner { r#type: RunnerKind::Docker, ..TaskRunner::default() }),
        (_, Some(docker)) => Some(docker.runner()),
    };
    shared.task_runner.map(Cow::Borrowed).or(old.map(Cow::Owned))
}

impl Docker {
    fn runner(&self) -> TaskRunner {
        TaskRunner {
            r#type: RunnerKind::Docker,
            pull_policy: self.pull_policy,
            user: self.user.clone(),
            network_mode: self.network_mode.clone(),
            volumes: self.volumes.clone(),
            extra_hosts: self.extra_hosts.clone(),
            cpu: self.cpu.clone(),
            memory: self.memory.clone(),
        }
    }
}
