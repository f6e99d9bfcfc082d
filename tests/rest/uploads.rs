//! Forms and files: what is taken, what is refused, and what is left of it.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::rest::world::{Place, Server, until};

const READS: &str = "id: reads\nnamespace: n\ninputs:\n  - {id: f, type: FILE}\n\
    tasks:\n  - {id: out, type: return, format: \"{{ read(inputs.f) }}\"}\n\
    triggers:\n  - {id: call, type: webhook, key: aLongKeyOfTwentyOnes, inputs: {f: \"{{ trigger.body.file }}\"}}\n";

fn place() -> Place {
    let place = Place::new();
    place.write("flows/reads.yaml", READS);
    place
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let (mut left, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = left.pop() {
        match path.read_dir() {
            Ok(entries) => left.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) if path.is_file() => found.push(path),
            Err(_) => {}
        }
    }
    found
}

#[track_caller]
fn refused(server: &Server, call: &[&str], words: &str) {
    let text = server.curl(&[call, &["-w", "\n%{http_code}"]].concat());
    let (answer, code) = text.rsplit_once('\n').unwrap();
    assert!(code == "422" && answer.contains(words), "{words}: {text}");
}

const PATH: &str = "a path on the server's machine cannot be given by a client";

#[test]
fn file_inputs_are_uploads_or_stored_files_but_never_paths() {
    let place = place();
    let secret = place.write("secret.txt", "of the server");
    let server = place.server();
    let run = "/api/v1/executions/n/reads?wait=true";
    for path in [secret.to_str().unwrap(), "../secret.txt", "file:///etc/passwd", "/proc/self/environ"] {
        refused(&server, &[run, "-F", &format!("f={path}")], PATH);
        let webhook = "/api/v1/executions/webhook/n/reads/aLongKeyOfTwentyOnes";
        refused(&server, &[webhook, "-X", "POST", "-d", &json!({"file": path}).to_string()], PATH);
        let body =
            json!({"namespace": "n", "flowId": "reads", "from": "2019-01", "to": "2019-02", "inputs": {"f": path}});
        refused(&server, &["/api/v1/backfills", "-X", "POST", "-d", &body.to_string()], PATH);
        let partitions = "/api/v1/flows/n/reads/partitions?from=2019-01&to=2019-02&inputs=";
        refused(&server, &[&format!("{partitions}f:{path}")], PATH);
    }
    for lost in ["jitney:///../../secret.txt", "jitney:///none/out/a.csv"] {
        refused(&server, &[run, "-F", &format!("f={lost}")], "there is no file");
    }
    refused(&server, &[run, "-F", "f=trips.csv"], "-F f=@FILE");
    for call in [&["-X", "POST"][..], &["-X", "POST", "-H", "Content-Type: multipart/form-data"]] {
        let answer = server.json(&[&["/api/v1/flows/import"], call].concat());
        assert!(answer["message"].as_str().is_some_and(|message| message.contains("curl -F")), "{answer}");
    }
    let sent = server.json(&[run, "-F", &format!("f=@{}", secret.display())]);
    assert_eq!(sent["state"]["current"], "SUCCESS", "{sent}");
    let address = sent["inputs"]["f"].as_str().unwrap();
    let again = server.json(&[run, "-F", &format!("f={address}")]);
    assert_eq!(again["taskRunList"][0]["outputs"]["value"], "of the server", "{again}");
    assert!(files(&place.path("home/uploads")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_trigger_passes_the_file_to_the_flow() {
    let place = Place::new();
    let trigger = "{id: arrivals, type: file, from: ../in/*.txt, interval: 1s, inputs: {f: \"{{ trigger.uri }}\"}}";
    let flow = READS.split("triggers:").next().unwrap();
    place.write("flows/reads.yaml", format!("{flow}triggers:\n  - {trigger}\n"));
    std::fs::create_dir(place.path("in")).unwrap();
    let server = place.server();
    until("it has looked once", async || {
        let journal = jitney::journal::Journal::open(&place.path("home/journal.db")).unwrap();
        let key = jitney::journal::TriggerKey {
            namespace: "n".to_owned(),
            flow: "reads".to_owned(),
            trigger: "arrivals".to_owned(),
        };
        journal.has_fired(&key, "(looked)").unwrap()
    })
    .await;
    place.write("in/a.txt", "arrived");
    let search = || server.get("/api/v1/executions/search?state=SUCCESS");
    until("it ran", async || search()["total"] == 1).await;
    let id = search()["results"][0]["id"].as_str().unwrap().to_owned();
    let ran = server.get(&format!("/api/v1/executions/{id}"));
    assert_eq!(ran["taskRunList"][0]["outputs"]["value"], "arrived", "{ran}");
}

#[test]
fn a_pause_accepts_an_uploaded_file_but_no_path() {
    let place = Place::new();
    let flow = "id: asks\nnamespace: n\ntasks:\n  - {id: ask, type: pause, onResume: [{id: f, type: FILE}]}\n  \
        - {id: out, type: return, format: \"{{ read(outputs.ask.onResume.f) }}\"}\n";
    place.write("flows/asks.yaml", flow);
    let file = place.write("approval.txt", "approved");
    let server = place.server();
    let paused = server.json(&["/api/v1/executions/n/asks?wait=true", "-X", "POST"]);
    assert_eq!(paused["state"]["current"], "PAUSED", "{paused}");
    let id = paused["id"].as_str().unwrap();
    let resume = format!("/api/v1/executions/{id}/resume");
    refused(&server, &[&resume, "-F", &format!("f={}", file.display())], PATH);
    server.json(&[&resume, "-F", &format!("f=@{}", file.display())]);
    assert!(server.curl(&[&format!("/api/v1/executions/{id}/follow")]).contains("event: end"));
    let ended = server.get(&format!("/api/v1/executions/{id}"));
    assert_eq!(ended["taskRunList"][1]["outputs"]["value"], "approved", "{ended}");
}

#[test]
fn forms_are_limited_and_not_read_for_missing_executions() {
    let place = place();
    let server = place.server();
    let large = place.write("large", "x".repeat(2 << 20));
    let (as_file, as_text) = (format!("f=@{}", large.display()), format!("f=<{}", large.display()));
    for path in ["webhook/restart", "webhook/resume", "none/restart", "n/none"] {
        let path = format!("/api/v1/executions/{path}");
        for form in [&as_file, &as_text] {
            assert_eq!(server.code(&[&path, "-F", form]), "404", "{path}");
        }
    }
    assert!(!place.path("home/uploads").exists(), "a form was read for nothing");
    let run = "/api/v1/executions/n/reads";
    refused(&server, &[run, "-F", &as_text], "the field `f` has more than 1048576 bytes; send it as a file");
    let part = place.write("part", "x".repeat(1 << 20));
    let many = vec![format!("f=<{}", part.display()); 5];
    let fields: Vec<&str> = many.iter().flat_map(|field| ["-F", field]).collect();
    refused(&server, &[&[run], &fields[..]].concat(), "the fields of the form have more than 4194304 bytes in total");
    let fields: Vec<&str> = std::iter::repeat_n(["-F", "f=x"], 1001).flatten().collect();
    refused(&server, &[&[run], &fields[..]].concat(), "the form has more than 1000 parts");
    let body = format!("@{}", large.display());
    let no_parts = [run, "-X", "POST", "-H", "Content-Type: multipart/form-data; boundary=b", "--data-binary", &body];
    refused(&server, &no_parts, "the form has no part within 1048576 bytes");
    assert!(files(&place.path("home/uploads")).is_empty());
}

#[test]
fn an_upload_with_a_long_name_is_accepted() {
    let place = place();
    let file = place.write("a.csv", "content");
    let server = place.server();
    let form = format!("f=@{};filename={}.csv", file.display(), "n".repeat(300));
    let ran = server.json(&["/api/v1/executions/n/reads?wait=true", "-F", &form]);
    assert_eq!(ran["taskRunList"][0]["outputs"]["value"], "content", "{ran}");
    assert!(ran["inputs"]["f"].as_str().unwrap().ends_with("n.csv"), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_killed_server_left_behind_is_removed_at_the_next_start() {
    let place = place();
    let server = place.server();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.csv\"\r\n\r\n";
    let head = "POST /api/v1/executions/n/reads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\
        Content-Type: multipart/form-data; boundary=b\r\n\r\n";
    stream.write_all(format!("{head}{part}{}", "x".repeat(5000)).as_bytes()).unwrap();
    let uploads = place.path("home/uploads");
    until("it is under way", async || files(&uploads).len() == 1).await;
    server.kill();
    assert_eq!(files(&uploads).len(), 1);
    let _server = place.server();
    assert!(!uploads.exists(), "{:?}", files(&uploads));
}

#[test]
fn a_flow_whose_file_would_be_ignored_is_not_saved() {
    let place = Place::new();
    let server = place.server();
    let long = "n".repeat(300);
    for (namespace, id) in [("_files", "x"), ("n", "_x"), (long.as_str(), "x"), ("n", long.as_str())] {
        let text = format!("id: {id}\nnamespace: {namespace}\ntasks: [{{id: say, type: log, message: hello}}]\n");
        refused(
            &server,
            &["/api/v1/flows", "-X", "POST", "--data-binary", &text],
            "cannot be saved: its file would be ignored",
        );
    }
    assert!(files(&place.path("flows")).is_empty());
    let none: Value = server.get("/api/v1/flows/search");
    assert_eq!(none["total"], 0, "{none}");
}

#[test]
fn importing_a_flow_reports_its_missing_files() {
    let place = Place::new();
    let text = "id: loads\nnamespace: n\ntasks:\n  - {id: load, type: postgres.load, from: in.csv, table: t, ddl: ../sql/t.sql}\n";
    let file = place.write("loads.yaml", text);
    let server = place.server();
    let import = || server.json(&["/api/v1/flows/import", "-F", &format!("fileUpload=@{}", file.display())]);
    let messages = |flow: &serde_json::Value| -> Vec<String> {
        let findings = flow["findings"].as_array().unwrap().iter();
        findings.map(|finding| format!("{} {} {}", finding["severity"], finding["line"], finding["message"])).collect()
    };
    let answer = import();
    let expected = ["\"warning\" 4 \"there is no file `in.csv`\"", "\"warning\" 4 \"there is no file `../sql/t.sql`\""];
    assert_eq!(messages(&answer[0]), expected, "{answer}");
    assert_eq!(answer[0]["broken"], false, "its files may come later");
    // It was saved as flows/n/loads.yaml.
    place.write("flows/sql/t.sql", "CREATE TABLE t (a int)");
    place.write("flows/n/in.csv", "a\n1\n");
    assert_eq!(messages(&server.get("/api/v1/flows/n/loads")), Vec::<String>::new());
}
