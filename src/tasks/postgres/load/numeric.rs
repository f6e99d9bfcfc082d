//! Postgres's `numeric` in binary: base-10000 digits, the weight of the first, the sign, and the decimals shown.
//! Source: `numeric_recv` in Postgres's `src/backend/utils/adt/numeric.c`.

use bytes::{BufMut, BytesMut};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;

/// The most decimals that Postgres shows.
const MAX_DECIMALS: usize = 16_383;

/// Appends a decimal number's field, length included; none when the text is no number.
pub(super) fn put_numeric(text: &str, out: &mut BytesMut) -> Option<()> {
    let text = text.trim_ascii();
    if text.eq_ignore_ascii_case("nan") {
        put(&[], 0, NAN, 0, out);
        return Some(());
    }
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (POSITIVE, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_number = !(whole.is_empty() && decimals.is_empty());
    if !is_number
        || !whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit())
        || exponent.unsigned_abs() > 10_000
    {
        return None;
    }
    put_digits(whole, decimals, exponent, sign, out)
}

fn put_digits(whole: &str, decimals: &str, exponent: i32, sign: u16, out: &mut BytesMut) -> Option<()> {
    let mut digits: Vec<u8> = whole.bytes().chain(decimals.bytes()).map(|byte| byte - b'0').collect();
    // How many of the digits are before the point.
    let mut point = i32::try_from(whole.len()).ok()? + exponent;
    let shown = usize::try_from(i32::try_from(digits.len()).ok()? - point).unwrap_or(0);
    if shown > MAX_DECIMALS {
        return None;
    }
    // Groups of four begin at the point, on both sides of it.
    let lead = usize::try_from((-point).rem_euclid(4)).ok()?;
    digits.splice(0..0, std::iter::repeat_n(0, lead));
    point += i32::try_from(lead).ok()?;
    let missing = (4 - digits.len() % 4) % 4;
    digits.extend(std::iter::repeat_n(0, missing));
    let mut groups: Vec<u16> =
        digits.chunks(4).map(|group| group.iter().fold(0, |sum, digit| sum * 10 + u16::from(*digit))).collect();
    let mut weight = point / 4 - 1;
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= i32::try_from(zeros).ok()?;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let (weight, sign) = if groups.is_empty() { (0, POSITIVE) } else { (weight, sign) };
    put(&groups, i16::try_from(weight).ok()?, sign, u16::try_from(shown).ok()?, out);
    Some(())
}

fn put(groups: &[u16], weight: i16, sign: u16, decimals: u16, out: &mut BytesMut) {
    out.put_i32(i32::try_from(8 + 2 * groups.len()).unwrap_or(i32::MAX));
    out.put_i16(i16::try_from(groups.len()).unwrap_or(i16::MAX));
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(decimals);
    groups.iter().for_each(|group| out.put_u16(*group));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups, weight, sign and decimals of a text.
    fn parts(text: &str) -> Option<(Vec<u16>, i16, u16, u16)> {
        let mut out = BytesMut::new();
        put_numeric(text, &mut out)?;
        let at = |index: usize| u16::from_be_bytes([out[index], out[index + 1]]);
        let groups = (0..usize::from(at(4))).map(|index| at(12 + 2 * index)).collect();
        Some((groups, at(6).cast_signed(), at(8), at(10)))
    }

    #[test]
    fn digits_are_grouped_from_the_point() {
        assert_eq!(parts("12345.678"), Some((vec![1, 2345, 6780], 1, POSITIVE, 3)));
        assert_eq!(parts("-0.0001"), Some((vec![1], -1, NEGATIVE, 4)));
        assert_eq!(parts("0.00"), Some((vec![], 0, POSITIVE, 2)));
        assert_eq!(parts("10000"), Some((vec![1], 1, POSITIVE, 0)));
        assert_eq!(parts(".5"), Some((vec![5000], -1, POSITIVE, 1)));
        assert_eq!(parts("1e3"), Some((vec![1000], 0, POSITIVE, 0)));
        assert_eq!(parts("1.5e-3"), Some((vec![15], -1, POSITIVE, 4)));
        assert_eq!(parts("NaN"), Some((vec![], 0, NAN, 0)));
        for text in ["", ".", "\u{a0}1", "1.2.3", "12x", "--1", "1e99999"] {
            assert_eq!(parts(text), None, "{text:?}");
        }
    }
}
