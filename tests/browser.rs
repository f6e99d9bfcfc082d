//! Stories of people at the pages, each played by a real browser: see `tests/browser/run`.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod loads;

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

const SLOW: &str = "id: slow\nnamespace: shop\ntasks:\n  - {id: wait, type: sleep, duration: PT10S}\n";

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

/// A flow with an input of each type.
const EVERYTHING: &str = "id: everything\nnamespace: shop\ninputs:\n  - {id: text, type: STRING}\n  \
    - {id: whole, type: INT}\n  - {id: broken, type: FLOAT}\n  - {id: flag, type: BOOL, defaults: false}\n  \
    - {id: one, type: SELECT, values: [green, yellow], defaults: green}\n  \
    - {id: only, type: STRING, required: false, dependsOn: {inputs: [one], condition: \"{{ inputs.one == 'yellow' }}\"}}\n  \
    - {id: side, type: SELECT, values: [north, south], isRadio: true}\n  \
    - {id: some, type: MULTISELECT, values: [x, y], required: false}\n  - {id: list, type: ARRAY, itemType: STRING}\n  \
    - {id: day, type: DATE}\n  - {id: moment, type: DATETIME}\n  - {id: clock, type: TIME}\n  \
    - {id: length, type: DURATION}\n  - {id: object, type: JSON}\n  - {id: tree, type: YAML}\n  \
    - {id: place, type: URI}\n  - {id: mail, type: EMAIL}\n  - {id: paper, type: FILE, required: false}\n  \
    - {id: hidden, type: SECRET, required: false}\ntasks:\n  - id: say\n    type: log\n    message: >-\n      \
    {{ inputs.text }} {{ inputs.whole }} {{ inputs.broken }} {{ inputs.flag }} {{ inputs.one }} {{ inputs.side }}\n      \
    {{ inputs.some }} {{ inputs.list | join('+') }} {{ inputs.day }} {{ inputs.clock }} {{ inputs.object.a }}\n      \
    {{ inputs.tree.b }} {{ inputs.mail }} {{ inputs.only }} {{ inputs.hidden }}\n  \
    - {id: read, type: log, message: 'the paper says: {{ read(inputs.paper) }}'}\n";

#[test]
fn a_form_takes_every_type_of_input() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    place.write("flows/everything.yaml", EVERYTHING);
    let paper = place.write("paper.txt", "hello");
    play("fills_in_a_form", &place.server(), &[paper.to_str().unwrap()]);
}

#[test]
fn a_dropped_folder_of_flows_is_imported() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    let log = "type: io.kestra.plugin.core.log.Log\n    message: Hello from the course\n";
    for (name, id, task) in
        [("greets", "greets", log), ("more/again", "again", log), ("broken", "broken", "type: none\n")]
    {
        let flow = format!("id: {id}\nnamespace: zoomcamp\ntasks:\n  - id: say\n    {task}");
        place.write(&format!("course/{name}.yaml"), flow);
    }
    place.write("course/README.md", "not a flow");
    play("imports_a_folder", &place.server(), &[place.path("course").to_str().unwrap()]);
}

#[test]
fn a_viewer_reads_why_buttons_are_off() {
    if !has_browser() {
        return;
    }
    let place = Place::new();
    place.write("flows/months.yaml", MONTHS);
    place.write("flows/broken.yaml", BROKEN);
    for flow in ["months", "broken"] {
        place.jitney(&["run", &format!("flows/{flow}.yaml")]);
    }
    place.jitney(&["kv", "set", "--namespace", "shop", "month", "2019-01"]);
    place.write("home/jitney.yaml", "users: [{name: vic, password: a-long-password-2, role: viewer}]\n");
    let listed = place.jitney(&["executions", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let executions: Vec<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|execution| format!("/executions/{}", execution["id"].as_str().unwrap()))
        .collect();
    let mut words = vec![
        "vic",
        "a-long-password-2",
        "/",
        "/flows",
        "/flows/shop/months",
        "/flows/shop/months/run",
        "/flows/shop/months/edit",
        "/flows/shop/months/edit?view=form",
        "/flows/new",
        "/flows/import",
        "/flows/shop/months/partitions",
        "/flows/shop/months/backfill?from=2019-01&to=2019-03",
        "/executions",
        "/executions?group=cause",
        "/executions/bulk?action=restart&state=FAILED",
        "/schedules",
        "/kv",
        "/kv/shop/month",
        "/data",
        "/data/query",
    ];
    words.extend(executions.iter().map(String::as_str));
    play("sees_why_a_button_is_off", &place.server(), &words);
}
