//! Files that the server reads itself: in its own formats, or in another encoding than UTF-8.

use std::pin::pin;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio::io::AsyncReadExt;
use tokio_postgres::{Error, Transaction};

use super::ledger::{self, Counts, Entry, Key};
use super::mode::Mode;
use super::source::Source;
use super::target::Target;
use super::{FileFormat, Load, Loaded};
use crate::postgres::sql::{quote, quote_name};
use crate::postgres::{Watch, explain};
use crate::task::{TaskContext, TaskError};

/// Bytes that are sent at a time.
const CHUNK: usize = 256 * 1024;

impl Load {
    /// Whether the server reads the file.
    pub(super) fn is_plain(&self) -> bool {
        let is_ours = |name: &String| ["UTF8", "UTF-8"].contains(&name.to_uppercase().as_str());
        matches!(self.format, Some(FileFormat::Text | FileFormat::Binary))
            || self.encoding.as_ref().is_some_and(|name| !is_ours(name))
    }

    /// Sends the file as it is.
    pub(super) async fn load_plain(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        watch: &Watch<'_>,
        (target, source, key): (&Target, &Source, &Key),
        began: Instant,
    ) -> Result<Loaded, TaskError> {
        match self.mode {
            Mode::Append => {}
            Mode::Truncate => {
                let sql = format!("TRUNCATE {}", target.sql_name);
                let doing = "emptying the table";
                let emptied = async { transaction.batch_execute(&sql).await.map_err(|error| explain(doing, &error)) };
                watch.over(doing, emptied).await?;
            }
            _ => {
                let error = TaskError::permanent("a file that the server reads itself is added, or replaces the table");
                return Err(error.help("write `mode: append` or `mode: truncate`, or give the file as CSV in UTF-8"));
            }
        }
        let loaded = self.send(transaction, context, watch, target, source).await?;
        let counts = Counts { read: loaded, loaded, rejected: 0, skipped: 0 };
        let seconds = began.elapsed().as_secs_f64();
        let entry = Entry::of(context, source, seconds);
        watch.over("writing to the ledger", ledger::record(transaction, key, &entry, counts)).await?;
        Ok(self.loaded(source, counts, seconds, None))
    }

    async fn send(
        &self,
        transaction: &Transaction<'_>,
        context: &TaskContext,
        watch: &Watch<'_>,
        target: &Target,
        source: &Source,
    ) -> Result<u64, TaskError> {
        let doing = format!("loading into `{}`", self.table);
        let unreadable = |error: std::io::Error| {
            TaskError::permanent(format!("{doing}: cannot read `{}`", source.name)).because(error)
        };
        let mut file = tokio::fs::File::open(&source.path).await.map_err(unreadable)?;
        let sql = format!("COPY {}{} FROM STDIN ({})", target.sql_name, self.column_list(target), self.copy_options());
        let failed = |error: Error| explain(&doing, &error);
        watch.before_copy();
        let begun = async { transaction.copy_in::<_, Bytes>(&sql).await.map_err(failed) };
        let mut sink = pin!(watch.over(&doing, begun).await?);
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if file.read_buf(&mut chunk).await.map_err(unreadable)? == 0 {
                break;
            }
            context.progress.add_bytes(chunk.len() as u64);
            let sent = async { sink.send(chunk.freeze()).await.map_err(failed) };
            watch.unless_refused(&doing, watch.over(&doing, sent)).await?;
        }
        watch.over(&doing, async { sink.finish().await.map_err(failed) }).await
    }

    fn column_list(&self, target: &Target) -> String {
        let Some(columns) = &self.columns else { return String::new() };
        let names = columns.iter().map(|name| quote_name(target.spelling(name)));
        format!(" ({})", names.collect::<Vec<_>>().join(", "))
    }

    fn copy_options(&self) -> String {
        let is_csv = !matches!(self.format, Some(FileFormat::Text | FileFormat::Binary));
        let format = match self.format {
            Some(FileFormat::Text) => "FORMAT text",
            Some(FileFormat::Binary) => "FORMAT binary",
            _ => "FORMAT csv",
        };
        let has_header = self.header.unwrap_or(is_csv);
        let null = Some(&self.null_string).filter(|text| !text.is_empty()).cloned();
        let texts = [
            ("DELIMITER", self.delimiter.map(String::from)),
            ("NULL", null),
            ("QUOTE", Some(self.quote).filter(|_| is_csv).map(String::from)),
            ("ESCAPE", self.escape.filter(|_| is_csv).map(String::from)),
            ("ENCODING", self.encoding.clone()),
        ];
        let texts = texts.into_iter().filter_map(|(key, value)| Some(format!("{key} {}", quote(&value?))));
        let header = has_header.then(|| "HEADER true".to_owned());
        std::iter::once(format.to_owned()).chain(header).chain(texts).collect::<Vec<_>>().join(", ")
    }
}
