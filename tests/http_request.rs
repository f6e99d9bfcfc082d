//! `http.request` against a real server on this machine.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use crate::common::attempt;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};
use axum::{Json, Router};
use jitney::task::{ErrorClass, Level, Outputs, TaskError};
use serde_json::{Value, json};
use tempfile::tempdir;

const TYPE: &str = "io.kestra.plugin.core.http.Request";

/// What the server saw.
async fn echo(request: Request) -> Json<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    Json(json!({
        "method": parts.method.as_str(),
        "query": parts.uri.query(),
        "type": header(header::CONTENT_TYPE),
        "length": header(header::CONTENT_LENGTH),
        "login": header(header::AUTHORIZATION),
        "accept": header(header::ACCEPT),
        "body": String::from_utf8_lossy(&body),
    }))
}

async fn server() -> String {
    let cookie = || (HeaderMap::from_iter([(header::SET_COOKIE, "session=1".parse().unwrap())]), "set");
    let latin = || ([(header::CONTENT_TYPE, "text/plain; charset=ISO-8859-1")], Bytes::from_static(b"caf\xe9"));
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/missing", get(|| async { (StatusCode::NOT_FOUND, "no such page").into_response() }))
        .route("/busy", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "later").into_response() }))
        .route("/moved", any(|| async { Redirect::temporary("/echo") }))
        .route("/away", any(|request: Request| async move { Redirect::temporary(request.uri().query().unwrap()) }))
        .route("/seen", any(|request: Request| async move { format!("{:?}", request.headers()) }))
        .route("/cookie", get(move || async move { cookie() }))
        .route("/latin", get(move || async move { latin() }))
        .route("/binary", get(|| async { Bytes::from_static(b"a\xff") }))
        .route("/large", get(|| async { vec![b'x'; 10_000_001] }))
        .route("/silent", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn ask(fields: Value) -> Result<Outputs, TaskError> {
    attempt::run(attempt::context(tempdir().unwrap().path(), &[]).0, TYPE, fields).await
}

/// What the server saw of a request.
async fn seen(fields: Value) -> Value {
    serde_json::from_str(ask(fields).await.unwrap()["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn address_headers_and_logins_arrive() {
    let uri = format!("{}/echo?a=1", server().await);
    let fields = json!({"uri": uri, "params": {"b": ["x y", 2], "c": null}, "headers": {"Accept": "text/csv"}});
    let saw = seen(fields).await;
    assert_eq!(
        (&saw["method"], &saw["query"], &saw["accept"]),
        (&json!("GET"), &json!("a=1&b=x+y&b=2"), &json!("text/csv"))
    );
    for (options, login) in [
        (json!({"auth": {"type": "BASIC", "username": "me", "password": "hunter22"}}), "Basic bWU6aHVudGVyMjI="),
        (json!({"basicAuthUser": "me", "basicAuthPassword": "hunter22"}), "Basic bWU6aHVudGVyMjI="),
        (json!({"auth": {"type": "BEARER", "token": "t0ken"}}), "Bearer t0ken"),
    ] {
        assert_eq!(seen(json!({"uri": uri, "options": options})).await["login"], login);
    }
    let error = ask(json!({"uri": uri, "options": {"auth": {"type": "BEARER"}}})).await.unwrap_err();
    assert_eq!(error.message, "`options.auth.token` is missing");
}

#[tokio::test]
async fn bodies_and_forms_have_their_types() {
    let uri = format!("{}/echo", server().await);
    let saw = seen(json!({"uri": uri, "method": "POST", "body": {"a": [1]}})).await;
    assert_eq!(
        (&saw["method"], &saw["type"], &saw["body"]),
        (&json!("POST"), &json!("application/json"), &json!(r#"{"a":[1]}"#))
    );
    let saw = seen(json!({"uri": uri, "method": "PUT", "body": "a,b", "contentType": "text/csv"})).await;
    assert_eq!((&saw["type"], &saw["body"]), (&json!("text/csv"), &json!("a,b")));
    let saw = seen(json!({"uri": uri, "method": "POST", "formData": {"a": "x y", "b": 1}})).await;
    assert_eq!((&saw["type"], &saw["body"]), (&json!("application/x-www-form-urlencoded"), &json!("a=x+y&b=1")));
    let error = ask(json!({"uri": uri, "method": "POST", "formData": {"a": 1}, "body": "x"})).await.unwrap_err();
    assert!(error.message.contains("cannot be combined"), "{error}");
}

#[tokio::test]
async fn files_are_sent_in_the_parts_of_a_form() {
    let home = tempdir().unwrap();
    let (context, _) = attempt::context(home.path(), &[]);
    let stored = context.output_file("trips.csv").unwrap();
    std::fs::write(&stored.path, "1,2\n").unwrap();
    let fields = json!({"uri": format!("{}/echo", server().await), "method": "POST", "formData": {
        "note": "plain", "stored": stored.uri, "made": {"name": "a\"b.json", "content": "{}", "contentType": "application/json"},
    }});
    let answer = attempt::run(context, TYPE, fields).await.unwrap();
    let saw: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    let boundary = saw["type"].as_str().unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = saw["body"].as_str().unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nplain\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"stored\"; filename=\"trips.csv\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n1,2\n\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"made\"; filename=\"a%22b.json\"\r\n\
         Content-Type: application/json\r\n\r\n{{}}\r\n--{boundary}--\r\n"
    );
    assert_eq!(body, expected);
    assert_eq!(saw["length"], expected.len().to_string());
}

#[tokio::test]
async fn an_answer_that_will_not_do_fails_the_task() {
    let at = server().await;
    let error = ask(json!({"uri": format!("{at}/missing")})).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Permanent);
    assert_eq!(error.message, format!("GET {at}/missing: the server answered 404 Not Found: no such page"));
    assert_eq!(ask(json!({"uri": format!("{at}/busy")})).await.unwrap_err().class, ErrorClass::Transient);
    for options in [json!({"allowFailed": true}), json!({"allowedResponseCodes": [404]})] {
        let answer = ask(json!({"uri": format!("{at}/missing"), "options": options})).await.unwrap();
        assert_eq!((&answer["code"], &answer["body"]), (&json!(404), &json!("no such page")));
    }
    let error =
        ask(json!({"uri": format!("{at}/echo"), "options": {"allowedResponseCodes": [201]}})).await.unwrap_err();
    assert!(error.message.contains("answered 200 OK"), "{error}");
    for limits in [
        json!({"timeout": {"readIdleTimeout": "PT0.1S"}}),
        json!({"connectTimeout": "PT1M", "readTimeout": "PT0.1S", "readIdleTimeout": "PT10M", "defaultCharset": "UTF-8"}),
    ] {
        let error = ask(json!({"uri": format!("{at}/silent"), "options": limits})).await;
        assert_eq!(error.unwrap_err().class, ErrorClass::Transient);
    }
    let error = ask(json!({"uri": "ftp://example.org/x"})).await.unwrap_err();
    assert!(error.message.contains("only http and https"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_unless_the_request_says_no() {
    let at = server().await;
    let answer = ask(json!({"uri": format!("{at}/moved")})).await.unwrap();
    assert_eq!((&answer["code"], &answer["uri"]), (&json!(200), &json!(format!("{at}/echo"))));
    let answer = ask(json!({"uri": format!("{at}/moved"), "options": {"followRedirects": false}})).await.unwrap();
    assert_eq!((&answer["code"], &answer["headers"]["location"][0]), (&json!(307), &json!("/echo")));
}

#[tokio::test]
async fn content_is_sent_on_within_its_origin_and_nothing_of_the_flow_s_to_another() {
    let (at, other) = (server().await, server().await);
    let fields =
        json!({"uri": format!("{at}/moved"), "method": "POST", "body": {"a": 1}, "headers": {"X-Api-Key": "k"}});
    let saw = seen(fields).await;
    assert_eq!((&saw["method"], &saw["body"]), (&json!("POST"), &json!("{\"a\":1}")));
    let away = format!("{at}/away?{other}/seen");
    let headers = json!({"X-Api-Key": "SEKRIT", "Cookie": "id=SEKRIT"});
    let auth = json!({"auth": {"type": "BEARER", "token": "SEKRIT-token"}});
    let answer = ask(json!({"uri": away, "headers": headers, "options": auth})).await.unwrap();
    let arrived = answer["body"].as_str().unwrap();
    assert!(arrived.contains("user-agent") && !arrived.contains("SEKRIT") && !arrived.contains("referer"), "{arrived}");
    let error = ask(json!({"uri": away, "method": "POST", "body": "SEKRIT"})).await.unwrap_err();
    assert!(
        error.message.contains(&format!("redirects to {other}, but content is only sent to the original server")),
        "{error}"
    );
    assert_eq!(error.class, ErrorClass::Permanent);
}

#[tokio::test]
async fn a_server_that_comes_up_meanwhile_is_asked_once_it_is_there() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        axum::serve(listener, Router::new().route("/echo", any(echo))).await
    });
    let saw = seen(json!({"uri": format!("http://{address}/echo"), "method": "POST", "body": "once"})).await;
    assert_eq!(saw["body"], "once");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (context, _) = attempt::context(tempdir().unwrap().path(), &[("JITNEY_RETRY_TIMEOUT", "0s")]);
    let error = attempt::run(context, TYPE, json!({"uri": format!("http://{nobody}/")})).await.unwrap_err();
    assert_eq!((error.class, error.code.as_deref()), (ErrorClass::Transient, Some("no connection")));
}

#[tokio::test]
async fn what_is_too_large_or_no_text_is_left_to_a_download() {
    let at = server().await;
    let error = ask(json!({"uri": format!("{at}/large")})).await.unwrap_err();
    assert!(error.message.contains("larger than 10 MB") && error.help.unwrap().contains("http.download"));
    assert_eq!(ask(json!({"uri": format!("{at}/latin")})).await.unwrap()["body"], "café");
    let cookies = ask(json!({"uri": format!("{at}/cookie")})).await.unwrap();
    assert_eq!((&cookies["body"], cookies["headers"].get("set-cookie")), (&json!("set"), None));
    let home = tempdir().unwrap();
    let (context, lines) = attempt::context(home.path(), &[]);
    let answer = attempt::run(context, TYPE, json!({"uri": format!("{at}/binary")})).await.unwrap();
    assert_eq!(answer["body"], "a\u{fffd}");
    assert!(lines.lock().unwrap().iter().any(|(level, line)| *level == Level::Warn && line.contains("http.download")));
}
