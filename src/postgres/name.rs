//! Names of tables and columns: read as Postgres reads them, and quoted, in this one place.

use crate::task::TaskError;
use crate::text::shortened;

/// The longest name, in bytes. The server cuts longer ones off, so that two of them may be one.
const MAX_NAME_BYTES: usize = 63;

/// A table, perhaps with its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// As Postgres reads it.
    read: String,
    /// As it is written, capital letters and all.
    written: String,
    /// As the user gives it.
    given: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.given)
    }
}

impl TableName {
    /// Reads `table` or `schema.table`. A name in double quotes is taken letter for letter, any other in small letters.
    ///
    /// # Errors
    /// When it is no such name.
    pub fn parse(text: &str) -> Result<Self, TaskError> {
        let parts = parts(text).map_err(|problem| not_a_name("table", text, &problem))?;
        if parts.len() > 2 {
            return Err(not_a_name("table", text, "it has more parts than a schema and a table"));
        }
        let join = |quoted: Vec<String>| quoted.join(".");
        Ok(Self {
            given: text.to_owned(),
            read: join(parts.iter().map(|part| quote_name(&part.read())).collect()),
            written: join(parts.iter().map(|part| quote_name(&part.written)).collect()),
        })
    }

    /// The name for SQL.
    pub fn sql(&self) -> &str {
        &self.read
    }

    /// The name for SQL, had it been written in quotes: where Postgres knows no table by the name as it reads it, the one
    /// with exactly this spelling is used.
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

struct NamePart {
    written: String,
    is_quoted: bool,
}

impl NamePart {
    /// As Postgres reads it.
    fn read(&self) -> String {
        if self.is_quoted { self.written.clone() } else { self.written.to_ascii_lowercase() }
    }
}

/// The name of a column that is to be made, for SQL. One in double quotes is taken letter for letter, any other in small
/// letters.
///
/// # Errors
/// When no column can have it.
pub fn new_column(name: &str) -> Result<String, TaskError> {
    let read = unquoted(name).unwrap_or_else(|| name.trim().to_lowercase());
    check(&read).map_err(|problem| not_a_name("column", name, &problem))?;
    Ok(quote_name(&read))
}

/// A name as the server keeps it: cut to the maximum length, in whole characters.
pub fn truncated(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME_BYTES)]
}

/// What a name in double quotes says; none where it is not in quotes as a whole.
pub fn unquoted(name: &str) -> Option<String> {
    let (part, after) = quoted_part(name.trim().strip_prefix('"')?).ok()?;
    after.is_empty().then_some(part.written)
}

/// A name of a table or column as the server reads it back, letter for letter.
pub fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn not_a_name(what: &str, text: &str, problem: &str) -> TaskError {
    let escaped = text.escape_debug().to_string();
    let printable = shortened(&escaped, 100);
    TaskError::permanent(format!("`{printable}` is not a valid {what} name: {problem}")).help(
        "a name of letters, digits and underscores stands as it is, any other in double quotes: \
         `'public.\"My Table\"'`",
    )
}

/// The parts of a name with dots between them.
fn parts(text: &str) -> Result<Vec<NamePart>, String> {
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted)?,
            None => plain_part(rest),
        };
        match after.chars().next() {
            Some(unexpected) if part.written.is_empty() && unexpected != '.' && !part.is_quoted => {
                return Err(format!("`{}` is not allowed in it", printable(unexpected)));
            }
            _ => check(&part.written)?,
        }
        parts.push(part);
        rest = match after.trim_start().strip_prefix('.') {
            Some(next) => next.trim_start(),
            None if after.trim().is_empty() => return Ok(parts),
            None => {
                let unexpected: String = after.chars().take(1).map(printable).collect();
                return Err(format!("`{unexpected}` is not allowed in it"));
            }
        };
    }
}

/// The text up to the closing quote, and what follows.
fn quoted_part(quoted: &str) -> Result<(NamePart, &str), String> {
    let mut written = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"').ok_or("its quotes are not closed")?;
        written.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                written.push('"');
                rest = next;
            }
            None => return Ok((NamePart { written, is_quoted: true }, after)),
        }
    }
}

fn plain_part(rest: &str) -> (NamePart, &str) {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_$-".contains(letter);
    let begins = rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    let end = if begins { rest.find(|letter| !is_plain(letter)).unwrap_or(rest.len()) } else { 0 };
    let (part, after) = rest.split_at(end);
    (NamePart { written: part.to_owned(), is_quoted: false }, after)
}

/// A character as it is, unless nobody would see it.
fn printable(unexpected: char) -> String {
    if unexpected.is_control() { unexpected.escape_debug().to_string() } else { unexpected.to_string() }
}

fn check(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("it is empty, or a part of it is".to_owned()),
        length if length > MAX_NAME_BYTES => {
            Err(format!("it has {length} bytes, and a name has {MAX_NAME_BYTES} at most"))
        }
        _ if name.contains('\0') => Err("it holds a zero byte".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> String {
        TableName::parse(text).unwrap_or_else(|error| panic!("{error}")).sql().to_owned()
    }

    #[test]
    fn names_are_read_as_postgres_reads_them() {
        assert_eq!(sql("Green_Tripdata"), r#""green_tripdata""#);
        assert_eq!(sql(" public . trips "), r#""public"."trips""#);
        assert_eq!(sql(r#""My ""Data"""."Select.From""#), r#""My ""Data"""."Select.From""#);
        assert_eq!(sql("ünïcode"), r#""ünïcode""#);
        assert_eq!(sql("order"), r#""order""#);
        assert_eq!(sql("2020-trips$1"), r#""2020-trips$1""#);
        assert_eq!(sql("\"a;\n--b\""), "\"a;\n--b\"");
        assert_eq!(sql(&"x".repeat(63)).len(), 65);
        assert_eq!(TableName::parse("public.Zones").unwrap().as_written(), r#""public"."Zones""#);
        for (given, column) in [
            ("VendorID", r#""vendorid""#),
            (" the Note ", r#""the note""#),
            (r#""VendorID""#, r#""VendorID""#),
            (r#""a""B.c""#, r#""a""B.c""#),
            (r#""a"; b"#, r#""""a""; b""#),
        ] {
            assert_eq!(new_column(given).unwrap(), column, "{given}");
        }
    }

    #[test]
    fn invalid_names_are_refused_with_a_reason() {
        let long = "ü".repeat(32);
        let cases = [
            ("x(id int);DROP TABLE victim;--", "`(` is not allowed in it"),
            ("x;drop table victim", "`;` is not"),
            ("x--", ""),
            ("x/**/y", "`/` is not"),
            ("x'y", "`'` is not"),
            ("my table", "` ` is not"),
            ("a\nb", "`\\n` is not"),
            ("a.b.c", "more parts"),
            ("", "is empty"),
            ("a.", "is empty"),
            (r#""""#, "is empty"),
            (r#""a"#, "not closed"),
            (r#""a"b"#, "`b` is not"),
            ("\"a\0\"", "zero byte"),
            (&long, "64 bytes"),
        ];
        for (text, part) in cases {
            match (TableName::parse(text), part) {
                (Ok(name), "") => assert_eq!(name.sql(), format!("\"{text}\""), "quoted it is harmless"),
                (Ok(name), _) => panic!("{text} is taken for {}", name.sql()),
                (Err(error), part) => assert!(error.message.contains(part), "{text}: {error}"),
            }
        }
    }
}
