//! The server process that runs on a data folder, no matter who started it: what `postmaster.pid` says of it, if it is true.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// A server process that is alive and works on the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunningServer {
    /// Its number.
    pub(super) pid: u32,
    /// The port that it was started with.
    pub(super) port: u16,
}

impl RunningServer {
    /// The server that runs on these data. After a crash the file may name a process that is gone, or is another
    /// program by now.
    pub(super) fn of(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // Then the folder, the time of the start, and the port.
        let port = lines.nth(2)?.trim().parse().ok()?;
        works_on(pid, data).then_some(Self { pid, port })
    }
}

/// Whether a process is a Postgres server on these data. A server's working folder is its data folder; who may not see
/// that (root in a container) sees the command line, which names it.
fn works_on(pid: u32, data: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let Ok(state) = fs::read_to_string(process.join("stat")) else {
        return !Path::new("/proc/self").exists() && names(&ps(pid), data);
    };
    if !state.contains("(postgres)") || state.contains(") Z ") {
        return false;
    }
    match fs::read_link(process.join("cwd")) {
        Ok(folder) => fs::canonicalize(data).is_ok_and(|data| data == folder),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            names(&String::from_utf8_lossy(&fs::read(process.join("cmdline")).unwrap_or_default()), data)
        }
        Err(_) => false,
    }
}

/// Whether a command line is that of a server on these data.
fn names(command: &str, data: &Path) -> bool {
    command.contains("postgres") && command.contains(&*data.to_string_lossy())
}

/// A process's command line, on systems without `/proc`.
fn ps(pid: u32) -> String {
    let answer = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output();
    answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_live_server_is_a_running_postmaster() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(RunningServer::of(data.path()), None);
        for pid in [std::process::id(), i32::MAX as u32] {
            let text = format!("{pid}\n{}\n1700000000\n5433\n", data.path().display());
            fs::write(data.path().join("postmaster.pid"), text).unwrap();
            assert_eq!(RunningServer::of(data.path()), None);
        }
    }
}
