//! Text to values, by hand: a month has seventy million fields, and a general parser would take longer than the load.

use super::ColumnType;

/// Digits that a double holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A boolean as the server reads it: `true false yes no on off 1 0`, in any case, cut short where that is clear.
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    const WORDS: [(&[u8], usize, bool); 8] = [
        (b"true", 1, true),
        (b"false", 1, false),
        (b"yes", 1, true),
        (b"no", 1, false),
        (b"on", 2, true),
        (b"off", 2, false),
        (b"1", 1, true),
        (b"0", 1, false),
    ];
    let text = trim(text);
    let matches_word = |(word, least, _): &&(&[u8], usize, bool)| {
        text.len() >= *least && word.get(..text.len()).is_some_and(|word| word.eq_ignore_ascii_case(text))
    };
    WORDS.iter().find(matches_word).map(|(_, _, value)| *value)
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
    let mut digits_seen = 0;
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                // Counting down reaches the smallest i64, which has no positive twin.
                value = value.checked_mul(10)?.checked_sub(i64::from(byte - b'0'))?;
                digits_seen += 1;
            }
            b'.' if digits_seen > 0 => {
                let zeros = digits.get(index + 1..)?;
                return zeros.iter().all(|digit| *digit == b'0').then_some(with_sign(value, negative)?);
            }
            _ => return None,
        }
    }
    if digits_seen == 0 { None } else { with_sign(value, negative) }
}

fn with_sign(value: i64, negative: bool) -> Option<i64> {
    if negative { Some(value) } else { value.checked_neg() }
}

/// A double; what is too large or too small for one is `None`, not infinity or zero.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let text = trim(text);
    if let Some(value) = short_decimal(text) {
        return Some(value);
    }
    let value: f64 = fast_float2::parse(text).ok()?;
    let is_out_of_range = value.is_infinite() && text.iter().any(u8::is_ascii_digit) || value == 0.0 && !is_zero(text);
    (!is_out_of_range).then_some(value)
}

/// Whether a double has all digits of a decimal number: printed shortest, it is that number again.
pub fn is_exact_double(text: &[u8]) -> bool {
    let Some(double) = parse_float(text) else { return false };
    text.len() <= EXACT_DIGITS || significant_digits(text) == significant_digits(format!("{double:e}").as_bytes())
}

/// A number's significant digits, and the power of ten of the last of them.
fn significant_digits(text: &[u8]) -> Option<(Vec<u8>, i64)> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = mantissa.split_once('.').map_or("", |(_, fraction)| fraction);
    let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').collect();
    let mut power = exponent.parse::<i64>().ok()? - fraction.len() as i64;
    while digits.pop_if(|digit| *digit == b'0').is_some() {
        power += 1;
    }
    Some(if digits.is_empty() { (digits, 0) } else { (digits, power) })
}

/// A single precision number as a double, rounded once; what is too large or too small for one is `None`.
pub fn parse_real(text: &[u8]) -> Option<f64> {
    let text = trim(text);
    let value: f32 = fast_float2::parse(text).ok()?;
    let is_out_of_range = value.is_infinite() && text.iter().any(u8::is_ascii_digit) || value == 0.0 && !is_zero(text);
    (!is_out_of_range).then_some(f64::from(value))
}

/// Whether no digit before the exponent is anything but 0.
fn is_zero(text: &[u8]) -> bool {
    let mantissa = text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or_default();
    !mantissa.iter().any(|byte| matches!(byte, b'1'..=b'9'))
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
    let digits_seen = digits.len() - usize::from(point.is_some());
    if digits_seen == 0 {
        return None;
    }
    let decimals = point.map_or(0, |index| digits.len() - index - 1);
    let value = mantissa as f64 / POWERS_OF_TEN.get(decimals)?;
    Some(if negative { -value } else { value })
}

/// A decimal number of any length, `NaN` or `Infinity`: its text without blanks around it.
pub fn parse_numeric(text: &[u8]) -> Option<&str> {
    let text = trim(text);
    let is_word = |word: &[u8]| text.eq_ignore_ascii_case(word);
    let is_infinite = [&b"inf"[..], b"infinity"].into_iter().any(|word| sign(text).1.eq_ignore_ascii_case(word));
    if !is_word(b"nan") && !is_infinite && !is_decimal(text) {
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

pub(super) fn digits(text: &[u8]) -> (usize, &[u8]) {
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

pub(super) fn trim(text: &[u8]) -> &[u8] {
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
pub fn mismatch(text: &[u8], kind: ColumnType) -> String {
    match kind {
        ColumnType::Bool => "is not true or false".to_owned(),
        ColumnType::Int(bits) => not_int(text, bits),
        ColumnType::Float => not_float(text).to_owned(),
        ColumnType::Numeric => "is not a number".to_owned(),
        ColumnType::Real => not_real(text).to_owned(),
        ColumnType::Text | ColumnType::Json | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray
            if text.contains(&0) =>
        {
            "holds a zero byte, which text cannot".to_owned()
        }
        ColumnType::Text | ColumnType::Json | ColumnType::Other | ColumnType::Array | ColumnType::JsonArray => {
            "is not valid UTF-8 text".to_owned()
        }
        ColumnType::Date => "is not a date such as 2020-04-01".to_owned(),
        ColumnType::Timestamp => "is not a timestamp such as 2020-04-01 00:44:02".to_owned(),
        ColumnType::Instant => {
            "is not a timestamp with its offset, such as 2020-04-01 00:44:02+00, which a step needs since the \
                                session is not in UTC"
                .to_owned()
        }
        ColumnType::TimestampTz => "is not a timestamp such as 2020-04-01 00:44:02+00".to_owned(),
    }
}

fn not_int(text: &[u8], bits: u8) -> String {
    if parse_float(text).is_none_or(f64::is_nan) {
        return "is not a number".to_owned();
    }
    let is_fraction = whole_number(text).is_none() && parse_float(text).is_some_and(|value| value.fract() != 0.0);
    if is_fraction { "is not a whole number".to_owned() } else { format!("does not fit an integer of {bits} bits") }
}

fn not_float(text: &[u8]) -> &'static str {
    if is_decimal(trim(text)) { "is out of range for a double precision number" } else { "is not a number" }
}

fn not_real(text: &[u8]) -> &'static str {
    if is_decimal(trim(text)) { "is out of range for a real number" } else { "is not a number" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_many_spellings() {
        for text in ["true", "T", "Yes", "y", "on", "1", " t ", "tru", "YE"] {
            assert_eq!(parse_bool(text.as_bytes()), Some(true), "{text:?}");
        }
        for text in ["FALSE", "f", "no", "N", "off", "0", "of", "fals"] {
            assert_eq!(parse_bool(text.as_bytes()), Some(false), "{text:?}");
        }
        for text in ["", "2", "o", "nein", "truex", "10"] {
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
        for text in ["", ".", "-", "12x.5", "1.2.3", "1e400", "0x10", "1,5", "1e-400"] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_float(b"0e-400"), Some(0.0));
        assert_eq!(parse_real(b"0.1"), Some(f64::from(0.1_f32)));
        // Through a double it would be rounded up twice.
        assert_eq!(parse_real(b"1.00000017881393432617187499"), Some(f64::from(1.000_000_1_f32)));
        for text in ["1e39", "1e-46"] {
            assert_eq!(parse_real(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_numeric_keeps_every_digit() {
        for text in ["12345678901234567890.123456789", "-1", ".5", "5.", "1e-7", "NaN", "-Infinity", "+0"] {
            assert_eq!(parse_numeric(text.as_bytes()), Some(text));
        }
        assert_eq!(parse_numeric(b" 1.50 "), Some("1.50"));
        for text in ["", ".", "1e", "1 2", "one", "--1"] {
            assert_eq!(parse_numeric(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_mismatch_names_the_expected_type() {
        assert_eq!(mismatch(b"12x.5", ColumnType::Float), "is not a number");
        assert_eq!(mismatch(b"1e400", ColumnType::Float), "is out of range for a double precision number");
        assert_eq!(mismatch(b"1.5", ColumnType::Int(32)), "is not a whole number");
        assert_eq!(mismatch(b"40000", ColumnType::Int(16)), "does not fit an integer of 16 bits");
        assert_eq!(mismatch(b"99999999999999999999", ColumnType::Int(64)), "does not fit an integer of 64 bits");
    }
}
