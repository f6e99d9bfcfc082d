//! `gs://bucket/name`.

use std::fmt;

use crate::task::TaskError;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) bucket: String,
    /// The object's name, with its slashes; the prefix of the names where there are several.
    pub(super) name: String,
}

impl Address {
    /// Reads `gs://bucket/name`, or a mere name where the task has a bucket.
    pub(super) fn parse(text: &str, bucket: Option<&str>) -> Result<Self, TaskError> {
        let wrong =
            |problem: &str| TaskError::permanent(format!("`{text}` {problem}")).help("write gs://bucket/folder/name");
        let (bucket, name) = match (text.split_once("://"), bucket) {
            (Some(("gs", rest)), _) => rest.split_once('/').unwrap_or((rest, "")),
            (Some(_), _) => return Err(wrong("is not a Cloud Storage address")),
            (None, Some(bucket)) => {
                (bucket.strip_prefix("gs://").unwrap_or(bucket).trim_end_matches('/'), text.trim_start_matches('/'))
            }
            (None, None) => return Err(wrong("has no bucket")),
        };
        if bucket.is_empty() {
            return Err(wrong("has no bucket"));
        }
        if name.len() > 1024 || name.contains(['\r', '\n']) {
            return Err(wrong("is not a valid object name: it is longer than 1,024 bytes, or has a line break"));
        }
        Ok(Self { bucket: bucket.to_owned(), name: name.to_owned() })
    }

    /// The same for one object.
    pub(super) fn of_object(text: &str, bucket: Option<&str>) -> Result<Self, TaskError> {
        let address = Self::parse(text, bucket)?;
        if address.name.is_empty() || address.name.ends_with('/') {
            let message = format!("`{text}` names a folder, not an object");
            return Err(TaskError::permanent(message).help("write gs://bucket/folder/name"));
        }
        Ok(address)
    }

    /// The path of the object in the JSON API.
    pub(super) fn path(&self) -> String {
        format!("/storage/v1/b/{}/o/{}", encode(&self.bucket), encode(&self.name))
    }

    /// The bucket as Google's own client names it.
    pub(super) fn full_bucket(&self) -> String {
        format!("projects/_/buckets/{}", self.bucket)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gs://{}/{}", self.bucket, self.name)
    }
}

/// A text as one segment of a path, or as a value of a query.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_bucket_and_a_name_whatever_the_name_holds() {
        let parsed = Address::of_object("gs://b/green/a b+ü#1.csv", None).unwrap();
        assert_eq!((parsed.bucket.as_str(), parsed.name.as_str()), ("b", "green/a b+ü#1.csv"));
        assert_eq!(parsed.path(), "/storage/v1/b/b/o/green%2Fa%20b%2B%C3%BC%231.csv");
        assert_eq!(parsed.to_string(), "gs://b/green/a b+ü#1.csv");
        assert_eq!(Address::of_object("/green/a.csv", Some("gs://b/")).unwrap().to_string(), "gs://b/green/a.csv");
        assert_eq!(Address::parse("gs://b", None).unwrap().name, "");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, words) in [
            ("s3://b/a", "is not a Cloud Storage address"),
            ("a.csv", "has no bucket"),
            ("gs:///a", "has no bucket"),
            ("gs://b", "names a folder"),
            ("gs://b/a/", "names a folder"),
            ("gs://b/a\nb", "is not a valid object name"),
        ] {
            let error = Address::of_object(text, None).unwrap_err();
            assert!(error.message.contains(words), "{text}: {error}");
        }
    }
}
