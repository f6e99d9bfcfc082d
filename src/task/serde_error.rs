//! What serde says of a value, in the words of YAML.

use std::borrow::Cow;

use crate::diagnostic::{Diagnostic, nearest, offer};
use crate::task::FieldError;
use crate::task::read::named;
use crate::text::shortened;

/// How the messages begin that say what form is wanted. All others are those of the field's own type, or of its task.
const OF_FORM: [&str; 6] =
    ["invalid ", "duplicate field ", "expected ", "write a ", "write one word", "this word takes no value"];

/// What is wrong with a field, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub enum SerdeComplaint<'a> {
    /// There is no such field.
    UnknownField(&'a str),
    /// A field that must be there is not.
    MissingField(&'a str),
    /// A word that is none of those that are possible.
    UnknownWord(&'a str),
    /// Anything else.
    Other,
}

impl FieldError {
    /// What it is about.
    pub fn complaint(&self) -> SerdeComplaint<'_> {
        let quoted = |start| quoted_after(&self.message, start);
        None.or_else(|| quoted("unknown field ").map(SerdeComplaint::UnknownField))
            .or_else(|| quoted("missing field ").map(SerdeComplaint::MissingField))
            .or_else(|| quoted("unknown variant ").map(SerdeComplaint::UnknownWord))
            .unwrap_or(SerdeComplaint::Other)
    }

    /// The error in plain words, with what to do. Fields in `common` are possible in addition to the struct's own.
    pub fn plainly(&self, common: &[&str]) -> Diagnostic {
        let known = || quoted(self.message.split(", expected").nth(1).unwrap_or_default());
        match self.complaint() {
            SerdeComplaint::UnknownField(field) => {
                Diagnostic::error(format!("unknown field `{field}`")).help(offer_fields(field, &known(), common))
            }
            SerdeComplaint::MissingField(field) => {
                Diagnostic::error(format!("`{field}` is missing")).help(format!("add `{field}: …`"))
            }
            SerdeComplaint::UnknownWord(word) => {
                Diagnostic::error(format!("unknown value `{word}`")).help(offer(word, &known()))
            }
            SerdeComplaint::Other => self.other(),
        }
    }

    fn other(&self) -> Diagnostic {
        let field = self.path.last().map(|field| format!("`{field}`")).unwrap_or_else(|| "this".to_owned());
        if let Some(twice) = quoted_after(&self.message, "duplicate field ") {
            return Diagnostic::error(format!("`{twice}` is specified twice, under two of its names"))
                .help("remove one of them");
        }
        let message = wrong_kind(&field, &self.message).unwrap_or_else(|| named(&field, &self.message));
        let is_refusal = !OF_FORM.iter().any(|words| self.message.starts_with(words));
        let finding = Diagnostic { is_refusal, ..Diagnostic::error(message) };
        match (self.message.starts_with("invalid type: string"), self.message.ends_with("a sequence")) {
            (true, true) => finding.help(as_list(&self.message)),
            (true, false) if self.message.contains("{{") => {
                finding.help("this cannot be an expression; write the value")
            }
            _ => finding,
        }
    }
}

/// A help line for a field that is not there; `common` are the fields that all of its kind have.
fn offer_fields(field: &str, known: &[&str], common: &[&str]) -> String {
    if let Some(near) = nearest(field, known.iter().chain(common).copied()) {
        return format!("did you mean `{near}`?");
    }
    match (known, common) {
        (known, []) => offer(field, known),
        ([], common) => format!("expected one of the common fields `{}`", common.join("`, `")),
        (known, common) => {
            format!("expected one of `{}`, or a common field: `{}`", known.join("`, `"), common.join("`, `"))
        }
    }
}

/// How to make a list of a text.
fn as_list(message: &str) -> String {
    match message.split('"').nth(1).filter(|text| text.starts_with('-')) {
        Some(_) => "write a space after the dash: `- …`".to_owned(),
        None => "write a list, with each item after a dash on its own line: `- …`".to_owned(),
    }
}

/// serde's `invalid type: sequence, expected a string` in the words of YAML.
fn wrong_kind(field: &str, message: &str) -> Option<String> {
    let of_type = message.strip_prefix("invalid type: ");
    let (found, wanted) = of_type.or_else(|| message.strip_prefix("invalid value: "))?.split_once(", expected ")?;
    let wanted = match wanted {
        "a sequence" => "a list",
        "a struct" | "an object" => "a map",
        "a boolean" => "true or false",
        "f32" | "f64" => "a number",
        "u8" if of_type.is_none() => "a whole number from 0 to 255",
        "u16" if of_type.is_none() => "a whole number from 0 to 65,535",
        "u32" if of_type.is_none() => "a whole number from 0 to 4,294,967,295",
        "u64" | "usize" if of_type.is_none() => "a whole number of 0 or more",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number",
        other if other.starts_with("struct ") => "a map",
        other => other,
    };
    Some(format!("{field} must be {wanted}, not {}", found_kind(found)))
}

fn found_kind(found: &str) -> String {
    let short = match shortened(found, 60) {
        Cow::Owned(cut) => cut + "\"",
        Cow::Borrowed(whole) => whole.to_owned(),
    };
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a map".to_owned(),
        "null" | "unit" | "unit value" => "empty".to_owned(),
        _ => short.replacen("integer", "the number", 1).replacen("floating point", "the number", 1).replacen(
            "string",
            "the string",
            1,
        ),
    }
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(message: &str) -> String {
        let error = FieldError { path: vec!["mode".to_owned()], message: message.to_owned() };
        let finding = error.plainly(&["timeout"]);
        format!("{}; {}", finding.message, finding.help.unwrap_or_default())
    }

    #[test]
    fn what_serde_says_becomes_plain() {
        let expected = [
            ("invalid type: map, expected a sequence", "`mode` must be a list, not a map; "),
            ("invalid type: null, expected struct Reject", "`mode` must be a map, not empty; "),
            (
                "invalid value: integer `70000`, expected u16",
                "`mode` must be a whole number from 0 to 65,535, not the number `70000`; ",
            ),
            ("invalid type: string \"x\", expected u16", "`mode` must be a whole number, not the string \"x\"; "),
            ("missing field `key`", "`key` is missing; add `key: …`"),
            ("unknown variant `merg`, expected `append` or `merge`", "unknown value `merg`; did you mean `merge`?"),
            (
                "unknown field `zzz`, expected `a` or `b`",
                "unknown field `zzz`; expected one of `a`, `b`, or a common field: `timeout`",
            ),
            ("unknown field `timout`, expected `a`", "unknown field `timout`; did you mean `timeout`?"),
            ("duplicate field `values`", "`values` is specified twice, under two of its names; remove one of them"),
        ];
        for (message, words) in expected {
            assert_eq!(plain(message), words);
        }
    }
}
