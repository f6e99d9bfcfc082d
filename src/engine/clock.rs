//! Where the time comes from, so that a test can let years pass in seconds.

use std::future::Future;

use crate::clock;
use std::pin::Pin;

use chrono::{DateTime, Utc};

/// A clock.
pub trait Clock: Send + Sync {
    /// What time it is.
    fn now(&self) -> DateTime<Utc>;

    /// Comes at this moment, or soon after.
    fn until(&self, moment: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

/// The longest sleep: a machine's clock may be set, and a laptop sleeps.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        clock::now()
    }

    fn until(&self, moment: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let pause = (moment - self.now()).to_std().unwrap_or_default();
        Box::pin(tokio::time::sleep(pause.min(LONGEST)))
    }
}
