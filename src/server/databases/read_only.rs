//! A session that changes nothing: one transaction, read only, within limits of time, rows and bytes. It is cancelled when nobody
//! waits for it any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{Kind, Type};

use super::{Database, DatabaseTarget};
use crate::config::Settings;
use crate::postgres::{PostgresSession, connect, connect_to, explain};
use crate::task::TaskError;
use crate::text::size;

/// How long connecting may take, the start of the private server included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// What the transaction is bounded by. A query waits for no lock for long, and holds none that keeps loads waiting.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '60s'; SET LOCAL datestyle = 'ISO'";
/// The words that a query may begin with. Others change something, or do things outside the database, such as COPY.
const SELECTS: [&str; 4] = ["select", "with", "values", "table"];
const REPORTS: [&str; 2] = ["explain", "show"];

/// How much of a result is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct QueryLimits {
    /// The most rows.
    pub(in crate::server) rows: usize,
    /// The most bytes of all values.
    pub(in crate::server) bytes: usize,
    /// The most letters of a value.
    pub(in crate::server) value: usize,
}

/// A column of a result.
#[derive(Clone, Debug)]
pub(in crate::server) struct ResultColumn {
    pub(in crate::server) name: String,
    pub(in crate::server) kind: String,
    pub(in crate::server) is_number: bool,
}

/// The rows of a query as the server prints them.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct QueryResult {
    pub(in crate::server) columns: Vec<ResultColumn>,
    pub(in crate::server) rows: Vec<Vec<Option<String>>>,
    /// Whether there are more rows than the limits allow.
    pub(in crate::server) has_more: bool,
}

/// The session. Dropped before it is finished, it has the server stop what runs.
pub(in crate::server) struct ReadOnly {
    session: Arc<PostgresSession>,
    is_finished: bool,
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if !self.is_finished {
            let session = self.session.clone();
            tokio::spawn(async move { session.interrupt().await });
        }
    }
}

impl ReadOnly {
    /// Connects, and begins the transaction.
    ///
    /// # Errors
    /// When the server cannot be reached in time, or refuses.
    pub(in crate::server) async fn open(settings: &Settings, database: &Database) -> Result<Self, TaskError> {
        let connecting = async {
            match &database.target {
                DatabaseTarget::Postgres(address) => connect_to(address).await,
                DatabaseTarget::Private => connect(settings, None).await,
                DatabaseTarget::BigQuery => Err(TaskError::permanent(
                    "BigQuery keeps the ledger in the dataset of each table",
                )
                .help("ask for it under Query: SELECT * FROM dataset.jitney_loads ORDER BY loaded_at DESC LIMIT 100")),
            }
        };
        let late = || TaskError::transient(format!("{} does not answer", database.name));
        let session = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| late())??;
        let mut opened = Self { session: Arc::new(session), is_finished: true };
        let begun = opened.session.client.batch_execute(BEGIN).await;
        begun.map_err(|error| explain("beginning to read", &error))?;
        opened.is_finished = false;
        Ok(opened)
    }

    pub(super) fn client(&self) -> &tokio_postgres::Client {
        &self.session.client
    }

    /// Ends the session; nothing is cancelled then.
    pub(in crate::server) fn finish(mut self) {
        self.is_finished = true;
    }

    /// The rows of a query of the reader's own.
    ///
    /// # Errors
    /// When it is not one statement that reads, or the server refuses it.
    pub(in crate::server) async fn query(&self, sql: &str, limits: QueryLimits) -> Result<QueryResult, TaskError> {
        let sql = sql.trim().trim_end_matches(';').trim_end();
        let word = first_word(sql);
        if !SELECTS.contains(&word.as_str()) && !REPORTS.contains(&word.as_str()) {
            return Err(TaskError::permanent("only queries run here: SELECT, WITH, VALUES, TABLE, EXPLAIN and SHOW")
                .help("what changes tables belongs into a flow, as a task of type postgres.query"));
        }
        // Several statements cannot be prepared, so that what is prepared is one.
        let prepared = self.client().prepare(sql).await.map_err(|error| explain("the query", &error))?;
        if REPORTS.contains(&word.as_str()) {
            return self.read(sql, Vec::new(), limits).await;
        }
        let columns: Vec<ResultColumn> = prepared.columns().iter().map(column).collect();
        if columns.is_empty() {
            return Err(TaskError::permanent("the query returns no columns"));
        }
        let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
        let values: Vec<String> = names.iter().map(|name| format!("left(q.{name}::text, {})", limits.value)).collect();
        let cursor = format!(
            "DECLARE jitney_page NO SCROLL CURSOR FOR SELECT {} FROM (\n{sql}\n) AS q({})",
            values.join(", "),
            names.join(", ")
        );
        self.client().batch_execute(&cursor).await.map_err(|error| explain("the query", &error))?;
        self.read(&format!("FETCH FORWARD {} FROM jitney_page", limits.rows + 1), columns, limits).await
    }

    /// The rows of a statement that is known to read, at most as many as the limits allow.
    async fn read(&self, sql: &str, columns: Vec<ResultColumn>, limits: QueryLimits) -> Result<QueryResult, TaskError> {
        let failed = |error| explain("the query", &error);
        let mut messages = Box::pin(self.client().simple_query_raw(sql).await.map_err(failed)?);
        let mut result = QueryResult { columns, ..QueryResult::default() };
        let mut bytes = 0;
        while let Some(message) = messages.try_next().await.map_err(failed)? {
            match message {
                SimpleQueryMessage::RowDescription(named) if result.columns.is_empty() => {
                    let plain = |column: &tokio_postgres::SimpleColumn| ResultColumn {
                        name: column.name().to_owned(),
                        kind: "text".to_owned(),
                        is_number: false,
                    };
                    result.columns = named.iter().map(plain).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    let values: Vec<Option<String>> =
                        (0..row.len()).map(|index| row.try_get(index).ok().flatten().map(str::to_owned)).collect();
                    bytes += values.iter().flatten().map(String::len).sum::<usize>();
                    if result.rows.len() == limits.rows || bytes > limits.bytes {
                        result.has_more = true;
                        return Ok(result);
                    }
                    result.rows.push(values);
                }
                _ => {}
            }
        }
        Ok(result)
    }
}

impl QueryLimits {
    /// What the limits are, in words.
    pub(in crate::server) fn in_words(&self) -> String {
        format!("{} rows, {}", crate::text::thousands(self.rows as u64), size(self.bytes as u64))
    }
}

fn column(column: &tokio_postgres::Column) -> ResultColumn {
    let base = match column.type_().kind() {
        Kind::Domain(base) => base,
        _ => column.type_(),
    };
    let numbers = [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC];
    ResultColumn {
        name: column.name().to_owned(),
        kind: column.type_().name().to_owned(),
        is_number: numbers.contains(base),
    }
}

/// The first word of a statement in lower case, after comments and parentheses.
pub(super) fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
    loop {
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n').map_or("", |(_, after)| after),
            (None, Some(comment)) => comment.split_once("*/").map_or("", |(_, after)| after),
            (None, None) => break,
        };
        rest = after.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
    }
    rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_found_behind_comments() {
        for (sql, word) in [
            ("SELECT 1", "select"),
            (" -- note\n (/* a */ With x AS (SELECT 1) TABLE x)", "with"),
            ("copy t to program 'x'", "copy"),
            ("-- nothing", ""),
        ] {
            assert_eq!(first_word(sql), word, "{sql}");
        }
    }
}
