//! Files that arrive in a bucket, as a running server sees them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use jitney::journal::{ExecutionQuery, Journal};
use serde_json::{Value, json};

use super::proxy::Proxy;
use super::{bucket, google, run, until};

struct Server {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `jitney server` in a folder with flows, with more variables.
    fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
        command.env_clear().env("HOME", folder).env("PATH", std::env::var("PATH").unwrap_or_default());
        command.envs(variables.iter().copied()).current_dir(folder);
        command.args(["--home", "home", "server", "--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::<Mutex<String>>::default();
        let kept = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

/// Waits until every trigger has looked twice more: what was there before has been dealt with.
async fn two_looks(proxy: &Proxy, prefixes: &[&str]) {
    for prefix in prefixes {
        let looks = || proxy.count(&format!("/o?prefix={prefix}&"));
        let before = looks();
        until("the bucket was looked into", || looks() >= before + 2).await;
    }
}

/// What the executions of a flow that have ended gave, the oldest first.
fn given(folder: &Path, flow: &str) -> Vec<Value> {
    let Ok(journal) = Journal::open(&folder.join("home/journal.db")) else { return Vec::new() };
    let query = ExecutionQuery { flow: Some(flow.to_owned()), ..ExecutionQuery::default() };
    let mut found = journal.search(&query, 100, 0).unwrap().executions;
    found.reverse();
    let value = |execution: &jitney::journal::Summary| {
        let state = journal.state(&execution.id).unwrap().unwrap();
        state.tasks.values().next()?.outputs.get("value").cloned()
    };
    found.iter().filter_map(value).collect()
}

fn write_flow(folder: &Path, id: &str, value: &str, trigger: &str) {
    let text = format!(
        "id: {id}\nnamespace: n\ntasks:\n  - {{id: seen, type: return, format: \"{value}\"}}\ntriggers:\n  - id: files\n{trigger}"
    );
    fs::create_dir_all(folder.join("flows")).unwrap();
    fs::write(folder.join(format!("flows/{id}.yaml")), text).unwrap();
}

async fn put(home: &Path, bucket: &str, name: &str, text: &str) {
    fs::write(home.join("put"), text).unwrap();
    run(home, "gcs.upload", json!({"from": "put", "to": format!("gs://{bucket}/{name}")})).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_object_starts_one_execution_also_over_a_restart_and_one_more_when_it_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(bucket) = bucket(home, "arrivals").await else { return };
    let proxy = Proxy::start(vec![]).await.unwrap();
    let folder = home.join("server");
    let native = format!("    type: file\n    from: gs://{bucket}/in/*.csv\n    interval: 200ms\n");
    write_flow(&folder, "native", "{{ trigger.uri }} {{ trigger.size }}", &native);
    let kestra = format!(
        "    type: io.kestra.plugin.gcp.gcs.Trigger\n    from: gs://{bucket}/deep\n    regExp: '.*/20\\d\\d/.*'\n    \
         listingType: RECURSIVE\n    interval: PT0.2S\n    action: NONE\n"
    );
    write_flow(&folder, "kestra", "{{ trigger.blobs[0].uri }}", &kestra);
    let looked = ["in%2F", "deep%2F"];
    put(home, &bucket, "in/there_already.csv", "x").await;

    let variables = [("STORAGE_EMULATOR_HOST", proxy.url.as_str())];
    let server = Server::start(&folder, &variables);
    two_looks(&proxy, &looked).await;
    for name in ["in/one.csv", "in/other.txt", "in/below/two.csv", "deep/2020/a.csv", "deep/old/b.csv", "deep.csv"] {
        put(home, &bucket, name, "x").await;
    }
    until("both have arrived", || given(&folder, "native").len() + given(&folder, "kestra").len() == 2).await;
    two_looks(&proxy, &looked).await;
    let one = json!(format!("gs://{bucket}/in/one.csv 1"));
    assert_eq!(given(&folder, "native"), std::slice::from_ref(&one), "{}", server.said());
    assert_eq!(given(&folder, "kestra"), [json!(format!("gs://{bucket}/deep/2020/a.csv"))]);

    drop(server);
    put(home, &bucket, "in/while_it_was_down.csv", "xy").await;
    let server = Server::start(&folder, &variables);
    until("what came meanwhile has arrived", || given(&folder, "native").len() == 2).await;
    two_looks(&proxy, &looked).await;
    let meanwhile = json!(format!("gs://{bucket}/in/while_it_was_down.csv 2"));
    assert_eq!(given(&folder, "native"), [one.clone(), meanwhile.clone()], "{}", server.said());

    put(home, &bucket, "in/one.csv", "other").await;
    until("the new content has arrived", || given(&folder, "native").len() == 3).await;
    two_looks(&proxy, &looked).await;
    assert_eq!(given(&folder, "native"), [one, meanwhile, json!(format!("gs://{bucket}/in/one.csv 5"))]);
    assert_eq!(given(&folder, "kestra").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_missing_is_told_once_and_looked_for_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(name) = bucket(home, "arrivals-missing").await else { return };
    let gone = format!("{}/storage/v1/b/{name}", google::emulators().unwrap()["STORAGE_EMULATOR_HOST"]);
    assert!(reqwest::Client::new().delete(gone).send().await.unwrap().status().is_success());
    let proxy = Proxy::start(vec![]).await.unwrap();
    let folder = home.join("server");
    let trigger = format!("    type: file\n    from: gs://{name}\n    interval: 200ms\n");
    write_flow(&folder, "waits", "{{ trigger.name }}", &trigger);
    let server = Server::start(&folder, &[("STORAGE_EMULATOR_HOST", &proxy.url)]);
    two_looks(&proxy, &[""]).await;
    assert_eq!(server.said().matches(&format!("listing gs://{name}/: Google answered 404")).count(), 1);
    assert!(server.said().contains("create the bucket with a task of type `gcs.create_bucket`"), "{}", server.said());
    bucket(home, "arrivals-missing").await;
    two_looks(&proxy, &[""]).await;
    put(home, &name, "a.csv", "x").await;
    until("the object has arrived", || given(&folder, "waits") == [json!("a.csv")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_triggers_own_key_signs_its_looks_and_is_told_to_nobody() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(bucket) = bucket(home, "arrivals-key").await else { return };
    let proxy = Proxy::start(vec![]).await.unwrap();
    let folder = home.join("server");
    let trigger = format!(
        "    type: file\n    from: gs://{bucket}/in\n    interval: 200ms\n    service_account: \"{{{{ secret('KEY') }}}}\"\n"
    );
    write_flow(&folder, "signed", "{{ trigger.name }}", &trigger);
    let key = google::key(home);
    let variables = [("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", proxy.url.as_str()), ("KEY", key.as_str())];
    let server = Server::start(&folder, &variables);
    two_looks(&proxy, &["in%2F"]).await;
    put(home, &bucket, "in/a.csv", "x").await;
    until("the object has arrived", || given(&folder, "signed") == [json!("a.csv")]).await;
    let mut tokens = proxy.tokens.lock().unwrap().clone();
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "one token does for all looks");
    let token = tokens[0].strip_prefix("Bearer ey").expect("a signed token");
    assert!(!server.said().contains(token) && !server.said().contains("PRIVATE"), "{}", server.said());
}
