//! Programs of the jq language. A few letters of jq can ask for any amount of time, memory and stack, so each program
//! runs in a process of its own, with limits that the operating system enforces, so that nothing else is affected.

mod limits;
mod program;
mod worker;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use worker::{is_worker, work};

/// The argument with which this program is started to run one jq program.
const COMMAND: &str = "__jq";
/// The largest answer in bytes.
const MAX_OUTPUT_BYTES: u64 = 64 << 20;

static WORKER: OnceLock<PathBuf> = OnceLock::new();

/// What a worker is asked.
#[derive(Serialize, Deserialize)]
struct JqRequest {
    program: String,
    /// A JSON text.
    input: String,
}

/// Every result of the program, or what is wrong with it.
type JqResult = Result<Vec<Value>, String>;

/// Says where the program is that runs as the worker: `jitney` itself. Before, there is no jq.
pub fn enable(program: PathBuf) {
    // The first one stays: it is the same program.
    let _ = WORKER.set(program);
}

/// The file of the running program, even when another has taken its name since.
pub fn own_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}

/// Every result of a program for an input, as a list. The input is a JSON text.
///
/// # Errors
/// When it is no program, fails, or takes more time or memory than it may.
pub fn run(program: &str, input: String, time: Duration) -> Result<Value, String> {
    let worker = WORKER.get().ok_or("jq is not available here")?;
    let request = JqRequest { program: program.to_owned(), input };
    let request = serde_json::to_vec(&request).map_err(|error| error.to_string())?;
    let text = ask(worker, request, time)?;
    if text.len() as u64 > MAX_OUTPUT_BYTES {
        return Err(format!("the results of the jq program are larger than {} MiB", MAX_OUTPUT_BYTES >> 20));
    }
    // Without an answer, or with half of one, the system has ended the worker.
    match serde_json::from_slice::<JqResult>(&text) {
        Ok(answer) => answer.map(Value::Array),
        Err(error) if error.is_eof() => Err(format!(
            "the jq program takes more than {} MiB of memory, or is nested too deeply",
            limits::MAX_MEMORY >> 20
        )),
        Err(_) => Err("the result of the jq program is nested too deeply".to_owned()),
    }
}

/// What a worker writes in the time that it has.
fn ask(worker: &PathBuf, request: Vec<u8>, time: Duration) -> Result<Vec<u8>, String> {
    let mut command = Command::new(worker);
    command.arg(COMMAND).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot start jq: {error}"))?;
    let answer = exchange(&mut child, request, time);
    // It has ended by itself, or has to.
    let _ = child.kill();
    let _ = child.wait();
    answer
}

fn exchange(child: &mut Child, request: Vec<u8>, time: Duration) -> Result<Vec<u8>, String> {
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("cannot communicate with jq".to_owned());
    };
    let (send, received) = sync_channel(1);
    let talk = move || {
        // A worker that ends early does not read to the end; then its answer says why.
        let _ = input.write_all(&request);
        drop(input);
        let mut text = Vec::new();
        let read = output.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut text);
        let _ = send.send(read.map(|_| text));
    };
    std::thread::Builder::new().spawn(talk).map_err(|error| format!("cannot start a thread: {error}"))?;
    match received.recv_timeout(time) {
        Ok(text) => text.map_err(|error| format!("cannot read from jq: {error}")),
        Err(_) => Err("the jq program takes too long".to_owned()),
    }
}
