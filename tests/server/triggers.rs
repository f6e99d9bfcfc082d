//! Triggers that wait for something else than a time.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use chrono::Utc;
use futures_util::future::BoxFuture;
use jitney::clock;
use jitney::engine::scheduler::{WebhookCall, WebhookError};
use jitney::id::ExecutionId;
use jitney::journal::{Event, ExecutionState, TriggerFiring, TriggerKey};
use jitney::server::sensors::{ArrivedFile, FileSource, FolderSource, ListRequest, Sensors};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::server::world::{Server, World, logged, until, write};

fn follower(trigger: &str) -> String {
    format!(
        "tasks:\n  - {{id: p, type: probe, says: \"{{{{ trigger.flowId }}}} {{{{ trigger.state }}}}\"}}\n\
         triggers:\n  - id: after\n    type: flow\n{trigger}"
    )
}

async fn run(server: &Server, flow: &str) {
    let id = server.submit(flow).unwrap();
    server.executor.wait(&id).await.unwrap();
    server.scheduler.turn(clock::now()).unwrap();
}

fn said(server: &Server, flow: &str) -> Vec<String> {
    let state = |id: &ExecutionId| server.executor.journal().state(id).unwrap().unwrap();
    let states = server.executions(flow).into_iter().map(|execution| state(&execution.id));
    states.filter_map(|state| Some(state.tasks.values().next()?.outputs.get("said")?.as_str()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_trigger_fires_once_for_each_matching_execution_even_after_a_crash() {
    let world = World::new();
    world.write("good", "tasks:\n  - {id: p, type: probe}\n");
    world.write("bad", "tasks:\n  - {id: p, type: probe, fails: true}\n");
    world.write("on_failure", &follower("    states: [FAILED]\n"));
    let condition = "    conditions:\n      - {type: execution_flow, namespace: n, flowId: good}\n";
    world.write("after_good", &follower(condition));
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    run(&server, "good").await;
    run(&server, "bad").await;
    until("they have followed", || said(&server, "on_failure").len() + said(&server, "after_good").len() == 2).await;
    assert_eq!(said(&server, "on_failure"), ["bad FAILED"]);
    assert_eq!(said(&server, "after_good"), ["good SUCCESS"]);
    // The process dies after the end of an execution and before anybody looked at it.
    let id = server.submit("good").unwrap();
    server.executor.wait(&id).await.unwrap();
    drop(server);
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    server.scheduler.turn(clock::now()).unwrap();
    until("it has followed", || said(&server, "after_good").len() == 2).await;
    assert_eq!(server.executions("on_failure").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_reset_after_all_flows_have_ended() {
    let world = World::new();
    ["one", "two"].iter().for_each(|id| world.write(id, "tasks:\n  - {id: p, type: probe}\n"));
    let both = "    preconditions:\n      flows:\n        - {namespace: n, flowId: one}\n        \
                - {namespace: n, flowId: two}\n";
    world.write("both", &follower(both));
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    run(&server, "one").await;
    run(&server, "one").await;
    assert!(server.executions("both").is_empty());
    run(&server, "two").await;
    assert_eq!(server.executions("both").len(), 1);
    run(&server, "two").await;
    assert_eq!(server.executions("both").len(), 1, "what has been used up does not count again");
    run(&server, "one").await;
    assert_eq!(server.executions("both").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_trigger_matches_failures_in_a_namespace_by_filters() {
    let world = World::new();
    world.write("good", "tasks:\n  - {id: p, type: probe}\n");
    world.write("bad", "tasks:\n  - {id: p, type: probe, fails: true}\n");
    let filters = "    states: [FAILED, WARNING]\n    preconditions:\n      id: here\n      where:\n        - id: here\n          \
                   filters:\n            - {field: NAMESPACE, type: STARTS_WITH, value: n}\n            \
                   - {field: FLOW_ID, type: NOT_EQUAL_TO, value: alert}\n";
    world.write("alert", &follower(filters));
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    run(&server, "good").await;
    run(&server, "bad").await;
    run(&server, "bad").await;
    until("it has followed", || said(&server, "alert").len() == 2).await;
    assert_eq!(said(&server, "alert"), ["bad FAILED", "bad FAILED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_trigger_passes_the_outputs_of_the_other_flow() {
    let world = World::new();
    for (id, outputs) in [
        ("one", "[{id: file, type: STRING, value: a.csv}, {id: rows, type: INT, value: 1}]"),
        ("two", "[{id: rows, type: INT, value: 2}]"),
    ] {
        world.write(id, &format!("tasks:\n  - {{id: p, type: probe}}\noutputs: {outputs}\n"));
    }
    let says = |says: &str, trigger: &str| {
        format!(
            "inputs: [{{id: given, type: STRING}}]\ntasks:\n  - {{id: p, type: probe, says: \"{{{{ inputs.given }}}} {says}\"}}\n\
             triggers:\n  - id: after\n    type: flow\n    inputs: {{given: \"{{{{ trigger.outputs.rows }}}}\"}}\n{trigger}"
        )
    };
    let one = "    conditions:\n      - {type: execution_flow, namespace: n, flowId: one}\n";
    world.write("after_one", &says("{{ trigger.outputs.file }}", one));
    let both = "    preconditions:\n      flows:\n        - {namespace: n, flowId: one}\n        \
                - {namespace: n, flowId: two}\n";
    world.write("both", &says("{{ trigger.outputs.file }}", both));
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    run(&server, "one").await;
    run(&server, "two").await;
    until("they have followed", || said(&server, "after_one").len() + said(&server, "both").len() == 2).await;
    assert_eq!((said(&server, "after_one"), said(&server, "both")), (vec!["1 a.csv".into()], vec!["2 a.csv".into()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_passes_the_request_to_the_flow_and_checks_its_key() {
    let world = World::new();
    let text = "tasks:\n  - {id: p, type: probe, says: \"{{ trigger.body.month }} {{ trigger.parameters.taxi }}\"}\n\
                triggers:\n  - {id: call, type: webhook, key: k3y, when: \"{{ trigger.body.month is defined }}\"}\n";
    world.write("called", text);
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let call = |body| WebhookCall {
        body,
        parameters: json!({"taxi": "green"}).as_object().unwrap().clone(),
        ..WebhookCall::default()
    };
    let webhook = |key, body| server.scheduler.webhook("n", "called", key, call(body), clock::now());
    assert!(matches!(webhook("wrong", json!({"month": 4})), Err(WebhookError::Unknown)));
    assert!(matches!(webhook("k3y", json!({"other": 4})), Err(WebhookError::Conditions)));
    let id = webhook("k3y", json!({"month": 4})).unwrap();
    server.executor.wait(&id).await.unwrap();
    assert_eq!(said(&server, "called"), ["4 green"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_server_rejects_weak_webhook_keys() {
    let world = World::new();
    let text = "tasks:\n  - {id: p, type: probe, says: x}\n\
                triggers:\n  - {id: weak, type: webhook, key: short-key-of-15}\n  - {id: good, type: webhook, key: sixteen-letters-}\n";
    world.write("called", text);
    let server = world.server();
    server.scheduler.set_reachable();
    server.scheduler.turn(clock::now()).unwrap();
    let webhook = |key| server.scheduler.webhook("n", "called", key, WebhookCall::default(), clock::now());
    assert!(matches!(webhook("short-key-of-15"), Err(WebhookError::Unknown)));
    assert!(webhook("sixteen-letters-").is_ok());
    let problems: Vec<_> =
        server.scheduler.triggers().into_iter().map(|trigger| (trigger.id, trigger.problem)).collect();
    let reported = |id: &str| problems.iter().find(|(of, _)| of.as_str() == id).unwrap().1.clone();
    assert!(reported("weak").unwrap().contains("fewer than 16 characters"), "{problems:?}");
    assert_eq!(reported("good"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_a_webhook_request_are_not_stored() {
    let world = World::new();
    let text = "inputs: [{id: token, type: SECRET}, {id: shown, type: STRING}]\n\
                tasks:\n  - {id: p, type: probe, says: \"{{ trigger.body.a }} {{ trigger.headers.x }} {{ inputs.shown }} {{ inputs.token | length }}\"}\n  \
                - {id: never, type: probe, runIf: false, says: \"{{ secret('CALLED') }}\"}\n\
                triggers:\n  - {id: call, type: webhook, key: a-key-of-some-length, inputs: {token: \"{{ trigger.body.a }}\", shown: \"{{ trigger.body.a }}\"}}\n";
    world.write("called", text);
    std::fs::write(world.flows().join(".env"), "CALLED=secret-in-call\n").unwrap();
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let headers = json!({"x": "Bearer c2VjcmV0LWluLWNhbGw="}).as_object().unwrap().clone();
    let call = WebhookCall { body: json!({"a": "secret-in-call"}), headers, ..WebhookCall::default() };
    let id = server.scheduler.webhook("n", "called", "a-key-of-some-length", call, clock::now()).unwrap();
    server.executor.wait(&id).await.unwrap();
    let kept = format!("{:?}", server.executor.journal().state(&id).unwrap());
    assert!(kept.contains("*** Bearer *** *** 14"), "{kept}");
    assert!(kept.contains("Bearer ***") && !kept.contains("secret-in-call") && !kept.contains("c2VjcmV0"), "{kept}");
}

/// Looks for arrivals until it is dropped.
fn probe(server: &Server) -> tokio_util::sync::DropGuard {
    probe_with(server, Box::new(FolderSource))
}

fn probe_with(server: &Server, source: Box<dyn FileSource>) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    let client = jitney::web::client::client(Duration::from_secs(600)).unwrap();
    let journal = server.executor.journal().clone();
    let arrivals = Arc::new(Sensors::new(server.scheduler.clone(), journal, vec![source], client));
    let until = stop.clone();
    tokio::spawn(async move { arrivals.run(until).await });
    stop.drop_guard()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_arriving_file_starts_one_execution_across_restarts() {
    let world = World::new();
    let incoming = world.flows().join("in");
    write(&incoming.join("there_already.csv"), "x");
    let text = "tasks:\n  - {id: p, type: probe, says: \"{{ trigger.name }}\"}\ntriggers:\n  \
                - {id: files, type: file, from: in/*.csv, interval: 100ms}\n";
    world.write("arrives", text);
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let sensors = probe(&server);
    let left = "1 file existed before and is ignored";
    until("it is said", || logged("arrives").iter().any(|line| line.contains(left))).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    write(&incoming.join("one.csv"), "x");
    write(&incoming.join("other.txt"), "x");
    until("the first has arrived", || said(&server, "arrives").len() == 1).await;
    drop((sensors, server));
    write(&incoming.join("two.csv"), "x");
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let _sensors = probe(&server);
    until("the second has arrived", || said(&server, "arrives").len() == 2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(said(&server, "arrives"), ["one.csv", "two.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_trigger_starts_the_flow_on_the_expected_response() {
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = ready.clone();
    let answer = move || {
        let ready = flag.load(std::sync::atomic::Ordering::SeqCst);
        async move { axum::Json(json!({"ready": ready, "month": "2020-04"})) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", get(answer))).await });
    let world = World::new();
    let text = format!(
        "tasks:\n  - {{id: p, type: probe, says: \"{{{{ trigger.body.month }}}}\", millis: 50000}}\ntriggers:\n  \
         - {{id: poll, type: http, uri: \"http://{address}/\", interval: 100ms, \
         condition: \"{{{{ response.body.ready }}}}\"}}\n"
    );
    world.write("polls", &text);
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let _sensors = probe(&server);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(server.executions("polls").is_empty());
    ready.store(true, std::sync::atomic::Ordering::SeqCst);
    until("it has started", || !server.executions("polls").is_empty()).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(server.executions("polls").len(), 1, "one at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_never_responds_blocks_no_other_trigger() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let world = World::new();
    let flow = |trigger: String| format!("tasks:\n  - {{id: p, type: probe}}\ntriggers:\n  - {{{trigger}}}\n");
    world.write("waits", &flow(format!("id: poll, type: http, uri: \"http://{address}/\", interval: 100ms")));
    world.write("arrives", &flow("id: files, type: file, from: in/*.csv, interval: 100ms".to_owned()));
    write(&world.flows().join("in/there_already.csv"), "x");
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let _sensors = probe(&server);
    let (_asked, _) = silent.accept().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    write(&world.flows().join("in/new.csv"), "x");
    until("the file has arrived", || server.executions("arrives").len() == 1).await;
}

/// Writes the end of an execution of a flow as a process does whose clock says `at`.
fn end_at(server: &Server, flow: &str, at: chrono::DateTime<Utc>) {
    let journal = server.executor.journal();
    let (flow, id) = (server.flow(flow), journal.new_id(at).unwrap());
    let created = jitney::journal::ExecutionSpec {
        flow: flow.id.to_string(),
        namespace: flow.namespace.clone(),
        file: flow.document.file.clone(),
        text: String::new(),
        sha256: String::new(),
        inputs: Default::default(),
        labels: Default::default(),
        trigger_date: at,
        trigger: None,
        revision: None,
        parent: None,
        started_by: None,
        target: None,
        original: None,
        attempt: 1,
        from_outside: false,
        only: None,
    };
    let ended = Event::Ended { state: ExecutionState::Success, outputs: Default::default() };
    journal.create_with(&id, at, created, &[Event::Started, ended]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_is_reported_and_loses_no_flow_trigger() {
    let world = World::new();
    ["one", "two"].iter().for_each(|id| world.write(id, "tasks:\n  - {id: p, type: probe}\n"));
    let both = "    preconditions:\n      flows:\n        - {namespace: n, flowId: one}\n        \
                - {namespace: n, flowId: two}\n      timeWindow: {type: SLIDING_WINDOW, window: PT1H}\n";
    world.write("both", &follower(both));
    let one = "    conditions:\n      - {type: execution_flow, namespace: n, flowId: one}\n";
    world.write("after_one", &follower(one));
    let server = world.server();
    let start = clock::now();
    server.scheduler.turn(start).unwrap();
    let back = |seconds: i64| start - chrono::TimeDelta::seconds(seconds);
    for (round, seconds) in [3, 50, 70, 4000].into_iter().enumerate() {
        end_at(&server, "one", back(seconds - 30));
        server.scheduler.turn(back(seconds)).unwrap();
        end_at(&server, "two", back(seconds));
        server.scheduler.turn(back(seconds)).unwrap();
        assert_eq!(server.executions("after_one").len(), round + 1, "{seconds} s back");
        assert_eq!(server.executions("both").len(), round + 1, "{seconds} s back");
    }
    let said = logged("");
    assert!(said.iter().any(|line| line.contains("the clock was set back by PT3S")), "{said:?}");
    // Another process begins where this one was.
    drop(server);
    let server = world.server();
    end_at(&server, "one", back(9000));
    server.scheduler.turn(back(9000)).unwrap();
    assert_eq!(server.executions("after_one").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_in_creation_order_regardless_of_the_clock() {
    let world = World::new();
    world.write("one", "tasks:\n  - {id: p, type: probe}\n");
    let server = world.server();
    let now = clock::now();
    for hours in [0, 5, 30, 2] {
        end_at(&server, "one", now - chrono::TimeDelta::hours(hours));
    }
    let hours: Vec<i64> = server.executions("one").iter().map(|one| (now - one.created).num_hours()).collect();
    assert_eq!(hours, [0, 5, 30, 2]);
}

/// A source that is probed once an hour, and has all files at the second probe.
struct Slow;

impl FileSource for Slow {
    fn serves(&self, _: &str) -> bool {
        true
    }

    fn retry_delay(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn list<'a>(&'a self, _: &'a ListRequest) -> BoxFuture<'a, Result<Vec<ArrivedFile>, String>> {
        let found = |(name, time): (&str, i128)| ArrivedFile {
            uri: format!("slow/{name}"),
            name: name.to_owned(),
            version: "1".to_owned(),
            size: 1,
            time,
            is_complete: true,
        };
        let files = [("f1.csv", 5), ("f10.csv", 5), ("f2.csv", 5), ("late.csv", 9), ("z_early.csv", 1)];
        Box::pin(async move { Ok(files.map(found).to_vec()) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusive_file_trigger_processes_files_in_order_of_arrival() {
    let world = World::new();
    let text = "tasks:\n  - {id: p, type: probe, says: \"{{ trigger.name }}\"}\ntriggers:\n  \
                - {id: files, type: file, from: in/*.csv, interval: 1h}\n";
    world.write("arrives", text);
    let server = world.server();
    server.scheduler.turn(clock::now()).unwrap();
    let key = TriggerKey { namespace: "n".into(), flow: "arrives".into(), trigger: "files".into() };
    // What the very first probe sees has not arrived.
    server.executor.journal().record_firing(&TriggerFiring::about(key, "(looked)")).unwrap();
    let _sensors = probe_with(&server, Box::new(Slow));
    until("all have been taken", || said(&server, "arrives").len() == 5).await;
    assert_eq!(said(&server, "arrives"), ["z_early.csv", "f1.csv", "f2.csv", "f10.csv", "late.csv"]);
}
