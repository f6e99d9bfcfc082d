//! What went wrong on the server, in words that lead on.

use std::error::Error as _;

use tokio_postgres::error::{DbError, ErrorPosition, SqlState};
use tokio_postgres::{Error, error};

use crate::diagnostic::Diagnostic;
use crate::task::{ErrorClass, TaskError};

use super::address::{Address, Origin, TlsMode};
use super::sql::Statement;

/// The failure of a statement while `doing` something ("loading into `trips`").
pub fn explain(doing: &str, error: &Error) -> TaskError {
    match error.as_db_error() {
        Some(problem) => from_server(doing, problem, sentence(problem)),
        None if is_lost(error) => TaskError::transient(format!("{doing}: the connection to Postgres broke"))
            .because(error)
            .help("nothing of it was committed; look at the server's log if it happens again"),
        None => TaskError::permanent(doing).because(error),
    }
}

/// The same for a statement of a user's SQL: quotes the line that the server points at.
pub fn explain_in(doing: &str, error: &Error, statement: &Statement) -> TaskError {
    let Some(problem) = error.as_db_error() else { return explain(doing, error) };
    let Some(ErrorPosition::Original(position)) = problem.position() else {
        let (line, _) = statement.place(1);
        let place = format!("{} ({}:{line})", sentence(problem), statement.file);
        return from_server(doing, problem, place);
    };
    let (line, column) = statement.place(*position);
    let quoted = Diagnostic::error(sentence(problem)).at(statement.file, statement.source, line, column).to_string();
    from_server(doing, problem, quoted.trim_start_matches("error: ").to_owned())
}

/// Why no session came about.
pub fn explain_connect(error: &Error, address: &Address) -> TaskError {
    let place = format!("{}:{} ({})", address.host(), address.port(), address.origin);
    if let Some(problem) = error.as_db_error() {
        return refused(problem, address, &place);
    }
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if cause.contains("password missing") {
        return TaskError::permanent(format!(
            "Postgres at {place} asks for the password of `{}`, and none is given",
            address.user()
        ))
        .help("put it into the address (postgres://user:password@…), the task's `password`, PGPASSWORD or ~/.pgpass");
    }
    if cause.contains("does not support TLS") {
        return TaskError::permanent(format!(
            "the Postgres server at {place} does not offer TLS, and the address asks for it"
        ))
        .help("leave out sslmode, or use sslmode=prefer");
    }
    if error.to_string().contains("TLS") {
        return TaskError::permanent(format!("no TLS connection to the Postgres server at {place}"))
            .because(error)
            .help(match address.tls {
                TlsMode::VerifyCa | TlsMode::VerifyFull => {
                    "name the authority's certificate with sslrootcert=/path/ca.pem"
                }
                _ => "see the server's log; sslmode=disable goes without TLS where the network is trusted",
            });
    }
    unreachable_server(error, address, &place)
}

fn unreachable_server(error: &Error, address: &Address, place: &str) -> TaskError {
    let help = match address.origin {
        Origin::Managed => "`jitney postgres status` shows where its log is; `jitney postgres start` starts it",
        _ => {
            "start the server or correct the address; without any address jitney runs a private server of its own; \
              `jitney doctor` shows what is there"
        }
    };
    TaskError::transient(format!("no Postgres server answers at {place}")).because(error).help(help)
}

/// The server answered, and said no to the login.
fn refused(problem: &DbError, address: &Address, place: &str) -> TaskError {
    let (user, database) = (address.user(), address.database());
    let (message, help) = match *problem.code() {
        SqlState::INVALID_PASSWORD => (
            format!("Postgres at {place} does not accept the password of `{user}`"),
            "correct the password in the address, the task's `password`, PGPASSWORD or ~/.pgpass".to_owned(),
        ),
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => (
            format!("Postgres at {place} does not let `{user}` into `{database}`: {}", problem.message()),
            "correct the user name, or add a line for it to the server's pg_hba.conf".to_owned(),
        ),
        SqlState::INVALID_CATALOG_NAME => (
            format!("the Postgres server at {place} has no database `{database}`"),
            format!("create it: createdb -h {} -p {} -U {user} {database}", address.host(), address.port()),
        ),
        _ => return from_server(&format!("connecting to Postgres at {place}"), problem, sentence(problem)),
    };
    TaskError::permanent(message).help(help)
}

fn from_server(doing: &str, problem: &DbError, said: String) -> TaskError {
    let mut message = match *problem.code() {
        SqlState::DISK_FULL => format!("{doing}: the server's disk is full, and it rolled the work back: {said}"),
        _ => format!("{doing}: {said}"),
    };
    for (label, text) in [("detail", problem.detail()), ("where", problem.where_())] {
        if let Some(text) = text {
            message = format!("{message}\n  {label}: {text}");
        }
    }
    TaskError { class: class(problem.code()), message, help: remedy(problem), code: None }
}

fn remedy(problem: &DbError) -> Option<String> {
    let own = match *problem.code() {
        SqlState::DISK_FULL => "free space on the server's disk, then run it again",
        SqlState::INSUFFICIENT_PRIVILEGE => "let the object's owner GRANT the right to this user, or use another user",
        SqlState::TOO_MANY_CONNECTIONS => "close other sessions, or raise the server's max_connections",
        SqlState::ACTIVE_SQL_TRANSACTION => "set `transaction: false` on the task: this statement cannot run in one",
        _ => return problem.hint().map(str::to_owned),
    };
    Some(own.to_owned())
}

fn sentence(problem: &DbError) -> String {
    format!("{} ({})", problem.message(), problem.code().code())
}

/// Whether a repeat can help, by SQLSTATE: lost connections, shutdowns, conflicts between sessions, full houses.
fn class(code: &SqlState) -> ErrorClass {
    let passing = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::LOCK_NOT_AVAILABLE,
    ];
    let text = code.code();
    if text.starts_with("08") || text.starts_with("57P0") || passing.contains(code) {
        ErrorClass::Transient
    } else {
        ErrorClass::Permanent
    }
}

fn is_lost(error: &error::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_and_shutdowns_are_worth_a_repeat_and_mistakes_are_not() {
        for code in ["08006", "57P01", "57P03", "40001", "40P01", "53300", "55P03"] {
            assert_eq!(class(&SqlState::from_code(code)), ErrorClass::Transient, "{code}");
        }
        for code in ["42601", "53100", "28P01", "23505", "57014"] {
            assert_eq!(class(&SqlState::from_code(code)), ErrorClass::Permanent, "{code}");
        }
    }
}
