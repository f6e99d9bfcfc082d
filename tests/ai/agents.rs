//! Agents that use flows, tasks, queries and MCP servers.

use serde_json::{Value, json};

use super::context;
use crate::cli::world::World;
use crate::common::attempt;
use crate::common::models::ModelServer;
use crate::common::postgres;

fn provider(server: &ModelServer) -> Value {
    json!({"type": "openai", "modelName": "m", "baseUrl": server.url("/v1")})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_reads_and_can_change_nothing() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let url = postgres::database("ai_agent").await;
    let client = postgres::client(&url).await;
    client.batch_execute("CREATE TABLE trips (id int); INSERT INTO trips VALUES (1), (2), (3)").await.unwrap();
    let task = async |prompt: &str| {
        let home = tempfile::tempdir().unwrap();
        let tools = json!([{"type": "sql", "url": url, "description": "Trips of taxis."}]);
        let fields = json!({"provider": provider(&server), "prompt": prompt, "tools": tools});
        attempt::run(context(home.path(), json!({})).0, "io.kestra.plugin.ai.agent.AIAgent", fields).await.unwrap()
    };
    let outputs = task("How many trips are there?").await;
    assert_eq!(outputs["textOutput"], "There are three.");
    let used = &outputs["toolExecutions"][0];
    assert_eq!(
        (&used["requestName"], &used["result"]),
        (&json!("query_sql"), &json!(r#"{"rows":[{"trips":"3"}],"hasMore":false}"#))
    );
    let outputs = task("Delete the trips").await;
    assert!(outputs["toolExecutions"][0]["result"].as_str().unwrap().contains("only queries that read"), "{outputs:?}");
    let left: i64 = client.query_one("SELECT count(*) FROM trips", &[]).await.unwrap().get(0);
    assert_eq!(left, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_a_tool_and_its_rounds_are_bounded() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let home = tempfile::tempdir().unwrap();
    let task = async |prompt: &str| {
        let tool = json!({"id": "say", "type": "log", "message": "..."});
        let fields = json!({
            "provider": provider(&server), "prompt": prompt, "maxSequentialToolsInvocations": 3,
            "tools": [{"type": "io.kestra.plugin.ai.tool.KestraTask", "tasks": [tool]}],
        });
        let (context, lines) = context(home.path(), json!({}));
        let ended = attempt::run(context, "ai.agent", fields).await;
        let said = lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect::<Vec<_>>();
        (ended, said)
    };
    let (ended, said) = task("Say hello").await;
    assert_eq!(ended.unwrap()["textOutput"], "I said it.");
    assert!(said.iter().any(|line| line == "hello"), "{said:?}");
    let (ended, said) = task("Go on for ever").await;
    assert!(ended.unwrap_err().message.contains("no answer after 3 rounds"), "{said:?}");
    assert_eq!(said.iter().filter(|line| *line == "again").count(), 3, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_is_a_tool_and_runs_as_an_execution_of_its_own() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let world = World::new();
    world.write(
        "load.yaml",
        "id: load_month\nnamespace: a\ninputs: [{id: month, type: STRING}, {id: taxi, type: STRING}]\n\
         tasks:\n  - {id: say, type: log, message: \"loading {{ inputs.taxi }} {{ inputs.month }}\"}\n\
         outputs: [{id: month, type: STRING, value: \"{{ inputs.month }}\"}]\n",
    );
    let url = server.url("/v1");
    let flow = world.write(
        "agent.yaml",
        format!(
            "id: agent\nnamespace: a\ntasks:\n  - id: agent\n    type: ai.agent\n    prompt: Run the month\n    \
             provider: {{type: openai, modelName: m, baseUrl: \"{url}\"}}\n    tools:\n      - type: \
             io.kestra.plugin.ai.tool.KestraFlow\n        namespace: a\n        flowId: load_month\n        \
             description: Loads a month.\n        inputs: {{taxi: green}}\n"
        ),
    );
    let ran = world.jitney(&["run", flow.to_str().unwrap()]).ended(0);
    ran.says("loading green 04");
    let executions = world.jitney(&["executions", "--json"]).ended(0).json();
    assert_eq!(executions.as_array().unwrap().len(), 2, "{executions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_of_mcp_servers_are_used_over_http_and_over_pipes() {
    let Some(server) = ModelServer::start("imitate") else { return };
    let world = World::new();
    world.write("flows/hello.yaml", "id: hello\nnamespace: a\ntasks: [{id: say, type: log, message: hello}]\n");
    std::fs::create_dir(world.path("x")).unwrap();
    let program = env!("CARGO_BIN_EXE_jitney");
    let (home, flows) = (world.home().display().to_string(), world.path("flows").display().to_string());
    let stdio = json!({
        "type": "io.kestra.plugin.ai.tool.StdioMcpClient",
        "command": [program, "--home", home, "mcp", "--flows", flows],
    });
    let http = json!({"type": "io.kestra.plugin.ai.tool.StreamableHttpMcpClient", "url": server.url("/mcp")});
    for (tool, prompt, answer, result) in
        [(http, "Add two and three", "Five.", "5"), (stdio, "Which flows are there?", "One.", "hello")]
    {
        let fields = json!({"provider": provider(&server), "prompt": prompt, "tools": [tool]});
        let outputs = attempt::run(context(&world.path("x"), json!({})).0, "ai.agent", fields).await.unwrap();
        assert_eq!(outputs["textOutput"], answer);
        let used = outputs["toolExecutions"][0]["result"].as_str().unwrap();
        assert!(used.contains(result), "{used}");
    }
    let gone = json!({"type": "mcp_stdio", "command": ["sh", "-c", "echo no such thing >&2"]});
    let fields = json!({"provider": provider(&server), "prompt": "x", "tools": [gone]});
    let error = attempt::run(context(&world.path("x"), json!({})).0, "ai.agent", fields).await.unwrap_err();
    assert!(error.message.contains("`sh` has ended: no such thing"), "{error}");
}

#[test]
fn a_tool_that_is_not_there_is_refused_before_anything_runs() {
    let world = World::new();
    let task = |tool: &str| {
        let text = format!(
            "id: f\nnamespace: n\ntasks:\n  - {{id: a, type: ai.agent, prompt: x, provider: {{type: ollama, modelName: m}}, tools: [{tool}]}}\n"
        );
        let flow = world.write("f.yaml", text);
        world.jitney(&["validate", flow.to_str().unwrap()]).ended(3).out
    };
    let refused = |tool: &str, why: &str| {
        let said = task(tool);
        assert!(said.contains(why), "{said}");
    };
    refused("{type: io.kestra.plugin.ai.tool.TavilyWebSearch}", "use `task` with an http.request");
    refused("{type: flow, namespace: a}", "needs `flowId`");
    refused("{type: task, tasks: [{id: b, type: log, mesage: x}]}", "mesage");
    refused("{type: task, tasks: [{id: b, type: sequential}]}", "cannot be a tool");
    refused("{type: sql, command: [x]}", "`command` has no effect");
}
