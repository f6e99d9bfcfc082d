//! Tasks that run other tasks, wait, or run other flows.

pub mod allow_failure;
mod batches;
pub mod dag;
pub mod each_parallel;
mod folder_cache;
pub mod for_each;
pub mod for_each_item;
pub mod if_;
pub mod loop_;
pub mod parallel;
pub mod pause;
pub mod sequential;
pub mod subflow;
pub mod switch;
pub mod wait_for;
pub mod working_directory;
