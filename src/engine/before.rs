//! What expressions may ask where there is no execution: those of inputs, and of a server's settings.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::Settings;
use crate::engine::secrets;
use crate::flow::expression::Outside;

/// The moment in which a run is asked for.
#[derive(Clone, Debug)]
pub struct Before {
    now: DateTime<Utc>,
}

impl Before {
    /// What may be asked at this moment.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now }
    }
}

impl Outside for Before {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(self.now)
    }

    fn random(&self) -> Result<u64, String> {
        Ok(rand::random())
    }
}

/// What a server's settings may ask: the time, and secrets.
#[derive(Clone, Debug)]
pub struct Beside {
    settings: Arc<Settings>,
}

impl Beside {
    /// Around these settings.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }
}

impl Outside for Beside {
    fn now(&self) -> Result<DateTime<Utc>, String> {
        Ok(Utc::now())
    }

    fn secret(&self, name: &str, _subkey: Option<&str>) -> Result<String, String> {
        let secret = secrets::find(&self.settings, Path::new("."), name)?;
        self.settings.redactor.learn(&secret);
        Ok(secret)
    }
}
