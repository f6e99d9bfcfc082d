//! Batches to a file: CSV, CSV.gz or Parquet, by its name.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use polars::prelude::{
    CsvWriter, DataFrame, DataType, IntoColumn, NewChunkedArray, PolarsResult, SerWriter, StringChunked,
};

use super::bytes::Compression;
use super::parquet::ParquetSink;
use super::printed::PrintedColumn;
use super::{Batch, ColumnType, FileFormat, Result};
use crate::diagnostic::Diagnostic;

/// A line that ends the data, to some readers.
const END_MARKER: &str = "\\.";

/// Writes batches to a file in the format that its name tells (`.csv`, `.csv.gz`, `.parquet`) and returns the number
/// of rows. The file appears under its name once it is complete. Bad rows must have been dealt with.
///
/// # Errors
/// The first error of the batches, the first bad row, or what the disk says. No file is left then.
pub fn write(path: &Path, batches: impl Iterator<Item = Result<Batch>>) -> Result<u64> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = Path::new(&partial);
    let rows = write_all(path, partial, batches)
        .and_then(|rows| std::fs::rename(partial, path).map(|()| rows).map_err(|error| write_error(path, error)));
    if rows.is_err() {
        // The first error is the one to tell; a leftover is only untidy.
        drop(std::fs::remove_file(partial));
    }
    rows
}

fn write_all(path: &Path, partial: &Path, batches: impl Iterator<Item = Result<Batch>>) -> Result<u64> {
    let mut sink = None;
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        if let Some(bad) = batch.bad.first() {
            return Err(Box::new(bad.diagnostic(&path.display().to_string())));
        }
        let sink = match &mut sink {
            Some(sink) => sink,
            empty => empty.insert(Sink::open(path, partial, &batch.frame).map_err(|error| write_error(path, error))?),
        };
        rows += batch.frame.height() as u64;
        sink.write(batch.frame).map_err(|error| write_error(path, error))?;
    }
    match sink {
        Some(sink) => sink.finish().map_err(|error| write_error(path, error))?,
        None => drop(File::create(partial).map_err(|error| write_error(path, error))?),
    }
    Ok(rows)
}

fn write_error(path: &Path, error: impl std::fmt::Display) -> Box<Diagnostic> {
    let mut diagnostic = Diagnostic::error(format!("cannot write the file: {error}"));
    diagnostic.file = path.display().to_string();
    Box::new(diagnostic)
}

enum Sink {
    Csv(CsvSink),
    Parquet(Box<ParquetSink>),
}

impl Sink {
    fn open(path: &Path, partial: &Path, first: &DataFrame) -> PolarsResult<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = File::create(partial)?;
        Ok(match FileFormat::of(&name) {
            FileFormat::Parquet => Self::Parquet(Box::new(ParquetSink::new(file, first)?)),
            FileFormat::Csv | FileFormat::Ndjson | FileFormat::Json | FileFormat::Excel => {
                Self::Csv(CsvSink::new(file, Compression::of_extension(&name)))
            }
        })
    }

    fn write(&mut self, frame: DataFrame) -> PolarsResult<()> {
        match self {
            Self::Csv(sink) => sink.write(frame),
            Self::Parquet(sink) => sink.write(frame),
        }
    }

    fn finish(self) -> PolarsResult<()> {
        match self {
            Self::Csv(sink) => Ok(sink.output.finish()?),
            Self::Parquet(sink) => sink.finish(),
        }
    }
}

struct CsvSink {
    output: CsvOutput,
    has_header: bool,
}

impl CsvSink {
    fn new(file: File, compression: Option<Compression>) -> Self {
        let file = BufWriter::with_capacity(1 << 18, file);
        let output = match compression {
            Some(Compression::Gzip) => CsvOutput::Gzip(Box::new(GzEncoder::new(file, Level::fast()))),
            _ => CsvOutput::Plain(file),
        };
        Self { output, has_header: false }
    }

    fn write(&mut self, frame: DataFrame) -> PolarsResult<()> {
        if frame.width() == 0 {
            // A header without names would be read as one name, the empty one.
            return Ok(());
        }
        let mut frame = with_texts(&frame)?;
        frame.align_chunks();
        let has_header = std::mem::replace(&mut self.has_header, true);
        if !contains_end_marker(&frame) {
            return CsvWriter::new(&mut self.output).include_header(!has_header).finish(&mut frame);
        }
        if !has_header {
            CsvWriter::new(&mut self.output).finish(&mut frame.clear())?;
        }
        frame.columns().iter().try_for_each(|column| Ok(write_quoted(column.str()?, &mut self.output)?))
    }
}

/// Dates and times as Postgres prints and reads them: with the offset of an instant, and beyond the year 9999 too.
fn with_texts(frame: &DataFrame) -> PolarsResult<DataFrame> {
    let columns = frame.columns().iter().map(|column| match column.dtype() {
        DataType::Date | DataType::Datetime(..) => {
            let printed = PrintedColumn::of(column.as_materialized_series(), ColumnType::Text)?;
            let texts = printed.texts().into_iter().map(|text| text.map(String::from_utf8_lossy));
            Ok(StringChunked::from_iter_options(column.name().clone(), texts).into_column())
        }
        _ => Ok(column.clone()),
    });
    DataFrame::new(frame.height(), columns.collect::<PolarsResult<_>>()?)
}

/// Whether a line would be the mark of the end of the data, unless its value is quoted.
fn contains_end_marker(frame: &DataFrame) -> bool {
    let [column] = frame.columns() else { return false };
    column.str().is_ok_and(|texts| texts.iter().any(|text| text == Some(END_MARKER)))
}

/// Writes a column of texts, all of them in quotes but NULL.
fn write_quoted(texts: &StringChunked, output: &mut impl Write) -> io::Result<()> {
    texts.iter().try_for_each(|text| match text {
        Some(text) => writeln!(output, "\"{}\"", text.replace('"', "\"\"")),
        None => writeln!(output),
    })
}

enum CsvOutput {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl CsvOutput {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut file) => file.flush(),
            Self::Gzip(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl Write for CsvOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Flushing for each batch would cost the packing; `finish` does it once.
        Ok(())
    }
}
