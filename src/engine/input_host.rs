//! What expressions may ask where there is no execution: those of inputs, and of a server's settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::clock;
use crate::config::Settings;
use crate::engine::host::error_chain;
use crate::engine::secrets;
use crate::flow::Flow;
use crate::flow::expression::Host;
use crate::journal::{Kv, KvEntry};
use crate::text::plain;

/// The moment in which a run is requested, and what expressions may use then.
#[derive(Clone, Debug)]
pub struct InputHost {
    now: DateTime<Utc>,
    place: Option<FlowContext>,
}

#[derive(Clone, Debug)]
struct FlowContext {
    settings: Settings,
    flows: PathBuf,
    namespace: String,
}

impl InputHost {
    /// Time and chance alone.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now, place: None }
    }

    /// What a run of this flow may ask: stored values and secrets too.
    pub fn of(settings: &Settings, flow: &Flow, now: DateTime<Utc>) -> Self {
        let flows = std::path::absolute(&flow.folder).unwrap_or_else(|_| flow.folder.clone());
        let place = FlowContext { settings: settings.clone(), flows, namespace: flow.namespace.clone() };
        Self { now, place: Some(place) }
    }

    fn place(&self) -> Result<&FlowContext, String> {
        self.place.as_ref().ok_or_else(|| "this is not available here".to_owned())
    }
}

impl Host for InputHost {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(self.now)
    }

    fn random(&self) -> Result<u64, String> {
        Ok(rand::random())
    }

    fn secret(&self, name: &str, subkey: Option<&str>) -> Result<String, String> {
        let FlowContext { settings, flows, .. } = self.place()?;
        let secret = secrets::find(settings, flows, name)?;
        settings.redactor.learn(&secret);
        let Some(subkey) = subkey else { return Ok(secret) };
        let map: Value = serde_json::from_str(&secret).map_err(|_| format!("the secret `{name}` is not a JSON map"))?;
        let value = map.get(subkey).map(plain).ok_or_else(|| format!("the secret `{name}` has no key `{subkey}`"))?;
        settings.redactor.learn(&value);
        Ok(value)
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        let found = self.stored(key, namespace)?;
        let secrets = found.iter().flat_map(|entry| &entry.secrets);
        secrets.for_each(|secret| self.place.iter().for_each(|place| place.settings.redactor.learn(secret)));
        Ok(found.map(|entry| entry.value))
    }

    fn public_kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, String> {
        match self.stored(key, namespace)? {
            Some(entry) if !entry.secrets.is_empty() => Err(format!(
                "the value of `{key}` contains a secret, which may only be used in an input of type SECRET, since other inputs are displayed and stored"
            )),
            found => Ok(found.map(|entry| entry.value)),
        }
    }
}

impl InputHost {
    fn stored(&self, key: &str, namespace: Option<&str>) -> Result<Option<KvEntry>, String> {
        let FlowContext { settings, namespace: own, .. } = self.place()?;
        // Looking at a store that nobody has written makes none.
        if !settings.kv().exists() {
            return Ok(None);
        }
        let store = Kv::open(&settings.kv());
        let found = store.and_then(|store| match namespace {
            Some(namespace) => store.get(namespace, key, self.now),
            None => store.find(own, key, self.now),
        });
        found.map_err(|error| error_chain(&error))
    }
}

/// What a server's settings may ask: the time, and secrets.
#[derive(Clone, Debug)]
pub struct SettingsHost {
    settings: Arc<Settings>,
}

impl SettingsHost {
    /// Around these settings.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }
}

impl Host for SettingsHost {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(clock::now())
    }

    fn secret(&self, name: &str, _subkey: Option<&str>) -> Result<String, String> {
        let secret = secrets::find(&self.settings, Path::new("."), name)?;
        self.settings.redactor.learn(&secret);
        Ok(secret)
    }
}
