//! What `jitney server` resumes of what others left, and what it leaves alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jitney::journal::{ExecutionQuery, ExecutionState, Journal, StartedBy, State, Summary};

use crate::server::world::{until, write};

/// A process that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command whose process number is written to the file `pid` first.
fn start(folder: &Path, environment: &[(&str, &str)], arguments: &str) -> Process {
    let line = format!("echo $$ > pid; exec {} --home home {arguments}", env!("CARGO_BIN_EXE_jitney"));
    let mut command = Command::new("sh");
    command.args(["-c", &line]).env_clear().env("HOME", folder).env("PATH", std::env::var("PATH").unwrap());
    command.envs(environment.iter().copied()).current_dir(folder);
    let log = std::fs::File::options().append(true).create(true).open(folder.join("log")).unwrap();
    Process(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn serve(folder: &Path, environment: &[(&str, &str)]) -> Process {
    let _ = std::fs::remove_file(folder.join("log"));
    start(folder, environment, "server --listen 127.0.0.1:0 --grace 2s")
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

async fn address(folder: &Path) -> String {
    let found = || {
        let log = log(folder);
        let (_, rest) = log.split_once("listening on http://")?;
        Some(rest.split_whitespace().next()?.to_owned())
    };
    until("the server listens", || found().is_some()).await;
    found().unwrap()
}

fn call(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn journal(folder: &Path) -> Journal {
    Journal::open(&folder.join("home/journal.db")).unwrap()
}

fn newest(folder: &Path) -> Option<Summary> {
    journal(folder).search(&ExecutionQuery::default(), 1, 0).unwrap().executions.pop()
}

fn state(folder: &Path) -> State {
    journal(folder).state(&newest(folder).unwrap().id).unwrap().unwrap()
}

fn is(folder: &Path, wanted: &str) -> bool {
    newest(folder).is_some_and(|summary| summary.state.as_str() == wanted)
}

const WAITS: &str = "id: f\nnamespace: n\ntasks:\n  - {id: a, type: sleep, duration: 10m}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_resume_executions_of_a_terminal_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("flows/f.yaml"), WAITS);
    let run = start(folder, &[], "run flows/f.yaml");
    until("it runs", || is(folder, "RUNNING")).await;
    drop(run);
    let server = serve(folder, &[]);
    let address = address(folder).await;
    let id = newest(folder).unwrap().id;
    let shown = call(&address, "GET", &format!("/executions/{id}"));
    assert!(shown.contains("\"interrupted\":true"), "{shown}");
    assert_eq!((state(folder).interruptions, state(folder).started_by), (0, Some(StartedBy::Terminal)));
    let listed = call(&address, "GET", "/executions/search");
    assert!(listed.contains("\"interrupted\":true"), "{listed}");
    let restarted = call(&address, "POST", &format!("/executions/{id}/restart"));
    assert!(restarted.starts_with("HTTP/1.1 200"), "{restarted}");
    until("it runs here", || call(&address, "GET", &format!("/executions/{id}")).contains("\"interrupted\":false"))
        .await;
    // It is the server's from then on.
    drop(server);
    let _server = serve(folder, &[]);
    until("the next server has resumed it", || state(folder).interruptions == 2 && is(folder, "RUNNING")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_of_another_postgres_are_not_resumed_but_reported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let query = "  - {id: q, type: postgres.query, sql: SELECT 1}\n";
    write(&folder.join("flows/f.yaml"), &format!("{WAITS}{query}"));
    let first = [("DATABASE_URL", "postgres://u:geheim77@first/x")];
    let server = serve(folder, &first);
    call(&address(folder).await, "POST", "/executions/n/f");
    until("it runs", || is(folder, "RUNNING")).await;
    drop(server);
    let server = serve(folder, &[("DATABASE_URL", "postgres://u@second/y")]);
    let here = address(folder).await;
    until("it is said", || log(folder).contains("not resumed")).await;
    let said = log(folder);
    assert!(
        said.contains("began with Postgres at first:5432/x and would continue with Postgres at second:5432/y"),
        "{said}"
    );
    assert!(!said.contains("geheim77"), "{said}");
    let id = newest(folder).unwrap().id;
    let refused = call(&here, "POST", &format!("/executions/{id}/restart"));
    assert!(refused.starts_with("HTTP/1.1 409") && refused.contains("first:5432/x"), "{refused}");
    assert_eq!(state(folder).interruptions, 0);
    drop(server);
    let _server = serve(folder, &first);
    until("the right server has resumed it", || state(folder).interruptions == 1 && is(folder, "RUNNING")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_kills_its_process_three_times_is_poisoned() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pid = folder.join("pid").display().to_string();
    let deadly = format!(
        "id: f\nnamespace: n\ntasks:\n  - {{id: well, type: log, message: hi}}\n  \
         - {{id: deadly, type: shell.commands, commands: [\"test -e {0}.harmless || kill -9 $(cat {0})\"]}}\n",
        pid
    );
    write(&folder.join("flows/f.yaml"), &deadly);
    let mut server = serve(folder, &[]);
    call(&address(folder).await, "POST", "/executions/n/f");
    for _ in 0..2 {
        server.0.wait().unwrap();
        assert!(is(folder, "RUNNING"));
        server = serve(folder, &[]);
    }
    server.0.wait().unwrap();
    let last = serve(folder, &[]);
    let here = address(folder).await;
    assert!(call(&here, "GET", "/executions/search").starts_with("HTTP/1.1 200"), "it lives");
    let failed = state(folder);
    assert_eq!((failed.status, failed.interruptions), (ExecutionState::Failed, 3));
    let error = failed.tasks.values().find_map(|task| task.error.as_ref()).unwrap();
    assert!(error.message.contains("poisoned") && error.message.contains("died 3 times"), "{}", error.message);
    assert!(log(folder).contains("poisoned"), "{}", log(folder));
    drop(last);
    // By hand it may run again.
    write(&folder.join("pid.harmless"), "");
    let id = newest(folder).unwrap().id;
    let mut resumed = start(folder, &[], &format!("resume {id}"));
    assert_eq!(resumed.0.wait().unwrap().code(), Some(0), "{}", log(folder));
    assert_eq!(state(folder).status, ExecutionState::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn graceful_stops_do_not_count_as_deaths() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("flows/f.yaml"), WAITS);
    let mut server = serve(folder, &[]);
    call(&address(folder).await, "POST", "/executions/n/f");
    for _ in 0..4 {
        until("it runs", || is(folder, "RUNNING")).await;
        let sent = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status().unwrap();
        assert!(sent.success() && server.0.wait().unwrap().success());
        assert!(is(folder, "QUEUED"));
        server = serve(folder, &[]);
    }
    until("it runs", || is(folder, "RUNNING")).await;
    assert_eq!(state(folder).interruptions, 0);
}
