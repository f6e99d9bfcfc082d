//! What the values of a column say about its type.

use std::borrow::Cow;

use super::forms::{self, NumberForm};
use super::kind::InferredType;
use super::lists;
use super::tally::{self, OddValue, ValueTally};
use crate::diagnostic::Diagnostic;
use crate::stream::{BadRow, ColumnType, Conversions, Result, json, value};

const BOOLEAN: u8 = 1;
/// `t` and `f`, as Postgres prints truth values.
const LETTER: u8 = 2;
const DATE: u8 = 4;
const TIMESTAMP: u8 = 8;
const TIMESTAMPTZ: u8 = 16;
const NUMBER: u8 = 32;
const ALL: u8 = 63;
/// The types of which is known how many values have them.
const TALLIED: [u8; 5] = [BOOLEAN, DATE, TIMESTAMP, TIMESTAMPTZ, NUMBER];
/// Values that are looked at for all types, also for those that an earlier value has ruled out.
const SAMPLE_VALUES: u64 = 10_000;

/// What is known of a column's values so far.
#[derive(Clone, Debug)]
pub(in crate::stream) struct Evidence {
    /// The types that all values can have, besides text.
    possible: u8,
    values: u64,
    has_letters: [bool; 2],
    numbers: Numbers,
    /// Whether there are lists or objects of JSON.
    is_nested: bool,
    /// The keys that lead to a list of objects within the first value of JSON, if there is one.
    list: Option<String>,
    tallies: [ValueTally; TALLIED.len()],
    /// Words that may stand for NULL.
    null_words: u64,
    /// Whether a number is written with the decimal character that was given, and with that between groups.
    has_mark: [bool; 2],
    /// The first value that is no text in the encoding that was assumed.
    pub invalid: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Numbers {
    has_digits: bool,
    /// Whether all are whole and fit 64 bits.
    are_whole: bool,
    has_exponents: bool,
    has_nan: bool,
    has_infinity: bool,
    /// Whether doubles hold all of them exactly.
    are_exact_doubles: bool,
}

impl Default for Evidence {
    fn default() -> Self {
        let numbers = Numbers {
            has_digits: false,
            are_whole: true,
            has_exponents: false,
            has_nan: false,
            has_infinity: false,
            are_exact_doubles: true,
        };
        Self {
            possible: ALL,
            values: 0,
            has_letters: [false; 2],
            numbers,
            is_nested: false,
            list: None,
            tallies: Default::default(),
            null_words: 0,
            has_mark: [false; 2],
            invalid: None,
        }
    }
}

impl Evidence {
    /// Takes a field of a CSV file that is not NULL. One of blanks alone says nothing.
    pub(in crate::stream) fn field(&mut self, field: &[u8], conversions: &Conversions, line: u64) {
        let asked = self.asked();
        if asked == 0 {
            return self.check_text(field);
        }
        let text = field.trim_ascii();
        if !text.is_empty() {
            let found = self.types_of(text, conversions, asked);
            self.narrow(found, asked, field, line);
        }
    }

    /// The types that the next value is looked at for.
    fn asked(&self) -> u8 {
        if self.values < SAMPLE_VALUES { ALL } else { self.possible }
    }

    /// Takes a value of JSON.
    pub(in crate::stream) fn json(&mut self, value: &[u8], line: u64) {
        let asked = self.asked();
        let found = match value.first() {
            None | Some(b'n') => return,
            Some(b'{' | b'[') => {
                if !self.is_nested {
                    self.list = lists::path(value);
                }
                self.is_nested = true;
                return;
            }
            Some(b't' | b'f') => BOOLEAN,
            Some(b'"') if asked & (DATE | TIMESTAMP | TIMESTAMPTZ) == 0 => 0,
            Some(b'"') => json::text_value(value).map_or(0, |text| times(&text, &Conversions::default(), asked)),
            Some(_) => self.number(value),
        };
        self.narrow(found, asked, value, line);
    }

    fn check_text(&mut self, field: &[u8]) {
        if !field.is_ascii() && self.invalid.is_none() && std::str::from_utf8(field).is_err() {
            self.invalid = Some(field.to_owned());
        }
    }

    fn narrow(&mut self, found: u8, asked: u8, value: &[u8], line: u64) {
        if found == 0 {
            self.check_text(value);
            self.null_words += u64::from(asked > 0 && tally::is_null_word(value));
        }
        for (kind, tally) in TALLIED.into_iter().zip(&mut self.tallies).filter(|(kind, _)| asked & kind > 0) {
            tally.take(found & kind > 0, value, line);
        }
        self.possible &= found;
        self.values += 1;
    }

    /// Which of these types a text can have.
    fn types_of(&mut self, text: &[u8], conversions: &Conversions, asked: u8) -> u8 {
        let mut found = 0;
        if asked & BOOLEAN > 0 && is_boolean(text, conversions) {
            found |= BOOLEAN;
        }
        if asked & LETTER > 0 && matches!(text, b"t" | b"f") {
            self.has_letters[usize::from(text == b"f")] = true;
            found |= LETTER;
        }
        if asked & (DATE | TIMESTAMP | TIMESTAMPTZ) > 0 {
            found |= times(text, conversions, asked);
        }
        if asked & NUMBER > 0
            && let Some(number) = conversions.convert(text, ColumnType::Numeric)
        {
            found |= self.number(&number);
            for (mark, has) in [conversions.decimal, conversions.thousands].into_iter().zip(&mut self.has_mark) {
                *has |= found & NUMBER > 0
                    && mark.and_then(|mark| u8::try_from(mark).ok()).is_some_and(|mark| text.contains(&mark));
            }
        }
        found
    }

    fn number(&mut self, text: &[u8]) -> u8 {
        let Some(form) = forms::number(text) else { return 0 };
        let numbers = &mut self.numbers;
        match form {
            NumberForm::Nan => numbers.has_nan = true,
            NumberForm::Infinite => numbers.has_infinity = true,
            form => {
                numbers.has_digits = true;
                numbers.are_whole &= form == NumberForm::Whole;
                numbers.has_exponents |= form == NumberForm::Exponent;
                numbers.are_exact_doubles =
                    numbers.are_exact_doubles && (forms::is_short(text, form) || value::is_exact_double(text));
            }
        }
        NUMBER
    }

    /// The type that all values have and lose nothing by.
    pub(super) fn kind(&self) -> InferredType {
        let has = |kind: u8| self.possible & kind > 0;
        match () {
            () if self.is_nested => InferredType::Jsonb,
            () if self.values == 0 => InferredType::Text,
            () if has(BOOLEAN) || has(LETTER) && self.has_letters == [true; 2] => InferredType::Boolean,
            () if has(DATE) => InferredType::Date,
            () if has(TIMESTAMP) => InferredType::Timestamp,
            () if has(TIMESTAMPTZ) => InferredType::TimestampTz,
            () if has(NUMBER) => self.numbers.kind(),
            () => InferredType::Text,
        }
    }

    /// What the reader should know of the type, if anything.
    pub(super) fn note(&self) -> Option<String> {
        if self.values == 0 && !self.is_nested {
            return Some("no values".to_owned());
        }
        let is_text = !self.is_nested && self.kind() == InferredType::Text;
        let of = |(kind, tally): (u8, &'_ ValueTally)| Some((tally.fits, self.kind_of(kind)?, tally.odd.clone()?));
        let all = TALLIED.into_iter().zip(&self.tallies).filter_map(of);
        // A type that at least half of the values have.
        let near = all.filter(|(fits, ..)| *fits > 0 && fits * 2 >= self.values - self.null_words);
        let (_, before, odd) = near.filter(|_| is_text).max_by_key(|(fits, ..)| *fits)?;
        Some(format!("{before} but for {odd}{}", odd.hint()))
    }

    /// The first value that is no date, if any are dates.
    pub(super) fn odd_date(&self) -> Option<&OddValue> {
        self.odd_of(DATE)
    }

    /// The first value that is no timestamp, if any are timestamps.
    pub(super) fn odd_timestamp(&self) -> Option<&OddValue> {
        self.odd_of(TIMESTAMP).or_else(|| self.odd_of(TIMESTAMPTZ))
    }

    /// The first value that is no number, if any are numbers.
    pub(super) fn odd_number(&self) -> Option<&OddValue> {
        self.odd_of(NUMBER)
    }

    /// The first value that is not true or false, if any are.
    pub(super) fn odd_boolean(&self) -> Option<&OddValue> {
        self.odd_of(BOOLEAN)
    }

    fn odd_of(&self, kind: u8) -> Option<&OddValue> {
        let found = TALLIED.into_iter().zip(&self.tallies).find(|(other, _)| *other == kind);
        found.filter(|(_, tally)| tally.fits > 0)?.1.odd.as_ref()
    }

    /// Whether numbers are written with the decimal character that was given, and with that between groups.
    pub(super) fn marks(&self) -> [bool; 2] {
        self.has_mark
    }

    /// The keys that lead to a list of objects within the column's first value; an empty text if it is the value itself.
    pub(super) fn list(&self) -> Option<&str> {
        self.list.as_deref()
    }

    /// The type that those of the values have that have this one; none of numbers that are no numbers.
    fn kind_of(&self, kind: u8) -> Option<InferredType> {
        Some(match kind {
            BOOLEAN => InferredType::Boolean,
            DATE => InferredType::Date,
            TIMESTAMP => InferredType::Timestamp,
            TIMESTAMPTZ => InferredType::TimestampTz,
            _ => Some(self.numbers.kind()).filter(|kind| *kind != InferredType::Text)?,
        })
    }

    /// Whether there is any value that tells the type, and it is none of a text.
    pub(super) fn is_typed(&self) -> bool {
        self.values > 0 && self.kind() != InferredType::Text
    }

    /// Whether one more field would leave the type possible; none where it is empty.
    pub(super) fn would_take(&self, field: &[u8], conversions: &Conversions) -> Option<bool> {
        let text = field.trim_ascii();
        (!text.is_empty()).then(|| self.clone().types_of(text, conversions, self.possible) > 0)
    }
}

impl Numbers {
    fn kind(self) -> InferredType {
        let is_special = self.has_nan || self.has_infinity;
        match () {
            () if !self.has_digits => InferredType::Text,
            () if self.are_whole && !is_special => InferredType::BigInt,
            () if (self.has_exponents || is_special) && self.are_exact_doubles => InferredType::Double,
            // The servers of before version 14 have no infinite decimals.
            () if self.has_infinity => InferredType::Text,
            () => InferredType::Numeric,
        }
    }
}

/// `true` and `false` in any case, or as the file writes them. `yes`, `N` and `no` may mean something else.
fn is_boolean(text: &[u8], conversions: &Conversions) -> bool {
    let converted = conversions.convert(text, ColumnType::Bool).unwrap_or(Cow::Borrowed(text));
    converted.eq_ignore_ascii_case(b"true") || converted.eq_ignore_ascii_case(b"false")
}

/// Which day or moment a text may be, of these types.
fn times(text: &[u8], conversions: &Conversions, asked: u8) -> u8 {
    let is_date = match &conversions.date {
        Some(_) => conversions.convert(text, ColumnType::Date).is_some(),
        None => forms::is_date(text),
    };
    if asked & DATE > 0 && is_date {
        return DATE;
    }
    let text = match &conversions.timestamp {
        Some(_) => conversions.convert(text, ColumnType::Timestamp),
        None => Some(Cow::Borrowed(text)),
    };
    match text.and_then(|text| forms::timestamp(&text)) {
        Some(true) => TIMESTAMPTZ,
        Some(false) => TIMESTAMP,
        None => 0,
    }
}

/// Looks at the rows of a file.
pub(in crate::stream) struct RowScan<'a> {
    /// How many there are so far.
    pub rows: u64,
    /// How many of them are no rows.
    pub bad_rows: u64,
    /// The first that is no row.
    pub first_bad: Option<BadRow>,
    /// Whether to stop.
    pub is_stopped: &'a dyn Fn() -> bool,
}

impl RowScan<'_> {
    /// Whether to go on.
    ///
    /// # Errors
    /// When somebody stops it.
    pub(in crate::stream) fn check(&self) -> Result<()> {
        if (self.is_stopped)() { Err(Box::new(Diagnostic::error("stopped"))) } else { Ok(()) }
    }

    /// Takes a row that is none.
    pub(in crate::stream) fn bad(&mut self, row: impl FnOnce() -> BadRow) {
        self.bad_rows += 1;
        if self.first_bad.is_none() {
            self.first_bad = Some(row());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::TimeFormat;

    fn of(values: &[&str], conversions: &Conversions) -> (String, Option<String>) {
        let mut evidence = Evidence::default();
        values.iter().zip(2..).for_each(|(value, line)| evidence.field(value.as_bytes(), conversions, line));
        (evidence.kind().to_string(), evidence.note())
    }

    #[test]
    fn a_column_has_the_type_that_all_values_have_and_lose_nothing_by() {
        let cases: [(&[&str], &str); 30] = [
            (&["1", "-2", " 3 "], "bigint"),
            (&["1", "9223372036854775808"], "numeric"),
            (&["1", "2.50"], "numeric"),
            (&["01", "2"], "text"),
            (&["1", "02"], "text"),
            (&["1e5", "2"], "double precision"),
            (&["1e5", "0.12345678901234567890123"], "numeric"),
            (&["1.5", "NaN"], "double precision"),
            (&["12345678901234567.5", "NaN"], "numeric"),
            (&["12345678901234567.5", "inf"], "text"),
            (&["NaN"], "text"),
            (&["true", "FALSE"], "boolean"),
            (&["t", "f"], "boolean"),
            (&["f", "f"], "text"),
            (&["t", "true"], "text"),
            (&["yes", "no"], "text"),
            (&["NO"], "text"),
            (&["N", "Y"], "text"),
            (&["1", "0"], "bigint"),
            (&["1", "true"], "text"),
            (&["2020-04-01", ""], "date"),
            (&["2020-04-01", "2020-04-01 00:00:00"], "text"),
            (&["2020-04-01 00:44:02", "2020-04-01T00:44:02.5"], "timestamp"),
            (&["2020-04-01T00:44:02Z", "2020-04-01 00:44:02+02"], "timestamptz"),
            (&["2020-04-01 00:44:02", "2020-04-01T00:44:02Z"], "text"),
            (&["20200401"], "bigint"),
            (&["01/02/2020"], "text"),
            (&["", "  "], "text"),
            (&[], "text"),
            (&["+49123"], "text"),
        ];
        for (values, expected) in cases {
            assert_eq!(of(values, &Conversions::default()).0, expected, "{values:?}");
        }
    }

    #[test]
    fn a_text_says_which_value_makes_it_one() {
        let note = |values: &[&str]| of(values, &Conversions::default()).1;
        assert_eq!(
            note(&["1", "2", "NA"]).unwrap(),
            "bigint but for `NA` on line 4; if that means NULL, set `null_string`"
        );
        assert_eq!(note(&["2.5", "x96"]).unwrap(), "numeric but for `x96` on line 3");
        assert_eq!(note(&[]).unwrap(), "no values");
        assert_eq!(note(&["a", "b", "1"]), None);
        assert_eq!(note(&["1", "a", "b"]), None);
        // Whatever the order of the rows.
        assert_eq!(note(&["x", "5", "6"]).unwrap(), "bigint but for `x` on line 2");
        assert_eq!(
            note(&["NA", "NA", "5"]).unwrap(),
            "bigint but for `NA` on line 2; if that means NULL, set `null_string`"
        );
        assert_eq!(note(&["2020-02-30", "2020-02-28"]).unwrap(), "date but for `2020-02-30` on line 2");
    }

    #[test]
    fn the_files_own_way_of_writing_counts() {
        let format = |text: &str| Some(TimeFormat::try_from(text.to_owned()).unwrap());
        let german = Conversions {
            decimal: Some(','),
            thousands: Some('.'),
            date: format("%d.%m.%Y"),
            timestamp: format("%d.%m.%Y %H:%M"),
            true_values: vec!["ja".to_owned()],
            false_values: vec!["nein".to_owned()],
        };
        for (values, expected) in [
            (&["1.234", "5"][..], "bigint"),
            (&["1.234,5"], "numeric"),
            (&["1.5"], "text"),
            (&["01.04.2020"], "date"),
            (&["2020-04-01"], "text"),
            (&["01.04.2020 23:59"], "timestamp"),
            (&["ja", "nein"], "boolean"),
        ] {
            assert_eq!(of(values, &german).0, expected, "{values:?}");
        }
        let digits = Conversions { true_values: vec!["1".to_owned()], false_values: vec!["0".to_owned()], ..german };
        assert_eq!(of(&["1", "0"], &digits).0, "boolean");
        assert_eq!(of(&["1", "2"], &digits).0, "bigint");
    }

    #[test]
    fn json_tells_strings_from_numbers() {
        let kind = |values: &[&str]| {
            let mut evidence = Evidence::default();
            values.iter().for_each(|value| evidence.json(value.as_bytes(), 1));
            evidence.kind().to_string()
        };
        for (values, expected) in [
            (&["1", "null", "2"][..], "bigint"),
            (&["1", "2.5"], "numeric"),
            (&["true", "false"], "boolean"),
            (&["\"1\""], "text"),
            (&["\"true\""], "text"),
            (&["\"2020-04-01\""], "date"),
            (&["\"2020-04-01T00:00:00Z\""], "timestamptz"),
            (&["1", "\"a\""], "text"),
            (&["[1]", "null"], "jsonb"),
            (&["{}", "\"a\"", "1"], "jsonb"),
            (&["null"], "text"),
        ] {
            assert_eq!(kind(values), expected, "{values:?}");
        }
    }
}
