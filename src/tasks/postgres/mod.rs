//! Tasks on Postgres.

mod collation;
mod copy_format;
pub mod copy_in;
pub mod copy_out;
mod create;
mod kind;
mod ledger;
pub mod load;
mod loaded;
mod nature;
mod numbered;
pub mod query;
mod rows;
mod search_path;
mod shapes;
mod source;
mod table;
mod target;
mod transaction;

pub use create::schema_of;
