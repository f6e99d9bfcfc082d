//! Delimited text to rows and fields: positions only, nothing is copied but the fields that need unescaping.

use memchr::{memchr_iter, memchr2};

use super::marks::Marks;

/// A row that is longer than this has most probably lost its closing quote.
const LONGEST_ROW: usize = 16 << 20;

/// What separates and encloses fields.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields that hold delimiters or line ends.
    pub quote: Option<u8>,
    /// Before a quote inside a quoted field; usually the quote itself.
    pub escape: u8,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    start: u32,
    end: u32,
}

/// One row of the text.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    start: u32,
    end: u32,
    first_field: u32,
    /// How many fields it has.
    pub width: u32,
    /// Line of the file on which it starts, from 1.
    pub line: u64,
    /// Text stands between a field's closing quote and the next delimiter.
    pub has_stray_text: bool,
    /// The file ends here without a line end.
    pub is_unterminated: bool,
}

/// Why no further row can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless {
    /// Line on which the row starts.
    pub line: u64,
    /// Whether it is a quoted field that does not end.
    pub in_quotes: bool,
}

/// A stretch of text and the whole rows in it.
#[derive(Debug)]
pub struct Rows {
    dialect: Dialect,
    /// The file's text, then the unescaped copies of fields, each after a quote.
    text: Vec<u8>,
    /// Where the file's text ends.
    content: usize,
    /// Where the last whole row ends.
    consumed: usize,
    line: u64,
    is_last: bool,
    fields: Vec<Field>,
    rows: Vec<Row>,
    /// Fields that hold escapes, and where they began before they were copied.
    escaped: Vec<(usize, Field)>,
}

impl Rows {
    /// No text yet.
    pub fn new(dialect: Dialect) -> Self {
        let (text, fields, rows, escaped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { dialect, text, content: 0, consumed: 0, line: 1, is_last: false, fields, rows, escaped }
    }

    /// Drops the rows that were found and adds the next stretch of text.
    pub fn push(&mut self, block: &[u8]) {
        self.text.truncate(self.content);
        self.text.drain(..self.consumed);
        self.text.extend_from_slice(block);
        self.content = self.text.len();
        self.consumed = 0;
    }

    /// No further text follows.
    pub fn end(&mut self) {
        self.is_last = true;
    }

    /// Whether all text has been seen.
    pub fn is_at_end(&self) -> bool {
        self.is_last
    }

    /// The rows that were found last.
    pub fn found(&self) -> &[Row] {
        &self.rows
    }

    /// The text that is not split yet.
    pub fn rest(&self) -> &[u8] {
        self.text.get(self.consumed..self.content).unwrap_or_default()
    }

    /// Finds up to `limit` whole rows in the text, in place of those found before. Blank lines are no rows.
    ///
    /// # Errors
    /// When a quoted field does not end before the file does, or a row is longer than 16 MiB.
    pub fn split(&mut self, limit: usize) -> Result<(), Endless> {
        self.fields.clear();
        self.rows.clear();
        self.escaped.clear();
        self.text.truncate(self.content);
        let text = std::mem::take(&mut self.text);
        let in_quotes = self.find_rows(&text, limit);
        self.text = text;
        if self.rows.is_empty() && (in_quotes && self.is_last || self.content - self.consumed > LONGEST_ROW) {
            return Err(Endless { line: self.line, in_quotes });
        }
        self.unescape();
        Ok(())
    }

    /// Says whether the text ends inside a quoted field.
    fn find_rows(&mut self, text: &[u8], limit: usize) -> bool {
        let Dialect { delimiter, quote, .. } = self.dialect;
        let mut row = Open::at(self.consumed, self.line);
        let mut resume = self.consumed;
        'restart: loop {
            for at in Marks::new(text, resume, [delimiter, b'\n', quote.unwrap_or(delimiter)]) {
                let byte = text[at];
                if byte == delimiter {
                    self.end_field(&mut row, at);
                } else if byte == b'\n' {
                    self.end_row(text, row, at);
                    self.consumed = at + 1;
                    self.line = row.next_line + 1;
                    row = Open::at(at + 1, self.line);
                    if self.rows.len() == limit {
                        return false;
                    }
                } else if at == row.field {
                    let Some(close) = self.closing_quote(text, at, &mut row) else { return true };
                    row.close = Some(close);
                    resume = close + 1;
                    continue 'restart;
                }
            }
            break;
        }
        if self.is_last && row.start < text.len() {
            self.end_row(text, Open { is_unterminated: true, ..row }, text.len());
            self.consumed = text.len();
        }
        false
    }

    /// Where the field that opens with a quote at `open` closes.
    fn closing_quote(&mut self, text: &[u8], open: usize, row: &mut Open) -> Option<usize> {
        let quote = self.dialect.quote?;
        let escape = self.dialect.escape;
        let mut at = open + 1;
        let mut has_escapes = false;
        loop {
            at += memchr2(quote, escape, text.get(at..)?)?;
            let is_escaped_quote = text.get(at + 1) == Some(&quote) && text[at] == escape;
            let is_plain_escape = text[at] != quote;
            if !is_escaped_quote && !is_plain_escape {
                break;
            }
            has_escapes = true;
            at += 2;
        }
        row.field = open + 1;
        row.next_line += memchr_iter(b'\n', text.get(open..at)?).count() as u64;
        if has_escapes {
            self.escaped.push((self.fields.len(), field(open + 1, at)));
        }
        Some(at)
    }

    fn end_field(&mut self, row: &mut Open, at: usize) {
        let end = match row.close.take() {
            Some(close) => {
                row.has_stray_text |= close + 1 != at;
                close
            }
            None => at,
        };
        self.fields.push(field(row.field, end));
        row.field = at + 1;
        row.width += 1;
    }

    fn end_row(&mut self, text: &[u8], mut row: Open, at: usize) {
        let end = if at > row.start && text.get(at - 1) == Some(&b'\r') { at - 1 } else { at };
        if end == row.start {
            return;
        }
        self.end_field(&mut row, end);
        self.rows.push(Row {
            start: offset(row.start),
            end: offset(end),
            first_field: offset(self.fields.len()) - row.width,
            width: row.width,
            line: row.line,
            has_stray_text: row.has_stray_text,
            is_unterminated: row.is_unterminated,
        });
    }

    /// Copies each field with escapes behind the text, without them. The quote before the copy tells that it was quoted.
    fn unescape(&mut self) {
        let Dialect { quote: Some(quote), escape, .. } = self.dialect else { return };
        for (index, original) in &self.escaped {
            let Some(target) = self.fields.get_mut(*index) else { continue };
            self.text.push(quote);
            let start = self.text.len();
            let mut at = original.start as usize;
            while at < original.end as usize {
                let next = self.text.get(at + 1).filter(|_| at + 1 < original.end as usize);
                at += usize::from(self.text[at] == escape && next.is_some_and(|next| [quote, escape].contains(next)));
                self.text.push(self.text[at]);
                at += 1;
            }
            *target = field(start, self.text.len());
        }
    }

    /// A field's text without its quotes; `None` is an empty field without quotes, or one outside the row.
    pub fn field(&self, row: &Row, column: usize) -> Option<&[u8]> {
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

    /// Whether a field stands in quotes.
    pub fn is_field_quoted(&self, row: &Row, column: usize) -> bool {
        self.fields.get(row.first_field as usize + column).is_some_and(|field| self.is_quoted(field.start as usize))
    }

    /// The row as the file has it, without its line end.
    pub fn text_of(&self, row: &Row) -> &[u8] {
        self.text.get(row.start as usize..row.end as usize).unwrap_or_default()
    }

    /// Where in its row a field begins, in characters from 1.
    pub fn position_of(&self, row: &Row, column: usize) -> usize {
        let index = row.first_field as usize + column;
        let original = self.escaped.iter().find(|(escaped, _)| *escaped == index).map(|(_, field)| field);
        let start = original.or(self.fields.get(index)).map_or(row.start, |field| field.start);
        let before = self.text.get(row.start as usize..start as usize).unwrap_or_default();
        String::from_utf8_lossy(before).chars().count() + 1
    }
}

/// The row that is being read.
#[derive(Clone, Copy)]
struct Open {
    start: usize,
    line: u64,
    next_line: u64,
    field: usize,
    close: Option<usize>,
    width: u32,
    has_stray_text: bool,
    is_unterminated: bool,
}

impl Open {
    fn at(start: usize, line: u64) -> Self {
        let (has_stray_text, is_unterminated) = (false, false);
        Self { start, line, next_line: line, field: start, close: None, width: 0, has_stray_text, is_unterminated }
    }
}

fn field(start: usize, end: usize) -> Field {
    Field { start: offset(start), end: offset(end) }
}

/// Texts stay far below 4 GiB: a block and the longest row.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
