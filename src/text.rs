//! Bytes, numbers and values as text.

use serde_json::Value;

/// Two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How deep values from outside may nest. The journal keeps them within its own, and JSON is read to a depth of 128.
pub const DEEPEST: usize = 100;

/// Whether a value nests deeper than [`DEEPEST`] levels.
pub fn nests_too_deeply(value: &Value) -> bool {
    fn is_deeper(value: &Value, left: usize) -> bool {
        let inner = |value: &Value| left == 0 || is_deeper(value, left - 1);
        match value {
            Value::Array(items) => left == 0 || items.iter().any(inner),
            Value::Object(map) => left == 0 || map.values().any(inner),
            _ => false,
        }
    }
    is_deeper(value, DEEPEST)
}

/// A text as it stands, anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `1,734,051`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_their_quotes_and_numbers_get_commas_and_bytes_keep_their_zeros() {
        assert_eq!([plain(&"a".into()), plain(&1.into()), plain(&Value::Null)], ["a", "1", "null"]);
        assert_eq!([thousands(0), thousands(999), thousands(1_734_051)], ["0", "999", "1,734,051"]);
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
