//! Crash safety without a crash: a finished run's journal is cut after every event in turn, and resumed to the same end.

use std::path::Path;
use std::sync::Arc;

use jitney::engine::executor::{Executor, ExecutorOptions};
use jitney::engine::{ExecutionRequest, Runner};
use jitney::flow::{Flow, parse};
use jitney::id::ExecutionId;
use jitney::journal::{ExecutionState, Journal, State};
use jitney::tasks;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::cli::postgres;
use crate::cli::world::{APRIL, World, expected, held, ledger, output_of};

const FLOW: &str = r#"
id: steps
namespace: test
inputs:
  - {id: source, type: URI}
tasks:
  - {id: get, type: http.download, uri: "{{ inputs.source }}"}
  - id: big
    type: if
    condition: "{{ outputs.get.length > 1000 }}"
    then:
      - id: load
        type: postgres.load
        from: "{{ outputs.get.uri }}"
        table: green_tripdata
        ddl: DDL
        mode: {replace_partition: {filename: april}}
        transform: {row_id: {name: unique_row_id, columns: [VendorID, lpep_pickup_datetime, PULocationID]}}
    else:
      - {id: small, type: log, message: too small}
  - {id: never, type: log, message: x, runIf: "{{ outputs.get.length < 1000 }}"}
  - {id: count, type: postgres.query, sql: SELECT count(*) AS trips FROM green_tripdata, fetch: FETCH_ONE}
  - {id: say, type: return, format: "{{ outputs.load.rows_read }} {{ outputs.count.row.trips }}"}
"#;

struct Bench {
    world: World,
    flow: Arc<Flow>,
    inputs: Map<String, Value>,
}

impl Bench {
    fn new(world: World) -> Self {
        let text = FLOW.replace("DDL", concat!(env!("CARGO_MANIFEST_DIR"), "/sql/postgres/green_tripdata.sql"));
        let file = world.write("steps.yaml", &text);
        let flow = parse(&file.display().to_string(), &text, tasks::ALL).flow.unwrap().into();
        let source = world.path(&format!("mirror/green/{APRIL}")).display().to_string();
        let inputs = Map::from_iter([("source".to_owned(), json!(source))]);
        Self { world, flow, inputs }
    }

    fn executor(&self, journal: &Path) -> Executor {
        let settings = Arc::new(postgres::settings(&self.world.home(), self.world.postgres.clone()));
        let runner = Runner::new(settings, Arc::new(Journal::open(journal).unwrap()), Arc::new(|_| {}));
        Executor::open(runner, ExecutorOptions::new(tasks::ALL)).unwrap()
    }

    async fn resume(&self, journal: &Path, id: &ExecutionId) -> State {
        let executor = self.executor(journal);
        let prepared = executor.prepared(&self.flow, &self.inputs, false);
        // One that has ended stays as it is.
        let _ = executor.start(id, prepared.clone());
        executor.follow(id, &prepared, &CancellationToken::new()).await.unwrap().1
    }

    /// A copy of a journal that ends after this many events.
    fn cut(&self, journal: &Path, events: u32) -> std::path::PathBuf {
        let copy = self.world.path(&format!("cut-{events}.db"));
        drop(std::fs::remove_file(&copy));
        let file = Connection::open(journal).unwrap();
        file.execute("VACUUM INTO ?", [copy.to_str().unwrap()]).unwrap();
        Connection::open(&copy).unwrap().execute("DELETE FROM events WHERE number >= ?", [events]).unwrap();
        copy
    }
}

#[test]
fn processes_that_write_to_one_journal_at_once_wait_for_each_other() {
    let world = World::new();
    let tasks: String = (0..20).map(|number| format!("  - {{id: t{number}, type: log, message: x}}\n")).collect();
    world.write("f.yaml", format!("id: f\nnamespace: n\ntasks:\n{tasks}"));
    let runs = [(); 6].map(|()| world.start(&["run", "f.yaml"]));
    runs.into_iter().for_each(|run| drop(output_of(run).ended(0)));
    assert_eq!(world.jitney(&["executions", "--json"]).json().as_array().map(Vec::len), Some(6));
}

/// How each task ended, and what the last one said.
fn ends(state: &State) -> Vec<String> {
    let tasks = state.tasks.iter().map(|(id, run)| format!("{id} {}", run.state));
    tasks.chain(state.tasks.values().filter_map(|run| run.outputs.get("value")).map(Value::to_string)).collect()
}

fn has_loaded(state: &State) -> bool {
    state.tasks.iter().any(|(id, run)| id.as_str() == "load" && !run.outputs.is_empty())
}

async fn empty(client: &Client) {
    client.batch_execute("DROP TABLE IF EXISTS green_tripdata, jitney_loads").await.unwrap();
}

#[tokio::test]
async fn a_journal_cut_after_any_event_resumes_to_the_same_result() {
    let bench = Bench::new(World::with_database("cli_cut_journal").await);
    let facts = bench.world.month(1000);
    let client = bench.world.client().await;
    let whole = bench.world.path("whole.db");
    let request = ExecutionRequest { inputs: bench.inputs.clone(), ..ExecutionRequest::default() };
    let (id, _) = bench.executor(&whole).create(&bench.flow, request).unwrap();
    let end = bench.resume(&whole, &id).await;
    assert_eq!(end.status, ExecutionState::Success, "{:?}", end.tasks);
    assert_eq!(ends(&end).last().unwrap(), "\"1000 1000\"");
    let count: u32 =
        Connection::open(&whole).unwrap().query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert!(count > 12, "{count} events");
    for events in 1..=count {
        // The process may have died before the load's commit, or after it.
        for committed in [true, false] {
            let journal = bench.cut(&whole, events);
            let so_far = Journal::open(&journal).unwrap().state(&id).unwrap().unwrap();
            if !committed && has_loaded(&so_far) {
                continue;
            }
            if !committed {
                empty(&client).await;
            }
            let state = bench.resume(&journal, &id).await;
            assert_eq!((state.status, ends(&state)), (end.status, ends(&end)), "after {events} events");
            assert_eq!(held(&client).await, expected(&facts), "after {events} events, committed: {committed}");
            assert_eq!(ledger(&client).await, 1, "after {events} events, committed: {committed}");
        }
    }
}
