//! Tasks on Postgres.

pub mod copy_out;
pub mod load;
pub mod query;
