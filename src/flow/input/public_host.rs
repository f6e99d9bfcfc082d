//! The host for inputs whose values are shown and stored: it refuses secrets.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::flow::expression::Host;

pub(super) struct PublicHost<'a>(pub(super) &'a dyn Host);

impl Host for PublicHost<'_> {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        self.0.now()
    }

    fn random(&self) -> Result<u64, String> {
        self.0.random()
    }

    fn secret(&self, _: &str, _: Option<&str>) -> Result<String, String> {
        Err("a secret may only be used in an input of type SECRET, since other inputs are displayed and stored"
            .to_owned())
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        self.0.public_kv(key, namespace)
    }
}
