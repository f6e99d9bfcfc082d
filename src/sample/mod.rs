//! Invented months of taxi trips in the published format: for the demo, a first start without flows, the tests and the
//! benchmark.

pub mod month;
pub mod year;

mod random;
mod row;
mod trip;
