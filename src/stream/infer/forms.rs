//! Which values are certainly of a type, and lose nothing as one: stricter than what a server reads.

use crate::stream::timestamp::{parse_date, parse_timestamptz};
use crate::stream::value::{digits, parse_int};

/// The longest number, and the largest power of ten.
const MAX_NUMBER_BYTES: usize = 1000;
const MAX_POWER: u32 = 1000;
/// A whole number of so many digits fits 64 bits, whatever they are.
const SURE_DIGITS: usize = 18;
/// A number of so many characters without an exponent is one that a double holds.
const SHORT_BYTES: usize = 15;

/// What kind of number a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberForm {
    /// A whole number of 64 bits.
    Whole,
    /// A decimal number, or a whole one that is longer.
    Decimal,
    /// A number with an exponent.
    Exponent,
    /// No number: NaN.
    Nan,
    /// Infinity, with or without a sign.
    Infinite,
}

/// A number, if its text says no more than its value: `007` may be a code, `+49…` a telephone number.
pub(super) fn number(text: &[u8]) -> Option<NumberForm> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    if text.eq_ignore_ascii_case(b"nan") {
        return Some(NumberForm::Nan);
    }
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Some(NumberForm::Infinite);
    }
    if text.len() > MAX_NUMBER_BYTES {
        return None;
    }
    let (whole, rest) = digits(unsigned);
    if whole > 1 && unsigned.first() == Some(&b'0') {
        return None;
    }
    let (decimals, rest) = match rest.strip_prefix(b".") {
        Some(rest) => digits(rest),
        None => (0, rest),
    };
    if whole + decimals == 0 {
        return None;
    }
    match rest.split_first() {
        None if whole == unsigned.len() && text != b"-0" && (whole <= SURE_DIGITS || parse_int(text, 64).is_some()) => {
            Some(NumberForm::Whole)
        }
        None => Some(NumberForm::Decimal),
        Some((b'e' | b'E', power)) => {
            let power = power.strip_prefix(b"-").or_else(|| power.strip_prefix(b"+")).unwrap_or(power);
            let is_power = digits(power) == (power.len(), &[][..]);
            let power: u32 = std::str::from_utf8(power).ok().filter(|_| is_power)?.parse().ok()?;
            (power <= MAX_POWER).then_some(NumberForm::Exponent)
        }
        Some(_) => None,
    }
}

/// Whether a number of this form is certainly one that a double holds with all its digits.
pub(super) fn is_short(text: &[u8], form: NumberForm) -> bool {
    text.len() <= SHORT_BYTES && matches!(form, NumberForm::Whole | NumberForm::Decimal)
}

/// Whether a text is a day such as `2020-04-01`.
pub(super) fn is_date(text: &[u8]) -> bool {
    let is_due = |(at, byte): (usize, &u8)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.iter().enumerate().all(is_due) && parse_date(text).is_some()
}

/// A day and a time such as `2020-04-01 00:44:02.5`, and whether an offset from UTC follows. What would be rounded or
/// written otherwise is none.
pub(super) fn timestamp(text: &[u8]) -> Option<bool> {
    let (day, rest) = text.split_at_checked(10)?;
    let time = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"T"))?;
    let (hour, rest) = two_digits(time)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => two_digits(rest)?,
        None => (0, rest),
    };
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let (count, rest) = digits(fraction);
            let behind = fraction.get(6..count).unwrap_or_default();
            if count == 0 || behind.iter().any(|digit| *digit != b'0') {
                return None;
            }
            rest
        }
        None => rest,
    };
    let is_real = hour < 24 && minute < 60 && second < 60 && is_date(day);
    // What is left of the others is an offset from UTC.
    (is_real && (rest.is_empty() || parse_timestamptz(text).is_some())).then_some(!rest.is_empty())
}

fn two_digits(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    let number = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?.parse().ok()?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_only_if_its_text_says_no_more() {
        let form = |text: &str| number(text.as_bytes());
        for text in ["0", "7", "-7", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(form(text), Some(NumberForm::Whole), "{text}");
        }
        for text in ["9223372036854775808", "0.5", ".5", "5.", "-0", "1.50", "-0.0"] {
            assert_eq!(form(text), Some(NumberForm::Decimal), "{text}");
        }
        for text in ["1e5", "1.5E-7", "-2e+3"] {
            assert_eq!(form(text), Some(NumberForm::Exponent), "{text}");
        }
        assert_eq!((form("NaN"), form("-inf"), form("Infinity")).0, Some(NumberForm::Nan));
        assert_eq!(form("-inf"), Some(NumberForm::Infinite));
        for text in ["", "-", ".", "007", "00", "-01", "01.5", "+5", "1,5", "1e", "1e2000", "0x1F", "1 2", "--1", "12a"]
        {
            assert_eq!(form(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_times_are_those_that_nothing_is_lost_of() {
        for text in ["2020-04-01", "0001-01-01", "9999-12-31"] {
            assert!(is_date(text.as_bytes()), "{text}");
        }
        for text in ["2020-4-1", "2020-02-30", "20200401", "01/02/2020", "2020-04-01 ", "2020/04/01", "0000-01-01"] {
            assert!(!is_date(text.as_bytes()), "{text}");
        }
        let at = |text: &str| timestamp(text.as_bytes());
        for text in
            ["2020-04-01 00:44:02", "2020-04-01T00:44", "2020-04-01 00:44:02.123456", "2020-04-01 00:44:02.1230000"]
        {
            assert_eq!(at(text), Some(false), "{text}");
        }
        for text in
            ["2020-04-01T00:44:02Z", "2020-04-01 00:44:02+02", "2020-04-01 00:44:02.5-05:30", "2020-04-01 00:44:02 UTC"]
        {
            assert_eq!(at(text), Some(true), "{text}");
        }
        for text in [
            "2020-04-01",
            "2020-04-01 24:00:00",
            "2020-04-01 00:00:60",
            "2020-04-01 00:44:02.1234567",
            "2020-04-01 0:44:02",
            "2020-04-01 00:44:02 CET",
            "2020-02-30 00:00:00",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }
}
