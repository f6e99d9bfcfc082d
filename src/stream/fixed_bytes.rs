//! Values of Parquet files that are stored as bytes of a fixed number.

/// What the bytes of a column mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FixedBytes {
    /// A floating-point number of two bytes.
    Half,
    Uuid,
    /// A decimal number with so many digits after the point.
    Decimal(usize),
}

/// A floating-point number of two bytes, the lower one first. Every one is a `f32`, too.
pub(super) fn half(bytes: &[u8]) -> f32 {
    let bits = bytes.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let value = match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction > 0.0 => f32::NAN,
        31 => f32::INFINITY,
        exponent => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    };
    sign * value
}

/// A UUID as Postgres writes it.
pub(super) fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
    }
    text
}

/// A decimal number that is a whole number with its highest byte first, in two's complement, and so many digits after the
/// point.
pub(super) fn decimal(bytes: &[u8], scale: usize) -> String {
    let is_negative = bytes.first().is_some_and(|byte| byte >> 7 == 1);
    let digits = format!("{:0>width$}", magnitude(bytes, is_negative), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (sign, point) = (if is_negative { "-" } else { "" }, if scale > 0 { "." } else { "" });
    format!("{sign}{whole}{point}{fraction}")
}

/// The digits of a whole number without its sign.
fn magnitude(bytes: &[u8], is_negative: bool) -> String {
    const LIMB: u64 = 1_000_000_000;
    let mut limbs = vec![0_u64];
    let mut add = |factor: u64, mut carry: u64| {
        for limb in &mut limbs {
            let value = *limb * factor + carry;
            (*limb, carry) = (value % LIMB, value / LIMB);
        }
        if carry > 0 {
            limbs.push(carry);
        }
    };
    // The complement of a negative number is its absolute value, less one.
    bytes.iter().for_each(|byte| add(256, u64::from(if is_negative { !byte } else { *byte })));
    add(1, u64::from(is_negative));
    let digits: String = limbs.iter().rev().map(|limb| format!("{limb:09}")).collect();
    digits.trim_start_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let cases =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 2_f32.powi(-24)), (0xfc00, f32::NEG_INFINITY)];
        for (bits, value) in cases {
            assert_eq!(half(&u16::to_le_bytes(bits)), value);
        }
        assert!(half(&[0, 0x7e]).is_nan() && half(&[0, 0x80]).is_sign_negative());
    }

    #[test]
    fn decimals_have_all_digits() {
        assert_eq!(decimal(&[0; 32], 2), "0.00");
        assert_eq!(decimal(&[0xff; 32], 3), "-0.001");
        assert_eq!(decimal(&5_i128.to_be_bytes(), 0), "5");
        assert_eq!(decimal(&i128::MIN.to_be_bytes(), 38), "-1.70141183460469231731687303715884105728");
        let largest = "57896044618658097711785492504343953926634992332820282019728792003956564819967";
        assert_eq!(decimal(&[&[0x7f][..], &[0xff; 31]].concat(), 0), largest);
    }
}
