//! A script in a Docker container, run by the program `docker`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::runner::TaskRunner;
use super::workspace::Workspace;
use crate::process::mark::ProcessMark;
use crate::process::{self, ProgramSpec, exit_description};
use crate::task::{TaskContext, TaskError};

/// What the Docker client goes by.
const CLIENT: &[&str] =
    &["DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "XDG_RUNTIME_DIR"];

/// A script in a container, through the Docker client.
pub(super) struct Container {
    /// The client's call that runs it.
    pub(super) invocation: ProgramSpec,
    name: String,
}

impl Container {
    /// Prepares a container that sees the working folder under the same path as we do.
    ///
    /// # Errors
    /// When there is no Docker client, or no daemon answers it.
    pub(super) async fn prepare(
        context: &TaskContext,
        workspace: &Workspace,
        runner: &TaskRunner,
        image: &str,
        environment: &BTreeMap<String, String>,
        command: Vec<String>,
    ) -> Result<Self, TaskError> {
        runner.check_volumes(context)?;
        check_daemon(context, workspace).await?;
        if workspace.is_repeated() {
            remove_earlier(context, workspace).await?;
        }
        let name = format!("jitney-{}", workspace.root().file_name().unwrap_or_default().to_string_lossy());
        let root = workspace.root().display();
        let mut invocation = client(context, workspace).with(["run", "--rm", "--init", "--name", &name]);
        invocation = invocation.with(labels(context).into_iter().map(|label| format!("--label={label}")));
        invocation = invocation.with([format!("--volume={root}:{root}")]);
        invocation = invocation.with([format!("--workdir={}", workspace.folder().display())]);
        for (variable, value) in environment {
            let is_clients = invocation.environment.contains_key(variable) || CLIENT.contains(&variable.as_str());
            // By name alone, the value stays out of the list of processes.
            let given = if is_clients { format!("{variable}={value}") } else { variable.clone() };
            invocation = invocation.with(["--env".to_owned(), given]);
            if !is_clients {
                invocation.environment.insert(variable.clone(), value.clone());
            }
        }
        // The image's own entry point would take the shell for its argument.
        invocation = invocation.with(runner.options()).with(["--entrypoint", "", image]).with(command);
        // A client that is killed leaves its container running.
        let removal = ProgramSpec::new(&context.settings, docker(context)?, workspace.root());
        let removal = removal.inheriting(&context.settings, CLIENT).with(["rm", "--force", &name]);
        Ok(Self { invocation: workspace.guard(invocation).with_exit_program(removal), name })
    }

    /// Removes the container of a stopped client, which does not take it along.
    pub(super) async fn remove(&self, context: &TaskContext, workspace: &Workspace) {
        let removal = client(context, workspace).with(["rm", "--force", &self.name]);
        if let Err(error) = process::run_and_collect(&removal, &Default::default()).await {
            context.warn(format!("the container {} may still be running: {error}", self.name));
        }
    }
}

fn client(context: &TaskContext, workspace: &Workspace) -> ProgramSpec {
    ProgramSpec::of(context, "docker", workspace.root()).inheriting(&context.settings, CLIENT)
}

/// What containers are found again by: people look for the first two, we for the last.
fn labels(context: &TaskContext) -> [String; 3] {
    [
        format!("jitney.execution={}", context.execution),
        format!("jitney.task-run={}", context.run),
        format!("jitney.mark={}", ProcessMark::of(context).as_str()),
    ]
}

/// Removes the containers of earlier attempts, whose jitney was killed.
async fn remove_earlier(context: &TaskContext, workspace: &Workspace) -> Result<(), TaskError> {
    let [.., mark] = labels(context);
    let filter = format!("label={mark}");
    let question = client(context, workspace).with(["ps", "--all", "--quiet", "--filter", &filter]);
    let (status, containers) = process::run_and_collect(&question, &context.cancel).await?;
    if status.success() && containers.is_empty() {
        return Ok(());
    }
    let removal = client(context, workspace).with(["rm", "--force"]).with(containers);
    let (removed, said) = process::run_and_collect(&removal, &context.cancel).await?;
    if status.success() && removed.success() {
        return Ok(());
    }
    let said = said.last().cloned().unwrap_or_default();
    Err(TaskError::transient(format!("cannot remove the container of an earlier attempt: {said}"))
        .help(format!("`docker ps --all --filter {filter}` shows it")))
}

async fn check_daemon(context: &TaskContext, workspace: &Workspace) -> Result<(), TaskError> {
    let help = "start Docker, or use the Process runner (`type: io.kestra.plugin.core.runner.Process`), or run all Docker \
                tasks as processes of this machine: `--script-runner process` or JITNEY_SCRIPT_RUNNER=process";
    docker(context).map_err(|error| error.help(help))?;
    let question = client(context, workspace).with(["version", "--format", "{{.Server.Version}}"]);
    let (status, said) = process::run_and_collect(&question, &context.cancel).await?;
    if status.success() {
        return Ok(());
    }
    let reason = said.last().cloned().unwrap_or_else(|| format!("`docker version` {}", exit_description(status)));
    Err(TaskError::transient(format!("the task runs in Docker, but no Docker daemon answers: {reason}")).help(help))
}

fn docker(context: &TaskContext) -> Result<PathBuf, TaskError> {
    let missing = || TaskError::permanent("the task runs in Docker, but there is no `docker` program on PATH");
    context.settings.find_program("docker").ok_or_else(missing)
}
