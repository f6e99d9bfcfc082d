//! `kill -9` in the middle of a large upload, and the resume: no byte that Google has is sent again.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::proxy::Proxy;
use super::{bucket, noise, run, until};

const LENGTH: usize = 20 * 1024 * 1024;
/// What goes through before the line stands still.
const BEFORE: usize = 6 * 1024 * 1024;

/// Lines to a server on which nothing moves any more after so many bytes. Once it is opened these end, and new ones have
/// no limit.
async fn gate(url: &str) -> (String, watch::Sender<bool>) {
    let server = url.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (open, opened) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(carry(client, server, opened.clone()));
        }
    });
    (address, open)
}

async fn carry(client: TcpStream, server: TcpStream, mut opened: watch::Receiver<bool>) {
    let is_open = *opened.borrow();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let (mut piece, mut sent) = (vec![0; 65_536], 0);
    while let Ok(count @ 1..) = from_client.read(&mut piece).await {
        if to_server.write_all(&piece[..count]).await.is_err() {
            return;
        }
        sent += count;
        if sent >= BEFORE && !is_open {
            opened.wait_for(|open| *open).await.unwrap();
            return;
        }
    }
}

fn jitney(home: &Path, host: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
    command.env_clear().env("HOME", home).env("PATH", std::env::var("PATH").unwrap_or_default());
    command.env("STORAGE_EMULATOR_HOST", host).current_dir(home).stdin(Stdio::null());
    command.args(["--home", "home"]).args(arguments);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_is_resumed_and_sends_only_what_google_lacks() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let Some(bucket) = bucket(home, "kill9").await else { return };
    let folder = home.join("user");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("f"), noise(LENGTH)).unwrap();
    let to = format!("gs://{bucket}/f");
    let flow = format!(
        "id: large\nnamespace: n\ntasks:\n  - {{id: before, type: log, message: x}}\n  \
         - {{id: upload, type: gcs.upload, from: f, to: \"{to}\"}}\n"
    );
    fs::write(folder.join("large.yaml"), flow).unwrap();
    let proxy: Arc<Proxy> = Proxy::start(vec![]).await.unwrap();
    let (host, open) = gate(&proxy.url).await;

    let mut command = jitney(&folder, &host, &["run", "large.yaml"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the upload stands still", || proxy.received() >= BEFORE - 65_536).await;
    assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    open.send(true).unwrap();
    until("the line has ended", || proxy.is_idle()).await;
    let before = proxy.received();

    let mut command = jitney(&folder, &host, &["resume", "--json"]);
    let resumed = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    let reported: Value = serde_json::from_slice(&resumed.stdout).unwrap();
    let outputs = &reported["tasks"]["upload"]["outputs"];
    assert!(outputs["resumed_bytes"].as_u64().unwrap() >= before as u64, "{outputs}");
    assert_eq!(outputs["uploaded"], json!(1), "{outputs}");
    assert_eq!(proxy.received(), LENGTH, "bytes were sent twice");
    assert_eq!(proxy.count("uploadType=resumable"), 1, "one session should do");
    run(home, "gcs.download", json!({"from": to, "name": "back"})).await.unwrap();
    assert!(fs::read(home.join("storage/e1/test/back")).unwrap() == noise(LENGTH), "the object differs");
}
