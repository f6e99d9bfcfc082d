//! Backfills: which partitions of the past there are, how each stands, and running those that are wanted.

mod backfill_run;
mod calendar;
mod control;
mod controller;
mod dates;
mod decision;
mod error;
mod fixed;
mod grid;
mod inputs;
mod last_runs;
mod ledger_status;
mod partition_report;
mod partition_run;
mod period;
mod request;
mod status;
mod warnings;

pub use backfill_run::{BackfillRun, OnShutdown, RunOutcome, is_running};
pub use calendar::{Granularity, PartitionKey, PartitionSchedule};
pub use control::state;
pub use controller::{BackfillController, StartedBackfill};
pub use dates::may_read_date;
pub use decision::{BackfillPlan, PartitionDecision};
pub use error::BackfillError;
pub use grid::{GridColumn, GridRequest, PartitionGrid, Stretch};
pub use last_runs::LastRuns;
pub use ledger_status::LedgerStatus;
pub use partition_report::{PartitionReport, SourceChange};
pub use partition_run::{PartitionRun, Partitioned};
pub use period::Period;
pub use request::BackfillRequest;
pub use status::{PartitionState, PartitionStatus, rows};
