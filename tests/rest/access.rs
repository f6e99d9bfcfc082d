//! Who is let in: by login, by host name, by site, and how many.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::rest::world::{Place, Server, until};

const LOGIN: [(&str, &str); 2] = [("JITNEY_USER", "ada@example.com"), ("JITNEY_PASSWORD", "hunter22hunter22")];

fn with(variables: &[(&str, &str)]) -> Place {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Place { variables: variables.collect(), ..Place::new() }
}

/// Sends exactly these lines, and gives the answer's status and text.
fn send(server: &Server, lines: &[&str]) -> (u16, String) {
    let mut stream = connect(server);
    let head = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    answer(stream)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), text)
}

/// Every request that the server describes, with every parameter set to each of the names that its addresses consist of.
fn requests(described: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            for name in ["webhook", "executions", "flows", "health", "restart"] {
                let path: Vec<&str> =
                    path.split('/').map(|part| if part.starts_with('{') { name } else { part }).collect();
                for base in ["/api/v1", "/api/v1/main"] {
                    all.push(format!("{} {base}{} HTTP/1.1", method.to_uppercase(), path.join("/")));
                }
            }
        }
    }
    assert!(all.len() > 300, "only {} requests", all.len());
    all
}

/// Whether a request is a webhook's: the one with three parameters after `/executions/webhook`.
fn is_webhook(request: &str) -> bool {
    let path = request.split(' ').nth(1).unwrap();
    path.split_once("/executions/webhook/").is_some_and(|(_, rest)| rest.split('/').count() == 3)
}

#[test]
fn only_webhooks_and_health_need_no_login() {
    let place = with(&LOGIN);
    let server = place.server();
    let described = server.json(&["/api/v1/openapi.json", "-u", "ada@example.com:hunter22hunter22"]);
    let requests = requests(&described);
    assert_eq!(requests.iter().filter(|request| is_webhook(request)).count() % 10, 0);
    for request in &requests {
        let expected = if is_webhook(request) { 404 } else { 401 };
        assert_eq!(send(&server, &[request, "Host: localhost"]).0, expected, "{request}");
    }
    for path in
        ["/metrics", "/api/v1/openapi.json", "/nothing", "/api/v1/nothing", "/", "/api/v1/x/executions/webhook/y"]
    {
        assert_eq!(send(&server, &[&format!("GET {path} HTTP/1.1"), "Host: localhost"]).0, 401, "{path}");
    }
    assert_eq!(send(&server, &["GET /health HTTP/1.0"]).0, 200);
}

/// What a page of another site cannot help sending, or a page whose name was made to lead here.
const FOREIGN: [&[&str]; 7] = [
    &["Host: evil.example"],
    &["Host: [::1]evil.example"],
    &["Host: localhost", "Sec-Fetch-Site: cross-site"],
    &["Host: localhost", "Sec-Fetch-Site: same-site"],
    &["Host: localhost", "Origin: http://evil.example"],
    &["Host: localhost", "Origin: null"],
    &["Host: localhost", "Sec-Fetch-Site: none", "Origin: http://evil.example"],
];

#[test]
fn requests_from_other_sites_are_rejected_even_with_a_login() {
    let open = Place::new();
    let open = open.server();
    let closed = with(&LOGIN);
    let closed = closed.server();
    // ada@example.com:hunter22hunter22
    let login = "Authorization: Basic YWRhQGV4YW1wbGUuY29tOmh1bnRlcjIyaHVudGVyMjI=";
    let requests = requests(&open.get("/api/v1/openapi.json"));
    for (place, headers) in FOREIGN.iter().enumerate() {
        // Each request on one of the servers, so that every pair of kinds occurs.
        for (number, request) in requests.iter().enumerate().filter(|(_, request)| !is_webhook(request)) {
            let lines = [&[request.as_str()], *headers].concat();
            let (status, text) = match (number + place) % 2 {
                0 => send(&open, &lines),
                _ => send(&closed, &[&lines[..], &[login]].concat()),
            };
            assert_eq!(status, 403, "{lines:?}: {text}");
        }
    }
    let flow = "id: x\nnamespace: n\ntasks: [{id: say, type: log, message: hello}]\n";
    let curl = |server: &Server, more: &[&str]| {
        let usual = ["/api/v1/flows", "-X", "POST", "-u", "ada@example.com:hunter22hunter22", "--data-binary", flow];
        server.code(&[&usual[..], more].concat())
    };
    assert_eq!(curl(&closed, &["-H", "Content-Type: text/plain", "-H", "Origin: http://evil.example"]), "403");
    assert_eq!(curl(&closed, &["-H", &format!("Origin: http://{}", closed.address)]), "200");
    assert_eq!(curl(&open, &[]), "200");
    assert_eq!(curl(&open, &["-X", "PUT", "-H", "Sec-Fetch-Site: same-origin"]), "405");
}

#[test]
fn a_server_accepts_only_its_configured_host_names() {
    let place = Place::new();
    place.write("jitney.yaml", "hosts: [jitney.example.com]\n");
    let server = place.server_with(&["--host", "jitney"]);
    let code = |host: &str| send(&server, &["GET /api/v1/flows/search HTTP/1.1", &format!("Host: {host}")]);
    for host in ["jitney.example.com", "jitney:8080", "localhost", "127.0.0.1:1"] {
        assert_eq!(code(host).0, 200, "{host}");
    }
    let (status, text) = code("other.example.com");
    assert!(status == 403 && text.contains("start the server with `--host`"), "{text}");
    let absolute = ["GET http://evil.example/api/v1/flows/search HTTP/1.1", "Host: localhost"];
    assert_eq!(send(&server, &absolute).0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_reported_once_and_refused_each_time() {
    let place = with(&LOGIN);
    let server = place.server();
    for password in ["a", "b", "c", "d"] {
        let login = format!("ada@example.com:{password}");
        assert_eq!(server.code(&["/api/v1/flows/search", "-u", &login]), "401");
    }
    assert_eq!(server.code(&["/api/v1/flows/search", "-H", "Authorization: Bearer x"]), "401");
    let lines = || {
        let said = server.said.lock().unwrap();
        said.iter().filter(|line| line.contains("wrong login or token from 127.0.0.1")).count()
    };
    until("it is reported", async || lines() > 0).await;
    assert_eq!(lines(), 1, "{:?}", server.said);
    assert_eq!(server.code(&["/api/v1/flows/search", "-u", "ada@example.com:hunter22hunter22"]), "200");
}

#[test]
fn weak_passwords_are_rejected_at_startup() {
    let refused = |variables: &[(&str, &str)], settings: &str, words: &str| {
        let place = with(variables);
        if !settings.is_empty() {
            place.write("jitney.yaml", settings);
        }
        let output = place.jitney(&["server", "--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(!said.contains("Admin1234!"), "{said}");
    };
    let short = [("JITNEY_USER", "ada"), ("JITNEY_PASSWORD", "Admin1234!")];
    refused(&short, "", "JITNEY_PASSWORD: the password of `ada` has fewer than 12 characters");
    refused(&[("JITNEY_TOKEN", "Admin1234!")], "", "JITNEY_TOKEN: the token has fewer than 12 characters");
    refused(&[("JITNEY_USER", "ada")], "", "JITNEY_USER is set, but JITNEY_PASSWORD is not");
    refused(&[("JITNEY_PASSWORD", "hunter22hunter22")], "", "JITNEY_PASSWORD is set, but JITNEY_USER is not");
    refused(&[("JITNEY_USER", "a:b"), LOGIN[1]], "", "the name `a:b` has a colon in it");
    refused(&[], "users:\n  - {name: ada, password: ''}\n", "jitney.yaml:2:");
    refused(&[], "users:\n  - {name: ada, password: ''}\n", "the password of `ada` is empty");
    refused(&[], "users:\n  - {name: '', password: hunter22hunter22}\n", "the name is empty");
    let rendered = "users:\n  - {name: ada, password: \"{{ secret('PW') }}\"}\n";
    refused(&[("PW", "Admin1234!")], rendered, "the password of `ada` has fewer than 12 characters");
    refused(&[], "tokens:\n  - long enough to be one\n  - Admin1234!\n", "jitney.yaml:3:");
    refused(&[], "hosts: ['http://jitney.example.com']\n", "`http://jitney.example.com` is not a host name");
}

#[test]
fn a_request_head_that_never_ends_is_closed() {
    let place = Place::new();
    let server = place.server();
    let mut stream = connect(&server);
    stream.write_all(b"GET /api/v1/flows/search HTTP/1.1\r\nHost: local").unwrap();
    // The read ends by the server's doing, and not by our own limit of time.
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_ok(), "the connection is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_when_there_are_too_many_connections() {
    let place = Place::new();
    let server = place.server_limited("ulimit -n 200");
    let held: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let health = || send(&server, &["GET /health HTTP/1.1", "Host: localhost"]);
    let (status, text) = health();
    assert!(status == 200 && text.contains("\"UP\""), "{text}");
    let (status, text) = send(&server, &["GET /api/v1/flows/search HTTP/1.1", "Host: localhost"]);
    assert!(status == 503 && text.contains("too many connections"), "{text}");
    drop(held);
    until("there is room again", async || server.code(&["/api/v1/flows/search"]) == "200").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_do_not_use_up_all_connections() {
    let place = Place::new();
    let nap = "id: nap\nnamespace: n\ntasks:\n  - {id: nap, type: sleep, duration: PT1H}\n";
    place.write("flows/nap.yaml", nap);
    let server = place.server_limited("ulimit -n 200");
    let id = server.json(&["/api/v1/executions/n/nap", "-X", "POST"])["id"].as_str().unwrap().to_owned();
    let follow = || {
        let mut stream = connect(&server);
        let head = format!("GET /api/v1/executions/{id}/follow HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (String::from_utf8_lossy(&status).into_owned(), stream)
    };
    let mut followers: Vec<TcpStream> = Vec::new();
    let refused = loop {
        match follow() {
            (status, stream) if status == "HTTP/1.1 200" => followers.push(stream),
            (status, _) => break status,
        }
    };
    assert_eq!((followers.len(), refused.as_str()), (50, "HTTP/1.1 503"));
    assert_eq!(server.code(&["/api/v1/executions/n/nap?wait=true", "-X", "POST"]), "503");
    assert_eq!(server.code(&["/api/v1/flows/search"]), "200");
    drop(followers);
    until("there is room for a follower again", async || follow().0 == "HTTP/1.1 200").await;
}
