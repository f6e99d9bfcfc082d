//! Tasks that need no other system.

pub mod labels;
pub mod log;
pub mod purge_files;
pub mod returns;
pub mod sleep;
