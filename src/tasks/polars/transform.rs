//! `polars.transform`

use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

use super::spec::with_steps;
use super::{Transform, TransformPlan};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::storage::StoredFile;
use crate::stream::{self, BadRow, Batch, ColumnType, FileFormat, ReadOptions, Reader};
use crate::task::{FieldConflict, Progress, Task, TaskContext, TaskError};
use crate::tasks::bad_rows::{BadRows, Rejected};
use crate::tasks::csv_fields::reads_csv;
use crate::tasks::file_address::FileAddress;
use crate::tasks::stable_file::StableFile;
use crate::text::count;

reads_csv! { with_steps! {
    /// Reads a file, changes its rows and writes them to another. CSV (compressed or not), Parquet, NDJSON and sheets of Excel come in;
    /// CSV, CSV.gz or Parquet go out. The steps run in this order, whatever the order in YAML: `schema`, `filter`,
    /// `with_columns`, `cast`, `rename`, `select`, `dedupe`, `sql`, `row_id`, `expect`.
    ///
    /// The new file holds the types that steps compute with: `boolean`, `bigint` for whole numbers of all sizes, `double
    /// precision` for `real` too, `date`, `timestamp` and `timestamptz` in microseconds, and text. So a Parquet file gets
    /// texts for decimals, unsigned 64-bit numbers, UUIDs and times of day, which `postgres.load` reads as what they are, and for
    /// lists and structures, which are JSON then. Columns of bytes are texts as of `bytea`: `\\x00ff`. In CSV dates and
    /// times are as Postgres prints them, a `timestamptz` with the offset `+00`. JSON values of an NDJSON file become
    /// texts, and strings lose their quotes: `"1"` and `1` are the same in the new file. To keep JSON as it is, load the
    /// file without a transform before. A file without any content has the columns that `schema` names, and no rows.
    pub struct PolarsTransform {
        /// The file to read: a storage address such as `{{ outputs.extract.uri }}`, or a path from the flow's folder.
        pub from: String,
        /// The file's format: `csv`, `ndjson`, `json`, `parquet` or `excel` (`.xlsx`); by default what its name says.
        #[serde(default)]
        pub format: Option<FileFormat>,
        /// The name of the file to write, which also says its format: `.parquet`, `.csv` or `.csv.gz`. By default the
        /// name of the file that is read, as `.parquet`.
        #[serde(default)]
        pub to: Option<String>,
        /// What to do with rows that do not fit their types: `fail`, or `{reject: {max, file}}`.
        #[serde(default)]
        pub on_bad_row: BadRows,
    }
} }

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TransformOutputs {
    /// The address of the new file.
    pub uri: String,
    /// Rows in the file that was read.
    pub rows_read: u64,
    /// Rows in the new file.
    pub rows_written: u64,
    /// Bad rows that were rejected.
    pub rows_rejected: u64,
    /// The address of the file with the bad rows, if there were any.
    pub rejected_uri: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// The size of the new file in bytes.
    pub bytes: u64,
}

impl Task for PolarsTransform {
    const NAME: &'static str = "polars.transform";
    const FILES: &'static [&'static str] = &["from"];
    const EXAMPLE: &'static str = "\
- id: clean
  type: polars.transform
  from: \"{{ outputs.extract.uri }}\"
  to: trips.parquet
  schema: {VendorID: int, lpep_pickup_datetime: timestamp, tip_amount: float, total_amount: float}
  filter: total_amount > 0
  with_columns: {tip_share: tip_amount / total_amount}
  row_id: {columns: [VendorID, lpep_pickup_datetime, total_amount]}
  expect:
    - not_null: [lpep_pickup_datetime]
    - row_count: {min: 1}";
    type Outputs = TransformOutputs;

    fn conflicts(&self) -> Vec<FieldConflict> {
        let format = self.format.unwrap_or_else(|| FileFormat::of(&self.from));
        let mut conflicts = self.csv().conflicts(format, if self.format.is_some() { "format" } else { "from" });
        conflicts.extend(self.to.as_deref().and_then(unwritable));
        if format == FileFormat::Csv {
            let kinds: Vec<ColumnType> = self.schema.0.iter().map(|(_, kind)| (*kind).into()).collect();
            conflicts.extend(self.csv().without_columns(&kinds));
        }
        conflicts
    }

    async fn run(&self, context: &TaskContext) -> Result<TransformOutputs, TaskError> {
        let input = context.input_file("from", &self.from)?;
        let job = TransformJob {
            options: self.csv().options(display_name(&input), self.format)?,
            steps: self.steps(),
            output: context.output_file(&self.output_name(&input))?,
            rejected: Rejected::start(&self.on_bad_row, &display_name(&input), context)?,
            bare: Vec::new(),
            progress: context.progress.clone(),
            cancel: context.cancel.clone(),
            input: StableFile::of(context, &input).await?,
        };
        context.note_origin(&job.output.path, &FileAddress::of(context, &input).whole)?;
        let work = tokio::task::spawn_blocking(|| job.work());
        let (written, warnings) =
            work.await.map_err(|error| TaskError::permanent("the transform ended unexpectedly").caused_by(error))??;
        warnings.iter().for_each(|warning| context.warn(warning));
        if let Some(uri) = &written.rejected_uri {
            context.warn(format!("{} rejected; see {uri}", count(written.rows_rejected, "bad row")));
        }
        Ok(written)
    }
}

impl PolarsTransform {
    fn output_name(&self, input: &Path) -> String {
        let name = display_name(input);
        let stem = name.split('.').next().unwrap_or(&name);
        self.to.clone().unwrap_or_else(|| format!("{stem}.parquet"))
    }
}

/// What is wrong with the name of a file to write, if it promises what is not written, or says no format.
fn unwritable(to: &str) -> Option<FieldConflict> {
    let name = to.to_ascii_lowercase();
    let is_known = [".parquet", ".pq", ".csv", ".csv.gz"].iter().any(|ending| name.ends_with(ending));
    (!is_known).then(|| {
        FieldConflict::between(["to"], format!("`{to}` cannot be written: name a file `.parquet`, `.csv` or `.csv.gz`"))
    })
}

fn display_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Bytes are written as Postgres writes `bytea`, since no text holds all of them.
fn bytes(reader: &Reader, name: &str) -> Option<ColumnType> {
    reader.is_of_bytes(name).then_some(ColumnType::Other)
}

/// What the blocking thread needs of the task and its context.
struct TransformJob {
    input: StableFile,
    options: ReadOptions,
    steps: Transform,
    output: StoredFile,
    rejected: Rejected,
    /// Bad rows whose text is still to be read from the file.
    bare: Vec<BadRow>,
    progress: Arc<Progress>,
    cancel: CancellationToken,
}

impl TransformJob {
    fn work(mut self) -> Result<(TransformOutputs, Vec<String>), TaskError> {
        let started = Instant::now();
        let mut reader = Reader::open(&self.input.path, &self.options, self.progress.clone())?;
        reader.assume_columns(self.steps.schema.0.iter().map(|(name, _)| name.clone()));
        let plan = self.steps.plan(reader.columns(), &|name| bytes(&reader, name));
        let plan = plan.map_err(|error| match reader.is_empty() {
            true => error.help("the file is empty, so only `schema` names its columns"),
            false => reader.of_columns(error),
        })?;
        let rounded = reader.rounded();
        let (rows_read, rows_written) = self.copy(reader, &plan)?;
        let bytes = std::fs::metadata(&self.output.path).map_or(0, |file| file.len());
        let written = TransformOutputs {
            uri: self.output.uri,
            rows_read,
            rows_written,
            rows_rejected: self.rejected.count(),
            rejected_uri: self.rejected.uri().map(str::to_owned),
            seconds: started.elapsed().as_secs_f64(),
            bytes,
        };
        Ok((written, plan.warnings().into_iter().chain(rounded()).collect()))
    }

    /// Takes bad rows. The file is read again for the text of those that a step refused, at the end or once there are
    /// too many.
    fn take(&mut self, bad: Vec<BadRow>) -> stream::Result<()> {
        let (bare, bad): (Vec<_>, Vec<_>) = bad.into_iter().partition(BadRow::lacks_text);
        self.rejected.take(&bad)?;
        self.bare.extend(bare);
        let remaining = self.rejected.remaining().unwrap_or(0);
        if self.bare.len() as u64 > remaining { self.take_by_line() } else { Ok(()) }
    }

    fn take_by_line(&mut self) -> stream::Result<()> {
        let rows: Vec<_> = self.bare.drain(..).map(|row| (row, None)).collect();
        self.rejected.take_by_line(&rows, (&self.input.path, &self.options))?;
        self.rejected.sort()
    }

    /// Sends the rows through the plan into the new file; how many were read and written.
    fn copy(&mut self, reader: Reader, plan: &TransformPlan) -> Result<(u64, u64), TaskError> {
        let path = self.output.path.clone();
        let folder = path.with_extension("work");
        let batches = plan.run(reader.batches(plan.wanted()), &folder, clock::now());
        let mut rows_read = 0;
        let good = batches.map(|batch| {
            let Batch { frame, rows_read: rows, bad } = batch?;
            if self.cancel.is_cancelled() {
                return Err(Box::new(Diagnostic::error("stopped")));
            }
            self.take(bad)?;
            rows_read += rows;
            self.progress.add_rows(rows);
            Ok(Batch { frame, rows_read: rows, bad: Vec::new() })
        });
        let mut written = stream::write(&path, good);
        if written.is_ok() {
            written = self.take_by_line().and(written);
        }
        // Only there when a step needed it, and empty by now.
        let _ = std::fs::remove_dir(&folder);
        match written {
            Ok(rows_written) => Ok((rows_read, rows_written)),
            Err(_) if self.cancel.is_cancelled() => Err(TaskError::cancelled("stopped; no file was written")),
            Err(error) => Err(error.into()),
        }
    }
}
