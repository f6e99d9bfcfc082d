//! Rows to the server by COPY: all of them in as few statements as can be, or, where bad rows are to be left out, batch
//! by batch, each within a savepoint.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::SinkExt;
use polars::prelude::DataFrame;
use tokio_postgres::{CopyInSink, Error, Transaction};

use super::encode::{HEADER, TRAILER, unwritable};
use super::key::RowKey;
use super::merge::STAGE;
use super::mode;
use super::pipeline::{CopyPipeline, EncodedBatch, KeyRequest, RowFormat, ServerRequest};
use super::prepared::PreparedLoad;
use super::refused::{Complaint, RefusedRows};
use super::savepoint;
use super::spelling::Comparison;
use crate::postgres::{CopyError, WaitMonitor};
use crate::stream::BadRow;
use crate::task::{Level, TaskError};
use crate::tasks::bad_rows::Rejected;
use crate::tasks::polars::expect::RowCounts;
use crate::tasks::postgres::transaction::{CHECKING, IMMEDIATE};
use crate::text::count;

/// The most bytes of one message. The server takes 1 GiB at most, which one row may reach.
const MAX_MESSAGE: usize = 1 << 20;

/// The fewest rows that are worth a COPY of their own after a bad one.
const MIN_PIECE: usize = 256;
/// How many times as long as the one before it a piece is.
const GROWTH: usize = 4;

/// The table in which subtransactions leave their numbers.
pub(super) const PARTS: &str = "CREATE TEMP TABLE jitney_part (mark int) ON COMMIT DROP";

/// The rows of a load on their way to the server.
pub(super) struct Sending<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) watch: &'a WaitMonitor<'a>,
    /// The table that rows are copied to, as SQL names it.
    pub(super) table: &'a str,
    /// The same as the server's messages name it.
    pub(super) relation: &'a str,
    pub(super) prepared: &'a PreparedLoad<'a>,
}

/// The result.
#[derive(Default)]
pub(super) struct Sent {
    /// Rows in the file.
    pub(super) read: u64,
    /// Rows that the server stored.
    pub(super) stored: u64,
    /// Rows that triggers left out, or stored elsewhere.
    pub(super) kept_out: u64,
    /// Rows of a merge that the table had, or that another row of the file stands for.
    pub(super) already_there: u64,
    /// What data-quality rules had to say.
    warnings: Vec<String>,
    /// The numbers of the subtransactions that wrote rows of the table, which those carry as xmin.
    pub(super) parts: Vec<i64>,
}

impl Sent {
    /// Checks how many rows there are without those that were rejected.
    ///
    /// # Errors
    /// When a rule of `expect` wants more or fewer.
    pub(super) fn expect_rows(&mut self, rows: u64, expected: &RowCounts) -> Result<(), TaskError> {
        self.warnings.extend(expected.check(rows)?);
        Ok(())
    }

    /// What the log should hear of, once the load is committed.
    pub(super) fn notes(self, rejected: &Rejected) -> impl Iterator<Item = (Level, String)> {
        let aside = rejected.uri().map(|uri| format!("{} rejected; see {uri}", count(rejected.count(), "bad row")));
        let kept_out = self.kept_out;
        let triggers = (kept_out > 0).then(|| format!("kept out by the table's triggers: {}", count(kept_out, "row")));
        self.warnings.into_iter().chain(aside).chain(triggers).map(|note| (Level::Warn, note))
    }
}

/// A COPY that is in progress.
struct Copying {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    form: RowFormat,
    /// Rows that were sent.
    rows: u64,
}

impl Sending<'_> {
    /// Sends all rows; the server's count must be ours.
    ///
    /// # Errors
    /// What the reader, the rules or the server say, with the place in the file where a row is to blame.
    pub(super) async fn run(&self, pipeline: CopyPipeline, rejected: &mut Rejected) -> Result<Sent, TaskError> {
        let columns = mode::list(&pipeline.encoder.fields);
        let key = pipeline.key.clone();
        let (mut requests, worker) = pipeline.start();
        let sent = Sent::default();
        let mut state = CopyState {
            sending: self,
            columns,
            sent,
            rows: 0,
            copying: None,
            key,
            has_asked: false,
            has_compared: false,
        };
        let mut refused = RefusedRows::default();
        if rejected.remaining().is_some() && self.table != STAGE {
            state.over(self.transaction.batch_execute(PARTS)).await?;
        }
        while let Some(request) = state.unless_rejected(async { Ok(requests.recv().await) }).await? {
            let mut batch = match request {
                ServerRequest::Rows(batch) => batch,
                ServerRequest::Keys(question) => {
                    state.answer(question).await?;
                    continue;
                }
                ServerRequest::Compare(comparison) => {
                    let remaining = rejected.remaining().map(|remaining| remaining.saturating_sub(refused.count()));
                    state.compare(comparison, remaining).await?;
                    continue;
                }
            };
            state.sent.read += batch.read;
            for row in std::mem::take(&mut batch.misplaced) {
                refused.add(row.line, self.prepared.misplaced(row));
            }
            let lacks_text = |row: &mut BadRow| row.lacks_text();
            for BadRow { line, message, hint, .. } in batch.bad.extract_if(.., lacks_text) {
                refused.add(Some(line), Complaint { column: None, message, text: Vec::new(), hint });
            }
            match rejected.remaining() {
                None => {
                    let bad = std::mem::take(&mut batch.bad);
                    state.send(batch).await?;
                    if !bad.is_empty() || refused.count() > 0 {
                        // The server may have something against a row before.
                        state.finish().await?;
                    }
                    rejected.take(&bad)?;
                    if refused.count() > 0 {
                        break;
                    }
                }
                Some(remaining) => {
                    rejected.take(&batch.bad)?;
                    state.send_what_fits(batch, &mut refused).await?;
                    if refused.count() > remaining {
                        break;
                    }
                }
            }
        }
        state.finish().await?;
        self.prepared.take_refused(refused, rejected).await?;
        // Without all parcels, `take_refused` has said why.
        let ended = worker
            .await
            .map_err(|error| TaskError::permanent(self.doing() + " ended unexpectedly").caused_by(error))?;
        Ok(Sent { warnings: ended?, ..state.sent })
    }

    /// Takes back the role that a function may have left, so that what follows has the rights of the session's user.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn restore_role(&self) -> Result<(), TaskError> {
        let Self { transaction, watch, prepared, .. } = self;
        if !prepared.target.nature.calls_functions() {
            return Ok(());
        }
        let set = format!("SET ROLE {}", prepared.session.role);
        savepoint::over(watch, "setting the session's role", transaction.batch_execute(&set)).await
    }

    /// Has deferred constraints checked while the row that breaks one can be looked for.
    ///
    /// # Errors
    /// When one is not kept, with the place in the file where that is known.
    pub(super) async fn check_deferred(&self) -> Result<(), TaskError> {
        let Sending { transaction, watch, relation, prepared, .. } = self;
        watch.before_copy();
        let checked = savepoint::over(watch, CHECKING, transaction.batch_execute(IMMEDIATE)).await;
        let Err(problem) = checked else { return Ok(()) };
        match watch.copy_error().filter(|error| error.blames_row(relation)) {
            Some(refusal) => Err(prepared.locate(&refusal, relation, 0, problem).await),
            None => Err(problem),
        }
    }

    fn doing(&self) -> String {
        format!("loading into `{}`", self.prepared.load.table)
    }
}

/// The state of the sending.
struct CopyState<'a> {
    sending: &'a Sending<'a>,
    columns: String,
    sent: Sent,
    /// Rows of the statements that have ended.
    rows: u64,
    copying: Option<Copying>,
    key: Option<Arc<RowKey>>,
    /// Whether the server was asked for keys before.
    has_asked: bool,
    /// Whether the server was asked to compare values before.
    has_compared: bool,
}

impl CopyState<'_> {
    /// Has the server make keys, between two statements.
    async fn answer(&mut self, question: KeyRequest) -> Result<(), TaskError> {
        let Some(key) = self.key.clone() else { return Ok(()) };
        self.finish().await?;
        let Sending { transaction, watch, .. } = self.sending;
        let keys = key.answer(transaction, watch, &question.rows, !self.has_asked).await?;
        self.has_asked = true;
        // Who asked is gone only if the load has failed, which the end of its thread tells.
        let _ = question.reply.send(keys);
        Ok(())
    }

    /// Has the server compare values with the partition's, between two statements. Where all rows must go in one, it can
    /// be asked before their statement begins.
    async fn compare(&mut self, comparison: Comparison, remaining: Option<u64>) -> Result<(), TaskError> {
        let Sending { transaction, watch, table, prepared, .. } = self.sending;
        let has_begun = self.copying.is_some() || self.rows > 0;
        if has_begun && remaining.is_none() && prepared.target.nature.wants_one_statement && *table != STAGE {
            comparison.deny();
            return Ok(());
        }
        self.finish().await?;
        let is_first = !std::mem::replace(&mut self.has_compared, true);
        let asked = (&prepared.load.mode, prepared.target);
        comparison.answer(transaction, watch, asked, (remaining.unwrap_or_default(), is_first)).await
    }

    /// Sends a batch after the ones before it.
    async fn send(&mut self, batch: EncodedBatch) -> Result<(), TaskError> {
        let rows = batch.frame.height() as u64;
        if rows == 0 {
            return Ok(());
        }
        if self.copying.as_ref().is_some_and(|copying| copying.form != batch.form) {
            self.finish().await?;
        }
        let mut copying = match self.copying.take() {
            Some(copying) => copying,
            None => self.begin(batch.form).await?,
        };
        copying.rows += rows;
        let sink = &mut copying.sink;
        self.unless_rejected(self.over(send_all(sink, batch.bytes))).await?;
        self.copying = Some(copying);
        Ok(())
    }

    /// Ends the statement that is in progress, if there is one.
    async fn finish(&mut self) -> Result<(), TaskError> {
        let Some(copying) = self.copying.take() else { return Ok(()) };
        let rows = copying.rows;
        let stored = match self.end(copying).await {
            Ok(stored) => stored,
            Err(problem) => return Err(self.located(problem).await),
        };
        self.count(rows, stored)
    }

    fn count(&mut self, rows: u64, stored: u64) -> Result<(), TaskError> {
        if stored > rows || stored < rows && !self.sending.prepared.target.nature.may_skip_rows {
            let doing = self.sending.doing();
            return Err(TaskError::permanent(format!("{doing}: {} sent and {stored} arrived", count(rows, "row"))));
        }
        self.rows += rows;
        self.sent.stored += stored;
        self.sent.kept_out += rows - stored;
        Ok(())
    }

    async fn begin(&self, form: RowFormat) -> Result<Copying, TaskError> {
        let Sending { transaction, watch, table, .. } = self.sending;
        let format = if form == RowFormat::Binary { "(FORMAT binary)" } else { "(FORMAT text, ENCODING 'UTF8')" };
        let sql = format!("COPY {table} ({}) FROM STDIN {format}", self.columns);
        watch.before_copy();
        let begun = self.over(async { transaction.copy_in::<_, Bytes>(&sql).await }).await;
        let mut sink = Box::pin(begun.map_err(|problem| self.without_rows(problem))?);
        if form == RowFormat::Binary {
            self.over(async { sink.send(Bytes::from_static(HEADER)).await }).await?;
        }
        Ok(Copying { sink, form, rows: 0 })
    }

    /// What the server has against the statement itself, such as a default that cannot be computed. No row is to blame.
    fn without_rows(&self, problem: TaskError) -> TaskError {
        let Sending { watch, relation, .. } = self.sending;
        let is_of_values = watch.copy_error().is_some_and(|error| error.blames_row(relation));
        watch.before_copy();
        if !is_of_values {
            return problem;
        }
        problem
            .help("no row is to blame, but the table: the default of a column that the file has not cannot be computed")
    }

    async fn end(&self, mut copying: Copying) -> Result<u64, TaskError> {
        if copying.form == RowFormat::Binary {
            self.over(async { copying.sink.send(Bytes::from_static(TRAILER)).await }).await?;
        }
        let stored = self.over(async { copying.sink.as_mut().finish().await }).await?;
        self.sending.restore_role().await?;
        Ok(stored)
    }

    async fn over<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, TaskError> {
        savepoint::over(self.sending.watch, &self.sending.doing(), work).await
    }

    /// Waits for `work` unless the server complains of a row before.
    async fn unless_rejected<T>(&self, work: impl Future<Output = Result<T, TaskError>>) -> Result<T, TaskError> {
        let ended = match self.copying.is_some() {
            true => self.sending.watch.unless_rejected(&self.sending.doing(), work).await,
            false => work.await,
        };
        match ended {
            Err(problem) => Err(self.located(problem).await),
            ended => ended,
        }
    }

    /// The problem with the place in the file, if the server complains of a row.
    async fn located(&self, problem: TaskError) -> TaskError {
        let Sending { watch, relation, prepared, .. } = self.sending;
        match watch.copy_error().filter(|error| error.blames_row(relation)) {
            Some(refusal) => prepared.locate(&refusal, relation, self.rows, problem).await,
            None => CopyError::without_row(relation, problem),
        }
    }

    /// Sends the rows of a batch that the server takes; the others are noted.
    async fn send_what_fits(&mut self, batch: EncodedBatch, refused: &mut RefusedRows) -> Result<(), TaskError> {
        let mut parts: Vec<UnsentRows> = vec![(batch.frame, Some((batch.form, batch.bytes)))];
        while let Some((rows, encoded)) = parts.pop() {
            if rows.height() == 0 {
                continue;
            }
            let Err(refusal) = self.try_rows(&rows, encoded).await? else { continue };
            let Sending { relation, prepared, .. } = self.sending;
            let (bad, after) = match refusal.row(relation).and_then(|row| usize::try_from(row).ok()) {
                // A row before it may be found to be bad at the end of the statement, and it be no duplicate then.
                Some(row) if row > 1 && row <= rows.height() && refusal.may_depend_on_others() => {
                    parts.extend(pieces(&rows, row));
                    parts.push((rows.slice(row as i64 - 1, 1), None));
                    parts.push((rows.slice(0, row - 1), None));
                    continue;
                }
                Some(row) if (1..=rows.height()).contains(&row) => (row - 1, row),
                // Nobody says which one it is: half of them, and half of that.
                _ if rows.height() > 1 => (rows.height() / 2, rows.height() / 2),
                _ => (0, 1),
            };
            if bad < after {
                prepared.note(&refusal, relation, &rows.slice(bad as i64, 1), refused)?;
            }
            parts.extend(pieces(&rows, after));
            parts.push((rows.slice(0, bad), None));
        }
        Ok(())
    }

    /// Sends rows within a savepoint. What the server has against one of them is the inner error, and nothing of them
    /// stays.
    async fn try_rows(
        &mut self,
        rows: &DataFrame,
        encoded: Option<(RowFormat, Bytes)>,
    ) -> Result<Result<(), CopyError>, TaskError> {
        let (form, bytes) = match encoded {
            Some(encoded) => encoded,
            None => (RowFormat::Text, self.sending.prepared.encoder.text(rows).map_err(|error| unwritable(&error))?),
        };
        let Sending { transaction, watch, relation, .. } = self.sending;
        let work = Box::pin(async { Ok((self.copy(form, bytes).await?, self.part().await?)) });
        let blames_row = |refusal: &CopyError| refusal.blames_row(relation);
        let ended = savepoint::within(transaction, watch, (&self.sending.doing(), &blames_row), work).await;
        match ended.map_err(|problem| CopyError::without_row(relation, problem))? {
            Ok((stored, part)) => {
                self.sent.parts.extend(part);
                self.count(rows.height() as u64, stored).map(Ok)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// The number of the subtransaction that is in progress, where rows of the table bear it.
    async fn part(&self) -> Result<Option<i64>, TaskError> {
        let Sending { transaction, watch, table, .. } = self.sending;
        match *table {
            STAGE => Ok(None),
            _ => part(transaction, watch, &self.sending.doing()).await.map(Some),
        }
    }

    async fn copy(&self, form: RowFormat, bytes: Bytes) -> Result<u64, TaskError> {
        let mut copying = self.begin(form).await?;
        let doing = self.sending.doing();
        let sent = self.over(send_all(&mut copying.sink, bytes));
        self.sending.watch.unless_rejected(&doing, sent).await?;
        self.end(copying).await
    }
}

/// Rows that are still to be sent, and how they are encoded if they are.
type UnsentRows = (DataFrame, Option<(RowFormat, Bytes)>);

/// The rows after the first `start`, in pieces, the last one first. Where one row in so many is bad, all that follow must
/// not be sent again for each of them: so the first piece is a few times as long as what was good, and each of the others
/// as the one before it.
fn pieces(rows: &DataFrame, mut start: usize) -> Vec<UnsentRows> {
    let (mut pieces, mut length) = (Vec::new(), start.max(MIN_PIECE / GROWTH));
    while start < rows.height() {
        length = length.saturating_mul(GROWTH).min(rows.height() - start);
        pieces.push((rows.slice(start as i64, length), None));
        start += length;
    }
    pieces.reverse();
    pieces
}

/// The number of the subtransaction that is in progress. Only a row tells it; [`PARTS`] makes the table for it.
///
/// # Errors
/// When the server refuses.
pub(super) async fn part(
    transaction: &Transaction<'_>,
    watch: &WaitMonitor<'_>,
    doing: &str,
) -> Result<i64, TaskError> {
    let marked = "INSERT INTO pg_temp.jitney_part VALUES (1) RETURNING xmin::text::bigint";
    Ok(savepoint::over(watch, doing, transaction.query_one(marked, &[])).await?.get(0))
}

/// Sends the bytes of a COPY in messages that the server takes.
pub(super) async fn send_all(sink: &mut Pin<Box<CopyInSink<Bytes>>>, mut bytes: Bytes) -> Result<(), Error> {
    while !bytes.is_empty() {
        sink.send(bytes.split_to(bytes.len().min(MAX_MESSAGE))).await?;
    }
    Ok(())
}
