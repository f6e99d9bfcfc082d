//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

mod again;
mod attempt;
pub mod catalog;
mod children;
mod create;
mod ending;
mod locks;
mod names;
mod outcome;
mod outside;
pub mod plan;
mod retry;
mod rounds;
mod run;
pub mod schedule;
mod secrets;
mod snapshot;
mod steer;
mod work;

pub use create::Request;
pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
