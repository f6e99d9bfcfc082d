//! `jitney ai` and the pages that ask a model, with recorded answers over HTTP (`tests/ai/run replay`).
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::skip;
use crate::rest::world::Place;

const KEY: &str = "sk-test-0123456789abcdef";

const TRIPS: &str = "# Trips of a month.\nid: trips\nnamespace: shop\n\ntasks:\n  # Says which month.\n  \
    - id: say   # first\n    type: log\n    message: a month\n\n  \
    - id: ask\n    type: http.request\n    uri: http://localhost:1/\n    options: {basicAuthUser: me, basicAuthPassword: hunter2hunter2}\n";

const BROKEN: &str = "id: broken\nnamespace: shop\nvariables: {api_token: hunter2hunter2}\ntasks:\n  - {id: first, type: log, message: fine}\n  \
    - {id: stop, type: fail, errorMessage: 'column `borough` does not exist'}\n";

/// A model that gives recorded answers.
struct RecordedModel {
    process: Child,
    address: String,
}

impl Drop for RecordedModel {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What starts servers of models.
fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ai/run")
}

impl RecordedModel {
    /// One with the answers of a file. None where it cannot be set up; under the strict switch that fails the test.
    fn start(answers: &str) -> Option<Self> {
        let installed = Command::new(script()).arg("install").output().unwrap();
        if !installed.status.success() {
            skip(&text(&installed.stderr));
            return None;
        }
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assistant/answers").join(answers);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(script());
        command.args(["replay", &port.to_string()]).arg(file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let model = Self { process: command.spawn().unwrap(), address: format!("http://127.0.0.1:{port}") };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(model);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the model does not start");
    }

    /// The bodies of all requests.
    fn requests(&self) -> Vec<Value> {
        let output = Command::new("curl").args(["-s", &format!("{}/__aimock/journal", self.address)]).output().unwrap();
        let journal: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        journal.into_iter().map(|entry| entry["body"].clone()).collect()
    }

    /// A place whose settings name this model.
    fn place(&self) -> Place {
        let place = Place::new();
        let configuration = format!("{{model_name: recorded, base_url: '{}/v1', api_key: {KEY}}}", self.address);
        place.write("jitney.yaml", format!("ai: {{providers: [{{type: openai, configuration: {configuration}}}]}}\n"));
        place
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command says on both, and its code.
fn said(output: &Output) -> (String, String, Option<i32>) {
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn a_flawed_flow_is_corrected_by_what_the_validator_says() {
    let Some(model) = RecordedModel::start("corrected.json") else { return };
    let place = model.place();
    let (yaml, stderr, code) = said(&place.jitney(&["ai", "say hi every month"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("asking again, 2 of 4") && stderr.contains("It says hi"), "{stderr}");
    place.write("flows/hi.yaml", &yaml);
    assert_eq!(place.jitney(&["validate", "flows/hi.yaml"]).status.code(), Some(0), "{yaml}");
    let requests = model.requests();
    assert_eq!(requests.len(), 2);
    let second = requests[1]["messages"].to_string();
    assert!(second.contains("flow.yaml:4:") && second.contains("did you mean `message`?"), "{second}");
    assert!(requests[0]["messages"][0]["content"].as_str().unwrap().contains("schedule"), "the documentation is sent");
    assert!(!serde_json::to_string(&requests).unwrap().contains(KEY));
    assert!(serde_json::to_string(&requests[0]).unwrap().len() < 100_000);
}

#[test]
fn one_that_never_gets_it_right_ends_with_its_best_try() {
    let Some(model) = RecordedModel::start("never.json") else { return };
    let place = model.place();
    let (yaml, stderr, code) = said(&place.jitney(&["ai", "say hi every month", "-o", "hi.yaml"]));
    assert_eq!(code, Some(3), "{stderr}");
    assert!(yaml.contains("massage: hi") && !place.path("hi.yaml").exists(), "{yaml}");
    assert!(stderr.contains("best of 4 tries") && stderr.contains("flow.yaml:4:"), "{stderr}");
    assert_eq!(model.requests().len(), 4);
}

#[test]
fn an_edit_keeps_comments_and_passwords_and_sends_none() {
    let Some(model) = RecordedModel::start("edited.json") else { return };
    let place = model.place();
    let file = place.write("flows/trips.yaml", TRIPS);
    let file = file.to_str().unwrap();
    let (diff, stderr, code) = said(&place.jitney(&["ai", "say that it is the month of May", "--edit", file]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(diff.contains("-    message: a month") && diff.contains("+    message: May"), "{diff}");
    assert!(!diff.contains("hunter2") && std::fs::read_to_string(file).unwrap() == TRIPS, "{diff}");
    let output = place.jitney(&["ai", "say that it is the month of May", "--edit", file, "--yes"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(file).unwrap(), TRIPS.replace("message: a month", "message: May"));
    let sent = serde_json::to_string(&model.requests()).unwrap();
    assert!(sent.contains("a month") && !sent.contains("hunter2"), "{sent}");
}

#[test]
fn a_failure_is_explained_with_a_correction() {
    let Some(model) = RecordedModel::start("explained.json") else { return };
    let place = model.place();
    place.write("flows/broken.yaml", BROKEN);
    let run = place.jitney(&["run", "flows/broken.yaml", "--json"]);
    let execution: Value = serde_json::from_slice(&run.stdout).unwrap();
    let id = execution["id"].as_str().unwrap();
    let (stdout, stderr, code) = said(&place.jitney(&["ai", "explain", id]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("The column is called `Borough`") && stdout.contains("+  - {id: stop, type: log"),
        "{stdout}"
    );
    let sent = serde_json::to_string(&model.requests()).unwrap();
    assert!(sent.contains("does not exist") && !sent.contains("hunter2") && !sent.contains(KEY), "{sent}");
    let journal = std::fs::read(place.path("home/journal.db")).unwrap_or_default();
    assert!(!journal.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()));
}

#[test]
fn what_would_be_sent_is_shown_and_without_a_model_there_are_three_ways() {
    let place = Place::new();
    let (prompt, _, code) = said(&place.jitney(&["ai", "load csv files into postgres", "--show-prompt"]));
    assert_eq!(code, Some(0));
    assert!(prompt.contains("## postgres.load") && prompt.contains("load csv files into postgres"), "{prompt}");
    assert!(prompt.len() < 80_000, "{}", prompt.len());
    let (_, stderr, code) = said(&place.jitney(&["ai", "load csv files"]));
    assert_eq!(code, Some(3), "{stderr}");
    let places = ["ollama", "gemini", "openai"].map(|name| stderr.find(&format!("type: {name}")).unwrap());
    assert!(places.is_sorted(), "{stderr}");
}

#[test]
fn pages_ask_a_model_and_show_the_change_before_it_is_saved() {
    let Some(model) = RecordedModel::start("pages.json") else { return };
    let place = model.place();
    place.write("flows/trips.yaml", TRIPS);
    place.write("flows/broken.yaml", BROKEN);
    let server = place.server();
    let editor = server.curl(&["/flows/shop/trips/edit"]);
    assert!(editor.contains("Ask AI"), "{editor}");
    let base = editor.split("name=\"base\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let base = format!("base={base}");
    let words = ["--data-urlencode", &format!("text={TRIPS}"), "-d", &base, "-d", "do=ask", "-d", "wish=say May"];
    let asked = server.curl(&[&["/flows/shop/trips/edit"], &words[..]].concat());
    assert!(asked.contains("It says May") && asked.contains("class=\"added\""), "{asked}");
    assert_eq!(std::fs::read_to_string(place.path("flows/trips.yaml")).unwrap(), TRIPS);
    let execution = server.json(&["/api/v1/executions/shop/broken?wait=true", "-X", "POST"]);
    let address = format!("/executions/{}", execution["id"].as_str().unwrap());
    assert!(server.curl(&[&address]).contains("Explain"));
    let explained = server.curl(&[&format!("{address}/explain"), "-X", "POST"]);
    assert!(explained.contains("The column is called") && explained.contains("Open it in the editor"), "{explained}");
    assert!(!server.log().contains(KEY) && !explained.contains(KEY) && !asked.contains(KEY));
}
