//! Programs as children of ours: each in a process group of its own, heard line by line, and gone when its task is, or
//! when this process is.

mod lifeline;
mod lines;
pub(crate) mod mark;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::task::{TaskContext, TaskError};

pub(crate) use lifeline::{ExitCommand, ProcessGroup};
pub(crate) use lines::{OutputLine, OutputStream};
use mark::ProcessMark;

/// How long a program may take to end after it was asked to.
const GRACE_PERIOD: Duration = Duration::from_secs(5);
/// How long what a program left behind may keep its output open.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long its output may be silent then.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(500);

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
pub(crate) struct ProgramSpec {
    /// The program: a path, or a name to be found on the environment's `PATH`.
    pub program: PathBuf,
    /// What follows its name.
    pub arguments: Vec<String>,
    /// The folder that it starts in.
    pub folder: PathBuf,
    /// All of its environment.
    pub environment: BTreeMap<String, String>,
    /// What it reads.
    pub input: StdinSource,
    /// Whose processes it and its own are.
    mark: Option<ProcessMark>,
    /// What else there is to run when this process dies.
    exit_program: Option<Box<Self>>,
    /// A lock that is held as long as anything of it runs.
    lock: Option<Arc<File>>,
}

/// What a program reads on its standard input.
#[derive(Clone, Debug, Default)]
pub(crate) enum StdinSource {
    /// Nothing.
    #[default]
    Nothing,
    /// A text.
    Text(String),
    /// A file, which it then also holds the lock of.
    File(Arc<File>),
    /// What it is sent while it runs; see [`ProgramSpec::start`].
    Open,
}

/// A program that is spoken with while it runs. It ends when this is dropped.
pub(crate) struct RunningProgram {
    /// What it prints.
    pub lines: mpsc::Receiver<Vec<OutputLine>>,
    stdin: Option<ChildStdin>,
    _child: Child,
    _group: ProcessGroup,
}

impl RunningProgram {
    /// Sends it a line.
    ///
    /// # Errors
    /// When it does not read any more.
    pub(crate) async fn write_line(&mut self, line: &str) -> std::io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        stdin.flush().await
    }
}

impl ProgramSpec {
    /// A program in the environment that all programs get.
    pub(crate) fn new(settings: &Settings, program: impl Into<PathBuf>, folder: &Path) -> Self {
        let inherited =
            INHERITED.iter().filter_map(|name| Some(((*name).to_owned(), settings.variable(name)?.to_owned())));
        let mut environment: BTreeMap<String, String> = inherited.collect();
        environment.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
        environment.entry("LANG".to_owned()).or_insert_with(|| "C.UTF-8".to_owned());
        Self {
            program: program.into(),
            arguments: Vec::new(),
            folder: folder.to_owned(),
            environment,
            input: StdinSource::Nothing,
            mark: None,
            exit_program: None,
            lock: None,
        }
    }

    /// A program of an attempt: all that it starts is known as that task run's.
    pub(crate) fn of(context: &TaskContext, program: impl Into<PathBuf>, folder: &Path) -> Self {
        let (mark, mut invocation) = (ProcessMark::of(context), Self::new(&context.settings, program, folder));
        invocation.environment.insert(mark::VARIABLE.to_owned(), mark.as_str().to_owned());
        invocation.mark = Some(mark);
        invocation
    }

    /// Has a lock held until nothing of the program runs any more, should this process die first.
    pub(crate) fn holding(mut self, lock: &Arc<File>) -> Self {
        self.lock = Some(lock.clone());
        self
    }

    /// Has another program run should this process die.
    pub(crate) fn with_exit_program(mut self, exit_program: Self) -> Self {
        self.exit_program = Some(Box::new(exit_program));
        self
    }

    /// Adds arguments.
    pub(crate) fn with<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Gives it more of our environment.
    pub(crate) fn inheriting(mut self, settings: &Settings, names: &[&str]) -> Self {
        for (name, value) in names.iter().filter_map(|name| Some((*name, settings.variable(name)?))) {
            self.environment.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// Puts a folder of programs before all others.
    pub(crate) fn with_programs_of(mut self, folder: &Path) -> Self {
        let rest = self.environment.get("PATH").cloned().unwrap_or_default();
        self.environment.insert("PATH".to_owned(), format!("{}:{rest}", folder.display()));
        self
    }

    /// Starts a program to speak with.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(mut self) -> Result<RunningProgram, TaskError> {
        self.input = StdinSource::Open;
        let (group, mut child) = self.spawn()?;
        let (lines, stdin) = (lines::listen(&mut child), child.stdin.take());
        Ok(RunningProgram { lines, stdin, _child: child, _group: group })
    }

    fn spawn(&self) -> Result<(ProcessGroup, Child), TaskError> {
        let (mark, command, lock) = (self.mark.as_ref(), self.exit_program.as_deref(), self.lock.as_deref());
        let lifeline = ProcessGroup::start(&ExitCommand { mark, command, lock })
            .map_err(|error| TaskError::permanent("cannot start a shell to supervise programs").caused_by(error))?;
        let input = match &self.input {
            StdinSource::Nothing => Stdio::null(),
            StdinSource::Text(_) | StdinSource::Open => Stdio::piped(),
            StdinSource::File(file) => file.try_clone().map(Stdio::from).map_err(|error| self.not_started(error))?,
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).env_clear().envs(&self.environment);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(lifeline.group()).kill_on_drop(true);
        command.spawn().map(|child| (lifeline, child)).map_err(|error| self.not_started(error))
    }

    fn not_started(&self, error: std::io::Error) -> TaskError {
        let failed = TaskError::permanent(format!("cannot start `{}`", self.program.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => failed.caused_by(error).help("is it installed, and on PATH?"),
            std::io::ErrorKind::ArgumentListTooLong => {
                failed.caused_by(error).help("pass long texts as files, with `inputFiles`")
            }
            _ => failed.caused_by(error),
        }
    }
}

/// Runs a program to its end. When `stop` is set, its whole process group is asked to end, and is killed 5 seconds
/// later. What it leaves running in the background is killed too.
///
/// # Errors
/// When it cannot be started, or was stopped.
pub(crate) async fn run(
    invocation: &ProgramSpec,
    stop: &CancellationToken,
    on_line: &mut (dyn FnMut(OutputLine) + Send),
) -> Result<ExitStatus, TaskError> {
    run_with_grace(invocation, stop, GRACE_PERIOD, on_line).await
}

async fn run_with_grace(
    invocation: &ProgramSpec,
    stop: &CancellationToken,
    grace: Duration,
    on_line: &mut (dyn FnMut(OutputLine) + Send),
) -> Result<ExitStatus, TaskError> {
    let (lifeline, mut child) = invocation.spawn()?;
    let mut lines = lines::listen(&mut child);
    write_stdin(&mut child, &invocation.input);
    let mut kill_at = None;
    let ended = loop {
        tokio::select! {
            Some(batch) = lines.recv() => batch.into_iter().for_each(&mut *on_line),
            ended = child.wait() => break ended,
            () = stop.cancelled(), if kill_at.is_none() => {
                lifeline.signal(Signal::TERM);
                kill_at = Some(Instant::now() + grace);
            }
            () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                lifeline.signal(Signal::KILL);
                kill_at = Some(Instant::now() + grace);
            }
        }
    };
    // Its last words may still be on their way, perhaps through a child such as `tee`.
    let drained = timeout(OUTPUT_TIMEOUT, drain_output(&mut lines, on_line)).await;
    // Waits for what it kills.
    let killed = tokio::task::spawn_blocking(move || drop(lifeline)).await;
    if drained.is_err() {
        drain_output(&mut lines, on_line).await;
    }
    killed.map_err(|error| TaskError::transient("lost track of the program").caused_by(error))?;
    match ended {
        _ if kill_at.is_some() => Err(TaskError::cancelled("the program was stopped")),
        Ok(status) => Ok(status),
        Err(error) => Err(TaskError::transient("lost track of the program").caused_by(error)),
    }
}

/// Runs a program of our own need and gives its last lines.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_and_collect(
    invocation: &ProgramSpec,
    stop: &CancellationToken,
) -> Result<(ExitStatus, Vec<String>), TaskError> {
    let mut lines = Vec::new();
    let status = run(invocation, stop, &mut |line| push_bounded(&mut lines, line.text, 20)).await?;
    Ok((status, lines))
}

/// Adds a line to the last few that are kept.
pub(crate) fn push_bounded(lines: &mut Vec<String>, line: String, most: usize) {
    if line.trim().is_empty() {
        return;
    }
    if lines.len() == most {
        lines.remove(0);
    }
    lines.push(line);
}

/// How a program ended, in words: `ended with exit code 3`.
pub(crate) fn exit_description(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended without an exit code".to_owned(),
    }
}

/// Lets the program read its input; one that does not want it may end first.
fn write_stdin(child: &mut Child, input: &StdinSource) {
    if let (Some(mut pipe), StdinSource::Text(text)) = (child.stdin.take(), input.clone()) {
        tokio::spawn(async move { pipe.write_all(text.as_bytes()).await });
    }
}

async fn drain_output(lines: &mut mpsc::Receiver<Vec<OutputLine>>, on_line: &mut (dyn FnMut(OutputLine) + Send)) {
    while let Ok(Some(batch)) = timeout(SILENCE_TIMEOUT, lines.recv()).await {
        batch.into_iter().for_each(&mut *on_line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> ProgramSpec {
        let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let arguments = vec!["-c".to_owned(), text.to_owned()];
        let settings = Settings::from_environment(Default::default(), environment).unwrap();
        ProgramSpec::new(&settings, "/bin/sh", Path::new("/")).with(arguments)
    }

    #[tokio::test]
    async fn a_program_that_will_not_end_is_killed() {
        let stop = CancellationToken::new();
        let (ours, mut said) = (stop.clone(), Vec::new());
        let stubborn = shell("trap '' TERM; echo deaf; while :; do sleep 600; done");
        let mut on_line = |line: OutputLine| {
            said.push(line.text);
            ours.cancel();
        };
        let ended = run_with_grace(&stubborn, &stop, Duration::from_millis(20), &mut on_line).await;
        assert!(ended.unwrap_err().message.contains("stopped"));
        assert_eq!(said, ["deaf"]);
    }

    #[tokio::test]
    async fn last_words_are_heard_when_a_program_is_asked_to_end() {
        let stop = CancellationToken::new();
        let (ours, mut said) = (stop.clone(), Vec::new());
        let polite = shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
        let mut on_line = |line: OutputLine| {
            said.push(line.text);
            ours.cancel();
        };
        assert!(run_with_grace(&polite, &stop, GRACE_PERIOD, &mut on_line).await.is_err());
        assert_eq!((said.first(), said.last()), (Some(&"ready".to_owned()), Some(&"bye".to_owned())));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let absent = ProgramSpec { program: "no-such-program".into(), ..shell("") };
        let error = run(&absent, &CancellationToken::new(), &mut |_| {}).await.unwrap_err();
        assert!(error.message.contains("cannot start `no-such-program`"), "{error}");
    }
}
