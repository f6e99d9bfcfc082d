//! What ledgers and the journal keep of settings, to know them again: a fingerprint that is the same in every version
//! of the program.

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::text::hex;

/// The form of what is hashed; another form needs another number, and a way to recognise the entries of this one.
const VERSION: u32 = 2;

/// Settings by name: those that decide which rows a load brings, or who gets a notification. A setting that has its
/// default is left out, so that one which is added later changes no fingerprint where it is not used.
#[derive(Clone, Debug, Default)]
pub(crate) struct FingerprintBuilder(Map<String, Value>);

impl FingerprintBuilder {
    /// Adds a setting unless it has its default.
    pub(crate) fn with<T: Serialize>(self, name: &str, value: &T, default: &T) -> Self {
        let [value, default] = [json!(value), json!(default)];
        self.with_json(name, value, &default)
    }

    /// Adds a setting that is there.
    pub(crate) fn with_some<T: Serialize>(self, name: &str, value: Option<T>) -> Self {
        self.with_json(name, json!(value), &Value::Null)
    }

    /// Adds the settings of a part of the task under the part's name.
    pub(crate) fn with_part(self, name: &str, part: Self) -> Self {
        self.with_json(name, Value::Object(part.0), &json!({}))
    }

    fn with_json(mut self, name: &str, value: Value, default: &Value) -> Self {
        if value != *default {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// JSON without blanks, the members of every object in the order of their names.
    fn canonical(self) -> String {
        sorted(json!({"version": VERSION, "settings": self.0})).to_string()
    }

    /// Its fingerprint, which also knows what earlier versions kept for the same settings: the hash of `former`.
    pub(crate) fn fingerprint(self, former: &str) -> Fingerprint {
        let sha256 = |text: &str| hex(&Sha256::digest(text.as_bytes()));
        Fingerprint { sha256: sha256(&self.canonical()), former: sha256(former) }
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// What stands for settings where they are stored: SHA-256 in hex.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    /// What is written now.
    pub sha256: String,
    /// What earlier versions wrote for the same settings.
    pub former: String,
}

impl Fingerprint {
    /// One that no earlier version wrote otherwise.
    pub(crate) fn of_text(text: &str) -> Self {
        let sha256 = hex(&Sha256::digest(text.as_bytes()));
        Self { former: sha256.clone(), sha256 }
    }

    /// What may be stored for the same settings.
    pub(crate) fn known(&self) -> [&str; 2] {
        [&self.sha256, &self.former]
    }

    /// Whether what is stored is of the same settings.
    pub(crate) fn knows(&self, sha256: &str) -> bool {
        self.known().contains(&sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_order_nor_defaults_nor_settings_yet_to_come_change_a_definition() {
        let one = FingerprintBuilder::default()
            .with("b", &json!({"y": 1, "x": [2, 1]}), &Value::Null)
            .with("a", &true, &false);
        let other = FingerprintBuilder::default()
            .with("a", &true, &false)
            .with("later", &0, &0)
            .with_some::<&str>("missing", None)
            .with_part("part", FingerprintBuilder::default())
            .with("b", &json!({"x": [2, 1], "y": 1}), &Value::Null);
        assert_eq!(one.clone().canonical(), r#"{"settings":{"a":true,"b":{"x":[2,1],"y":1}},"version":2}"#);
        assert_eq!(other.canonical(), one.canonical());
    }

    #[test]
    fn an_entry_of_an_earlier_version_is_recognised() {
        let print = FingerprintBuilder::default().fingerprint("as it was");
        let former = Fingerprint::of_text("as it was").sha256;
        assert!(print.knows(&print.sha256) && print.knows(&former) && !print.knows("another"));
    }
}
