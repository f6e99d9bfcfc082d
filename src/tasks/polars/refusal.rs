//! What a step may not hold, because Polars would compute it otherwise than Postgres.

use crate::task::TaskError;

/// What an expression cannot hold, and what to write instead.
pub(super) struct Refusal {
    what: String,
    help: &'static str,
}

impl Refusal {
    /// The refusal of a step's field.
    pub(super) fn error(self, field: &str) -> TaskError {
        TaskError::permanent(format!("`{field}`: {}", self.what)).help(self.help)
    }
}

/// What is rewritten, or why it cannot be.
pub(super) type Outcome<T> = Result<T, Box<Refusal>>;

/// A refusal of something, with what to write instead.
///
/// # Errors
/// Always.
pub(super) fn refused<T>(what: impl Into<String>, help: &'static str) -> Outcome<T> {
    Err(Box::new(Refusal { what: what.into(), help }))
}

/// Refuses to count with a numeric column, or what is made of one.
///
/// # Errors
/// Always.
pub(super) fn inexact<T>(value: &str) -> Outcome<T> {
    refused(
        format!("arithmetic with {value}, which is numeric, since expressions count in double precision"),
        "write `CAST(column AS double precision)`, or compute it in SQL after the load",
    )
}

/// Refuses what is `numeric` to Postgres although no numeric column is in it.
///
/// # Errors
/// Always.
pub(super) fn in_decimals<T>() -> Outcome<T> {
    refused(
        "arithmetic of whole numbers and decimals, which Postgres counts exactly and expressions in double precision",
        "write `CAST(… AS double precision)` around the decimal number",
    )
}

/// Refuses what depends on the session's time zone, which only the server knows.
///
/// # Errors
/// Always.
pub(super) fn in_session_zone<T>(time: &str) -> Outcome<T> {
    refused(
        format!("the day or hour of {time}, a timestamptz, since the session is not in UTC"),
        "compute it in SQL after the load, or set the session's time zone to UTC",
    )
}
