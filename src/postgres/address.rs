//! Where a Postgres server is and who asks: read from libpq's URLs and key=value strings, and from JDBC's addresses.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::secret::{Secret, hide_passwords};

/// Who named the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressOrigin {
    /// `--postgres`
    Flag,
    /// A task's `url`.
    Flow,
    /// The environment variable of this name.
    Variable(&'static str),
    /// Nobody: jitney runs it.
    Managed,
}

impl fmt::Display for AddressOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from --postgres"),
            Self::Flow => f.write_str("from the task's `url`"),
            Self::Variable(name) => write!(f, "from {name}"),
            Self::Managed => f.write_str("managed by jitney"),
        }
    }
}

/// How much TLS is wanted, in libpq's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// If the server offers it, no matter who it is (`allow` is read as this too).
    #[default]
    Prefer,
    /// Always, no matter who the server is.
    Require,
    /// Always, with a certificate of a trusted authority.
    VerifyCa,
    /// Always, with a trusted certificate for this very host.
    VerifyFull,
}

impl TlsMode {
    fn read(word: &str) -> Result<Self, String> {
        match word {
            "disable" => Ok(Self::Disable),
            "allow" | "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(format!(
                "`{word}` is not an sslmode; expected one of disable, allow, prefer, require, verify-ca, verify-full"
            )),
        }
    }
}

impl TlsMode {
    fn of_driver(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// How long a host may take unless the address says so with `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A server, a database and a login. `Display` gives `host:port/database` and never a password.
#[derive(Clone, Debug)]
pub struct PostgresAddress {
    /// What the driver needs; its `Debug` hides the password.
    pub(super) config: Config,
    /// How much TLS is wanted.
    pub tls: TlsMode,
    /// The file of trusted certificates, in PEM; none means the system's.
    pub root_certificates: Option<PathBuf>,
    /// The files that the address names, each with its setting, read or not.
    pub files: Vec<(&'static str, PathBuf)>,
    /// Who named the server.
    pub origin: AddressOrigin,
    /// libpq's names of what the text sets.
    given: BTreeSet<String>,
}

impl PostgresAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with the text, without its password.
    pub fn parse(text: &str, origin: AddressOrigin) -> Result<Self, String> {
        let text = text.trim();
        let mut extra = ExtraSettings::default();
        let rest = match text.strip_prefix("jdbc:postgresql:") {
            Some(jdbc) => extra.take_from_jdbc(jdbc)?,
            None if text.contains("://") => extra.take_from_url(text)?,
            None if text.contains('=') => extra.take_from_pairs(text)?,
            None => {
                return Err("it is neither a postgres:// address nor key=value pairs".to_owned());
            }
        };
        let mut config: Config = rest.parse().map_err(|error| describe(&error))?;
        if config.get_application_name().is_none() {
            config.application_name("jitney");
        }
        // A server that vanishes in the middle of a long load is noticed within two minutes, not two hours.
        config
            .keepalives_idle(Duration::from_secs(60))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(6);
        config.ssl_mode(extra.tls.of_driver());
        let ExtraSettings { tls, root_certificates, files, given } = extra;
        Ok(Self { config, tls, root_certificates, files, origin, given })
    }

    /// The address of a server at a Unix socket in `folder`.
    pub(super) fn at_socket(folder: &std::path::Path, port: u16) -> Self {
        let mut config = Config::new();
        config.host_path(folder).port(port).application_name("jitney");
        config.ssl_mode(SslMode::Disable);
        let (tls, origin, given) = (TlsMode::Disable, AddressOrigin::Managed, BTreeSet::new());
        Self { config, tls, root_certificates: None, files: Vec::new(), origin, given }
    }

    /// Takes from another address how to connect, where this one does not say it.
    pub(super) fn inherit_connection_settings(&mut self, other: &Self) {
        let inherits = |key: &str| other.given.contains(key) && !self.given.contains(key);
        let (config, from) = (&mut self.config, &other.config);
        if inherits("sslmode") {
            self.tls = other.tls;
            config.ssl_mode(other.tls.of_driver());
        }
        if inherits("sslrootcert") {
            self.root_certificates.clone_from(&other.root_certificates);
        }
        if inherits("sslnegotiation") {
            config.ssl_negotiation(from.get_ssl_negotiation());
        }
        if inherits("channel_binding") {
            config.channel_binding(from.get_channel_binding());
        }
        if let Some(limit) = from.get_connect_timeout().filter(|_| inherits("connect_timeout")) {
            config.connect_timeout(*limit);
        }
        if inherits("target_session_attrs") {
            config.target_session_attrs(from.get_target_session_attrs());
        }
        if inherits("load_balance_hosts") {
            config.load_balance_hosts(from.get_load_balance_hosts());
        }
        if let Some(name) = from.get_application_name().filter(|_| inherits("application_name")) {
            config.application_name(name);
        }
        if let Some(options) = from.get_options().filter(|_| inherits("options")) {
            config.options(options);
        }
    }

    /// Adds settings of the session, which win over those that are there.
    pub(super) fn set_session(&mut self, options: &str) {
        if !options.is_empty() {
            let before = self.config.get_options().map(|before| format!("{before} ")).unwrap_or_default();
            self.config.options(format!("{before}{options}"));
        }
    }

    /// The servers and the database, without a login. This machine has one name whichever way it is written.
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => normalized_host(name),
            Host::Unix(folder) => folder.display().to_string(),
        });
        let mut hosts: Vec<String> = hosts.collect();
        if hosts.is_empty() {
            hosts.push(normalized_host(&self.host()));
        }
        let ports = self.config.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let places: Vec<String> =
            hosts.into_iter().enumerate().map(|(index, host)| format!("{host}:{}", port(index))).collect();
        format!("{}/{}", places.join(","), self.database())
    }

    /// The first host's name, or the folder of its socket.
    pub fn host(&self) -> String {
        match (self.config.get_hosts().first(), self.config.get_hostaddrs().first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (Some(Host::Unix(folder)), _) => folder.display().to_string(),
            (None, Some(number)) => number.to_string(),
            (None, None) => "localhost".to_owned(),
        }
    }

    /// Whether every host is a socket of this machine.
    pub fn is_socket(&self) -> bool {
        let hosts = self.config.get_hosts();
        !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)))
    }

    /// How long each host may take until the session is ready: TCP, TLS and the login together.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT)
    }

    /// The first host's port.
    pub fn port(&self) -> u16 {
        self.config.get_ports().first().copied().unwrap_or(5432)
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The password, if one is known.
    pub fn password(&self) -> Option<Secret> {
        self.config.get_password().map(|password| Secret::new(String::from_utf8_lossy(password)))
    }

    /// The database, by default the one of the role's name.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_else(|| self.user())
    }

    /// The same server and login, another database.
    pub fn with_database(mut self, name: &str) -> Self {
        self.config.dbname(name);
        self
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host();
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{host}{close}:{}/{}", self.port(), self.database())
    }
}

fn normalized_host(host: &str) -> String {
    if matches!(host, "127.0.0.1" | "::1") { "localhost".to_owned() } else { host.to_lowercase() }
}

fn describe(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    hide_passwords(&format!("{error}{cause}"))
}

/// The settings that the driver's parser does not know, taken out of what it is given.
#[derive(Default)]
struct ExtraSettings {
    tls: TlsMode,
    root_certificates: Option<PathBuf>,
    files: Vec<(&'static str, PathBuf)>,
    /// The names of all settings, libpq's for those of JDBC.
    given: BTreeSet<String>,
}

/// The settings that name files.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// The schemes of other databases, which are named when they are refused.
const SCHEMES: &[&str] =
    &["mysql", "mariadb", "sqlite", "sqlserver", "mssql", "oracle", "mongodb", "redis", "http", "https"];

/// libpq's settings that have no meaning here; all others that are unknown are errors.
const IGNORED: &[&str] =
    &["gssencmode", "sslcompression", "sslcert", "sslkey", "fallback_application_name", "client_encoding"];

impl ExtraSettings {
    /// Takes one setting and says whether it was ours.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, String> {
        self.given.insert(key.to_owned());
        let file = FILES.into_iter().find(|name| *name == key && !value.is_empty() && value != "system");
        self.files.extend(file.map(|name| (name, PathBuf::from(value))));
        match key {
            "sslmode" => self.tls = TlsMode::read(value)?,
            "sslrootcert" if value == "system" => self.root_certificates = None,
            "sslrootcert" => self.root_certificates = Some(PathBuf::from(value)),
            _ => return Ok(IGNORED.contains(&key)),
        }
        Ok(true)
    }

    fn take_from_url(&mut self, url: &str) -> Result<String, String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        if !address.starts_with("postgres://") && !address.starts_with("postgresql://") {
            // Half an address may be half a secret: only what is surely a scheme is named.
            let scheme = address.split("://").next().unwrap_or_default();
            let is_known = SCHEMES.contains(&scheme);
            let shown = if is_known { format!("`{scheme}://`") } else { "it".to_owned() };
            return Err(format!("{shown} is not Postgres; the address starts with postgres:// or jdbc:postgresql://"));
        }
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !self.take(key, &percent_decode(value))? {
                rest.push(pair);
            }
        }
        Ok(if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) })
    }

    /// `//host:port/database?user=…`, or a bare `database`.
    fn take_from_jdbc(&mut self, jdbc: &str) -> Result<String, String> {
        let (address, query) = jdbc.split_once('?').unwrap_or((jdbc, ""));
        let address = match address.strip_prefix("//") {
            Some(rest) => format!("postgresql://{rest}"),
            None => format!("postgresql:///{}", address.trim_start_matches('/')),
        };
        let mut rest = Vec::new();
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            self.given.insert(in_libpq(key).to_owned());
            match key {
                "user" | "password" | "options" => rest.push(format!("{key}={value}")),
                "ApplicationName" => rest.push(format!("application_name={value}")),
                "connectTimeout" => rest.push(format!("connect_timeout={value}")),
                "targetServerType" if ["primary", "master"].contains(&value) => {
                    rest.push("target_session_attrs=read-write".to_owned());
                }
                "currentSchema" => rest.push(format!("options=-c%20search_path%3D{value}")),
                // JDBC means verify-full by a bare `ssl=true`; an additional sslmode is more precise.
                "ssl" if value != "false" && !query.contains("sslmode=") => self.tls = TlsMode::VerifyFull,
                _ => drop(self.take(key, &percent_decode(value))?),
            }
        }
        Ok(if rest.is_empty() { address } else { format!("{address}?{}", rest.join("&")) })
    }

    fn take_from_pairs(&mut self, text: &str) -> Result<String, String> {
        let mut rest = Vec::new();
        for pair in split_pairs(text) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !self.take(key.trim(), value.trim().trim_matches('\''))? {
                rest.push(pair);
            }
        }
        Ok(rest.join(" "))
    }
}

/// libpq's name of a setting of JDBC.
fn in_libpq(key: &str) -> &str {
    match key {
        "connectTimeout" => "connect_timeout",
        "targetServerType" => "target_session_attrs",
        "currentSchema" => "options",
        "ssl" => "sslmode",
        "ApplicationName" => "application_name",
        other => other,
    }
}

/// Cuts `a=1 b='x y'` at the blanks outside quotes.
fn split_pairs(text: &str) -> Vec<&str> {
    let (mut pairs, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => {
                pairs.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    pairs.push(&text[start..]);
    pairs.retain(|pair| !pair.is_empty());
    pairs
}

fn percent_decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(b'%');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::percent_encode;

    fn parse(text: &str) -> PostgresAddress {
        PostgresAddress::parse(text, AddressOrigin::Flag).unwrap()
    }

    #[test]
    fn a_libpq_url_is_understood_and_its_password_hidden() {
        let address = parse("postgresql://root:p%40ss@db.example:5433/ny_taxi?sslmode=verify-ca&sslrootcert=%2Fca.pem");
        assert_eq!(address.to_string(), "db.example:5433/ny_taxi");
        assert_eq!((address.user(), address.password().unwrap().expose()), ("root", "p@ss"));
        assert_eq!(address.tls, TlsMode::VerifyCa);
        assert_eq!(address.root_certificates, Some("/ca.pem".into()));
        assert!(!format!("{address:?} {address}").contains("p@ss"));
        assert_eq!(parse("postgres://u@[::1]:5432/x").to_string(), "[::1]:5432/x");
        assert_eq!(parse("postgres://u@a:1,b:2/x").to_string(), "a:1/x");
    }

    #[test]
    fn key_value_pairs_are_understood() {
        let address = parse("host=/run/postgresql port=5433 user=me password='two words' dbname=x sslmode=disable");
        assert!(address.is_socket());
        assert_eq!(address.to_string(), "/run/postgresql:5433/x");
        assert_eq!(address.password().unwrap().expose(), "two words");
        assert_eq!(address.tls, TlsMode::Disable);
    }

    #[test]
    fn jdbc_addresses_are_understood() {
        let address = parse(
            "jdbc:postgresql://pgdatabase:5432/ny_taxi?user=root&password=root&currentSchema=raw,public&reWriteBatchedInserts=true",
        );
        assert_eq!(address.to_string(), "pgdatabase:5432/ny_taxi");
        assert_eq!(address.user(), "root");
        assert_eq!(address.config.get_options(), Some("-c search_path=raw,public"));
        assert_eq!(parse("jdbc:postgresql://h/d?ssl=true").tls, TlsMode::VerifyFull);
        assert_eq!(parse("jdbc:postgresql://h/d?ssl=true&sslmode=require").tls, TlsMode::Require);
        assert_eq!(parse("jdbc:postgresql:d").database(), "d");
    }

    #[test]
    fn an_invalid_address_is_refused_without_its_password() {
        let fails = |text: &str| PostgresAddress::parse(text, AddressOrigin::Flag).unwrap_err();
        assert!(fails("mysql://a:secret@b/c").contains("is not Postgres"));
        assert!(fails("localhost").contains("neither"));
        assert!(fails("postgres://u:hidden@h/d?sslmode=maybe").contains("`maybe` is not an sslmode"));
        let bad_port = fails("postgres://u:hidden@h:port/d");
        assert!(bad_port.contains("port") && !bad_port.contains("hidden"), "{bad_port}");
    }

    #[test]
    fn percent_encoding_round_trips() {
        assert_eq!(percent_decode(&percent_encode("a b/ü%@")), "a b/ü%@");
        assert_eq!(percent_decode("100%"), "100%");
    }
}
