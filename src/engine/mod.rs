//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

mod names;
pub mod plan;
mod retry;
mod run;
pub mod schedule;
mod snapshot;
mod work;

pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
