//! A user's SQL: cut into statements, its parameters filled in, and places in it found again.
//!
//! Parameters become quoted literals rather than bound values. So the server types them by their context, as it does
//! with any literal, one statement at a time goes over the simple protocol, and values of every type come back as text.

use std::fmt::Write as _;

use serde_json::Value;

use crate::diagnostic::nearest;
use crate::text::count;

/// One statement, ready to send.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// What the user calls the text: a file, or `sql`.
    pub file: &'a str,
    /// The whole text that the statement is a part of.
    pub source: &'a str,
    /// What the server gets.
    pub text: String,
    /// Where the statement starts in `source`, in bytes.
    start: usize,
    swaps: Vec<ParameterSwap>,
}

/// A parameter and the literal in its place, in bytes from the statement's start.
#[derive(Clone, Copy, Debug)]
struct ParameterSwap {
    sent: (usize, usize),
    written: (usize, usize),
}

impl Statement<'_> {
    /// The same statement inside another, such as `COPY (` … `) TO STDOUT`; places stay those of the user's text.
    pub fn inside(mut self, prefix: &str, suffix: &str) -> Self {
        // On a line of its own, the suffix is safe from a comment at the statement's end.
        self.text = format!("{prefix}{}\n{suffix}", self.text);
        for swap in &mut self.swaps {
            swap.sent = (swap.sent.0 + prefix.len(), swap.sent.1 + prefix.len());
        }
        self.swaps.insert(0, ParameterSwap { sent: (0, prefix.len()), written: (0, 0) });
        self
    }

    /// The text with a blank for each comment.
    pub fn code(&self) -> String {
        let (mut code, mut at) = (String::with_capacity(self.text.len()), 0);
        while let Some(letter) = self.text.get(at..).and_then(|rest| rest.chars().next()) {
            let (end, is_comment) = opaque(&self.text, at).unwrap_or((at + letter.len_utf8(), false));
            code.push_str(if is_comment { " " } else { self.text.get(at..end).unwrap_or_default() });
            at = end;
        }
        code
    }

    /// Line and column in the source, from 1, of the server's position: a character of `text`, from 1.
    pub fn place(&self, position: u32) -> (usize, usize) {
        let wanted = (position as usize).saturating_sub(1);
        let sent = self.text.char_indices().nth(wanted).map_or(self.text.len(), |(at, _)| at);
        let written = match self.swaps.iter().rev().find(|swap| swap.sent.0 <= sent) {
            None => sent,
            Some(swap) if sent < swap.sent.1 => swap.written.0,
            Some(swap) => swap.written.1 + (sent - swap.sent.1),
        };
        let before = self.source.get(..self.start + written).unwrap_or(self.source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Cuts the text into statements and fills in the parameters: a list stands for `$1`, `$2`…, a map for `:name`.
///
/// # Errors
/// When the text refers to a parameter that is not given.
pub fn statements<'a>(file: &'a str, source: &'a str, parameters: &Value) -> Result<Vec<Statement<'a>>, String> {
    let filled = |(start, end): (usize, usize)| {
        let (text, swaps) = fill(&source[start..end], parameters)?;
        Ok(Statement { file, source, text, start, swaps })
    };
    split(source).into_iter().map(filled).collect()
}

/// The byte ranges of the statements, without the semicolons between them and without those of comments alone.
fn split(sql: &str) -> Vec<(usize, usize)> {
    let bytes = sql.as_bytes();
    let (mut ranges, mut at, mut first, mut block) = (Vec::new(), 0, None, StatementNesting::default());
    while let Some(&byte) = bytes.get(at) {
        if let Some((end, is_comment)) = opaque(sql, at) {
            if !is_comment {
                first.get_or_insert(at);
            }
            at = end;
            continue;
        }
        if byte == b';' && !block.is_open() {
            ranges.extend(first.take().map(|start| (start, at)));
            block = StatementNesting::default();
        } else if !byte.is_ascii_whitespace() {
            first.get_or_insert(at);
        }
        at += block.step(sql, at);
    }
    ranges.extend(first.map(|start| (start, sql.trim_end().len())));
    ranges
}

/// Whether a semicolon stands inside parentheses or the `BEGIN ATOMIC … END` body of a function.
#[derive(Default)]
struct StatementNesting {
    parentheses: usize,
    bodies: usize,
    after_begin: bool,
}

impl StatementNesting {
    fn is_open(&self) -> bool {
        self.parentheses > 0 || self.bodies > 0
    }

    /// Takes the word or byte at `at` into account and gives its length.
    fn step(&mut self, sql: &str, at: usize) -> usize {
        let rest = &sql.as_bytes()[at..];
        let length = rest.iter().take_while(|byte| is_word(**byte)).count();
        if length == 0 {
            match rest.first() {
                Some(b'(') => self.parentheses += 1,
                Some(b')') => self.parentheses = self.parentheses.saturating_sub(1),
                _ => {}
            }
            return 1;
        }
        let word = rest[..length].to_ascii_lowercase();
        match word.as_slice() {
            b"atomic" if self.after_begin => self.bodies = 1,
            b"case" if self.bodies > 0 => self.bodies += 1,
            b"end" => self.bodies = self.bodies.saturating_sub(1),
            _ => {}
        }
        self.after_begin = word == b"begin";
        length
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The end of the comment, string, quoted name or dollar-quoted text that starts at `at`, and whether it is a comment.
fn opaque(sql: &str, at: usize) -> Option<(usize, bool)> {
    let rest = &sql.as_bytes()[at..];
    let before = at.checked_sub(1).and_then(|before| sql.as_bytes().get(before)).copied();
    let (length, is_comment) = match rest {
        [b'-', b'-', ..] => (rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()), true),
        [b'/', b'*', ..] => (block_comment(rest), true),
        [b'\'', ..] => (quoted(rest, b'\'', is_escape_string(sql, at)), false),
        [b'"', ..] => (quoted(rest, b'"', false), false),
        [b'$', ..] if !before.is_some_and(is_word) => (dollar_quoted(&sql[at..])?, false),
        _ => return None,
    };
    Some((at + length, is_comment))
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Whether the quote at `at` follows an `E` that stands alone.
fn is_escape_string(sql: &str, at: usize) -> bool {
    let before = &sql.as_bytes()[..at];
    matches!(before, [rest @ .., b'e' | b'E'] if !rest.last().is_some_and(|byte| is_word(*byte)))
}

fn quoted(rest: &[u8], quote: u8, backslashes: bool) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match &rest[at..] {
            [b'\\', _, ..] if backslashes => at += 2,
            [first, second, ..] if *first == quote && *second == quote => at += 2,
            [first, ..] if *first == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn dollar_quoted(rest: &str) -> Option<usize> {
    let tag_end = 1 + rest[1..].find('$')?;
    let tag = &rest[1..tag_end];
    if !tag.bytes().all(is_word) || tag.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let delimiter = &rest[..=tag_end];
    let body = &rest[delimiter.len()..];
    Some(body.find(delimiter).map_or(rest.len(), |at| at + 2 * delimiter.len()))
}

fn fill(sql: &str, parameters: &Value) -> Result<(String, Vec<ParameterSwap>), String> {
    let (mut text, mut swaps, mut at, mut copied) = (String::with_capacity(sql.len()), Vec::new(), 0, 0);
    while at < sql.len() {
        if let Some((end, _)) = opaque(sql, at) {
            at = end;
        } else if let Some((end, value)) = parameter(sql, at, parameters)? {
            text.push_str(&sql[copied..at]);
            let sent_from = text.len();
            text.push_str(&literal(value));
            swaps.push(ParameterSwap { sent: (sent_from, text.len()), written: (at, end) });
            (at, copied) = (end, end);
        } else {
            at += 1;
        }
    }
    text.push_str(&sql[copied..]);
    Ok((text, swaps))
}

/// The end and the value of the parameter at `at`, if one is there.
fn parameter<'a>(sql: &str, at: usize, parameters: &'a Value) -> Result<Option<(usize, &'a Value)>, String> {
    let bytes = sql.as_bytes();
    let name_length = bytes[at + 1..].iter().take_while(|byte| is_word(**byte)).count();
    let end = at + 1 + name_length;
    let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied().unwrap_or(b' ');
    match (bytes[at], parameters) {
        (b'$', Value::Array(list)) if !is_word(before) => {
            let Ok(number) = sql[at + 1..end].parse::<usize>() else { return Ok(None) };
            let value = number.checked_sub(1).and_then(|index| list.get(index));
            let values = || count(list.len() as u64, "value");
            let missing = || format!("the SQL refers to ${number}, and `parameters` has {}", values());
            value.map(|value| Some((end, value))).ok_or_else(missing)
        }
        // A cast (`::text`) and a slice (`a[1:n]`) have colons too.
        (b':', Value::Object(map)) if !is_word(before) && !matches!(before, b':' | b')' | b']') => {
            let name = &sql[at + 1..end];
            if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
                return Ok(None);
            }
            map.get(name).map(|value| Some((end, value))).ok_or_else(|| {
                let hint = nearest(name, map.keys().map(String::as_str));
                let hint = hint.map(|near| format!("; did you mean `:{near}`?")).unwrap_or_default();
                format!("the SQL refers to `:{name}`, and `parameters` has no such name{hint}")
            })
        }
        _ => Ok(None),
    }
}

/// A value as a literal whose type the server takes from its context.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        // In parentheses, so that a minus before it does not make a comment.
        Value::Number(number) => format!("({number})"),
        Value::String(text) => quote(text),
        Value::Array(items) => quote(&array(items)),
        Value::Object(_) => quote(&value.to_string()),
    }
}

/// A text as a string literal, on one line so that places in the SQL stay where they are.
pub fn quote(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains(['\\', '\n']) {
        format!(" E'{}'", doubled.replace('\\', "\\\\").replace('\n', "\\n"))
    } else {
        format!("'{doubled}'")
    }
}

fn array(items: &[Value]) -> String {
    let mut text = String::from("{");
    for (index, item) in items.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = match item {
            Value::Null => write!(text, "{comma}NULL"),
            Value::Array(inner) => write!(text, "{comma}{}", array(inner)),
            Value::String(plain) => write!(text, "{comma}\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\"")),
            other => write!(text, "{comma}\"{}\"", other.to_string().replace('\\', "\\\\").replace('"', "\\\"")),
        };
    }
    text + "}"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cut(sql: &str) -> Vec<&str> {
        split(sql).into_iter().map(|(start, end)| &sql[start..end]).collect()
    }

    #[test]
    fn semicolons_inside_texts_and_comments_do_not_cut() {
        let sql =
            "-- a; b\nSELECT 'x;''y', E'\\';', \"a;b\" /* ; /* ; */ ; */;\n;SELECT $$a;b$$, $t$;$$;$t$; -- end;\n";
        assert_eq!(cut(sql), ["SELECT 'x;''y', E'\\';', \"a;b\" /* ; /* ; */ ; */", "SELECT $$a;b$$, $t$;$$;$t$"]);
        assert_eq!(cut("select 1 ; select 2"), ["select 1 ", "select 2"]);
        assert_eq!(cut(" ;; -- nothing\n"), Vec::<&str>::new());
    }

    #[test]
    fn a_function_body_and_a_rule_stay_whole() {
        let body = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END";
        assert_eq!(cut(&format!("{body}; SELECT 1")), [body, "SELECT 1"]);
        assert_eq!(cut("BEGIN; SELECT 1; END"), ["BEGIN", "SELECT 1", "END"]);
        assert_eq!(cut("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3").len(), 2);
    }

    fn filled(sql: &str, parameters: Value) -> Result<String, String> {
        statements("sql", sql, &parameters).map(|all| all.into_iter().map(|one| one.text).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn parameters_become_literals_outside_texts_only() {
        let map = json!({"name": "O'Neil\\", "n": -1, "none": null, "list": ["a b", 2, null]});
        assert_eq!(
            filled("SELECT :name::text, 5-:n, ':n', a[1:n]", map.clone()).unwrap(),
            "SELECT  E'O''Neil\\\\'::text, 5-(-1), ':n', a[1:n]"
        );
        assert_eq!(filled("x = :none OR y = ANY(:list)", map).unwrap(), "x = NULL OR y = ANY('{\"a b\",\"2\",NULL}')");
        assert_eq!(
            filled("SELECT $2, $1, '$1', $$ $1 $$", json!([true, "b"])).unwrap(),
            "SELECT 'b', true, '$1', $$ $1 $$"
        );
        assert_eq!(filled("SELECT $1, :x", Value::Null).unwrap(), "SELECT $1, :x");
    }

    #[test]
    fn a_missing_parameter_is_named() {
        assert!(filled("SELECT $3", json!([1])).unwrap_err().contains("$3"));
        assert!(filled("SELECT :mont", json!({"month": 1})).unwrap_err().contains("did you mean `:month`?"));
    }

    #[test]
    fn a_position_leads_back_to_the_users_line_and_column() {
        let sql = "SELECT 1;\nSELECT :long,\n  ü, wrong";
        let all = statements("sql", sql, &json!({"long": "x".repeat(50)})).unwrap();
        let position = |needle: &str| {
            all[1].text.char_indices().position(|(at, _)| all[1].text[at..].starts_with(needle)).unwrap() as u32 + 1
        };
        assert_eq!(all[1].place(position("wrong")), (3, 6));
        assert_eq!(all[1].place(position("xx")), (2, 8));
        assert_eq!(all[0].place(1), (1, 1));
        let inside = all[1].clone().inside("COPY (", ") TO STDOUT");
        assert_eq!(inside.place(position("wrong") + 6), (3, 6));
    }
}
