//! Tasks that need no other system.

pub mod fail;
pub mod labels;
pub mod log;
pub mod output_values;
pub mod purge_files;
pub mod returns;
pub mod sleep;
