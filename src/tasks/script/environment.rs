//! Python packages for a script: installed once into an environment of their own, which is kept.
//!
//! An environment is named by its packages and the Python that it is made of. It is built in its place and not moved
//! there, because the programs in it begin with a line that holds their path; a file says that it is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::process::{ProgramSpec, StdinSource, exit_description, run_and_collect};
use crate::task::{DENIED, TaskContext, TaskError};

/// The file that says that an environment is whole.
const COMPLETE_MARKER: &str = "jitney-complete";
/// What installers go by.
const INSTALLER_VARIABLES: &[&str] = &[
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST", //
    "PIP_CERT",
    "PIP_CACHE_DIR",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "UV_HTTP_RETRIES",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX", //
    "UV_INDEX",
    "UV_FIND_LINKS",
    "UV_CACHE_DIR",
    "UV_OFFLINE",
    "UV_NATIVE_TLS",
    "XDG_CONFIG_HOME",
];
/// How long between two looks at a lock that somebody else holds.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The Python on `PATH`.
///
/// # Errors
/// When there is none.
pub(in crate::tasks) fn python(context: &TaskContext) -> Result<PathBuf, TaskError> {
    ["python3", "python"].iter().find_map(|name| context.settings.find_program(name)).ok_or_else(|| {
        TaskError::permanent("there is no Python on PATH").help("install Python 3, for example as the package python3")
    })
}

/// Whether a package may be named so: a value from outside is neither an option of the installer nor a path that it may
/// not name.
fn check(context: &TaskContext, package: &str) -> Result<(), TaskError> {
    if context.files.is_literal(package) {
        return Ok(());
    }
    let name = package.trim();
    if name.starts_with('-') || name.contains("file:") {
        let error =
            TaskError::permanent(format!("task `{}`, field `dependencies`: `{name}` is not a package", context.task));
        return Err(error.code(DENIED).help("write it in the flow itself, or use the name of a package"));
    }
    if name.contains('/') && !name.contains("://") {
        context.named_path("dependencies", name)?;
    }
    Ok(())
}

/// The environment of these packages: made already, or to be made.
pub(in crate::tasks) struct Environment<'a> {
    context: &'a TaskContext,
    packages: Vec<String>,
    python: PathBuf,
    folder: PathBuf,
}

impl<'a> Environment<'a> {
    /// Finds its place; nothing is made yet.
    ///
    /// # Errors
    /// When there is no Python that runs.
    pub(in crate::tasks) async fn of(context: &'a TaskContext, packages: &[String]) -> Result<Self, TaskError> {
        packages.iter().try_for_each(|package| check(context, package))?;
        let mut packages = packages.to_vec();
        packages.sort();
        packages.dedup();
        let python = python(context)?;
        let version_query = ProgramSpec::of(context, &python, context.files.folder())
            .with(["-c", "import sys; print(sys.version.replace('\\n', ' '), sys.base_prefix)"]);
        let (status, output) = run_and_collect(&version_query, &context.cancel).await?;
        let version = output.last().filter(|_| status.success()).ok_or_else(|| {
            TaskError::permanent(format!("{} does not run: it {}", python.display(), exit_description(status)))
        })?;
        let named = format!("{version}\n{}", packages.join("\n"));
        let key = crate::text::hex(&Sha256::digest(named.as_bytes())[..8]);
        Ok(Self { folder: context.settings.home.join("python").join(key), context, packages, python })
    }

    /// Its folder of programs, `python` among them.
    pub(in crate::tasks) fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Whether it is made already.
    pub(in crate::tasks) fn is_ready(&self) -> bool {
        self.folder.join(COMPLETE_MARKER).is_file()
    }

    /// Makes it unless it is there; of several that want it at the same time, one does.
    ///
    /// # Errors
    /// When packages cannot be installed, or the attempt is stopped.
    pub(in crate::tasks) async fn make(&self) -> Result<(), TaskError> {
        if self.is_ready() {
            return Ok(());
        }
        let lock = Arc::new(self.lock().await?);
        if self.is_ready() {
            return Ok(());
        }
        self.context.info(format!("installing Python packages: {}", self.packages.join(", ")));
        let uv = self.context.settings.find_program("uv");
        clear(&self.folder).map_err(unwritable)?;
        let folder = self.folder.display().to_string();
        let python = self.python.display().to_string();
        let made = match &uv {
            Some(uv) => self.step(&lock, uv, &["venv", "--quiet", "--python", &python, &folder]).await,
            None => self.step(&lock, &self.python, &["-m", "venv", &folder]).await,
        };
        made.map_err(|error| if uv.is_none() { error.help(VENV) } else { error })?;
        self.install(&lock, uv.as_deref()).await?;
        fs::write(self.folder.join(COMPLETE_MARKER), self.packages.join("\n")).map_err(unwritable)
    }

    async fn install(&self, lock: &Arc<File>, uv: Option<&Path>) -> Result<(), TaskError> {
        let own = self.programs().join("python");
        let own_name = own.display().to_string();
        let mut arguments = match uv {
            Some(_) => vec!["pip", "install", "--quiet", "--python", &own_name],
            None => vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"],
        };
        arguments.extend(self.packages.iter().map(String::as_str));
        self.step(lock, uv.unwrap_or(&own), &arguments).await
    }

    async fn step(&self, lock: &Arc<File>, program: &Path, arguments: &[&str]) -> Result<(), TaskError> {
        let settings = &self.context.settings;
        let mut invocation = ProgramSpec::of(self.context, program, self.context.files.folder())
            .inheriting(settings, INSTALLER_VARIABLES);
        // Nobody else may begin while an installer of a process that was killed still writes.
        invocation.input = StdinSource::File(lock.clone());
        let invocation = invocation.holding(lock);
        let (status, output) =
            run_and_collect(&invocation.with(arguments.iter().copied()), &self.context.cancel).await?;
        if status.success() {
            return Ok(());
        }
        let output = output.join("\n");
        let packages = self.packages.join(", ");
        let error = TaskError::transient(format!(
            "cannot install the Python packages {packages}: the installer {}:\n{output}",
            exit_description(status)
        ));
        Err(if is_offline(&output) { error.help(OFFLINE) } else { error })
    }

    async fn lock(&self) -> Result<File, TaskError> {
        let file = fs::create_dir_all(&self.folder)
            .and_then(|()| {
                let path = self.folder.with_extension("lock");
                File::options().create(true).truncate(true).read(true).write(true).open(path)
            })
            .map_err(unwritable)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
                Err(TryLockError::WouldBlock) => tokio::select! {
                    () = tokio::time::sleep(LOCK_POLL_INTERVAL) => {}
                    () = self.context.cancel.cancelled() => return Err(TaskError::cancelled("it was stopped")),
                },
            }
        }
    }
}

const VENV: &str = "Python needs its `venv` module, which is the package python3-venv on Debian and Ubuntu";
const OFFLINE: &str = "the package index cannot be reached or does not have the packages: check their names, the network and \
                       the proxy; the settings of pip and uv apply. Installed packages are cached";

fn is_offline(output: &str) -> bool {
    let of_pip = ["from versions: none", "Failed to establish a new connection", "NameResolutionError", "ProxyError"];
    let of_uv = ["dns error", "error sending request", "Connection refused", "Failed to fetch"];
    of_pip.iter().chain(&of_uv).any(|sign| output.contains(sign))
}

/// Removes what an installation that died left behind.
fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unwritable(error: io::Error) -> TaskError {
    TaskError::permanent("cannot create a folder for Python packages").caused_by(error)
}
