//! A home with a catalog of flows, and a task that shows how many of its kind run at a time.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jitney::config::{CliOverrides, Settings};
use jitney::engine::catalog::Catalog;
use jitney::engine::executor::Executor;
use jitney::engine::scheduler::Scheduler;
use jitney::engine::{ExecutionRequest, SubmitError};
use jitney::flow::Flow;
use jitney::id::ExecutionId;
use jitney::journal::{ExecutionQuery, Summary};
use jitney::server::settings::ServerSettings;
use jitney::server::{App, ServerOptions};
use jitney::task::{Task, TaskContext, TaskError, TaskType};
use jitney::tasks::flow::parallel::Parallel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// The task types of these tests.
pub static TASKS: &[TaskType] = &[TaskType::of::<Probe>(), TaskType::of::<Parallel>()];

/// How many probes of a flow run, and the most that ever did.
static RUNNING: Mutex<BTreeMap<String, (u32, u32)>> = Mutex::new(BTreeMap::new());

/// Sleeps for some milliseconds and counts who sleeps at the same time.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// How long.
    #[serde(default)]
    millis: u64,
    /// Whether it fails then.
    #[serde(default)]
    fails: bool,
    /// What it gives.
    #[serde(default)]
    says: String,
    /// When it is stopped, it takes until this file is there.
    stops_with: Option<PathBuf>,
}

/// What a probe gives.
#[derive(Serialize, JsonSchema)]
pub struct Said {
    /// What it said.
    said: String,
}

struct Sleeper(String);

impl Sleeper {
    fn new(flow: &str) -> Self {
        let mut running = RUNNING.lock().unwrap();
        let (now, most) = running.entry(flow.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Self(flow.to_owned())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        RUNNING.lock().unwrap().get_mut(&self.0).unwrap().0 -= 1;
    }
}

impl Task for Probe {
    const NAME: &'static str = "probe";
    const EXAMPLE: &'static str = "- id: p\n  type: probe";
    type Outputs = Said;

    async fn run(&self, context: &TaskContext) -> Result<Said, TaskError> {
        let _sleeper = Sleeper::new(context.flow.as_str());
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(self.millis)) => {}
            () = context.cancel.cancelled() => {
                while self.stops_with.as_ref().is_some_and(|file| !file.exists()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                return Err(TaskError::cancelled("stopped"));
            }
        }
        if self.fails { Err(TaskError::permanent("as told")) } else { Ok(Said { said: self.says.clone() }) }
    }
}

/// How many probes of a flow run.
pub fn running(flow: &str) -> u32 {
    RUNNING.lock().unwrap().get(flow).map_or(0, |(now, _)| *now)
}

/// The most probes of a flow that ever ran at a time.
pub fn most(flow: &str) -> u32 {
    RUNNING.lock().unwrap().get(flow).map_or(0, |(_, most)| *most)
}

pub struct World {
    pub folder: TempDir,
}

/// What the tests of this process have logged, with the flow that each line is about.
static LOGGED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Keeps what is logged.
struct KeptLog;

#[derive(Default)]
struct KeptLine {
    flow: String,
    message: String,
}

impl Visit for KeptLine {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "flow" => self.flow = format!("{value:?}").replace('"', ""),
            "message" => self.message = format!("{value:?}"),
            _ => {}
        }
    }
}

impl<S: Subscriber> Layer<S> for KeptLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = KeptLine::default();
        event.record(&mut line);
        LOGGED.lock().unwrap().push((line.flow, line.message));
    }
}

/// What has been logged about the flows of this name.
pub fn logged(flow: &str) -> Vec<String> {
    let logged = LOGGED.lock().unwrap();
    logged.iter().filter(|(of, _)| of == flow).map(|(_, message)| message.clone()).collect()
}

/// The parts of a server process, without those that `run` adds; they go with their runtime.
pub struct Server {
    pub executor: Executor,
    pub catalog: Arc<Catalog>,
    pub scheduler: Arc<Scheduler>,
}

impl World {
    pub fn new() -> Self {
        // The first test of the process begins it, for all.
        let log = KeptLog.with_filter(LevelFilter::INFO);
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log));
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn flows(&self) -> PathBuf {
        self.folder.path().join("flows")
    }

    /// Writes a flow of namespace `n`.
    pub fn write(&self, id: &str, rest: &str) {
        std::fs::create_dir_all(self.flows()).unwrap();
        std::fs::write(self.flows().join(format!("{id}.yaml")), format!("id: {id}\nnamespace: n\n{rest}")).unwrap();
    }

    /// What a server process has.
    pub fn server(&self) -> Server {
        self.server_with(16)
    }

    pub fn server_with(&self, parallel: usize) -> Server {
        let options = ServerOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            hosts: Vec::new(),
            flows: vec![self.flows()],
            tasks: TASKS,
            parallel,
            trust_proxy: Vec::new(),
            tls: None,
            config: ServerSettings::default(),
        };
        let server = jitney::server::Server::build(&self.settings(), options).unwrap();
        let App { executor, catalog, scheduler, .. } = &**server.app();
        Server { executor: executor.clone(), catalog: catalog.clone(), scheduler: scheduler.clone() }
    }

    fn settings(&self) -> Arc<Settings> {
        let overrides = CliOverrides { home: Some(self.folder.path().join("home")), postgres: None };
        Arc::new(Settings::from_environment(overrides, BTreeMap::new()).unwrap())
    }
}

impl Server {
    pub fn flow(&self, id: &str) -> Arc<Flow> {
        self.catalog.flow("n", id).unwrap()
    }

    /// Submits a flow with nothing said about it.
    pub fn submit(&self, id: &str) -> Result<ExecutionId, SubmitError> {
        self.executor.submit(&self.flow(id), ExecutionRequest::default())
    }

    /// All executions of a flow, the oldest first.
    pub fn executions(&self, flow: &str) -> Vec<Summary> {
        let query = ExecutionQuery { flow: Some(flow.to_owned()), ..ExecutionQuery::default() };
        let mut found = self.executor.journal().search(&query, 100_000, 0).unwrap().executions;
        found.reverse();
        found
    }

    /// How many executions of a flow there are, by state.
    pub fn states(&self, flow: &str) -> HashMap<String, usize> {
        let mut states = HashMap::new();
        for execution in self.executions(flow) {
            *states.entry(execution.state.to_string()).or_default() += 1;
        }
        states
    }
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
