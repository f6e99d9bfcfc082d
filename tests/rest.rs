//! The server as scripts call it: the program, and curl.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

const FLOW: &str = "id: hello\nnamespace: zoomcamp\ninputs:\n  - {id: name, type: STRING, defaults: Will}\n\
    tasks:\n  - {id: say, type: log, message: \"Hello {{ inputs.name }}\"}\n  - {id: out, type: return, format: \"{{ inputs.name }}!\"}\n";

struct Server {
    folder: TempDir,
    address: String,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
        command.env_clear().env("HOME", folder.path()).envs(variables.iter().copied()).current_dir(folder.path());
        std::fs::create_dir(folder.path().join("flows")).unwrap();
        let process = command.args(["--home", "home", "server", "--listen", &address]).stderr(Stdio::null()).spawn();
        let server = Self { folder, address, process: process.unwrap() };
        for _ in 0..200 {
            if server.code(&["/health"]) == "200" {
                return server;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("the server does not answer");
    }

    /// What curl prints for an address with options.
    fn curl(&self, address_and_options: &[&str]) -> String {
        let address = format!("http://{}{}", self.address, address_and_options[0]);
        let mut command = Command::new("curl");
        command.args(["-sN", "--max-time", "20", &address]).args(&address_and_options[1..]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    fn json(&self, address_and_options: &[&str]) -> Value {
        let text = self.curl(address_and_options);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    fn code(&self, address_and_options: &[&str]) -> String {
        self.curl(&[address_and_options, &["-o", "/dev/null", "-w", "%{http_code}"]].concat())
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("waited in vain until {what}");
}

#[test]
fn a_flow_is_imported_run_followed_and_run_again() {
    let server = Server::start(&[]);
    let file = server.folder.path().join("hello.yaml");
    std::fs::write(&file, FLOW).unwrap();
    let form = format!("fileUpload=@{}", file.display());
    assert_eq!(server.json(&["/api/v1/flows/import", "-F", &form])[0]["id"], "hello");
    let ran = server.json(&["/api/v1/executions/zoomcamp/hello?wait=true&labels=team:taxi", "-F", "name=Ada"]);
    assert_eq!((&ran["state"]["current"], &ran["inputs"]["name"]), (&json!("SUCCESS"), &json!("Ada")));
    assert_eq!(ran["labels"], json!([{"key": "team", "value": "taxi"}]));
    let id = ran["id"].as_str().unwrap();
    let found = server.json(&["/api/v1/main/executions/search?labels=team:taxi&state=SUCCESS"]);
    assert_eq!((&found["total"], &found["results"][0]["id"]), (&json!(1), &json!(id)));
    assert!(server.curl(&[&format!("/api/v1/executions/{id}/follow")]).contains("event: end"));
    assert!(server.curl(&[&format!("/api/v1/logs/{id}/download")]).contains("Hello Ada"));
    assert_eq!(server.code(&[&format!("/api/v1/executions/{id}/restart"), "-X", "POST"]), "409");
    let again = server.json(&[&format!("/api/v1/executions/{id}/replay?taskRunId=out"), "-X", "POST"]);
    let ended = server.curl(&[&format!("/api/v1/executions/{}/follow", again["id"].as_str().unwrap())]);
    assert!(ended.contains("event: end") && ended.contains("Ada!") && !ended.contains("Hello"), "{ended}");
    let refused = server.json(&["/api/v1/executions/zoomcamp/hello", "-F", "nam=Ada"]);
    assert!(refused["message"].as_str().unwrap().contains("the flow has no input `nam`"), "{refused}");
    assert!(
        server
            .curl(&["/metrics"])
            .contains("jitney_executions_total{namespace=\"zoomcamp\",flow=\"hello\",state=\"SUCCESS\"} 2")
    );
    let described = server.json(&["/api/v1/openapi.json"]);
    assert!(described["paths"]["/executions/{id}/follow"]["get"].is_object(), "{described}");
}

#[test]
fn values_are_kept_and_pages_from_elsewhere_are_not_answered() {
    let server = Server::start(&[]);
    server.json(&["/api/v1/namespaces/zoomcamp/kv/answer", "-X", "PUT", "-d", "42"]);
    assert_eq!(server.json(&["/api/v1/namespaces/zoomcamp/kv/answer"])["value"], 42);
    assert_eq!(server.code(&["/api/v1/flows/search", "-H", "Sec-Fetch-Site: cross-site"]), "403");
    assert_eq!(server.code(&["/api/v1/flows/search", "-H", "Host: evil.example"]), "403");
    assert_eq!(server.code(&["/api/v1/executions/none"]), "404");
    assert!(server.json(&["/api/v1/nothing"])["message"].as_str().unwrap().contains("/api/v1/openapi.json"));
}

#[test]
fn a_schedule_tells_its_next_moment_and_is_switched_off_and_on() {
    let server = Server::start(&[]);
    let text = format!("{FLOW}triggers:\n  - {{id: yearly, type: schedule, cron: \"0 0 1 1 *\"}}\n");
    std::fs::write(server.folder.path().join("flows/hello.yaml"), text).unwrap();
    let search = || server.json(&["/api/v1/triggers/search?flowId=hello"]);
    until("the schedule is known", || search()["total"] == 1);
    let next = search()["results"][0]["nextExecutionDate"].as_str().unwrap().to_owned();
    assert!(next.ends_with("-01-01T00:00:00Z"), "{next}");
    let switch = |disabled: bool| {
        let body = json!({"namespace": "zoomcamp", "flowId": "hello", "triggerId": "yearly", "disabled": disabled});
        let kind = "content-type: application/json";
        server.json(&["/api/v1/triggers", "-X", "PUT", "-H", kind, "-d", &body.to_string()])
    };
    assert_eq!(switch(true)["disabled"], true);
    assert_eq!(search()["results"][0]["nextExecutionDate"], Value::Null);
    assert_eq!(switch(false)["nextExecutionDate"], json!(next));
}

#[test]
fn who_has_no_login_learns_nothing() {
    let server = Server::start(&[("JITNEY_USER", "ada@example.com"), ("JITNEY_PASSWORD", "hunter22")]);
    assert_eq!(server.code(&["/api/v1/flows/search"]), "401");
    assert_eq!(server.code(&["/api/v1/flows/search", "-u", "ada@example.com:wrong"]), "401");
    assert_eq!(server.code(&["/api/v1/flows/search", "-u", "ada@example.com:hunter22"]), "200");
}
