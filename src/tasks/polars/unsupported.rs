//! What a step may not hold, because Polars would compute it otherwise than Postgres.

use crate::task::TaskError;

/// What to do where no other SQL is known that would do.
pub(super) const AFTER_LOAD: &str =
    "write it differently, or compute it in Postgres after the load, with `postgres.query`";

/// What an expression cannot hold, and what to write instead.
pub(super) struct UnsupportedSql {
    what: String,
    help: &'static str,
}

impl UnsupportedSql {
    /// The refusal of a step's field.
    pub(super) fn error(self, field: &str) -> TaskError {
        TaskError::permanent(format!("`{field}`: {}", self.what)).help(self.help)
    }
}

/// What is rewritten, or why it cannot be.
pub(super) type SqlResult<T> = Result<T, Box<UnsupportedSql>>;

/// A refusal of something, with what to write instead.
///
/// # Errors
/// Always.
pub(super) fn unsupported<T>(what: impl Into<String>, help: &'static str) -> SqlResult<T> {
    Err(Box::new(UnsupportedSql { what: what.into(), help }))
}

/// Refuses to count with a numeric column, or what is made of one.
///
/// # Errors
/// Always.
pub(super) fn unsupported_arithmetic<T>(value: &str) -> SqlResult<T> {
    unsupported(
        format!("arithmetic with {value}, which is numeric, since expressions compute in double precision"),
        "write `CAST(column AS double precision)`, or compute it in SQL after the load",
    )
}

/// Refuses what is `numeric` to Postgres although no numeric column is in it.
///
/// # Errors
/// Always.
pub(super) fn decimal_arithmetic<T>() -> SqlResult<T> {
    unsupported(
        "arithmetic of whole numbers and decimals, which Postgres computes exactly, but expressions in double precision",
        "write `CAST(… AS double precision)` around the decimal number",
    )
}

/// Refuses what depends on the session's time zone, which only the server knows.
///
/// # Errors
/// Always.
pub(super) fn session_time_zone<T>(time: &str) -> SqlResult<T> {
    unsupported(
        format!("the day, hour or text of {time}, a timestamptz, since the session is not in UTC"),
        "compute it in SQL after the load, or set the session's time zone to UTC",
    )
}
