//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

mod names;
mod outside;
pub mod plan;
mod retry;
mod run;
pub mod schedule;
mod secrets;
mod snapshot;
mod work;

pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
