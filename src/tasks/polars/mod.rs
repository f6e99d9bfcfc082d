//! Rows between a file and its destination: typed, filtered, changed, checked.
//!
//! [`spec`] is what YAML says; [`plan`] turns it into steps before a row is read; [`expression`] reads SQL text, to
//! which `dialect`, with `functions`, `exact`, `number`, `moments`, `pattern`, `window`, `class`, `guard`, `scope` and
//! `queries`, and `pg_function`, with `kernels`, `decimal`, `shown` and `rows`, give Postgres's semantics, by what
//! `function_table` says about each function; [`comparable`] says how a destination compares texts, by which `collation`
//! and `comparisons` refuse what bytes do not tell;
//! [`spool`] and [`keys`] see all rows without holding them in memory; [`text`] prints values as Postgres does.

mod casts;
mod class;
mod collation;
pub mod comparable;
mod comparisons;
mod decimal;
mod dialect;
mod exact;
pub mod expect;
pub mod expression;
mod function_table;
mod functions;
mod guard;
mod kernels;
pub mod keys;
mod moments;
mod number;
mod pattern;
mod pg_function;
pub mod plan;
mod queries;
mod query;
mod refusal;
pub mod row_id;
mod row_steps;
mod rows;
mod scope;
mod shown;
pub mod spec;
pub mod spool;
mod sql;
mod stepwise;
pub mod text;
pub mod transform;
mod window;

pub use plan::Plan;
pub use spec::Transform;

/// Keeps the library's warnings off the terminal for the rest of this process: they are about its own future, and not
/// about the flow.
pub fn silence_warnings() {
    polars::error::set_warning_function(|_, _| {});
}
