//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

pub mod backfill;
pub mod catalog;
pub mod control;
pub mod executor;
mod foresee;
pub mod lock;
mod names;
mod outside;
pub mod plan;
mod retry;
pub mod revive;
mod run;
pub mod schedule;
mod secrets;
mod snapshot;
mod work;

pub use foresee::{Foreseen, Possible, Wanted};
pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
