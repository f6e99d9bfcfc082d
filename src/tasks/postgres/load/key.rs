//! The keys of a `row_id` that is loaded: the MD5 of the columns' texts as the table stores them. This program makes them
//! where its text of every value of a batch is certainly the server's; else the server makes the batch's keys, from rows
//! in a temporary table whose columns have the types of the target's.

use std::sync::Arc;

use bytes::Bytes;
use polars::prelude::{
    Column, DataFrame, IntoColumn, NewChunkedArray, PolarsError, PolarsResult, StringChunked, StringChunkedBuilder,
};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Error, Transaction};

use super::encode::Encoder;
use super::pipeline::{KeyRequest, ServerRequest};
use super::savepoint;
use super::send::send_all;
use super::stored::{SessionSettings, StoredValues};
use crate::postgres::WaitMonitor;
use crate::stream::ColumnType;
use crate::task::TaskError;
use crate::tasks::polars::plan::KeyMaker;
use crate::tasks::polars::row_id::{RowId, digest};
use crate::tasks::polars::text_column::TextColumn;
use crate::tasks::postgres::kind::Kind;
use crate::tasks::postgres::table::TableField;
use crate::tasks::postgres::target::Target;

/// The table in which the server sees the rows of a question.
const TABLE: &str = "jitney_key";

/// What is being done, for messages.
const DOING: &str = "making the keys of `row_id`";

/// What a load's keys are made from.
pub(super) struct RowKey {
    parts: Vec<Part>,
    name: String,
    session: SessionSettings,
    /// Whether the rows of the load must go in one statement, with no question in between.
    is_one_statement: bool,
}

/// A column of the key.
struct Part {
    name: String,
    kind: ColumnType,
    /// The column of the table that stores it, if one does.
    field: Option<TableField>,
}

impl RowKey {
    /// The key of `row_id` for rows on their way into a table; `constant` is the column to which the load's mode gives
    /// its value.
    ///
    /// # Errors
    /// When the table does not store what the key would be made from.
    pub(super) fn of(
        row_id: &RowId,
        target: &Target,
        constant: Option<&str>,
        (session, is_one_statement): (SessionSettings, bool),
    ) -> Result<Self, TaskError> {
        let part =
            |(name, kind): &(String, ColumnType)| Part { name: name.clone(), kind: *kind, field: target.stored(name) };
        let parts: Vec<Part> = row_id.columns.iter().map(part).collect();
        let constant = constant.and_then(|name| target.stored(name));
        let is_constant = |part: &&Part| constant.is_some() && part.field == constant;
        if let Some(part) = parts.iter().find(is_constant) {
            let message =
                format!("`row_id`: the file's `{}` is not stored, since `mode` gives the column its value", part.name);
            return Err(TaskError::permanent(message).help("leave the column out of `row_id`"));
        }
        Ok(Self { parts, name: row_id.name.clone(), session, is_one_statement })
    }

    /// What makes the keys of batches. `requests` leads to the server.
    pub(super) fn maker(self: Arc<Self>, requests: mpsc::Sender<ServerRequest>) -> KeyMaker {
        Box::new(move |frame| match self.own(frame)? {
            Some(keys) => Ok(keys),
            None => self.asked(frame, &requests),
        })
    }

    /// The keys as this program makes them; none when it may not be certain of a value's text.
    fn own(&self, frame: &DataFrame) -> PolarsResult<Option<Column>> {
        if !self.session.is_utf8 {
            return Ok(None);
        }
        let cells: Vec<StoredValues> =
            self.parts.iter().map(|part| self.cells(part, frame)).collect::<PolarsResult<_>>()?;
        let mut keys = StringChunkedBuilder::new(self.name.as_str().into(), frame.height());
        let mut text = Vec::with_capacity(256);
        for row in 0..frame.height() {
            text.clear();
            if !cells.iter().all(|cells| cells.push(row, &self.session, &mut text)) {
                return Ok(None);
            }
            digest(&text, |key| keys.append_value(key));
        }
        Ok(Some(keys.finish().into_column()))
    }

    fn cells<'a>(&'a self, part: &'a Part, frame: &'a DataFrame) -> PolarsResult<StoredValues<'a>> {
        let Some(field) = &part.field else {
            return TextColumn::of(frame, &part.name, part.kind).map(StoredValues::Own);
        };
        // A text that no step looks at may have been read as what its column holds.
        let kind = if part.kind == ColumnType::Text { field.kind.column_type() } else { part.kind };
        StoredValues::of((frame, &part.name), kind, field, &self.session)
    }

    /// The keys as the server makes them.
    fn asked(&self, frame: &DataFrame, requests: &mpsc::Sender<ServerRequest>) -> PolarsResult<Column> {
        let stopped = || PolarsError::ComputeError("the load was stopped".into());
        let (reply, answer) = oneshot::channel();
        let question = KeyRequest { rows: self.question(frame)?, reply };
        requests.blocking_send(ServerRequest::Keys(question)).map_err(|_| stopped())?;
        let keys = answer.blocking_recv().map_err(|_| stopped())?;
        Ok(StringChunked::from_iter_options(self.name.as_str().into(), keys.into_iter()).into_column())
    }

    /// Numbered rows with the columns of the key as they are, or as texts where no column of the table stores them.
    fn question(&self, frame: &DataFrame) -> PolarsResult<DataFrame> {
        let numbers: Vec<i64> = (0..frame.height() as i64).collect();
        let mut columns = vec![Column::new("n".into(), numbers)];
        for (index, part) in self.parts.iter().enumerate() {
            let column = match &part.field {
                Some(_) => frame.column(&part.name)?.clone(),
                None => texts(frame, part)?,
            };
            columns.push(column.with_name(column_name(index).into()));
        }
        DataFrame::new(frame.height(), columns)
    }

    /// Has the server make the keys of a question's rows. A row that the server cannot read has none: the table will not
    /// take it either.
    ///
    /// # Errors
    /// When the load's rows must go in one statement, or the server fails.
    pub(super) async fn answer(
        &self,
        transaction: &Transaction<'_>,
        watch: &WaitMonitor<'_>,
        rows: &DataFrame,
        is_first: bool,
    ) -> Result<Vec<Option<String>>, TaskError> {
        if self.is_one_statement {
            return Err(self.not_possible());
        }
        if is_first {
            let columns = self.parts.iter().enumerate().map(|(index, part)| {
                let kind = part.field.as_ref().map_or("text", |field| &field.sql_type);
                format!(", {} {kind}", column_name(index))
            });
            let columns: String = columns.collect();
            let sql = format!("CREATE TEMP TABLE {TABLE} (n bigint{columns}) ON COMMIT DROP");
            over(watch, transaction.batch_execute(&sql)).await?;
        }
        let mut slices = vec![(0, rows.height())];
        while let Some((start, count)) = slices.pop() {
            if count > 0 && !self.try_rows(transaction, watch, &rows.slice(start as i64, count)).await? && count > 1 {
                let half = count / 2;
                slices.extend([(start, half), (start + half, count - half)]);
            }
        }
        let texts = (0..self.parts.len()).map(|index| format!("coalesce(CAST({} AS text), '')", column_name(index)));
        let texts = texts.collect::<Vec<_>>().join(" || ");
        let sql = format!("SELECT n, pg_catalog.md5({texts}) FROM pg_temp.{TABLE}");
        let mut keys = vec![None; rows.height()];
        for row in over(watch, transaction.query(&sql, &[])).await? {
            if let Some(key) = usize::try_from(row.get::<_, i64>(0)).ok().and_then(|row| keys.get_mut(row)) {
                *key = row.get(1);
            }
        }
        over(watch, transaction.batch_execute(&format!("TRUNCATE pg_temp.{TABLE}"))).await?;
        Ok(keys)
    }

    /// Copies rows to the table of questions; `false`, and none of them is there, when the server cannot read one.
    async fn try_rows(
        &self,
        transaction: &Transaction<'_>,
        watch: &WaitMonitor<'_>,
        rows: &DataFrame,
    ) -> Result<bool, TaskError> {
        let text = self.text(rows)?;
        let work = async {
            watch.before_copy();
            over(watch, copy(transaction, TABLE, text)).await
        };
        Ok(savepoint::within(transaction, watch, (DOING, &|error| error.blames_row(TABLE)), work).await?.is_ok())
    }

    fn text(&self, rows: &DataFrame) -> Result<Bytes, TaskError> {
        let fields = std::iter::once(Kind::Int8)
            .chain(self.parts.iter().map(|part| part.field.as_ref().map_or(Kind::Text, |field| field.kind)));
        let used: Vec<String> = rows.get_column_names().iter().map(ToString::to_string).collect();
        let fields = used.iter().zip(fields).map(|(name, kind)| TableField::unstored(name, kind)).collect();
        let encoder = Encoder { fields, used, constant: None, is_utc: false };
        encoder.text(rows).map_err(|error| {
            TaskError::permanent("a column of `row_id` cannot be converted for the table").caused_by(error)
        })
    }

    fn not_possible(&self) -> TaskError {
        let names: Vec<&str> = self.parts.iter().map(|part| part.name.as_str()).collect();
        let message = format!(
            "`row_id`: only the server can print some value of `{}` as the table stores it, and this table takes its rows \
             in one statement, since it refers to itself, or has a trigger or a deferred constraint that may look at more \
             than a row",
            names.join("`, `")
        );
        TaskError::permanent(message)
            .help("leave columns of such types out of `row_id`, or compute the key in SQL after the load")
    }
}

fn texts(frame: &DataFrame, part: &Part) -> PolarsResult<Column> {
    let values = TextColumn::of(frame, &part.name, part.kind)?;
    let text = |row| {
        let mut out = Vec::new();
        values.push(row, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
    };
    let all: Vec<Option<String>> = (0..frame.height()).map(text).collect();
    Ok(Column::new(part.name.as_str().into(), all))
}

fn column_name(index: usize) -> String {
    format!("k{index}")
}

/// Copies rows to a temporary table.
pub(super) async fn copy(transaction: &Transaction<'_>, table: &str, text: Bytes) -> Result<u64, Error> {
    let sql = format!("COPY pg_temp.{table} FROM STDIN (FORMAT text, ENCODING 'UTF8')");
    let mut sink = Box::pin(transaction.copy_in::<_, Bytes>(&sql).await?);
    send_all(&mut sink, text).await?;
    sink.as_mut().finish().await
}

async fn over<T>(watch: &WaitMonitor<'_>, work: impl Future<Output = Result<T, Error>>) -> Result<T, TaskError> {
    savepoint::over(watch, DOING, work).await
}
