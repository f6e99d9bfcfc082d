//! Rows between a file and its destination: typed, filtered, changed, checked.
//!
//! [`spec`] is what YAML says; [`plan`] turns it into steps before a row is read; [`expression`] reads SQL text.
//! `grammar` reads that SQL as Postgres does, and refuses what `allowed`, `select_parts` and `groups` do not list.
//! `dialect` rewrites it to give it Postgres's semantics, with `functions`, `exact`, `number`, `datetimes`, `pattern`,
//! `window`, `class`, `short_circuit`, `scope` and `queries`, by what `function_table` says about each function. It is
//! rewritten to calls of `pg_function`, which computes with `kernels`, `decimal`, `pg_text` and `rows`.
//! [`comparison_rule`] says how a destination compares texts, and `collation` and `comparisons` refuse comparisons of bytes
//! that would differ from it.
//! [`spool`] and [`keys`] see all rows without holding them in memory; [`text_column`] prints values as Postgres does.

mod allowed;
mod casts;
mod class;
mod collation;
pub mod comparison_rule;
mod comparisons;
mod datetimes;
mod decimal;
mod dialect;
mod exact;
pub mod expect;
pub mod expression;
mod fields;
mod function_table;
mod functions;
mod grammar;
mod groups;
mod joins;
mod kernels;
pub mod keys;
mod number;
mod pattern;
mod pg_function;
mod pg_text;
mod places;
pub mod plan;
mod queries;
mod query;
mod regex;
pub mod row_id;
mod row_steps;
mod row_wise;
mod rows;
mod scope;
mod select_parts;
mod short_circuit;
pub mod spec;
pub mod spool;
mod sql;
pub mod text_column;
mod text_parts;
mod texts;
pub mod transform;
mod unsupported;
mod walk;
mod window;

pub use plan::TransformPlan;
pub use spec::Transform;

/// Keeps the library's warnings off the terminal for the rest of this process: they are about its own future, and not
/// about the flow.
pub fn silence_warnings() {
    polars::error::set_warning_function(|_, _| {});
}
