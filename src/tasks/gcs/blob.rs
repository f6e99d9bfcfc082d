//! What Cloud Storage says of an object.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::address::Address;

/// An object, or a folder that a listing shows in place of the objects in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    /// Its address, `gs://bucket/name`.
    #[serde(default)]
    pub uri: String,
    /// Its bucket.
    #[serde(default)]
    pub bucket: String,
    /// Its name; that of a folder ends with a slash.
    #[serde(default)]
    pub name: String,
    /// Its bytes, as they are stored.
    #[serde(default, deserialize_with = "number")]
    pub size: u64,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `gzip`, for what is to be unpacked on its way to a reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Its MD5 in base64; composed objects have none.
    #[serde(rename(deserialize = "md5Hash"), skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Its CRC-32C in base64, big-endian.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    /// The number of its content: every overwriting makes a greater one.
    #[serde(default, deserialize_with = "number")]
    pub generation: u64,
    /// Its storage class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// When it was made.
    #[serde(rename(deserialize = "timeCreated"), skip_serializing_if = "Option::is_none")]
    pub create_time: Option<String>,
    /// When it last changed.
    #[serde(rename(deserialize = "updated"), skip_serializing_if = "Option::is_none")]
    pub update_time: Option<String>,
    /// When this version was deleted, where all versions are listed.
    #[serde(rename(deserialize = "timeDeleted"), skip_serializing_if = "Option::is_none")]
    pub delete_time: Option<String>,
    /// Its own metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether it is a folder.
    #[serde(default)]
    pub directory: bool,
}

impl Blob {
    /// A folder in a listing.
    pub(super) fn folder(bucket: &str, name: String) -> Self {
        Self { bucket: bucket.to_owned(), name, directory: true, ..Self::default() }.addressed()
    }

    /// With its address, which Google leaves to be put together.
    pub(super) fn addressed(mut self) -> Self {
        self.uri = self.address().to_string();
        // A name that ends with a slash is an empty object that consoles make to show a folder.
        self.directory |= self.name.ends_with('/');
        self
    }

    pub(super) fn address(&self) -> Address {
        Address { bucket: self.bucket.clone(), name: self.name.clone() }
    }

    /// Its CRC-32C as a number.
    pub(super) fn checksum(&self) -> Option<u32> {
        let bytes = STANDARD.decode(self.crc32c.as_deref()?).ok()?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

/// A CRC-32C as Google writes it.
pub(super) fn checksum_text(checksum: u32) -> String {
    STANDARD.encode(checksum.to_be_bytes())
}

/// Google writes 64-bit numbers as text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrText {
        Number(u64),
        Text(String),
    }
    match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_google_writes_it() {
        let json =
            r#"{"bucket": "b", "name": "a/b.csv", "size": "9", "crc32c": "4waSgw==", "generation": "17", "x": 1}"#;
        let blob: Blob = serde_json::from_str::<Blob>(json).unwrap().addressed();
        assert_eq!((blob.uri.as_str(), blob.size, blob.generation), ("gs://b/a/b.csv", 9, 17));
        // The checksum of `123456789` in every description of the algorithm.
        assert_eq!(blob.checksum(), Some(0xe306_9283));
        assert_eq!(checksum_text(0xe306_9283), "4waSgw==");
    }
}
