//! libpq's environment variables: what they say of the server and of the session, and which of them have no effect here.

use crate::config::Settings;
use crate::diagnostic::Diagnostic;

use super::address::{AddressOrigin, PostgresAddress};

/// The server, by libpq's names of the parameters.
const SERVER: [(&str, &str); 5] =
    [("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("port", "PGPORT"), ("user", "PGUSER"), ("dbname", "PGDATABASE")];

/// How to connect, wherever the address does not say it itself.
const CONNECTION: [(&str, &str); 9] = [
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("application_name", "PGAPPNAME"),
    ("options", "PGOPTIONS"),
];

/// The session's settings, which win over those of `options`.
const SESSION: [(&str, &str); 3] = [("DateStyle", "PGDATESTYLE"), ("TimeZone", "PGTZ"), ("geqo", "PGGEQO")];

/// Those that would change how libpq connects, and do not here.
const UNSUPPORTED: [&str; 20] = [
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLCERTMODE",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGMAXPROTOCOLVERSION",
    "PGGSSENCMODE",
    "PGGSSDELEGATION",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGCLIENTENCODING",
];

/// The address that the variables give, as key=value pairs.
pub(super) fn server(settings: &Settings) -> String {
    pairs(settings, SERVER.iter().chain(&CONNECTION))
}

/// What the variables say of the connection to whatever server it is.
///
/// # Errors
/// When one of them has a value that is none.
pub(super) fn address(settings: &Settings) -> Result<PostgresAddress, Box<Diagnostic>> {
    let text = pairs(settings, CONNECTION.iter());
    let origin = AddressOrigin::Variable("PGOPTIONS");
    // Without any pair it would be no address.
    PostgresAddress::parse(&format!("port=5432 {text}"), origin).map_err(|reason| {
        let set = CONNECTION.iter().map(|(_, name)| *name).filter(|name| settings.variable(name).is_some());
        let names = set.collect::<Vec<_>>().join("`, `");
        let message = format!("cannot read the environment variables `{names}`: {reason}");
        Box::new(Diagnostic::error(message).help("set them as libpq wants them, or unset them"))
    })
}

/// The session's settings as the server takes them in `options`.
pub(super) fn session(settings: &Settings) -> String {
    let given = SESSION.iter().filter_map(|(key, name)| Some((key, settings.variable(name)?)));
    let given = given.filter(|(_, value)| !value.eq_ignore_ascii_case("default"));
    given.map(|(key, value)| format!("-c {key}={}", escaped(value))).collect::<Vec<_>>().join(" ")
}

/// Words about the variables that are set and have no effect.
pub(super) fn unsupported(settings: &Settings) -> Option<String> {
    // What is sent is UTF-8 whatever the variable says, so that this value asks for nothing else.
    let has_no_effect = |name: &str, value: &str| {
        name == "PGCLIENTENCODING" && ["utf8", "utf-8", "unicode"].contains(&value.to_ascii_lowercase().as_str())
    };
    let given =
        UNSUPPORTED.into_iter().filter(|name| settings.variable(name).is_some_and(|value| !has_no_effect(name, value)));
    let given = given.collect::<Vec<_>>();
    (!given.is_empty()).then(|| format!("environment variables that have no effect here: {}", given.join(", ")))
}

fn pairs<'a>(settings: &Settings, names: impl Iterator<Item = &'a (&'static str, &'static str)>) -> String {
    let quote = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let written = names.filter_map(|(key, name)| Some(format!("{key}='{}'", quote(settings.variable(name)?))));
    written.collect::<Vec<_>>().join(" ")
}

/// A value within `options`, whose parts end at blanks.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        if letter.is_whitespace() || letter == '\\' {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CliOverrides;
    use crate::postgres::{RequestedServer, resolve};

    fn settings(flag: &str, variables: &[(&str, &str)]) -> Settings {
        let overrides = CliOverrides { home: Some("/nowhere".into()), postgres: Some(flag.to_owned()) };
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Settings::from_environment(overrides, variables.collect()).unwrap()
    }

    fn server(flag: &str, variables: &[(&str, &str)]) -> PostgresAddress {
        match resolve(&settings(flag, variables), None).unwrap() {
            RequestedServer::Server(address) => *address,
            RequestedServer::Managed => panic!("the private server was chosen"),
        }
    }

    const ALL: [(&str, &str); 6] = [
        ("PGOPTIONS", "-c work_mem=1MB"),
        ("PGTZ", "America/New_York"),
        ("PGDATESTYLE", "SQL, DMY"),
        ("PGSSLMODE", "require"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGAPPNAME", "nightly"),
    ];

    #[test]
    fn variables_count_where_the_address_says_nothing() {
        let open = server("postgres://u@h/d", &ALL);
        let options = "-c work_mem=1MB -c DateStyle=SQL,\\ DMY -c TimeZone=America/New_York";
        assert_eq!(open.config.get_options(), Some(options));
        assert_eq!((open.tls, open.connect_timeout().as_secs()), (crate::postgres::address::TlsMode::Require, 7));
        assert_eq!(open.config.get_application_name(), Some("nightly"));
        for closed in [
            "postgres://u@h/d?sslmode=disable&options=-c%20geqo%3Doff&connect_timeout=3&application_name=mine",
            "host=h user=u dbname=d sslmode=disable options='-c geqo=off' connect_timeout=3 application_name=mine",
            "jdbc:postgresql://h/d?user=u&sslmode=disable&options=-c%20geqo%3Doff&connectTimeout=3&ApplicationName=mine",
        ] {
            let closed = server(closed, &ALL);
            let options = "-c geqo=off -c DateStyle=SQL,\\ DMY -c TimeZone=America/New_York";
            assert_eq!(closed.config.get_options(), Some(options));
            assert_eq!(closed.tls, crate::postgres::address::TlsMode::Disable);
            assert_eq!((closed.connect_timeout().as_secs(), closed.config.get_application_name()), (3, Some("mine")));
        }
    }

    #[test]
    fn unsupported_and_invalid_variables_are_named() {
        let given = [("PGSSLCERT", "/c.pem"), ("PGCLIENTENCODING", "LATIN1"), ("PGTZ", "UTC")];
        let note = unsupported(&settings("postgres://u@h/d", &given));
        assert_eq!(
            note.as_deref(),
            Some("environment variables that have no effect here: PGSSLCERT, PGCLIENTENCODING")
        );
        assert_eq!(unsupported(&settings("postgres://u@h/d", &[("PGCLIENTENCODING", "UTF8")])), None);
        let error = resolve(&settings("postgres://u@h/d", &[("PGSSLMODE", "maybe")]), None).unwrap_err().to_string();
        assert!(error.contains("`PGSSLMODE`: `maybe` is not an sslmode"), "{error}");
    }

    #[test]
    fn a_service_without_a_server_is_refused() {
        let overrides = CliOverrides { home: Some("/nowhere".into()), postgres: None };
        let variables = [("PGSERVICE".to_owned(), "prod".to_owned())].into();
        let settings = Settings::from_environment(overrides, variables).unwrap();
        assert!(resolve(&settings, None).unwrap_err().to_string().contains("service files are not read"));
    }
}
