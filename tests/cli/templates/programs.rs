//! Templates that speak with other programs: an API, a caller, a receiver.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query};
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

use super::{Place, postgres, receiver, until, with};
use crate::cli::world::CommandOutput;

/// The issues of a project, and how often they were asked for since when.
#[derive(Default)]
struct GitHub {
    issues: Vec<Value>,
    asked: Vec<String>,
}

/// A server that answers as GitHub does: what was updated since a moment, the oldest first, a page at most.
async fn github(held: Arc<Mutex<GitHub>>) -> String {
    let answer = async move |Path((owner, name)): Path<(String, String)>,
                             Query(query): Query<BTreeMap<String, String>>| {
        assert_eq!((owner.as_str(), name.as_str(), query["sort"].as_str()), ("duckdb", "duckdb-rs", "updated"));
        let mut github = held.lock().unwrap();
        github.asked.push(query["since"].clone());
        let updated = |issue: &Value| issue["updated_at"].as_str().unwrap().to_owned();
        let mut found: Vec<Value> =
            github.issues.iter().filter(|issue| updated(issue) >= query["since"]).cloned().collect();
        found.sort_by_key(updated);
        found.truncate(query["per_page"].parse().unwrap());
        Json(found)
    };
    let router = Router::new().route("/repos/{owner}/{name}/issues", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn api_incremental_reads_pages_and_then_only_what_has_changed() {
    let world = with("api_incremental").await;
    let issue = |number: u32, state: &str, day: u32| {
        json!({"number": number, "title": format!("Issue {number}"), "state": state, "user": {"login": "ada"},
               "updated_at": format!("2024-01-{day:02}T10:00:00Z")})
    };
    let issues = (1..=5).map(|number| issue(number, if number < 3 { "closed" } else { "open" }, number)).collect();
    let held = Arc::new(Mutex::new(GitHub { issues, asked: Vec::new() }));
    let api = format!("api={}", github(held.clone()).await);
    let run = ["run", "api_incremental.yaml", "-i", &api, "-i", "page_size=2"];
    world.jitney(&run).ended(0).says("duckdb/duckdb-rs: 5 issues, 3 of them open");
    let asked = std::mem::take(&mut held.lock().unwrap().asked);
    assert_eq!((asked.len(), asked[0].as_str()), (5, "1970-01-01T00:00:00Z"));
    held.lock().unwrap().issues[3] = issue(4, "closed", 20);
    world.jitney(&run).ended(0).says("duckdb/duckdb-rs: 5 issues, 2 of them open");
    assert_eq!(held.lock().unwrap().asked, ["2024-01-05T10:00:00Z", "2024-01-20T10:00:00Z"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_stores_what_is_posted() {
    let place = Place { postgres: Some(postgres::database("template_webhook").await), ..Place::new() };
    assert!(place.jitney(&["new", "webhook", "flows/webhook.yaml"]).status.success());
    let text = std::fs::read_to_string(place.path("flows/webhook.yaml")).unwrap();
    let key = text.split("key: ").nth(1).unwrap().lines().next().unwrap();
    let server = place.server();
    let path = format!("/api/v1/executions/webhook/examples/webhook/{key}");
    let order = r#"{"order_id": 7, "customer": "Ada", "amount": 19.99}"#;
    server.curl(&[&path, "-X", "POST", "-H", "Content-Type: application/json", "-d", order]);
    let client = postgres::client(place.postgres.as_ref().unwrap()).await;
    until("the order is in the table", async || {
        let row = client.query_one("SELECT customer || ' ' || amount FROM web_orders WHERE order_id = 7", &[]).await;
        row.is_ok_and(|row| row.get::<_, &str>(0) == "Ada 19.99")
    })
    .await;
    let alone = CommandOutput::from(place.jitney(&["run", "flows/webhook.yaml"])).ended(0);
    alone.says("Stored order 1 of Grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_etl_sends_batches_and_then_only_what_has_changed() {
    let world = with("reverse_etl").await;
    let (address, kept) = receiver::receiver().await;
    let to = format!("to={address}");
    let run = ["run", "reverse_etl.yaml", "-i", &to];
    world.jitney(&run).ended(0).says("Sent 3 customers");
    let sent: Vec<Value> = std::mem::take(&mut kept.lock().unwrap());
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[0]["contacts"][1]["email"], "grace@example.com", "{sent:?}");
    world.jitney(&run).ended(0).says("Sent 0 customers");
    world
        .client()
        .await
        .execute("UPDATE customers SET name = 'Ada L.', updated_at = now() WHERE id = 1", &[])
        .await
        .unwrap();
    world.jitney(&run).ended(0).says("Sent 1 customers");
    assert_eq!(kept.lock().unwrap()[0]["contacts"][0]["name"], "Ada L.");
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_on_failure_posts_the_reason() {
    let world = with("slack_on_failure").await;
    let (address, kept) = receiver::receiver().await;
    let mut command = world.command(&["run", "slack_on_failure.yaml"]);
    let told = CommandOutput::from(command.env("SLACK_WEBHOOK_URL", &address).output().unwrap()).ended(1);
    assert!(!told.err.contains(&address), "{told}");
    let text = kept.lock().unwrap()[0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("examples.slack_on_failure failed (") && text.contains("Postgres has "), "{text}");
    world.jitney(&["run", "slack_on_failure.yaml", "-i", "limit=1000"]).ended(0);
    assert_eq!(kept.lock().unwrap().len(), 1);
}
