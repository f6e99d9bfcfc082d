//! `jitney server`, as its users meet it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use jitney::journal::{ExecutionQuery, Journal, Summary};

use crate::server::world::{until, write};

struct Process {
    child: Child,
    /// Where it listens.
    address: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
    command.env_clear().env("HOME", folder).env("PATH", std::env::var("PATH").unwrap_or_default());
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.args(["--home", "home", "server", "--listen", "127.0.0.1:0", "--grace", "2s"]);
    command
}

fn start(folder: &Path) -> Process {
    let mut child = command(folder).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next().expect("the server ended").unwrap();
        if let Some((_, rest)) = line.split_once("listening on http://") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    // Nobody reads further, but the pipe must not fill.
    std::thread::spawn(move || lines.for_each(drop));
    Process { child, address }
}

fn refused(folder: &Path) -> Output {
    command(folder).output().unwrap()
}

fn executions(folder: &Path) -> Vec<Summary> {
    Journal::open(&folder.join("home/journal.db"))
        .unwrap()
        .search(&ExecutionQuery::default(), 10_000, 0)
        .unwrap()
        .executions
}

fn get(address: &str, path: &str) -> String {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[cfg(unix)]
fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

const EVERY_SECOND: &str = "id: ticks\nnamespace: n\nconcurrency: {limit: 2}\ntasks:\n  \
    - {id: one, type: log, message: \"{{ trigger.date }}\"}\n  - {id: two, type: sleep, duration: 300ms}\n\
    triggers:\n  - {id: t, type: schedule, cron: \"* * * * * *\", withSeconds: true, allowConcurrent: true}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_three_times_runs_every_date_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("flows/ticks.yaml"), EVERY_SECOND);
    for _ in 0..3 {
        let mut server = start(folder.path());
        tokio::time::sleep(Duration::from_millis(2200)).await;
        server.child.kill().unwrap();
    }
    let server = start(folder.path());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    signal(&server.child, "TERM");
    let mut server = server;
    let ended = server.child.wait().unwrap();
    assert!(ended.success(), "{ended}");
    let server = start(folder.path());
    until("all of the past have ended", || {
        let open = |execution: &Summary| execution.ended.is_none();
        executions(folder.path()).iter().filter(|execution| open(execution)).count() <= 2
    })
    .await;
    drop(server);
    let mut dates: Vec<i64> =
        executions(folder.path()).iter().map(|execution| execution.trigger_date.unwrap().timestamp()).collect();
    dates.sort_unstable();
    assert!(dates.len() >= 8, "{dates:?}");
    assert!(dates.windows(2).all(|pair| pair[1] == pair[0] + 1), "one execution for each second: {dates:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_server_uses_a_home_and_it_reports_its_health() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("flows/f.yaml"), "id: f\nnamespace: n\ntasks:\n  - {id: a, type: log, message: hi}\n");
    let server = start(folder.path());
    let health = get(&server.address, "/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"status\":\"UP\""), "{health}");
    let second = refused(folder.path());
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("process {}", server.child.id())), "{said}");
    signal(&server.child, "INT");
    let began = Instant::now();
    let mut server = server;
    assert!(server.child.wait().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(5), "nothing was under way");
}

/// A condition that takes nearly the longest that one may, and does not hold.
const SLOW: &str = "{% for a in range(1, 900) %}{% for b in range(1, 900) %}{% if a == b + 1000 %}x{% endif %}{% endfor %}{% endfor %}";

#[tokio::test(flavor = "multi_thread")]
async fn slow_conditions_block_neither_other_triggers_nor_requests() {
    let folder = tempfile::tempdir().unwrap();
    let flow = |id: &str, trigger: &str| {
        let text = format!(
            "id: {id}\nnamespace: n\ntasks:\n  - {{id: one, type: log, message: m}}\ntriggers:\n  - {{id: t, {trigger}}}\n"
        );
        write(&folder.path().join(format!("flows/{id}.yaml")), &text);
    };
    let every_second = "type: schedule, cron: \"* * * * * *\", withSeconds: true, allowConcurrent: true";
    let never = format!("when: \"{SLOW}{{{{ false }}}}\"");
    flow("a_slow", &format!("{every_second}, {never}"));
    flow("b_slow", &format!("type: flow, states: [SUCCESS], {never}"));
    flow("fast", every_second);
    flow("follower", "type: flow, states: [SUCCESS], conditions: [{type: execution_flow, namespace: n, flowId: fast}]");
    let server = start(folder.path());
    let ran = |flow: &str| executions(folder.path()).iter().filter(|one| one.flow.as_str() == flow).count();
    until("the fast ones have run", || ran("fast") >= 3 && ran("follower") >= 2).await;
    assert!(get(&server.address, "/health").starts_with("HTTP/1.1 200"));
    let triggers = get(&server.address, "/api/v1/triggers/search");
    assert!(triggers.starts_with("HTTP/1.1 200") && triggers.contains("a_slow"), "{triggers}");
    assert_eq!(ran("a_slow") + ran("b_slow"), 0);
}
