//! Values of the partition's column that are written in another way than the partition's own: `20200201` is 2020-02-01 in
//! a date, and `A` is `a` in citext. Only the server knows, so it is asked, once for each spelling.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use bytes::Bytes;
use polars::prelude::{PolarsError, PolarsResult};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Transaction;

use super::key::copy;
use super::mode::Mode;
use super::pipeline::ServerRequest;
use super::savepoint;
use crate::postgres::WaitMonitor;
use crate::postgres::name::quote_name;
use crate::postgres::sql::quote;
use crate::task::TaskError;
use crate::tasks::postgres::ledger;
use crate::tasks::postgres::target::Target;

/// The table in which the server reads the values, as its messages name it.
const TABLE: &str = "jitney_partition";
/// What is being done, in messages.
const DOING: &str = "comparing the file's values with the partition's";
/// Spellings that are remembered.
const MAX_KNOWN: usize = 10_000;

/// Values that the server is to compare with the partition's.
pub(super) struct Comparison {
    /// The values, each once, as COPY takes them.
    values: Vec<String>,
    /// Takes for each of them whether it is the same.
    reply: oneshot::Sender<Vec<bool>>,
}

/// The spellings of a file, and what the server has said of them.
pub(super) struct Spellings {
    known: HashMap<String, bool>,
    requests: mpsc::Sender<ServerRequest>,
}

impl Spellings {
    /// `requests` leads to the server.
    pub(super) fn new(requests: mpsc::Sender<ServerRequest>) -> Self {
        Self { known: HashMap::new(), requests }
    }

    /// Those of the values, by row, that are not the partition's.
    ///
    /// # Errors
    /// When the load has been stopped.
    pub(super) fn others(&mut self, mut found: Vec<(usize, String)>) -> PolarsResult<Vec<(usize, String)>> {
        if self.known.len() > MAX_KNOWN {
            self.known.clear();
        }
        let mut seen = HashSet::new();
        let values = found.iter().map(|(_, value)| value).filter(|value| !self.known.contains_key(*value));
        let values: Vec<String> = values.filter(|value| seen.insert(*value)).cloned().collect();
        if !values.is_empty() {
            let are_same = self.ask(values.clone())?;
            self.known.extend(values.into_iter().zip(are_same));
        }
        found.retain(|(_, value)| self.known.get(value) != Some(&true));
        Ok(found)
    }

    fn ask(&self, values: Vec<String>) -> PolarsResult<Vec<bool>> {
        let stopped = || PolarsError::ComputeError("the load was stopped".into());
        let (reply, answer) = oneshot::channel();
        self.requests.blocking_send(ServerRequest::Compare(Comparison { values, reply })).map_err(|_| stopped())?;
        answer.blocking_recv().map_err(|_| stopped())
    }
}

impl Comparison {
    /// Answers without the server: none is the same.
    pub(super) fn deny(self) {
        let none = vec![false; self.values.len()];
        // Who asked is gone only if the load has failed, which the end of its thread tells.
        let _ = self.reply.send(none);
    }

    /// Has the server compare. Once more than `remaining` values cannot be read at all, the rest is taken for different: the
    /// load fails with those.
    ///
    /// # Errors
    /// When the server fails.
    pub(super) async fn answer(
        self,
        transaction: &Transaction<'_>,
        watch: &WaitMonitor<'_>,
        (mode, target): (&Mode, &Target),
        (remaining, is_first): (u64, bool),
    ) -> Result<(), TaskError> {
        let Some((column, value)) = mode.partition()? else {
            self.deny();
            return Ok(());
        };
        if is_first {
            let what = "comparing a column of the file with `replace_partition`";
            watch.over(DOING, ledger::check_temporary(transaction, what)).await?;
            let (column, from) = (quote_name(target.own_name(column)?), &target.table.sql_name);
            let rows = format!("SELECT 0::bigint AS n, {column} AS v FROM {from} WITH NO DATA");
            let sql = format!("CREATE TEMP TABLE {TABLE} ON COMMIT DROP AS {rows}");
            savepoint::over(watch, DOING, transaction.batch_execute(&sql)).await?;
        }
        let mut parts = vec![(0, self.values.len())];
        let mut unreadable = 0;
        while let Some((start, count)) = parts.pop().filter(|_| unreadable <= remaining) {
            if self.try_values(transaction, watch, (start, count)).await? {
                continue;
            }
            let half = count / 2;
            match half {
                0 => unreadable += 1,
                half => parts.extend([(start + half, count - half), (start, half)]),
            }
        }
        let sql = format!("SELECT n FROM pg_temp.{TABLE} WHERE v = {}", quote(&value));
        let mut same = vec![false; self.values.len()];
        for row in savepoint::over(watch, DOING, transaction.query(&sql, &[])).await? {
            let place = usize::try_from(row.get::<_, i64>(0)).ok();
            place.and_then(|place| same.get_mut(place)).into_iter().for_each(|same| *same = true);
        }
        let empty = format!("TRUNCATE pg_temp.{TABLE}");
        savepoint::over(watch, DOING, transaction.batch_execute(&empty)).await?;
        let _ = self.reply.send(same);
        Ok(())
    }

    /// Copies some of the values; `false`, and none of them is there, when the server cannot read one.
    async fn try_values(
        &self,
        transaction: &Transaction<'_>,
        watch: &WaitMonitor<'_>,
        (start, count): (usize, usize),
    ) -> Result<bool, TaskError> {
        let text =
            self.values.iter().enumerate().skip(start).take(count).fold(String::new(), |mut text, (n, value)| {
                let _ = writeln!(text, "{n}\t{value}");
                text
            });
        let work = async {
            watch.before_copy();
            savepoint::over(watch, DOING, copy(transaction, TABLE, Bytes::from(text))).await
        };
        let tried = savepoint::within(transaction, watch, (DOING, &|error| error.blames_row(TABLE)), work);
        Ok(tried.await?.is_ok())
    }
}
