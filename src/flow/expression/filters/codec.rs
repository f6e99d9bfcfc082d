//! Filters that encode, decode and hash.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::super::builtin::{Builtin, BuiltinCall, BuiltinResult};

pub(super) const FILTERS: &[Builtin] = &[
    Builtin::new("base64decode", &[], 0, base64_decode),
    Builtin::new("base64encode", &[], 0, |call| Ok(Value::String(STANDARD.encode(call.input_text()?)))),
    Builtin::new("md5", &[], 0, hash::<Md5>),
    Builtin::new("sha1", &[], 0, hash::<Sha1>),
    Builtin::new("sha256", &[], 0, hash::<Sha256>),
    Builtin::new("sha512", &[], 0, hash::<Sha512>),
    Builtin::new("urldecode", &[], 0, url_decode),
    Builtin::new("urlencode", &[], 0, url_encode),
];

fn hash<D: Digest>(call: &BuiltinCall) -> BuiltinResult {
    let digest = D::digest(call.input_text()?.as_bytes());
    Ok(Value::String(crate::text::hex(&digest)))
}

fn base64_decode(call: &BuiltinCall) -> BuiltinResult {
    let bytes = STANDARD.decode(call.input_text()?.trim()).map_err(|error| format!("this is not base64: {error}"))?;
    String::from_utf8(bytes).map(Value::String).map_err(|_| "it does not decode to text".to_owned())
}

/// As HTML forms do: a space is `+`.
fn url_encode(call: &BuiltinCall) -> BuiltinResult {
    let mut out = String::new();
    for byte in call.input_text()?.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b".-*_".contains(&byte) => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    Ok(Value::String(out))
}

fn url_decode(call: &BuiltinCall) -> BuiltinResult {
    let text = call.input_text()?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                rest = after.get(2..).unwrap_or_default();
                byte.ok_or("a `%` is not followed by two hexadecimal digits")?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map(Value::String).map_err(|_| "it does not decode to text".to_owned())
}
