//! Tasks on DuckDB, through its Python package.
//!
//! Linking DuckDB in would add some 40 MB to the program and ten minutes of C++ to its build, for a task that many
//! flows do without. Its command line tool prints values as text and loses their types. Its Python package cuts SQL
//! into statements with DuckDB's own parser and gives typed values; it is used where Python has it, and else installed
//! once into an environment of its own, as a script's dependencies are.

pub mod query;

mod program;
