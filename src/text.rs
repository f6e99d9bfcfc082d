//! Bytes and values as text.

use serde_json::Value;

/// Two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text as it stands, anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_their_quotes_and_bytes_keep_their_zeros() {
        assert_eq!([plain(&"a".into()), plain(&1.into()), plain(&Value::Null)], ["a", "1", "null"]);
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
