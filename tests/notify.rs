//! Notifications, over real connections: a web server that takes what a chat's webhook takes, a real mail
//! server, and a command.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use chrono::{DateTime, TimeDelta, Utc};
use jitney::clock;
use jitney::config::{CliOverrides, Settings};
use jitney::flow::expression::NoHost;
use jitney::id::{ExecutionId, RunId};
use jitney::journal::{Event, ExecutionSpec, ExecutionState, Journal, State, TaskFailure};
use jitney::server::notify::Notifier;
use jitney::server::retention::{HomeUsage, Retention};
use jitney::task::{ErrorClass, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

struct Place {
    folder: tempfile::TempDir,
    settings: Arc<Settings>,
    journal: Arc<Journal>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let overrides = CliOverrides { home: Some(folder.path().to_owned()), postgres: None };
        let settings = Arc::new(Settings::from_environment(overrides, BTreeMap::new()).unwrap());
        let journal = Arc::new(Journal::open(&settings.journal()).unwrap());
        Self { folder, settings, journal }
    }

    fn notifier(&self, rule: Value) -> Notifier {
        let rules = vec![serde_json::from_value(rule).unwrap()];
        Notifier::new(rules, self.journal.clone(), self.settings.clone(), Arc::new(NoHost), jitney::tasks::ALL).unwrap()
    }

    /// An execution that begins to exist at a time.
    fn begun(&self, id: &str, at: DateTime<Utc>) -> (ExecutionId, State) {
        let id = ExecutionId::new(id);
        let created = ExecutionSpec {
            flow: "taxi".to_owned(),
            namespace: "zoomcamp".to_owned(),
            trigger_date: "2020-04-01T00:00:00Z".parse().unwrap(),
            ..serde_json::from_value(json!({"flow": "", "namespace": "", "file": "", "text": "", "sha256": "",
                "inputs": {}, "labels": {}, "trigger_date": "2020-04-01T00:00:00Z"}))
            .unwrap()
        };
        let state = self.journal.create(&id, at, created).unwrap();
        (id, state)
    }

    /// An execution that began and ended at a time.
    fn ended(&self, id: &str, end: ExecutionState, at: DateTime<Utc>) -> (ExecutionId, State) {
        let (id, mut state) = self.begun(id, at);
        let run = RunId::new("extract");
        let mut events = vec![Event::Started, Event::TaskStarted { run: run.clone(), attempt: 1 }];
        if end == ExecutionState::Failed {
            let message = "404 Not Found".to_owned();
            let error = TaskFailure { class: ErrorClass::Permanent, message, help: None, code: None };
            events.push(Event::TaskFailed { run, error, retry_at: None });
        } else {
            let (outputs, labels) = Default::default();
            events.push(Event::TaskSucceeded { run, outputs, labels, warning: false });
        }
        events.push(Event::Ended { state: end, outputs: Default::default() });
        events.iter().for_each(|event| self.journal.append(&id, &mut state, at, event).unwrap());
        (id, state)
    }
}

/// A chat's webhook: keeps the texts that it is sent, or refuses them all.
async fn chat(refuses: bool) -> (String, Arc<Mutex<Vec<String>>>) {
    let texts = Arc::<Mutex<Vec<String>>>::default();
    let kept = texts.clone();
    let take = move |body: axum::Json<Value>| async move {
        if refuses {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        kept.lock().unwrap().push(body["text"].as_str().unwrap().to_owned());
        StatusCode::OK
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/services/T0/B0/secretpath", listener.local_addr().unwrap());
    let router = Router::new().route("/services/T0/B0/secretpath", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, texts)
}

#[tokio::test]
async fn a_failing_flow_is_told_once_and_its_recovery_too() {
    let place = Place::new();
    let (webhook, texts) = chat(false).await;
    let notifier = place.notifier(json!({"flows": ["zoomcamp.*"], "webhook": webhook, "repeat": "24h"}));
    let noon: DateTime<Utc> = "2020-05-01T12:00:00Z".parse().unwrap();
    let ends = [ExecutionState::Failed, ExecutionState::Failed, ExecutionState::Success, ExecutionState::Success];
    for (hour, end) in ends.into_iter().enumerate() {
        let at = noon + TimeDelta::hours(i64::try_from(hour).unwrap());
        let (id, state) = place.ended(&format!("e{hour}"), end, at);
        assert_eq!(notifier.ended(&id, &state, at).await, [""; 0]);
    }
    assert_eq!(
        *texts.lock().unwrap(),
        [
            "zoomcamp.taxi failed for 2020-04-01\nTask extract: 404 Not Found\nExecution e0",
            "zoomcamp.taxi runs again for 2020-04-01\nIt had failed 2 times\nExecution e2",
        ]
    );
}

#[tokio::test]
async fn a_message_that_was_not_taken_is_reported_without_its_address_and_told_by_the_next_failure() {
    let place = Place::new();
    let now = clock::now();
    let (webhook, _) = chat(true).await;
    let (id, state) = place.ended("e1", ExecutionState::Failed, now);
    let problems = place.notifier(json!({"webhook": webhook})).ended(&id, &state, now).await;
    assert!(problems.len() == 1 && problems[0].contains("answered 503"), "{problems:?}");
    assert!(!problems[0].contains("secretpath"), "{problems:?}");
    let (id, state) = place.ended("e2", ExecutionState::Failed, now);
    let problems = place.notifier(json!({"webhook": webhook})).ended(&id, &state, now).await;
    assert_eq!(problems.len(), 1, "it is tried again");
}

#[tokio::test]
async fn a_command_gets_the_text_as_arguments_and_on_its_input() {
    let place = Place::new();
    let file = place.folder.path().join("told");
    let script = format!("cat > '{}'; echo \"$1\" >> '{0}'", file.display());
    let rule = json!({"command": ["sh", "-c", script, "sh", "{{ error.task }}"], "message": "{{ flow.id }}: {{ error.message }}"});
    let (id, state) = place.ended("e1", ExecutionState::Failed, clock::now());
    assert_eq!(place.notifier(rule).ended(&id, &state, clock::now()).await, [""; 0]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "taxi: 404 Not Foundextract\n");
}

#[tokio::test]
async fn a_command_sees_nothing_of_the_servers_environment_and_leaves_nothing_running() {
    let place = Place::new();
    let file = place.folder.path().join("told");
    // What cargo sets stands for the passwords that a server's environment may hold.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let script = format!("sleep 600 & echo \"$! [$CARGO_MANIFEST_DIR]\" > '{}'", file.display());
    let (id, state) = place.ended("e1", ExecutionState::Failed, clock::now());
    let rule = json!({"command": ["sh", "-c", script]});
    assert_eq!(place.notifier(rule).ended(&id, &state, clock::now()).await, [""; 0]);
    let reported = std::fs::read_to_string(file).unwrap();
    let (sleeper, seen) = reported.trim().split_once(' ').unwrap();
    assert_eq!(seen, "[]");
    let stat = || std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
    let is_gone = || stat().is_empty() || stat().contains(") Z ");
    // It is killed before the notification ends, and gone when the system has come to it.
    for _ in 0..200 {
        if !is_gone() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    assert!(is_gone(), "{}", stat());
}

/// A mail server that keeps what it gets in a folder, and ends with the test.
struct MailServer(Child);

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mail");
    let python = folder.join("bin/python");
    let has_it =
        |python: &Path| Command::new(python).args(["-c", "import aiosmtpd"]).output().is_ok_and(|o| o.status.success());
    if !has_it(&python) {
        assert!(Command::new("python3").args(["-m", "venv"]).arg(&folder).status().unwrap().success());
        let install = Command::new(&python).args(["-m", "pip", "install", "-q", "aiosmtpd==1.4.6"]).status();
        assert!(install.unwrap().success(), "cannot install aiosmtpd");
    }
    python
}

fn mail_server(mailbox: &Path) -> (MailServer, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(python());
    command.args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")]);
    let server = MailServer(command.args(["-c", "aiosmtpd.handlers.Mailbox"]).arg(mailbox).spawn().unwrap());
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return (server, port);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the mail server does not answer");
}

#[tokio::test]
async fn a_mail_arrives() {
    let place = Place::new();
    let mailbox = place.folder.path().join("mailbox");
    let (_server, port) = mail_server(&mailbox);
    let mail = json!({"host": "127.0.0.1", "port": port, "tls": "none", "from": "Jitney <jitney@example.com>",
        "to": ["team@example.com"]});
    let (id, state) = place.ended("e1", ExecutionState::Failed, clock::now());
    assert_eq!(place.notifier(json!({"mail": mail})).ended(&id, &state, clock::now()).await, [""; 0]);
    let letter = mailbox.join("new").read_dir().unwrap().next().unwrap().unwrap().path();
    let letter = std::fs::read_to_string(letter).unwrap();
    for part in ["Subject: zoomcamp.taxi failed for 2020-04-01", "To: team@example.com", "Task extract: 404 Not Found"]
    {
        assert!(letter.contains(part), "{part} is missing\n{letter}");
    }
}

#[test]
fn what_is_too_old_or_too_much_goes_and_the_rest_stays() {
    let place = Place::new();
    let now: DateTime<Utc> = "2020-05-01T12:00:00Z".parse().unwrap();
    let (long_ago, task) = (now - TimeDelta::days(900), jitney::id::TaskId::new("t"));
    let (open, _) = place.begun("e0", long_ago);
    (0..700).for_each(|_| place.journal.log(&open, long_ago, &task, Level::Info, "line").unwrap());
    for (id, days) in [("e1", 400), ("e2", 100), ("e3", 20), ("e4", 2), ("e5", 1)] {
        let at = now - TimeDelta::days(days);
        let (id, _) = place.ended(id, ExecutionState::Success, at);
        place.journal.log(&id, at, &task, Level::Info, "line").unwrap();
        let folder = place.settings.storage().join(id.as_str());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), vec![0; 1000]).unwrap();
    }
    // Of one that has not ended nothing goes, nor what may belong to one that is just being made; what nobody knows of does.
    place.ended("e6", ExecutionState::Success, now);
    for (id, days) in [("e0", 900), ("new", 0), ("unknown", 900)] {
        let folder = place.settings.storage().join(id);
        std::fs::create_dir_all(&folder).unwrap();
        let at = now - TimeDelta::days(days);
        std::fs::File::open(&folder).unwrap().set_modified(at.into()).unwrap();
    }
    let mut retention = Retention::default();
    retention.disk = Some(jitney::server::retention::ByteSize(1500));
    let sweep = || retention.sweep(&place.journal, &place.settings, now, &CancellationToken::new()).unwrap();
    let swept = sweep();
    // Files go first: those of three are a week old, and those of nobody; of the others' only one has room. Then the
    // lines of two, and the first execution, which is a year old.
    assert_eq!((swept.executions, swept.log_lines, swept.files_of, swept.bytes), (1, 2, 5, 4000));
    let left: Vec<String> =
        place.journal.executions(None, 10).unwrap().into_iter().map(|summary| summary.id.to_string()).collect();
    assert_eq!(left, ["e6", "e5", "e4", "e3", "e2", "e0"]);
    let mut folders: Vec<_> =
        place.settings.storage().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    folders.sort();
    assert_eq!(folders, ["e0", "e5", "new"]);
    assert_eq!(HomeUsage::of(&place.settings).files, 1000);
    assert_eq!(place.journal.logs(&ExecutionId::new("e2")).unwrap().len(), 0);
    assert_eq!(place.journal.logs(&ExecutionId::new("e3")).unwrap().len(), 1);
    assert_eq!(place.journal.logs(&open).unwrap().len(), 700, "it has not ended");
    assert_eq!(sweep(), Default::default());
}
