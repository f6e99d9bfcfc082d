//! The addresses that scripts written for Kestra call.

use serde_json::{Value, json};

use crate::rest::world::{Place, until};

const FLOW: &str = "id: hello\nnamespace: zoomcamp\ninputs:\n  - {id: name, type: STRING, defaults: Will}\n\
    tasks:\n  - {id: say, type: log, message: \"Hello {{ inputs.name }}\"}\n  - {id: out, type: return, format: \"{{ inputs.name }}!\"}\n\
    outputs:\n  - {id: greeting, type: STRING, value: \"{{ outputs.out.value }}\"}\n";

#[test]
fn a_flow_is_imported_run_followed_and_run_again() {
    let place = Place::new();
    let server = place.server();
    let file = place.write("hello.yaml", FLOW);
    let form = format!("fileUpload=@{}", file.display());
    assert_eq!(server.json(&["/api/v1/flows/import", "-F", &form])[0]["id"], "hello");
    let ran = server.json(&["/api/v1/executions/zoomcamp/hello?wait=true&labels=team:taxi", "-F", "name=Ada"]);
    assert_eq!((&ran["state"]["current"], &ran["inputs"]["name"]), (&json!("SUCCESS"), &json!("Ada")));
    assert_eq!(ran["labels"], json!([{"key": "team", "value": "taxi"}]));
    assert_eq!(ran["outputs"], json!({"greeting": "Ada!"}), "what the flow declares is in the answer");
    let id = ran["id"].as_str().unwrap();
    let found = server.json(&["/api/v1/main/executions/search?labels=team:taxi&state=SUCCESS"]);
    assert_eq!((&found["total"], &found["results"][0]["id"]), (&json!(1), &json!(id)));
    assert!(server.curl(&[&format!("/api/v1/executions/{id}/follow")]).contains("event: end"));
    assert!(server.curl(&[&format!("/api/v1/logs/{id}/download")]).contains("Hello Ada"));
    assert_eq!(server.code(&[&format!("/api/v1/executions/{id}/restart"), "-X", "POST"]), "409");
    let again = server.json(&[&format!("/api/v1/executions/{id}/replay?taskRunId=out"), "-X", "POST"]);
    let ended = server.curl(&[&format!("/api/v1/executions/{}/follow", again["id"].as_str().unwrap())]);
    assert!(ended.contains("event: end") && ended.contains("Ada!") && !ended.contains("Hello"), "{ended}");
    let alone = |query: &str| server.json(&[&format!("/api/v1/executions/{id}/replay?{query}"), "-X", "POST"]);
    let one = alone("taskRunId=out&only=true");
    let ended = server.curl(&[&format!("/api/v1/executions/{}/follow", one["id"].as_str().unwrap())]);
    assert!(ended.contains("event: end") && ended.contains("Ada!") && !ended.contains("greeting"), "{ended}");
    assert_eq!(alone("only=true")["message"], "`only` needs the task that is to run");
    let refused = server.json(&["/api/v1/executions/zoomcamp/hello", "-F", "nam=Ada"]);
    assert!(refused["message"].as_str().unwrap().contains("the flow has no input `nam`"), "{refused}");
    assert!(
        server
            .curl(&["/metrics"])
            .contains("jitney_executions_total{namespace=\"zoomcamp\",flow=\"hello\",state=\"SUCCESS\"} 3")
    );
    let described = server.json(&["/api/v1/openapi.json"]);
    assert!(described["paths"]["/executions/{id}/follow"]["get"].is_object(), "{described}");
}

#[test]
fn kept_values_are_stored_and_requests_from_other_sites_rejected() {
    let place = Place::new();
    let server = place.server();
    server.json(&["/api/v1/namespaces/zoomcamp/kv/answer", "-X", "PUT", "-d", "42"]);
    assert_eq!(server.json(&["/api/v1/namespaces/zoomcamp/kv/answer"])["value"], 42);
    assert_eq!(server.code(&["/api/v1/flows/search", "-H", "Sec-Fetch-Site: cross-site"]), "403");
    assert_eq!(server.code(&["/api/v1/flows/search", "-H", "Host: evil.example"]), "403");
    assert_eq!(server.code(&["/api/v1/executions/none"]), "404");
    let paths = ["executions/..%2F..%2Fserver.lock", "logs/NONE/download", "backfills/0000000000000000o"];
    for path in paths {
        let answer = server.json(&[&format!("/api/v1/{path}")]);
        assert!(answer["message"].as_str().unwrap().contains("is not an id"), "{answer}");
    }
    assert!(server.json(&["/api/v1/nothing"])["message"].as_str().unwrap().contains("/api/v1/openapi.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_shows_its_next_date_and_can_be_disabled() {
    let place = Place::new();
    let server = place.server();
    place.write(
        "flows/hello.yaml",
        format!("{FLOW}triggers:\n  - {{id: yearly, type: schedule, cron: \"0 0 1 1 *\"}}\n"),
    );
    let search = || server.get("/api/v1/triggers/search?flowId=hello");
    until("the schedule is known", async || search()["total"] == 1).await;
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
fn without_a_login_no_data_is_returned() {
    let login = [("JITNEY_USER", "ada@example.com"), ("JITNEY_PASSWORD", "hunter22hunter22")];
    let variables = login.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let place = Place { variables, ..Place::new() };
    let server = place.server();
    assert_eq!(server.code(&["/api/v1/flows/search"]), "401");
    assert_eq!(server.code(&["/api/v1/flows/search", "-u", "ada@example.com:wrong"]), "401");
    assert_eq!(server.code(&["/api/v1/flows/search", "-u", "ada@example.com:hunter22hunter22"]), "200");
}

#[test]
fn malicious_requests_do_not_crash_the_server() {
    use base64::Engine as _;
    let place = Place::new();
    // A Parquet file whose index points before its beginning.
    let damaged = "UEFSMRUAFRQVFCwVAhUAFQYVBhwAAAACAAAAAgEBAAAAFQIZLDUAGAZzY2hlbWEVAgAVAiUCGAFhABYCGRwZHCYAHBUCGSUGABkYAWEVABYCFjoW\
        OyYISRwVABUAFQIAPCkGGSYAAgAAABY6FgImCBY6ACggcGFycXVldC1jcHAtYXJyb3cgdmVyc2lvbiAyNi4wLjEZHBwAAAB6AAAAUEFSMQ==";
    place.write("flows/x.parquet", base64::engine::general_purpose::STANDARD.decode(damaged).unwrap());
    let head = |id: &str| format!("id: {id}\nnamespace: n\ntasks:\n");
    place.write("flows/d.yaml", format!("{}  - {{id: a, type: polars.transform, from: x.parquet}}\n", head("d")));
    place.write(
        "flows/j.yaml",
        format!(
            "{}  - {{id: a, type: log, message: \"{{{{ 1 | jq('reduce range(99999) as $i (1; [.])') }}}}\"}}\n",
            head("j")
        ),
    );
    let deep = format!("{}variables:\n  a:\n    {}x\n", head("deep"), "- ".repeat(20_000));
    place.write("flows/deep.yaml", &deep);
    let server = place.server();
    let found = server.json(&[
        "/api/v1/flows/validate",
        "-X",
        "POST",
        "--data-binary",
        &format!("@{}", place.path("flows/deep.yaml").display()),
    ]);
    let message = |finding: &Value| finding["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(message(&found[0]["findings"][0]), "this is nested more than 100 levels deep", "{found}");
    let saved = server.json(&[
        "/api/v1/flows",
        "-X",
        "POST",
        "--data-binary",
        &format!("@{}", place.path("flows/deep.yaml").display()),
    ]);
    assert!(saved.to_string().contains("is nested more than 100 levels deep"), "{saved}");
    for (flow, said) in [("d", "the Parquet file is damaged"), ("j", "is nested too deeply")] {
        let ran = server.json(&[&format!("/api/v1/executions/n/{flow}?wait=true"), "-X", "POST"]);
        assert_eq!(ran["state"]["current"], "FAILED", "{ran}");
        let log = server.curl(&[&format!("/api/v1/logs/{}/download", ran["id"].as_str().unwrap())]);
        assert!(log.contains(said), "{log}");
    }
    assert_eq!(server.code(&["/health"]), "200");
}

#[test]
fn errors_are_json_and_unused_signals_are_ignored() {
    let place = Place::new();
    place.write("jitney.yaml", "# all of it is commented out\n");
    place.write(
        "flows/hook.yaml",
        "id: hook\nnamespace: n\ntasks: [{id: say, type: log, message: hello}]\ntriggers: [{id: call, type: webhook, key: aLongKeyOfTwentyOnes}]\n",
    );
    let server = place.server();
    for signal in ["-USR1", "-USR2", "-ALRM", "-VTALRM", "-PROF"] {
        server.signal(signal);
    }
    let send = |address: &str, name: &str, body: &[u8], more: &[&str]| {
        let file = format!("@{}", place.write(name, body).display());
        let usual = [address, "-X", "POST", "--data-binary", file.as_str(), "-w", "\n%{http_code}"];
        let answer = server.curl(&[&usual[..], more].concat());
        let (text, code) = answer.rsplit_once('\n').unwrap();
        (code.to_owned(), serde_json::from_str::<Value>(text).unwrap_or_else(|_| panic!("{address}: {answer}")))
    };
    let message = |answer: &Value| answer["message"].as_str().unwrap_or_default().to_owned();
    let (code, large) = send("/api/v1/flows", "large", &vec![b'x'; 5 << 20], &[]);
    assert_eq!(
        (code.as_str(), message(&large).as_str()),
        ("413", "the body is larger than the limit of this endpoint")
    );
    let (code, odd) = send("/api/v1/flows", "odd", b"\xff\xfe", &[]);
    assert!(code == "400" && message(&odd).contains("UTF-8"), "{code} {odd}");
    let (code, wrong) = send("/api/v1/flows/search", "wrong", b"", &[]);
    assert_eq!((code.as_str(), message(&wrong).as_str()), ("405", "Method Not Allowed"));
    for levels in [101, 127, 128, 129, 10_000, 1_000_000] {
        let body = "[".repeat(levels) + &"]".repeat(levels);
        let hook = "/api/v1/executions/webhook/n/hook/aLongKeyOfTwentyOnes";
        let (code, deep) = send(hook, "deep", body.as_bytes(), &["-H", "Content-Type: application/json"]);
        assert_eq!((code.as_str(), message(&deep).as_str()), ("422", "the body is nested more than 100 levels deep"));
    }
    let marked = "\u{feff}id: marked\nnamespace: n\ntasks: [{id: say, type: log, message: hello}]\n";
    let (_, found) = send("/api/v1/flows/validate", "marked", marked.as_bytes(), &[]);
    assert_eq!((&found[0]["namespace"], &found[0]["flow"]), (&"n".into(), &"marked".into()), "{found}");
    assert_eq!(server.get("/health")["status"], "UP");
}
