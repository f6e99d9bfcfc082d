//! The task types: one file each, and one line each in [`ALL`].

pub mod bad_rows;
pub mod core;
pub mod file;
pub mod http;
pub mod polars;
pub mod postgres;

use crate::task::TaskType;

/// Every task type, by name.
pub static ALL: &[TaskType] = &[
    TaskType::of::<core::condition::If>(),
    TaskType::of::<core::labels::Labels>(),
    TaskType::of::<core::log::Log>(),
    TaskType::of::<core::purge_files::PurgeFiles>(),
    TaskType::of::<core::returns::Return>(),
    TaskType::of::<core::sleep::Sleep>(),
    TaskType::of::<file::decompress::Decompress>(),
    TaskType::of::<http::download::Download>(),
    TaskType::of::<polars::transform::PolarsTransform>(),
    TaskType::of::<postgres::copy_out::CopyOut>(),
    TaskType::of::<postgres::load::Load>(),
    TaskType::of::<postgres::query::Query>(),
];

/// The task type of this name, short or Kestra's.
pub fn find(name: &str) -> Option<&'static TaskType> {
    ALL.iter().find(|task| task.is(name))
}
