//! Backfills: which partitions of the past there are, how each stands, and running those that are wanted.

mod asked;
mod calendar;
mod choice;
mod dates;
mod drive;
mod grid;
mod inputs;
mod keeper;
mod period;
mod presence;
mod refusal;
mod run;
mod standing;
mod steer;
mod survey;

pub use asked::Asked;
pub use calendar::{Beat, Grain, Slot};
pub use choice::{Choice, Preview};
pub use dates::may_read_date;
pub use drive::{Drive, Driven, Leaves, is_driven};
pub use grid::{Column, Grid, Wanted};
pub use keeper::{Keeper, Started};
pub use period::Period;
pub use presence::Presence;
pub use refusal::BackfillError;
pub use run::{PartitionRun, Partitioned};
pub use standing::{Cell, Standing, rows};
pub use steer::state;
pub use survey::{Known, Verdict};
