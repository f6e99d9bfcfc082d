//! A process group that ends when this process does, however it ends.
//!
//! The group is led by a shell that reads from a pipe whose other end this process alone holds. When this process is
//! gone, even by `kill -9`, the pipe ends, and the shell kills the group and itself. A program that is started into
//! the group afterwards cannot miss that: a group that is gone takes nobody in.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use super::ProgramSpec;
use super::mark::ProcessMark;

/// What the shell does. Its arguments are the mark, which may be empty, and a last command. Of what has left the group,
/// Linux tells by its environment; the shell's own has no mark.
const WATCH: &str = r#"
trap '' HUP INT QUIT TERM
mark=$1
shift
read -r _
round=0
while [ -n "$mark" ] && [ "$round" -lt 50 ]; do
    found=
    for file in $(grep -ls "$mark" /proc/[0-9]*/environ); do
        file=${file#/proc/}
        kill -KILL "${file%/environ}" && found=1
    done
    [ -n "$found" ] || break
    round=$((round + 1))
done
[ $# -eq 0 ] || "$@"
kill -KILL 0
"#;

/// What to do when this process is gone, besides killing the group.
#[derive(Default)]
pub(crate) struct ExitCommand<'a> {
    /// Whose processes end, those too that have left the group.
    pub mark: Option<&'a ProcessMark>,
    /// A command to run.
    pub command: Option<&'a ProgramSpec>,
    /// A lock that is held until the group is gone.
    pub lock: Option<&'a File>,
}

/// A process group; what is left of it is killed when this is dropped.
pub(crate) struct ProcessGroup {
    // Its standard input is the pipe.
    watcher: Child,
    mark: Option<ProcessMark>,
}

impl ProcessGroup {
    /// Makes a group.
    ///
    /// # Errors
    /// When there is no shell, or no room for one more process.
    pub(crate) fn start(testament: &ExitCommand<'_>) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", WATCH, "jitney-watch"]).arg(testament.mark.map_or("", ProcessMark::as_str));
        shell.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        if let Some(command) = testament.command {
            shell.arg(&command.program).args(&command.arguments).envs(&command.environment);
        }
        let lock = testament.lock.map(File::try_clone).transpose()?;
        shell.stdin(Stdio::piped()).stdout(lock.map_or_else(Stdio::null, Stdio::from)).stderr(Stdio::null());
        Ok(Self { watcher: shell.process_group(0).spawn()?, mark: testament.mark.cloned() })
    }

    /// The number of the group.
    pub(crate) fn group(&self) -> i32 {
        // Of the type that the system itself has for it.
        self.watcher.id().cast_signed()
    }

    /// Sends a signal to all in the group. The shell hears none but `KILL`.
    pub(crate) fn signal(&self, signal: Signal) {
        // It fails when nobody is left, which is what is wanted.
        let _ = kill_process_group(Pid::from_child(&self.watcher), signal);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.watcher.wait();
        if let Some(mark) = &self.mark {
            mark.kill_all();
        }
    }
}
