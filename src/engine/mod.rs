//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

pub mod backfill;
mod before;
pub mod catalog;
pub mod clock;
pub mod control;
pub mod executor;
mod foresee;
pub mod input_files;
pub mod lock;
mod names;
mod outside;
pub mod plan;
mod retry;
pub mod revive;
mod run;
pub mod schedule;
pub mod scheduler;
mod secrets;
mod snapshot;
mod work;

pub use before::Before;
pub use foresee::{Foreseen, Possible, Wanted};
pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
