//! Many executions of a flow that lets few run at a time.

use std::collections::HashSet;
use std::time::Duration;

use jitney::id::ExecutionId;
use jitney::journal::{ExecutionQuery, ExecutionState};
use tokio::runtime::Runtime;

use crate::server::world::{Server, World, most, running, until};

const COUNT: usize = 1000;
const LIMIT: u32 = 3;

/// Kills, deletes and restarts at random, but the same at each run of the test.
struct SeededRng(u64);

impl SeededRng {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

/// Submits half of the executions and disturbs them, until the process dies in the middle.
fn first_process(world: &World, ids: &mut Vec<ExecutionId>, touched: &mut HashSet<ExecutionId>) {
    let runtime = runtime();
    runtime.block_on(async {
        let server = world.server();
        let mut luck = SeededRng(7);
        for number in 0..COUNT {
            ids.push(server.submit("crowd").unwrap());
            if number % 4 == 0 {
                disturb(&server, &ids[luck.below(ids.len())], luck.below(3), touched).await;
            }
        }
        until("some have run", || server.states("crowd").get("SUCCESS").copied() > Some(60)).await;
    });
    // Everything in progress is dropped where it stands, as nothing was written about it.
    runtime.shutdown_timeout(Duration::from_secs(5));
}

async fn disturb(server: &Server, id: &ExecutionId, how: usize, touched: &mut HashSet<ExecutionId>) {
    // Whether it can be done depends on how far the execution is; that it is refused then is right as well.
    let done = match how {
        0 => server.executor.kill(id).is_ok(),
        1 => server.executor.delete(id).await.is_ok(),
        _ => server.executor.restart(id, Vec::new()).is_ok(),
    };
    if done {
        touched.insert(id.clone());
    }
}

#[test]
fn a_concurrency_limit_holds_across_kills_deletes_restarts_and_crashes() {
    let world = World::new();
    world.write("crowd", "concurrency: {limit: 3}\ntasks:\n  - {id: p, type: probe, millis: 4}\n");
    let (mut ids, mut touched) = (Vec::new(), HashSet::new());
    first_process(&world, &mut ids, &mut touched);
    let runtime = runtime();
    runtime.block_on(async {
        let server = world.server();
        let mut luck = SeededRng(11);
        for _ in 0..150 {
            disturb(&server, &ids[luck.below(ids.len())], luck.below(3), &mut touched).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        until("all have ended", || server.executions("crowd").iter().all(|execution| execution.ended.is_some())).await;
        let executions = server.executions("crowd");
        let states = server.states("crowd");
        assert!(executions.len() > COUNT / 2, "{states:?}");
        assert!(states.keys().all(|state| ["SUCCESS", "KILLED"].contains(&state.as_str())), "{states:?}");
        assert_eq!(most("crowd"), LIMIT, "the limit was used to the full and never exceeded");
        let started = |id: &ExecutionId| executions.iter().find(|execution| execution.id == *id)?.started;
        let untouched = ids.iter().filter(|id| !touched.contains(*id));
        let moments: Vec<_> = untouched.filter_map(started).collect();
        assert!(moments.len() > COUNT / 3, "{}", moments.len());
        assert!(moments.is_sorted(), "those that nobody touched began in the order in which they were submitted");
        let load = server.executor.load().unwrap();
        assert_eq!((load.running, load.queued), (0, 0));
        assert!(std::fs::read_dir(world.folder.path().join("home/locks")).unwrap().count() < 5, "locks are left");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_without_a_slot_are_queued_cancelled_or_failed_as_configured() {
    let world = World::new();
    let tasks = "tasks:\n  - {id: p, type: probe, millis: 300}\n";
    for behavior in ["QUEUE", "CANCEL", "FAIL"] {
        let id = format!("full_{}", behavior.to_lowercase());
        world.write(&id, &format!("concurrency: {{limit: 1, behavior: {behavior}}}\n{tasks}"));
    }
    let server = world.server();
    for (id, expected) in [("full_queue", "QUEUED"), ("full_cancel", "CANCELLED"), ("full_fail", "FAILED")] {
        let first = server.submit(id).unwrap();
        let second = server.submit(id).unwrap();
        let state = server.executor.journal().state(&second).unwrap().unwrap().status;
        assert_eq!(state.as_str(), expected);
        assert_eq!(server.executor.wait(&first).await.unwrap().status, ExecutionState::Success);
        let last = server.executor.wait(&second).await.unwrap().status.as_str();
        assert_eq!(last, if expected == "QUEUED" { "SUCCESS" } else { expected });
        let third = server.submit(id).unwrap();
        assert_eq!(server.executor.wait(&third).await.unwrap().status, ExecutionState::Success, "the slot is free");
    }
    let turned = ExecutionQuery { states: vec![ExecutionState::Failed], ..ExecutionQuery::default() };
    let turned = &server.executor.journal().search(&turned, 1, 0).unwrap().executions[0].id;
    let lines = server.executor.journal().logs(turned).unwrap();
    assert!(lines[0].message.contains("concurrency"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_runs_at_most_its_parallel_limit() {
    let world = World::new();
    world.write("many", "tasks:\n  - {id: p, type: probe, millis: 5}\n");
    let server = world.server_with(4);
    let ids: Vec<_> = (0..60).map(|_| server.submit("many").unwrap()).collect();
    for id in &ids {
        assert_eq!(server.executor.wait(id).await.unwrap().status, ExecutionState::Success);
    }
    assert_eq!(most("many"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_slots_of_a_flow() {
    let world = World::new();
    world.write("shared", "concurrency: {limit: 2}\ntasks:\n  - {id: p, type: probe, millis: 10}\n");
    let (one, two) = (world.server(), world.server());
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(one.submit("shared").unwrap());
        ids.push(two.submit("shared").unwrap());
    }
    for id in &ids {
        let ended = one.executor.wait(id).await.unwrap().status;
        assert_eq!(ended, ExecutionState::Success);
    }
    assert_eq!(most("shared"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_execution_holds_its_slot_until_its_task_has_stopped() {
    let world = World::new();
    let stopped = world.folder.path().join("stopped");
    let task = format!("{{id: p, type: probe, millis: 3600000, stops_with: {}}}", stopped.display());
    world.write("slow_stop", &format!("concurrency: {{limit: 1}}\ntasks:\n  - {task}\n"));
    let server = world.server();
    let state = |id: &ExecutionId| server.executor.journal().state(id).unwrap().unwrap().status;
    let first = server.submit("slow_stop").unwrap();
    until("the first runs", || running("slow_stop") == 1).await;
    server.executor.kill(&first).unwrap();
    until("it is killed", || state(&first) == ExecutionState::Killing).await;
    let second = server.submit("slow_stop").unwrap();
    assert_eq!(state(&second), ExecutionState::Queued);
    std::fs::write(&stopped, "").unwrap();
    until("the second runs", || state(&first) == ExecutionState::Killed && running("slow_stop") == 1).await;
    server.executor.kill(&second).unwrap();
    assert_eq!(server.executor.wait(&second).await.unwrap().status, ExecutionState::Killed);
    assert_eq!(most("slow_stop"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_task_of_an_execution_outlives_a_journal_that_cannot_be_written() {
    let world = World::new();
    let tasks = "[{id: a, type: probe, millis: 200}, {id: b, type: probe, millis: 3600000}]";
    world.write("unwritten", &format!("tasks:\n  - {{id: all, type: parallel, tasks: {tasks}}}\n"));
    let server = world.server();
    let id = server.submit("unwritten").unwrap();
    until("both run", || running("unwritten") == 2).await;
    let journal = rusqlite::Connection::open(world.folder.path().join("home/journal.db")).unwrap();
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END";
    journal.execute_batch(broken).unwrap();
    until("both have stopped", || running("unwritten") == 0).await;
    journal.execute_batch("DROP TRIGGER broken").unwrap();
    let state = || server.executor.journal().state(&id).unwrap().unwrap().status;
    assert_eq!(state(), ExecutionState::Running, "nothing could be written about it");
    until("nobody works on it", || server.executor.restart(&id, Vec::new()).is_ok()).await;
    until("both run again", || running("unwritten") == 2).await;
    server.executor.kill(&id).unwrap();
    assert_eq!(server.executor.wait(&id).await.unwrap().status, ExecutionState::Killed);
}
