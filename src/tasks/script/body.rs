//! One attempt of a script: its text, its folder, its environment, and where it runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::container::Container;
use super::deprecated;
use super::environment::{Environment, python};
use super::inputs::Inputs;
use super::interpreter::{self, Invocation};
use super::protocol::ScriptReport;
use super::runner::TaskRunner;
use super::workspace::Workspace;
use super::{ScriptOutputs, SharedFields};
use crate::process::{self, ProgramSpec};
use crate::task::{Level, TaskContext, TaskError};
use crate::text::shell_quoted;

/// What is to be run.
pub(super) struct ScriptRun<'a> {
    /// The fields that all script tasks have.
    pub(super) shared: SharedFields<'a>,
    /// Its own text.
    pub(super) body: ScriptBody<'a>,
    /// Python packages; none for a shell script.
    pub(super) dependencies: &'a [String],
    /// Whether `python` must be there.
    pub(super) needs_python: bool,
    /// What a container is made of unless the task says it.
    pub(super) default_image: &'a str,
}

/// The script's own text.
pub(super) enum ScriptBody<'a> {
    /// Lines for the shell.
    Commands(&'a [String]),
    /// A text for the shell.
    Shell(&'a str),
    /// A text for Python.
    Python(&'a str),
}

impl ScriptRun<'_> {
    /// Runs it, with the files that it needs.
    pub(super) async fn run(&self, context: &TaskContext) -> Result<ScriptOutputs, TaskError> {
        let workspace = Workspace::make(context).await?;
        let mut inputs = Inputs::new(context, &workspace);
        // Files that the task names itself come later and win.
        self.shared.namespace_files.add_to(&mut inputs, context)?;
        inputs.add(self.shared.input_files)?;
        let runner = deprecated::task_runner_of(&self.shared, context);
        let docker = runner.as_deref().filter(|runner| runner.is_docker(context));
        let environment = self.environment(&mut inputs);
        let own = workspace.folder().join("__script__.py");
        let text = self.text(&mut inputs, &own, docker.is_some());
        let command = interpreter::command(self.shared.interpreter, text, &workspace, &mut inputs, docker.is_some());
        inputs.place().await?;
        let stderr = if self.shared.warning_on_stderr == Some(false) { Level::Info } else { Level::Warn };
        let mut report = ScriptReport::new(context, stderr);
        match docker {
            Some(runner) => {
                self.run_in_container(context, &workspace, runner, (command, environment), &mut report).await?;
            }
            None => self.run_as_process(context, &workspace, (command, environment), &mut report).await?,
        }
        if self.shared.warning_on_stderr == Some(true) && report.has_errors() {
            context.end_with_warning();
        }
        // The file is ours, even where the patterns of `outputFiles` match it. If it is gone already, so much the better.
        let _ = fs::remove_file(&own);
        let output_files = workspace.take(context, self.shared.output_files)?;
        Ok(ScriptOutputs { vars: report.vars, exit_code: 0, output_files, metrics: report.metrics })
    }

    /// What the interpreter runs. A Python script becomes a file, so that errors show its lines.
    fn text(&self, inputs: &mut Inputs<'_>, own: &Path, in_container: bool) -> String {
        let mut lines: Vec<String> = Vec::new();
        // Another language would stumble over it.
        if self.shared.fail_fast && interpreter::is_shell(self.shared.interpreter) {
            lines.push("set -e".to_owned());
        }
        if in_container && !self.dependencies.is_empty() {
            let packages: Vec<String> = self.dependencies.iter().map(|name| shell_quoted(name)).collect();
            // Older versions know this setting not as an option, but let a variable pass.
            lines.push(format!(
                "PIP_ROOT_USER_ACTION=ignore pip install --quiet --disable-pip-version-check {}",
                packages.join(" ")
            ));
        }
        lines.extend(self.shared.before_commands.iter().map(|line| inputs.localize(line)));
        match self.body {
            ScriptBody::Commands(commands) => lines.extend(commands.iter().map(|line| inputs.localize(line))),
            ScriptBody::Shell(text) => lines.push(inputs.localize(text)),
            ScriptBody::Python(text) => {
                let text = inputs.localize(text);
                inputs.add_text(own.to_owned(), text);
                lines.push(format!("python {}", shell_quoted(&own.display().to_string())));
            }
        }
        lines.join("\n")
    }

    fn environment(&self, inputs: &mut Inputs<'_>) -> BTreeMap<String, String> {
        // Python would keep its lines back until many have come, and leave files for `outputFiles` to find.
        let ours = [("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")];
        let ours = ours.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = self.shared.env.iter().map(|(name, value)| (name.clone(), inputs.localize(value)));
        ours.into_iter().chain(own).collect()
    }

    async fn run_as_process(
        &self,
        context: &TaskContext,
        workspace: &Workspace,
        (command, environment): (Invocation, BTreeMap<String, String>),
        report: &mut ScriptReport<'_>,
    ) -> Result<(), TaskError> {
        let mut words = command.words.into_iter();
        let program = words.next().unwrap_or_default();
        let mut invocation = workspace.guard(ProgramSpec::of(context, program, workspace.folder())).with(words);
        invocation.environment.extend(environment);
        if let Some(programs) = self.python(context, workspace).await? {
            invocation = invocation.with_programs_of(&programs);
        }
        let status = process::run(&invocation, &context.cancel, &mut |line| report.handle_line(line)).await?;
        report.finish(status)
    }

    async fn run_in_container(
        &self,
        context: &TaskContext,
        workspace: &Workspace,
        runner: &TaskRunner,
        (command, mut environment): (Invocation, BTreeMap<String, String>),
        report: &mut ScriptReport<'_>,
    ) -> Result<(), TaskError> {
        environment.extend(command.variable);
        let old = self.shared.docker.and_then(|docker| docker.image.as_deref());
        let image = self.shared.container_image.or(old).unwrap_or(self.default_image);
        let container = Container::prepare(context, workspace, runner, image, &environment, command.words).await?;
        let ended = process::run(&container.invocation, &context.cancel, &mut |line| report.handle_line(line)).await;
        if ended.is_err() {
            container.remove(context, workspace).await;
        }
        report.finish(ended?)
    }

    /// The folder that `python` is to be found in, unless `PATH` leads there anyway.
    async fn python(&self, context: &TaskContext, workspace: &Workspace) -> Result<Option<PathBuf>, TaskError> {
        if !self.dependencies.is_empty() {
            let environment = Environment::of(context, self.dependencies).await?;
            environment.make().await?;
            return Ok(Some(environment.programs()));
        }
        if !self.needs_python || context.settings.find_program("python").is_some() {
            return Ok(None);
        }
        // Many systems know Python as `python3` only.
        let (python, folder) = (python(context)?, workspace.root().join("bin"));
        fs::create_dir(&folder)
            .and_then(|()| symlink(&python, folder.join("python")))
            .map_err(|error| TaskError::permanent("cannot make a link to Python").caused_by(error))?;
        Ok(Some(folder))
    }
}
