//! Parquet files, read from the disk directly, since their index is at their end.

pub(super) mod nanoseconds;
mod types;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use polars::io::parquet::read::infer_schema;
use polars::polars_utils::mmap::MMapSemaphore;
use polars::prelude::{
    Column, DataFrame, DataType, Engine, Int64Chunked, IntoColumn, IntoSeries, LazyFrame, NewChunkedArray,
    ParquetReader, ParquetWriter, PlRefPath, PlanCallback, PolarsError, PolarsResult, ScanArgsParquet, SerReader,
    Series, TimeUnit, TimeZone, col,
};

use super::bytes::Compression;
use super::chunks::Layout;
use super::footer;
use super::physical::Physical;
use super::printed::{self, PrintedColumn};
use super::unsupported::{self, UnsupportedColumn};
use super::{BadRow, Batch, ColumnSpec, ColumnType, LINE, Result, UnpackLimits, column};
use crate::diagnostic::Diagnostic;
use crate::task::Progress;
use nanoseconds::Rounded;

const MAGIC: &[u8; 4] = b"PAR1";
const BATCH_ROWS: usize = 16_384;
/// Rows of a group in files that are written: large enough to pack well, small enough to hold in memory.
const GROUP_ROWS: usize = 131_072;

/// The largest index: that of 1,000 columns in 1,000 row groups takes a third of it.
const MAX_INDEX_BYTES: u64 = 256 << 20;
/// The largest text of a value, as in other files.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Bytes of texts that are handled at a time: rows may share theirs in the file.
const MAX_BATCH_TEXT_BYTES: usize = 64 << 20;

/// A Parquet file whose index has been read.
pub(super) struct ParquetFile {
    name: String,
    scan: LazyFrame,
    columns: Vec<(String, Option<ColumnType>)>,
    size: u64,
    layout: Layout,
    /// The columns without any row.
    empty: DataFrame,
    unreadable: Vec<UnsupportedColumn>,
    physical: Physical,
    rounded: Arc<Rounded>,
    progress: Arc<Progress>,
}

impl ParquetFile {
    /// Reads the index; `name` is what errors call the file.
    ///
    /// # Errors
    /// When the file is cut off, packed, damaged, or no Parquet file.
    pub(super) fn open(path: &Path, name: &str, limits: UnpackLimits, progress: Arc<Progress>) -> Result<Self> {
        let unopened = |error: std::io::Error| broken(name, format!("cannot open the file: {error}"));
        let mut file = File::open(path).map_err(unopened)?;
        let size = check_ends(&mut file, name)?;
        progress.set_total_bytes(size);
        let failed = |error| broken(name, format!("cannot read the Parquet file: {error}"));
        let layout = catch_panics(|| {
            let metadata = ParquetReader::new(file.try_clone()?).get_metadata()?.clone();
            let bytes = MMapSemaphore::new_from_file(&file)?;
            let physical = Physical::of(&metadata, &infer_schema(&metadata)?);
            let layout = Layout::check(&metadata, bytes.as_ref(), name, limits);
            Ok(layout.map(|layout| (layout, physical, metadata)))
        });
        let (layout, mut physical, metadata) = layout.map_err(failed)??;
        let unreadable: Vec<_> = physical.unreadable.drain(..).chain(layout.unreadable()).collect();
        let scan = || -> PolarsResult<_> {
            let arguments = ScanArgsParquet { glob: false, ..ScanArgsParquet::default() };
            let mut scan = LazyFrame::scan_parquet(PlRefPath::try_from_path(path)?, arguments)?;
            if let Some(metadata) = Arc::into_inner(metadata) {
                physical.redirect(&scan, metadata)?;
            }
            let schema = scan.collect_schema()?;
            let empty = physical.apply(DataFrame::empty_with_schema(&schema))?;
            Ok((scan, empty))
        };
        let (scan, empty) = catch_panics(scan).map_err(|error| match unreadable.first() {
            Some(column) => column.error(name),
            None => failed(error),
        })?;
        let known = |column: &Column| kind_of(column.dtype()).filter(|_| !physical.is_printed(column.name()));
        let columns = empty.columns().iter().map(|column| (column.name().to_string(), known(column))).collect();
        let (name, rounded) = (name.to_owned(), Arc::default());
        Ok(Self { name, scan, columns, size, layout, empty, unreadable, physical, rounded, progress })
    }

    /// The columns with their types; `None` where the file's type has no counterpart.
    pub(super) fn columns(&self) -> &[(String, Option<ColumnType>)] {
        &self.columns
    }

    /// Whether the file has neither columns nor rows.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.layout.rows() == 0
    }

    /// Whether a column is one of bytes that are no text.
    pub(super) fn is_of_bytes(&self, name: &str) -> bool {
        self.empty.column(name).is_ok_and(|column| *column.dtype() == DataType::Binary)
    }

    /// Whether the wanted columns can be read.
    ///
    /// # Errors
    /// Names one that cannot, and its type.
    pub(super) fn check(&self, wanted: &[ColumnSpec]) -> Result<()> {
        unsupported::check(&self.unreadable, wanted, &self.name)
    }

    /// The file's rows with the wanted columns, which the file must have.
    pub(super) fn batches(self, wanted: Vec<ColumnSpec>) -> impl Iterator<Item = Result<Batch>> + Send {
        let names = wanted.iter().map(|column| column.name.as_str()).filter(|name| *name != LINE);
        let names: Vec<&str> = names.collect();
        let (portions, rows) = (self.layout.portions(&names), self.layout.rows());
        let frames: Box<dyn Iterator<Item = PolarsResult<DataFrame>> + Send> = match rows {
            0 => Box::new(std::iter::once(self.empty.select(names))),
            _ => Box::new(frames(self.scan.select(names.into_iter().map(col).collect::<Vec<_>>()), portions)),
        };
        let Self { name, size, physical, rounded, progress, .. } = self;
        let mut state = BatchProgress { name, size, rows, done: 0, rounded, progress };
        frames.flat_map(split_large).map(move |frame| {
            let frame = frame
                .and_then(|frame| physical.apply(frame))
                .map_err(|error| broken(&state.name, format!("cannot read the Parquet file: {error}")))?;
            state.batch(&frame, &wanted)
        })
    }
}

/// What Polars makes of a file from outside. It panics at some damages that no check of the index finds.
fn catch_panics<T>(read: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    let damaged = || PolarsError::ComputeError("the file is damaged".into());
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged()))
}

/// Runs a query over these rows of a file, portion by portion, on a thread of its own; dropping the iterator ends it.
/// There is at least one frame of an intact file, and none is missing.
fn frames(query: LazyFrame, portions: Vec<Range<u64>>) -> impl Iterator<Item = PolarsResult<DataFrame>> + Send {
    let (send, frames) = sync_channel(1);
    std::thread::spawn(move || {
        let read = || match portions.is_empty() {
            true => portion(query.clone(), &send).map(drop),
            false => {
                for rows in &portions {
                    let length = (rows.end - rows.start).try_into().unwrap_or(u32::MAX);
                    if !portion(query.clone().slice(rows.start.cast_signed(), length), &send)? {
                        break;
                    }
                }
                Ok(())
            }
        };
        let end = catch_panics(read);
        // Nobody is left to hear it when the reader was dropped.
        drop(send.send(end.map(|()| None)));
    });
    let mut is_over = false;
    // A thread that dies without a word must not look like the end of the rows.
    let died = || Err(PolarsError::ComputeError("the reader ended unexpectedly".into()));
    std::iter::from_fn(move || {
        let next = if is_over { None } else { frames.recv().unwrap_or_else(|_| died()).transpose() };
        is_over = !matches!(next, Some(Ok(_)));
        next
    })
}

/// Hands over a query's frames; whether more are wanted.
fn portion(query: LazyFrame, send: &SyncSender<PolarsResult<Option<DataFrame>>>) -> PolarsResult<bool> {
    let (sink, is_dropped) = (send.clone(), Arc::new(AtomicBool::new(false)));
    let dropped = is_dropped.clone();
    let hand_over = PlanCallback::new(move |frame| {
        let is_unwanted = sink.send(Ok(Some(frame))).is_err();
        dropped.fetch_or(is_unwanted, Ordering::Relaxed);
        Ok(is_unwanted)
    });
    let query = query.sink_batches(hand_over, true, NonZeroUsize::new(BATCH_ROWS))?;
    query.collect_with_engine(Engine::Streaming)?;
    Ok(!is_dropped.load(Ordering::Relaxed))
}

/// A frame in pieces whose texts fit into memory once each row has its own.
fn split_large(frame: PolarsResult<DataFrame>) -> Vec<PolarsResult<DataFrame>> {
    match frame {
        Ok(frame)
            if frame.height() > 1 && frame.columns().iter().map(text_size).sum::<usize>() > MAX_BATCH_TEXT_BYTES =>
        {
            let (one, other) = frame.split_at((frame.height() / 2) as i64);
            split_large(Ok(one)).into_iter().chain(split_large(Ok(other))).collect()
        }
        frame => vec![frame],
    }
}

/// How many letters a column's texts have.
fn text_size(column: &Column) -> usize {
    match column.dtype() {
        DataType::String => {
            column.str().map_or(0, |texts| texts.downcast_iter().map(|array| array.total_bytes_len()).sum())
        }
        DataType::Binary => {
            column.binary().map_or(0, |bytes| bytes.downcast_iter().map(|array| array.total_bytes_len()).sum())
        }
        _ => 0,
    }
}

/// The first row of a frame with a text that is too long, and its column.
fn too_long(frame: &DataFrame) -> Option<(usize, &str)> {
    frame.columns().iter().filter(|column| text_size(column) > MAX_TEXT_BYTES).find_map(|column| {
        let is_long = |length: Option<usize>| length.is_some_and(|length| length > MAX_TEXT_BYTES);
        let row = match column.dtype() {
            DataType::Binary => column.binary().ok()?.iter().position(|bytes| is_long(bytes.map(<[u8]>::len))),
            _ => column.str().ok()?.iter().position(|text| is_long(text.map(str::len))),
        };
        Some((row?, column.name().as_str()))
    })
}

struct BatchProgress {
    name: String,
    size: u64,
    rows: u64,
    done: u64,
    rounded: Arc<Rounded>,
    progress: Arc<Progress>,
}

impl BatchProgress {
    fn batch(&mut self, frame: &DataFrame, wanted: &[ColumnSpec]) -> Result<Batch> {
        if let Some((row, column)) = too_long(frame) {
            let row = self.done + 1 + row as u64;
            return Err(broken(&self.name, format!("row {row}: `{column}` is larger than 16 MiB")));
        }
        let mut mismatches = BTreeMap::new();
        let good = self
            .rounded
            .take(frame, wanted)
            .and_then(|()| convert_all(frame, wanted, self.done + 1, &mut mismatches))
            .map_err(|error| broken(&self.name, format!("cannot convert the rows: {error}")))?;
        let first = self.done + 1;
        let bad = mismatches.into_iter().map(|(row, message)| {
            let line = first + row as u64;
            BadRow { line, column: 0, message: format!("row {line}: {message}"), text: Vec::new(), hint: None }
        });
        let batch = Batch { frame: good, rows_read: frame.height() as u64, bad: bad.collect() };
        self.advance(batch.rows_read);
        Ok(batch)
    }

    /// The reader does not tell its place in the file; its share of the rows is near enough.
    fn advance(&mut self, rows: u64) {
        let bytes = |rows: u64| (u128::from(self.size) * u128::from(rows) / u128::from(self.rows.max(1))) as u64;
        self.progress.add_bytes(bytes(self.done + rows) - bytes(self.done));
        self.done += rows;
    }
}

pub(super) fn broken(name: &str, message: impl Into<String>) -> Box<Diagnostic> {
    let mut diagnostic = Diagnostic::error(message).help("if the file was downloaded, download it again");
    diagnostic.file = name.to_owned();
    Box::new(diagnostic)
}

/// The file's size, when it begins and ends as a Parquet file does and its index has the form of one.
fn check_ends(file: &mut File, name: &str) -> Result<u64> {
    let unopened = |error: std::io::Error| broken(name, format!("cannot open the file: {error}"));
    let (start, end, size) = ends(file).map_err(unopened)?;
    let packed = Compression::of(&start);
    if packed != Compression::Plain {
        let mut diagnostic =
            broken(name, format!("the file is {packed} data around Parquet, which cannot be read in one go"));
        diagnostic.help = Some("unpack it first with a `file.decompress` task".to_owned());
        return Err(diagnostic);
    }
    if start != MAGIC {
        return Err(broken(name, "the file is not a Parquet file: it does not start with `PAR1`"));
    }
    let Some((length, [])) = end.strip_suffix(MAGIC).and_then(|end| end.split_first_chunk()) else {
        return Err(broken(name, "the Parquet file is cut off: its index, which stands at its end, is missing"));
    };
    let length = u64::from(u32::from_le_bytes(*length));
    if length > MAX_INDEX_BYTES.min(size - 12) {
        return Err(broken(name, "cannot read the Parquet file: its index is damaged"));
    }
    let checked = footer::check(&index(file, length).map_err(unopened)?);
    checked.map_err(|problem| broken(name, format!("cannot read the Parquet file: {problem}")))?;
    Ok(size)
}

/// The first four and the last eight bytes of a file of at least twelve, and its size.
fn ends(file: &mut File) -> std::io::Result<(Vec<u8>, Vec<u8>, u64)> {
    let (mut start, mut end) = (Vec::new(), Vec::new());
    file.by_ref().take(4).read_to_end(&mut start)?;
    let size = file.seek(SeekFrom::End(0))?;
    if size >= 12 {
        file.seek(SeekFrom::End(-8))?;
        file.read_to_end(&mut end)?;
    }
    Ok((start, end, size))
}

/// The index, which ends before the last eight bytes.
fn index(file: &mut File, length: u64) -> std::io::Result<Vec<u8>> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(size.saturating_sub(8).saturating_sub(length)))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn kind_of(kind: &DataType) -> Option<ColumnType> {
    match kind {
        DataType::Boolean => Some(ColumnType::Bool),
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => Some(ColumnType::Int(16)),
        DataType::UInt16 | DataType::Int32 => Some(ColumnType::Int(32)),
        DataType::UInt32 | DataType::Int64 => Some(ColumnType::Int(64)),
        DataType::Float32 => Some(ColumnType::Real),
        DataType::Float64 => Some(ColumnType::Float),
        DataType::UInt64 => Some(ColumnType::Numeric),
        DataType::String => Some(ColumnType::Text),
        DataType::Date => Some(ColumnType::Date),
        DataType::Datetime(_, None) => Some(ColumnType::Timestamp),
        DataType::Datetime(_, Some(_)) => Some(ColumnType::TimestampTz),
        _ => None,
    }
}

fn convert_all(
    frame: &DataFrame,
    wanted: &[ColumnSpec],
    first: u64,
    mismatches: &mut BTreeMap<usize, String>,
) -> PolarsResult<DataFrame> {
    let convert = |wanted: &ColumnSpec| match wanted.name == LINE {
        true => Ok(column::lines((first..).take(frame.height()))),
        false => convert(frame.column(&wanted.name)?.as_materialized_series(), wanted, mismatches),
    };
    let columns = wanted.iter().map(convert).collect::<PolarsResult<_>>()?;
    column::frame(frame.height(), columns, mismatches)
}

/// Whether values of the file's type are certainly what the server would make of their text in a column of the wanted
/// type. A clock time without a zone is not, where an instant is due: the server knows its own zone.
pub(super) fn keeps(found: Option<ColumnType>, wanted: ColumnType) -> bool {
    match (found, wanted) {
        (Some(ColumnType::Bool), ColumnType::Bool)
        | (Some(ColumnType::Date), ColumnType::Date | ColumnType::Timestamp)
        | (Some(ColumnType::Int(_) | ColumnType::Float | ColumnType::Real), ColumnType::Float)
        | (Some(ColumnType::Int(..=32) | ColumnType::Float | ColumnType::Real), ColumnType::Real)
        | (Some(ColumnType::Timestamp), ColumnType::Timestamp)
        | (Some(ColumnType::TimestampTz), ColumnType::Timestamp | ColumnType::Instant)
        | (Some(ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz), ColumnType::TimestampTz) => true,
        (Some(ColumnType::Int(from)), ColumnType::Int(to)) => from <= to,
        _ => false,
    }
}

/// One column in the wanted type. What fits without loss is cast; everything else goes through its text, so that a
/// value is refused for the same reasons as in a CSV file.
fn convert(values: &Series, wanted: &ColumnSpec, mismatches: &mut BTreeMap<usize, String>) -> PolarsResult<Column> {
    let found = kind_of(values.dtype());
    let cast = match (found, wanted.kind) {
        (Some(ColumnType::Bool), ColumnType::Bool) | (Some(ColumnType::Date), ColumnType::Date) => values.clone(),
        (Some(ColumnType::Int(from)), ColumnType::Int(to)) if from <= to => values.cast(&DataType::Int64)?,
        (Some(ColumnType::Int(_) | ColumnType::Float | ColumnType::Real), ColumnType::Float | ColumnType::Real) => {
            values.cast(&DataType::Float64)?
        }
        (Some(ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz), ColumnType::Timestamp) => {
            moments(values, None, mismatches)?
        }
        (
            Some(ColumnType::Date | ColumnType::Timestamp | ColumnType::TimestampTz),
            ColumnType::TimestampTz | ColumnType::Instant,
        ) => moments(values, Some(TimeZone::UTC), mismatches)?,
        _ => return by_text(values, wanted, mismatches),
    };
    if wanted.required && cast.null_count() > 0 {
        for (row, _) in cast.is_null().iter().enumerate().filter(|(_, is_null)| *is_null == Some(true)) {
            mismatches.entry(row).or_insert_with(|| column::mismatch(wanted, None));
        }
    }
    Ok(cast.into_column())
}

/// Polars stores every moment in UTC, so only its label changes.
fn moments(values: &Series, zone: Option<TimeZone>, mismatches: &mut BTreeMap<usize, String>) -> PolarsResult<Series> {
    const DAY: i64 = 86_400_000_000;
    let physical = values.to_physical_repr().cast(&DataType::Int64)?;
    let converted = |value: i64| match values.dtype() {
        DataType::Datetime(unit, _) => printed::micros(value, *unit),
        _ => value.checked_mul(DAY),
    };
    let mut micros = Vec::with_capacity(values.len());
    for (row, value) in physical.i64()?.iter().enumerate() {
        let moment = value.and_then(converted);
        if value.is_some() && moment.is_none() {
            mismatches.entry(row).or_insert_with(|| out_of_range(values));
        }
        micros.push(moment);
    }
    let micros = Int64Chunked::from_iter_options(values.name().clone(), micros.into_iter());
    Ok(micros.into_datetime(TimeUnit::Microseconds, zone).into_series())
}

fn out_of_range(values: &Series) -> String {
    format!("`{}`: the {} is out of range", values.name(), values.dtype())
}

fn by_text(values: &Series, wanted: &ColumnSpec, mismatches: &mut BTreeMap<usize, String>) -> PolarsResult<Column> {
    if let DataType::String = values.dtype() {
        let texts: Vec<Option<&[u8]>> = values.str()?.iter().map(|text| text.map(str::as_bytes)).collect();
        return Ok(from_texts(&texts, wanted, mismatches));
    }
    let is_of_doubles = wanted.shape.as_ref().is_some_and(|shape| shape.is_array_of_doubles());
    let doubles = is_of_doubles.then(|| printed::with_doubles(values)).flatten().transpose()?;
    let values = doubles.as_ref().unwrap_or(values);
    let shape =
        wanted.shape.as_ref().filter(|shape| shape.has_composite() || matches!(values.dtype(), DataType::Struct(_)));
    let printed = PrintedColumn::of(values, if shape.is_some() { ColumnType::Json } else { wanted.kind })?;
    for row in &printed.unprintable {
        mismatches.entry(*row).or_insert_with(|| out_of_range(values));
    }
    let Some(shape) = shape else { return Ok(from_texts(&printed.texts(), wanted, mismatches)) };
    let shaped = |(row, text): (usize, Option<&'_ [u8]>)| {
        let text = shape.text_of(text?);
        if let Err(problem) = &text {
            mismatches.entry(row).or_insert_with(|| format!("`{}` {problem}", wanted.name));
        }
        text.ok().flatten().map(Cow::into_owned)
    };
    let texts: Vec<Option<Vec<u8>>> = printed.texts().into_iter().enumerate().map(shaped).collect();
    let texts: Vec<Option<&[u8]>> = texts.iter().map(|text| text.as_deref()).collect();
    Ok(from_texts(&texts, wanted, mismatches))
}

fn from_texts(texts: &[Option<&[u8]>], wanted: &ColumnSpec, mismatches: &mut BTreeMap<usize, String>) -> Column {
    column::fill(wanted, texts.iter().copied(), |row| {
        mismatches.entry(row).or_insert_with(|| column::mismatch(wanted, texts.get(row).copied().flatten()));
    })
}

/// Writes frames of one schema as a Parquet file, packed with zstd.
pub(super) struct ParquetSink {
    writer: polars::io::parquet::write::BatchedWriter<BufWriter<File>>,
    waiting: Option<DataFrame>,
}

impl ParquetSink {
    /// Starts the file with the schema of its first frame.
    ///
    /// # Errors
    /// When a column's type has no place in a Parquet file.
    pub(super) fn new(file: File, first: &DataFrame) -> PolarsResult<Self> {
        let writer = ParquetWriter::new(BufWriter::new(file)).batched(first.schema())?;
        Ok(Self { writer, waiting: None })
    }

    /// Adds rows. They are written once a row group is full.
    pub(super) fn write(&mut self, frame: DataFrame) -> PolarsResult<()> {
        match &mut self.waiting {
            Some(waiting) => drop(waiting.vstack_mut(&frame)?),
            None => self.waiting = Some(frame),
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.height() >= GROUP_ROWS) { self.flush() } else { Ok(()) }
    }

    /// Writes what is left, and the index.
    pub(super) fn finish(mut self) -> PolarsResult<()> {
        self.flush()?;
        self.writer.finish().map(drop)
    }

    fn flush(&mut self) -> PolarsResult<()> {
        match self.waiting.take() {
            Some(mut frame) => {
                frame.rechunk_mut();
                self.writer.write_batch(&frame)
            }
            None => Ok(()),
        }
    }
}
