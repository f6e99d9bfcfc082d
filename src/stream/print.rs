//! Numbers, dates and times as the text that Postgres prints for them, byte for byte.

/// Appends a whole number.
pub fn push_int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `.` and the digits of a fraction without the zeros at its end; nothing for zero.
pub(super) fn push_fraction(mut fraction: u64, mut places: usize, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    out.push(b'.');
    let digits = itoa::Buffer::new().format(fraction).len();
    out.extend(std::iter::repeat_n(b'0', places.saturating_sub(digits)));
    push_int(fraction, out);
}

/// Appends a decimal number as Postgres prints it: no sign or zeros too many, no exponent. What is no number stays as
/// it is.
pub fn push_numeric(text: &str, out: &mut Vec<u8>) {
    let text = text.trim();
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    match exponent.parse::<i32>() {
        Ok(exponent) if is_digits(whole) && is_digits(fraction) && exponent.abs() < 20_000 => {
            push_decimal(negative, whole, fraction, exponent, out);
        }
        _ => push_special(text, unsigned, negative, out),
    }
}

fn push_decimal(negative: bool, whole: &str, fraction: &str, exponent: i32, out: &mut Vec<u8>) {
    let digit = |place: i32| {
        // Places count from the point: 0 is the first decimal, -1 the last whole digit.
        let index = whole.len() as i32 + place;
        let (index, digits) = if place < 0 { (index, whole) } else { (place, fraction) };
        usize::try_from(index).ok().and_then(|index| digits.as_bytes().get(index).copied()).unwrap_or(b'0')
    };
    let scale = (fraction.len() as i32 - exponent).max(0);
    let start = -(whole.len() as i32) - exponent.max(0);
    let is_zero = whole.bytes().chain(fraction.bytes()).all(|byte| byte == b'0');
    if negative && !is_zero {
        out.push(b'-');
    }
    let leading = (start..0).find(|place| digit(place + exponent) != b'0').unwrap_or(-1);
    out.extend((leading..0).map(|place| digit(place + exponent)));
    if scale > 0 {
        out.push(b'.');
        out.extend((0..scale).map(|place| digit(place + exponent)));
    }
}

fn push_special(text: &str, unsigned: &str, negative: bool, out: &mut Vec<u8>) {
    if unsigned.eq_ignore_ascii_case("nan") {
        return out.extend_from_slice(b"NaN");
    }
    if !unsigned.eq_ignore_ascii_case("infinity") && !unsigned.eq_ignore_ascii_case("inf") {
        return out.extend_from_slice(text.as_bytes());
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(b"Infinity");
}

/// Appends a day, counted from 1970-01-01.
pub fn push_date(days: i64, out: &mut Vec<u8>) {
    let year = push_day(days, out);
    push_era(year, out);
}

const DAY: i64 = 86_400_000_000;

/// Appends a timestamp, counted in microseconds from 1970-01-01, with the offset (`+00`) that its type prints.
pub fn push_timestamp(micros: i64, offset: &str, out: &mut Vec<u8>) {
    let year = push_day(micros.div_euclid(DAY), out);
    let time = micros.rem_euclid(DAY).unsigned_abs();
    let seconds = time / 1_000_000;
    let ([h, hh], [m, mm], [s, ss]) =
        (two_digits(seconds / 3600), two_digits(seconds / 60 % 60), two_digits(seconds % 60));
    out.extend_from_slice(&[b' ', h, hh, b':', m, mm, b':', s, ss]);
    push_fraction(time % 1_000_000, 6, out);
    out.extend_from_slice(offset.as_bytes());
    push_era(year, out);
}

/// Appends `year-month-day`; gives the year, where 0 is 1 BC.
fn push_day(days: i64, out: &mut Vec<u8>) -> i64 {
    let (year, month, day) = civil_date(days);
    let printed = if year > 0 { year } else { 1 - year }.unsigned_abs();
    let ([m, mm], [d, dd]) = (two_digits(month), two_digits(day));
    if printed < 10_000 {
        let ([c, cc], [y, yy]) = (two_digits(printed / 100), two_digits(printed % 100));
        out.extend_from_slice(&[c, cc, y, yy, b'-', m, mm, b'-', d, dd]);
    } else {
        push_int(printed, out);
        out.extend_from_slice(&[b'-', m, mm, b'-', d, dd]);
    }
    year
}

fn push_era(year: i64, out: &mut Vec<u8>) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn two_digits(value: u64) -> [u8; 2] {
    let digit = |value: u64| b'0' + (value % 10) as u8;
    [digit(value / 10), digit(value)]
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar, by the era method: years that
/// start in March put the leap day last, and 400 of them always have 146,097 days.
fn civil_date(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_lose_what_postgres_does_not_print() {
        let expected = [
            ("1.50", "1.50"),
            (" 00.10 ", "0.10"),
            (".5", "0.5"),
            ("1.", "1"),
            ("+5", "5"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("-12.300", "-12.300"),
            ("1e3", "1000"),
            ("1.50e1", "15.0"),
            ("1.5e-3", "0.0015"),
            ("120e-1", "12.0"),
            ("0e5", "0"),
            ("0.000e-2", "0.00000"),
            ("12345678901234567890.123", "12345678901234567890.123"),
            ("nan", "NaN"),
            ("-inf", "-Infinity"),
        ];
        for (value, printed) in expected {
            assert_eq!(text(|out| push_numeric(value, out)), printed, "of {value}");
        }
    }

    #[test]
    fn days_and_times_read_as_postgres_prints_them() {
        assert_eq!(text(|out| push_timestamp(1_585_701_842_000_000, "", out)), "2020-04-01 00:44:02");
        assert_eq!(text(|out| push_timestamp(1_585_701_842_123_450, "+00", out)), "2020-04-01 00:44:02.12345+00");
        assert_eq!(text(|out| push_timestamp(1_585_701_842_000_001, "", out)), "2020-04-01 00:44:02.000001");
        assert_eq!(text(|out| push_timestamp(-1, "", out)), "1969-12-31 23:59:59.999999");
        assert_eq!(text(|out| push_date(18_353, out)), "2020-04-01");
        assert_eq!(text(|out| push_date(11_016, out)), "2000-02-29");
        assert_eq!(text(|out| push_date(2_932_897, out)), "10000-01-01");
        assert_eq!(text(|out| push_date(-719_162, out)), "0001-01-01");
        assert_eq!(text(|out| push_date(-719_163, out)), "0001-12-31 BC");
        assert_eq!(text(|out| push_timestamp(-719_163 * DAY, "+00", out)), "0001-12-31 00:00:00+00 BC");
    }
}
