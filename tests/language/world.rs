//! Runs flows' texts with the real engine and a home of its own.

use jitney::clock;
use jitney::config::{CliOverrides, Settings};
use jitney::engine::executor::{Executor, ExecutorOptions};
use jitney::engine::{EngineError, ExecutionRequest, InputHost, Notice, Runner};
use jitney::flow::{Flow, input, parse};
use jitney::id::ExecutionId;
use jitney::journal::{Journal, State};
use jitney::tasks;
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// What came of a flow.
pub struct Ran {
    pub state: State,
    /// The lines that its tasks logged, in order.
    pub lines: Vec<String>,
}

impl Ran {
    pub fn status(&self) -> &'static str {
        self.state.status.as_str()
    }
}

/// A folder of flows, a home, and a runner.
pub struct Place {
    pub folder: TempDir,
    pub runner: Runner,
    lines: Arc<Mutex<Vec<String>>>,
    executor: OnceCell<Executor>,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let runner = runner(&folder.path().join("home"), &lines);
        Self { folder, runner, lines, executor: OnceCell::new() }
    }

    /// A place with other flows next to the one that runs.
    pub fn with(flows: &[(&str, &str)]) -> Self {
        let place = Self::new();
        flows.iter().for_each(|(name, text)| place.write(name, text));
        place
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn flow(&self, text: &str) -> Arc<Flow> {
        parsed(self.folder.path(), text)
    }

    /// What runs the executions. Settings are changed before.
    pub fn executor(&self) -> &Executor {
        self.executor.get_or_init(|| executor(self.runner.clone()))
    }

    /// A new execution of the flow.
    pub fn create(&self, flow: &Arc<Flow>, given: &[(&str, &str)]) -> Result<ExecutionId, EngineError> {
        Ok(self
            .executor()
            .create(flow, ExecutionRequest { inputs: inputs(flow, given), ..ExecutionRequest::default() })?
            .0)
    }

    /// Works on an execution until it ends or rests.
    pub async fn resume(&self, flow: &Arc<Flow>, id: &ExecutionId) -> State {
        let given = self.runner.state(id).unwrap().created.inputs;
        run_on(self.executor(), flow, id, &given, CancellationToken::new()).await.1
    }

    /// Runs a flow to its end, with the executions that repeat it.
    pub async fn run(&self, text: &str, given: &[(&str, &str)]) -> Ran {
        let flow = self.flow(text);
        let id = self.create(&flow, given).unwrap();
        let given = inputs(&flow, given);
        let (id, state) = run_on(self.executor(), &flow, &id, &given, CancellationToken::new()).await;
        assert_eq!(self.runner.state(&id).unwrap(), state, "the journal says the same as the run");
        Ran { state, lines: self.lines() }
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn forget_lines(&self) {
        self.lines.lock().unwrap().clear();
    }
}

/// A runner with all state under `home`.
pub fn runner(home: &Path, lines: &Arc<Mutex<Vec<String>>>) -> Runner {
    jitney::jq::enable(env!("CARGO_BIN_EXE_jitney").into());
    let overrides = CliOverrides { home: Some(home.to_owned()), postgres: None };
    let path = std::env::var("PATH").unwrap_or_default();
    let settings = Settings::from_environment(overrides, BTreeMap::from([("PATH".to_owned(), path)])).unwrap();
    let journal = Arc::new(Journal::open(&settings.journal()).unwrap());
    let log = lines.clone();
    let observer = Arc::new(move |notice: Notice| {
        if let Notice::Log { message, .. } = notice {
            log.lock().unwrap().push(message.to_owned());
        }
    });
    Runner::new(Arc::new(settings), journal, observer)
}

pub fn executor(runner: Runner) -> Executor {
    Executor::open(runner, ExecutorOptions::new(tasks::ALL)).unwrap()
}

/// Works on an execution, and those that repeat it, until the last ends or rests.
pub async fn run_on(
    executor: &Executor,
    flow: &Arc<Flow>,
    id: &ExecutionId,
    inputs: &Map<String, Value>,
    cancel: CancellationToken,
) -> (ExecutionId, State) {
    let prepared = executor.prepared(flow, inputs, false);
    match executor.start(id, prepared.clone()) {
        Ok(()) | Err(EngineError::Locked(_) | EngineError::InvalidState { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    executor.follow(id, &prepared, &cancel).await.unwrap()
}

/// A flow that is in this folder.
pub fn parsed(folder: &Path, text: &str) -> Arc<Flow> {
    let parsed = parse(&folder.join("f.yaml").display().to_string(), text, tasks::ALL);
    let problems: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
    Arc::new(parsed.flow.unwrap_or_else(|| panic!("{}", problems.join("\n"))))
}

fn inputs(flow: &Flow, given: &[(&str, &str)]) -> Map<String, Value> {
    let given: Vec<(String, String)> =
        given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    input::resolve(flow, &given, &InputHost::at(clock::now())).unwrap()
}

/// The tasks of a flow, below its head.
pub fn flow(tasks: &str) -> String {
    format!("id: f\nnamespace: n\n{tasks}")
}

/// Runs a flow to its end.
pub async fn run(text: &str) -> Ran {
    run_with(text, &[]).await
}

/// Runs a flow with inputs.
pub async fn run_with(text: &str, given: &[(&str, &str)]) -> Ran {
    Place::new().run(text, given).await
}

/// Every finding of a flow's text.
pub fn findings(text: &str) -> Vec<String> {
    parse("f.yaml", text, tasks::ALL)
        .findings
        .iter()
        .map(|finding| format!("{}:{} {}", finding.line, finding.column, finding.message))
        .collect()
}
