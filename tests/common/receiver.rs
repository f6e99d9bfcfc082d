//! A web server that takes what webhooks and collectors are sent.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::post;
use serde_json::Value;

/// What it was sent.
pub type Kept = Arc<Mutex<Vec<Value>>>;

/// Starts one that keeps the JSON that it is sent.
pub async fn receiver() -> (String, Kept) {
    let kept = Kept::default();
    let keep = kept.clone();
    let take = move |body: axum::Json<Value>| async move { keep.lock().unwrap().push(body.0) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/told", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/told", post(take))).await });
    (address, kept)
}
