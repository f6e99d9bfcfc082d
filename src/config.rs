//! Settings, and the only place that reads environment variables.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;

use crate::ai_settings::AiSettings;
use crate::duration::DurationSpec;
use crate::log::LogLevels;
use crate::secret::{Redactor, passwords_in};

/// Names the runner of all scripts.
const SCRIPT_RUNNER: &str = "JITNEY_SCRIPT_RUNNER";
/// How long a server that is away is retried, and after how long of silence a load counts as stalled.
const RETRY_TIMEOUT: (&str, Duration) = ("JITNEY_RETRY_TIMEOUT", Duration::from_secs(90));
const STALL_TIMEOUT: (&str, Duration) = ("JITNEY_STALL_TIMEOUT", Duration::from_secs(300));
/// Names the home folder, which may be no UTF-8 as any folder.
const HOME: &str = "JITNEY_HOME";
/// The variables whose values are secret, and those that hold addresses with passwords.
const SECRETS: [&str; 3] = ["PGPASSWORD", "JITNEY_PASSWORD", "JITNEY_TOKEN"];
const ADDRESSES: [&str; 1] = ["DATABASE_URL"];

/// Names the folders whose files values from outside may name, with colons between them.
pub const FILE_ROOTS: &str = "JITNEY_FILE_ROOTS";
/// Says how many executions one may start, directly and through others.
pub const MAX_DESCENDANTS: &str = "JITNEY_MAX_DESCENDANTS";
/// How many these are by default.
const DEFAULT_MAX_DESCENDANTS: u32 = 10_000;
/// Says what the process's own log has.
const LOG: &str = "JITNEY_LOG";
/// Says how much of what scripts print is kept for each execution.
const LOG_LIMIT: &str = "JITNEY_LOG_LIMIT";

/// What the command line said; each field wins over its environment variable.
#[derive(Clone, Debug, Default)]
pub struct CliOverrides {
    /// `--home`
    pub home: Option<PathBuf>,
    /// `--postgres`
    pub postgres: Option<String>,
}

/// Where scripts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScriptRunner {
    /// As processes of this machine, those of Docker tasks too.
    Process,
}

/// Whether an output gets colours: `NO_COLOR` forbids them, `CLICOLOR_FORCE` asks for them, `CLICOLOR=0` and a terminal
/// without them forbid them, and otherwise a terminal gets them.
pub fn wants_colour(is_terminal: bool) -> bool {
    colour_by(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()), is_terminal)
}

fn colour_by(variable: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    is_terminal && set("CLICOLOR").as_deref() != Some("0") && set("TERM").as_deref() != Some("dumb")
}

/// The settings of this process, fixed at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that holds all state: journal, storage and the managed Postgres.
    pub home: PathBuf,
    /// The Postgres address of `--postgres`, which wins over a flow's own.
    pub postgres: Option<String>,
    /// Where all scripts run, whatever their tasks say.
    pub script_runner: Option<ScriptRunner>,
    /// How long tasks that are safe to repeat retry while a server is away.
    pub retry_timeout: Duration,
    /// How long a load may stand still before its connection counts as broken.
    pub stall_timeout: Duration,
    /// How many bytes of what scripts print an execution's log takes, unless it is the usual limit.
    pub log_limit: Option<u64>,
    /// Which lines the process's own log has.
    pub log_filter: LogLevels,
    /// How many executions one may start, directly and through others.
    pub max_descendants: u32,
    /// The folders whose files values from outside may name, in addition to those of flow and storage.
    pub file_roots: Vec<PathBuf>,
    /// The language models of `jitney.yaml`.
    pub ai: AiSettings,
    /// Removes secrets from everything that is written.
    pub redactor: Redactor,
    environment: BTreeMap<String, String>,
    /// The variables whose values are no UTF-8.
    unreadable: BTreeSet<String>,
}

impl Settings {
    /// Reads the environment of this process under the command line's words.
    ///
    /// # Errors
    /// When no home folder is named and the user has none, or a variable of this program is no UTF-8.
    pub fn load(overrides: CliOverrides) -> anyhow::Result<Self> {
        Self::from_variables(overrides, std::env::vars_os())
    }

    fn from_variables(
        mut overrides: CliOverrides,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> anyhow::Result<Self> {
        let (mut environment, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in variables {
            // A variable whose very name is unreadable is none of ours.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(environment.insert(name, value)),
                Err(home) if name == HOME => overrides.home = overrides.home.or(Some(home.into())),
                Err(_) if name.starts_with("JITNEY_") || name.starts_with("PG") || ADDRESSES.contains(&&*name) => {
                    anyhow::bail!("the environment variable `{name}` is not UTF-8 text");
                }
                Err(_) => drop(unreadable.insert(name)),
            }
        }
        Ok(Self { unreadable, ..Self::from_environment(overrides, environment)? })
    }

    /// The same from a given environment.
    ///
    /// # Errors
    /// When no home folder is named and the user has none.
    pub fn from_environment(overrides: CliOverrides, environment: BTreeMap<String, String>) -> anyhow::Result<Self> {
        let named = overrides.home.or_else(|| environment.get(HOME).map(PathBuf::from));
        let home = match named {
            Some(home) => home,
            None => etcetera::choose_base_strategy()?.data_dir().join("jitney"),
        };
        let redactor = Redactor::default();
        let value = |name: &&str| environment.get(*name);
        SECRETS.iter().filter_map(value).for_each(|secret| redactor.learn_for_good(secret));
        let addresses = ADDRESSES.iter().filter_map(value).chain(&overrides.postgres);
        addresses.flat_map(|address| passwords_in(address)).for_each(|password| redactor.learn_for_good(&password));
        let script_runner = match environment.get(SCRIPT_RUNNER).map(String::as_str) {
            None | Some("") => None,
            Some("process") => Some(ScriptRunner::Process),
            Some(other) => anyhow::bail!("{SCRIPT_RUNNER} is `{other}`; it can only be `process`"),
        };
        let log_limit = match environment.get(LOG_LIMIT).map(String::as_str) {
            None | Some("") => None,
            Some(text) => Some(crate::text::bytes(text).ok_or_else(|| {
                anyhow::anyhow!("{LOG_LIMIT} is `{text}`, which is not a size; write for example 32MB or 1GB")
            })?),
        };
        let log_filter = environment.get(LOG).map(String::as_str).unwrap_or_default();
        let log_filter = log_filter.parse().map_err(|problem| anyhow::anyhow!("{LOG}: {problem}"))?;
        let max_descendants = match environment.get(MAX_DESCENDANTS).map(String::as_str) {
            None | Some("") => DEFAULT_MAX_DESCENDANTS,
            Some(text) => {
                text.parse().map_err(|_| anyhow::anyhow!("{MAX_DESCENDANTS} is `{text}`, which is not a number"))?
            }
        };
        let home = std::path::absolute(home)?;
        let (retry_timeout, stall_timeout) = (span(&environment, RETRY_TIMEOUT)?, span(&environment, STALL_TIMEOUT)?);
        let (postgres, file_roots) = (overrides.postgres, folders(&environment, FILE_ROOTS)?);
        Ok(Self {
            home,
            postgres,
            script_runner,
            retry_timeout,
            stall_timeout,
            log_limit,
            log_filter,
            max_descendants,
            file_roots,
            ai: AiSettings::default(),
            redactor,
            environment,
            unreadable: BTreeSet::new(),
        })
    }

    /// The same settings with this script runner, if there is one.
    pub fn with_script_runner(&self, runner: Option<ScriptRunner>) -> Self {
        Self { script_runner: runner.or(self.script_runner), ..self.clone() }
    }

    /// The same settings with these language models.
    pub fn with_ai(&self, ai: AiSettings) -> Self {
        Self { ai, ..self.clone() }
    }

    /// The same settings without the Postgres server that the environment names.
    pub fn without_server_of_environment(&self) -> Self {
        let mut environment = self.environment.clone();
        environment.retain(|name, _| !ADDRESSES.contains(&name.as_str()) && !name.starts_with("PG"));
        Self { environment, ..self.clone() }
    }

    /// An environment variable; an empty one counts as unset.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable is there and its value is no UTF-8.
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }

    /// The environment variables that begin with `prefix`, by the rest of their names.
    pub fn variables<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.environment.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// The key-value store's file.
    pub fn kv(&self) -> PathBuf {
        self.home.join("kv.db")
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.home.join("journal.db")
    }

    /// The folder of the files that tasks hand to each other.
    pub fn storage(&self) -> PathBuf {
        self.home.join("storage")
    }

    /// The folder of the files that a server is sent, until an execution has its copy.
    pub fn uploads(&self) -> PathBuf {
        self.home.join("uploads")
    }

    /// The folder of the managed Postgres.
    pub fn managed_postgres(&self) -> PathBuf {
        self.home.join("postgres")
    }

    /// The first file of this name on `PATH`.
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        let path = self.variable("PATH")?;
        std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| Path::is_file(file))
    }
}

/// The duration that a variable gives, or the default.
fn span(environment: &BTreeMap<String, String>, (name, default): (&str, Duration)) -> anyhow::Result<Duration> {
    match environment.get(name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => Ok(text.parse::<DurationSpec>().map_err(|error| anyhow::anyhow!("{name}: {error}"))?.0),
    }
}

/// The folders that a variable names.
fn folders(environment: &BTreeMap<String, String>, name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let text = environment.get(name).map(String::as_str).unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(text).filter(|folder| !folder.as_os_str().is_empty()).collect();
    match folders.iter().find(|folder| !folder.is_absolute()) {
        Some(folder) => anyhow::bail!("{name}: `{}` is not an absolute path", folder.display()),
        None => Ok(folders),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let variables = environment(&[("JITNEY_HOME", "/from/environment"), ("EMPTY", "")]);
        let plain = Settings::from_environment(CliOverrides::default(), variables.clone()).unwrap();
        assert_eq!(plain.home, Path::new("/from/environment"));
        assert_eq!(plain.variable("EMPTY"), None);
        let overrides = CliOverrides { home: Some("/from/flag".into()), postgres: None };
        let flagged = Settings::from_environment(overrides, variables).unwrap();
        assert_eq!(flagged.home, Path::new("/from/flag"));
    }

    #[test]
    fn a_time_limit_is_read_and_a_wrong_one_named() {
        let read = |text: &str| {
            let variables = environment(&[("JITNEY_HOME", "/h"), ("JITNEY_RETRY_TIMEOUT", text)]);
            Settings::from_environment(CliOverrides::default(), variables).map(|settings| settings.retry_timeout)
        };
        assert_eq!((read("2m").unwrap(), read("").unwrap()), (Duration::from_secs(120), Duration::from_secs(90)));
        assert!(read("soon").unwrap_err().to_string().starts_with("JITNEY_RETRY_TIMEOUT: `soon` is not a duration"));
    }

    #[test]
    fn a_filter_of_the_log_is_checked() {
        let variables = environment(&[("JITNEY_HOME", "/h"), ("JITNEY_LOG", "info,jitney::nothing=debug")]);
        let refused = Settings::from_environment(CliOverrides::default(), variables).unwrap_err().to_string();
        assert!(refused.starts_with("JITNEY_LOG: there is no target `jitney::nothing`"), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn variables_that_are_no_utf_8_do_no_harm_and_those_of_ours_are_named() {
        use std::os::unix::ffi::OsStringExt;
        let bad = || OsString::from_vec(b"/h\xff".to_vec());
        let load = |name: &str| {
            let home = (OsString::from("JITNEY_HOME"), OsString::from("/home"));
            let variables = [(OsString::from_vec(b"\xff".to_vec()), "x".into()), home, (name.into(), bad())];
            Settings::from_variables(CliOverrides::default(), variables.into_iter())
        };
        assert!(load("BAD").unwrap().is_unreadable("BAD"));
        assert_eq!(load("JITNEY_HOME").unwrap().home, Path::new(&bad()));
        for name in ["PGPASSWORD", "JITNEY_TOKEN", "DATABASE_URL"] {
            assert!(load(name).unwrap_err().to_string().contains(&format!("`{name}` is not UTF-8 text")));
        }
    }

    #[test]
    fn secrets_of_the_environment_are_known_from_the_start() {
        let pairs =
            [("JITNEY_HOME", "/h"), ("JITNEY_TOKEN", "token-1"), ("DATABASE_URL", "postgres://u:pass%20word@h/d")];
        let settings = Settings::from_environment(CliOverrides::default(), environment(&pairs)).unwrap();
        assert_eq!(settings.redactor.clean("token-1 dG9rZW4tMQ== pass word"), "*** *** ***");
    }
}
