//! The task types: one file each, and one line each in [`ALL`].

pub mod ai;
mod appended;
pub mod bad_rows;
pub mod bigquery;
pub mod core;
mod counts;
mod csv_fields;
mod csv_words;
pub mod described_file;
pub mod duckdb;
mod fetch;
pub mod file;
mod file_address;
pub mod flow;
pub mod gcs;
pub mod http;
mod if_exists;
pub mod kv;
mod on_match;
pub mod polars;
pub mod postgres;
pub mod script;
mod stable_file;

use crate::task::TaskType;

/// Every task type, by name.
pub static ALL: &[TaskType] = &[
    TaskType::of::<ai::agent::AiAgent>(),
    TaskType::of::<ai::answer::AiAnswer>(),
    TaskType::of::<ai::chat::AiChat>(),
    TaskType::of::<ai::classify::AiClassify>(),
    TaskType::of::<ai::extract::AiExtract>(),
    TaskType::of::<ai::ingest::AiIngest>(),
    TaskType::of::<ai::search::AiSearch>(),
    TaskType::of::<bigquery::create_dataset::CreateDataset>(),
    TaskType::of::<bigquery::delete_table::DeleteTable>(),
    TaskType::of::<bigquery::load::BigQueryLoad>(),
    TaskType::of::<bigquery::query::BigQueryQuery>(),
    TaskType::of::<core::fail::Fail>(),
    TaskType::of::<core::labels::Labels>(),
    TaskType::of::<core::log::Log>(),
    TaskType::of::<core::output_values::OutputValues>(),
    TaskType::of::<core::purge_files::PurgeFiles>(),
    TaskType::of::<core::returns::Return>(),
    TaskType::of::<core::sleep::Sleep>(),
    TaskType::of::<duckdb::query::DuckDbQuery>(),
    TaskType::of::<file::decompress::Decompress>(),
    TaskType::of::<flow::allow_failure::AllowFailure>(),
    TaskType::of::<flow::dag::Dag>(),
    TaskType::of::<flow::each_parallel::EachParallel>(),
    TaskType::of::<flow::for_each::ForEach>(),
    TaskType::of::<flow::for_each_item::ForEachItem>(),
    TaskType::of::<flow::if_::If>(),
    TaskType::of::<flow::loop_::Loop>(),
    TaskType::of::<flow::parallel::Parallel>(),
    TaskType::of::<flow::pause::Pause>(),
    TaskType::of::<flow::sequential::Sequential>(),
    TaskType::of::<flow::subflow::Subflow>(),
    TaskType::of::<flow::switch::Switch>(),
    TaskType::of::<flow::wait_for::WaitFor>(),
    TaskType::of::<flow::working_directory::WorkingDirectory>(),
    TaskType::of::<gcs::create_bucket::CreateBucket>(),
    TaskType::of::<gcs::delete::GcsDelete>(),
    TaskType::of::<gcs::delete_list::GcsDeleteList>(),
    TaskType::of::<gcs::download::GcsDownload>(),
    TaskType::of::<gcs::list::GcsList>(),
    TaskType::of::<gcs::upload::GcsUpload>(),
    TaskType::of::<http::download::HttpDownload>(),
    TaskType::of::<http::request::HttpRequest>(),
    TaskType::of::<kv::delete::KvDelete>(),
    TaskType::of::<kv::get::KvGet>(),
    TaskType::of::<kv::keys::KvKeys>(),
    TaskType::of::<kv::set::KvSet>(),
    TaskType::of::<polars::transform::PolarsTransform>(),
    TaskType::of::<postgres::copy_in::CopyIn>(),
    TaskType::of::<postgres::copy_out::CopyOut>(),
    TaskType::of::<postgres::load::PostgresLoad>(),
    TaskType::of::<postgres::query::PostgresQuery>(),
    TaskType::of::<script::python::PythonCommands>(),
    TaskType::of::<script::python::PythonScript>(),
    TaskType::of::<script::shell::ShellCommands>(),
    TaskType::of::<script::shell::ShellScript>(),
];

/// The task type of this name, short or Kestra's.
pub fn find(name: &str) -> Option<&'static TaskType> {
    ALL.iter().find(|task| task.is(name))
}
