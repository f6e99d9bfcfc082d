//! The worker: one request, one answer.

use std::io::Read;

use super::{COMMAND, JqRequest, JqResult, limits, program};

/// The parser and the interpreter recurse.
const STACK_BYTES: usize = 128 << 20;

/// Whether this process was started as a worker.
pub fn is_worker() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == COMMAND)
}

/// The answer to the request on standard input, for standard output. This process is limited from now on.
///
/// # Errors
/// When the answer has no JSON form.
pub fn work() -> std::io::Result<Vec<u8>> {
    let answer = limits::set().map_err(|error| format!("cannot limit jq: {error}")).and_then(|()| answer());
    Ok(serde_json::to_vec(&answer)?)
}

fn answer() -> JqResult {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(|error| format!("cannot read the request: {error}"))?;
    let JqRequest { program, input } = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    drop(text);
    let run = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || program::results(&program, &input));
    let run = run.map_err(|error| format!("cannot start a thread: {error}"))?;
    run.join().unwrap_or_else(|_| Err("the jq program panicked".to_owned()))
}
