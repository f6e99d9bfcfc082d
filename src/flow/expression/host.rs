//! The interface to everything impure that expressions may use.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// What an expression needs beyond its values. Each question fails by default, in words that follow
/// "function `name`:".
pub trait Host {
    /// The time.
    ///
    /// # Errors
    /// When there is no clock here.
    fn now(&self) -> Result<DateTime<Utc>, String> {
        impossible()
    }

    /// 64 random bits.
    ///
    /// # Errors
    /// When there is no chance here.
    fn random(&self) -> Result<u64, String> {
        impossible()
    }

    /// A secret's value; of a secret that is a JSON map, with a subkey, the value of that key.
    ///
    /// # Errors
    /// When there is no such secret.
    fn secret(&self, _name: &str, _subkey: Option<&str>) -> Result<String, String> {
        impossible()
    }

    /// What the key-value store holds, if anything; without a namespace, in the flow's own.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn kv(&self, _key: &str, _namespace: Option<&str>) -> Result<Option<Value>, String> {
        impossible()
    }

    /// The same for a value that is shown and kept.
    ///
    /// # Errors
    /// As [`Host::kv`], and when the value holds a secret.
    fn public_kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        self.kv(key, namespace)
    }

    /// The text of a file, by URI or by its path among a namespace's files; without a namespace, the flow's own.
    ///
    /// # Errors
    /// When it is not there or no text.
    fn read(&self, _uri: &str, _namespace: Option<&str>) -> Result<String, String> {
        impossible()
    }

    /// A file's size in bytes.
    ///
    /// # Errors
    /// When it is not there.
    fn file_size(&self, _uri: &str, _namespace: Option<&str>) -> Result<u64, String> {
        impossible()
    }

    /// Whether there is such a file.
    ///
    /// # Errors
    /// When it cannot be known.
    fn file_exists(&self, _uri: &str, _namespace: Option<&str>) -> Result<bool, String> {
        impossible()
    }

    /// Whether a file holds nothing.
    ///
    /// # Errors
    /// When it is not there.
    fn file_empty(&self, uri: &str, namespace: Option<&str>) -> Result<bool, String> {
        Ok(self.file_size(uri, namespace)? == 0)
    }

    /// The URI of a file of a namespace.
    ///
    /// # Errors
    /// When there is no such file.
    fn file_uri(&self, _path: &str, _namespace: Option<&str>) -> Result<String, String> {
        impossible()
    }

    /// The execution's error logs: a list of maps.
    ///
    /// # Errors
    /// When they cannot be read.
    fn error_logs(&self) -> Result<Value, String> {
        impossible()
    }

    /// The execution's tasks in a state: a list of maps.
    ///
    /// # Errors
    /// When they cannot be known.
    fn tasks_with_state(&self, _state: &str) -> Result<Value, String> {
        impossible()
    }
}

fn impossible<T>() -> Result<T, String> {
    Err("this is not available here".to_owned())
}

/// A host that provides nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {}
