//! What went wrong on the server, in words that lead on.

use std::error::Error as _;
use std::io::ErrorKind;

use tokio_postgres::Error;
use tokio_postgres::error::{ErrorPosition, SqlState};

use crate::diagnostic::Diagnostic;
use crate::task::{ErrorClass, TaskError};

use super::address::{AddressOrigin, PostgresAddress, TlsMode};
use super::dial::{DialError, TargetHost};
use super::pg_error::PgError;
use super::sql::Statement;

/// The code of the error that a connection broke.
pub const LOST: &str = "connection lost";
const CONNECTION_BROKE: &str = ": the connection to Postgres broke";

const NUL_MESSAGE: &str = "a text for Postgres holds the character NUL (\\u0000), which Postgres does not accept";
const NUL_HELP: &str = "take the character out of the value, for example with the filter `replace`";

/// The failure of a statement while `doing` something ("loading into `trips`").
pub fn explain(doing: &str, error: &Error) -> TaskError {
    match error.as_db_error() {
        Some(problem) => from_server(doing, &problem.into(), None),
        None if contains_nul(error) => TaskError::permanent(format!("{doing}: {NUL_MESSAGE}")).help(NUL_HELP),
        None if is_lost(error) => lost(doing).caused_by(error),
        None => TaskError::permanent(doing).caused_by(error),
    }
}

/// A connection that broke while `doing` something. What it leaves behind is for the task to say.
pub(super) fn lost(doing: &str) -> TaskError {
    TaskError::transient(format!("{doing}{CONNECTION_BROKE}"))
        .code(LOST)
        .help("look at the server's log if it happens again")
}

/// The error of a connection that broke, with what the server said as it closed it.
pub(super) fn with_reason(problem: TaskError, server_error: &PgError) -> TaskError {
    match problem.message.split_once(CONNECTION_BROKE) {
        Some((doing, _)) if problem.code.as_deref() == Some(LOST) => {
            TaskError { code: problem.code.clone(), ..from_server(doing, server_error, None) }
        }
        _ => problem,
    }
}

/// The same for a statement of a user's SQL: quotes the line that the server points at.
pub fn explain_in(doing: &str, error: &Error, statement: &Statement) -> TaskError {
    let Some(problem) = error.as_db_error() else { return explain(doing, error) };
    let server_error = PgError::from(problem);
    let Some(ErrorPosition::Original(position)) = problem.position() else {
        let (line, _) = statement.place(1);
        let address_text = format!("{} ({}:{line})", server_error.message_with_code(), statement.file);
        return from_server(doing, &server_error, Some(address_text));
    };
    let (line, column) = statement.place(*position);
    let quoted = Diagnostic::error(server_error.message_with_code())
        .quoting(statement.file, statement.source, line, column)
        .to_string();
    from_server(doing, &server_error, Some(quoted.trim_start_matches("error: ").to_owned()))
}

/// A host that gave no session.
pub(super) struct RefusedHost {
    pub(super) host: TargetHost,
    pub(super) failure: DialError,
}

impl RefusedHost {
    /// The SQLSTATE, if the server gave one.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match &self.failure {
            DialError::Driver(error) => error.code(),
            _ => None,
        }
    }
}

/// Why no session came about, at any of the hosts.
pub(super) fn explain_connect(refused: &[RefusedHost], address: &PostgresAddress) -> TaskError {
    let mut all = refused.iter().map(|refused| explain_host(refused, address));
    let first = all.next().unwrap_or_else(|| TaskError::permanent("the address names no Postgres server"));
    all.fold(first, |explained, other| TaskError {
        // A host that may be back is reason enough to try again.
        class: if other.class == ErrorClass::Transient { other.class } else { explained.class },
        message: format!("{}; {}", explained.message, other.message),
        ..explained
    })
}

fn explain_host(RefusedHost { host, failure }: &RefusedHost, address: &PostgresAddress) -> TaskError {
    let address_text = format!("{host} ({})", address.origin);
    match failure {
        DialError::Connection(error) => unreachable_server(address, &address_text).caused_by(error),
        DialError::Timeout(limit) => {
            let mut explained = unreachable_server(address, &address_text);
            explained.message += &format!(": nothing came within {} s", limit.as_secs_f64());
            explained.help = Some(
                "another program may be at that address; a slow server gets more time with connect_timeout=60"
                    .to_owned(),
            );
            explained
        }
        DialError::WrongSessionKind(what) => {
            TaskError::transient(format!("the Postgres server at {address_text} is not used: {what}"))
                .help("the address asks for another kind of server with target_session_attrs")
        }
        DialError::Driver(error) => match error.as_db_error() {
            Some(problem) => refused_login(&problem.into(), host, address, &address_text),
            None => no_session(error, address, &address_text),
        },
    }
}

fn no_session(error: &Error, address: &PostgresAddress, address_text: &str) -> TaskError {
    if contains_nul(error) {
        return TaskError::permanent(format!("cannot log in to Postgres at {address_text}: {NUL_MESSAGE}"))
            .help("correct the user name, password, database or options in the address");
    }
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if cause.contains("password missing") {
        return TaskError::permanent(format!(
            "Postgres at {address_text} asks for the password of `{}`, and none is given",
            address.user()
        ))
        .help("put it into the address (postgres://user:password@…), the task's `password`, PGPASSWORD or ~/.pgpass");
    }
    if cause.contains("does not support TLS") {
        return TaskError::permanent(format!(
            "the Postgres server at {address_text} does not offer TLS, and the address asks for it"
        ))
        .help("leave out sslmode, or use sslmode=prefer");
    }
    if error.to_string().contains("TLS") {
        return TaskError::permanent(format!("no TLS connection to the Postgres server at {address_text}"))
            .caused_by(error)
            .help(match address.tls {
                TlsMode::VerifyCa | TlsMode::VerifyFull => {
                    "name the authority's certificate with sslrootcert=/path/ca.pem"
                }
                _ => "see the server's log; sslmode=disable goes without TLS where the network is trusted",
            });
    }
    unreachable_server(address, address_text).caused_by(error)
}

fn unreachable_server(address: &PostgresAddress, address_text: &str) -> TaskError {
    let help = match address.origin {
        AddressOrigin::Managed => "`jitney postgres status` shows where its log is; `jitney postgres start` starts it",
        _ => {
            "start the server or correct the address; without any address jitney runs a private server of its own; \
              `jitney doctor` shows what is there"
        }
    };
    TaskError::transient(format!("no Postgres server answers at {address_text}")).help(help)
}

/// The server answered, and said no to the login.
fn refused_login(problem: &PgError, host: &TargetHost, address: &PostgresAddress, address_text: &str) -> TaskError {
    let (user, database) = (address.user(), address.database());
    let (message, help) = match problem.code {
        SqlState::INVALID_PASSWORD => (
            format!("Postgres at {address_text} does not accept the password of `{user}`"),
            "correct the password in the address, the task's `password`, PGPASSWORD or ~/.pgpass".to_owned(),
        ),
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            format!("Postgres at {address_text} does not let `{user}` into `{database}`: {}", problem.message),
            "correct the user name, or add a line for it to the server's pg_hba.conf".to_owned(),
        ),
        SqlState::INVALID_CATALOG_NAME => (
            format!("the Postgres server at {address_text} has no database `{database}`"),
            format!("create it: createdb -h {} -p {} -U {user} {database}", host.name(), host.port()),
        ),
        _ => return from_server(&format!("connecting to Postgres at {address_text}"), problem, None),
    };
    TaskError::permanent(message).help(help)
}

/// What the server complains of while `doing` something; `quoted` is its message with the line that it points at.
pub(super) fn from_server(doing: &str, problem: &PgError, quoted: Option<String>) -> TaskError {
    let server_error = quoted.unwrap_or_else(|| problem.message_with_code());
    let mut message = match problem.code {
        SqlState::DISK_FULL => {
            format!("{doing}: the server's disk is full, and it rolled the work back: {server_error}")
        }
        _ => format!("{doing}: {server_error}"),
    };
    for (label, text) in [("detail", &problem.detail), ("where", &problem.context)] {
        if let Some(text) = text {
            message = format!("{message}\n  {label}: {text}");
        }
    }
    TaskError { class: class(problem), message, help: remedy(problem), code: None }
}

/// Whether the answer is pgbouncer's to a transaction in a pool that has none.
fn is_statement_pooling(problem: &PgError) -> bool {
    problem.code == SqlState::PROTOCOL_VIOLATION && problem.message.contains("statement pooling")
}

fn remedy(problem: &PgError) -> Option<String> {
    let specific = match problem.code {
        _ if is_statement_pooling(problem) => {
            "set `pool_mode = transaction` or `pool_mode = session` for this database in pgbouncer.ini, or give the \
             address of the server itself"
        }
        SqlState::DISK_FULL => "free space on the server's disk, then run it again",
        SqlState::INSUFFICIENT_PRIVILEGE => "let the object's owner GRANT the right to this user, or use another user",
        SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED => {
            "no row is to blame: the sequence has no numbers left; ALTER SEQUENCE gives it a larger type and MAXVALUE"
        }
        SqlState::TOO_MANY_CONNECTIONS => "close other sessions, or raise the server's max_connections",
        SqlState::ACTIVE_SQL_TRANSACTION => "set `transaction: false` on the task: this statement cannot run in one",
        _ => return problem.hint.clone(),
    };
    Some(specific.to_owned())
}

/// Whether a repeat can help, by SQLSTATE: lost connections, shutdowns, conflicts between sessions, full houses.
fn class(problem: &PgError) -> ErrorClass {
    let transient_codes = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    let (code, text) = (&problem.code, problem.code.code());
    let is_transient = text.starts_with("08") || text.starts_with("57P0") || transient_codes.contains(code);
    if is_transient && !is_statement_pooling(problem) { ErrorClass::Transient } else { ErrorClass::Permanent }
}

fn is_lost(error: &Error) -> bool {
    let is_connection_error = |cause: &std::io::Error| cause.kind() != ErrorKind::InvalidInput;
    error.is_closed() || error.source().and_then(|cause| cause.downcast_ref()).is_some_and(is_connection_error)
}

/// Whether the driver did not send a text because of a NUL in it.
fn contains_nul(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == ErrorKind::InvalidInput && cause.to_string().contains("embedded null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pg_error(code: &str, message: &str) -> PgError {
        PgError::read(format!("SERROR\0VERROR\0C{code}\0M{message}\0\0").as_bytes())
    }

    #[test]
    fn conflicts_and_shutdowns_are_transient_and_mistakes_are_permanent() {
        for code in ["08006", "57P01", "57P03", "40001", "40P01", "53300", "55P03", "08P01"] {
            assert_eq!(class(&pg_error(code, "")), ErrorClass::Transient, "{code}");
        }
        for code in ["42601", "53100", "28P01", "23505", "57014"] {
            assert_eq!(class(&pg_error(code, "")), ErrorClass::Permanent, "{code}");
        }
    }

    #[test]
    fn a_pool_without_transactions_comes_with_the_setting_that_helps() {
        let server_error = pg_error("08P01", "transaction blocks not allowed in statement pooling mode");
        let explained = from_server("beginning the load", &server_error, None);
        assert_eq!(explained.class, ErrorClass::Permanent);
        assert!(explained.help.is_some_and(|help| help.contains("`pool_mode = transaction` or `pool_mode = session`")));
    }
}
