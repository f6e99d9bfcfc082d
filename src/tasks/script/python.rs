//! `python.script` and `python.commands`

use super::body::{ScriptBody, ScriptRun};
use super::{ScriptOutputs, SharedFields, script_task};
use crate::task::{Capability, Task, TaskContext, TaskError};

const IMAGE: &str = "python:3-slim";

const WITHOUT_EFFECT: &[(&str, &str)] = &[
    (
        "pythonVersion",
        "scripts run with the `python3` that is found on PATH; for a specific version use the Docker task runner with \
         `containerImage: python:3.11-slim`",
    ),
    ("dependencyCacheEnabled", "installed packages are always cached"),
    ("packageManager", "`uv` installs packages if it is found on PATH, else `pip`"),
    super::TARGET_OS,
    super::CREDENTIALS,
    super::CONFIG,
    super::FILE_HANDLING,
    super::DELETE,
    super::WAIT,
];

script_task! {
    /// Runs a Python script.
    ///
    /// It runs in its own empty folder, `{{ workingDir }}`. Addresses of stored files in the script, such as `{{
    /// outputs.extract.uri }}`, are replaced by the paths of copies. It returns outputs by printing `::{"outputs":
    /// {…}}::`, as `Kestra.outputs({…})` of the package `kestra` does.
    pub struct PythonScript {
        /// The script.
        script: String,
        /// Packages to install, in the syntax of pip, such as `[kestra, pandas==2.3.1]`. They are cached.
        #[serde(default)]
        dependencies: Vec<String>,
    }
}

impl Task for PythonScript {
    const NAME: &'static str = "python.script";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPython];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.scripts.python.Script"];
    const SHELL: &'static [&'static str] = &["beforeCommands", "before_commands"];
    const PROGRAM: &'static [&'static str] = &["script"];
    const FILES: &'static [&'static str] = &["inputFiles", "taskRunner", "dependencies"];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = WITHOUT_EFFECT;
    const EXAMPLE: &'static str = "\
- id: stars
  type: python.script
  dependencies: [kestra]
  script: |
    from kestra import Kestra
    Kestra.outputs({\"stars\": 5})";
    type Outputs = ScriptOutputs;

    async fn run(&self, context: &TaskContext) -> Result<ScriptOutputs, TaskError> {
        script(self.shared(), ScriptBody::Python(&self.script), &self.dependencies).run(context).await
    }
}

script_task! {
    /// Runs shell commands with Python and its packages on PATH.
    ///
    /// They run in their own folder, `{{ workingDir }}`, which contains the `inputFiles`.
    pub struct PythonCommands {
        /// The commands, such as `python main.py`.
        commands: Vec<String>,
        /// Packages to install, in the syntax of pip, such as `[kestra, pandas==2.3.1]`. They are cached.
        #[serde(default)]
        dependencies: Vec<String>,
    }
}

impl Task for PythonCommands {
    const NAME: &'static str = "python.commands";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesPython];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.scripts.python.Commands"];
    const SHELL: &'static [&'static str] = &["commands", "beforeCommands", "before_commands"];
    const FILES: &'static [&'static str] = &["inputFiles", "taskRunner", "dependencies"];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = WITHOUT_EFFECT;
    const EXAMPLE: &'static str = "\
- id: hello
  type: python.commands
  inputFiles: {main.py: \"print('hello')\"}
  commands: [python main.py]";
    type Outputs = ScriptOutputs;

    async fn run(&self, context: &TaskContext) -> Result<ScriptOutputs, TaskError> {
        script(self.shared(), ScriptBody::Commands(&self.commands), &self.dependencies).run(context).await
    }
}

fn script<'a>(shared: SharedFields<'a>, body: ScriptBody<'a>, dependencies: &'a [String]) -> ScriptRun<'a> {
    ScriptRun { shared, body, dependencies, needs_python: true, default_image: IMAGE }
}
