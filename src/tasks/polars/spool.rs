//! Steps that need all rows before they can give the first: rows go to a Parquet file on disk, and come back from it.
//!
//! While rows go in, their batches pass on without rows, so that counts and bad rows reach the consumer at once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;
use polars::sql::SQLContext;

use super::expression::plain;
use super::keys::KeySpool;
use super::pg_function::PgFunctionRegistry;
use super::queries;
use super::spec::Keep;
use super::sql::{INPUT, deep};
use crate::diagnostic::Diagnostic;
use crate::stream::{Batch, Batches, Result};

/// Frames in order.
pub type Frames = Box<dyn Iterator<Item = PolarsResult<DataFrame>> + Send>;

/// A step over all rows.
pub trait AllRowsStep: Send {
    /// Looks at further rows on their way to the file.
    ///
    /// # Errors
    /// When they are not what the step expects.
    fn observe(&mut self, frame: &DataFrame) -> PolarsResult<()>;

    /// The step's result, once all rows are in the file.
    ///
    /// # Errors
    /// When the step is not possible.
    fn replay(self: Box<Self>, rows: LazyFrame) -> PolarsResult<Frames>;
}

/// Keeps one row of each key.
pub struct DedupeStep {
    /// The keys of the rows that went in.
    pub keys: KeySpool,
    /// Which row of equal ones stays.
    pub keep: Keep,
}

impl AllRowsStep for DedupeStep {
    fn observe(&mut self, frame: &DataFrame) -> PolarsResult<()> {
        self.keys.observe(frame)
    }

    fn replay(mut self: Box<Self>, rows: LazyFrame) -> PolarsResult<Frames> {
        // One bit a row: the only memory that grows with the file.
        let mut dropped = vec![0_u64; self.keys.rows() as usize / 64 + 1];
        let keep = self.keep;
        self.keys.duplicates(|duplicate| {
            let row = if keep == Keep::First { duplicate.row } else { duplicate.earlier };
            if let Some(word) = dropped.get_mut(row as usize / 64) {
                *word |= 1 << (row % 64);
            }
        })?;
        let mut start = 0;
        Ok(Box::new(frames(rows)?.map(move |frame| {
            let frame = frame?;
            let is_kept = |row: usize| dropped.get(row / 64).is_none_or(|word| word >> (row % 64) & 1 == 0);
            let mask: BooleanChunked = (start..start + frame.height()).map(|row| Some(is_kept(row))).collect();
            start += frame.height();
            frame.filter_seq(&mask)
        })))
    }
}

/// Runs a SQL query over the rows.
pub struct SqlQuery {
    /// What the query sees of the columns.
    pub input: Vec<Expr>,
    /// The query, over the table `self`.
    pub sql: String,
    /// The result's columns as every frame has them.
    pub output: Vec<Expr>,
}

impl SqlQuery {
    /// The query over these rows.
    ///
    /// # Errors
    /// When it does not fit them.
    pub fn over(&self, rows: LazyFrame) -> PolarsResult<LazyFrame> {
        let mut context = SQLContext::new().with_function_registry(Arc::new(PgFunctionRegistry));
        context.register(INPUT, rows.select(&self.input));
        queries::run(&mut context, &self.sql)
    }
}

impl AllRowsStep for SqlQuery {
    fn observe(&mut self, _: &DataFrame) -> PolarsResult<()> {
        Ok(())
    }

    fn replay(self: Box<Self>, rows: LazyFrame) -> PolarsResult<Frames> {
        deep(|| frames(self.over(rows)?.select(&self.output)))
    }
}

/// Runs `step` over all rows of `input`, through a file called `name` in `scratch`, which goes again at the end.
/// `before` and `after` are frames without rows: as they come in, and as they go out. `explain` says what is wrong with
/// the rows.
pub fn spooled(
    input: Batches,
    step: Box<dyn AllRowsStep>,
    (scratch, name): (&Path, &str),
    (before, after): (&DataFrame, DataFrame),
    explain: Explain,
) -> Batches {
    let path = scratch.join(name);
    match Spool::create(&path, before) {
        Ok(spool) => Box::new(SpooledStep { state: SpoolState::Filling { input, step, spool }, after, explain }),
        Err(error) => Box::new(std::iter::once(Err(failed(&error)))),
    }
}

struct Spool {
    path: PathBuf,
    writer: BatchedWriter<File>,
}

impl Spool {
    fn create(path: &Path, schema: &DataFrame) -> PolarsResult<Self> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let file = File::create(path)?;
        let writer = ParquetWriter::new(file).with_compression(ParquetCompression::Lz4Raw).batched(schema.schema())?;
        Ok(Self { path: path.to_owned(), writer })
    }

    fn rows(&self) -> PolarsResult<LazyFrame> {
        self.writer.finish()?;
        LazyFrame::scan_parquet(
            PlRefPath::try_from_path(&self.path)?,
            // A condition may fail for what no row holds: it is asked of rows alone, and not of NULLs and statistics before.
            ScanArgsParquet {
                glob: false,
                use_statistics: false,
                parallel: ParallelStrategy::Columns,
                ..Default::default()
            },
        )
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What stays behind is found and removed with the execution's storage.
        let _ = fs::remove_file(&self.path);
    }
}

enum SpoolState {
    Filling {
        input: Batches,
        step: Box<dyn AllRowsStep>,
        spool: Spool,
    },
    /// The spool lives as long as the frames that are read from it.
    Replaying {
        frames: Frames,
        _spool: Spool,
    },
    Done,
}

/// Makes a step's error one for users.
type Explain = fn(&PolarsError) -> Box<Diagnostic>;

struct SpooledStep {
    state: SpoolState,
    after: DataFrame,
    explain: Explain,
}

impl SpooledStep {
    fn fill(&mut self, batch: Batch) -> PolarsResult<Batch> {
        if let SpoolState::Filling { step, spool, .. } = &mut self.state
            && batch.frame.height() > 0
        {
            step.observe(&batch.frame)?;
            spool.writer.write_batch(&batch.frame)?;
        }
        Ok(Batch { frame: self.after.clone(), ..batch })
    }

    fn start_replay(&mut self) -> PolarsResult<()> {
        if let SpoolState::Filling { step, spool, .. } = std::mem::replace(&mut self.state, SpoolState::Done) {
            let frames = step.replay(spool.rows()?)?;
            self.state = SpoolState::Replaying { frames, _spool: spool };
        }
        Ok(())
    }

    fn step(&mut self) -> PolarsResult<Option<Result<Batch>>> {
        if let SpoolState::Filling { input, .. } = &mut self.state {
            match input.next() {
                Some(Ok(batch)) => return self.fill(batch).map(|batch| Some(Ok(batch))),
                Some(Err(error)) => return Ok(Some(Err(error))),
                None => self.start_replay()?,
            }
        }
        match &mut self.state {
            SpoolState::Replaying { frames, .. } => {
                let frame = frames.next().transpose()?;
                Ok(frame.map(|frame| Ok(Batch { frame, rows_read: 0, bad: Vec::new() })))
            }
            _ => Ok(None),
        }
    }
}

impl Iterator for SpooledStep {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().unwrap_or_else(|error| Some(Err((self.explain)(&error))));
        if !matches!(step, Some(Ok(_))) {
            self.state = SpoolState::Done;
        }
        step
    }
}

/// Runs a query on a thread of its own and hands over its frames in order, one ahead of the consumer.
fn frames(rows: LazyFrame) -> PolarsResult<Frames> {
    let (send, receive) = sync_channel(1);
    let sender = send.clone();
    // The callback says whether to stop: when nobody listens any more.
    let hand_over = PlanCallback::new(move |frame| Ok(sender.send(Ok(Some(frame))).is_err()));
    let query = rows.sink_batches(hand_over, true, None)?;
    std::thread::spawn(move || {
        let end = deep(|| query.collect_with_engine(Engine::Streaming)).map(|_| None);
        // Nobody listens after an error elsewhere.
        let _ = send.send(end);
    });
    // A thread that dies without a word must not look like the end of the rows.
    let died = || PolarsError::ComputeError("the query ended unexpectedly".into());
    Ok(Box::new(std::iter::from_fn(move || receive.recv().unwrap_or_else(|_| Err(died())).transpose())))
}

/// The error of a step over the rows.
pub fn failed(error: &PolarsError) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(format!("cannot transform the rows: {}", plain(error))))
}
