//! `taskRunner`: whether a script runs as a process of this machine or in a container.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::ScriptRunner;
use crate::task::{TaskContext, TaskError};

/// Where a script runs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TaskRunner {
    /// A process on this machine, or a Docker container.
    pub(super) r#type: RunnerKind,
    /// Docker: when the image is pulled. By default if it is not present.
    #[serde(alias = "pull_policy")]
    pub(super) pull_policy: Option<PullPolicy>,
    /// Docker: the user in the container. By default the image's own.
    pub(super) user: Option<String>,
    /// Docker: the network, such as `host`.
    #[serde(alias = "network_mode")]
    pub(super) network_mode: Option<String>,
    /// Docker: folders of this machine to mount into the container, `/host/path:/container/path`.
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    /// Docker: additional host names, such as `host.docker.internal:host-gateway`.
    #[serde(default, alias = "extra_hosts")]
    pub(super) extra_hosts: Vec<String>,
    /// Docker: the CPU limit.
    pub(super) cpu: Option<Cpu>,
    /// Docker: the memory limit.
    pub(super) memory: Option<Memory>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum RunnerKind {
    #[default]
    #[serde(
        rename = "io.kestra.plugin.core.runner.Process",
        alias = "process",
        alias = "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner"
    )]
    Process,
    #[serde(
        rename = "io.kestra.plugin.scripts.runner.docker.Docker",
        alias = "docker",
        alias = "io.kestra.plugin.scripts.runner.docker.DockerTaskRunner"
    )]
    Docker,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum PullPolicy {
    IfNotPresent,
    Always,
    Never,
}

/// The CPU limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Cpu {
    /// How many processors' worth.
    cpus: f64,
}

/// The memory limit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// An amount, such as `512m`.
    memory: String,
}

impl TaskRunner {
    /// Whether this attempt runs in a container; when it would but a setting says otherwise, that is logged.
    pub(super) fn is_docker(&self, context: &TaskContext) -> bool {
        let as_process = context.settings.script_runner == Some(ScriptRunner::Process);
        if self.kind_is_docker() && as_process {
            context.info_once("scripts run as processes on this machine instead of in containers, as configured");
        }
        self.kind_is_docker() && !as_process
    }

    fn kind_is_docker(&self) -> bool {
        self.r#type == RunnerKind::Docker
    }

    /// Whether the container may see the folders of this machine that are asked for. A volume's own name is no path.
    ///
    /// # Errors
    /// When it may not.
    pub(super) fn check_volumes(&self, context: &TaskContext) -> Result<(), TaskError> {
        let is_outside = |volume: &&String| !context.files.is_literal(volume);
        for volume in self.volumes.iter().filter(is_outside) {
            let host = volume.split(':').next().unwrap_or_default();
            if host.contains(['/', '.', '~']) {
                context.named_path("volumes", host)?;
            }
        }
        Ok(())
    }

    /// The options of `docker run` that the fields stand for.
    pub(super) fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        let mut add = |name: &str, value: &str| options.extend([name.to_owned(), value.to_owned()]);
        if let Some(policy) = self.pull_policy {
            let word = match policy {
                PullPolicy::IfNotPresent => "missing",
                PullPolicy::Always => "always",
                PullPolicy::Never => "never",
            };
            add("--pull", word);
        }
        self.user.iter().for_each(|user| add("--user", user));
        self.network_mode.iter().for_each(|network| add("--network", network));
        self.volumes.iter().for_each(|volume| add("--volume", volume));
        self.extra_hosts.iter().for_each(|host| add("--add-host", host));
        self.cpu.iter().for_each(|cpu| add("--cpus", &cpu.cpus.to_string()));
        self.memory.iter().for_each(|memory| add("--memory", &memory.memory));
        options
    }
}
