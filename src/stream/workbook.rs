//! A sheet of an Excel workbook (`.xlsx`, `.xlsm`) as CSV: a line for each row of the sheet, blank ones included, so that a
//! line's number is the row's. The rows come one by one; what is held in memory are the workbook's texts, which rows share.

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use calamine::{DataRef, ExcelDateTime, Reader as _, SheetType, Style, Xlsx, XlsxError};
use memchr::memrchr;

use super::bytes::{FileBytes, FileToRead, UnpackLimits};
use super::float::push_float;
use super::print::push_int;
use super::{ReadOptions, Result};
use crate::diagnostic::Diagnostic;
use crate::task::Progress;

/// What a function says of a workbook.
type Checked<T> = std::result::Result<T, Diagnostic>;

/// What is sent at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// The most that the texts of a workbook and what else is held in memory may unpack to.
const MAX_HELD_BYTES: u64 = 256 << 20;
/// The most bytes without a tag, each of which is held in memory. A cell has 32,767 characters at most.
const MAX_NODE_BYTES: usize = 4 << 20;
/// The days that Excel knows: up to 9999-12-31.
const DAYS: std::ops::Range<f64> = 0.0..2_958_466.0;
const DAMAGED: &str = "the file is damaged or incomplete: open it in Excel and save it again, or download it again";
const MILLISECONDS: f64 = 86_400_000.0;

/// Which rows of which sheet are read.
#[derive(Clone, Debug)]
pub(super) struct SheetChoice {
    /// The sheet's name; the first one if `None`.
    pub(super) sheet: Option<String>,
    /// Rows that are above the table.
    pub(super) skip_rows: u64,
    /// Whether the first row of the table names its columns, and so tells where they begin and how many they are.
    pub(super) has_header: bool,
    /// How many columns there are otherwise, if that is known.
    pub(super) columns: usize,
}

/// Starts to read the sheet that `options` name.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn open(path: &Path, name: &str, options: &ReadOptions, progress: Arc<Progress>) -> Result<FileBytes> {
    let choice = SheetChoice {
        sheet: options.sheet.clone(),
        skip_rows: options.skip_lines,
        has_header: options.header,
        columns: options.columns.as_ref().map_or(0, Vec::len),
    };
    let limits = options.limits;
    FileBytes::made(path, name, progress, move |file, size, send| {
        let read = || rows(file, &choice, (size, limits), send);
        let end = catch_unwind(AssertUnwindSafe(read));
        end.unwrap_or_else(|_| Err(Diagnostic::error("the workbook cannot be read").help(DAMAGED)))
    })
}

/// Gives the rows of a sheet as CSV to `send`, in blocks, until that says that nobody wants more. `size` is the file's.
///
/// # Errors
/// When the workbook is damaged or larger than allowed, or has no such sheet.
pub(super) fn rows(
    file: FileToRead,
    choice: &SheetChoice,
    (size, limits): (u64, UnpackLimits),
    send: &mut dyn FnMut(Vec<u8>) -> bool,
) -> Checked<()> {
    let file = checked(file, size, limits)?;
    let mut workbook = Xlsx::new(file).map_err(|error| broken(&error))?;
    let sheets = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let names: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
    let name = chosen(choice.sheet.as_deref(), &names)?;
    let mut cells = workbook.worksheet_cells_reader(name).map_err(|error| broken(&error))?;
    let shows_clock =
        |style: &Style| style.number_format.as_ref().is_some_and(|format| shows_clock(&format.format_code));
    let clocks: Vec<bool> = cells.styles().iter().map(shows_clock).collect();
    // A row without names may lack its first values.
    let table = (u64::from(cells.dimensions().start.1), choice.columns as u64);
    let table = (!choice.has_header).then_some(table);
    let mut writer = SheetRows { skipped: choice.skip_rows, table, ..SheetRows::default() };
    while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(|error| broken(&error))? {
        let (row, column) = cell.get_position();
        let shows_clock = clocks.get(style).copied().unwrap_or_default();
        writer.put((u64::from(row), u64::from(column)), (cell.get_value(), shows_clock))?;
        if writer.out.len() >= BLOCK_BYTES && !send(std::mem::replace(&mut writer.out, Vec::with_capacity(BLOCK_BYTES)))
        {
            return Ok(());
        }
    }
    writer.end_row();
    send(writer.out);
    Ok(())
}

fn chosen<'a>(wanted: Option<&str>, names: &'a [String]) -> Checked<&'a str> {
    let found = match wanted {
        Some(wanted) => names.iter().find(|name| *name == wanted),
        None => names.first(),
    };
    found.map(String::as_str).ok_or_else(|| {
        let listed = names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("`, `");
        match wanted {
            Some(wanted) => Diagnostic::error(format!("the workbook has no sheet `{wanted}`"))
                .help(format!("its sheets are `{listed}`")),
            None => Diagnostic::error("the workbook has no sheet with cells"),
        }
    })
}

fn broken(error: &XlsxError) -> Diagnostic {
    match error {
        XlsxError::Password => Diagnostic::error("the workbook is encrypted").help("save it without a password"),
        error => Diagnostic::error(format!("the workbook cannot be read: {error}")).help(DAMAGED),
    }
}

/// Unpacks all that a reader of workbooks holds in memory, and the sheets, to see that none of it is larger than allowed:
/// the sizes in the archive may be wrong.
fn checked<R: Read + Seek>(file: R, size: u64, limits: UnpackLimits) -> Checked<R> {
    let damaged = |error: &dyn std::fmt::Display| {
        Diagnostic::error(format!("the file is no Excel workbook (.xlsx) that can be read: {error}"))
            .help("an old workbook (.xls) has to be saved as .xlsx or CSV; a damaged file has to be downloaded again")
    };
    let mut archive = zip::ZipArchive::new(file).map_err(|error| damaged(&error))?;
    let mut held = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| damaged(&error))?;
        let name = entry.name().map(|name| name.to_ascii_lowercase()).map_err(|error| damaged(&error))?;
        if !name.ends_with(".xml") && !name.ends_with(".rels") {
            continue;
        }
        let is_sheet = name.starts_with("xl/worksheets/") && name.ends_with(".xml");
        let (mut block, mut total, mut since_tag) = (vec![0; 1 << 16], 0, 0);
        loop {
            let count = entry.read(&mut block).map_err(|error| damaged(&error))?;
            let Some(part) = block.get(..count).filter(|part| !part.is_empty()) else { break };
            total += count as u64;
            since_tag = memrchr(b'<', part).map_or(since_tag + count, |at| count - at);
            held += if is_sheet { 0 } else { count as u64 };
            if held > MAX_HELD_BYTES || since_tag > MAX_NODE_BYTES {
                let message = format!("the workbook's texts take more than {} MiB of memory", MAX_HELD_BYTES >> 20);
                return Err(Diagnostic::error(message).help("save the sheet as CSV, which is read without holding it"));
            }
            limits.check(total, size).map_or(Ok(()), Err)?;
        }
    }
    let mut file = archive.into_inner();
    file.rewind().map_err(|error| damaged(&error))?;
    Ok(file)
}

/// The rows so far.
#[derive(Default)]
struct SheetRows {
    out: Vec<u8>,
    /// How many rows have begun.
    begun: u64,
    /// Rows above the table.
    skipped: u64,
    /// Where the table begins and how many columns its first row has.
    table: Option<(u64, u64)>,
    /// Fields of the row so far; none before its first cell with a value.
    fields: u64,
    /// Where its next cell may be.
    next_column: u64,
}

impl SheetRows {
    /// Appends a cell, whose place is counted from 0.
    fn put(&mut self, (row, column): (u64, u64), value: (&DataRef<'_>, bool)) -> Checked<()> {
        let mut text = Vec::new();
        push_value(value, &mut text);
        if text.is_empty() {
            return Ok(());
        }
        if row + 1 < self.begun || row + 1 == self.begun && column < self.next_column {
            return Err(Diagnostic::error("the cells of the workbook are not in order").help("save it again in Excel"));
        }
        while self.begun < row + 1 {
            self.end_row();
            self.begun += 1;
        }
        // What is above the table does not tell where it begins.
        let first = if row < self.skipped { 0 } else { self.table.get_or_insert((column, 0)).0 };
        if column < first {
            let message =
                format!("row {} has a value left of the table, which begins in column {}", row + 1, first + 1);
            return Err(Diagnostic::error(message).help("`skip_lines` leaves out rows above the table"));
        }
        for _ in self.fields..column.saturating_sub(first) {
            self.next_field();
        }
        self.next_field();
        self.next_column = column + 1;
        push_quoted(&text, &mut self.out);
        Ok(())
    }

    fn next_field(&mut self) {
        if self.fields > 0 {
            self.out.push(b',');
        }
        self.fields += 1;
    }

    /// Ends the row that has begun: a row of the table has as many fields as its first one, or more.
    fn end_row(&mut self) {
        if self.begun == 0 {
            return;
        }
        let is_row = self.begun > self.skipped && self.fields > 0;
        match &mut self.table {
            Some((_, width)) if is_row && *width == 0 => *width = self.fields,
            Some((_, width)) if is_row => {
                let width = *width;
                while self.fields < width {
                    self.next_field();
                }
            }
            _ => {}
        }
        self.out.push(b'\n');
        (self.fields, self.next_column) = (0, 0);
    }
}

/// A value as the server reads it, of a cell whose format shows a time of day or not.
fn push_value((value, shows_clock): (&DataRef<'_>, bool), out: &mut Vec<u8>) {
    match value {
        DataRef::Int(number) => push_int(*number, out),
        DataRef::Float(number) => push_float(*number, out),
        DataRef::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            out.extend_from_slice(text.as_bytes());
        }
        DataRef::SharedString(text) => out.extend_from_slice(text.as_bytes()),
        DataRef::DateTime(time) => push_time(time, shows_clock, out),
        DataRef::Error(error) => out.extend_from_slice(error.to_string().as_bytes()),
        DataRef::Empty => {}
    }
}

/// Whether a number's format, such as `dd/mm/yyyy hh:mm`, shows hours or seconds. What is in quotes and brackets is no part
/// of it, such as `[Red]` and `[$-809]`.
fn shows_clock(format: &str) -> bool {
    let mut within = None;
    format.chars().any(|letter| {
        within = match (within, letter) {
            (None, '"') => Some('"'),
            (None, '[') => Some(']'),
            (Some(end), letter) if letter == end => None,
            (within, _) => within,
        };
        within.is_none() && matches!(letter, 'h' | 'H' | 's' | 'S')
    })
}

/// A day without a time as a date, unless its format shows the time of day; a time without a day as a time; and a duration
/// in hours, minutes and seconds.
fn push_time(time: &ExcelDateTime, shows_clock: bool, out: &mut Vec<u8>) {
    let value = time.as_f64();
    if !DAYS.contains(&value) {
        return push_float(value, out);
    }
    let milliseconds = (value * MILLISECONDS).round() as u64;
    let clock = |milliseconds: u64| {
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if rest == 0 { text } else { format!("{text}.{rest:03}") }
    };
    let in_day = milliseconds % MILLISECONDS as u64;
    let (year, month, day, ..) = time.to_ymd_hms_milli();
    let text = match () {
        () if time.is_duration() => clock(milliseconds),
        () if value < 1.0 => clock(milliseconds),
        () if in_day == 0 && !shows_clock => format!("{year:04}-{month:02}-{day:02}"),
        () => format!("{year:04}-{month:02}-{day:02} {}", clock(in_day)),
    };
    out.extend_from_slice(text.as_bytes());
}

/// A field, in quotes only if they are needed: those of a text without them may stand for NULL.
fn push_quoted(text: &[u8], out: &mut Vec<u8>) {
    let is_plain = text != b"\\." && !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if is_plain {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_days_show_no_clock() {
        for format in ["m/d/yyyy", "yyyy\\-mm\\-dd;@", "[$-809]dd mmmm yyyy", "dd \"hours\" mm", "[Red]d", "General"] {
            assert!(!shows_clock(format), "{format}");
        }
        for format in ["m/d/yy h:mm", "[$-409]m/d/yy\\ h:mm\\ AM/PM;@", "mm:ss.0", "yyyy-mm-ddTHH:MM"] {
            assert!(shows_clock(format), "{format}");
        }
    }
}
