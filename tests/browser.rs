//! Stories of people at the pages, each played by a real browser: see `tests/browser/run`.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::json;

use crate::common::skip;
use crate::rest::world::{Place, Server};

const HELLO: &str = "id: hello\nnamespace: shop\ndescription: Greets a month.\ninputs:\n  \
    - {id: month, type: SELECT, values: ['01', '02'], defaults: '01'}\n  - {id: note, type: STRING, required: false}\n\
    labels: {team: data}\ntasks:\n  - {id: greet, type: log, message: 'Hello {{ inputs.month }} {{ inputs.note }}'}\n";

const BROKEN: &str = "id: broken\nnamespace: shop\ntasks:\n  - {id: first, type: log, message: fine}\n  \
    - {id: stop, type: fail, errorMessage: 'column `borough` does not exist'}\n";

const SLOW: &str = "id: slow\nnamespace: shop\ntasks:\n  - {id: wait, type: sleep, duration: PT4S}\n";

/// A story that is being played.
struct Story {
    process: Child,
    said: BufReader<ChildStdout>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/run")
}

/// Whether there is a browser. Under the strict switch one that is missing fails the test.
fn has_browser() -> bool {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let output = Command::new(script()).arg("install").output().map_err(|error| error.to_string())?;
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    let Err(problem) = found else { return true };
    skip(problem);
    false
}

impl Story {
    fn begin(name: &str, server: &Server, words: &[&str]) -> Self {
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        fs::create_dir_all(&pictures).unwrap();
        let mut command = Command::new(script());
        command.args(["play", name, &server.address]).args(words).env("JITNEY_TEST_PICTURES", pictures);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// Waits until the story has come to a point.
    fn reaches(&mut self, point: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), point);
    }

    fn ends(mut self) {
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the story ended with {status}");
    }
}

fn play(name: &str, server: &Server, words: &[&str]) {
    Story::begin(name, server, words).ends();
}

/// A server with a flow that greets, one that fails and one that takes its time.
fn shop() -> (Place, Server) {
    let place = Place::new();
    for (name, flow) in [("hello", HELLO), ("broken", BROKEN), ("slow", SLOW)] {
        place.write(&format!("flows/{name}.yaml"), flow);
    }
    let server = place.server();
    (place, server)
}

/// Starts an execution; its id.
fn start(server: &Server, flow: &str, wait: bool) -> String {
    let execution = server.post(&format!("/api/v1/executions/shop/{flow}?wait={wait}"), &json!({}));
    execution["id"].as_str().unwrap_or_else(|| panic!("{execution}")).to_owned()
}

#[test]
fn a_flow_runs_by_keyboard_alone() {
    if has_browser() {
        play("runs_by_keyboard", &shop().1, &[]);
    }
}

#[test]
fn a_flow_runs_without_scripts() {
    if has_browser() {
        play("runs_without_script", &shop().1, &[]);
    }
}

#[test]
fn every_page_is_open_to_everybody() {
    if !has_browser() {
        return;
    }
    let (_place, server) = shop();
    let [good, bad] = ["hello", "broken"].map(|flow| format!("/executions/{}", start(&server, flow, true)));
    let pages = [
        "/",
        "/flows",
        "/flows/shop/hello",
        "/flows/shop/hello/run",
        "/flows/shop/hello/partitions",
        "/flows/shop/hello/edit",
        "/flows/new",
        "/flows/import",
        "/executions",
        &good,
        &bad,
        "/executions/none",
        "/schedules",
        "/data",
        "/kv",
        "/secrets",
        "/tasks",
        "/tasks/sleep",
        "/api",
        "/settings",
        "/audit",
    ];
    play("is_open_to_everybody", &server, &pages);
}

#[test]
fn an_open_page_is_right_again_after_a_crash() {
    if !has_browser() {
        return;
    }
    let (place, server) = shop();
    let execution = start(&server, "slow", false);
    let mut story = Story::begin("reads_on_after_a_crash", &server, &[&execution]);
    story.reaches("watching");
    let address = server.address.clone();
    server.kill();
    story.reaches("offline");
    let _server = place.server_on(&address);
    story.ends();
}

const MONTHS: &str = "id: months\nnamespace: shop\ninputs:\n  \
    - {id: taxi, type: SELECT, values: [green, yellow], defaults: green}\ntriggers:\n  \
    - {id: monthly, type: schedule, cron: '@monthly', disabled: true}\ntasks:\n  \
    - {id: load, type: log, message: '{{ inputs.taxi }} {{ trigger.date | date(\"yyyy-MM\") }}'}\n";

#[test]
fn a_year_with_holes_is_backfilled() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    place.write("flows/months.yaml", MONTHS);
    for month in ["2019-02", "2019-03", "2019-05"] {
        let ran = place.jitney(&["backfill", "flows/months.yaml", "--from", month, "--to", month, "-i", "taxi=green"]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    play("backfills_a_year_with_holes", &place.server(), &[]);
}

#[test]
fn partitions_are_selected_by_keyboard() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    place.write("flows/months.yaml", MONTHS);
    play("selects_by_keyboard", &place.server(), &[]);
}

#[test]
fn people_sign_in_and_do_what_their_role_allows() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    place.write("flows/hello.yaml", HELLO);
    let users = "users:\n  - {name: ada, password: a-long-password-1, role: admin}\n  \
        - {name: vic, password: a-long-password-2, role: viewer}\n";
    place.write("home/jitney.yaml", users);
    play("signs_in", &place.server(), &[]);
}

#[test]
fn a_flow_that_fails_is_fixed_in_the_editor() {
    if !has_browser() {
        return;
    }
    let (_place, server) = shop();
    start(&server, "broken", true);
    play("fixes_a_flow_that_fails", &server, &[]);
}

#[test]
fn two_tabs_that_edit_a_flow_lose_nothing() {
    if has_browser() {
        play("two_tabs_edit_a_flow", &shop().1, &[]);
    }
}

#[test]
fn a_task_is_edited_in_the_form() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    let flow =
        "id: noted\nnamespace: shop\ntasks:\n  - id: greet\n    type: log\n    message: Hello   # said to everybody\n";
    let file = place.write("flows/noted.yaml", flow);
    play("edits_in_the_form", &place.server(), &[]);
    assert_eq!(fs::read_to_string(file).unwrap(), flow.replace("Hello ", "Good morning "));
}
