//! What expressions may ask before there is an execution: those of inputs.

use chrono::{DateTime, Utc};

use crate::flow::expression::Outside;

/// The moment in which a run is asked for.
#[derive(Clone, Copy, Debug)]
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
