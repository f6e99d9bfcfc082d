//! One private server for all test programs, left running between them, and a database of its own for each test.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jitney::config::{CliOverrides, Settings};
use jitney::id::{ExecutionId, FlowId, TaskId};
use jitney::postgres::{AddressOrigin, PostgresAddress, connect_to, managed};
use jitney::storage::Storage;
use jitney::task::{Level, LogSink, TaskContext};

/// The settings of a process whose home is `home` and whose environment has nothing but `PATH`.
pub fn settings(home: &Path, postgres: Option<String>) -> Settings {
    let environment = std::env::vars().filter(|(name, _)| name == "PATH").collect();
    Settings::from_environment(CliOverrides { home: Some(home.to_owned()), postgres }, environment).unwrap()
}

/// The home of the shared server. With `JITNEY_TEST_HOME` it is another one, which may be of another version.
pub fn shared_home() -> PathBuf {
    let default = || Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared");
    std::env::var_os("JITNEY_TEST_HOME").map_or_else(default, PathBuf::from)
}

/// The address of a new, empty database of this name on the shared server, as `--postgres` takes it.
pub async fn database(name: &str) -> String {
    let server = managed::ensure_running(&settings(&shared_home(), None), &|_| {}).await.unwrap();
    let client = connect_to(&server).await.unwrap().client;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url = managed::url(&server);
    let (login, _) = url.rsplit_once('/').unwrap();
    format!("{login}/{name}")
}

/// A client of an address, for looking at what the tested code did.
pub async fn client(url: &str) -> tokio_postgres::Client {
    connect_to(&PostgresAddress::parse(url, AddressOrigin::Flag).unwrap()).await.unwrap().client
}

/// The lines that a task logged.
pub type Lines = Arc<Mutex<Vec<(Level, String)>>>;

/// A context for one task attempt against a database, and where its log lines go.
pub fn context(home: &Path, postgres: &str) -> (TaskContext, Lines) {
    let lines = Lines::default();
    let kept = lines.clone();
    let log: LogSink = Arc::new(move |_, level, line| kept.lock().unwrap().push((level, line.to_owned())));
    let settings = settings(home, Some(postgres.to_owned()));
    let execution = ExecutionId::new("e1");
    let context = TaskContext {
        flow: FlowId::new("test"),
        namespace: "n".to_owned(),
        execution: execution.clone(),
        task: TaskId::new("t1"),
        attempt: 1,
        files: jitney::file_access::FileAccess::unrestricted(home),
        storage: Storage::new(settings.storage(), execution),
        settings: Arc::new(settings),
        cancel: Default::default(),
        progress: Default::default(),
        labels: Default::default(),
        warning: Default::default(),
        said: Default::default(),
        pinned: Default::default(),
        run: jitney::id::RunId::new("t1"),
        log,
        services: Default::default(),
    };
    (context, lines)
}
