//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

mod before;
pub mod catalog;
pub mod clock;
pub mod control;
pub mod executor;
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

pub use before::{Before, Beside};
pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
