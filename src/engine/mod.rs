//! Runs flows: a pure plan, a runner that does what the plan says, and a journal in between.

mod admission;
mod again;

mod attempt;
pub mod backfill;
mod before;
pub mod catalog;
mod children;
pub mod clock;
pub mod control;
mod create;
mod ending;
pub mod executor;
pub mod flow_file;
mod foresee;
pub mod health;
pub mod input_files;
mod interrupted;
pub mod leftovers;
mod literal;
pub mod lock;
pub mod lookup;
mod names;
mod outcome;
mod outside;
pub mod plan;
mod retry;
pub mod revive;
mod rounds;
mod run;
pub mod schedule;
pub mod scheduler;
mod scope;
mod secrets;
mod snapshot;
mod steer;
mod target;
mod work;

pub use before::{Before, Beside};
pub use create::Request;
pub use foresee::{Foreseen, Possible, Wanted};
pub use interrupted::{INTERRUPTED, interrupted, is_interrupted, settle_killing};
pub use run::{EngineError, Notice, Observer, Runner};
pub use snapshot::Recorded;
pub use target::{elsewhere, target_of};
