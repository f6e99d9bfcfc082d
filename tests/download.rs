//! `http.download` against servers that behave, and servers that do not, over real connections.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use flate2::{Compression, write::GzEncoder};
use jitney::task::{ErrorClass, Task, TaskContext, TaskError};
use jitney::tasks::http::download::{HttpDownload, Outputs};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A request as the server saw it; header names in lower case.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Asked {
    /// N of `Range: bytes=N-`.
    fn start(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What the server does: status, headers, a body, and after how many bytes of it the line is cut.
#[derive(Default)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    /// The line stays open and silent after the cut.
    stall: bool,
    /// The body comes byte by byte.
    slow: bool,
}

impl Answer {
    fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// The rest of a file from where the request wants it.
    fn rest(file: &[u8], etag: &str, asked: &Asked) -> Self {
        let honoured = asked.start().filter(|_| asked.headers.get("if-range").is_some_and(|tag| tag == etag));
        let tag = ("ETag", etag.to_owned());
        match honoured {
            Some(start) => Self {
                headers: vec![tag, ("Content-Range", format!("bytes {start}-{}/{}", file.len() - 1, file.len()))],
                ..Self::of(206, &file[start..])
            },
            None => Self { headers: vec![tag], ..Self::of(200, file) },
        }
    }

    fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers each request with what `answer` makes of its number (from 0) and content, then hangs up.
    fn start(answer: impl Fn(usize, &Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let log = asked.clone();
        std::thread::spawn(move || {
            let mut stalled = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.unwrap();
                let request = read(&stream);
                log.lock().unwrap().push(request.clone());
                let answer = answer(number, &request);
                write(&stream, &answer);
                if answer.stall {
                    stalled.push(stream);
                }
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn starts(&self) -> Vec<Option<usize>> {
        self.asked().iter().map(Asked::start).collect()
    }
}

fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()));
    let headers = headers.map(|line| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned())).unwrap());
    let headers: BTreeMap<String, String> = headers.collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Asked { method, path, headers, body: String::from_utf8(body).unwrap() }
}

fn write(mut stream: &TcpStream, answer: &Answer) {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", answer.body.len());
    let sent = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
    if answer.slow {
        let _ = stream.write_all(head.as_bytes());
        for byte in sent {
            std::thread::sleep(std::time::Duration::from_millis(10));
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
        }
        return;
    }
    // A client that has hung up already is part of some tests.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent)).and_then(|()| stream.flush());
}

/// A gzip file of several hundred KiB that does not compress well.
fn month() -> Vec<u8> {
    let mut state = 1_u64;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..40_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(encoder, "{state}").unwrap();
    }
    encoder.finish().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn task(fields: Value) -> HttpDownload {
    serde_json::from_value(fields).unwrap()
}

async fn get(context: &TaskContext, uri: &str) -> Result<Outputs, TaskError> {
    task(json!({ "uri": uri })).run(context).await
}

fn stored(context: &TaskContext, outputs: &Outputs) -> Vec<u8> {
    std::fs::read(context.storage.path(&outputs.uri).unwrap()).unwrap()
}

/// The names in the task's folder of storage.
fn left(home: &Path) -> Vec<String> {
    let folder = home.join("storage/e1/test");
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

const FILE: &str = "/green/green_tripdata_2020-04.csv.gz";

#[tokio::test]
async fn a_file_arrives_whole_with_its_sums() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |_, asked| {
        Answer::rest(&body, "\"1\"", asked).header("X-Two", "a").header("X-Two", "b").header("Set-Cookie", "id=secret")
    });
    let context = common::context(home.path());
    let outputs = get(&context, &server.url(FILE)).await.unwrap();
    assert_eq!(outputs.uri, "jitney:///e1/test/green_tripdata_2020-04.csv.gz");
    assert_eq!((outputs.code, outputs.length, outputs.resumed_bytes), (200, file.len() as u64, 0));
    assert_eq!(outputs.sha256, hex(&file));
    assert_eq!(outputs.headers["x-two"], ["a", "b"]);
    assert!(!outputs.headers.contains_key("set-cookie"));
    assert_eq!(stored(&context, &outputs), file);
    assert_eq!(left(home.path()), ["green_tripdata_2020-04.csv.gz"]);
    assert_eq!(context.progress.bytes.load(Ordering::Relaxed), file.len() as u64);
    assert_eq!(context.progress.total_bytes.load(Ordering::Relaxed), file.len() as u64);
}

/// A download with further fields from this path.
async fn with(context: &TaskContext, server: &Server, path: &str, more: Value) -> Result<Outputs, TaskError> {
    let mut fields = json!({ "uri": server.url(path) });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task(fields).run(context).await
}

#[tokio::test]
async fn a_file_is_asked_for_by_any_method_with_content_and_a_login() {
    let server = Server::start(|_, _| Answer::of(200, "id\n1\n"));
    let home = tempfile::tempdir().unwrap();
    let context = common::context(home.path());
    let login = json!({"auth": {"type": "BASIC", "username": "ada", "password": "pass-of-ada"}});
    let plain = json!({"method": "GET", "contentType": "text/csv", "params": {"year": 2020, "month": [1, 2]},
        "options": login, "saveAs": "months.csv"});
    let outputs = with(&context, &server, "/file", plain).await.unwrap();
    assert_eq!(stored(&context, &outputs), b"id\n1\n");
    assert!(outputs.uri.ends_with("/months.csv"), "{}", outputs.uri);
    let asked = server.asked().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/file?year=2020&month=1&month=2"));
    assert_eq!(asked.headers["authorization"], "Basic YWRhOnBhc3Mtb2YtYWRh");
    assert_eq!(asked.headers["content-type"], "text/csv");

    let json = json!({"method": "POST", "body": {"month": 4}, "headers": {"Content-Type": "application/x-query"}});
    with(&context, &server, "/file", json).await.unwrap();
    let asked = server.asked().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("POST", "{\"month\":4}"));
    assert_eq!(asked.headers["content-type"], "application/x-query");
    with(&context, &server, "/file", json!({"method": "POST", "formData": {"month": "04"}})).await.unwrap();
    assert_eq!(server.asked().pop().unwrap().body, "month=04");

    let through = json!({"options": {"proxy": {"type": "HTTP", "address": "127.0.0.1", "port": server.address.port(),
        "username": "ada", "password": "pass-of-ada"}}});
    let fields = json!({"uri": "http://far.invalid/file.csv", "options": through["options"]});
    task(fields).run(&context).await.unwrap();
    let asked = server.asked().pop().unwrap();
    assert_eq!(asked.path, "http://far.invalid/file.csv");
    assert_eq!(asked.headers["proxy-authorization"], "Basic YWRhOnBhc3Mtb2YtYWRh");
}

#[tokio::test]
async fn what_is_sent_is_not_sent_twice_unless_the_flow_says_so() {
    let server = Server::start(|_, _| Answer::of(200, "half of it").header("ETag", "\"1\"").cut(4));
    let home = tempfile::tempdir().unwrap();
    let context = common::context(home.path());
    let error = with(&context, &server, "/cut", json!({"method": "POST", "body": "x"})).await.unwrap_err();
    assert_eq!((error.class, server.asked().len()), (ErrorClass::Transient, 1));
    with(&context, &server, "/cut", json!({"method": "POST", "body": "x", "attempts": 2})).await.unwrap_err();
    assert_eq!(server.asked().len(), 3);
    assert_eq!(server.starts(), [None; 3], "a POST is not continued in the middle");
}

#[tokio::test]
async fn the_flow_says_which_answers_are_the_file() {
    let server = Server::start(|_, asked| match asked.path.as_str() {
        "/gone" => Answer::of(404, "nothing"),
        "/empty" => Answer::of(200, ""),
        "/moved" => Answer::of(302, "over there").header("Location", "/file"),
        _ => Answer::of(200, "id\n1\n"),
    });
    let home = tempfile::tempdir().unwrap();
    let context = common::context(home.path());
    let run = |path: &'static str, more: Value| with(&context, &server, path, more);
    assert!(run("/gone", json!({})).await.is_err());
    assert_eq!(run("/gone", json!({"options": {"allowFailed": true}})).await.unwrap().code, 404);
    assert_eq!(run("/gone", json!({"options": {"allowedResponseCodes": [404]}})).await.unwrap().code, 404);
    assert!(run("/file", json!({"options": {"allowedResponseCodes": [201]}})).await.is_err());
    assert_eq!(run("/moved", json!({})).await.unwrap().length, 5);
    assert!(run("/moved", json!({"options": {"followRedirects": false}})).await.is_err());
    let empty = run("/empty", json!({})).await.unwrap_err();
    assert!(empty.message.ends_with("is empty") && empty.help.is_some(), "{empty}");
    for allowed in [json!({"failOnEmptyResponse": false}), json!({"options": {"allowFailed": true}})] {
        assert_eq!(run("/empty", allowed).await.unwrap().length, 0);
    }
}

#[test]
fn what_cannot_be_honoured_is_known_before_anything_is_asked() {
    let at = |more: Value| {
        let mut fields = json!({"uri": "https://h/f.csv"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (jitney::tasks::find("io.kestra.plugin.core.http.Download").unwrap().check)(&fields)
    };
    assert_eq!(
        at(json!({"method": "POST", "body": "x", "options": {"ssl": {"insecureTrustAllCertificates": true}}})),
        Ok(())
    );
    assert_eq!(at(json!({"uri": "{{ inputs.from }}", "params": {"a": 1}})), Ok(()));
    for (more, wrong) in [
        (json!({"method": "HEAD"}), "has no content"),
        (json!({"body": "x", "form_data": {"a": 1}}), "cannot be combined"),
        (json!({"options": {"auth": {"type": "BEARER"}}}), "`options.auth.token` is missing"),
        (
            json!({"options": {"auth": {"type": "BASIC", "username": "a", "token": "t"}}}),
            "`options.auth.token` has no effect",
        ),
        (json!({"options": {"auth": {"type": "DIGEST"}}}), "unknown variant"),
        (json!({"options": {"proxy": {"type": "SOCKS"}}}), "unknown variant"),
        (json!({"options": {"proxy": {"address": "h"}}}), "needs `address` and `port`"),
        (json!({"options": {"defaultCharset": "UTF-16"}}), "unknown variant"),
        (json!({"options": {"basicAuthUser": "a", "auth": {"type": "BEARER", "token": "t"}}}), "specified twice"),
        (json!({"uri": "data.csv", "method": "POST"}), "applies only to requests to a server"),
        (json!({"uri": "file:///data.csv", "params": {"a": 1}}), "applies only to requests to a server"),
    ] {
        let error = at(more.clone()).unwrap_err();
        assert!(error.message.contains(wrong), "{more}: {}", error.message);
    }
}

#[tokio::test]
async fn redirects_are_followed_but_what_the_flow_sends_stays_with_its_origin() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let last = Server::start(move |_, asked| Answer::rest(&file, "\"1\"", asked));
    let target = last.url("/elsewhere");
    let first = Server::start(move |number, _| {
        let next = if number == 0 { "/second".to_owned() } else { target.clone() };
        Answer::of(302, "").header("Location", next)
    });
    let fields = json!({
        "uri": format!("http://me:hunter22@{}/f.csv.gz?token=SEKRIT", first.address),
        "headers": {"X-Api-Key": "SEKRIT", "PRIVATE-TOKEN": "SEKRIT", "Cookie": "id=SEKRIT"},
    });
    let outputs = task(fields).run(&common::context(home.path())).await.unwrap();
    assert!(outputs.uri.ends_with("/f.csv.gz"), "the name is that of the address asked for: {}", outputs.uri);
    let asked = first.asked();
    assert!(asked.iter().all(|asked| asked.headers.contains_key("authorization")), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.headers["x-api-key"] == "SEKRIT"), "{asked:?}");
    let asked = last.asked();
    assert_eq!(asked[0].path, "/elsewhere");
    let names: Vec<&str> = asked[0].headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
}

#[tokio::test]
async fn endless_redirects_are_an_error_at_once() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::of(302, "").header("Location", FILE));
    let error = get(&common::context(home.path()), &server.url(FILE)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent, "{error}");
    assert_eq!(server.asked().len(), 11);
}

#[tokio::test]
async fn a_missing_month_is_told_with_the_months_around_it() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, asked| match asked.path.as_str() {
        "/green/" => {
            Answer::of(200, "<a href=green_tripdata_2020-03.csv.gz>x</a><a href=green_tripdata_2020-05.csv.gz>")
        }
        _ => Answer::of(404, "<title>gone</title>"),
    });
    let url = format!("http://me:hunter22@{}{FILE}?v=1", server.address);
    let error = get(&common::context(home.path()), &url).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert!(error.message.contains(&server.url(FILE)) && error.message.contains("404"), "{error}");
    let help = "the server has green_tripdata_2020-03.csv.gz and green_tripdata_2020-05.csv.gz";
    assert_eq!(error.help.as_deref(), Some(help));
    assert!(!format!("{error:?}").contains("hunter22") && !error.message.contains("me:"), "{error:?}");
}

#[tokio::test]
async fn a_missing_month_of_a_server_without_listings_is_told_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::of(404, ""));
    let error = get(&common::context(home.path()), &server.url(FILE)).await.unwrap_err();
    assert!(error.to_string().contains("check the address"), "{error}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let server = Server::start(move |number, asked| match number {
        0 => Answer::of(500, "oops"),
        1 => Answer::of(429, "slow down").header("Retry-After", "0"),
        _ => Answer::rest(&file, "\"1\"", asked),
    });
    get(&common::context(home.path()), &server.url(FILE)).await.unwrap();
    assert_eq!(server.starts(), [None, None, None]);
}

#[tokio::test]
async fn a_server_that_stays_busy_is_a_transient_error_and_a_refusal_a_permanent_one() {
    let home = tempfile::tempdir().unwrap();
    let context = common::context(home.path());
    let busy = Server::start(|_, _| Answer::of(503, "<h1>back soon</h1>"));
    let error = task(json!({"uri": busy.url(FILE), "attempts": 2})).run(&context).await.unwrap_err();
    assert_eq!((error.class, busy.asked().len()), (ErrorClass::Transient, 2));
    assert!(error.message.contains("503") && error.message.contains("back soon"), "{error}");
    let closed = Server::start(|_, _| Answer::of(403, "members only"));
    let error = get(&context, &closed.url(FILE)).await.unwrap_err();
    assert_eq!((error.class, closed.asked().len()), (ErrorClass::Permanent, 1));
    assert!(error.message.contains("members only") && error.to_string().contains("`headers`"), "{error}");
}

#[tokio::test]
async fn a_day_of_pause_is_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::of(503, "").header("Retry-After", "86400"));
    let error = get(&common::context(home.path()), &server.url(FILE)).await.unwrap_err();
    assert!(error.message.contains("; the server asks to wait until 2"), "{error}");
    assert_eq!((error.class, server.asked().len()), (ErrorClass::Transient, 1));
}

#[tokio::test]
async fn a_server_that_is_back_after_a_while_is_reached() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let body = file.clone();
    std::thread::spawn(move || {
        // Longer than five tries in a row take.
        std::thread::sleep(std::time::Duration::from_secs(5));
        let (stream, _) = TcpListener::bind(address).unwrap().accept().unwrap();
        let asked = read(&stream);
        write(&stream, &Answer::rest(&body, "\"1\"", &asked));
    });
    let context = common::context(home.path());
    let outputs = get(&context, &format!("http://{address}{FILE}")).await.unwrap();
    assert_eq!(stored(&context, &outputs), file);
}

#[tokio::test]
async fn a_line_that_drips_is_cut_and_continued_and_a_server_that_drips_given_up() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |number, asked| Answer { slow: number < 2, ..Answer::rest(&body, "\"1\"", asked) });
    let fields = json!({"uri": server.url(FILE), "idle_timeout": "300ms"});
    let context = common::context(home.path());
    let outputs = task(fields.clone()).run(&context).await.unwrap();
    assert_eq!((stored(&context, &outputs), server.asked().len()), (file.clone(), 3));
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(move |_, asked| Answer { slow: true, ..Answer::rest(&file, "\"1\"", asked) });
    let fields = json!({"uri": server.url(FILE), "idle_timeout": "300ms", "attempts": 2});
    let error = task(fields).run(&common::context(home.path())).await.unwrap_err();
    assert!(error.message.contains("bytes per second"), "{error}");
    assert_eq!((error.class, server.asked().len()), (ErrorClass::Transient, 2));
}

#[tokio::test]
async fn a_range_that_nobody_asked_for_is_no_shorter_file() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::of(416, ""));
    let error = get(&common::context(home.path()), &server.url(FILE)).await.unwrap_err();
    assert!(error.message.ends_with("the server answered 416 Range Not Satisfiable"), "{error}");
    assert_eq!((error.class, server.asked().len()), (ErrorClass::Permanent, 1));
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_packed_for_the_way_is_unpacked_and_a_gzip_file_stays_one() {
    let text = b"a,b\n1,2\n".repeat(1000);
    let cases = [
        ("/twice.csv.gz", packed(&packed(&text)), packed(&text)),
        ("/once.csv.gz", packed(&text), packed(&text)),
        ("/plain.csv", packed(&text), text.clone()),
    ];
    for (path, body, wanted) in cases {
        let home = tempfile::tempdir().unwrap();
        let server =
            Server::start(move |_, asked| Answer::rest(&body, "\"1\"", asked).header("Content-Encoding", "gzip"));
        let context = common::context(home.path());
        let fields = json!({"uri": server.url(path), "sha256": hex(&wanted)});
        let outputs = task(fields).run(&context).await.unwrap();
        assert_eq!((stored(&context, &outputs), outputs.length), (wanted.clone(), wanted.len() as u64), "{path}");
        assert_eq!(left(home.path()), [&path[1..]]);
    }
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::of(200, "x").header("Content-Encoding", "br"));
    let error = get(&common::context(home.path()), &server.url("/f.csv")).await.unwrap_err();
    assert!(error.message.ends_with("the server sends it with `Content-Encoding: br`"), "{error}");
    assert!(left(home.path()).is_empty());
}

#[tokio::test]
async fn bytes_behind_the_gzip_stream_are_named_and_zero_bytes_pad_it() {
    let home = tempfile::tempdir().unwrap();
    let context = common::context(home.path());
    let padded = [month(), vec![0; 1000]].concat();
    let server = Server::start(move |_, asked| match asked.path.as_str() {
        "/padded.csv.gz" => Answer::of(200, padded.clone()),
        _ => Answer::of(200, [month(), b"7 bytes".to_vec()].concat()),
    });
    get(&context, &server.url("/padded.csv.gz")).await.unwrap();
    let error = get(&context, &server.url(FILE)).await.unwrap_err();
    assert!(error.message.contains("something that is not gzip follows the gzip stream"), "{error}");
}

#[tokio::test]
async fn a_line_cut_twice_is_continued_where_it_broke() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |number, asked| match number {
        0 => Answer::rest(&body, "\"1\"", asked).cut(1000),
        1 => Answer::rest(&body, "\"1\"", asked).cut(70_000),
        _ => Answer::rest(&body, "\"1\"", asked),
    });
    let context = common::context(home.path());
    let outputs = get(&context, &server.url(FILE)).await.unwrap();
    assert_eq!(stored(&context, &outputs), file);
    assert_eq!(server.starts(), [None, Some(1000), Some(71_000)]);
    assert_eq!((outputs.code, outputs.resumed_bytes, outputs.sha256), (206, 71_000, hex(&file)));
}

#[tokio::test]
async fn a_line_that_goes_silent_is_continued_too() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |number, asked| match number {
        0 => Answer { stall: true, ..Answer::rest(&body, "\"1\"", asked).cut(5000) },
        _ => Answer::rest(&body, "\"1\"", asked),
    });
    let context = common::context(home.path());
    let outputs = task(json!({"uri": server.url(FILE), "idle_timeout": "200ms"})).run(&context).await.unwrap();
    assert_eq!((stored(&context, &outputs), server.starts()), (file, vec![None, Some(5000)]));
}

#[tokio::test]
async fn a_later_attempt_goes_on_from_what_an_earlier_one_left() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |number, asked| match number {
        0 => Answer::rest(&body, "\"1\"", asked).cut(9000),
        _ => Answer::rest(&body, "\"1\"", asked),
    });
    let once = task(json!({"uri": server.url(FILE), "attempts": 1}));
    let error = once.run(&common::context(home.path())).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error}");
    assert!(error.message.contains("after 9,000 bytes"), "{error}");
    assert_eq!(left(home.path()), ["green_tripdata_2020-04.csv.gz.part", "green_tripdata_2020-04.csv.gz.part.json"]);
    let context = common::context(home.path());
    let outputs = once.run(&context).await.unwrap();
    assert_eq!((stored(&context, &outputs), outputs.resumed_bytes), (file, 9000));
}

#[tokio::test]
async fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |number, _| {
        let whole = Answer::of(200, body.clone()).header("ETag", "\"1\"");
        if number == 0 { whole.cut(1000) } else { whole }
    });
    let context = common::context(home.path());
    let outputs = get(&context, &server.url(FILE)).await.unwrap();
    assert_eq!((stored(&context, &outputs), outputs.resumed_bytes), (file, 0));
    assert_eq!(server.starts(), [None, Some(1000)]);
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_never_mixed() {
    let (old, new) = (month(), month()[..].iter().rev().copied().collect::<Vec<_>>());
    // A server that honours If-Range sends the new file whole; one that does not sends its end.
    for honest in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let (before, after) = (old.clone(), new.clone());
        let server = Server::start(move |number, asked| match (number, asked.start()) {
            (0, _) => Answer::rest(&before, "\"old\"", asked).cut(1000),
            (_, Some(start)) if !honest => {
                let range = format!("bytes {start}-{}/{}", after.len() - 1, after.len());
                Answer::of(206, &after[start..]).header("ETag", "\"new\"").header("Content-Range", range)
            }
            _ => Answer::rest(&after, "\"new\"", asked),
        });
        let context = common::context(home.path());
        let outputs = get(&context, &server.url("/data.bin")).await.unwrap();
        assert_eq!(stored(&context, &outputs), new, "honest: {honest}");
    }
}

#[tokio::test]
async fn without_a_tag_nothing_is_continued() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let server = Server::start(move |number, _| {
        let whole = Answer::of(200, file.clone());
        if number == 0 { whole.cut(1000) } else { whole }
    });
    get(&common::context(home.path()), &server.url(FILE)).await.unwrap();
    assert_eq!(server.starts(), [None, None]);
}

#[tokio::test]
async fn a_gzip_file_that_is_cut_on_the_server_is_refused() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let server = Server::start(move |_, asked| Answer::rest(&file[..file.len() - 4], "\"1\"", asked));
    let error = get(&common::context(home.path()), &server.url(FILE)).await.unwrap_err();
    assert_eq!((error.class, server.asked().len()), (ErrorClass::Permanent, 1));
    assert!(error.message.contains("cut short"), "{error}");
    assert!(left(home.path()).is_empty(), "a bad file should not stay");
}

#[tokio::test]
async fn pieces_that_do_not_fit_together_are_fetched_once_more_in_one_piece() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let (body, other) = (file.clone(), file.iter().map(|byte| !byte).collect::<Vec<_>>());
    // The server gives two files the same tag.
    let server = Server::start(move |number, asked| match number {
        0 => Answer::rest(&other, "\"1\"", asked).cut(1000),
        _ => Answer::rest(&body, "\"1\"", asked),
    });
    let context = common::context(home.path());
    let fields = json!({"uri": server.url("/data.bin"), "sha256": hex(&file)});
    let outputs = task(fields).run(&context).await.unwrap();
    assert_eq!((stored(&context, &outputs), outputs.resumed_bytes), (file, 0));
    assert_eq!(server.starts(), [None, Some(1000), None]);
}

#[tokio::test]
async fn a_web_page_in_place_of_a_file_is_quoted() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| Answer::of(200, "<!DOCTYPE html><title>Sign in</title>"));
    let error = get(&common::context(home.path()), &server.url(FILE)).await.unwrap_err();
    assert!(error.message.ends_with("is a web page, where a gzip file was expected: “Sign in”"), "{error}");
    assert_eq!(error.class, ErrorClass::Permanent);
}

#[tokio::test]
async fn a_wrong_checksum_and_a_file_too_large_are_refused() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let (length, sum) = (file.len(), hex(&file));
    let server = Server::start(move |_, asked| Answer::rest(&file, "\"1\"", asked));
    let context = common::context(home.path());
    let wrong = task(json!({"uri": server.url(FILE), "sha256": "00"})).run(&context).await.unwrap_err();
    assert!(wrong.message.contains(&sum) && wrong.class == ErrorClass::Permanent, "{wrong}");
    let large = task(json!({"uri": server.url(FILE), "max_bytes": length - 1})).run(&context).await.unwrap_err();
    assert!(large.to_string().contains("increase `max_bytes`"), "{large}");
    assert!(left(home.path()).is_empty());
    task(json!({"uri": server.url(FILE), "max_bytes": length, "sha256": sum})).run(&context).await.unwrap();
}

#[tokio::test]
async fn a_stop_is_prompt_and_what_is_here_stays() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    let body = file.clone();
    let server = Server::start(move |number, asked| match number {
        0 => Answer { stall: true, ..Answer::rest(&body, "\"1\"", asked).cut(8000) },
        _ => Answer::rest(&body, "\"1\"", asked),
    });
    let context = common::context(home.path());
    let (cancel, progress) = (context.cancel.clone(), context.progress.clone());
    tokio::spawn(async move {
        while progress.bytes.load(Ordering::Relaxed) < 8000 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    let error = get(&context, &server.url(FILE)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Cancelled, "{error}");
    let context = common::context(home.path());
    let outputs = get(&context, &server.url(FILE)).await.unwrap();
    assert_eq!(stored(&context, &outputs), file);
}

#[tokio::test]
async fn nobody_there_is_a_transient_error_that_names_the_address() {
    let home = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fields = json!({"uri": format!("http://{free}/f.csv"), "attempts": 1});
    let error = task(fields).run(&common::context(home.path())).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains(&format!("http://{free}/f.csv")) && error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_folder_stands_in_for_a_server() {
    let (home, file) = (tempfile::tempdir().unwrap(), month());
    std::fs::create_dir(home.path().join("green")).unwrap();
    std::fs::write(home.path().join("green/m-04.csv.gz"), &file).unwrap();
    std::fs::write(home.path().join("green/m-06.csv.gz"), &file[..100]).unwrap();
    let context = common::context(home.path());
    for uri in ["green/m-04.csv.gz".to_owned(), format!("file://{}/green/m-04.csv.gz", home.path().display())] {
        let outputs = get(&context, &uri).await.unwrap();
        assert_eq!((outputs.code, &outputs.sha256), (200, &hex(&file)));
        assert_eq!(stored(&context, &outputs), file);
    }
    let missing = get(&context, "green/m-05.csv.gz").await.unwrap_err();
    assert!(missing.to_string().contains("the folder has m-04.csv.gz and m-06.csv.gz"), "{missing}");
    let damaged = get(&context, "green/m-06.csv.gz").await.unwrap_err();
    assert!(damaged.message.contains("green/m-06.csv.gz is damaged"), "{damaged}");
    let scheme = get(&context, "ftp://host/f.csv").await.unwrap_err();
    assert!(scheme.message.contains("`ftp://`") && scheme.class == ErrorClass::Permanent, "{scheme}");
}
