//! A user's place: a home, a folder to work in, a mirror of sample months, and a database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use jitney::sample::month::{MonthFacts, TaxiColour, write_month};
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::cli::postgres;

pub const TAXI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flows/postgres_taxi.yaml");
pub const APRIL: &str = "green_tripdata_2020-04.csv.gz";

pub struct World {
    folder: TempDir,
    /// What `--postgres` is given.
    pub postgres: Option<String>,
}

/// How a command ended and what it said.
pub struct CommandOutput {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl World {
    /// A place without a database.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: None }
    }

    /// A place that uses this server.
    pub fn at(postgres: String) -> Self {
        Self { postgres: Some(postgres), ..Self::new() }
    }

    /// A place with a new database of this name.
    pub async fn with_database(name: &str) -> Self {
        Self::at(postgres::database(name).await)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Puts an invented April 2020 of green trips into the mirror.
    pub fn month(&self, rows: u64) -> MonthFacts {
        let file = self.write(&format!("mirror/green/{APRIL}"), "");
        write_month(&file, TaxiColour::Green, 2020, 4, rows, 7).unwrap()
    }

    /// A command that sees this place and nothing of the machine's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jitney"));
        command
            .env_clear()
            .env("JITNEY_RETRY_TIMEOUT", "1s")
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.folder.path());
        command.current_dir(self.folder.path()).stdin(Stdio::null()).arg("--home").arg(self.home());
        if let Some(address) = &self.postgres {
            command.args(["--postgres", address]);
        }
        command.args(arguments);
        command
    }

    pub fn jitney(&self, arguments: &[&str]) -> CommandOutput {
        self.command(arguments).output().unwrap().into()
    }

    /// Starts a command in the background; [`output_of`] waits for its output.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The arguments that load April from this source.
    pub fn load_from<'a>(&self, source: &'a str) -> [&'a str; 10] {
        ["run", TAXI, "-i", "taxi=green", "-i", "year=2020", "-i", "month=04", "-i", source]
    }

    pub fn load(&self) -> CommandOutput {
        self.jitney(&self.load_from("source=mirror"))
    }

    /// The newest execution, as `executions --json` has it.
    pub fn newest(&self) -> Value {
        self.jitney(&["executions", "--json"]).ended(0).json()[0].clone()
    }

    pub fn newest_id(&self) -> String {
        self.newest()["id"].as_str().unwrap().to_owned()
    }

    pub async fn client(&self) -> Client {
        postgres::client(self.postgres.as_ref().unwrap()).await
    }

    /// Every byte of the journal, with what SQLite keeps next to it.
    pub fn journal_text(&self) -> String {
        let files = ["journal.db", "journal.db-wal"].map(|name| std::fs::read(self.home().join(name)));
        let bytes: Vec<u8> = files.into_iter().flatten().flatten().collect();
        assert!(!bytes.is_empty(), "there is no journal");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The files that runs have left in storage.
    pub fn left_in_storage(&self) -> Vec<PathBuf> {
        // Notes of where a file came from are no data.
        let is_data = |path: &PathBuf| !path.iter().any(|part| part == ".origins");
        files_below(&self.home().join("storage")).into_iter().filter(is_data).collect()
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Waits for a command that was started.
pub fn output_of(child: Child) -> CommandOutput {
    child.wait_with_output().unwrap().into()
}

/// Sends a signal by its name, such as `INT`.
pub fn signal(child: &Child, name: &str) {
    let line = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

/// Asks again and again until the answer is yes.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

/// Rows of the table and the sum of `total_amount` in cents; zeros where there is no table.
pub async fn held(client: &Client) -> (i64, i64) {
    if client.query_one("SELECT to_regclass('green_tripdata') IS NULL", &[]).await.unwrap().get(0) {
        return (0, 0);
    }
    let sql = "SELECT count(*), coalesce(round(sum(total_amount)::numeric * 100), 0)::bigint FROM green_tripdata";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

pub fn expected(facts: &MonthFacts) -> (i64, i64) {
    (facts.rows.cast_signed(), facts.total_cents)
}

/// Rows of the ledger.
pub async fn ledger(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM jitney_loads", &[]).await.unwrap().get(0)
}

impl CommandOutput {
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Checks that stderr has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "`{text}` is missing\n{self}");
        self
    }

    /// Checks that nothing went to stdout.
    #[track_caller]
    pub fn without_data(self) -> Self {
        assert_eq!(self.out, "", "{self}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl fmt::Display for CommandOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.out, self.err)
    }
}
