//! Servers of language models, made by others, each for one test.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A server, which ends with this.
pub struct ModelServer {
    child: Child,
    pub port: u16,
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ai/run")
}

/// Whether the servers are installed. Where they cannot be, the test has to return, and stderr says that it did; with
/// `JITNEY_TEST_STRICT=1` that fails it.
fn is_installed() -> bool {
    static PROBLEM: OnceLock<Option<String>> = OnceLock::new();
    let problem = PROBLEM.get_or_init(|| {
        let output = Command::new(script()).arg("install").output();
        match output {
            Err(error) => Some(format!("cannot run tests/ai/run: {error}")),
            Ok(output) if !output.status.success() => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Ok(_) => None,
        }
    });
    problem.iter().for_each(|problem| super::skip(problem));
    problem.is_none()
}

impl ModelServer {
    /// `imitate`, `break`, `embed` or `chat` of `tests/ai/run`; none where they cannot be set up.
    pub fn start(kind: &str) -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(script());
        command.args([kind, &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { child: command.spawn().unwrap(), port };
        let began = Instant::now();
        // A server that still loads its model answers with 503.
        while !is_ready(port, kind == "chat") {
            assert!(began.elapsed() < Duration::from_secs(120), "the server `{kind}` does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    /// An address of the server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends JSON to an address of the server's own.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let client = client();
        let sent = client.post(self.url(path)).header("content-type", "application/json").body(body.to_string());
        let text = sent.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Reads JSON from an address of the server's own.
    pub async fn get(&self, path: &str) -> Value {
        let text = client().get(self.url(path)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// llmock: what goes wrong next.
    pub async fn will(&self, behaviours: Value) {
        self.post("/_llmock/scenario", json!({"behaviors": behaviours})).await;
    }

    /// llmock: what it thinks of its clients.
    pub async fn verdict(&self) -> Value {
        self.get("/_llmock/verdict").await
    }
}

/// Whether the server accepts connections, or has its model too.
fn is_ready(port: u16, needs_model: bool) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    if !needs_model {
        return true;
    }
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn client() -> reqwest::Client {
    jitney::web::client::client(Duration::from_secs(30)).unwrap()
}
