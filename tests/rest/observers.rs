//! Whom the server tells what happens, what it removes, and what it says itself.

use chrono::{TimeDelta, Utc};
use jitney::clock;
use jitney::id::ExecutionId;
use jitney::journal::{Journal, QueueName, StartedBy, TriggerKey};
use jitney::sample::month::{TaxiColour, write_month};
use serde_json::{Value, json};

use crate::common::receiver::receiver;
use crate::rest::postgres;
use crate::rest::world::{Place, Server, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_late_schedule_is_notified_once() {
    let place = Place::new();
    let (address, kept) = receiver().await;
    place.write("jitney.yaml", format!("notifications:\n  - {{on: [late], webhook: \"{address}\"}}\n"));
    let flow = "id: busy\nnamespace: n\ntasks:\n  - {id: nap, type: sleep, duration: PT1H}\n\
                triggers:\n  - {id: minutely, type: schedule, cron: '* * * * *'}\n";
    place.write("flows/busy.yaml", flow);
    // The trigger has last been dealt with before the server was away for a while.
    let journal = Journal::open(&place.path("home/journal.db")).unwrap();
    let of = TriggerKey { namespace: "n".to_owned(), flow: "busy".to_owned(), trigger: "minutely".to_owned() };
    journal.triggers_progress(&[of], clock::now() - TimeDelta::minutes(20)).unwrap();
    drop(journal);
    let server = place.server();
    until("it is told", async || !kept.lock().unwrap().is_empty()).await;
    let running = server.get("/api/v1/executions/search?state=RUNNING");
    assert_eq!(running["total"], 1, "{running}");
    let text = kept.lock().unwrap()[0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("n.busy is late for "), "{text}");
    assert!(text.contains(running["results"][0]["id"].as_str().unwrap()), "it does not name what it waits for: {text}");
    assert_eq!(kept.lock().unwrap().len(), 1);
}

/// An execution that a trigger started some time ago and that waits in the queue of a process that is no more.
fn queued(place: &Place, flow: &str, trigger: &str) -> String {
    let at = clock::now() - TimeDelta::minutes(10);
    let created = json!({"flow": flow, "namespace": "n", "file": "", "text": "", "sha256": "", "inputs": {}, "labels": {},
        "trigger": {"id": trigger, "kind": "schedule", "facts": {}}, "trigger_date": at});
    let journal = Journal::open(&place.path("home/journal.db")).unwrap();
    let id = ExecutionId::new("waits");
    let mut state = journal.create(&id, at, serde_json::from_value(created).unwrap()).unwrap();
    journal.enqueue(&id, &mut state, at, &QueueName::generate(StartedBy::Server), false).unwrap();
    id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_execution_queued_for_too_long_is_notified() {
    let place = Place::new();
    let (address, kept) = receiver().await;
    place.write("jitney.yaml", format!("notifications:\n  - {{on: [late], webhook: \"{address}\"}}\n"));
    let flow = "id: narrow\nnamespace: n\nconcurrency: {limit: 1}\ntasks:\n  - {id: nap, type: sleep, duration: PT1H}\n\
                triggers:\n  - {id: yearly, type: schedule, cron: '@yearly', allowConcurrent: true}\n";
    place.write("flows/narrow.yaml", flow);
    let server = place.server();
    server.json(&["/api/v1/executions/n/narrow", "-X", "POST"]);
    server.kill();
    let waits = queued(&place, "narrow", "yearly");
    let _server = place.server();
    until("it is told", async || !kept.lock().unwrap().is_empty()).await;
    let text = kept.lock().unwrap()[0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("n.narrow is late for ") && text.contains(&waits), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lineage_events_are_sent_for_every_load_including_failed_ones() {
    let mut place = Place { postgres: Some(postgres::database("rest_lineage").await), ..Place::new() };
    place.variables.push(("JITNEY_FILE_ROOTS".to_owned(), place.path("mirror").display().to_string()));
    place.ship("postgres_taxi.yaml");
    let (address, kept) = receiver().await;
    place.write("jitney.yaml", format!("openlineage: {{url: \"{address}\"}}\n"));
    let file = place.write("mirror/green/green_tripdata_2019-01.csv.gz", "");
    let facts = write_month(&file, TaxiColour::Green, 2019, 1, 700, 7).unwrap();
    let broken = "id: broken\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: ../bad.csv}\n  \
        - {id: load, type: postgres.load, from: \"{{ outputs.get.uri }}\", table: public.bad, mode: append, \
        schema: {a: integer}}\n";
    place.write("flows/broken.yaml", broken);
    place.write("bad.csv", "a\nx\n");
    let server = place.server();
    let source = format!("source={}", place.path("mirror").display());
    let month = ["-F", "taxi=green", "-F", "year=2019", "-F", "month=01", "-F", &source];
    let ran = server.json(&[&["/api/v1/executions/zoomcamp/postgres_taxi?wait=true"], &month[..]].concat());
    assert_eq!(ran["state"]["current"], "SUCCESS", "{ran}");
    until("both events are there", async || kept.lock().unwrap().len() >= 2).await;
    let events = kept.lock().unwrap().clone();
    let kinds: Vec<&Value> = events.iter().map(|event| &event["eventType"]).collect();
    assert_eq!(kinds, ["START", "COMPLETE"]);
    assert_eq!(events[0]["run"]["runId"], events[1]["run"]["runId"]);
    let job = json!({"namespace": "zoomcamp", "name": "postgres_taxi.load"});
    let (output, input) = (&events[1]["outputs"][0], &events[1]["inputs"][0]);
    assert_eq!(events[1]["job"], job);
    assert!(output["name"].as_str().unwrap().ends_with("rest_lineage.public.green_tripdata"), "{output}");
    assert_eq!(output["outputFacets"]["outputStatistics"]["rowCount"], json!(facts.rows), "{output}");
    assert_eq!(*input, json!({"namespace": "file", "name": file}), "{input}");
    let password = postgres_password(place.postgres.as_ref().unwrap());
    assert!(password.is_empty() || !format!("{events:?}").contains(&password));

    let failed = server.json(&["/api/v1/executions/n/broken?wait=true", "-X", "POST"]);
    assert_eq!(failed["state"]["current"], "FAILED", "{failed}");
    until("the failure is there", async || kept.lock().unwrap().len() >= 4).await;
    let events = kept.lock().unwrap().clone();
    assert_eq!((&events[2]["eventType"], &events[3]["eventType"]), (&json!("START"), &json!("FAIL")), "{events:?}");
    assert_eq!(events[3]["job"], json!({"namespace": "n", "name": "broken.load"}));
    let reported = events[3]["run"]["facets"]["errorMessage"]["message"].as_str().unwrap();
    assert!(reported.contains("bad.csv:2"), "{reported}");
}

fn postgres_password(address: &str) -> String {
    let login = address.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map_or("", |(login, _)| login);
    login.split_once(':').map_or("", |(_, password)| password).to_owned()
}

/// Runs a flow that leaves a file of some bytes and a log line, and gives the execution's id.
fn leave(server: &Server) -> String {
    let ran = server.json(&["/api/v1/executions/n/leaves?wait=true", "-X", "POST"]);
    assert_eq!(ran["state"]["current"], "SUCCESS", "{ran}");
    ran["id"].as_str().unwrap().to_owned()
}

fn bytes_of(place: &Place, id: &str) -> u64 {
    let folder = place.path("home/storage").join(id);
    let mut left = vec![folder];
    let mut sum = 0;
    while let Some(path) = left.pop() {
        match path.read_dir() {
            Ok(entries) => left.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) => sum += path.metadata().map_or(0, |found| found.len()),
        }
    }
    sum
}

/// A number of `/metrics`.
fn metric(server: &Server, name: &str) -> u64 {
    let text = server.curl(&["/metrics"]);
    let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

const LEAVES: &str = "id: leaves\nnamespace: n\ntasks:\n  - {id: get, type: http.download, uri: ../data.csv}\n  \
    - {id: say, type: log, message: got it}\n";

#[tokio::test(flavor = "multi_thread")]
async fn retention_deletes_old_executions_and_files_but_no_running_ones() {
    let place = Place::new();
    place.write("data.csv", "a\n".repeat(5000));
    place.write("flows/leaves.yaml", LEAVES);
    let nap = "  - {id: nap, type: sleep, duration: PT1H}\n";
    place.write("flows/stays.yaml", LEAVES.replace("id: leaves", "id: stays") + nap);
    let server = place.server();
    let runs = server.json(&["/api/v1/executions/n/stays", "-X", "POST"])["id"].as_str().unwrap().to_owned();
    until("it has its file", async || server.curl(&[&format!("/api/v1/logs/{runs}/download")]).contains("got it"))
        .await;
    let old: Vec<String> = (0..3).map(|_| leave(&server)).collect();
    let all: u64 = old.iter().chain([&runs]).map(|id| bytes_of(&place, id)).sum();
    assert!(all >= 40_000 && metric(&server, "jitney_files_bytes") == all, "{all}");
    assert!(metric(&server, "jitney_journal_bytes") > 0);
    server.kill();

    // Room for one of them: the newest stays.
    place.write("jitney.yaml", "retention: {disk: 15kB}\n");
    let server = place.server();
    until("the oldest are gone", async || bytes_of(&place, &old[0]) + bytes_of(&place, &old[1]) == 0).await;
    assert!(bytes_of(&place, &old[2]) >= 10_000 && bytes_of(&place, &runs) >= 10_000);
    assert_eq!(metric(&server, "jitney_files_bytes"), bytes_of(&place, &old[2]) + bytes_of(&place, &runs));
    server.kill();

    place.write("jitney.yaml", "retention: {files: 0s, logs: 0s}\n");
    let server = place.server();
    let log = |id: &str| server.curl(&[&format!("/api/v1/logs/{id}/download")]);
    until("all that is old is gone", async || bytes_of(&place, &old[2]) == 0 && log(&old[2]).is_empty()).await;
    assert!(bytes_of(&place, &runs) >= 10_000 && log(&runs).contains("got it"));
    assert_eq!(server.get("/api/v1/executions/search")["total"], 4, "what ran is still known");
    assert_eq!(server.get(&format!("/api/v1/executions/{runs}"))["state"]["current"], "RUNNING");
}

const SAYS: &str = "id: says\nnamespace: n\ntasks:\n  - {id: warn, type: log, level: WARN, message: mind the gap}\n  \
    - {id: boom, type: fail, errorMessage: it is over}\n";

#[tokio::test(flavor = "multi_thread")]
async fn json_log_lines_name_the_flow_execution_and_task() {
    let place = Place::new();
    place.write("flows/says.yaml", SAYS);
    place.write("flows/bad.yaml", "id: bad\n");
    let server = place.server_with(&["--log", "json"]);
    let id = server.json(&["/api/v1/executions/n/says?wait=true", "-X", "POST"])["id"].clone();
    let said = || -> Vec<Value> {
        let lines = server.said.lock().unwrap().clone();
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    let of = |message: &str| said().into_iter().find(|line| line["message"].as_str().unwrap().contains(message));
    until("the end is told", async || of("FAILED").is_some()).await;
    for line in said() {
        assert!(line["time"].as_str().unwrap().parse::<chrono::DateTime<Utc>>().is_ok(), "{line}");
        assert!(["DEBUG", "INFO", "WARN", "ERROR"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    for (message, level, task) in [("mind the gap", "WARN", "warn"), ("it is over", "ERROR", "boom")] {
        let mut line = of(message).unwrap();
        line.as_object_mut().unwrap().remove("time");
        let expected = json!({"level": level, "target": "jitney::tasks", "namespace": "n", "flow": "says", "execution": id, "task": task, "message": message});
        assert_eq!(line, expected);
    }
    let ended = of("FAILED").unwrap();
    assert_eq!((&ended["level"], &ended["execution"], &ended["flow"]), (&json!("ERROR"), &id, &json!("says")));
    assert_eq!(of("bad.yaml").unwrap()["level"], "ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_lines_name_the_level_the_flow_and_the_task() {
    let place = Place::new();
    place.write("flows/says.yaml", SAYS);
    let server = place.server();
    let ran = server.json(&["/api/v1/executions/n/says?wait=true", "-X", "POST"]);
    let id = ran["id"].as_str().unwrap();
    let has = |text: &str| server.said.lock().unwrap().iter().any(|line| line.ends_with(text));
    until("the end is told", async || has(&format!("  ERROR  n.says  {id}  FAILED"))).await;
    assert!(has(&format!("  WARN   n.says  {id}  warn  mind the gap")), "{:?}", server.said);
    assert!(has(&format!("  ERROR  n.says  {id}  boom  it is over")), "{:?}", server.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_cannot_forge_log_lines() {
    let place = Place::new();
    let flow = "id: says\nnamespace: n\ninputs: [{id: text, type: STRING}]\ntasks:\n  \
                - {id: say, type: log, message: \"{{ inputs.text }}\"}\n  - {id: boom, type: fail, errorMessage: \"{{ inputs.text }}\"}\n";
    place.write("flows/says.yaml", flow);
    let server = place.server();
    let input = "text=first\n2030-01-01 00:00:00  ERROR  forged\u{1b}[2J";
    server.json(&["/api/v1/executions/n/says?wait=true", "-F", input]);
    let said = || server.said.lock().unwrap().clone();
    until("the end is told", async || said().iter().any(|line| line.ends_with("FAILED"))).await;
    let forged: Vec<String> = said().into_iter().filter(|line| line.contains("forged")).collect();
    assert!(forged.len() >= 2, "{:?}", said());
    let is_tame = |line: &String| line.starts_with("    2030") && line.ends_with("forged\\x1b[2J");
    assert!(forged.iter().all(is_tame), "{forged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_of_flows_and_folders_are_logged_listed_and_notified() {
    let place = Place::new();
    let (address, kept) = receiver().await;
    place.write("jitney.yaml", format!("notifications:\n  - {{webhook: \"{address}\"}}\n"));
    let good = "id: good\nnamespace: n\ntasks:\n  - {id: a, type: log, message: hi}\n";
    place.write("flows/good.yaml", good);
    let server = place.server();
    until("it is ready", async || server.get("/ready")["status"] == "UP").await;
    // A file that never was a flow, and a second one with a flow's id.
    place.write("flows/broken.yaml", "id: broken\nnamespace: n\ntasks:\n  - {id: t, type: nosuch}\n");
    place.write("flows/twin.yaml", good);
    let problems = || server.get("/api/v1/flows/search")["problems"].to_string();
    until("both are shown", async || {
        problems().contains("unknown task type `nosuch`") && problems().contains("there are two flows n.good")
    })
    .await;
    let said = || server.said.lock().unwrap().join("\n");
    until("both are said", async || said().contains("broken.yaml:4:19") && said().contains("twin.yaml:1:5")).await;
    let ready = server.get("/ready");
    assert_eq!(ready["status"], "DEGRADED", "{ready}");
    assert!(ready["problems"].to_string().contains("nosuch"), "{ready}");
    assert_eq!(server.code(&["/ready"]), "200", "what runs continues");
    // The folder is gone.
    std::fs::rename(place.path("flows"), place.path("away")).unwrap();
    until("it is not ready", async || server.code(&["/ready"]) == "503").await;
    let reason = format!("cannot read the folder {}", place.path("flows").display());
    let ready = server.get("/ready");
    assert!(["checks", "problems"].iter().all(|part| ready[part].to_string().contains(&reason)), "{ready}");
    assert_eq!(server.code(&["/health"]), "200", "it is alive");
    let reported =
        || kept.lock().unwrap().iter().map(|reported| reported["text"].to_string()).collect::<Vec<_>>().join("\n");
    until("people are told", async || reported().contains("The server cannot do all of its work: cannot read")).await;
    assert_eq!(server.get("/api/v1/flows/search")["total"], 1, "its flows stay");
    std::fs::rename(place.path("away"), place.path("flows")).unwrap();
    until("it is ready again", async || server.code(&["/ready"]) == "200").await;
    until("people are told that too", async || reported().contains("The server is healthy again")).await;
    assert_eq!(said().matches(&reason).count(), 2, "once when it came, once when it was over: {}", said());
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_shows_its_reasons_only_with_a_login() {
    let mut place = Place::new();
    place.variables = vec![("JITNEY_TOKEN".to_owned(), "t0ken-of-some-length".to_owned())];
    place.write("flows/broken.yaml", "id: broken\n");
    let server = place.server();
    until("it works", async || server.get("/ready")["status"] == "DEGRADED").await;
    let ready = server.get("/ready");
    assert!(ready.get("problems").is_none() && ready["checks"].is_array(), "{ready}");
    let ready = server.json(&["/ready", "-H", "Authorization: Bearer t0ken-of-some-length"]);
    assert!(ready["problems"].to_string().contains("broken.yaml"), "{ready}");
}

#[test]
fn invalid_notification_rules_are_reported_at_startup() {
    let place = Place::new();
    let rules = "notifications:\n  - webhook: \"{{ secret('NO_SUCH_HOOK') }}\"\n  - command: [no-such-command]\n";
    place.write("jitney.yaml", rules);
    let server = place.server_on("localhost:0");
    let ready = server.get("/ready");
    for words in ["NO_SUCH_HOOK", "there is no command `no-such-command`"] {
        let said = server.said.lock().unwrap().join("\n");
        assert!(said.contains(words) && ready["problems"].to_string().contains(words), "{words}: {said}\n{ready}");
    }
    drop(server);
    place.write("jitney.yaml", "notifications:\n  - {on: [failur], command: [sh]}\n");
    let refused = place.jitney(&["server", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(3) && said.contains("did you mean `failure`?"), "{said}");
    for (address, words) in [("localhost", "the port is missing"), ("127.0.0.1:80800", "`80800` is not a port number")]
    {
        let refused = place.jitney(&["server", "--listen", address]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(2) && said.contains(words), "{said}");
    }
}

#[test]
fn a_flows_folder_that_is_a_file_is_rejected_and_a_missing_one_is_created() {
    let place = Place::new();
    place.write("file", "x");
    let refused = place.jitney(&["server", "--listen", "127.0.0.1:0", "--flows", "file"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(3) && said.contains("file") && said.contains("--flows"), "{said}");
    let server = place.server_with(&["--flows", "nosuch"]);
    let said = server.said.lock().unwrap().join("\n");
    let words = format!("WARN   the folder {} did not exist and was created", place.path("nosuch").display());
    assert!(said.contains(&words), "{said}");
    assert!(place.path("nosuch").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_of_another_postgres_are_rejected_until_retargeted() {
    let place = Place::new();
    let task = "tasks:\n  - {id: fill, type: postgres.query, sql: SELECT 1}\n";
    place.write("flows/f.yaml", format!("id: f\nnamespace: n\n{task}"));
    let nowhere = ["run", "flows/f.yaml", "--postgres", "postgres://u@127.0.0.1:1/x"];
    let failed = |arguments: &[&str]| {
        let failed = place.command(arguments).env("JITNEY_RETRY_TIMEOUT", "PT1S").output().unwrap();
        assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    };
    failed(&nowhere);
    let server = place.server_with(&["--postgres", "postgres://u@127.0.0.1:2/x"]);
    let id = server.get("/api/v1/executions/search")["results"][0]["id"].as_str().unwrap().to_owned();
    let (code, why) = server.refusal(&format!("/api/v1/executions/{id}/restart"), &json!({}));
    assert!(code == "409" && why.contains("began with Postgres at localhost:1/x"), "{code} {why}");
    assert!(why.contains("?retarget=true"), "{why}");
    let (code, why) = server.refusal(&format!("/api/v1/executions/{id}/restart?retarget=true"), &json!({}));
    assert!(code == "502" && why.contains("no Postgres server answers"), "{code} {why}");
    let (_, why) = server.refusal(&format!("/api/v1/executions/{id}/restart"), &json!({}));
    assert!(why.contains("began with Postgres at localhost:1/x"), "it stuck: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_names_the_task_that_ended_the_flow_and_not_one_that_may_fail() {
    let place = Place::new();
    let (address, kept) = receiver().await;
    place.write("jitney.yaml", format!("notifications:\n  - {{webhook: \"{address}\"}}\n"));
    let failing = |id: &str, more: &str| format!("  - {{id: {id}, type: fail, errorMessage: no {id}{more}}}\n");
    let around = format!(
        "  - {{id: around, type: sequential, tasks: [{}]}}\n",
        failing("load", "").trim().trim_start_matches("- ")
    );
    let tasks = failing("login_to_the_old_system", ", allowFailure: true") + &around;
    place.write(
        "flows/f.yaml",
        format!("id: f\nnamespace: n\ntasks:\n{tasks}errors:\n{}", failing("say_that_it_failed", "")),
    );
    let server = place.server();
    let ended = server.json(&["/api/v1/executions/n/f?wait=true", "-X", "POST"]);
    assert_eq!(ended["state"]["current"], "FAILED", "{ended}");
    until("people are told", async || !kept.lock().unwrap().is_empty()).await;
    let reported = kept.lock().unwrap()[0]["text"].to_string();
    assert!(reported.contains("Task load: no load"), "{reported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_executions_can_be_searched_by_that_state() {
    let place = Place::new();
    let slow = place.write("slow.yaml", "id: slow\nnamespace: n\ntasks:\n  - {id: s, type: sleep, duration: PT10M}\n");
    let server = place.server();
    let mut run = place.command(&["run", slow.to_str().unwrap()]).spawn().unwrap();
    let found = |state: &str| server.get(&format!("/api/v1/executions/search?state={state}"));
    until("it runs", async || found("RUNNING")["total"] == 1).await;
    assert_eq!(found("INTERRUPTED")["total"], 0);
    run.kill().unwrap();
    run.wait().unwrap();
    let search = found("INTERRUPTED");
    assert!(search["total"] == 1 && search["results"][0]["interrupted"] == true, "{search}");
    assert_eq!(found("INTERRUPTED,FAILED&flowId=slow")["total"], 1);
    assert_eq!(found("interrupted&flowId=other")["total"], 0);
}
