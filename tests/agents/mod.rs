//! Tools for agents: by the official client and the official conformance suite (`tests/agents/run`), and line by line.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::common::{postgres, skip};
use crate::rest::world::{Place, Server};

const HELLO: &str = "id: hello\nnamespace: shop\ndescription: Greets.\ninputs:\n  - {id: name, type: STRING, defaults: you}\n\
    tasks:\n  - {id: greet, type: log, message: 'Hello {{ inputs.name }}'}\n  \
    - {id: ask, type: http.request, uri: 'http://localhost:1/?x=1', options: {basicAuthUser: me, basicAuthPassword: hunter2hunter2}}\n";

const TRIPS: &str = "id: trips\nnamespace: shop\ninputs:\n  - {id: month, type: STRING, defaults: 2019-01}\ntriggers:\n  \
    - {id: monthly, type: schedule, cron: '@monthly', disabled: true, inputs: {month: \"{{ trigger.date | date('yyyy-MM') }}\"}}\n\
    # Months come as files.\n\
    tasks:\n\n  - id: load\n    type: postgres.load\n    from: 'trips-{{ inputs.month }}.csv'\n    table: trips\n    \
    mode: {replace_partition: {month: '{{ inputs.month }}'}}\n";

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/run")
}

/// Whether there are agents. Under the strict switch ones that are missing fail the test.
fn has_agents() -> bool {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let output = Command::new(script()).arg("install").output().map_err(|error| error.to_string())?;
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    let Err(problem) = found else { return true };
    skip(problem);
    false
}

/// What a command of the script prints, which ends well.
#[track_caller]
fn run(words: &[&str], place: &Place) -> String {
    let output = Command::new(script()).args(words).current_dir(place.path("")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

/// A place with flows to read and to run.
fn shop() -> Place {
    let place = Place::new();
    place.write("flows/hello.yaml", HELLO);
    place
}

/// Months of trips, of which the third has a letter in a number.
async fn trips(database: &str) -> Place {
    let place = Place { postgres: Some(postgres::database(database).await), ..Place::new() };
    place.write("flows/trips.yaml", TRIPS);
    for month in 1..=3 {
        let first = if month == 3 { "x96" } else { "4.50" };
        let text = format!("id,distance,month\n1,2.50,2019-0{month}\n2,{first},2019-0{month}\n3,7.00,2019-0{month}\n");
        place.write(&format!("flows/trips-2019-0{month}.csv"), text);
    }
    let client = postgres::client(place.postgres.as_deref().unwrap()).await;
    client.batch_execute("CREATE TABLE trips (id int, distance numeric, month text)").await.unwrap();
    place
}

#[test]
fn a_server_conforms_to_the_protocol() {
    if has_agents() {
        let place = shop();
        let server = place.server();
        let said = run(&["conformance", &format!("http://{}/mcp", server.address)], &place);
        for scenario in ["server-initialize", "ping", "tools-list", "dns-rebinding-protection"] {
            assert!(said.contains(&format!("✓ {scenario}")), "{scenario}: {said}");
        }
    }
}

#[test]
fn the_official_client_reads_over_stdio_and_http() {
    if has_agents() {
        let place = shop();
        let home = place.path("home").display().to_string();
        run(&["play", "reads_only", env!("CARGO_BIN_EXE_jitney"), "--home", &home, "mcp"], &place);
        let server = place.server();
        run(&["play", "reads_only", &format!("http://{}/mcp", server.address)], &place);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_loads_a_month_sees_a_failure_and_explains_it() {
    if has_agents() {
        let place = trips("agent_stdio").await;
        let (home, address) = (place.path("home").display().to_string(), place.postgres.clone().unwrap());
        let program = env!("CARGO_BIN_EXE_jitney");
        let words = [program, "--home", &home, "--postgres", &address, "mcp", "--allow-write"];
        run(&[&["play", "loads_a_month"], &words[..]].concat(), &place);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_the_same_over_http_with_a_token_and_is_audited() {
    if has_agents() {
        let place = trips("agent_http").await;
        let token = "a token of an editor";
        let settings =
            format!("tokens:\n  - {{token: {token}, name: agent, role: editor}}\nmcp: {{allow_write: true}}\n");
        place.write("jitney.yaml", settings + "users: [{name: boss, password: hunter22hunter22}]\n");
        let server = place.server();
        run(&["play", "loads_a_month", &format!("http://{}/mcp", server.address), token], &place);
        let rows = server.curl(&["/api/v1/audit", "-u", "boss:hunter22hunter22"]);
        assert!(rows.contains("run flow") && rows.contains("shop.trips") && rows.contains("agent"), "{rows}");
        assert!(rows.contains("start backfill") && !rows.contains("list flows"), "{rows}");
        let label = server.curl(&["/api/v1/executions/search?labels=system.from:mcp", "-u", "boss:hunter22hunter22"]);
        assert!(label.contains("\"total\":2"), "{label}");
    }
}

/// `jitney mcp`, and what it is told line by line.
struct AgentProcess {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    number: u32,
}

impl AgentProcess {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(&[&["mcp"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut agent = Self { process, input, output, number: 0 };
        let hello =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}});
        assert_eq!(agent.ask("initialize", &hello)["result"]["serverInfo"]["name"], "jitney");
        agent.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let id = self.number;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    /// What a tool gives.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", &json!({"name": tool, "arguments": arguments}))["result"]["structuredContent"].clone()
    }

    /// Closes its input, as an agent does when it ends.
    fn ends(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

#[test]
fn a_flow_is_written_and_corrected_and_nothing_wrong_is_saved() {
    let place = shop();
    let mut agent = AgentProcess::start(&place, &["--allow-write"]);
    let wrong = "id: new\nnamespace: shop\ntasks:\n  - {id: say, type: log, massage: hi}\n";
    let refused = agent.call("save_flow", json!({"yaml": wrong}));
    assert_eq!(refused["findings"][0]["line"], 4, "{refused}");
    assert!(!place.path("flows/shop/new.yaml").exists());
    let saved = agent.call("save_flow", json!({"yaml": wrong.replace("massage", "message")}));
    assert!(saved["saved"].as_str().unwrap().contains("new") && place.path("flows/shop/new.yaml").exists(), "{saved}");
    let again = agent.call("save_flow", json!({"yaml": wrong.replace("massage", "message")}));
    assert!(again["next"].as_str().unwrap().contains("replace: true"), "{again}");
    // The password that it was not shown is not overwritten by what it was shown.
    let text =
        agent.call("read_flow", json!({"namespace": "shop", "id": "hello"}))["yaml"].as_str().unwrap().to_owned();
    assert!(text.contains("***") && !text.contains("hunter2hunter2"), "{text}");
    let masked = agent.call("save_flow", json!({"yaml": text, "replace": true}));
    assert!(masked["error"].as_str().unwrap().contains("password"), "{masked}");
    assert!(std::fs::read_to_string(place.path("flows/hello.yaml")).unwrap().contains("hunter2hunter2"));
    agent.ends();
}

#[test]
fn results_are_small_and_say_how_many_more_there_are() {
    let place = Place::new();
    for number in 0..150 {
        let flow = format!("id: f{number}\nnamespace: shop\ntasks: [{{id: say, type: log, message: hi}}]\n");
        place.write(&format!("flows/f{number}.yaml"), flow);
    }
    let long = "  - {id: t#, type: log, message: hello}\n";
    let tasks: String = (0..900).map(|number| long.replace('#', &number.to_string())).collect();
    place.write("flows/long.yaml", format!("id: long\nnamespace: shop\ntasks:\n{tasks}"));
    let mut agent = AgentProcess::start(&place, &[]);
    let flows = agent.call("list_flows", json!({}));
    assert_eq!((flows["flows"].as_array().unwrap().len(), &flows["more"]), (30, &json!("121 more")));
    let text = agent.call("read_flow", json!({"namespace": "shop", "id": "long"}));
    assert_eq!(text["yaml"].as_str().unwrap().lines().count(), 400);
    assert!(text["more"].as_str().unwrap().contains("`from_line` 401"), "{}", text["more"]);
    let rest = agent.call("read_flow", json!({"namespace": "shop", "id": "long", "from_line": 801}));
    assert!(rest["more"].is_null() && rest["yaml"].as_str().unwrap().ends_with("t899, type: log, message: hello}"));
    let explained = agent.call("explain_flow", json!({"namespace": "shop", "id": "long"}));
    assert_eq!(explained["more"], "840 more");
    let many = "id: many\nnamespace: shop\ntasks:\n".to_owned() + &tasks.replace("log", "lgo");
    let findings = agent.call("validate_flow", json!({"yaml": many}));
    assert_eq!(findings["findings"].as_array().unwrap().len(), 20, "{findings}");
    assert!(findings["more"].is_string());
    agent.ends();
}

#[test]
fn what_an_agent_started_is_followed_stopped_and_named() {
    let place = shop();
    place.write("flows/slow.yaml", "id: slow\nnamespace: shop\ntasks:\n  - {id: wait, type: sleep, duration: PT10M}\n");
    let mut agent = AgentProcess::start(&place, &["--allow-write"]);
    let begun = agent.call("run_flow", json!({"namespace": "shop", "id": "slow", "wait_seconds": 0}));
    let id = begun["id"].as_str().unwrap().to_owned();
    assert!(begun["next"].as_str().unwrap().contains("follow_execution"), "{begun}");
    let killed = agent.call("kill_execution", json!({"id": id}));
    assert_eq!(killed["state"], "KILLED", "{killed}");
    let listed = agent.call("list_executions", json!({"state": "KILLED"}));
    assert_eq!((&listed["executions"][0]["id"], &listed["more"]), (&json!(id), &Value::Null));
    let input = agent.call("run_flow", json!({"namespace": "shop", "id": "hello", "inputs": {"nmae": "x"}}));
    assert!(input["error"].as_str().unwrap().contains("nmae") && input["next"].is_string(), "{input}");
    let failed = agent
        .call("run_flow", json!({"namespace": "shop", "id": "hello", "inputs": {"name": "Ada"}, "wait_seconds": 1}));
    assert!(
        failed["log"].to_string().contains("Hello Ada") && !failed.to_string().contains("hunter2hunter2"),
        "{failed}"
    );
    agent.ends();
}

/// The answer of a server to a call.
fn call(server: &Server, token: &str, tool: &str, arguments: &Value) -> Value {
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let (login, body) = (format!("Authorization: Bearer {token}"), call.to_string());
    let accept = "Accept: application/json, text/event-stream";
    let kind = "Content-Type: application/json";
    server.json(&["/mcp", "-H", &login, "-H", kind, "-H", accept, "-d", &body])["result"]["structuredContent"].clone()
}

#[test]
fn each_tool_needs_a_role_and_changes_need_a_setting() {
    let place = shop();
    let users: String = ["viewer", "operator", "editor"]
        .map(|role| format!("  - {{token: the token of the {role}, name: {role}, role: {role}}}\n"))
        .concat();
    place.write("jitney.yaml", format!("tokens:\n{users}"));
    let run = json!({"namespace": "shop", "id": "hello", "wait_seconds": 0});
    let save = json!({"yaml": HELLO.replace("id: hello", "id: other")});
    let query = json!({"sql": "SELECT 1"});
    let token = |role: &str| format!("the token of the {role}");
    {
        let server = place.server();
        assert_eq!(server.code(&["/mcp", "-X", "POST"]), "401");
        let refused = call(&server, &token("editor"), "run_flow", &run);
        assert!(refused["next"].as_str().unwrap().contains("allow_write"), "{refused}");
        // A page of another site may not ask in the name of somebody on this machine.
        assert_eq!(server.code(&["/mcp", "-X", "POST", "-H", "Origin: http://evil.example"]), "403");
        assert_eq!(server.code(&["/mcp", "-H", &format!("Authorization: Bearer {}", token("viewer"))]), "405");
    }
    place.write("jitney.yaml", format!("tokens:\n{users}mcp: {{allow_write: true}}\n"));
    {
        let server = place.server();
        for (tool, arguments, least) in [("run_flow", &run, 1), ("save_flow", &save, 2), ("query_data", &query, 2)] {
            for (rank, role) in ["viewer", "operator", "editor"].iter().enumerate() {
                let answer = call(&server, &token(role), tool, arguments);
                let is_refused = answer["error"].as_str().is_some_and(|error| error.contains("needs the role"));
                assert_eq!(is_refused, rank < least, "{tool} as {role}: {answer}");
            }
        }
    }
    place.write("jitney.yaml", "mcp: {enabled: false}\n");
    assert_eq!(place.server().code(&["/mcp", "-X", "POST"]), "404");
}
