//! Delimited text to rows and fields: positions only, nothing is copied but the fields with quotes inside.
//!
//! Quotes, escapes and line ends mean what they mean to Postgres's COPY. So quotes may begin and end in the middle of a
//! field, and lines end as the first one does.

use memchr::{memchr, memchr_iter, memchr2};

use super::byte_finder::ByteFinder;
use super::line_end::{LineEnd, closing_quote};

/// What separates and encloses fields.
#[derive(Clone, Debug)]
pub(super) struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields, or parts of fields, that hold delimiters or line ends.
    pub quote: Option<u8>,
    /// Before a quote, or before itself, inside quotes; usually the quote.
    pub escape: u8,
    /// What lines begin with that are no rows; empty if all are.
    pub comment: Vec<u8>,
    /// The largest row, in bytes.
    pub max_row_bytes: usize,
    /// Whether each row is one line, whatever its fields hold.
    pub counts_rows: bool,
}

/// What keeps a row from being one, as COPY would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowError {
    /// A newline outside of quotes, where lines end otherwise.
    Newline,
    /// A carriage return outside of quotes, where lines end otherwise.
    CarriageReturn,
}

impl RowError {
    /// What COPY says of it.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Newline => "unquoted newline found in data",
            Self::CarriageReturn => "unquoted carriage return found in data",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct FieldSpan {
    start: u32,
    end: u32,
}

/// A field that is not in the text as it reads.
#[derive(Clone, Copy, Debug)]
struct RewrittenField {
    index: usize,
    /// Where it is in the text.
    original: FieldSpan,
    /// Whether it is within quotes altogether; else quotes are part of it.
    is_whole: bool,
}

/// One row of the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    start: u32,
    end: u32,
    first_field: u32,
    /// How many fields it has.
    pub width: u32,
    /// Line of the file on which it starts, from 1.
    pub line: u64,
    /// What is wrong with its line ends.
    pub error: Option<RowError>,
    /// The file ends here without a line end.
    pub is_unterminated: bool,
}

/// Why no further row can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnterminatedRow {
    /// Line on which the row starts.
    pub line: u64,
    /// Whether it is a quoted field that does not end.
    pub in_quotes: bool,
    /// Whether it extends to the end of the file; else it is larger than a row may be.
    pub reaches_end: bool,
}

/// A stretch of text and the whole rows in it.
#[derive(Debug)]
pub(super) struct RowSplitter {
    dialect: Dialect,
    /// The file's text, then the copies of fields that are rewritten, each after a quote.
    text: Vec<u8>,
    /// Where the file's text ends.
    content: usize,
    /// Where the last whole row ends.
    consumed: usize,
    line: u64,
    /// Lines that are still to be left out before the first row.
    to_skip: u64,
    /// None until the first line has ended.
    line_end: Option<LineEnd>,
    /// Whether the last line ended with a newline alone where a carriage return was due.
    is_after_newline: bool,
    /// Whether a blank line is a row of one empty field.
    has_blank_rows: bool,
    /// Whether the text holds bytes that would end lines in another file.
    may_have_other_line_ends: bool,
    is_last: bool,
    fields: Vec<FieldSpan>,
    rows: Vec<Row>,
    rewritten: Vec<RewrittenField>,
}

impl RowSplitter {
    /// No text yet. So many lines are left out before the first row.
    pub(super) fn new(dialect: Dialect, to_skip: u64) -> Self {
        let (text, fields, rows, rewritten) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            dialect,
            text,
            content: 0,
            consumed: 0,
            line: 1,
            to_skip,
            line_end: None,
            is_after_newline: false,
            has_blank_rows: false,
            may_have_other_line_ends: false,
            is_last: false,
            fields,
            rows,
            rewritten,
        }
    }

    /// From now on a blank line is a row of one empty field.
    pub(super) fn keep_blank_lines(&mut self) {
        self.has_blank_rows = true;
    }

    /// Drops the rows that were found and adds the next stretch of text.
    pub(super) fn push(&mut self, block: &[u8]) {
        self.text.truncate(self.content);
        self.text.drain(..self.consumed);
        self.text.extend_from_slice(block);
        self.content = self.text.len();
        self.consumed = 0;
    }

    /// No further text follows.
    pub(super) fn end(&mut self) {
        self.is_last = true;
    }

    /// Whether all text has been seen.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_last
    }

    /// The rows that were found last.
    pub(super) fn found(&self) -> &[Row] {
        &self.rows
    }

    /// The text that is not split yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.consumed..self.content).unwrap_or_default()
    }

    /// How much text is worth another look: twice of what is there, so that a long row is not searched again and again.
    pub(super) fn refill_size(&self) -> usize {
        (2 * self.rest().len()).min(self.dialect.max_row_bytes + 1)
    }

    /// How lines end, once the first one has.
    pub(super) fn line_end(&self) -> Option<LineEnd> {
        self.line_end
    }

    /// Finds up to `limit` whole rows in the text, in place of those found before. Blank lines are no rows, unless
    /// [`RowSplitter::keep_blank_lines`] was called.
    ///
    /// # Errors
    /// When a quoted field does not end before the file does, or a row is larger than it may be.
    pub(super) fn split(&mut self, limit: usize) -> Result<(), UnterminatedRow> {
        self.fields.clear();
        self.rows.clear();
        self.rewritten.clear();
        self.text.truncate(self.content);
        let text = std::mem::take(&mut self.text);
        let in_quotes = self.start(&text).map_or_else(|in_quotes| in_quotes, |end| self.find_rows(&text, end, limit));
        self.text = text;
        let reaches_end = in_quotes && self.is_last;
        if self.rows.is_empty() && (reaches_end || self.content - self.consumed > self.dialect.max_row_bytes) {
            return Err(UnterminatedRow { line: self.line, in_quotes, reaches_end });
        }
        self.rewrite();
        Ok(())
    }

    /// Learns how lines end and leaves out those that are to be skipped. Else says whether the text ends within quotes.
    fn start(&mut self, text: &[u8]) -> Result<LineEnd, bool> {
        let line_end = match self.line_end {
            Some(line_end) => line_end,
            None => {
                let is_row = self.to_skip == 0 && !self.is_comment(text, 0);
                // Quotes mean nothing in a line that is no row.
                let quote = self.dialect.quote.filter(|_| is_row);
                *self.line_end.insert(LineEnd::of(text, quote, self.dialect.escape, self.is_last)?)
            }
        };
        while self.to_skip > 0 {
            let rest = text.get(self.consumed..).unwrap_or_default();
            match memchr(line_end.mark(), rest) {
                Some(at) => self.consumed += at + 1,
                None if self.is_last => self.consumed = text.len(),
                None => return Err(false),
            }
            self.to_skip -= 1;
            self.line += 1;
        }
        Ok(line_end)
    }

    fn is_comment(&self, text: &[u8], start: usize) -> bool {
        let comment = &self.dialect.comment;
        !comment.is_empty() && text.get(start..).is_some_and(|line| line.starts_with(comment))
    }

    /// Says whether the text ends inside a quoted field.
    fn find_rows(&mut self, text: &[u8], line_end: LineEnd, limit: usize) -> bool {
        let Dialect { delimiter, quote, escape, .. } = self.dialect;
        let (mark, quote) = (line_end.mark(), quote.unwrap_or(delimiter));
        // Most texts have none, so that rows need not be searched one by one.
        self.may_have_other_line_ends =
            memchr(other_line_end(line_end).0, text.get(self.consumed..).unwrap_or_default()).is_some();
        let mut row = PartialRow::at(self.consumed, self.line);
        let mut resume = self.consumed;
        'restart: loop {
            if resume == row.start && self.is_comment(text, resume) {
                let end = memchr(mark, text.get(resume..).unwrap_or_default());
                let Some(end) = end.map(|at| resume + at + 1).or(self.is_last.then_some(text.len())) else { break };
                (self.consumed, self.line, resume) = (end, row.line + 1, end);
                row = PartialRow::at(end, self.line);
                if end < text.len() {
                    continue 'restart;
                }
            }
            for at in ByteFinder::new(text, resume, [delimiter, mark, quote]) {
                let byte = text[at];
                if byte == delimiter {
                    self.end_field(&mut row, at);
                } else if byte == mark {
                    self.end_row(text, row, line_end, at);
                    self.consumed = at + 1;
                    self.line = row.next_line + 1;
                    row = PartialRow::at(at + 1, self.line);
                    if self.rows.len() == limit {
                        return false;
                    }
                    if !self.dialect.comment.is_empty() {
                        resume = at + 1;
                        continue 'restart;
                    }
                } else {
                    let Some((close, has_escapes)) = closing_quote(text, at, quote, escape) else { return true };
                    if !self.dialect.counts_rows {
                        row.next_line += memchr_iter(mark, text.get(at..close).unwrap_or_default()).count() as u64;
                    }
                    row.add_quotes(at, close, has_escapes);
                    resume = close + 1;
                    continue 'restart;
                }
            }
            break;
        }
        if self.is_last && row.start < text.len() {
            self.end_row(text, PartialRow { is_unterminated: true, ..row }, line_end, text.len());
            self.consumed = text.len();
        }
        false
    }

    fn end_field(&mut self, row: &mut PartialRow, at: usize) {
        let as_it_stands = match row.quotes.take() {
            None => field(row.field, at),
            Some(quotes) => self.quoted_field(row.field, quotes, at),
        };
        self.fields.push(as_it_stands);
        row.field = at + 1;
        row.width += 1;
    }

    fn quoted_field(&mut self, start: usize, quotes: Quotes, at: usize) -> FieldSpan {
        let index = self.fields.len();
        match quotes {
            Quotes { close: Some(close), has_escapes } if close + 1 == at => {
                let inner = field(start + 1, close);
                if has_escapes {
                    self.rewritten.push(RewrittenField { index, original: inner, is_whole: true });
                }
                inner
            }
            Quotes { .. } => {
                let all = field(start, at);
                self.rewritten.push(RewrittenField { index, original: all, is_whole: false });
                all
            }
        }
    }

    fn end_row(&mut self, text: &[u8], mut row: PartialRow, line_end: LineEnd, at: usize) {
        let has_return = at > row.start && text.get(at - 1) == Some(&b'\r');
        let is_whole = line_end != LineEnd::CrLf || row.is_unterminated || has_return;
        let end = if line_end == LineEnd::CrLf && has_return && !row.is_unterminated { at - 1 } else { at };
        let was_whole = !std::mem::replace(&mut self.is_after_newline, !is_whole);
        let error = if is_whole && was_whole {
            self.unquoted_line_end(text, &row, line_end, end)
        } else {
            Some(RowError::Newline)
        };
        if end == row.start && error.is_none() && !self.has_blank_rows {
            return;
        }
        self.end_field(&mut row, end);
        self.rows.push(Row {
            start: offset(row.start),
            end: offset(end),
            first_field: offset(self.fields.len()) - row.width,
            width: row.width,
            line: row.line,
            error,
            is_unterminated: row.is_unterminated,
        });
    }

    /// A byte outside of quotes that would end a line in another file.
    fn unquoted_line_end(&self, text: &[u8], row: &PartialRow, line_end: LineEnd, end: usize) -> Option<RowError> {
        if !self.may_have_other_line_ends {
            return None;
        }
        let (byte, error) = other_line_end(line_end);
        let text = text.get(row.start..end).unwrap_or_default();
        memchr(byte, text)?;
        if !row.has_quotes {
            return Some(error);
        }
        let quote = self.dialect.quote?;
        let mut at = 0;
        loop {
            at += memchr2(byte, quote, text.get(at..)?)?;
            if text[at] == byte {
                return Some(error);
            }
            at = closing_quote(text, at, quote, self.dialect.escape)?.0 + 1;
        }
    }

    /// Copies each field with escapes or with quotes inside after the text, without them. The quote before the copy
    /// tells that there were quotes.
    fn rewrite(&mut self) {
        let Dialect { quote: Some(quote), escape, .. } = self.dialect else { return };
        for RewrittenField { index, original, is_whole } in &self.rewritten {
            let Some(target) = self.fields.get_mut(*index) else { continue };
            self.text.push(quote);
            let start = self.text.len();
            let (mut at, end) = (original.start as usize, original.end as usize);
            let mut in_quotes = *is_whole;
            while at < end {
                let byte = self.text[at];
                let next = self.text.get(at + 1).filter(|_| at + 1 < end);
                if in_quotes && byte == escape && next.is_some_and(|next| [quote, escape].contains(next)) {
                    at += 1;
                } else if byte == quote {
                    in_quotes = !in_quotes;
                    at += 1;
                    continue;
                }
                self.text.push(self.text[at]);
                at += 1;
            }
            *target = field(start, self.text.len());
        }
    }

    /// A field's text without its quotes; `None` is an empty field without quotes, or one outside the row.
    pub(super) fn field(&self, row: &Row, column: usize) -> Option<&[u8]> {
        let field = self.fields.get(row.first_field as usize + column)?;
        let (start, end) = (field.start as usize, field.end as usize);
        if start == end && !self.is_quoted(start) {
            return None;
        }
        self.text.get(start..end)
    }

    fn is_quoted(&self, start: usize) -> bool {
        let before = start.checked_sub(1).and_then(|index| self.text.get(index));
        before.is_some() && before == self.dialect.quote.as_ref()
    }

    /// Whether there are quotes in a field.
    pub(super) fn is_field_quoted(&self, row: &Row, column: usize) -> bool {
        self.fields.get(row.first_field as usize + column).is_some_and(|field| self.is_quoted(field.start as usize))
    }

    /// The row as the file has it, without its line end.
    pub(super) fn text_of(&self, row: &Row) -> &[u8] {
        self.text.get(row.start as usize..row.end as usize).unwrap_or_default()
    }

    /// Where in its row a field begins, in characters from 1; 0 after a line break, where that would be no place.
    pub(super) fn position_of(&self, row: &Row, column: usize) -> usize {
        let index = row.first_field as usize + column;
        let original = self.rewritten.iter().find(|rewritten| rewritten.index == index).map(|field| &field.original);
        let start = original.or(self.fields.get(index)).map_or(row.start, |field| field.start);
        let before = self.text.get(row.start as usize..start as usize).unwrap_or_default();
        match before.iter().any(|byte| [b'\n', b'\r'].contains(byte)) {
            true => 0,
            false => String::from_utf8_lossy(before).chars().count() + 1,
        }
    }
}

/// The byte that ends no line of the file, though it ends those of others, and what is said of it.
fn other_line_end(line_end: LineEnd) -> (u8, RowError) {
    match line_end {
        LineEnd::Cr => (b'\n', RowError::Newline),
        LineEnd::Lf | LineEnd::CrLf => (b'\r', RowError::CarriageReturn),
    }
}

/// The quotes in the field that is being read.
#[derive(Clone, Copy)]
struct Quotes {
    /// Where they close, if the field begins with them and there are no others.
    close: Option<usize>,
    has_escapes: bool,
}

/// The row that is being read.
#[derive(Clone, Copy)]
struct PartialRow {
    start: usize,
    line: u64,
    next_line: u64,
    field: usize,
    quotes: Option<Quotes>,
    has_quotes: bool,
    width: u32,
    is_unterminated: bool,
}

impl PartialRow {
    fn at(start: usize, line: u64) -> Self {
        let (quotes, has_quotes, is_unterminated) = (None, false, false);
        Self { start, line, next_line: line, field: start, quotes, has_quotes, width: 0, is_unterminated }
    }

    fn add_quotes(&mut self, open: usize, close: usize, has_escapes: bool) {
        let is_first = open == self.field && self.quotes.is_none();
        self.quotes = Some(Quotes { close: is_first.then_some(close), has_escapes });
        self.has_quotes = true;
    }
}

fn field(start: usize, end: usize) -> FieldSpan {
    FieldSpan { start: offset(start), end: offset(end) }
}

/// Texts stay below 4 GiB: a block, the largest row, which has 1 GiB at most, and the same again for copies.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
