//! What integration tests share.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod attempt;
pub mod google;
pub mod line;
pub mod models;
pub mod postgres;
pub mod receiver;
pub mod workbook;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use jitney::config::{CliOverrides, Settings};
use jitney::file_access::FileAccess;
use jitney::id::{ExecutionId, FlowId, TaskId};
use jitney::storage::Storage;
use jitney::task::TaskContext;

/// Lets a test go without what could not be set up, and says on stderr that it did. With `JITNEY_TEST_STRICT=1` that fails
/// the test.
pub fn skip(problem: &str) {
    assert!(std::env::var("JITNEY_TEST_STRICT").as_deref() != Ok("1"), "{problem}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the harness, which would keep the lines of a test that ends well to itself.
    std::io::stderr().write_all(format!("SKIPPED {test}: {}\n", problem.trim()).as_bytes()).unwrap();
}

/// What an attempt of task `test` in execution `e1` would get, with all state under `home`, which is also the flow's
/// folder. Log lines go nowhere.
pub fn context(home: &Path) -> TaskContext {
    let overrides = CliOverrides { home: Some(home.to_owned()), postgres: None };
    let settings = Settings::from_environment(overrides, BTreeMap::new()).unwrap();
    let execution = ExecutionId::new("e1");
    TaskContext {
        flow: FlowId::new("flow"),
        namespace: "n".to_owned(),
        execution: execution.clone(),
        task: TaskId::new("test"),
        attempt: 1,
        files: FileAccess::unrestricted(home),
        storage: Storage::new(settings.storage(), execution),
        settings: Arc::new(settings),
        cancel: Default::default(),
        progress: Default::default(),
        labels: Default::default(),
        warning: Default::default(),
        said: Default::default(),
        pinned: Default::default(),
        run: jitney::id::RunId::new("test"),
        log: Arc::new(|_, _, _| {}),
        services: Default::default(),
    }
}
