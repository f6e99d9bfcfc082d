//! What is installed, what is missing, and the command that fixes it. Nothing is changed by looking.

mod bigquery;
mod google;
mod needs;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

use crate::config::Settings;
use crate::postgres::{RequestedServer, binaries, connect_to, managed, resolve};

pub use google::{GoogleCheck, check as check_google};
pub use needs::FlowNeeds;

const POSTGRES: &str = "Postgres";

/// The state of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// It is there and works.
    Ok,
    /// Some tasks cannot run without it.
    Missing,
    /// It works, but needs attention.
    Warn,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
pub struct DoctorFinding {
    /// The thing.
    pub what: &'static str,
    /// How it is.
    pub state: FindingState,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl DoctorFinding {
    /// A thing that is there.
    pub fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, state: FindingState::Ok, detail: detail.into(), fix: None }
    }

    /// A thing that is not there, and what to do about it.
    pub fn missing(what: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state: FindingState::Missing, detail: detail.into(), fix: Some(fix.into()) }
    }

    /// Whether something cannot run for it.
    pub fn is_missing(&self) -> bool {
        self.state == FindingState::Missing
    }

    fn warn(self) -> Self {
        Self { state: FindingState::Warn, ..self }
    }
}

/// Checks this machine. Missing things are not errors, since most flows do not need most of them.
pub async fn check(settings: &Settings) -> Vec<DoctorFinding> {
    let (postgres, docker, python, uv) =
        tokio::join!(postgres(settings), docker(settings), python(settings), uv(settings));
    let (home, disk, programs) = (home(settings), disk(settings).await, server_programs(settings));
    vec![home, disk, postgres, programs, docker, python, uv, google(settings)]
}

/// Checks what these flows need, and nothing else.
pub async fn check_needs(settings: &Settings, needs: FlowNeeds) -> Vec<DoctorFinding> {
    let mut findings = vec![home(settings), disk(settings).await];
    if needs.postgres {
        findings.push(postgres(settings).await);
        if matches!(resolve(settings, None), Ok(RequestedServer::Managed)) {
            findings.push(server_programs(settings));
        }
    }
    if needs.docker {
        findings.push(docker(settings).await);
    }
    if needs.python {
        findings.push(python(settings).await);
    }
    if needs.packages {
        findings.push(packages(settings).await);
    }
    if needs.google {
        findings.push(google(settings));
    }
    findings
}

/// Whether a thing must be there for any flow at all.
pub fn is_essential(what: &str) -> bool {
    ["home", POSTGRES].contains(&what)
}

fn home(settings: &Settings) -> DoctorFinding {
    let folder = settings.home.display().to_string();
    let trial = settings.home.join(".doctor");
    let written = crate::home::make_private(&settings.home)
        .and_then(|()| std::fs::write(&trial, ""))
        .and_then(|()| std::fs::remove_file(&trial));
    match written {
        Ok(()) => DoctorFinding::ok("home", folder),
        Err(error) => DoctorFinding::missing(
            "home",
            format!("{folder} cannot be written: {error}"),
            "choose another folder with --home or JITNEY_HOME",
        ),
    }
}

/// Enough to download and load a month of trips.
const MIN_FREE_MIB: u64 = 5 * 1024;

async fn disk(settings: &Settings) -> DoctorFinding {
    let folder = settings.home.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let answer = output_of(Path::new("df"), &["-Pk", &folder.to_string_lossy()]).await.unwrap_or_default();
    let free = answer.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    match free.map(|kib| kib / 1024) {
        Some(mib) if mib >= MIN_FREE_MIB => DoctorFinding::ok("disk", format!("{} GiB free", mib / 1024)),
        Some(mib) => DoctorFinding::missing(
            "disk",
            format!("{mib} MiB free"),
            format!("free some space in {}, or choose another folder with --home", folder.display()),
        )
        .warn(),
        None => {
            DoctorFinding::missing("disk", "`df` does not report how much is free", "check the free space yourself")
                .warn()
        }
    }
}

/// The server that a flow without an address would use. The private server is not started for this.
async fn postgres(settings: &Settings) -> DoctorFinding {
    let what = POSTGRES;
    let address = match resolve(settings, None) {
        Err(problem) => {
            return DoctorFinding::missing(what, problem.message.clone(), problem.help.clone().unwrap_or_default());
        }
        Ok(RequestedServer::Server(address)) => *address,
        Ok(RequestedServer::Managed) => match managed::status(settings) {
            Ok(managed::ManagedStatus { running: true, address: Some(address), .. }) => address,
            Ok(status) if status.major.is_some() => {
                return DoctorFinding::ok(what, "a private server, stopped; it starts when a flow needs it");
            }
            Ok(_) => {
                return DoctorFinding::ok(what, "none configured; a private server is created when a flow needs one");
            }
            Err(error) => return DoctorFinding::missing(what, error.message, error.help.unwrap_or_default()),
        },
    };
    match connect_to(&address).await {
        Ok(session) if session.notes.is_empty() => DoctorFinding::ok(what, session.description),
        Ok(session) => DoctorFinding::missing(
            what,
            format!("{}\n{}", session.description, session.notes.join("\n")),
            "upgrade the server",
        )
        .warn(),
        Err(error) => DoctorFinding::missing(what, error.message, error.help.unwrap_or_default()),
    }
}

fn server_programs(settings: &Settings) -> DoctorFinding {
    let folder = managed::status(settings).map_or_else(|_| settings.managed_postgres(), |status| status.folder);
    match binaries::find(settings, &folder.join("binaries"), None) {
        Some(found) => DoctorFinding::ok(
            "Postgres programs",
            format!("PostgreSQL {} in {}", found.version, found.folder.display()),
        ),
        None if let Some(version) = binaries::packaged_version() => DoctorFinding::ok(
            "Postgres programs",
            format!("PostgreSQL {version}, installed with jitney; unpacked when the private server is first needed"),
        ),
        None => DoctorFinding::missing(
            "Postgres programs",
            "none; they are downloaded when the private server is first needed",
            binaries::INSTALL,
        )
        .warn(),
    }
}

async fn docker(settings: &Settings) -> DoctorFinding {
    let install = "install Docker, if your flows run scripts in containers: https://docs.docker.com/engine/install/";
    let Some(docker) = settings.find_program("docker") else {
        return DoctorFinding::missing("Docker", "there is no `docker` on PATH", install);
    };
    match output_of(&docker, &["version", "--format", "{{.Server.Version}}"]).await {
        Some(version) if !version.is_empty() => DoctorFinding::ok("Docker", format!("server {version}")),
        _ => DoctorFinding::missing(
            "Docker",
            "the client is installed, but the daemon does not answer",
            "start it: sudo systemctl start docker, or Docker Desktop",
        ),
    }
}

async fn python(settings: &Settings) -> DoctorFinding {
    match version_of(settings, &["python3", "python"]).await {
        Some(version) => DoctorFinding::ok("Python", version),
        None => DoctorFinding::missing(
            "Python",
            "there is no `python3` on PATH",
            "install Python 3, if your flows run Python scripts: https://www.python.org/downloads/",
        ),
    }
}

async fn uv(settings: &Settings) -> DoctorFinding {
    match version_of(settings, &["uv"]).await {
        Some(version) => DoctorFinding::ok("uv", version),
        None => DoctorFinding::missing(
            "uv",
            "there is no `uv` on PATH",
            "install it, if your flows' scripts have dependencies: pip install uv",
        ),
    }
}

/// What installs packages: uv, or else what Python itself has.
async fn packages(settings: &Settings) -> DoctorFinding {
    let what = "Python packages";
    if let Some(version) = version_of(settings, &["uv"]).await {
        return DoctorFinding::ok(what, format!("installed by {version}"));
    }
    let python = ["python3", "python"].iter().find_map(|name| settings.find_program(name));
    let can = match &python {
        Some(python) => output_of(python, &["-c", "import ensurepip, venv; print(1)"]).await.is_some(),
        None => false,
    };
    match can {
        true => DoctorFinding::ok(what, "installed by pip; uv would be faster"),
        false => DoctorFinding::missing(
            what,
            "there is no `uv` on PATH, and Python has no module `venv`",
            "pip install uv, or install the package python3-venv",
        ),
    }
}

async fn version_of(settings: &Settings, names: &[&str]) -> Option<String> {
    let program = names.iter().find_map(|name| settings.find_program(name))?;
    output_of(&program, &["--version"]).await
}

fn google(settings: &Settings) -> DoctorFinding {
    let what = "Google credentials";
    if ["STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"].iter().all(|name| settings.variable(name).is_some()) {
        return DoctorFinding::ok(what, "not needed: the environment names emulators");
    }
    let fix = "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS=/path/service-account.json";
    if let Some(file) = settings.variable("GOOGLE_APPLICATION_CREDENTIALS") {
        return match Path::new(file).is_file() {
            true => DoctorFinding::ok(what, format!("{file}, from GOOGLE_APPLICATION_CREDENTIALS")),
            false => DoctorFinding::missing(
                what,
                format!("GOOGLE_APPLICATION_CREDENTIALS names {file}, which does not exist"),
                fix,
            ),
        };
    }
    let folder = settings.variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(settings.variable("HOME")?).join(".config/gcloud")));
    match folder.map(|folder| folder.join("application_default_credentials.json")).filter(|file| file.is_file()) {
        Some(file) => DoctorFinding::ok(what, format!("{}; `jitney doctor gcp` tests them", file.display())),
        None => DoctorFinding::missing(what, "none; only flows that use Google Cloud need them", fix),
    }
}

/// The output of a program, if it succeeds within ten seconds.
async fn output_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(10), output).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
