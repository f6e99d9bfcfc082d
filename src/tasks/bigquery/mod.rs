//! Tasks on BigQuery.

pub mod create_dataset;
pub mod delete_table;
pub mod load;
pub mod query;

mod client;
mod job;
mod name;
mod parameter;
mod remedy;
mod rows;
mod schema;
mod upload;
