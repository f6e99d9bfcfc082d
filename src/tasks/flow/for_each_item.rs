//! `for_each_item`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::batches::{BatchSpec, split};
use super::subflow::{RestartBehavior, yes};
use crate::execution_state::ExecutionState;
use crate::flow::labels_of;
use crate::task::{Capability, SubflowRequest, SubflowResult, Task, TaskContext, TaskError};

/// The most executions in progress at a time, unless the task says otherwise.
const MAX_CONCURRENT: usize = 16;

/// Splits a file in storage into batches and runs another flow for each batch, in parallel. In `inputs` and `labels`,
/// `taskrun.items` is the address of the batch and `taskrun.iteration` its number from 0. A retry of the task
/// continues with the existing executions.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ForEachItem {
    /// The file: an address in storage, or a path.
    items: String,
    /// How the file is split; by default each line is a batch.
    #[serde(default)]
    batch: BatchSpec,
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    #[serde(alias = "flow_id")]
    flow_id: String,
    /// Its inputs, such as `{file: "{{ taskrun.items }}"}`.
    #[serde(default)]
    inputs: Value,
    /// Labels for the executions: a map, or a list of `{key, value}`.
    #[serde(default)]
    labels: Value,
    /// Whether the executions also get the labels of this one.
    #[serde(default)]
    inherit_labels: bool,
    /// Whether the task waits until all have ended.
    #[serde(default = "yes")]
    wait: bool,
    /// Whether the task fails, or ends with a warning, if one of the executions does.
    #[serde(default = "yes")]
    transmit_failed: bool,
    /// How many run at a time; 16 by default.
    concurrency_limit: Option<usize>,
    /// What a retry of this task does with executions that did not succeed: they continue (`RETRY_FAILED`), or new
    /// ones start (`NEW_EXECUTION`).
    #[serde(default)]
    restart_behavior: RestartBehavior,
}

/// What the executions gave.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The number of batches.
    number_of_batches: usize,
    /// The number of executions by final state.
    iterations: BTreeMap<String, usize>,
    /// The address of a file with the outputs of each execution, one JSON line each, in the order of the batches.
    subflow_outputs: String,
}

impl Task for ForEachItem {
    const NAME: &'static str = "for_each_item";
    const ALIASES: &'static [&'static str] =
        &["io.kestra.plugin.core.flow.ForEachItem", "io.kestra.core.tasks.flows.ForEachItem"];
    const CAPABILITIES: &'static [Capability] =
        &[Capability::Loops, Capability::StartsFlows, Capability::MergesOutputs];
    const DEFERRED: &'static [&'static str] = &["inputs", "labels"];
    const FILES: &'static [&'static str] = &["items"];
    const EXAMPLE: &'static str = "\
- id: each
  type: for_each_item
  items: data/trips.csv
  batch:
    rows: 1000
  namespace: zoomcamp
  flowId: one_batch
  inputs:
    file: \"{{ taskrun.items }}\"";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        let batches = self.cut(context).await?;
        let count = batches.len();
        let limit = self.concurrency_limit.filter(|limit| *limit > 0).unwrap_or(MAX_CONCURRENT);
        let runs = batches.into_iter().enumerate().map(|(index, items)| self.one(context, index, items));
        let mut children = futures_util::stream::iter(runs).buffered(limit);
        let mut ended = Vec::with_capacity(count);
        let mut broken = None;
        while let Some(child) = children.next().await {
            // Those that are running continue to their end.
            match child {
                Ok(child) => ended.push(child),
                Err(error) => broken = broken.or(Some(error)),
            }
        }
        match broken {
            Some(error) => Err(error),
            None => self.conclude_all(context, count, &ended),
        }
    }
}

impl ForEachItem {
    async fn cut(&self, context: &TaskContext) -> Result<Vec<String>, TaskError> {
        let source = context.input_file("items", &self.items)?;
        let end = source.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
        let (batch, what) = (self.batch.clone(), self.items.clone());
        // A place for each batch as it comes: how many there are is known at the end.
        let first = context.output_file("batch-000000")?;
        let (folder, uri): (PathBuf, String) = (
            first.path.parent().map(PathBuf::from).unwrap_or_default(),
            first.uri.trim_end_matches("batch-000000").to_owned(),
        );
        let name = move |index: usize| format!("batch-{index:06}{end}");
        let named = name.clone();
        let cut = tokio::task::spawn_blocking(move || split(&source, &batch, |index| folder.join(named(index))));
        let count = cut.await.map_err(|error| TaskError::permanent("splitting the file failed").caused_by(error))?;
        let count = count.map_err(|error| TaskError::permanent(format!("cannot split `{what}`")).caused_by(error))?;
        Ok((0..count).map(|index| format!("{uri}{}", name(index))).collect())
    }

    async fn one(&self, context: &TaskContext, index: usize, items: String) -> Result<SubflowResult, TaskError> {
        let children = context.children()?;
        let taskrun = Map::from_iter([("items".to_owned(), json!(items)), ("iteration".to_owned(), json!(index))]);
        let inputs = match children.render(&self.inputs, taskrun.clone())? {
            Value::Object(inputs) => inputs,
            Value::Null => Map::new(),
            other => return Err(TaskError::permanent(format!("`inputs` is not a map: {other}"))),
        };
        let request = SubflowRequest {
            key: u32::try_from(index).ok(),
            namespace: self.namespace.clone(),
            flow: self.flow_id.clone(),
            inputs,
            labels: labels_of(&children.render(&self.labels, taskrun)?),
            inherits_labels: self.inherit_labels,
            waits: self.wait,
            date: None,
            as_new: self.restart_behavior == RestartBehavior::NewExecution,
            cancel: context.cancel.child_token(),
        };
        children.start(request).await
    }

    fn conclude_all(&self, context: &TaskContext, count: usize, ended: &[SubflowResult]) -> Result<Outputs, TaskError> {
        let mut iterations: BTreeMap<String, usize> = BTreeMap::new();
        ended.iter().for_each(|child| *iterations.entry(child.state.as_str().to_owned()).or_default() += 1);
        let bad: Vec<&SubflowResult> = ended.iter().filter(|child| !child.succeeded).collect();
        if let Some(first) = bad.first().filter(|_| self.transmit_failed) {
            let name = format!("{}.{}", self.namespace, self.flow_id);
            let message =
                format!("{} of {count} executions of `{name}` did not succeed, the first is {}", bad.len(), first.id);
            return Err(
                TaskError::transient(message).help(format!("to see its log: jitney executions logs {}", first.id))
            );
        }
        if self.transmit_failed && ended.iter().any(|child| child.state == ExecutionState::Warning) {
            context.end_with_warning();
        }
        let merged = context.output_file("outputs.jsonl")?;
        let lines = ended.iter().map(|child| format!("{}\n", Value::Object(child.outputs.clone())));
        File::create(&merged.path)
            .and_then(|mut file| file.write_all(lines.collect::<String>().as_bytes()))
            .map_err(|error| TaskError::permanent("cannot store the outputs of the executions").caused_by(error))?;
        Ok(Outputs { number_of_batches: count, iterations, subflow_outputs: merged.uri })
    }
}
