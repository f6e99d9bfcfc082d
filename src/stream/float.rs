//! Double precision numbers as the text that Postgres prints for them.

use std::io::Write as _;

use super::print::{push_fraction, push_int};

/// Appends a double precision number with the fewest digits that read back as the same number.
pub fn push_float(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let magnitude = value.abs();
    if magnitude == 0.0 {
        out.push(b'0');
    } else if magnitude.is_infinite() {
        out.extend_from_slice(b"Infinity");
    } else if !push_short_decimal(magnitude, out) {
        push_shortest(magnitude, out);
    }
}

/// Money and distances: at most four decimals. A decimal of up to 15 digits that reads back as the same number is the
/// only one of its length, so nothing shorter is missed.
fn push_short_decimal(magnitude: f64, out: &mut Vec<u8>) -> bool {
    if !(1e-4..1e10).contains(&magnitude) {
        return false;
    }
    for (scale, places) in [(100_u32, 2), (10_000, 4)] {
        let digits = (magnitude * f64::from(scale) + 0.5) as u64;
        if digits as f64 / f64::from(scale) == magnitude {
            let scale = u64::from(scale);
            push_int(digits / scale, out);
            push_fraction(digits % scale, places, out);
            return true;
        }
    }
    false
}

/// Appends a single precision number with the fewest digits that read back as the same number.
pub fn push_real(value: f32, out: &mut Vec<u8>) {
    if value == 0.0 || !value.is_finite() {
        return push_float(f64::from(value), out);
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let (digits, exponent) = Scientific::shortest_real(value.abs()).parts();
    push_digits(&digits, exponent, REAL_EXPONENTS, out);
}

/// From this exponent on Postgres prints `1e+15`; up to this one, `1e-05`.
const EXPONENTS: std::ops::Range<i32> = -4..15;
const REAL_EXPONENTS: std::ops::Range<i32> = -4..6;

fn push_shortest(magnitude: f64, out: &mut Vec<u8>) {
    let (digits, exponent) = Scientific::shortest(magnitude).parts();
    push_digits(&digits, exponent, EXPONENTS, out);
}

fn push_digits(digits: &[u8], exponent: i32, plain: std::ops::Range<i32>, out: &mut Vec<u8>) {
    if !plain.contains(&exponent) {
        push_scientific(digits, exponent, out);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(digits);
    } else {
        let whole = exponent.unsigned_abs() as usize + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(digits.len())));
        if digits.len() > whole {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

fn push_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a Vec cannot fail.
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

/// A number as Rust's `{:e}` prints it: `1.2345e-5`.
#[derive(Clone, Copy)]
struct Scientific {
    text: [u8; 32],
    len: usize,
}

impl Scientific {
    /// The fewest digits that read back as the number, chosen as Postgres does: strictly nearer to this number than to
    /// its neighbours (`1e23` lies halfway, so it prints `9.999999999999999e+22`), and of two that are equally near the
    /// even one. Rust's own choice differs in these two points only.
    fn shortest(magnitude: f64) -> Self {
        /// Decimals of up to this many digits differ as doubles, so no two are equally near.
        const UNIQUE: usize = 15;
        /// No decimal this short lies halfway between smaller numbers.
        const SMALL: f64 = (1_u64 << 54) as f64;
        let shortest = Self::format(format_args!("{magnitude:e}"));
        let digits = shortest.parts().0.len();
        if digits <= UNIQUE && magnitude < SMALL {
            return shortest;
        }
        let rounded = |places: usize| Self::format(format_args!("{magnitude:.places$e}"));
        let is_right = |text: &Self| text.value() == Some(magnitude) && !text.is_halfway(magnitude);
        // Next to a power of two the nearest decimal of this length can belong to the neighbour.
        let candidates = [rounded(digits - 1), shortest];
        candidates.into_iter().chain((digits..17).map(rounded)).find(is_right).unwrap_or(shortest)
    }

    /// The same for a single precision number: up to nine digits, of which none may lie halfway to a neighbour.
    fn shortest_real(magnitude: f32) -> Self {
        let next = f32::from_bits(magnitude.to_bits() + 1);
        let before = f32::from_bits(magnitude.to_bits() - 1);
        let halfway = [next, before].map(|other| f64::midpoint(f64::from(other), f64::from(magnitude)));
        let exact = f64::from(magnitude);
        let rounded = |places: usize| Self::format(format_args!("{exact:.places$e}"));
        let is_right = |text: &Self| {
            text.as_str().parse() == Ok(magnitude) && text.value().is_none_or(|value| !halfway.contains(&value))
        };
        (0..9).map(rounded).find(is_right).unwrap_or_else(|| rounded(8))
    }

    fn format(number: std::fmt::Arguments<'_>) -> Self {
        let mut text = [0; 32];
        let mut rest = &mut text[..];
        // 17 digits, a point and an exponent of four characters always fit.
        let _ = rest.write_fmt(number);
        let len = 32 - rest.len();
        Self { text, len }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }

    fn value(&self) -> Option<f64> {
        self.as_str().parse().ok()
    }

    /// The digits without the point, and the exponent of the first.
    fn parts(&self) -> (Digits, i32) {
        let (mantissa, exponent) = self.as_str().split_once('e').unwrap_or_default();
        (Digits::of(mantissa), exponent.parse().unwrap_or_default())
    }

    /// Whether this decimal lies exactly between the number and one of its neighbours.
    fn is_halfway(&self, magnitude: f64) -> bool {
        let (digits, exponent) = self.parts();
        let integer = digits.iter().fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let Ok(tens) = u32::try_from(exponent + 1 - digits.len() as i32) else { return false };
        // The odd part of a halfway point has 55 bits at most, and 5^24 has more.
        if tens > 23 {
            return false;
        }
        let twos = integer.trailing_zeros();
        let odd = (integer >> twos) * 5_u128.pow(tens);
        halfway_points(magnitude).contains(&(odd, (twos + tens) as i32))
    }
}

/// The points halfway to the number's neighbours, each as an odd number and a power of two.
fn halfway_points(magnitude: f64) -> [(u128, i32); 2] {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = magnitude.to_bits();
    let mantissa = u128::from((bits & MANTISSA) | (1 << 52));
    let power = (bits >> 52) as i32 - 1075;
    // Below a power of two the neighbours lie twice as close.
    let below = if bits & MANTISSA == 0 { (4 * mantissa - 1, power - 2) } else { (2 * mantissa - 1, power - 1) };
    [below, (2 * mantissa + 1, power - 1)]
}

/// Up to 17 decimal digits without zeros at the end.
struct Digits {
    bytes: [u8; 17],
    len: usize,
}

impl Digits {
    fn of(mantissa: &str) -> Self {
        let mut bytes = [0; 17];
        let mut len = 0;
        for (slot, digit) in bytes.iter_mut().zip(mantissa.bytes().filter(u8::is_ascii_digit)) {
            *slot = digit;
            len += 1;
        }
        while len > 1 && bytes[len - 1] == b'0' {
            len -= 1;
        }
        Self { bytes, len }
    }
}

impl std::ops::Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_reads_as_postgres_prints_it() {
        let expected = [
            (0.1_f32, "0.1"),
            (-2.5, "-2.5"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
            (16_777_216.0, "1.6777216e+07"),
            (0.000_01, "1e-05"),
            (f32::MAX, "3.4028235e+38"),
            (1e-45, "1e-45"),
            (f32::NEG_INFINITY, "-Infinity"),
            (-0.0, "-0"),
        ];
        for (value, shown) in expected {
            let mut out = Vec::new();
            push_real(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }

    #[test]
    fn floats_read_as_postgres_prints_them() {
        let expected = [
            (0.0, "0"),
            (-0.0, "-0"),
            (8.5, "8.5"),
            (-3.0, "-3"),
            (0.3, "0.3"),
            (12.05, "12.05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (100.0, "100"),
            (1.0005, "1.0005"),
            (1e6, "1000000"),
            (1e14, "100000000000000"),
            (999_999_999_999_999.0, "999999999999999"),
            (999_999_999_999_999.9, "999999999999999.9"),
            (1e15, "1e+15"),
            (1e15 + 234_567_890_123_456.75, "1.2345678901234568e+15"),
            (0.001, "0.001"),
            (0.0001, "0.0001"),
            (0.000_123_45, "0.00012345"),
            (1e-5, "1e-05"),
            (1.2345e-5, "1.2345e-05"),
            (1e15 + 0.25, "1.0000000000000002e+15"),
            (1e100, "1e+100"),
            (2_f64.powi(-808), "5.858190679279809e-244"),
            (1e-100, "1e-100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (1e22, "1e+22"),
            (1e23, "9.999999999999999e+22"),
            (8.41e21, "8.409999999999999e+21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, shown) in expected {
            let mut out = Vec::new();
            push_float(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), shown);
        }
    }
}
