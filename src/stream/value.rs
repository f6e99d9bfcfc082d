//! Text to values, by hand: a month has seventy million fields, and a general parser would take longer than the load.

use super::ColumnType;

/// Digits that a double holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A truth value: `true false t f yes no y n on off 1 0`, in any case.
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    const TRUE: [&[u8]; 6] = [b"true", b"t", b"yes", b"y", b"on", b"1"];
    const FALSE: [&[u8]; 6] = [b"false", b"f", b"no", b"n", b"off", b"0"];
    let text = trim(text);
    let is_one_of = |words: &[&[u8]]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&TRUE) {
        return Some(true);
    }
    is_one_of(&FALSE).then_some(false)
}

/// A whole number that fits `bits`; zeros may follow a point.
pub fn parse_int(text: &[u8], bits: u8) -> Option<i64> {
    let value = whole_number(text)?;
    fits(value, bits).then_some(value)
}

/// Whether a whole number fits a signed integer of this many bits.
pub fn fits(value: i64, bits: u8) -> bool {
    let unused = 64_u32.saturating_sub(u32::from(bits)).min(63);
    (value << unused) >> unused == value
}

fn whole_number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(trim(text));
    let mut value: i64 = 0;
    let mut seen = 0;
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                // Counting down reaches the smallest i64, which has no positive twin.
                value = value.checked_mul(10)?.checked_sub(i64::from(byte - b'0'))?;
                seen += 1;
            }
            b'.' if seen > 0 => {
                let zeros = digits.get(index + 1..)?;
                return zeros.iter().all(|digit| *digit == b'0').then_some(signed(value, negative)?);
            }
            _ => return None,
        }
    }
    if seen == 0 { None } else { signed(value, negative) }
}

fn signed(value: i64, negative: bool) -> Option<i64> {
    if negative { Some(value) } else { value.checked_neg() }
}

/// A double; what is too large for one is `None`, not infinity.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let text = trim(text);
    if let Some(value) = short_decimal(text) {
        return Some(value);
    }
    let value: f64 = fast_float2::parse(text).ok()?;
    let overflowed = value.is_infinite() && text.iter().any(u8::is_ascii_digit);
    (!overflowed).then_some(value)
}

/// Up to 15 digits with a point anywhere. Both the digits and the power of ten are exact doubles, so one division
/// rounds once, as it should.
fn short_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = sign(text);
    if digits.len() > EXACT_DIGITS {
        return None;
    }
    let mut mantissa: u64 = 0;
    let mut point = None;
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    let seen = digits.len() - usize::from(point.is_some());
    if seen == 0 {
        return None;
    }
    let decimals = point.map_or(0, |index| digits.len() - index - 1);
    let value = mantissa as f64 / POWERS_OF_TEN.get(decimals)?;
    Some(if negative { -value } else { value })
}

/// A decimal number of any length, or `NaN`: its text without blanks around it.
pub fn parse_numeric(text: &[u8]) -> Option<&str> {
    let text = trim(text);
    if !text.eq_ignore_ascii_case(b"nan") && !is_decimal(text) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

fn is_decimal(text: &[u8]) -> bool {
    let (_, rest) = sign(text);
    let (whole, rest) = digits(rest);
    let (fraction, rest) = match rest.split_first() {
        Some((b'.', rest)) => digits(rest),
        _ => (0, rest),
    };
    let exponent_is_fine = match rest.split_first() {
        None => true,
        Some((b'e' | b'E', rest)) => matches!(digits(sign(rest).1), (1.., [])),
        Some(_) => false,
    };
    whole + fraction > 0 && exponent_is_fine
}

fn digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, text.get(count..).unwrap_or_default())
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// `2020-04-01` as days since 1970.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let (days, rest) = date(trim(text))?;
    if rest.is_empty() { i32::try_from(days).ok() } else { None }
}

/// `2020-04-01 00:44:02.5` as microseconds since 1970. The time, its seconds and their decimals may be missing.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let (micros, rest) = timestamp(trim(text))?;
    rest.is_empty().then_some(micros)
}

/// The same with an offset from UTC, as microseconds since 1970 in UTC.
pub fn parse_timestamptz(text: &[u8]) -> Option<i64> {
    let (micros, rest) = timestamp(trim(text))?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    Some(micros - offset_seconds(rest)? * MICROS_PER_SECOND)
}

fn timestamp(text: &[u8]) -> Option<(i64, &[u8])> {
    let (days, rest) = date(text)?;
    let (micros, rest) = match rest {
        [b' ' | b'T' | b't', clock @ ..] => time(clock)?,
        _ => (0, rest),
    };
    Some((days * SECONDS_PER_DAY * MICROS_PER_SECOND + micros, rest))
}

fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = text else { return None };
    let year = pair(*y1, *y2)? * 100 + pair(*y3, *y4)?;
    let month = pair(*m1, *m2)?;
    let day = pair(*d1, *d2)?;
    let is_real = year > 0 && (1..=12).contains(&month) && day > 0 && day <= days_in_month(year, month);
    is_real.then(|| (days_since_1970(year, month, day), rest))
}

fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hour, minute) = (pair(*h1, *h2)?, pair(*m1, *m2)?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (pair(*s1, *s2)?, rest),
        _ => (0, rest),
    };
    let (micros, rest) = match rest {
        [b'.', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    let is_real = hour < 24 && minute < 60 && second < 60;
    is_real.then(|| (((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros, rest))
}

/// Decimals of a second, in microseconds. Further digits may follow as long as they are zeros.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let (count, rest) = digits(text);
    let mut micros = 0;
    for place in 0..count.max(6) {
        let digit = if place < count { i64::from(text.get(place)? - b'0') } else { 0 };
        match place {
            0..6 => micros = micros * 10 + digit,
            _ if digit != 0 => return None,
            _ => {}
        }
    }
    (count > 0).then_some((micros, rest))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    let (direction, rest) = match text {
        [] | b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [h1, h2] => (pair(*h1, *h2)?, 0),
        [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (pair(*h1, *h2)?, pair(*m1, *m2)?),
        _ => return None,
    };
    (hours < 16 && minutes < 60).then_some(direction * (hours * 60 + minutes) * 60)
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's days_from_civil for years from 1: the year starts in March, so that its odd day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

fn trim(text: &[u8]) -> &[u8] {
    match text {
        [first, .., last] if *first > b' ' && *last > b' ' => text,
        _ => text.trim_ascii(),
    }
}

/// Text as it stands. A zero byte is refused: it is valid UTF-8, but no database stores it as text.
pub fn parse_text(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    (!text.as_bytes().contains(&0)).then_some(text)
}

/// Why a text is not a value of this type, as the end of a sentence that starts with the text.
pub fn complaint(text: &[u8], kind: ColumnType) -> String {
    match kind {
        ColumnType::Bool => "is not true or false".to_owned(),
        ColumnType::Int(bits) => not_int(text, bits),
        ColumnType::Float => not_float(text).to_owned(),
        ColumnType::Numeric => "is not a number".to_owned(),
        ColumnType::Text if text.contains(&0) => "holds a zero byte, which text cannot".to_owned(),
        ColumnType::Text => "is not valid UTF-8 text".to_owned(),
        ColumnType::Date => "is not a date such as 2020-04-01".to_owned(),
        ColumnType::Timestamp => "is not a timestamp such as 2020-04-01 00:44:02".to_owned(),
        ColumnType::TimestampTz => "is not a timestamp such as 2020-04-01 00:44:02+00".to_owned(),
    }
}

fn not_int(text: &[u8], bits: u8) -> String {
    if parse_float(text).is_none_or(|value| value.is_nan()) {
        return "is not a number".to_owned();
    }
    let is_fraction = whole_number(text).is_none() && parse_float(text).is_some_and(|value| value.fract() != 0.0);
    if is_fraction { "is not a whole number".to_owned() } else { format!("does not fit an integer of {bits} bits") }
}

fn not_float(text: &[u8]) -> &'static str {
    if is_decimal(trim(text)) { "is too large for a double precision number" } else { "is not a number" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

    #[test]
    fn truth_has_many_spellings() {
        for text in ["true", "T", "Yes", "y", "on", "1", " t "] {
            assert_eq!(parse_bool(text.as_bytes()), Some(true), "{text:?}");
        }
        for text in ["FALSE", "f", "no", "N", "off", "0"] {
            assert_eq!(parse_bool(text.as_bytes()), Some(false), "{text:?}");
        }
        for text in ["", "2", "tru", "nein"] {
            assert_eq!(parse_bool(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_end_where_their_bits_end() {
        let cases: [(&str, u8, Option<i64>); 18] = [
            ("0", 16, Some(0)),
            ("-7", 32, Some(-7)),
            ("+7", 32, Some(7)),
            (" 42 ", 64, Some(42)),
            ("1.0", 64, Some(1)),
            ("1.", 64, Some(1)),
            ("1.5", 64, None),
            (".0", 64, None),
            ("", 64, None),
            ("-", 64, None),
            ("1e3", 64, None),
            ("32767", 16, Some(32767)),
            ("32768", 16, None),
            ("-32768", 16, Some(-32768)),
            ("2147483648", 32, None),
            ("9223372036854775807", 64, Some(i64::MAX)),
            ("-9223372036854775808", 64, Some(i64::MIN)),
            ("9223372036854775808", 64, None),
        ];
        for (text, bits, value) in cases {
            assert_eq!(parse_int(text.as_bytes(), bits), value, "{text:?} in {bits} bits");
        }
    }

    #[test]
    fn doubles_are_the_nearest_ones() {
        let texts = [
            "12.5",
            "-.5",
            "1.",
            ".00",
            "+3",
            "0.1",
            "-0",
            "2.675",
            "999999999999999",
            "0.30000000000000004",
            "73.96900177001953",
            "1e3",
            "-1E-3",
            " 8.5 ",
            "123456789.012345",
            "9007199254740993",
        ];
        for text in texts {
            let expected: f64 = text.trim().parse().unwrap();
            assert_eq!(parse_float(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()), "{text:?}");
        }
        assert!(parse_float(b"NaN").unwrap().is_nan());
        assert_eq!(parse_float(b"-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["", ".", "-", "12x.5", "1.2.3", "1e400", "0x10", "1,5"] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_numeric_keeps_every_digit() {
        for text in ["12345678901234567890.123456789", "-1", ".5", "5.", "1e-7", "NaN", "+0"] {
            assert_eq!(parse_numeric(text.as_bytes()), Some(text));
        }
        assert_eq!(parse_numeric(b" 1.50 "), Some("1.50"));
        for text in ["", ".", "1e", "1 2", "one", "--1", "Infinity"] {
            assert_eq!(parse_numeric(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn dates_exist_in_the_calendar() {
        assert_eq!(parse_date(b"1970-01-01"), Some(0));
        assert_eq!(parse_date(b"1969-12-31"), Some(-1));
        assert_eq!(parse_date(b"2020-02-29"), Some(18321));
        assert_eq!(parse_date(b"0001-01-01"), Some(-719_162));
        assert_eq!(parse_date(b"9999-12-31"), Some(2_932_896));
        for text in [
            "2021-02-29",
            "1900-02-29",
            "2020-13-01",
            "2020-00-10",
            "2020-04-31",
            "2020-4-1",
            "0000-01-01",
            "2020-04-01x",
            "",
        ] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn timestamps_have_one_layout_with_optional_ends() {
        let second = 44 * 60 + 2;
        let base = 18353 * DAY;
        assert_eq!(parse_timestamp(b"2020-04-01 00:44:02"), Some(base + second * MICROS_PER_SECOND));
        assert_eq!(parse_timestamp(b"2020-04-01T00:44:02.5"), Some(base + second * MICROS_PER_SECOND + 500_000));
        assert_eq!(parse_timestamp(b"2020-04-01 00:44:02.000001000"), Some(base + second * MICROS_PER_SECOND + 1));
        assert_eq!(parse_timestamp(b"2020-04-01"), Some(base));
        assert_eq!(parse_timestamp(b"1969-12-31 23:59:59.999999"), Some(-1));
        for text in [
            "2020-04-01 24:00:00",
            "2020-04-01 00:60:00",
            "2020-04-01 00:44:02Z",
            "2020-04-01 0:44:02",
            "2020-04-01 00:44:02.0000001",
            "2020-04-01 00:44:02.",
            "04/01/2020 00:44",
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn an_offset_moves_a_timestamp_to_utc() {
        let noon = 18353 * DAY + DAY / 2;
        for text in [
            "2020-04-01 12:00:00",
            "2020-04-01T12:00:00Z",
            "2020-04-01 14:00:00+02",
            "2020-04-01 06:30:00-05:30",
            "2020-04-01 12:00:00 UTC",
            "2020-04-01 13:00+0100",
        ] {
            assert_eq!(parse_timestamptz(text.as_bytes()), Some(noon), "{text:?}");
        }
        for text in ["2020-04-01 12:00:00 CET", "2020-04-01 12:00:00+2", "2020-04-01 12:00:00+99"] {
            assert_eq!(parse_timestamptz(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_complaint_says_what_kind_of_value_was_due() {
        assert_eq!(complaint(b"12x.5", ColumnType::Float), "is not a number");
        assert_eq!(complaint(b"1e400", ColumnType::Float), "is too large for a double precision number");
        assert_eq!(complaint(b"1.5", ColumnType::Int(32)), "is not a whole number");
        assert_eq!(complaint(b"40000", ColumnType::Int(16)), "does not fit an integer of 16 bits");
        assert_eq!(complaint(b"99999999999999999999", ColumnType::Int(64)), "does not fit an integer of 64 bits");
    }
}
