//! The mark that all processes of a task run carry in their environment, wherever they went.
//!
//! A program may leave its process group (`setsid`), and outlive its parent. Linux shows the environment that it
//! was started with, so it is still known. Other systems do not; there the group has to do.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

use crate::task::TaskContext;
use crate::text::hex;

/// The variable that holds the mark.
pub(crate) const VARIABLE: &str = "JITNEY_TASK_RUN";
/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What is the same for all attempts of a task run, and differs from all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessMark(String);

impl ProcessMark {
    /// The mark of an attempt's task run.
    pub(crate) fn of(context: &TaskContext) -> Self {
        let home = context.settings.home.display();
        let named = format!("{home}\n{}\n{}", context.execution, context.run);
        Self(hex(&Sha256::digest(named.as_bytes())[..16]))
    }

    /// Its text: 32 hexadecimal digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Kills all processes that carry the mark and waits until they are gone; false when some will not go.
    pub(crate) fn kill_all(&self) -> bool {
        let until = Instant::now() + KILL_TIMEOUT;
        loop {
            let found = self.processes();
            if found.is_empty() {
                return true;
            }
            for process in found {
                // It may have ended meanwhile.
                let _ = kill_process(process, Signal::KILL);
            }
            if Instant::now() > until {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The processes that carry the mark; of those that have ended and are not collected, nothing can be read.
    fn processes(&self) -> Vec<Pid> {
        let entry = format!("{VARIABLE}={}", self.0);
        let is_marked = |environment: &[u8]| environment.split(|byte| *byte == 0).any(|one| one == entry.as_bytes());
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|process| {
                let number = process.file_name().to_str()?.parse().ok()?;
                let environment = fs::read(process.path().join("environ")).ok()?;
                Pid::from_raw(number).filter(|_| is_marked(&environment))
            })
            .collect()
    }
}
