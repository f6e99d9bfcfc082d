//! A program as a child of ours: in a process group of its own, heard line by line, and gone when its task is.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::task::TaskError;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long what a program left behind may keep its output open.
const TAIL: Duration = Duration::from_secs(3);
/// How long its output may be silent then.
const SILENCE: Duration = Duration::from_millis(500);
/// Bytes of a line that are kept.
const LONGEST_LINE: usize = 1 << 20;

/// What programs get of our own environment: where things are and how the network is reached, but no passwords.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_CACHE_HOME", //
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY", //
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PYENV_ROOT",
    "PYENV_VERSION",
];

/// A program to start.
#[derive(Clone, Debug)]
pub(in crate::tasks) struct Invocation {
    /// The program: a path, or a name to be found on the environment's `PATH`.
    pub(in crate::tasks) program: PathBuf,
    /// What follows its name.
    pub(in crate::tasks) arguments: Vec<String>,
    /// The folder that it starts in.
    pub(in crate::tasks) folder: PathBuf,
    /// All of its environment.
    pub(in crate::tasks) environment: BTreeMap<String, String>,
}

impl Invocation {
    /// A program in the environment that all programs get.
    pub(in crate::tasks) fn new(settings: &Settings, program: impl Into<PathBuf>, folder: &Path) -> Self {
        let inherited =
            INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), settings.variable(name)?.to_owned())));
        let mut environment: BTreeMap<String, String> = inherited.collect();
        environment.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
        environment.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
        Self { program: program.into(), arguments: Vec::new(), folder: folder.to_owned(), environment }
    }

    /// Adds arguments.
    pub(in crate::tasks) fn with<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Gives it more of our environment.
    pub(in crate::tasks) fn inheriting(mut self, settings: &Settings, names: &[&str]) -> Self {
        for (name, value) in names.iter().filter_map(|name| Some((*name, settings.variable(name)?))) {
            self.environment.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Puts a folder of programs before all others.
    pub(in crate::tasks) fn with_programs_of(mut self, folder: &Path) -> Self {
        let rest = self.environment.get("PATH").cloned().unwrap_or_default();
        self.environment.insert("PATH".to_owned(), format!("{}:{rest}", folder.display()));
        self
    }

    fn spawn(&self) -> Result<Child, TaskError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).env_clear().envs(&self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true).spawn().map_err(|error| self.not_started(error))
    }

    fn not_started(&self, error: std::io::Error) -> TaskError {
        let failed = TaskError::permanent(format!("cannot start `{}`", self.program.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => failed.because(error).help("is it installed, and on PATH?"),
            std::io::ErrorKind::ArgumentListTooLong => {
                failed.because(error).help("hand long texts over as files, with `inputFiles`")
            }
            _ => failed.because(error),
        }
    }
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tasks) enum Stream {
    /// The standard output.
    Out,
    /// The standard error output.
    Error,
}

/// A line that a program printed.
#[derive(Debug)]
pub(in crate::tasks) struct Line {
    /// Where it came from.
    pub(in crate::tasks) stream: Stream,
    /// The line without its end; what is no UTF-8 is replaced.
    pub(in crate::tasks) text: String,
    /// Whether it was longer than what is kept of a line, 1 MiB.
    pub(in crate::tasks) is_cut: bool,
}

/// Runs a program to its end. When `stop` is set, its whole process group is asked to end, and is killed 5 seconds
/// later. What it leaves running in the background is killed too.
///
/// # Errors
/// When it cannot be started, or was stopped.
pub(in crate::tasks) async fn run(
    invocation: &Invocation,
    stop: &CancellationToken,
    hear: &mut (dyn FnMut(Line) + Send),
) -> Result<ExitStatus, TaskError> {
    run_with_grace(invocation, stop, GRACE, hear).await
}

async fn run_with_grace(
    invocation: &Invocation,
    stop: &CancellationToken,
    grace: Duration,
    hear: &mut (dyn FnMut(Line) + Send),
) -> Result<ExitStatus, TaskError> {
    let mut child = invocation.spawn()?;
    let group = Group::of(&child);
    let mut lines = listen(&mut child);
    let mut kill_at = None;
    let ended = loop {
        tokio::select! {
            Some(line) = lines.recv() => hear(line),
            ended = child.wait() => break ended,
            () = stop.cancelled(), if kill_at.is_none() => {
                group.signal("TERM");
                kill_at = Some(Instant::now() + grace);
            }
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                group.signal("KILL");
                kill_at = Some(Instant::now() + grace);
            }
        }
    };
    // Its last words may still be on their way, perhaps through a child such as `tee`.
    let heard_all = timeout(TAIL, hear_rest(&mut lines, hear)).await;
    drop(group);
    if heard_all.is_err() {
        hear_rest(&mut lines, hear).await;
    }
    match ended {
        _ if kill_at.is_some() => Err(TaskError::cancelled("the program was stopped")),
        Ok(status) => Ok(status),
        Err(error) => Err(TaskError::transient("lost sight of the program").because(error)),
    }
}

/// Runs a program of our own need and gives its last lines.
///
/// # Errors
/// As [`run`].
pub(in crate::tasks) async fn run_quietly(
    invocation: &Invocation,
    stop: &CancellationToken,
) -> Result<(ExitStatus, Vec<String>), TaskError> {
    let mut lines = Vec::new();
    let status = run(invocation, stop, &mut |line| keep_last(&mut lines, line.text, 20)).await?;
    Ok((status, lines))
}

/// Adds a line to the last few that are kept.
pub(in crate::tasks) fn keep_last(lines: &mut Vec<String>, line: String, most: usize) {
    if line.trim().is_empty() {
        return;
    }
    if lines.len() == most {
        lines.remove(0);
    }
    lines.push(line);
}

/// How a program ended, in words: `ended with exit code 3`.
pub(in crate::tasks) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended without an exit code".to_owned(),
    }
}

fn listen(child: &mut Child) -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(64);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(read_lines(stdout, Stream::Out, sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(read_lines(stderr, Stream::Error, sender));
    }
    lines
}

async fn hear_rest(lines: &mut mpsc::Receiver<Line>, hear: &mut (dyn FnMut(Line) + Send)) {
    while let Ok(Some(line)) = timeout(SILENCE, lines.recv()).await {
        hear(line);
    }
}

async fn read_lines(source: impl AsyncRead + Unpin, stream: Stream, lines: mpsc::Sender<Line>) {
    let mut source = BufReader::new(source);
    let (mut bytes, mut is_cut) = (Vec::new(), false);
    // A pipe that cannot be read any more has ended as far as we are concerned.
    while let Ok(block) = source.fill_buf().await {
        let end = memchr::memchr(b'\n', block);
        let part = &block[..end.unwrap_or(block.len())];
        let kept = part.len().min(LONGEST_LINE - bytes.len());
        bytes.extend_from_slice(&part[..kept]);
        is_cut |= kept < part.len();
        let (used, is_over) = (part.len() + usize::from(end.is_some()), block.is_empty());
        source.consume(used);
        if end.is_some() || (is_over && !bytes.is_empty()) {
            let line = Line { stream, text: shown(&bytes), is_cut };
            if lines.send(line).await.is_err() {
                return;
            }
            (bytes, is_cut) = (Vec::new(), false);
        }
        if is_over {
            return;
        }
    }
}

/// The line as a terminal would show it: of a progress bar that overwrites itself, the last state.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

/// A process group by its leader's number; what is left of it is killed when this is dropped.
struct Group(Option<u32>);

/// The groups of this process that are there now.
static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn groups() -> MutexGuard<'static, BTreeSet<u32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all programs that this process has started, and theirs: it leaves at once, and they would go on without it.
pub(crate) fn kill_all() {
    let all: Vec<u32> = groups().iter().copied().collect();
    all.into_iter().for_each(|leader| drop(Group(Some(leader))));
}

impl Group {
    fn of(child: &Child) -> Self {
        groups().extend(child.id());
        Self(child.id())
    }

    /// The standard library sends no signals to groups, and the shell is there wherever scripts run.
    fn signal(&self, name: &str) {
        let Some(leader) = self.0 else { return };
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "kill -s \"$1\" -- -\"$2\"", "kill", name, &leader.to_string()]);
        // It fails when nobody is left, which is what is wanted.
        drop(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("KILL");
        if let Some(leader) = self.0 {
            groups().remove(&leader);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Invocation {
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let arguments = vec!["-c".to_owned(), text.to_owned()];
        Invocation { program: "/bin/sh".into(), arguments, folder: "/".into(), environment }
    }

    #[tokio::test]
    async fn a_program_that_will_not_end_is_killed() {
        let stop = CancellationToken::new();
        let (ours, mut said) = (stop.clone(), Vec::new());
        let stubborn = shell("trap '' TERM; echo deaf; while :; do sleep 600; done");
        let mut hear = |line: Line| {
            said.push(line.text);
            ours.cancel();
        };
        let ended = run_with_grace(&stubborn, &stop, Duration::from_millis(20), &mut hear).await;
        assert!(ended.unwrap_err().message.contains("stopped"));
        assert_eq!(said, ["deaf"]);
    }

    #[tokio::test]
    async fn last_words_are_heard_when_a_program_is_asked_to_end() {
        let stop = CancellationToken::new();
        let (ours, mut said) = (stop.clone(), Vec::new());
        let polite = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
        let mut hear = |line: Line| {
            said.push(line.text);
            ours.cancel();
        };
        assert!(run_with_grace(&polite, &stop, GRACE, &mut hear).await.is_err());
        assert_eq!((said.first(), said.last()), (Some(&"ready".to_owned()), Some(&"bye".to_owned())));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let absent = Invocation { program: "no-such-program".into(), ..shell("") };
        let error = run(&absent, &CancellationToken::new(), &mut |_| {}).await.unwrap_err();
        assert!(error.message.contains("cannot start `no-such-program`"), "{error}");
    }
}
