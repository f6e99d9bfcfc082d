//! A folder with flows, servers that start and die in it, and what curl says of them.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A server of its own port.
const SERVER: &[&str] = &["server", "--listen", "127.0.0.1:0", "--grace", "2s"];

pub struct Place {
    pub folder: TempDir,
    /// What `--postgres` is given.
    pub postgres: Option<String>,
    /// Variables of the environment.
    pub variables: Vec<(String, String)>,
}

pub struct Server {
    pub address: String,
    /// What it has said on stderr.
    pub said: Arc<Mutex<Vec<String>>>,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), postgres: None, variables: Vec::new() };
        std::fs::create_dir(place.path("flows")).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Puts a shipped flow, and the tables that it makes, where the server looks.
    pub fn ship(&self, flow: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = vec![PathBuf::from("flows").join(flow)];
        let tables = from.join("sql/postgres").read_dir().unwrap();
        files.extend(tables.map(|entry| Path::new("sql/postgres").join(entry.unwrap().file_name())));
        for file in files {
            self.write(file.to_str().unwrap(), std::fs::read(from.join(&file)).unwrap());
        }
    }

    /// A command of the program that sees this place and nothing of the machine's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_jitney")), arguments)
    }

    fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command.env_clear().env("HOME", self.folder.path()).env("PATH", std::env::var("PATH").unwrap_or_default());
        command.envs(self.variables.iter().cloned()).current_dir(self.folder.path()).stdin(Stdio::null());
        command.arg("--home").arg(self.path("home"));
        if let Some(address) = &self.postgres {
            command.args(["--postgres", address]);
        }
        command.args(arguments);
        command
    }

    pub fn jitney(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn server(&self) -> Server {
        self.server_with(&[])
    }

    /// A server that listens; it is the only one of the place.
    pub fn server_with(&self, arguments: &[&str]) -> Server {
        let mut command = self.command(SERVER);
        command.args(arguments);
        Self::listening(command)
    }

    /// One that listens on this address.
    pub fn server_on(&self, address: &str) -> Server {
        Self::listening(self.command(&["server", "--listen", address]))
    }

    /// The same under limits that a shell sets.
    pub fn server_limited(&self, limits: &str) -> Server {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{limits} && exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_jitney"));
        Self::listening(self.prepared(shell, SERVER))
    }

    fn listening(mut command: Command) -> Server {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the server ended: {said:?}")).unwrap();
            said.lock().unwrap().push(line.clone());
            if let Some((_, rest)) = line.split_once("listening on http") {
                let rest = rest.split_once("://").unwrap().1;
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let kept = said.clone();
        std::thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line.unwrap())));
        Server { address, said, process }
    }
}

impl Server {
    /// What curl prints for an address with options.
    pub fn curl(&self, address_and_options: &[&str]) -> String {
        let address = format!("http://{}{}", self.address, address_and_options[0]);
        let mut command = Command::new("curl");
        command.args(["-sN", "--max-time", "60", &address]).args(&address_and_options[1..]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    #[track_caller]
    pub fn json(&self, address_and_options: &[&str]) -> Value {
        let text = self.curl(address_and_options);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub fn get(&self, address: &str) -> Value {
        self.json(&[address])
    }

    /// Sends JSON.
    pub fn post(&self, address: &str, body: &Value) -> Value {
        self.json(&[address, "-X", "POST", "-H", "Content-Type: application/json", "-d", &body.to_string()])
    }

    pub fn code(&self, address_and_options: &[&str]) -> String {
        self.curl(&[address_and_options, &["-o", "/dev/null", "-w", "%{http_code}"]].concat())
    }

    /// The code and the message of a refusal.
    pub fn refusal(&self, address: &str, body: &Value) -> (String, String) {
        let body = body.to_string();
        let text = self.curl(&[address, "-X", "POST", "-d", &body, "-w", "\n%{http_code}"]);
        let (answer, code) = text.rsplit_once('\n').unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {text}"));
        (code.to_owned(), answer["message"].as_str().unwrap_or_default().to_owned())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// All that it has said on stderr.
    pub fn log(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// `kill -9`
    pub fn kill(mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "it was over before it could be killed: {:?}", self.said);
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops it as `systemctl stop` does.
    pub fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.process.wait().unwrap().success());
    }
}

/// Asks again and again until the answer is yes.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("waited in vain until {what}");
}
