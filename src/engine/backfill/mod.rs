//! Backfills: which partitions of the past there are, how each stands, and running those that are wanted.

mod calendar;
mod drive;
mod period;
mod presence;
mod run;
mod standing;
mod survey;

pub use calendar::{Beat, Grain, Slot};
pub use drive::{Drive, Driven, is_driven};
pub use period::Period;
pub use presence::Presence;
pub use run::{PartitionRun, Partitioned};
pub use standing::{Cell, Standing};
pub use survey::{Known, Verdict};
