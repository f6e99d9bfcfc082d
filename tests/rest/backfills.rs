//! Backfills that the server drives.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use jitney::cli::demo::serve::serve;
use jitney::journal::{ExecutionQuery, Journal};
use jitney::sample::month::{MonthFacts, TaxiColour, write_month};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::rest::postgres;
use crate::rest::world::{Place, Server, until};

const BACKFILLS: &str = "/api/v1/backfills";

fn month(place: &Place, month: u32) -> PathBuf {
    place.path(&format!("mirror/green/green_tripdata_2019-{month:02}.csv.gz"))
}

/// Writes the months of a year of green trips; of each month another number of rows.
fn year(place: &Place) -> Vec<MonthFacts> {
    let write = |number: u32| {
        let file = month(place, number);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        write_month(&file, TaxiColour::Green, 2019, number, 1500 + u64::from(number), 7).unwrap()
    };
    (1..=12).map(write).collect()
}

fn sum<'a>(facts: impl Iterator<Item = &'a MonthFacts>) -> (i64, i64) {
    facts.fold((0, 0), |(rows, cents), month| (rows + month.rows.cast_signed(), cents + month.total_cents))
}

/// Rows of the table, the sum of `total_amount` in cents, and rows of the ledger; zeros where there is no table.
async fn held(client: &tokio_postgres::Client) -> (i64, i64, i64) {
    if client.query_one("SELECT to_regclass('green_tripdata') IS NULL", &[]).await.unwrap().get(0) {
        return (0, 0, 0);
    }
    let sql = "SELECT count(*), coalesce(round(sum(total_amount)::numeric * 100), 0)::bigint,
               (SELECT count(*) FROM jitney_loads) FROM green_tripdata";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

fn backfill(server: &Server, id: &str) -> Value {
    server.get(&format!("{BACKFILLS}/{id}"))
}

fn state(server: &Server, id: &str) -> String {
    backfill(server, id)["state"].as_str().unwrap().to_owned()
}

async fn until_state(server: &Server, id: &str, wanted: &str) -> Value {
    until(&format!("{id} is {wanted}"), async || state(server, id) == wanted).await;
    backfill(server, id)
}

/// The partitions that are in a state, by their names.
fn those<'a>(backfill: &'a Value, state: &str) -> Vec<&'a str> {
    let partitions = backfill["partitions"].as_array().unwrap().iter();
    partitions.filter(|one| one["state"] == state).map(|one| one["partition"].as_str().unwrap()).collect()
}

fn id_of(started: &Value) -> String {
    started["backfill"]["id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_survives_two_crashes_of_the_server_and_loads_exactly_its_months() {
    let place = Place { postgres: Some(postgres::database("rest_backfill").await), ..Place::new() };
    place.ship("postgres_taxi.yaml");
    let facts = year(&place);
    let kept: Vec<(u32, Vec<u8>)> = [3, 5, 8].map(|number| (number, fs::read(month(&place, number)).unwrap())).to_vec();
    fs::remove_file(month(&place, 3)).unwrap();
    fs::remove_file(month(&place, 8)).unwrap();
    fs::write(month(&place, 5), &kept[1].1[..kept[1].1.len() / 2]).unwrap();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    let (address, _) = serve(place.path("mirror"), shutdown).await.unwrap();
    let client = postgres::client(place.postgres.as_ref().unwrap()).await;

    let mut server = place.server();
    let asked = json!({"namespace": "zoomcamp", "flowId": "postgres_taxi", "from": "2019-01", "to": "2019-12",
        "inputs": {"taxi": "green", "source": format!("http://{address}")}, "parallel": 3, "labels": {"why": "test"}});
    let started = server.post(BACKFILLS, &asked);
    assert_eq!((&started["runs"], &started["partitions"][0]["last"]), (&json!(12), &json!("never ran")), "{started}");
    let id = id_of(&started);
    // An execution that a third death meets would not be resumed again.
    for more in [1, 4] {
        until("some months are in", async || held(&client).await.2 >= more).await;
        server.kill();
        server = place.server();
    }
    let ended = until_state(&server, &id, "FAILED").await;
    let reason = |partition: usize| ended["partitions"][partition]["reason"].as_str().unwrap_or_default();
    assert_eq!(those(&ended, "FAILED"), ["2019-03", "2019-05", "2019-08"], "{ended}");
    assert_eq!([reason(2), reason(4), reason(7)], ["404", "corrupt", "404"]);
    let whole = facts.iter().enumerate().filter(|(index, _)| ![2, 4, 7].contains(index)).map(|(_, month)| month);
    let (rows, cents) = sum(whole);
    assert_eq!(held(&client).await, (rows, cents, 9), "a month is missing or was loaded twice");
    assert_eq!((&ended["rows"], &ended["done"], &ended["failed"]), (&json!(rows), &json!(9), &json!(3)));
    let executions = server.get("/api/v1/executions/search?labels=why:test&size=100");
    assert_eq!(executions["total"], 12, "an execution under way was started anew");

    let grid = "/api/v1/flows/zoomcamp/postgres_taxi/partitions?to=2019-12&check=true";
    let grid = server.get(&format!("{grid}&inputs=taxi:green&inputs=source:http://{address}"));
    let source = format!("source=http://{address}");
    let reported = place.jitney(&[
        "partitions",
        "flows/postgres_taxi.yaml",
        "-i",
        "taxi=green",
        "-i",
        &source,
        "--to",
        "2019-12",
        "--check",
        "--json",
    ]);
    assert_eq!(grid, serde_json::from_slice::<Value>(&reported.stdout).unwrap(), "{reported:?}");
    assert_eq!(grid[0]["partitions"][2]["source"]["source"], "not_there", "{grid}");

    kept.iter().for_each(|(number, bytes)| fs::write(month(&place, *number), bytes).unwrap());
    let preview = json!({"only": "failed", "dryRun": true});
    let dry: serde_json::Map<String, Value> = asked
        .as_object()
        .unwrap()
        .iter()
        .chain(preview.as_object().unwrap())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let dry = server.post(BACKFILLS, &Value::Object(dry));
    assert_eq!((&dry["runs"], &dry["backfill"]), (&json!(3), &Value::Null), "{dry}");
    server.post(&format!("{BACKFILLS}/{id}/retry"), &json!({}));
    let ended = until_state(&server, &id, "SUCCESS").await;
    let (rows, cents) = sum(facts.iter());
    assert_eq!(held(&client).await, (rows, cents, 12), "{ended}");
    assert_eq!((those(&ended, "LOADED").len(), &ended["rows"]), (12, &json!(rows)));
}

/// A flow that naps, as long as it says, for every month of 2019.
fn napping(place: &Place, nap: &str, more: &str) -> Value {
    let tasks = format!("tasks:\n  - {{id: nap, type: sleep, duration: {nap}}}\n");
    place.write("flows/nap.yaml", format!("id: nap\nnamespace: n\n{tasks}{more}"));
    json!({"namespace": "n", "flowId": "nap", "from": "2019-01", "to": "2019-12", "parallel": 2})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_can_be_controlled_over_http_and_from_a_terminal() {
    let place = Place::new();
    let mut asked = napping(&place, "\"{{ read('nap.txt') }}\"", "");
    asked["to"] = json!("2021-12");
    place.write("flows/nap.txt", "1s");
    let server = place.server();
    let id = id_of(&server.post(BACKFILLS, &asked));
    let call = |what: &str| server.post(&format!("{BACKFILLS}/{id}/{what}"), &json!({}));
    let count = |state: &str| those(&backfill(&server, &id), state).len();
    until("it has begun", async || count("LOADED") > 0).await;
    let (code, message) = server.refusal(BACKFILLS, &asked);
    assert!(code == "409" && message.contains("is running"), "{code} {message}");
    assert_eq!(call("pause")["state"], "PAUSED");
    until("all rest", async || count("RUNNING") == 0).await;
    let before = count("LOADED");
    let listed = String::from_utf8(place.jitney(&["backfill", "list"]).stdout).unwrap();
    assert!(listed.contains(&id) && listed.contains("PAUSED"), "{listed}");
    let resumed = place.jitney(&["backfill", "resume", &id]);
    assert!(resumed.status.success(), "{resumed:?}");
    until("it continues", async || count("LOADED") > before).await;
    assert!(place.jitney(&["backfill", "pause", &id]).status.success());
    assert_eq!(state(&server, &id), "PAUSED");
    assert_eq!(call("resume")["state"], "RUNNING");
    assert!(place.jitney(&["backfill", "cancel", &id]).status.success());
    let cancelled = until_state(&server, &id, "CANCELLED").await;
    assert!(!those(&cancelled, "WAITING").is_empty(), "{cancelled}");
    let (code, message) = server.refusal(&format!("{BACKFILLS}/{id}/pause"), &json!({}));
    assert!(code == "409" && message.contains("has ended"), "{code} {message}");
    place.write("flows/nap.txt", "1ms");
    call("retry");
    let ended = until_state(&server, &id, "SUCCESS").await;
    assert_eq!(those(&ended, "LOADED").len(), 36);
    let (code, message) = server.refusal(&format!("{BACKFILLS}/{id}/retry"), &json!({}));
    assert!(code == "409" && message.contains("there is nothing to retry"), "{code} {message}");
    let page = server.get(&format!("{BACKFILLS}?flowId=nap&size=1"));
    assert_eq!((&page["total"], &page["results"][0]["done"]), (&json!(1), &json!(36)), "{page}");
    assert!(page["results"][0].get("partitions").is_none());
    assert_eq!(server.get(&format!("{BACKFILLS}?namespace=m"))["total"], 0);
}

#[test]
fn a_dry_run_changes_nothing_and_errors_are_those_of_the_command_line() {
    let place = Place::new();
    let inputs = "inputs:\n  - {id: year, type: INT, min: 2019, defaults: 2019}\n";
    let asked = napping(&place, "1ms", inputs);
    let server = place.server();
    let with = |more: Value| {
        let mut body = asked.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        Value::Object(body)
    };
    let dry = server.post(BACKFILLS, &with(json!({"dryRun": true})));
    let expected = json!({"partition": "2019-01", "date": "2019-01-01T00:00:00Z", "last": "never ran", "execution": null, "runs": true});
    assert_eq!((&dry["partitions"][0], &dry["backfill"]), (&expected, &Value::Null), "{dry}");
    for (more, words) in [
        (json!({"to": "2018"}), "the end 2018 is before the start 2019-01"),
        (json!({"from": "soon"}), "`soon` is not a month (2019-01), day (2019-01-31)"),
        (json!({"trigger": "x"}), "the flow `nap` has no schedule `x`; it has none"),
        (json!({"every": "week"}), "`week` is not a step; expected one of `month`, `day`, `hour`"),
        (json!({"inputs": {"yeer": 2019}}), "the flow has no input `yeer`"),
        (json!({"inputs": {"year": "{{ trigger.date | date('yyyy') }}"}, "from": "2018"}), "2018 is less than 2019"),
        (json!({"labels": {"partition": "x"}}), "the label `partition` is reserved for backfills"),
        (json!({"parallel": 0}), "`parallel` is 0; it must be between 1 and 64"),
        (json!({"only": "some"}), "unknown value `some`"),
        (json!({"form": "2019"}), "unknown field `form`"),
    ] {
        let (code, message) = server.refusal(BACKFILLS, &with(more));
        assert!(code == "422" && message.contains(words), "{code} {message}: {words}");
    }
    assert_eq!(server.refusal(BACKFILLS, &with(json!({"flowId": "none"}))).0, "404");
    assert_eq!(server.code(&[&format!("{BACKFILLS}/none")]), "404");
    assert_eq!(server.refusal(&format!("{BACKFILLS}/none/cancel"), &json!({})).0, "404");
    assert_eq!(server.get(BACKFILLS)["total"], 0);
    assert_eq!(server.get("/api/v1/executions/search")["total"], 0);
    let described = server.get("/api/v1/openapi.json");
    assert!(described["paths"]["/backfills/{id}/retry"]["post"].is_object(), "{described}");
    assert!(described["components"]["schemas"]["BackfillRequest"]["properties"]["stopOnFailure"].is_object());
}

#[test]
fn inputs_that_hide_the_date_are_rejected_and_flows_that_never_read_it_cause_a_warning() {
    let place = Place::new();
    let dated = "inputs: [{id: year, type: INT, defaults: 2019}]\ntriggers:\n  \
                 - {id: months, type: schedule, cron: '@monthly', inputs: {year: \"{{ trigger.date | date('yyyy') }}\"}}\n";
    let asked = napping(&place, "1ms", dated);
    let plain = "id: plain\nnamespace: n\ntasks:\n  - {id: say, type: log, message: hi}\n";
    place.write("flows/plain.yaml", plain);
    let server = place.server();
    let with = |more: Value| {
        let mut body = asked.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        Value::Object(body)
    };
    for (more, words) in [
        (
            json!({"inputs": {"year": 2018}, "dryRun": true}),
            "input `year` is `2018`, but the schedule `months` sets it",
        ),
        (json!({"inputs": {"year": 2018}}), "input `year` is `2018`, but the schedule `months` sets it"),
        (json!({"every": "day"}), "`every` is for a flow without a schedule"),
    ] {
        let (code, message) = server.refusal(BACKFILLS, &with(more));
        assert!(code == "422" && message.contains(words), "{code} {message}: {words}");
    }
    assert_eq!(server.get(BACKFILLS)["total"], 0);
    let dry = server.post(BACKFILLS, &with(json!({"to": "2020-12", "dryRun": true})));
    assert!(dry.get("warnings").is_none(), "{dry}");
    let dry = server.post(BACKFILLS, &with(json!({"flowId": "plain", "dryRun": true})));
    assert!(dry["warnings"][0].as_str().unwrap().contains("the 12 executions all do the same"), "{dry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_can_be_started_on_a_trigger_as_in_kestra() {
    let place = Place::new();
    napping(
        &place,
        "1ms",
        "triggers:\n  - {id: yearly, type: schedule, cron: \"@annually\", timezone: Europe/Paris}\n",
    );
    let server = place.server();
    let put = |more: Value| {
        let mut body = json!({"namespace": "n", "flowId": "nap", "triggerId": "yearly"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let kind = "content-type: application/json";
        server.json(&["/api/v1/main/triggers", "-X", "PUT", "-H", kind, "-d", &body.to_string()])
    };
    // The whole of a year, by a schedule that comes on its first day; times without an offset are the schedule's.
    let wanted = json!({"start": "2021-01-01T00:00:00", "end": "2021-12-31T00:00:00.000Z", "labels": [{"key": "team", "value": "taxi"}]});
    let begun = put(json!({"disabled": false, "backfill": wanted}));
    assert_eq!(begun["triggerId"], "yearly", "{begun}");
    let ended = until_state(&server, begun["backfillId"].as_str().unwrap(), "SUCCESS").await;
    assert_eq!(
        (&ended["total"], &ended["partitions"][0]["date"]),
        (&json!(1), &json!("2020-12-31T23:00:00Z")),
        "{ended}"
    );
    let listed = server.get("/api/v1/executions/search?labels=team:taxi");
    assert_eq!(listed["total"], 1, "the labels are the executions'");
    let (listed, whole) = (&listed["results"][0], "/api/v1/executions/".to_owned());
    let trigger = &listed["trigger"];
    assert_eq!((&trigger["id"], &trigger["type"]), (&json!("yearly"), &json!("backfill")), "{listed}");
    assert!(trigger["variables"]["date"].as_str().is_some_and(|date| date.starts_with("2021-01-01T00:00")), "{listed}");
    let whole = server.get(&(whole + listed["id"].as_str().unwrap()));
    assert_eq!((trigger, &listed["scheduleDate"]), (&whole["trigger"], &whole["scheduleDate"]));
    for (more, words) in [
        (json!({}), "the body has neither `disabled` nor `backfill`"),
        (json!({"backfill": {"start": "soon"}}), "`soon` is not a month"),
        (json!({"triggerId": "none", "disabled": true}), "there is no trigger `none` in the flow `n.nap`"),
    ] {
        let refused = put(more);
        assert!(refused["message"].as_str().is_some_and(|message| message.contains(words)), "{refused}: {words}");
    }
}

#[test]
fn a_backfill_with_nothing_to_run_has_an_id_and_has_ended() {
    let place = Place::new();
    let mut asked = napping(&place, "1ms", "");
    asked["only"] = json!("failed");
    let server = place.server();
    let answer = server.post(BACKFILLS, &asked);
    assert_eq!((&answer["runs"], &answer["backfill"]["state"]), (&json!(0), &json!("SUCCESS")), "{answer}");
    let shown = backfill(&server, &id_of(&answer));
    assert_eq!(
        (&shown["state"], &shown["total"], &shown["failed"]),
        (&json!("SUCCESS"), &json!(12), &json!(0)),
        "{shown}"
    );
    assert_eq!(server.get("/api/v1/executions/search")["total"], 0);
}

const SECRETIVE: &str = "id: secretive\nnamespace: n\ninputs:\n  - {id: key, type: SECRET}\n\
    tasks:\n  - {id: nap, type: sleep, duration: 300ms}\n  - {id: use, type: log, message: \"{{ inputs.key | length }}\"}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_input_must_be_given_again_after_a_crash() {
    let place = Place::new();
    place.write("flows/secretive.yaml", SECRETIVE);
    let server = place.server();
    let key = json!({"key": "opensesame"});
    let asked = json!({"namespace": "n", "flowId": "secretive", "from": "2019-01", "to": "2019-06", "inputs": key});
    let id = id_of(&server.post(BACKFILLS, &asked));
    until("it has begun", async || !those(&backfill(&server, &id), "LOADED").is_empty()).await;
    server.kill();
    let server = place.server();
    let rests = until_state(&server, &id, "PAUSED").await;
    let problem = rests["problem"].as_str().unwrap();
    assert!(problem.contains("the journal does not store the secret in input `key`"), "{problem}");
    let resume = format!("{BACKFILLS}/{id}/resume");
    let refused = place.jitney(&["backfill", "resume", &id, "-i", "key=opensesame"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert_eq!(state(&server, &id), "PAUSED");
    let (code, message) = server.refusal(&resume, &json!({}));
    assert!(code == "422" && message.contains("does not store the secret in input `key`"), "{code} {message}");
    server.post(&resume, &json!({"inputs": key}));
    until("it has ended", async || !backfill(&server, &id)["ended"].is_null()).await;
    let ended = backfill(&server, &id);
    // What was in progress when the server died has lost the secret with it.
    assert!(those(&ended, "LOADED").len() >= 5 && ended.get("problem").is_none(), "{ended}");
    server.stop();
    let journal = fs::read(place.path("home/journal.db")).unwrap();
    assert!(!String::from_utf8_lossy(&journal).contains("opensesame"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_resumes_running_backfills_but_not_paused_ones() {
    let place = Place::new();
    let pause = "  - {id: ask, type: pause}\n";
    napping(&place, "100ms", &format!("{pause}concurrency: {{limit: 4}}\n"));
    let server = place.server();
    let asked = json!({"namespace": "n", "flowId": "nap", "from": "2019-01", "to": "2019-06", "parallel": 2});
    let id = id_of(&server.post(BACKFILLS, &asked));
    let paused = |server: &Server| {
        let found = server.get("/api/v1/executions/search?state=PAUSED")["results"].as_array().unwrap().clone();
        found.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("two are paused", async || paused(&server).len() == 2).await;
    server.stop();
    let mut server = place.server();
    for done in 1..=6 {
        until("some are paused", async || paused(&server).len() == 2.min(7 - done)).await;
        let first = paused(&server).pop().unwrap();
        server.json(&[&format!("/api/v1/executions/{first}/resume"), "-X", "POST"]);
        until("it is done", async || backfill(&server, &id)["done"] == done).await;
        if done == 3 {
            server.kill();
            server = place.server();
        }
    }
    assert_eq!(until_state(&server, &id, "SUCCESS").await["failed"], 0);
    assert_eq!(server.get("/api/v1/executions/search")["total"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_take_over_backfills_of_a_terminal() {
    let place = Place::new();
    let asked = napping(&place, "200ms", "");
    let mut terminal = place
        .command(&["backfill", "flows/nap.yaml", "--from", "2019-01", "--to", "2019-12"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let open = || Journal::open(&place.path("home/journal.db")).unwrap();
    until("it has begun", async || {
        place.path("home/journal.db").exists()
            && !open().search(&ExecutionQuery::default(), 10, 0).unwrap().executions.is_empty()
    })
    .await;
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let server = place.server();
    let own = server.get(BACKFILLS)["results"][0].clone();
    assert_eq!((&own["state"], &own["byServer"]), (&json!("STOPPED"), &json!(false)), "{own}");
    // The server has looked and driven something else meanwhile.
    let other =
        id_of(&server.post(BACKFILLS, &json!({"namespace": "n", "flowId": "nap", "from": "2020-01", "to": "2020-01"})));
    until_state(&server, &other, "SUCCESS").await;
    let id = own["id"].as_str().unwrap();
    assert_eq!(state(&server, id), "STOPPED");
    // Anyone who asks the server for it gets it.
    let mine = json!({"parallel": 4, "only": "all"});
    let again: serde_json::Map<String, Value> = asked
        .as_object()
        .unwrap()
        .iter()
        .chain(mine.as_object().unwrap())
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    assert_eq!(id_of(&server.post(BACKFILLS, &Value::Object(again))), id);
    let ended = until_state(&server, id, "SUCCESS").await;
    assert_eq!((those(&ended, "LOADED").len(), &ended["byServer"]), (12, &json!(true)));
}
