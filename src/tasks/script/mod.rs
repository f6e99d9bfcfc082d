//! Scripts of the user's own: shell and Python, as processes of this machine or in containers.

pub mod python;
pub mod shell;

mod body;
mod bounded_log;
mod container;
mod deprecated;
pub(in crate::tasks) mod environment;
pub(in crate::tasks) mod glob;
pub(in crate::tasks) mod inputs;
mod interpreter;
pub(in crate::tasks) mod namespace;
mod predecessor;
mod protocol;
mod runner;
pub(in crate::tasks) mod workspace;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use deprecated::{DeprecatedRunner, Docker};
use namespace::NamespaceFilesField;
use runner::TaskRunner;

/// A script task's struct: its own fields and those that all have. (`serde(flatten)` would share them too, but it
/// accepts misspelt fields and loses their places.)
macro_rules! script_task {
    ($(#[$doc:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name {
            $($own)*
            /// Files for the script's folder: a map from names to contents or addresses in storage, or a list of
            /// addresses and paths.
            #[serde(default, alias = "input_files")]
            input_files: serde_json::Value,
            /// Files to keep, by patterns such as `*.csv` or `out/**`; later tasks find their addresses in the output
            /// `outputFiles`.
            #[serde(default, alias = "output_files")]
            output_files: Vec<String>,
            /// Environment variables. From jitney's own environment, a script gets only `PATH`, `HOME` and similar
            /// variables.
            #[serde(default, deserialize_with = "crate::tasks::script::texts")]
            #[schemars(with = "std::collections::BTreeMap<String, String>")]
            env: std::collections::BTreeMap<String, String>,
            /// Commands to run before, in the same shell.
            #[serde(default, alias = "before_commands")]
            before_commands: Vec<String>,
            /// The program that runs the commands as one text. By default `/bin/sh -c`. A shell gets the text as a
            /// file instead of `-c`; any other program gets it as its last argument, which all users of the machine
            /// can read.
            #[serde(default)]
            interpreter: Vec<String>,
            /// Whether the first command that fails ends the script.
            #[serde(default = "super::yes", alias = "fail_fast")]
            fail_fast: bool,
            /// With `true`, the task ends with a warning if there is any error output; with `false`, error output is
            /// not logged as warnings either. By default it is logged as warnings, and the task succeeds.
            #[serde(rename = "warningOnStdErr", alias = "warning_on_stderr")]
            warning_on_stderr: Option<bool>,
            /// Copies the files of the namespace, those in `_files/{namespace}` next to the flow, into the script's
            /// folder: `true`, or a map of `enabled`, `include`, `exclude` and `namespaces`.
            #[serde(default, alias = "namespace_files")]
            namespace_files: super::namespace::NamespaceFilesField,
            /// Where the script runs. By default as a process on this machine.
            #[serde(alias = "task_runner")]
            task_runner: Option<super::runner::TaskRunner>,
            /// Deprecated; use `taskRunner`. `PROCESS` or `DOCKER`.
            runner: Option<super::deprecated::DeprecatedRunner>,
            /// Deprecated; use `containerImage` and the options of the Docker runner.
            docker: Option<super::deprecated::Docker>,
            /// The image that the script runs in, with the Docker runner.
            #[serde(alias = "container_image")]
            container_image: Option<String>,
        }

        impl $name {
            fn shared(&self) -> super::SharedFields<'_> {
                super::SharedFields {
                    input_files: &self.input_files,
                    output_files: &self.output_files,
                    env: &self.env,
                    before_commands: &self.before_commands,
                    interpreter: &self.interpreter,
                    fail_fast: self.fail_fast,
                    warning_on_stderr: self.warning_on_stderr,
                    namespace_files: &self.namespace_files,
                    task_runner: self.task_runner.as_ref(),
                    runner: self.runner,
                    docker: self.docker.as_ref(),
                    container_image: self.container_image.as_deref(),
                }
            }
        }
    };
}
use script_task;

/// A field of Kestra's that changes nothing here, and what to do instead.
type Idle = (&'static str, &'static str);

const TARGET_OS: Idle = ("targetOS", "commands run in the shell of the machine or container");
const CREDENTIALS: Idle = ("taskRunner.credentials", "log in to the registry with `docker login` on this machine");
const CONFIG: Idle = ("taskRunner.config", "log in to the registry with `docker login` on this machine");
const FILE_HANDLING: Idle = ("taskRunner.fileHandlingStrategy", "the script's folder is mounted into the container");
const DELETE: Idle = ("taskRunner.delete", "containers are always removed when they have ended");
const WAIT: Idle = ("taskRunner.wait", "the task always waits for the container to end");

/// The fields of all scripts that change nothing.
const WITHOUT_EFFECT: &[Idle] = &[TARGET_OS, CREDENTIALS, CONFIG, FILE_HANDLING, DELETE, WAIT];

fn yes() -> bool {
    true
}

/// The fields that all script tasks have.
struct SharedFields<'a> {
    input_files: &'a Value,
    output_files: &'a [String],
    env: &'a BTreeMap<String, String>,
    before_commands: &'a [String],
    interpreter: &'a [String],
    fail_fast: bool,
    warning_on_stderr: Option<bool>,
    namespace_files: &'a NamespaceFilesField,
    task_runner: Option<&'a TaskRunner>,
    runner: Option<DeprecatedRunner>,
    docker: Option<&'a Docker>,
    container_image: Option<&'a str>,
}

/// What a script gave.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScriptOutputs {
    /// What the script printed as `::{"outputs": {…}}::`, by name.
    pub vars: Map<String, Value>,
    /// The exit code, 0.
    pub exit_code: i32,
    /// The addresses of the files of `outputFiles`, by their paths in the script's folder.
    pub output_files: BTreeMap<String, String>,
    /// What the script printed as `::{"metrics": […]}::`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Value>,
}

/// Values of any kind as texts: lists and maps as JSON.
fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = <BTreeMap<String, Value> as serde::Deserialize>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|(name, value)| (name, crate::text::plain(&value))).collect())
}
