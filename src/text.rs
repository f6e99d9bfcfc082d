//! Bytes, numbers and values as text, and any text as a terminal may show it.

use std::borrow::Cow;

use serde_json::Value;

/// Two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How deep values from outside may nest. The journal keeps them within its own, and JSON is read to a depth of 128.
pub const MAX_DEPTH: usize = 100;

/// Whether a value nests deeper than [`MAX_DEPTH`] levels.
pub fn nests_too_deeply(value: &Value) -> bool {
    fn is_deeper(value: &Value, left: usize) -> bool {
        let inner = |value: &Value| left == 0 || is_deeper(value, left - 1);
        match value {
            Value::Array(items) => left == 0 || items.iter().any(inner),
            Value::Object(map) => left == 0 || map.values().any(inner),
            _ => false,
        }
    }
    is_deeper(value, MAX_DEPTH)
}

/// Why a text is not JSON, and where.
pub fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text.split(" at line ").next().unwrap_or_default();
    let why = match error.is_eof() {
        true => "it ends before it is complete",
        false => words,
    };
    format!("this is not JSON: {why} (line {}, column {})", error.line(), error.column())
}

/// What the system says, without its own number for it: `(os error 2)`.
pub fn without_number(text: &str) -> Cow<'_, str> {
    let Some((before, rest)) = text.split_once(" (os error ") else { return Cow::Borrowed(text) };
    let behind = rest.split_once(')').map_or("", |(_, behind)| behind);
    Cow::Owned(format!("{before}{behind}"))
}

/// A body from outside: as JSON, or as it is where it is none.
///
/// # Errors
/// When it nests deeper than [`MAX_DEPTH`] levels.
pub fn json_or_text(text: String) -> Result<Value, String> {
    let too_deep = || format!("the body is nested more than {MAX_DEPTH} levels deep");
    match serde_json::from_str(&text) {
        Ok(value) if nests_too_deeply(&value) => Err(too_deep()),
        Ok(value) => Ok(value),
        // JSON is read to a depth of 128; after that it may be JSON or not.
        Err(error) if error.to_string().starts_with("recursion limit") => Err(too_deep()),
        Err(_) => Ok(Value::String(text)),
    }
}

/// An error with all its causes, each once, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    without_number(&causes(error)).into_owned()
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A text as it stands, anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The beginning of a text, of no more than so many letters. The mark after what is cut off tells the redactor, too,
/// that half a secret may be before it.
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// A text as one word of a POSIX shell.
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Writes a text so that it may stand anywhere in a URL.
pub fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// `980 B`, `12.3 kB`, `1.6 MB`
pub fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let (mut amount, mut unit) = (bytes as f64, "B");
    for larger in units {
        if amount < 999.5 {
            break;
        }
        (amount, unit) = (amount / 1000.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") }
}

/// An amount of bytes such as `500MB` or `20 GB`, in powers of 1000.
pub fn bytes(text: &str) -> Option<u64> {
    let upper = text.trim().to_uppercase();
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3), ("B", 1.0), ("", 1.0)];
    units.iter().find_map(|(unit, factor)| {
        let number: f64 = upper.strip_suffix(unit)?.trim().parse().ok()?;
        (number >= 0.0 && number.is_finite()).then_some((number * factor) as u64)
    })
}

/// `1,734,051`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `1,734,051 rows`: a count and what is counted, in the plural unless it is one.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number))
}

/// A text whose control characters, and those that change the direction of writing, are shown and not obeyed: `\x1b`.
/// Line breaks and tabs stay. JSON stays what it says: what may be in it unescaped becomes its own escape.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => shown.push(letter),
            '\r' => shown.push_str("\\r"),
            '\0'..'\x20' if is_hidden(letter) => shown.push_str(&format!("\\x{:02x}", u32::from(letter))),
            letter if is_hidden(letter) => shown.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// The same in one line, for what has no lines, such as a name.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        shown if shown.contains('\n') => Cow::Owned(shown.replace("\r\n", "\\n").replace('\n', "\\n")),
        shown => shown,
    }
}

/// A text whose further lines are indented, so that none of them looks like a line of its own.
pub fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{}", " ".repeat(by)))
}

fn is_hidden(letter: char) -> bool {
    let is_direction =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    is_direction || (letter.is_control() && !matches!(letter, '\n' | '\t'))
}

/// Compares names as people number them: `f2` before `f10`.
pub fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut left, mut right) = (pieces(a), pieces(b));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (Some(left), Some(right)) => compare(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Runs of digits and of other letters, in turn.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest.find(|letter: char| letter.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let piece;
        (piece, rest) = rest.split_at(end);
        Some(piece)
    })
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    let is_number = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    if !is_number(a) || !is_number(b) {
        return a.cmp(b);
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_that_fit() {
        let sizes = [0, 999, 1000, 12_345, 1_649_267_441, 999_960].map(size);
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "12.3 kB", "1.6 GB", "1.0 MB"]);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2000].map(|number| count(number, "row")), ["0 rows", "1 row", "2,000 rows"]);
    }

    #[test]
    fn texts_lose_their_quotes_and_numbers_get_commas_and_bytes_keep_their_zeros() {
        assert_eq!([plain(&"a".into()), plain(&1.into()), plain(&Value::Null)], ["a", "1", "null"]);
        assert_eq!([thousands(0), thousands(999), thousands(1_734_051)], ["0", "999", "1,734,051"]);
        let nested = |levels| (0..levels).fold(Value::Null, |value, _| Value::Array(vec![value]));
        assert_eq!([100, 101].map(|levels| nests_too_deeply(&nested(levels))), [false, true]);
        for levels in [100, 101, 127, 128, 129, 1_000_000] {
            let body = "[".repeat(levels) + &"]".repeat(levels);
            assert_eq!(json_or_text(body).is_ok(), levels <= 100, "{levels}");
        }
        assert_eq!(json_or_text("no JSON".to_owned()), Ok("no JSON".into()));
        assert_eq!([shortened("aü", 2), shortened("aüb", 2)], ["aü", "aü…"]);
        assert_eq!(hex(&[0, 10, 255]), "000aff");
        assert_eq!([shell_quoted("it's $HOME"), shell_quoted("")], [r"'it'\''s $HOME'", "''"]);
    }

    #[test]
    fn control_characters_are_shown_and_json_stays_what_it_is() {
        assert_eq!(visible("a\x1b[31mR\u{9b}\u{202e}x\r\ny\tz\r"), "a\\x1b[31mR\\u009b\\u202ex\r\ny\tz\\r");
        assert_eq!(visible_line("a\r\nb\nc"), "a\\nb\\nc");
        let data = serde_json::json!({"a\u{7f}": "\u{1b}[2J\u{9b}\u{202e}\u{feff}\n\r ü 😀"});
        for json in [data.to_string(), format!("{data:#}")] {
            assert_eq!(serde_json::from_str::<Value>(&visible(&json)).unwrap(), data, "{json}");
        }
    }
}
