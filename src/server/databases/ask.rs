//! One query of a reader's own on whatever database it is meant for.

use std::time::{Duration, Instant};

use super::bigquery::BigQueryReader;
use super::{Database, QueryLimits, QueryResult, ReadOnly};
use crate::config::Settings;
use crate::task::TaskError;

/// The longest query.
pub(in crate::server) const MAX_SQL_BYTES: usize = 100_000;

/// The result of a query.
pub(in crate::server) enum QueryAnswer {
    /// Rows, and how long they took.
    Rows(QueryResult, Duration),
    /// It has not run yet: so many bytes are to be read.
    Estimate(u64),
}

/// What became of a query.
pub(in crate::server) type QueryOutcome = Result<QueryAnswer, TaskError>;

/// Asks a database. What costs by the bytes that it reads runs once the reader has agreed to so many.
///
/// # Errors
/// When it is no query that reads, or the database refuses it.
pub(in crate::server) async fn ask(
    settings: &Settings,
    database: &Database,
    (sql, agreed): (&str, Option<u64>),
    limits: QueryLimits,
) -> QueryOutcome {
    let began = Instant::now();
    if database.is_bigquery() {
        let bigquery = BigQueryReader::open(settings).await?;
        let bytes = bigquery.estimate(sql).await?;
        return match agreed.is_some_and(|agreed| bytes <= agreed) {
            true => Ok(QueryAnswer::Rows(bigquery.query(sql, bytes, limits).await?, began.elapsed())),
            false => Ok(QueryAnswer::Estimate(bytes)),
        };
    }
    let session = ReadOnly::open(settings, database).await?;
    let result = session.query(sql, limits).await?;
    // What is left of it is not read.
    if !result.has_more {
        session.finish();
    }
    Ok(QueryAnswer::Rows(result, began.elapsed()))
}
