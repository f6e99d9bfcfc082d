//! A server between a task and the emulator that fails where it is told to, and takes resumable uploads as Google does,
//! which the emulator does not: it ends one when it is asked how far it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::google;

/// What to answer in place of the emulator, once.
#[derive(Clone)]
pub struct Fault {
    /// What the request's method and address hold.
    pub when: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: String,
}

/// A refusal as Google writes it.
pub fn fault(when: &'static str, status: u16, reason: &str, message: &str) -> Fault {
    let error = serde_json::json!({"code": status, "message": message, "errors": [{"domain": "global", "reason": reason, "message": message}]});
    Fault { when, status, headers: Vec::new(), body: serde_json::json!({"error": error}).to_string() }
}

#[derive(Default)]
struct Upload {
    /// The object's address at the emulator.
    target: String,
    bytes: Vec<u8>,
}

/// Somebody who sends bytes. Where the line is cut, what answers it is dropped in the middle.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
pub struct Proxy {
    pub url: String,
    upstream: String,
    faults: Mutex<Vec<Fault>>,
    /// Method, address and range of every request, and who asked.
    pub requests: Mutex<Vec<String>>,
    pub tokens: Mutex<Vec<String>>,
    /// The ranges that downloads asked for.
    pub ranges: Mutex<Vec<String>>,
    uploads: Mutex<BTreeMap<String, Upload>>,
    received: AtomicUsize,
    under_way: AtomicUsize,
    /// Bits to flip in the next upload's first byte.
    pub damage: Mutex<u8>,
}

impl Proxy {
    /// Starts one before the emulator, or before nothing where `upstream` is empty.
    pub async fn start(faults: Vec<Fault>) -> Option<Arc<Self>> {
        let upstream = google::emulators()?["STORAGE_EMULATOR_HOST"].clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Arc::new(Self { url, upstream, faults: Mutex::new(faults), ..Self::default() });
        let router = Router::new().fallback(answer).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Some(proxy)
    }

    pub fn count(&self, part: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.contains(part)).count()
    }

    /// Bytes that sessions were sent, over and over if need be.
    pub fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }

    /// Whether no session is being sent bytes.
    pub fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) == 0
    }

    /// Forgets all sessions, as Google does after a week.
    pub fn forget(&self) {
        self.uploads.lock().unwrap().clear();
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|fault| line.contains(fault.when))?;
        Some(faults.remove(at))
    }

    async fn forward(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let url = format!("{}{}", self.upstream, parts.uri);
        let mut headers = parts.headers;
        headers.remove("host");
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let answer =
            reqwest::Client::new().request(parts.method, url).headers(headers).body(body).send().await.unwrap();
        let mut response = (answer.status(), answer.headers().clone()).into_response();
        *response.body_mut() = Body::from_stream(answer.bytes_stream());
        response
    }

    fn open(&self, host: &str, uri: &str) -> Response {
        let mut uploads = self.uploads.lock().unwrap();
        let id = format!("session{}", uploads.len() + self.count("PUT"));
        let target = uri.replace("uploadType=resumable", "uploadType=media");
        uploads.insert(id.clone(), Upload { target, bytes: Vec::new() });
        (StatusCode::OK, [("location", format!("http://{host}/session?upload_id={id}"))]).into_response()
    }

    async fn take(&self, id: &str, headers: &HeaderMap, body: Body) -> Response {
        let range = headers["content-range"].to_str().unwrap().trim_start_matches("bytes ").to_owned();
        let (part, total) = range.split_once('/').unwrap();
        let total: usize = total.parse().unwrap();
        if !self.uploads.lock().unwrap().contains_key(id) {
            return StatusCode::GONE.into_response();
        }
        if let Some((start, _)) = part.split_once('-') {
            let start: usize = start.parse().unwrap();
            self.with(id, |upload| assert_eq!(upload.bytes.len(), start, "bytes left out or sent twice"));
        }
        let busy = Busy::new(&self.under_way);
        let mut pieces = body.into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            self.with(id, |upload| upload.bytes.extend_from_slice(&piece));
            self.received.fetch_add(piece.len(), Ordering::SeqCst);
        }
        drop(busy);
        let there = self.with(id, |upload| upload.bytes.len());
        if there < total {
            let range = if there == 0 { vec![] } else { vec![("range", format!("bytes=0-{}", there - 1))] };
            let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
            range
                .into_iter()
                .for_each(|(name, value)| drop(response.headers_mut().insert(name, value.parse().unwrap())));
            return response;
        }
        let mut upload = self.uploads.lock().unwrap().remove(id).unwrap();
        upload.bytes[0] ^= std::mem::take(&mut *self.damage.lock().unwrap());
        let url = format!("{}{}", self.upstream, upload.target);
        let stored = reqwest::Client::new().post(url).body(upload.bytes).send().await.unwrap();
        stored.bytes().await.unwrap().into_response()
    }

    fn with<T>(&self, id: &str, look: impl FnOnce(&mut Upload) -> T) -> T {
        look(self.uploads.lock().unwrap().get_mut(id).unwrap())
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn answer(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let line = format!("{} {} {}", request.method(), request.uri(), text(request.headers(), "content-range"));
    proxy.requests.lock().unwrap().push(line.clone());
    proxy.tokens.lock().unwrap().push(text(request.headers(), "authorization"));
    proxy.ranges.lock().unwrap().extend(Some(text(request.headers(), "range")).filter(|range| !range.is_empty()));
    if let Some(fault) = proxy.fault(&line) {
        // Answered before it is read, a body would look like a cut line.
        let _ = to_bytes(request.into_body(), usize::MAX).await;
        let mut response = (StatusCode::from_u16(fault.status).unwrap(), Bytes::from(fault.body)).into_response();
        for (name, value) in fault.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        return response;
    }
    let uri = request.uri().to_string();
    match uri.split_once("/session?upload_id=") {
        Some((_, id)) => {
            let (parts, body) = request.into_parts();
            proxy.take(id, &parts.headers, body).await
        }
        None if line.starts_with("POST") && uri.contains("uploadType=resumable") => {
            proxy.open(&text(request.headers(), "host"), &uri)
        }
        None => proxy.forward(request).await,
    }
}

/// A line to a server, of which the first, second … connection is cut after so many bytes, whichever way they go; further
/// ones are not.
pub async fn cut(url: &str, limits: Vec<usize>) -> String {
    let server = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut limits = limits.into_iter();
        while let Ok((mut client, _)) = listener.accept().await {
            let limit = limits.next().unwrap_or(usize::MAX);
            let mut server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move {
                let (mut to_client, mut to_server) = (vec![0; 65_536], vec![0; 65_536]);
                let mut sent = 0;
                while sent < limit {
                    tokio::select! {
                        read = client.read(&mut to_server) => match read {
                            Ok(count @ 1..) => { sent += count; server.write_all(&to_server[..count]).await.unwrap_or(()) }
                            _ => break,
                        },
                        read = server.read(&mut to_client) => match read {
                            Ok(count @ 1..) => { sent += count; client.write_all(&to_client[..count]).await.unwrap_or(()) }
                            _ => break,
                        },
                    }
                }
            });
        }
    });
    address
}
