//! `working_directory`

use std::path::PathBuf;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::folder_cache::Cache;
use crate::task::{Branch, Capability, Expansion, Outputs, Task, TaskContext, TaskError};
use crate::tasks::script::inputs::Inputs;
use crate::tasks::script::namespace;
use crate::tasks::script::workspace::Workspace;

/// Runs tasks one after another; scripts among them share one folder. If the process dies or a task fails, all of them
/// start again, in a new folder.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkingDirectory {
    /// The tasks.
    #[expect(dead_code, reason = "the engine runs sub-tasks; the field is here for its documentation and its check")]
    tasks: Vec<Value>,
    /// Files for the folder: a map from names to contents or addresses in storage, or a list of addresses and paths.
    #[serde(default, alias = "input_files")]
    input_files: Value,
    /// Files to keep, by patterns such as `*.csv` or `out/**`; later tasks find their addresses in the output
    /// `outputFiles`.
    #[serde(default, alias = "output_files")]
    output_files: Vec<String>,
    /// Copies the files of the namespace, those in `_files/{namespace}` next to the flow, into the folder: `true`, or
    /// a map of `enabled`, `include`, `exclude` and `namespaces`.
    #[serde(default, alias = "namespace_files")]
    namespace_files: namespace::NamespaceFilesField,
    /// Files that are restored into the folder in the next execution of the flow.
    cache: Option<Cache>,
}

/// The files that were kept.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SavedFiles {
    /// The addresses of the files of `outputFiles`, by name.
    output_files: Map<String, Value>,
}

impl Task for WorkingDirectory {
    const NAME: &'static str = "working_directory";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.WorkingDirectory", "io.kestra.core.tasks.flows.WorkingDirectory"];
    const CAPABILITIES: &'static [Capability] = &[Capability::SharesFolder];
    const BRANCHES: &'static [Branch] = &[Branch::List("tasks")];
    const HAS_EPILOGUE: bool = true;
    const FILES: &'static [&'static str] = &["inputFiles"];
    const EXAMPLE: &'static str = "\
- id: together
  type: working_directory
  inputFiles:
    names.txt: |
      green
      yellow
  outputFiles: [\"*.gz\"]
  tasks:
    - id: pack
      type: shell.commands
      commands: [gzip names.txt]
    - id: show
      type: shell.commands
      commands: [ls -l]";
    type Outputs = Expansion;

    fn output_schema() -> Schema {
        schemars::schema_for!(SavedFiles)
    }

    async fn run(&self, context: &TaskContext) -> Result<Expansion, TaskError> {
        let name = format!("{}.{}.shared", context.execution, Workspace::plain(context.run.as_str()));
        let folder = context.settings.home.join("work").join(&name);
        let workspace = Workspace::make_shared(folder)?;
        if let Some(cache) = &self.cache {
            cache.bring(context, workspace.folder())?;
        }
        let mut inputs = Inputs::new(context, &workspace);
        self.namespace_files.add_to(&mut inputs, context)?;
        inputs.add(&self.input_files)?;
        inputs.place().await?;
        Ok(Expansion { folder: Some(name), ..Expansion::of("tasks") })
    }

    async fn epilogue(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let folder: PathBuf = context.services.folder.clone().unwrap_or_default();
        let workspace = Workspace::shared(folder);
        if let Some(cache) = &self.cache {
            cache.keep(context, workspace.folder())?;
        }
        let taken = workspace.take(context, &self.output_files)?;
        let files = taken.into_iter().map(|(name, uri)| (name, Value::from(uri))).collect();
        let Ok(Value::Object(kept)) = serde_json::to_value(SavedFiles { output_files: files }) else {
            return Ok(Outputs::new());
        };
        Ok(kept)
    }
}
