//! A server between a task and the emulator that writes down what it is asked, and fails where it is told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{client, google};

/// What to answer in place of the emulator, once.
#[derive(Clone)]
pub struct Fault {
    /// What the request's method and address hold.
    pub when: &'static str,
    pub status: u16,
    pub body: String,
    /// Whether the emulator gets the request all the same: its answer is lost, its work is done.
    pub lost: bool,
}

/// A refusal as Google writes it.
pub fn fault(when: &'static str, status: u16, reason: &str, message: &str) -> Fault {
    let error = json!({"code": status, "message": message, "status": "X",
        "errors": [{"domain": "global", "reason": reason, "message": message}]});
    Fault { when, status, body: json!({"error": error}).to_string(), lost: false }
}

/// An answer of this JSON.
pub fn reply(when: &'static str, body: Value) -> Fault {
    Fault { when, status: 200, body: body.to_string(), lost: false }
}

#[derive(Default)]
pub struct Proxy {
    pub url: String,
    upstream: String,
    faults: Mutex<Vec<Fault>>,
    /// Method and address of every request, and its body.
    pub requests: Mutex<Vec<(String, Value)>>,
    /// Who asked.
    pub tokens: Mutex<Vec<String>>,
}

impl Proxy {
    pub async fn start(faults: Vec<Fault>) -> Option<Arc<Self>> {
        let upstream = google::emulators()?["BIGQUERY_EMULATOR_HOST"].clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Arc::new(Self { url, upstream, faults: Mutex::new(faults), ..Self::default() });
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Some(proxy)
    }

    pub fn count(&self, part: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(line, _)| line.contains(part)).count()
    }

    /// The jobs that were asked for.
    pub fn jobs(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let jobs = requests.iter().filter(|(line, _)| line.starts_with("POST") && line.contains("/jobs"));
        jobs.filter(|(line, _)| !line.contains("/cancel")).map(|(_, body)| body.clone()).collect()
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|fault| line.contains(fault.when))?;
        Some(faults.remove(at))
    }

    async fn forward(&self, line: &str, headers: axum::http::HeaderMap, body: Bytes) -> Response {
        let (method, uri) = line.split_once(' ').unwrap();
        // The host goes along, so that the addresses of uploads lead here too.
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = client().request(method, format!("{}{uri}", self.upstream));
        let answer = request.headers(headers).body(body).send().await.unwrap();
        let mut response = (answer.status(), answer.headers().clone()).into_response();
        *response.body_mut() = Body::from_stream(answer.bytes_stream());
        response
    }
}

async fn answer(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let (parts, body) = request.into_parts();
    let token = parts.headers.get("authorization").and_then(|token| token.to_str().ok()).unwrap_or_default();
    proxy.tokens.lock().unwrap().push(token.to_owned());
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let json = serde_json::from_slice(&body).unwrap_or_default();
    proxy.requests.lock().unwrap().push((line.clone(), json));
    match proxy.fault(&line) {
        Some(fault) => {
            if fault.lost {
                proxy.forward(&line, parts.headers, body).await;
            }
            (StatusCode::from_u16(fault.status).unwrap(), fault.body).into_response()
        }
        None => proxy.forward(&line, parts.headers, body).await,
    }
}
