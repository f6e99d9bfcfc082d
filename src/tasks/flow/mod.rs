//! Tasks that run other tasks.

pub mod allow_failure;
pub mod dag;
pub mod for_each;
pub mod if_;
pub mod parallel;
pub mod sequential;
pub mod switch;
