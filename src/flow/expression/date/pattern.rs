//! Java's date patterns, read.

/// The formats that have names. What no letter of Java's can say is written in capital Greek.
const NAMED: &[(&str, &str)] = &[
    ("iso", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"),
    ("iso_milli", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"),
    ("iso_sec", "yyyy-MM-dd'T'HH:mm:ssXXX"),
    ("sql", "yyyy-MM-dd HH:mm:ss.SSSSSS"),
    ("sql_milli", "yyyy-MM-dd HH:mm:ss.SSS"),
    ("sql_sec", "yyyy-MM-dd HH:mm:ss"),
    ("sql_seq", "yyyy-MM-dd HH:mm:ss"),
    ("iso_date_time", "yyyy-MM-dd'T'HH:mm:ssΦXXX'['VV']'"),
    ("iso_date", "yyyy-MM-ddXXX"),
    ("iso_time", "HH:mm:ssΦXXX"),
    ("iso_local_date", "yyyy-MM-dd"),
    ("iso_instant", "yyyy-MM-dd'T'HH:mm:ssΦXXX"),
    ("iso_local_date_time", "yyyy-MM-dd'T'HH:mm:ssΦ"),
    ("iso_local_time", "HH:mm:ssΦ"),
    ("iso_offset_time", "HH:mm:ssΦXXX"),
    ("iso_offset_date_time", "yyyy-MM-dd'T'HH:mm:ssΦXXX"),
    ("iso_ordinal_date", "yyyy-DDDXXX"),
    ("iso_week_date", "ΨXXX"),
    ("iso_zoned_date_time", "yyyy-MM-dd'T'HH:mm:ssΦXXX'['VV']'"),
    ("rfc_1123_date_time", "EEE, d MMM yyyy HH:mm:ss Ω"),
];

/// The letters that are understood.
const LETTERS: &str = "yuMLdDHhKkmsSnAaEQqwYGVzXxZ";

/// A pattern in pieces.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) pieces: Vec<PatternPiece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PatternPiece {
    Text(String),
    /// A letter and how often it is there.
    Field(char, usize),
    /// The second's fraction with its dot, as long as need be; nothing if it is zero.
    Fraction,
    /// `2024-W05-3`
    Week,
    /// `GMT` or `+0200`
    Gmt,
}

impl Pattern {
    /// The pattern of a format's name, or the pattern itself.
    pub(super) fn find(format: &str) -> Result<Self, String> {
        match NAMED.iter().find(|(name, _)| *name == format) {
            Some((_, pattern)) => Self::parse(pattern),
            None => Self::parse(format),
        }
    }

    fn parse(pattern: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut letters = pattern.chars().peekable();
        while let Some(letter) = letters.next() {
            let piece = match letter {
                '\'' => quoted(&mut letters).ok_or_else(|| format!("the pattern `{pattern}` has no closing '"))?,
                'Φ' => PatternPiece::Fraction,
                'Ψ' => PatternPiece::Week,
                'Ω' => PatternPiece::Gmt,
                '[' | ']' | '{' | '}' | '#' => {
                    return Err(format!("`{letter}` in the pattern `{pattern}` is not supported"));
                }
                letter if letter.is_ascii_alphabetic() => {
                    if !LETTERS.contains(letter) {
                        return Err(format!(
                            "the pattern `{pattern}` has the unknown letter `{letter}`; put literal text in '…'"
                        ));
                    }
                    let mut count = 1;
                    while letters.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if count > 9 {
                        return Err(format!("the pattern `{pattern}` repeats `{letter}` too often"));
                    }
                    PatternPiece::Field(letter, count)
                }
                other => PatternPiece::Text(other.to_string()),
            };
            pieces.push(piece);
        }
        Ok(Self { pieces })
    }
}

/// A quoted text up to its end; `''` is a quotation mark.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars>) -> Option<PatternPiece> {
    if letters.next_if_eq(&'\'').is_some() {
        return Some(PatternPiece::Text("'".to_owned()));
    }
    let mut text = String::new();
    loop {
        match letters.next()? {
            '\'' if letters.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Some(PatternPiece::Text(text)),
            letter => text.push(letter),
        }
    }
}
