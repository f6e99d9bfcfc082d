//! A machine that keeps the server from its work: what is wrong is in the log, in `/ready`, in `/metrics`, and people are
//! notified.

use std::process::Command;

use rlimit::{INFINITY, Resource, prlimit};
use serde_json::{Value, json};

use crate::common::attempt::skip;
use crate::common::receiver::{Kept, receiver};
use crate::rest::world::{Place, Server, until};

const FLOW: &str = "id: good\nnamespace: n\ntasks:\n  - {id: a, type: log, message: hi}\n";

/// A place with a flow whose notifications are kept.
async fn place() -> (Place, Kept) {
    let (place, (address, kept)) = (Place::new(), receiver().await);
    place.write("jitney.yaml", format!("notifications: [{{webhook: \"{address}\"}}]\n"));
    place.write("flows/good.yaml", FLOW);
    (place, kept)
}

fn texts(kept: &Kept) -> String {
    kept.lock().unwrap().iter().map(|reported| reported["text"].to_string()).collect::<Vec<_>>().join("\n")
}

/// How many errors a part has had.
fn errors(server: &Server, part: &str) -> u64 {
    let (text, name) = (server.curl(&["/metrics"]), format!("jitney_errors_total{{place=\"{part}\"}} "));
    let line = text.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{text}"));
    line.parse().unwrap()
}

/// Waits until it is known everywhere that a part cannot do its work, and why.
async fn until_reported(server: &Server, kept: &Kept, part: &str, why: &str) {
    let check = || {
        let ready = server.get("/ready");
        ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == part).unwrap().clone()
    };
    until("it is not ready", async || server.code(&["/ready"]) == "503" && check()["status"] == "DOWN").await;
    assert!(check()["problem"].as_str().unwrap().contains(why), "{}", check());
    let is_it = |line: &&str| line.contains("  ERROR  ") && line.contains(why) && line.contains("(affects: ");
    until("it is logged", async || server.log().lines().any(|line| is_it(&line))).await;
    let reported = || {
        texts(kept).lines().any(|text| text.contains("The server cannot do all of its work: ") && text.contains(why))
    };
    until("people are told", async || reported()).await;
    assert!(errors(server, part) > 0);
    assert_eq!(server.code(&["/health"]), "200", "it is alive");
    let log = server.log();
    assert_eq!(log.lines().filter(is_it).count(), 1, "once for each cause: {log}");
}

/// Waits until it is known everywhere that all is well.
async fn until_over(server: &Server, kept: &Kept, why: &str) {
    until("it is ready again", async || server.code(&["/ready"]) == "200").await;
    let is_it = |line: &str| line.contains("  INFO   over: ") && line.contains(why);
    until("that is logged", async || server.log().lines().any(is_it)).await;
    until("people are told that too", async || texts(kept).contains("The server is healthy again")).await;
    let ran = server.json(&["/api/v1/executions/n/good?wait=true", "-X", "POST"]);
    assert_eq!(ran["state"]["current"], "SUCCESS", "{ran}");
}

async fn started(server: &Server) {
    until("it is ready", async || server.get("/ready")["status"] == "UP").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_can_no_longer_be_written_is_reported() {
    let (place, kept) = place().await;
    let server = place.server_limited("trap '' XFSZ");
    started(&server).await;
    let limit = |soft| {
        let id = server.id().cast_signed();
        prlimit(id, Resource::FSIZE, Some((soft, INFINITY)), None).unwrap();
    };
    // Whatever it writes into a file is refused from now on.
    limit(0);
    until_reported(&server, &kept, "journal", "the journal cannot be used").await;
    limit(INFINITY);
    until_over(&server, &kept, "the journal cannot be used").await;
}

/// Mounts a small disk for the home where nobody else sees it, and does there what the file `order` says.
const SMALL_DISK: &str = "exec unshare -rm sh -c 'mount -t tmpfs -o size=64m tmpfs home && \
    { while [ -e flows ]; do [ -e order ] && sh order && rm order; sleep 0.1; done >/dev/null 2>&1 & } ; \
    exec \"$0\" \"$@\"' \"$0\" \"$@\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported() {
    let may_mount = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        return skip("this user may not mount a small disk");
    }
    let (place, kept) = place().await;
    place.write("home/below", "");
    let server = place.server_limited(SMALL_DISK);
    started(&server).await;
    assert!(!place.path("home/journal.db").exists(), "its home is on the small disk");
    place.write("order", "cat /dev/zero > home/fill || true");
    until_reported(&server, &kept, "disk", "is nearly full").await;
    place.write("order", "rm home/fill");
    until_over(&server, &kept, "is nearly full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_flows_that_cannot_be_read_is_reported() {
    let (place, kept) = place().await;
    let server = place.server();
    started(&server).await;
    std::fs::rename(place.path("flows"), place.path("away")).unwrap();
    place.write("flows", "no folder");
    until_reported(&server, &kept, "flows", "cannot read the folder").await;
    std::fs::remove_file(place.path("flows")).unwrap();
    std::fs::rename(place.path("away"), place.path("flows")).unwrap();
    until_over(&server, &kept, "cannot read the folder").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_error_is_logged_once_and_counted_each_time() {
    let place = Place::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.write("jitney.yaml", format!("opentelemetry: \"http://{nobody}\"\n"));
    place.write("flows/good.yaml", FLOW);
    let server = place.server();
    for _ in 0..3 {
        server.json(&["/api/v1/executions/n/good?wait=true", "-X", "POST"]);
    }
    until("all are counted", async || errors(&server, "traces") >= 3).await;
    let log = server.log();
    assert_eq!(log.lines().filter(|line| line.contains("trace")).count(), 1, "{log}");
    assert_eq!(server.get("/ready")["status"], "UP", "nothing of its own work is in the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_filter_applies_and_secrets_are_redacted() {
    let token = "s3cret-token-of-some-length";
    let hook = "  - {id: hook, type: webhook, key: abcdefghijklmnopqrstuvwx}\n";
    let mut place = Place::new();
    place.variables = vec![
        ("JITNEY_TOKEN".to_owned(), token.to_owned()),
        ("JITNEY_LOG".to_owned(), "warn,jitney::http=debug,jitney::flows=info,jitney::server=info".to_owned()),
    ];
    place.write("flows/good.yaml", format!("{FLOW}triggers:\n{hook}"));
    let server = place.server_with(&["--log", "json"]);
    place.write("flows/new.yaml", FLOW.replace("id: good", &format!("id: {token}")));
    place.write("flows/broken.yaml", format!("id: broken\nnamespace: n\ntasks:\n  - {{id: a, type: {token}}}\n"));
    let lines = || -> Vec<Value> {
        let log = server.log();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    let is_there = |what: &dyn Fn(&Value) -> bool| lines().iter().any(what);
    let of_flow = |line: &Value| line["target"] == "jitney::flows" && line["flow"] == "***";
    until("the new flow is logged", async || is_there(&of_flow)).await;
    until("the broken one is logged", async || server.log().contains("unknown task type")).await;
    let called = server.json(&["/api/v1/executions/webhook/n/good/abcdefghijklmnopqrstuvwx", "-X", "POST"]);
    assert!(called["id"].is_string(), "{called}");
    let of_call = |line: &Value| {
        line["level"] == "DEBUG" && line["message"].as_str().unwrap().contains("POST /api/v1/executions/webhook/  200")
    };
    until("the call is logged", async || is_there(&of_call)).await;
    let log = server.log();
    assert!(!log.contains(token) && !log.contains("abcdefghijklmnopqrstuvwx"), "{log}");
    assert!(!is_there(&|line| line["target"] == "jitney::executions" || line["target"] == "jitney::tasks"), "{log}");
    drop(server);
    place.variables[1].1 = "jitney::schedular=debug".to_owned();
    let refused = place.jitney(&["server", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("JITNEY_LOG: there is no target `jitney::schedular`"), "{said}");
    assert_eq!(json!(refused.status.code()), 3);
}
