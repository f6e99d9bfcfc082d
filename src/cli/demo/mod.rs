//! `jitney demo`: sample months, a server for them, and what is shown of them.

pub mod chart;
pub mod month;
pub mod serve;
pub mod zones;

mod random;
mod row;
mod trip;
