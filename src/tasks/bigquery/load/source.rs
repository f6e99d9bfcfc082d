//! What a load reads: identified by its content, and counted where the file is local.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use sha2::{Digest, Sha256};

use super::super::client::BigQueryClient;
use super::super::schema;
use super::super::upload::LocalFile;
use super::objects::{Object, Objects};
use super::{BigQueryLoad, LoadFormat};
use crate::diagnostic::{Diagnostic, nearest};
use crate::stream::{self, ReadOptions, Reader};
use crate::task::{Progress, TaskError};
use crate::tasks::file_address::FileAddress;
use crate::tasks::stable_file::StableFile;
use crate::text::hex;

/// What a load reads.
pub(super) struct LoadSource {
    /// What it is called in messages and in the ledger.
    pub(super) name: String,
    /// What tells it from others of the same name: the addresses of objects, the path of a file.
    pub(super) address: FileAddress,
    /// SHA-256 of the file; of objects alone, of their names, sizes and checksums.
    pub(super) sha256: String,
    pub(super) bytes: u64,
    /// The columns, in the file's order, where the file tells them.
    pub(super) columns: Option<Vec<String>>,
    /// The rows, where the file is local.
    pub(super) rows: Option<u64>,
}

struct FileChecksums {
    bytes: u64,
    sha256: String,
    /// As Cloud Storage writes it.
    crc32c: String,
}

impl LoadSource {
    /// Looks at a file of this machine that is to be sent.
    ///
    /// # Errors
    /// When it cannot be read, or does not fit the schema.
    pub(super) async fn of_file(
        load: &BigQueryLoad,
        bigquery: &BigQueryClient<'_>,
        file: &LocalFile,
        expected: &[TableFieldSchema],
    ) -> Result<Self, TaskError> {
        let sums = sums(&file.path).await?;
        Self::of_sums(load, bigquery, &file.path, sums, expected).await
    }

    /// Looks at objects, and at the file that they were made from if it is local.
    ///
    /// # Errors
    /// When there are none, or they are not what the file or the schema says.
    pub(super) async fn of_objects(
        load: &BigQueryLoad,
        bigquery: &BigQueryClient<'_>,
        uris: &[String],
        expected: &[TableFieldSchema],
    ) -> Result<Self, TaskError> {
        let storage = Objects::open(bigquery, &load.login()).await?;
        let mut all = Vec::new();
        for uri in uris {
            all.extend(storage.find(uri).await?.into_iter().map(|object| (uri, object)));
        }
        if let Some(file) = &load.file {
            let path = bigquery.context.input_file("file", file)?;
            let sums = sums(&path).await?;
            is_same(&all, file, &sums)?;
            let source = Self::of_sums(load, bigquery, &path, sums, expected).await?;
            return Ok(Self { address: FileAddress::plain(uris.join(" ")), ..source });
        }
        let lines = all.iter().map(|(_, object)| format!("{} {} {}\n", object.name, object.size, object.crc32c));
        let sha256 = hex(&Sha256::digest(lines.collect::<String>()));
        let bytes = all.iter().filter_map(|(_, object)| object.size.parse::<u64>().ok()).sum();
        let name = uris.join(" ");
        let mut source =
            Self { address: FileAddress::plain(name.clone()), name, sha256, bytes, columns: None, rows: None };
        if load.format() == LoadFormat::Csv
            && load.skipped_rows() == 1
            && let Some((uri, first)) = all.first()
        {
            let columns = load.split(&storage.first_line(uri, first, load.csv_options.encoding.as_ref()).await?);
            fits(&columns, expected, &format!("gs://…/{}", first.name))?;
            source.columns = Some(columns);
        }
        Ok(source)
    }

    async fn of_sums(
        load: &BigQueryLoad,
        bigquery: &BigQueryClient<'_>,
        path: &Path,
        sums: FileChecksums,
        expected: &[TableFieldSchema],
    ) -> Result<Self, TaskError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let FileChecksums { bytes, sha256, .. } = sums;
        let address = FileAddress::of(bigquery.context, path);
        let mut source = Self { name: name.clone(), address, sha256, bytes, columns: None, rows: None };
        let Some(options) = load.reading(&name)? else { return Ok(source) };
        let (file, expected) = (StableFile::of(bigquery.context, path).await?, expected.to_vec());
        let tolerant = load.max_bad_records > 0;
        let (progress, bare) = (bigquery.context.progress.clone(), load.skipped_rows() == 0);
        let counted =
            tokio::task::spawn_blocking(move || count(&file.path, &name, options, &expected, tolerant, bare, progress));
        let counted = counted.await.map_err(|error| TaskError::permanent("counting rows failed").caused_by(error))?;
        let (columns, rows) = counted?;
        source.rows = Some(rows);
        source.columns = columns;
        Ok(source)
    }
}

/// Whether the one object there is holds just this file.
fn is_same(all: &[(&String, Object)], file: &str, sums: &FileChecksums) -> Result<(), TaskError> {
    let [(uri, object)] = all else {
        return Err(TaskError::permanent(format!("`file: {file}` cannot be compared with {} objects", all.len()))
            .help("remove `file`, or load one object at a time"));
    };
    let same = object.size == sums.bytes.to_string() && (object.crc32c.is_empty() || object.crc32c == sums.crc32c);
    if same {
        return Ok(());
    }
    Err(TaskError::permanent(format!("{uri} and `{file}` differ in size or CRC-32C"))
        .help("upload the file again, or remove `file`"))
}

/// Counts the rows of a file, and tells the first that does not fit the schema.
fn count(
    path: &Path,
    name: &str,
    options: ReadOptions,
    expected: &[TableFieldSchema],
    tolerant: bool,
    bare: bool,
    progress: Arc<Progress>,
) -> Result<(Option<Vec<String>>, u64), TaskError> {
    let is_complete = !bare && options.format != Some(stream::FileFormat::Ndjson);
    let reader = Reader::open(path, &options, progress)?;
    if reader.is_empty() {
        return Err(
            TaskError::permanent(format!("{name}: the file is empty")).help("skip the task if there are no rows")
        );
    }
    let columns: Vec<String> = reader.columns().iter().map(|(column, _)| column.clone()).collect();
    if is_complete {
        fits(&columns, expected, name).map_err(|error| reader.of_columns(error))?;
    }
    let wanted = columns.iter().filter_map(|column| Some(schema::column(find(expected, column)?, column)));
    let mut rows = 0;
    for batch in reader.batches(wanted.collect()) {
        let batch = batch?;
        rows += batch.rows_read;
        if let Some(bad) = batch.bad.first().filter(|_| !tolerant) {
            let hint = bad.hint.as_deref().unwrap_or("correct the row");
            return Err(
                TaskError::from(bad.diagnostic(name)).help(format!("{hint}, or allow bad rows: `max_bad_records: 10`"))
            );
        }
    }
    Ok((is_complete.then_some(columns), rows))
}

/// Whether a file's columns are those of the schema, in any order.
fn fits(columns: &[String], expected: &[TableFieldSchema], name: &str) -> Result<(), TaskError> {
    let located = |message: String, help: String| {
        let mut diagnostic = Diagnostic::error(message);
        (diagnostic.file, diagnostic.line, diagnostic.column, diagnostic.help) = (name.to_owned(), 1, 1, Some(help));
        TaskError::from(diagnostic)
    };
    if let Some(extra) = columns.iter().find(|column| find(expected, column).is_none()) {
        let help = match nearest(extra, expected.iter().map(|field| field.name.as_str())) {
            Some(near) => format!("did you mean `{near}`? Otherwise add the column to the schema and the table"),
            None => "add the column to the schema and the table, or remove it from the file".to_owned(),
        };
        return Err(located(format!("the file has a column `{extra}`, but the schema does not"), help));
    }
    let has =
        |field: &&TableFieldSchema| columns.iter().any(|column| find(std::slice::from_ref(field), column).is_some());
    match expected.iter().find(|field| !has(field)) {
        Some(missing) => {
            let help = format!("the file has: {}", columns.join(", "));
            Err(located(format!("the file has no column `{}`", missing.name), help))
        }
        None => Ok(()),
    }
}

/// The field that a file's column means: blanks around a name and its case do not matter.
pub(super) fn find<'a>(fields: &'a [TableFieldSchema], column: &str) -> Option<&'a TableFieldSchema> {
    fields.iter().find(|field| field.name.eq_ignore_ascii_case(column.trim()))
}

async fn sums(path: &Path) -> Result<FileChecksums, TaskError> {
    let shown = path.display().to_string();
    let broke = |error: &dyn std::fmt::Display| TaskError::permanent(format!("cannot read `{shown}`: {error}"));
    let file: PathBuf = path.to_owned();
    let summed = tokio::task::spawn_blocking(move || {
        let (mut file, mut block) = (File::open(file)?, vec![0; 1 << 16]);
        let (mut sha, mut crc, mut bytes) = (Sha256::new(), 0, 0);
        loop {
            match file.read(&mut block)? {
                0 => break,
                read => {
                    sha.update(&block[..read]);
                    crc = crc32c::crc32c_append(crc, &block[..read]);
                    bytes += read as u64;
                }
            }
        }
        std::io::Result::Ok(FileChecksums {
            bytes,
            sha256: hex(&sha.finalize()),
            crc32c: STANDARD.encode(crc.to_be_bytes()),
        })
    });
    summed.await.map_err(|error| broke(&error))?.map_err(|error| broke(&error))
}
