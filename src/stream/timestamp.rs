//! Dates and timestamps by hand: their layout is fixed, and a general parser takes ten times as long.

use super::timestamp_forms::usual;
use super::value::{digits, trim};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The end of the year 9999.
const END: i64 = 2_932_897 * SECONDS_PER_DAY * MICROS_PER_SECOND;

/// `2020-04-01` as days since 1970. A time after it counts for nothing, as to the server.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let text = trim(text);
    plain_date(text).or_else(|| plain_date(&usual(text)?))
}

fn plain_date(text: &[u8]) -> Option<i32> {
    let (days, rest) = date(text)?;
    if rest.is_empty() || plain_timestamp_and_offset(text).is_some() { i32::try_from(days).ok() } else { None }
}

/// `2020-04-01 00:44:02.5` as microseconds since 1970. The time, its seconds and their decimals may be missing; an offset
/// from UTC counts for nothing, as to the server.
pub fn parse_timestamp(text: &[u8]) -> Option<i64> {
    timestamp_and_offset(trim(text)).map(|(micros, _)| micros)
}

/// The same with an offset from UTC, as microseconds since 1970 in UTC.
pub fn parse_timestamptz(text: &[u8]) -> Option<i64> {
    let (micros, offset) = timestamp_and_offset(trim(text))?;
    Some(micros - offset.unwrap_or(0) * MICROS_PER_SECOND)
}

/// The same; none without an offset.
pub fn parse_instant(text: &[u8]) -> Option<i64> {
    let (micros, offset) = timestamp_and_offset(trim(text))?;
    offset.map(|offset| micros - offset * MICROS_PER_SECOND)
}

/// A timestamp, and the seconds of its offset from UTC if there is one.
fn timestamp_and_offset(text: &[u8]) -> Option<(i64, Option<i64>)> {
    plain_timestamp_and_offset(text).or_else(|| plain_timestamp_and_offset(&usual(text)?))
}

fn plain_timestamp_and_offset(text: &[u8]) -> Option<(i64, Option<i64>)> {
    let (micros, rest) = timestamp(text)?;
    if rest.is_empty() {
        return Some((micros, None));
    }
    let has_time = date(text).is_some_and(|(_, behind)| behind.len() > rest.len());
    if !has_time && rest.starts_with(b"-") {
        // To the server this is no offset, but one more part of the date.
        return None;
    }
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    Some((micros, Some(offset_seconds(rest)?)))
}

fn timestamp(text: &[u8]) -> Option<(i64, &[u8])> {
    let (days, rest) = date(text)?;
    let (micros, rest) = match rest {
        [b' ' | b'T' | b't', clock @ ..] => time(clock)?,
        _ => (0, rest),
    };
    let moment = days * SECONDS_PER_DAY * MICROS_PER_SECOND + micros;
    // What is rounded or written as the hour 24 may be in the year 10000.
    (moment < END).then_some((moment, rest))
}

fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let [y1, y2, y3, y4, b'-', rest @ ..] = text else { return None };
    let year = two_digits(*y1, *y2)? * 100 + two_digits(*y3, *y4)?;
    let (month, rest) = up_to_two_digits(rest)?;
    let [b'-', rest @ ..] = rest else { return None };
    let (day, rest) = up_to_two_digits(rest)?;
    let is_real = year > 0 && (1..=12).contains(&month) && day > 0 && day <= days_in_month(year, month);
    is_real.then(|| (days_since_1970(year, month, day), rest))
}

fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = up_to_two_digits(text)?;
    let [b':', m1, m2, rest @ ..] = rest else { return None };
    let minute = two_digits(*m1, *m2)?;
    // Without seconds, a point is no part of `12:30`: `12:30.5` are minutes and seconds, says the server.
    let (second, micros, rest) = match rest {
        [b'.', ..] => return None,
        [b':', s1, s2, b'.', rest @ ..] => {
            let (micros, rest) = fraction(rest)?;
            (two_digits(*s1, *s2)?, micros, rest)
        }
        [b':', s1, s2, rest @ ..] => (two_digits(*s1, *s2)?, 0, rest),
        _ => (0, 0, rest),
    };
    // The last moment of a day may be written as its hour 24, and that of a minute as its second 60.
    let is_real = hour < 24 && minute < 60 && second <= 60 || (hour, minute, second, micros) == (24, 0, 0, 0);
    is_real.then(|| (((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros, rest))
}

/// Decimals of a second, in microseconds. Further digits are rounded as the server rounds them, in double precision.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let (count, rest) = digits(text);
    if count > 6 {
        let decimals = std::str::from_utf8(text.get(..count)?).ok()?;
        let seconds: f64 = format!("0.{decimals}").parse().ok()?;
        return Some(((seconds * 1e6).round_ties_even() as i64, rest));
    }
    let mut micros = 0;
    for place in 0..6 {
        let digit = if place < count { i64::from(text.get(place)? - b'0') } else { 0 };
        micros = micros * 10 + digit;
    }
    (count > 0).then_some((micros, rest))
}

fn offset_seconds(text: &[u8]) -> Option<i64> {
    let (direction, rest) = match text {
        b"Z" | b"z" | b"UTC" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [h1, h2] => (two_digits(*h1, *h2)?, 0),
        [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?),
        _ => return None,
    };
    (hours < 16 && minutes < 60).then_some(direction * (hours * 60 + minutes) * 60)
}

/// A number of one or two digits. Without the year first, the server's settings decide which number is the day.
fn up_to_two_digits(text: &[u8]) -> Option<(i64, &[u8])> {
    match text {
        [tens, ones @ b'0'..=b'9', rest @ ..] => Some((two_digits(*tens, *ones)?, rest)),
        [ones, rest @ ..] => Some((two_digits(b'0', *ones)?, rest)),
        [] => None,
    }
}

fn two_digits(tens: u8, ones: u8) -> Option<i64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = SECONDS_PER_DAY * MICROS_PER_SECOND;

    #[test]
    fn dates_exist_in_the_calendar() {
        assert_eq!(parse_date(b"1970-01-01"), Some(0));
        assert_eq!(parse_date(b"1969-12-31"), Some(-1));
        assert_eq!(parse_date(b"2020-02-29"), Some(18321));
        assert_eq!(parse_date(b"0001-01-01"), Some(-719_162));
        assert_eq!(parse_date(b"9999-12-31"), Some(2_932_896));
        assert_eq!(parse_date(b"2020-1-2"), parse_date(b"2020-01-02"));
        assert_eq!(parse_date(b"2020-01-02 23:59:59.5"), parse_date(b"2020-01-02"));
        for text in [
            "2021-02-29",
            "1900-02-29",
            "2020-13-01",
            "2020-00-10",
            "2020-04-31",
            "0000-01-01",
            "01/02/2020",
            "2020-004-01",
            "2020-04-001",
            "2020-4-",
            "20-4-1",
            "0044-03-15 BC",
            "infinity",
            "2020-04-01 x",
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
        assert_eq!(parse_timestamp(b"2020-04-01 00:44:02+05:30"), Some(base + second * MICROS_PER_SECOND));
        assert_eq!(parse_instant(b"2020-04-01 00:44:02"), None);
        assert_eq!(parse_instant(b"2020-04-01 00:44:02Z"), Some(base + second * MICROS_PER_SECOND));
        assert_eq!(parse_timestamp(b"2020-4-1 0:44:02"), Some(base + second * MICROS_PER_SECOND));
        assert_eq!(parse_timestamp(b"1969-12-31 23:59:59.999999"), Some(-1));
        for text in [
            "2020-04-01 24:00:01",
            "2020-04-01 00:60:00",
            "2020-04-01 00:44:61",
            "2020-04-01 00:44:02 CET",
            "2020-04-01 00:44:02.",
            "2020-04-01 00:44.5",
            "2020-04-01 00:44.",
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
        for text in ["2020-04-01 12:00:00 CET", "2020-04-01 12:00:00+2", "2020-04-01 12:00:00+99", "2020-4-1-05"] {
            assert_eq!(parse_timestamptz(text.as_bytes()), None, "{text:?}");
        }
    }
}
