//! What somebody may do to executions while a server runs them.

use std::time::Duration;

use jitney::engine::executor::BulkAction;
use jitney::engine::{ExecutionRequest, SubmitError};
use jitney::journal::{ExecutionQuery, ExecutionState, JournalUpdate};

use crate::server::world::{Server, World, until};

fn status(server: &Server, id: &jitney::id::ExecutionId) -> ExecutionState {
    server.executor.journal().state(id).unwrap().unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_starts_no_task_and_frees_its_slot() {
    let world = World::new();
    world.write(
        "rests",
        "concurrency: {limit: 1}\ntasks:\n  - {id: one, type: probe, millis: 200}\n  - {id: two, type: probe}\n",
    );
    let server = world.server();
    let first = server.submit("rests").unwrap();
    until("it works", || !server.executor.journal().state(&first).unwrap().unwrap().tasks.is_empty()).await;
    server.executor.pause(&first).unwrap();
    let state = server.executor.wait(&first).await.unwrap();
    assert_eq!(state.status, ExecutionState::Paused);
    let tasks: Vec<String> = state.tasks.iter().map(|(id, task)| format!("{id} {}", task.state)).collect();
    assert_eq!(tasks, ["one SUCCESS"]);
    let second = server.submit("rests").unwrap();
    assert_eq!(server.executor.wait(&second).await.unwrap().status, ExecutionState::Success);
    server.executor.resume(&first, Vec::new()).unwrap();
    let state = server.executor.wait(&first).await.unwrap();
    assert_eq!((state.status, state.tasks.len()), (ExecutionState::Success, 2));
    assert!(server.executor.resume(&first, Vec::new()).unwrap_err().to_string().contains("is SUCCESS and cannot be"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_lets_tasks_end_and_the_next_server_continues() {
    let world = World::new();
    let tasks = "tasks:\n  - {id: one, type: probe, millis: 150}\n  - {id: two, type: probe, millis: 150}\n";
    world.write("stops", tasks);
    let server = world.server_with(1);
    let first = server.submit("stops").unwrap();
    let second = server.submit("stops").unwrap();
    until("it runs", || !server.executor.journal().state(&first).unwrap().unwrap().tasks.is_empty()).await;
    server.executor.stop(Duration::from_secs(10)).await;
    let state = server.executor.journal().state(&first).unwrap().unwrap();
    assert_eq!((state.status, state.tasks.len()), (ExecutionState::Queued, 1), "the task ended, no other began");
    assert!(matches!(server.submit("stops"), Err(SubmitError::Stopping)));
    drop(server);
    let server = world.server();
    let state = server.executor.wait(&first).await.unwrap();
    assert_eq!(state.status, ExecutionState::Success);
    assert!(state.tasks.values().all(|task| task.attempts == 1), "nothing ran twice");
    assert_eq!(server.executor.wait(&second).await.unwrap().status, ExecutionState::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_beyond_the_grace_period_are_stopped_and_run_again() {
    let world = World::new();
    world.write("long", "tasks:\n  - {id: one, type: probe, millis: 400}\n");
    let server = world.server();
    let id = server.submit("long").unwrap();
    until("it runs", || !server.executor.journal().state(&id).unwrap().unwrap().tasks.is_empty()).await;
    server.executor.stop(Duration::ZERO).await;
    assert_eq!(status(&server, &id), ExecutionState::Queued);
    drop(server);
    let server = world.server();
    let state = server.executor.wait(&id).await.unwrap();
    assert_eq!(state.status, ExecutionState::Success);
    assert_eq!(state.tasks.values().map(|task| task.attempts).collect::<Vec<_>>(), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_actions_kill_restart_and_delete_matching_executions() {
    let world = World::new();
    let tasks = "concurrency: {limit: 1}\nlabels: {team: data}\ntasks:\n  - {id: one, type: probe, millis: 30}\n";
    world.write("bulk", tasks);
    world.write("other", "tasks:\n  - {id: one, type: probe}\n");
    let server = world.server();
    let mut heard = server.executor.subscribe();
    let ids: Vec<_> = (0..5).map(|_| server.submit("bulk").unwrap()).collect();
    let other = server.submit("other").unwrap();
    let labels = vec![("team".to_owned(), "data".to_owned())];
    let open =
        ExecutionQuery { labels: labels.clone(), states: vec![ExecutionState::Queued], ..ExecutionQuery::default() };
    let killed = server.executor.bulk(&open, BulkAction::Kill).await.unwrap();
    assert!(killed.len() >= 3 && killed.iter().all(|(_, result)| result.is_ok()), "{killed:?}");
    server.executor.wait(&ids[0]).await.unwrap();
    let ended = ExecutionQuery { states: vec![ExecutionState::Killed], ..ExecutionQuery::default() };
    let again = server.executor.bulk(&ended, BulkAction::Restart).await.unwrap();
    assert_eq!(again.len(), killed.len());
    for id in &ids {
        assert_eq!(server.executor.wait(id).await.unwrap().status, ExecutionState::Success);
    }
    server.executor.wait(&other).await.unwrap();
    server.executor.bulk(&ExecutionQuery { labels, ..ExecutionQuery::default() }, BulkAction::Delete).await.unwrap();
    assert_eq!((server.executions("bulk").len(), server.executions("other").len()), (0, 1));
    let mut reported = Vec::new();
    while let Ok(happened) = heard.try_recv() {
        if let JournalUpdate::Event { id, status, .. } = &*happened
            && *id == other
        {
            reported.push(status.as_str());
        }
    }
    assert_eq!([reported[0], reported[1], reported[reported.len() - 1]], ["CREATED", "RUNNING", "SUCCESS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_inputs_are_kept_only_in_memory_and_must_be_given_again() {
    let world = World::new();
    let text = "inputs:\n  - {id: key, type: SECRET}\nconcurrency: {limit: 1}\ntasks:\n  \
                - {id: one, type: probe, millis: 100, says: \"{{ inputs.key }}\"}\n";
    world.write("secret", text);
    let server = world.server();
    let submit = || {
        let inputs = serde_json::Map::from_iter([("key".to_owned(), "hunter2hunter2".into())]);
        server.executor.submit(&server.flow("secret"), ExecutionRequest { inputs, ..ExecutionRequest::default() })
    };
    let first = submit().unwrap();
    let second = submit().unwrap();
    for id in [&first, &second] {
        let state = server.executor.wait(id).await.unwrap();
        assert_eq!(state.status, ExecutionState::Success);
        assert!(!format!("{state:?}").contains("hunter2"), "the journal holds a secret");
    }
    let third = submit().unwrap();
    let fourth = submit().unwrap();
    server.executor.stop(Duration::ZERO).await;
    drop(server);
    let server = world.server();
    for id in [&third, &fourth] {
        assert_eq!(server.executor.wait(id).await.unwrap().status, ExecutionState::Failed);
        let lines = server.executor.journal().logs(id).unwrap();
        assert!(lines.iter().any(|line| line.message.contains("`key`")), "{lines:?}");
        let refused = server.executor.restart(id, Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("`key`"), "{refused}");
        server.executor.restart(id, vec![("key".to_owned(), "hunter3hunter3".to_owned())]).unwrap();
        assert_eq!(server.executor.wait(id).await.unwrap().status, ExecutionState::Success);
    }
}
