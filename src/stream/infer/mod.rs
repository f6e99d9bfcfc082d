//! What a file holds, told by the file itself: its format, how it is written, its columns and their types. The types are
//! those that every value of the whole file has and loses nothing by, read row by row in flat memory.

mod dialect;
pub(in crate::stream) mod evidence;
mod forms;
mod kind;
mod lists;
mod preamble;
mod tally;
mod unused;

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::bytes::{Compression, FileBytes};
use super::parquet::{ParquetFile, nanoseconds};
use super::{
    BadRow, Encoding, FileFormat, OpenFile, ReadOptions, Reader, Result, looks_like_utf16, unread_encoding, workbook,
};
use crate::diagnostic::Diagnostic;
use crate::task::Progress;
use evidence::{Evidence, RowScan};
pub use kind::InferredType;

/// How much of a file tells how it is written.
const SAMPLE_BYTES: usize = 1 << 20;
/// What a file is in that has letters and is not UTF-8. It reads what LATIN1 reads, and has no letter for some bytes, so
/// that a file in neither of them is seen.
const FALLBACK: &str = "WIN1252";

/// What is asked of a file.
#[derive(Clone, Debug)]
pub struct Question {
    /// How the file is read, as far as that is given.
    pub options: ReadOptions,
    /// Whether the delimiter is given.
    pub has_delimiter: bool,
    /// Whether it is given that there is a header, or none.
    pub has_header: bool,
    /// Whether what is not given is told by the file. Otherwise it is what [`ReadOptions::default`] says, and only the
    /// columns and their types are told.
    pub tells_dialect: bool,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct InferredFile {
    /// How it is read, with its format.
    pub options: ReadOptions,
    /// What is told by the file, and differs from the defaults.
    pub told: Told,
    /// How it is packed.
    pub compression: Compression,
    /// What the file's encoding is called.
    pub encoding: String,
    /// The columns in the order of the file.
    pub columns: Vec<InferredColumn>,
    /// How many rows it has.
    pub rows: u64,
    /// How many of them are none, such as those with too few fields.
    pub bad_rows: u64,
    /// The first of these.
    pub first_bad: Option<BadRow>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// Which settings a file tells that are not the defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Its format, other than its name says.
    pub format: bool,
    /// Its delimiter.
    pub delimiter: bool,
    /// Its encoding.
    pub encoding: bool,
    /// That a line comes before the header, in which Excel names the delimiter.
    pub skip_lines: bool,
    /// That it has no header, or that its header does not name all columns.
    pub columns: bool,
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferredColumn {
    /// Its name in the file.
    pub name: String,
    /// What it holds.
    pub kind: InferredType,
    /// What a reader should know of it.
    pub note: Option<String>,
}

impl InferredFile {
    /// The column of this name, as the file writes it.
    pub fn column(&self, name: &str) -> Option<&InferredColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Reads a file to its end to tell what it holds. `is_stopped` is asked from time to time.
///
/// # Errors
/// When the file is missing, damaged, not what its name promises, or what it is cannot be told.
pub fn infer(
    path: &Path,
    question: &Question,
    progress: &Arc<Progress>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<InferredFile> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = question.options.name.clone().unwrap_or_else(|| path.display().to_string());
    let mut options = ReadOptions { name: Some(name.clone()), ..question.options.clone() };
    let mut told = Told::default();
    let by_name = FileFormat::of_extension(&file_name);
    let sheet = (options.format.or(by_name) == Some(FileFormat::Excel)).then(|| options.of_sheet());
    let start = beginning(path, &name, sheet.as_ref())?;
    let mut question = Cow::Borrowed(question);
    if let Some(options) = sheet {
        let has_delimiter = true;
        question = Cow::Owned(Question { options, has_delimiter, ..question.into_owned() });
    }
    let format = match options.format.or(by_name) {
        Some(format) => format,
        None if question.tells_dialect => format_of(&start.sample),
        None => FileFormat::Csv,
    };
    told.format = options.format.is_none() && format != by_name.unwrap_or(FileFormat::Csv);
    options.format = Some(format);
    let mut file = InferredFile {
        options,
        told,
        compression: start.compression,
        encoding: String::new(),
        columns: Vec::new(),
        rows: 0,
        bad_rows: 0,
        first_bad: None,
        notes: Vec::new(),
    };
    match format {
        FileFormat::Csv => {
            if question.tells_dialect {
                file.tell_dialect(&start, &question, &name)?;
            }
            file.read_all(path, progress, is_stopped, question.tells_dialect)?;
        }
        FileFormat::Excel => {
            file.options = ReadOptions { name: Some(name.clone()), ..question.options.clone() };
            if question.tells_dialect {
                file.tell_dialect(&start, &question, &name)?;
            }
            file.read_all(path, progress, is_stopped, false)?;
            file.encoding = String::new();
        }
        FileFormat::Ndjson | FileFormat::Json => file.read_all(path, progress, is_stopped, false)?,
        FileFormat::Parquet => file.read_index(path, &name, progress, is_stopped)?,
    }
    Ok(file)
}

/// The beginning of a file.
struct Beginning {
    compression: Compression,
    /// As it is stored, but unpacked.
    sample: Vec<u8>,
    is_whole: bool,
}

/// `sheet` is how a sheet of a workbook is read, if it is one.
fn beginning(path: &Path, name: &str, sheet: Option<&ReadOptions>) -> Result<Beginning> {
    let mut magic = Vec::new();
    let opened = std::fs::File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic));
    if let Err(error) = opened {
        return Err(located(Diagnostic::error(format!("cannot open the file: {error}")), name));
    }
    if magic == b"PAR1" {
        return Ok(Beginning { compression: Compression::Plain, sample: magic, is_whole: false });
    }
    let mut bytes = match sheet {
        Some(options) => workbook::open(path, name, options, Arc::default())?,
        None => FileBytes::open(path, name, ReadOptions::default().limits, Arc::default())?,
    };
    let (mut sample, mut is_whole) = (Vec::new(), false);
    while sample.len() < SAMPLE_BYTES && !is_whole {
        match bytes.next_block(Vec::new())? {
            Some(block) => sample.extend_from_slice(&block),
            None => is_whole = true,
        }
    }
    Ok(Beginning { compression: bytes.compression(), sample, is_whole })
}

/// The format of a file whose name does not tell.
fn format_of(sample: &[u8]) -> FileFormat {
    if sample.starts_with(b"PAR1") {
        return FileFormat::Parquet;
    }
    let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample).trim_ascii_start();
    let next = text.get(1..).unwrap_or_default().trim_ascii_start().first();
    match (text.first(), next) {
        (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b']')) => FileFormat::Json,
        _ => FileFormat::Csv,
    }
}

fn located(diagnostic: Diagnostic, name: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic { file: name.to_owned(), ..diagnostic })
}

impl InferredFile {
    /// Finds out how a CSV file is written, as far as that is not given.
    fn tell_dialect(&mut self, start: &Beginning, question: &Question, name: &str) -> Result<()> {
        if let Some(unread) = unread_encoding(&start.sample) {
            return Err(located(*unread, name));
        }
        if self.options.encoding.is_none() {
            self.options.encoding = encoding_of(&start.sample, start.is_whole);
            self.told.encoding = self.options.encoding.is_some();
        }
        let is_text = self.options.encoding.is_some()
            || start.sample.starts_with(b"\xff\xfe")
            || start.sample.starts_with(b"\xfe\xff");
        if !is_text && start.sample.contains(&0) {
            let known = super::signature::of_text(&start.sample);
            let unknown = Diagnostic::error("the file is binary: it has zero bytes, which no text has");
            return Err(located(known.unwrap_or(unknown), name));
        }
        let text = super::text::decoded(self.options.encoding.as_ref(), &start.sample, start.is_whole);
        let is_whole = start.is_whole;
        let named = preamble::named_delimiter(&text).filter(|_| self.options.skip_lines == 0);
        if named.is_some() {
            (self.options.skip_lines, self.told.skip_lines) = (1, true);
        }
        if !question.has_delimiter {
            let told = || dialect::delimiter(&text, &self.options, is_whole);
            self.options.delimiter = named.unwrap_or_else(told);
            self.told.delimiter = self.options.delimiter != b',';
        }
        if !question.has_header && self.options.columns.is_none() {
            preamble::check(&text, &self.options, question.has_delimiter || named.is_some(), is_whole, name)?;
        }
        let rows = dialect::rows(&text, &self.options, is_whole);
        if !question.has_header && self.options.columns.is_none() {
            self.options.header = dialect::has_header(&rows, &self.options, name)?;
        }
        if self.options.columns.is_none() && !rows.is_empty() {
            self.name_columns(&rows, &text);
        }
        Ok(())
    }

    /// Names the columns where the file does not.
    fn name_columns(&mut self, rows: &[Vec<Vec<u8>>], text: &[u8]) {
        let width = rows.first().map_or(0, Vec::len);
        if !self.options.header {
            self.options.columns = Some((1..=width).map(|number| format!("column_{number}")).collect());
            self.told.columns = true;
            self.notes.push("no line names the columns: they are called column_1, column_2 and so on".to_owned());
            return;
        }
        let has_trailer = rows.iter().all(|row| row.last().is_some_and(Vec::is_empty));
        let Some(names) = rows.first().filter(|_| !has_trailer).and_then(|header| dialect::own_names(header)) else {
            return;
        };
        let Some(line) = header_line(&self.options, text) else { return };
        self.options.header = false;
        self.options.skip_lines = line;
        self.options.columns = Some(names);
        self.told.columns = true;
        self.notes.push("the first line does not give each column a name of its own, so some got one".to_owned());
    }

    /// Reads all rows for what their columns hold.
    fn read_all(
        &mut self,
        path: &Path,
        progress: &Arc<Progress>,
        is_stopped: &dyn Fn() -> bool,
        may_guess_encoding: bool,
    ) -> Result<()> {
        let reader = Reader::open(path, &self.options, progress.clone())?;
        if reader.is_empty() {
            self.encoding = "UTF-8".to_owned();
            return Ok(());
        }
        let names: Vec<String> = reader.columns().iter().map(|(name, _)| name.clone()).collect();
        let mut scan = RowScan { rows: 0, bad_rows: 0, first_bad: None, is_stopped };
        let mut columns = vec![Evidence::default(); names.len()];
        let place = reader.name.clone();
        self.encoding = match reader.file {
            OpenFile::Csv(file) => {
                check_names(&reader.ambiguous, &place, file.header_line())?;
                let encoding = file.encoding();
                file.scan(&mut columns, &mut scan)?;
                encoding
            }
            OpenFile::Ndjson(file) => {
                let encoding = file.encoding();
                file.scan(&mut columns, &mut scan)?;
                encoding
            }
            OpenFile::Parquet(_) => String::new(),
        };
        if let Some(invalid) = columns.iter().find_map(|column| column.invalid.as_ref()) {
            return match Encoding::parse(FALLBACK)
                .ok()
                .filter(|_| may_guess_encoding && self.options.encoding.is_none())
            {
                Some(fallback) => {
                    self.options.encoding = Some(fallback);
                    self.told.encoding = true;
                    progress.reset();
                    self.read_all(path, progress, is_stopped, false)
                }
                None => Err(invalid_text(&self.encoding, invalid, &place)),
            };
        }
        if self.told.encoding && self.options.encoding.as_ref().is_some_and(|encoding| encoding.is(FALLBACK)) {
            self.notes.push(format!(
                "the file is not UTF-8 and is read as {FALLBACK}; if its letters look wrong, set `encoding`"
            ));
        }
        self.rows = scan.rows;
        self.bad_rows = scan.bad_rows;
        self.first_bad = scan.first_bad;
        let column = |(name, evidence): (String, &Evidence)| InferredColumn {
            name,
            kind: evidence.kind(),
            note: evidence.note(),
        };
        self.columns = names.into_iter().zip(&columns).map(column).collect();
        if self.rows > 0 {
            self.notes.extend(unused::settings(&self.options.conversions, &self.columns, &columns));
        }
        self.hint_at_records(&columns);
        Ok(())
    }

    /// A document with a list of objects in it was hardly meant to be one row.
    fn hint_at_records(&mut self, evidence: &[Evidence]) {
        let is_document =
            self.options.format == Some(FileFormat::Json) && self.options.records.is_none() && self.rows == 1;
        let is_writable = |name: &str| !name.contains('.') && name.trim() == name && !name.is_empty();
        let list = |(column, evidence): (&InferredColumn, &Evidence)| {
            let name = Some(&column.name).filter(|name| is_writable(name))?;
            Some(match evidence.list()? {
                "" => name.clone(),
                rest => format!("{name}.{rest}"),
            })
        };
        if let Some(path) = self.columns.iter().zip(evidence).find_map(list).filter(|_| is_document) {
            self.notes.push(format!("the file is one object; if its rows are in `{path}`, set `records: {path}`"));
        }
    }

    /// A Parquet file says itself what it holds.
    fn read_index(
        &mut self,
        path: &Path,
        name: &str,
        progress: &Arc<Progress>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<()> {
        let file = ParquetFile::open(path, name, self.options.limits, progress.clone())?;
        let column = |(name, kind)| InferredColumn { name, kind, note: None };
        self.rows = file.rows();
        self.columns = file.types().into_iter().map(column).collect();
        let rounded = file.count_rounded(is_stopped)?;
        for column in &mut self.columns {
            let rounded = rounded.get(&column.name).copied().filter(|rounded| *rounded > 0);
            column.note = rounded.map(nanoseconds::note);
        }
        Ok(())
    }
}

/// The line of the header, if it takes one line and the lines before it are known.
fn header_line(options: &ReadOptions, text: &[u8]) -> Option<u64> {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').take(options.skip_lines as usize + 1000).collect();
    let is_row = |line: &&[u8]| {
        let is_comment = !options.comment.is_empty() && line.starts_with(options.comment.as_bytes());
        !line.trim_ascii().is_empty() && !is_comment
    };
    let skipped = usize::try_from(options.skip_lines).ok()?;
    let at = lines.iter().skip(skipped).position(is_row)? + skipped;
    let quotes = options
        .quote
        .map_or(0, |quote| lines.get(at).map_or(0, |line| line.iter().filter(|byte| **byte == quote).count()));
    quotes.is_multiple_of(2).then_some(at as u64 + 1)
}

fn check_names(ambiguous: &[String], file: &str, line: u64) -> Result<()> {
    let Some(name) = ambiguous.first() else { return Ok(()) };
    let message = match name.as_str() {
        "" => "the header leaves several columns without a name".to_owned(),
        name => format!("the header names the column `{name}` twice"),
    };
    let mut error =
        Diagnostic::error(message).help("name the columns with `header: false`, `skip_lines: 1` and `columns`");
    error.line = usize::try_from(line).unwrap_or(usize::MAX);
    Err(located(error, file))
}

/// The encoding of a file without a byte order mark, as far as its beginning tells; none for UTF-8.
fn encoding_of(sample: &[u8], is_whole: bool) -> Option<Encoding> {
    let has_mark = [&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbf"].iter().any(|mark| sample.starts_with(mark));
    let name = match looks_like_utf16(sample) {
        _ if has_mark => return None,
        Some(name) => name,
        None => {
            let error = std::str::from_utf8(sample).err()?;
            let is_cut = !is_whole && error.error_len().is_none();
            if is_cut || sample.contains(&0) {
                return None;
            }
            FALLBACK
        }
    };
    Encoding::parse(name).ok()
}

fn invalid_text(encoding: &str, text: &[u8], file: &str) -> Box<Diagnostic> {
    let shown = super::bytes::preview(text);
    let message = format!("the file is not {encoding} text: `{shown}`");
    located(Diagnostic::error(message).help("say which encoding it is in, for example `encoding: LATIN2`"), file)
}
