//! `shell.commands` and `shell.script`

use super::body::{ScriptBody, ScriptRun};
use super::{ScriptOutputs, SharedFields, script_task};
use crate::task::{Task, TaskContext, TaskError};

const IMAGE: &str = "ubuntu:latest";

script_task! {
    /// Runs shell commands, one after another in one shell.
    ///
    /// They run in their own empty folder, `{{ workingDir }}`. Addresses of stored files in the commands, such as `{{
    /// outputs.extract.uri }}`, are replaced by the paths of copies.
    pub struct ShellCommands {
        /// The commands.
        commands: Vec<String>,
    }
}

impl Task for ShellCommands {
    const NAME: &'static str = "shell.commands";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.scripts.shell.Commands"];
    const SHELL: &'static [&'static str] = &["commands", "beforeCommands", "before_commands"];
    const FILES: &'static [&'static str] = &["inputFiles", "taskRunner"];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = super::WITHOUT_EFFECT;
    const EXAMPLE: &'static str = "\
- id: count
  type: shell.commands
  inputFiles: {trips.csv: \"1,2\\n3,4\\n\"}
  outputFiles: [\"*.txt\"]
  commands:
    - wc -l < trips.csv > lines.txt
    - echo '::{\"outputs\":{\"lines\":'$(cat lines.txt)'}}::'";
    type Outputs = ScriptOutputs;

    async fn run(&self, context: &TaskContext) -> Result<ScriptOutputs, TaskError> {
        script(self.shared(), ScriptBody::Commands(&self.commands)).run(context).await
    }
}

script_task! {
    /// Runs a shell script.
    ///
    /// It runs in its own empty folder, `{{ workingDir }}`. Addresses of stored files in the script, such as `{{
    /// outputs.extract.uri }}`, are replaced by the paths of copies.
    pub struct ShellScript {
        /// The script.
        script: String,
    }
}

impl Task for ShellScript {
    const NAME: &'static str = "shell.script";
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.scripts.shell.Script"];
    const SHELL: &'static [&'static str] = &["script", "beforeCommands", "before_commands"];
    const FILES: &'static [&'static str] = &["inputFiles", "taskRunner"];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = super::WITHOUT_EFFECT;
    const EXAMPLE: &'static str = "\
- id: letters
  type: shell.script
  outputFiles: [letters.txt]
  script: |
    for letter in a b c; do
      echo $letter
    done > letters.txt";
    type Outputs = ScriptOutputs;

    async fn run(&self, context: &TaskContext) -> Result<ScriptOutputs, TaskError> {
        script(self.shared(), ScriptBody::Shell(&self.script)).run(context).await
    }
}

fn script<'a>(shared: SharedFields<'a>, body: ScriptBody<'a>) -> ScriptRun<'a> {
    ScriptRun { shared, body, dependencies: &[], needs_python: false, default_image: IMAGE }
}
