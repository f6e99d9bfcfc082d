//! Decimal numbers in Postgres's notation, compared digit by digit.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// How many digits a number of Postgres may have before the point.
const MAX_DIGITS: i64 = 131_072;

/// The order of two decimal numbers, whatever their length; NaN is equal to itself and greater than all others. None
/// where one of them is no number.
pub(super) fn compare(one: &str, other: &str) -> Option<Ordering> {
    Some(Decimal::parse(one)?.order(&Decimal::parse(other)?))
}

/// Appends a number so that equal ones give the same text: without zeros that say nothing, and with an exponent where
/// it is very large or small. What is no number stays as it is.
pub(super) fn push_canonical(text: &str, out: &mut Vec<u8>) {
    const MAX_ZEROS: i64 = 40;
    let (is_negative, magnitude, digits) = match Decimal::parse(text) {
        Some(Decimal::Finite { is_negative, magnitude, digits }) => (is_negative, magnitude, digits),
        Some(Decimal::Zero) => return out.push(b'0'),
        Some(Decimal::Infinite(true)) => return out.extend_from_slice(b"-Infinity"),
        Some(Decimal::Infinite(false)) => return out.extend_from_slice(b"Infinity"),
        Some(Decimal::NaN) => return out.extend_from_slice(b"NaN"),
        None => return out.extend_from_slice(text.as_bytes()),
    };
    let digits = [digits.0, digits.1].concat();
    let digits = digits.trim_end_matches('0');
    if is_negative {
        out.push(b'-');
    }
    let count = digits.len() as i64;
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    let described = match magnitude {
        1.. if magnitude <= count + MAX_ZEROS => {
            let (whole, decimals) = digits.split_at(magnitude.min(count) as usize);
            let point = if decimals.is_empty() { "" } else { "." };
            format!("{whole}{}{point}{decimals}", zeros(magnitude - count))
        }
        ..=0 if magnitude >= -MAX_ZEROS => format!("0.{}{digits}", zeros(-magnitude)),
        _ => format!("0.{digits}e{magnitude}"),
    };
    out.extend_from_slice(described.as_bytes());
}

/// A text for each number, the bytes of which are in the order of the numbers. None where it is no number.
pub(super) fn sort_key(text: &str) -> Option<String> {
    // Exponents of 32 bits and lengths of texts are far below this.
    const BIAS: i64 = 5_000_000_000;
    let number = Decimal::parse(text)?;
    let place = number.place() + 2;
    let Decimal::Finite { is_negative, magnitude, digits } = number else { return Some(place.to_string()) };
    let digits = [digits.0, digits.1].concat();
    let key = format!("{:010}{}", magnitude + BIAS, digits.trim_end_matches('0'));
    if !is_negative {
        return Some(format!("{place}{key}"));
    }
    // Of negative numbers the larger digit comes first, and the longer number.
    let complement = |digit: u8| char::from(b'0' + b'9' - digit);
    Some(format!("{place}{}~", key.bytes().map(complement).collect::<String>()))
}

/// The sum of numbers, with as many decimals as the one that has the most.
///
/// # Errors
/// When one of them is no number, or has too many digits.
pub(super) fn sum<'a>(texts: impl Iterator<Item = &'a str>) -> Result<String, &'static str> {
    let mut sum = Sum::default();
    texts.into_iter().try_for_each(|text| sum.add(text))?;
    Ok(sum.text())
}

/// A sum, digit by digit.
#[derive(Default)]
struct Sum {
    /// Sums of digits, from that of the last place on.
    digits: VecDeque<i64>,
    /// How many of them are after the point.
    decimals: i64,
    has_nan: bool,
    /// Whether positive and negative infinity were added.
    infinities: (bool, bool),
}

impl Sum {
    fn add(&mut self, text: &str) -> Result<(), &'static str> {
        self.widen(decimals(text))?;
        match Decimal::parse(text).ok_or("a numeric value is not a number")? {
            Decimal::NaN => self.has_nan = true,
            Decimal::Infinite(true) => self.infinities.1 = true,
            Decimal::Infinite(false) => self.infinities.0 = true,
            Decimal::Zero => {}
            Decimal::Finite { magnitude, .. } if magnitude > MAX_DIGITS => {
                return Err("value overflows numeric format");
            }
            Decimal::Finite { is_negative, magnitude, digits } => {
                let sign = if is_negative { -1 } else { 1 };
                let first = self.decimals + magnitude - 1;
                for (digit, place) in digits.0.bytes().chain(digits.1.bytes()).zip((0..=first).rev()) {
                    let place = usize::try_from(place).unwrap_or_default();
                    if place >= self.digits.len() {
                        self.digits.resize(place + 1, 0);
                    }
                    self.digits[place] += sign * i64::from(digit - b'0');
                }
            }
        }
        Ok(())
    }

    fn widen(&mut self, decimals: i64) -> Result<(), &'static str> {
        if decimals > MAX_DIGITS {
            return Err("value overflows numeric format");
        }
        for _ in self.decimals..decimals {
            self.digits.push_front(0);
        }
        self.decimals = self.decimals.max(decimals);
        Ok(())
    }

    fn text(mut self) -> String {
        match self.infinities {
            _ if self.has_nan => return "NaN".to_owned(),
            (true, true) => return "NaN".to_owned(),
            (true, false) => return "Infinity".to_owned(),
            (false, true) => return "-Infinity".to_owned(),
            (false, false) => {}
        }
        let is_negative = carry(&mut self.digits);
        if is_negative {
            self.digits.iter_mut().for_each(|digit| *digit = -*digit);
            carry(&mut self.digits);
        }
        let decimals = usize::try_from(self.decimals).unwrap_or_default();
        let length = self.digits.len().max(decimals + 1);
        self.digits.resize(length, 0);
        let digits: String = self.digits.iter().rev().map(|digit| char::from(b'0' + *digit as u8)).collect();
        let (whole, fraction) = digits.split_at(length - decimals);
        let whole = whole.trim_start_matches('0');
        let point = if decimals == 0 { "" } else { "." };
        let sign = if is_negative { "-" } else { "" };
        format!("{sign}{}{point}{fraction}", if whole.is_empty() { "0" } else { whole })
    }
}

/// Brings sums of digits below ten; whether the whole is negative, so that it has to be done for its opposite.
fn carry(digits: &mut VecDeque<i64>) -> bool {
    let mut carried = 0;
    for digit in digits.iter_mut() {
        let sum = *digit + carried;
        *digit = sum.rem_euclid(10);
        carried = sum.div_euclid(10);
    }
    while carried > 0 {
        digits.push_back(carried % 10);
        carried /= 10;
    }
    if carried < 0 {
        digits.push_back(carried);
    }
    carried < 0
}

/// How many decimals Postgres shows of a number that is written like this.
fn decimals(text: &str) -> i64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let described = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.trim_end().len() as i64);
    (described - exponent.trim_end().parse::<i64>().unwrap_or(0)).max(0)
}

/// The nearest number in double precision.
///
/// # Errors
/// When it is out of range.
pub(super) fn double(text: &str) -> Result<f64, &'static str> {
    let value: f64 = text.trim().parse().map_err(|_| "a numeric value is not a number")?;
    let is_infinite = || matches!(Decimal::parse(text), Some(Decimal::Infinite(_) | Decimal::NaN));
    let is_zero = || matches!(Decimal::parse(text), Some(Decimal::Zero));
    if value.is_infinite() && !is_infinite() {
        return Err("value out of range: overflow");
    }
    if value == 0.0 && !is_zero() {
        return Err("value out of range: underflow");
    }
    Ok(value)
}

/// The nearest whole number; halves are rounded away from zero. None where it is far out of range, or no number.
pub(super) fn nearest(text: &str) -> Option<i64> {
    let (is_negative, magnitude, digits) = match Decimal::parse(text)? {
        Decimal::Zero => return Some(0),
        Decimal::Finite { is_negative, magnitude, digits } => (is_negative, magnitude, digits),
        Decimal::Infinite(_) | Decimal::NaN => return None,
    };
    let count = match usize::try_from(magnitude) {
        Err(_) => return Some(0),
        Ok(count) if count > 19 => return None,
        Ok(count) => count,
    };
    let mut digits =
        digits.0.bytes().chain(digits.1.bytes()).map(|digit| i128::from(digit - b'0')).chain(std::iter::repeat(0));
    let whole = digits.by_ref().take(count).fold(0, |whole, digit| whole * 10 + digit);
    let whole = whole + i128::from(digits.next() >= Some(5));
    i64::try_from(if is_negative { -whole } else { whole }).ok()
}

enum Decimal<'a> {
    Zero,
    Finite {
        is_negative: bool,
        /// The power of ten above the first digit that is not zero.
        magnitude: i64,
        /// The digits from that one on, before and after the point.
        digits: (&'a str, &'a str),
    },
    /// With whether it is negative.
    Infinite(bool),
    NaN,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let is_negative = text.starts_with('-');
        match unsigned.to_ascii_lowercase().as_str() {
            "nan" => return Some(Self::NaN),
            "inf" | "infinity" => return Some(Self::Infinite(is_negative)),
            _ => {}
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut all = whole.bytes().chain(decimals.bytes());
        if whole.len() + decimals.len() == 0 || !all.all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = whole.trim_start_matches('0');
        let (magnitude, digits) = match significant.is_empty() {
            false => (significant.len() as i64, (significant, decimals)),
            true => {
                let rest = decimals.trim_start_matches('0');
                (rest.len() as i64 - decimals.len() as i64, ("", rest))
            }
        };
        if digits.0.is_empty() && digits.1.is_empty() {
            return Some(Self::Zero);
        }
        Some(Self::Finite { is_negative, magnitude: magnitude + i64::from(exponent), digits })
    }

    fn order(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place()).then_with(|| match (self, other) {
            (
                Self::Finite { is_negative, magnitude, digits },
                Self::Finite { magnitude: other_magnitude, digits: other_digits, .. },
            ) => {
                let absolute = magnitude.cmp(other_magnitude).then_with(|| by_digit(*digits, *other_digits));
                if *is_negative { absolute.reverse() } else { absolute }
            }
            _ => Ordering::Equal,
        })
    }

    /// Which kind of number comes before which.
    fn place(&self) -> i8 {
        match self {
            Self::Infinite(true) => -2,
            Self::Finite { is_negative: true, .. } => -1,
            Self::Zero => 0,
            Self::Finite { .. } => 1,
            Self::Infinite(false) => 2,
            Self::NaN => 3,
        }
    }
}

/// Compares digits from the first one on; zeros follow the last.
fn by_digit(one: (&str, &str), other: (&str, &str)) -> Ordering {
    let length = (one.0.len() + one.1.len()).max(other.0.len() + other.1.len());
    let padded = |parts: (&str, &str)| -> Vec<u8> {
        let mut all = [parts.0.as_bytes(), parts.1.as_bytes()].concat();
        all.resize(length, b'0');
        all
    };
    padded(one).cmp(&padded(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_order_whatever_their_length() {
        let ordered = [
            "-Infinity",
            "-1e30",
            "-12345678901234567890.2",
            "-12345678901234567890.1",
            "-1",
            "-0.10000000000000000001",
            "-1e-1",
            "0",
            "1e-30",
            "0.0999999999999999999999",
            "0.1",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.00000000000000000001",
            "1e20",
            "Infinity",
            "NaN",
        ];
        for (place, one) in ordered.iter().enumerate() {
            for (other_place, other) in ordered.iter().enumerate() {
                assert_eq!(compare(one, other), Some(place.cmp(&other_place)), "{one} {other}");
            }
        }
        for (one, other) in [("1.0", "1"), ("-0.000", "0"), ("1e2", "100.00"), ("0.05e2", "5"), ("+7", "007")] {
            assert_eq!(compare(one, other), Some(Ordering::Equal), "{one} {other}");
        }
        for (place, one) in ordered.iter().enumerate() {
            for (other_place, other) in ordered.iter().enumerate() {
                let (key, other_key) = (sort_key(one).unwrap(), sort_key(other).unwrap());
                assert_eq!(key.cmp(&other_key), place.cmp(&other_place), "{one} {other}: {key} {other_key}");
            }
        }
        for (one, other) in [("1.0", "1"), ("-0.000", "0"), ("1e2", "100.00"), ("-12.30", "-12.3"), ("-1", "-10e-1")] {
            assert_eq!(sort_key(one), sort_key(other), "{one} {other}");
        }
        assert_eq!(compare("", "1"), None);
        assert_eq!(compare("1.2.3", "1"), None);
    }

    #[test]
    fn equal_numbers_have_one_canonical_text() {
        let canonical = |text: &str| {
            let mut out = Vec::new();
            push_canonical(text, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (texts, expected) in [
            (&["1", "1.0", "+1.00", "0.1e1", "001"][..], "1"),
            (&["-0", "0.000", "0e5"], "0"),
            (&["-12.50", "-1250e-2"], "-12.5"),
            (&["100", "1e2", "100.0"], "100"),
            (&["0.05", "5e-2", ".050"], "0.05"),
            (&["1e50", "10e49"], "0.1e51"),
            (&["1e-50", "0.1e-49"], "0.1e-49"),
            (&["nan", "NaN"], "NaN"),
            (&["-inf", "-Infinity"], "-Infinity"),
        ] {
            for text in texts {
                assert_eq!(canonical(text), expected, "{text}");
            }
        }
    }

    #[test]
    fn a_sum_has_all_digits() {
        for (texts, expected) in [
            (&["0.1", "0.20"][..], "0.30"),
            (&["1.50", "-1.5"], "0.00"),
            (&["-0.3", "0.1"], "-0.2"),
            (&["-100", "0.01"], "-99.99"),
            (&["99.99", "0.01"], "100.00"),
            (&["-99.99", "-0.01"], "-100.00"),
            (
                &["12345678901234567890.5", "0.000000000000000000000001"],
                "12345678901234567890.500000000000000000000001",
            ),
            (&["1e3", "15e-1"], "1001.5"),
            (&["0.00"], "0.00"),
            (&["-5", "-5", "-90"], "-100"),
            (&["1000", "-1001"], "-1"),
            (&["Infinity", "1"], "Infinity"),
            (&["Infinity", "-Infinity"], "NaN"),
            (&["NaN", "-Infinity"], "NaN"),
        ] {
            assert_eq!(sum(texts.iter().copied()).as_deref(), Ok(expected), "{texts:?}");
        }
        assert!(sum(["1e200000"].into_iter()).is_err());
        assert!(sum(["x"].into_iter()).is_err());
    }

    #[test]
    fn a_whole_number_is_the_nearest_one() {
        for (text, expected) in [
            ("2.5", Some(3)),
            ("-2.5", Some(-3)),
            ("0.49999999999999999999", Some(0)),
            ("0.5", Some(1)),
            ("0.05", Some(0)),
            ("100", Some(100)),
            ("1e2", Some(100)),
            ("9223372036854775807.4", Some(i64::MAX)),
            ("9223372036854775807.5", None),
            ("-9223372036854775808.4", Some(i64::MIN)),
            ("1e30", None),
            ("NaN", None),
        ] {
            assert_eq!(nearest(text), expected, "{text}");
        }
    }

    #[test]
    fn a_double_is_the_nearest_one_or_out_of_range() {
        assert_eq!(double("12345678901234567890.5"), Ok(12_345_678_901_234_567_890.5));
        assert_eq!(double("0.000"), Ok(0.0));
        assert_eq!(double("-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(double("1e400").is_err());
        assert!(double("1e-400").is_err());
    }
}
