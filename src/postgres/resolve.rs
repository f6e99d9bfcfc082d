//! Which server to use: the command line takes precedence over the flow, and the flow over the environment.

use std::fs;
use std::path::PathBuf;

use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::file_access::FileAccess;
use crate::secret::{Redactor, Secret, has_odd_password, hide_address};

use super::address::{AddressOrigin, PostgresAddress};
use super::variables;

/// The variables that name a server, without which there is none.
const NAMING: [&str; 3] = ["PGHOST", "PGHOSTADDR", "PGDATABASE"];

/// The address that a task's fields give; empty texts count as missing.
#[derive(Clone, Debug, Default)]
pub struct FlowAddress {
    /// `url`
    pub url: Option<String>,
    /// `username`, which wins over the address's.
    pub username: Option<String>,
    /// `password`, which wins over the address's.
    pub password: Option<Secret>,
    /// The files that the address may name.
    pub files: FileAccess,
}

impl FlowAddress {
    /// The address in a task's fields.
    pub fn of(url: Option<&String>, username: Option<&String>, password: Option<&String>, files: &FileAccess) -> Self {
        let (url, username, password) = (url.cloned(), username.cloned(), password.map(Secret::new));
        Self { url, username, password, files: files.clone() }
    }

    /// Whether the address may name the files that it names.
    fn check_files(&self, address: &PostgresAddress) -> Result<(), Box<Diagnostic>> {
        let Some(url) = &self.url else { return Ok(()) };
        address.files.iter().try_for_each(|(setting, file)| {
            self.files.check(url, file).map_err(|mut finding| {
                // The address itself may hold a password.
                finding.message = format!("`{setting}` names {}, which is not written in the flow", file.display());
                Box::new(self.files.in_field("url", *finding))
            })
        })
    }
}

/// The server to use.
#[derive(Clone, Debug)]
pub enum RequestedServer {
    /// A server that somebody else runs.
    Server(Box<PostgresAddress>),
    /// None is named: jitney's own.
    Managed,
}

/// Finds out which server to use. Reads settings and `~/.pgpass`; connects to nothing.
///
/// # Errors
/// When the address that counts cannot be read.
pub fn resolve(settings: &Settings, flow: Option<&FlowAddress>) -> Result<RequestedServer, Box<Diagnostic>> {
    let flow_url = flow.and_then(|flow| flow.url.as_deref()).filter(|url| !url.trim().is_empty());
    let (text, origin) = if let Some(text) = &settings.postgres {
        (text.clone(), AddressOrigin::Flag)
    } else if let Some(text) = flow_url {
        (text.to_owned(), AddressOrigin::Flow)
    } else if let Some(text) = settings.variable("DATABASE_URL") {
        (text.to_owned(), AddressOrigin::Variable("DATABASE_URL"))
    } else if let Some(name) = NAMING.into_iter().find(|name| settings.variable(name).is_some()) {
        (variables::server(settings), AddressOrigin::Variable(name))
    } else if settings.variable("PGSERVICE").is_some() {
        return Err(Box::new(
            Diagnostic::error("PGSERVICE names the server, and service files are not read")
                .help("name the server with PGHOST and PGDATABASE, DATABASE_URL, `--postgres` or the task's `url`"),
        ));
    } else {
        return Ok(RequestedServer::Managed);
    };
    let mut address = PostgresAddress::parse(&text, origin.clone())
        .map_err(|reason| unreadable(&text, &origin, &reason, &settings.redactor))?;
    if let (Some(flow), AddressOrigin::Flow) = (flow, &origin) {
        flow.check_files(&address)?;
    }
    if let (Some(flow), true) = (flow, origin != AddressOrigin::Flag) {
        apply_login(&mut address, flow);
    }
    complete(&mut address, settings);
    address.inherit_connection_settings(&variables::address(settings)?);
    address.set_session(&variables::session(settings));
    if let Some(password) = address.password() {
        settings.redactor.learn_login(address.user(), password.expose());
    }
    Ok(RequestedServer::Server(Box::new(address)))
}

fn unreadable(text: &str, origin: &AddressOrigin, reason: &str, redactor: &Redactor) -> Box<Diagnostic> {
    let place = match origin {
        AddressOrigin::Flag => "the address of --postgres".to_owned(),
        AddressOrigin::Flow => "the task's `url`".to_owned(),
        other => format!("the address {other}"),
    };
    // Known secrets first: what a pattern has hidden of one, nobody finds again.
    let shown = hide_address(&redactor.without_known(text));
    // The reason may name a piece of such a password.
    let reason = if has_odd_password(text) { "its password has letters that must be escaped" } else { reason };
    let help = "write it as postgres://user:password@host:5432/database or jdbc:postgresql://host:5432/database; \
                characters such as @ or / in a password are written %40 and %2F, and in key=value pairs a value with blanks \
                in single quotes";
    Box::new(Diagnostic::error(format!("cannot read {place}: {reason} (`{shown}`)")).help(help))
}

fn apply_login(address: &mut PostgresAddress, flow: &FlowAddress) {
    if let Some(name) = flow.username.as_deref().filter(|name| !name.is_empty()) {
        address.config.user(name);
    }
    if let Some(password) = flow.password.as_ref().filter(|password| !password.expose().is_empty()) {
        address.config.password(password.expose());
    }
}

/// Fills what the address leaves open, as libpq does.
fn complete(address: &mut PostgresAddress, settings: &Settings) {
    if address.config.get_hosts().is_empty() && address.config.get_hostaddrs().is_empty() {
        let socket = format!("/var/run/postgresql/.s.PGSQL.{}", address.port());
        match settings.variable("PGHOST") {
            Some(host) => drop(address.config.host(host)),
            None if PathBuf::from(socket).exists() => drop(address.config.host("/var/run/postgresql")),
            None => drop(address.config.host("localhost")),
        }
    }
    if address.config.get_user().is_none() {
        let name = ["PGUSER", "USER", "LOGNAME"].into_iter().find_map(|name| settings.variable(name));
        address.config.user(name.unwrap_or("postgres"));
    }
    if address.config.get_password().is_none() {
        let known =
            settings.variable("PGPASSWORD").map(str::to_owned).or_else(|| from_password_file(address, settings));
        if let Some(password) = known {
            address.config.password(password);
        }
    }
}

/// The password in `~/.pgpass`, whose lines read `host:port:database:user:password`.
fn from_password_file(address: &PostgresAddress, settings: &Settings) -> Option<String> {
    let named = settings.variable("PGPASSFILE").map(PathBuf::from);
    let file = named.or_else(|| Some(PathBuf::from(settings.variable("HOME")?).join(".pgpass")))?;
    let host = if address.is_socket() { "localhost".to_owned() } else { address.host() };
    let port = address.port().to_string();
    let wanted = [host.as_str(), &port, address.database(), address.user()];
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let fields = split_password_line(line);
        let (login, password) = fields.split_at_checked(4)?;
        let fits = login.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        password.first().filter(|_| fits).cloned()
    })
}

/// The five fields of a line; `\:` and `\\` stand for the plain letter.
fn split_password_line(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (letter, fields.len()) {
            (':', 1..=4) => fields.push(String::new()),
            (letter, count) => {
                let plain = if letter == '\\' { letters.next().unwrap_or(letter) } else { letter };
                fields[count - 1].push(plain);
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CliOverrides;

    fn settings(flag: Option<&str>, variables: &[(&str, &str)]) -> Settings {
        let overrides = CliOverrides { home: Some("/nowhere".into()), postgres: flag.map(str::to_owned) };
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Settings::from_environment(overrides, variables.collect()).unwrap()
    }

    fn flow() -> FlowAddress {
        FlowAddress {
            url: Some("jdbc:postgresql://pgdatabase:5432/ny_taxi".into()),
            username: Some("root".into()),
            password: Some(Secret::new("rootroot")),
            files: FileAccess::default(),
        }
    }

    fn server(settings: &Settings, flow: Option<&FlowAddress>) -> PostgresAddress {
        match resolve(settings, flow).unwrap() {
            RequestedServer::Server(address) => *address,
            RequestedServer::Managed => panic!("the managed server was chosen"),
        }
    }

    #[test]
    fn the_command_line_wins_over_the_flow_and_the_flow_over_the_environment() {
        let variables = [("DATABASE_URL", "postgres://c@env/d"), ("PGHOST", "pg"), ("PGUSER", "someone")];
        let flagged = server(&settings(Some("postgres://a@flag/b"), &variables), Some(&flow()));
        assert_eq!((flagged.to_string().as_str(), flagged.user()), ("flag:5432/b", "a"));
        assert_eq!(flagged.password().map(|password| password.expose().to_owned()), None);
        let flown = server(&settings(None, &variables), Some(&flow()));
        assert_eq!((flown.to_string().as_str(), flown.user()), ("pgdatabase:5432/ny_taxi", "root"));
        assert_eq!(server(&settings(None, &variables), None).to_string(), "env:5432/d");
        let plain = server(
            &settings(None, &variables[1..]),
            Some(&FlowAddress { url: Some(" ".into()), ..Default::default() }),
        );
        assert_eq!(plain.to_string(), "pg:5432/someone");
        assert_eq!(plain.origin, AddressOrigin::Variable("PGHOST"));
        assert!(matches!(resolve(&settings(None, &[("PGUSER", "x")]), None), Ok(RequestedServer::Managed)));
    }

    #[test]
    fn an_address_from_outside_names_no_files() {
        let (folder, settings) = (tempfile::tempdir().unwrap(), settings(None, &[]));
        let files = FileAccess::restricted(folder.path(), &settings);
        for setting in ["sslrootcert", "sslcert", "sslkey"] {
            for url in [
                format!("postgres://u@h/d?{setting}=%2Fetc%2Fpasswd"),
                format!("host=h {setting}=/etc/passwd"),
                format!("jdbc:postgresql://h/d?{setting}=/etc/passwd"),
            ] {
                let flow = FlowAddress { url: Some(url.clone()), files: files.clone(), ..Default::default() };
                let problem = resolve(&settings, Some(&flow)).unwrap_err().message;
                assert!(problem.contains(&format!("`{setting}` names /etc/passwd")), "{url}: {problem}");
            }
        }
    }

    #[test]
    fn passwords_that_are_found_are_never_shown_again() {
        let settings = settings(None, &[]);
        server(&settings, Some(&flow()));
        assert_eq!(settings.redactor.clean("tried rootroot"), "tried ***");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        fs::write(&file, "# note\nother:*:*:*:no\nh:5432:*:u:a\\:b:c\n").unwrap();
        let variables = [("PGPASSFILE", file.to_str().unwrap()), ("DATABASE_URL", "postgres://u@h/d")];
        let address = server(&self::settings(None, &variables), None);
        assert_eq!(address.password().unwrap().expose(), "a:b:c");
    }

    #[test]
    fn an_unreadable_address_names_its_place_and_no_password() {
        let error = resolve(&settings(Some("postgres://u:geheim@h:no/d"), &[]), None).unwrap_err().to_string();
        assert!(error.contains("--postgres") && error.contains("help: write it as"), "{error}");
        assert!(!error.contains("geheim"), "{error}");
        for address in ["u:Geheim@h", "postgres//u:Geheim@h/d", "host=h password=a Geheim"] {
            let error = resolve(&settings(Some(address), &[]), None).unwrap_err().to_string();
            assert!(error.contains("***") && !error.contains("Geheim"), "{error}");
        }
    }
}
