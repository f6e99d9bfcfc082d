//! What is stored in a Postgres, and in DuckDB.

mod common;

mod duckdb;
mod load;
mod postgres_query;
mod postgres_server;
mod row_id;
