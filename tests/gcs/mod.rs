//! The tasks on Cloud Storage, against an emulator made by others; where that is too kind, with a server in between
//! that fails as Google does.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod arrivals;
mod credentials;
mod doctor;
mod faults;
mod killed;
mod objects;
mod proxy;
mod refusals;

use crate::common::{attempt, google};
use std::path::Path;
use std::time::{Duration, Instant};

use jitney::task::{Outputs, TaskContext, TaskError};
use serde_json::{Value, json};

/// A context whose variables lead to the emulator, with more of them, and its log.
fn context(home: &Path, more: &[(&str, &str)]) -> Option<(TaskContext, attempt::Lines)> {
    let emulators = google::emulators()?;
    let mut all: Vec<(&str, &str)> = emulators.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend(more);
    Some(attempt::context(home, &all))
}

/// A bucket of this test's own.
async fn bucket(home: &Path, name: &str) -> Option<String> {
    let (context, _) = context(home, &[])?;
    let fields = json!({"name": format!("test-{name}"), "if_exists": "SKIP"});
    attempt::run(context, "gcs.create_bucket", fields).await.unwrap();
    let (context, _) = self::context(home, &[])?;
    let fields = json!({"from": format!("gs://test-{name}/"), "listing_type": "RECURSIVE"});
    attempt::run(context, "gcs.delete_list", fields).await.unwrap();
    Some(format!("test-{name}"))
}

/// Runs a task against the emulator.
async fn run(home: &Path, kind: &str, fields: Value) -> Result<Outputs, TaskError> {
    attempt::run(context(home, &[]).unwrap().0, kind, fields).await
}

/// Waits until something holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Bytes that do not repeat at short distances.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn lines(lines: &attempt::Lines) -> String {
    lines.lock().unwrap().iter().map(|(_, line)| format!("{line}\n")).collect()
}
