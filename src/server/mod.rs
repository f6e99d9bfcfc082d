//! The server: what runs when nobody watches.

pub mod access;
// mod api;
pub mod lineage;
pub mod metrics;
pub mod notify;
pub mod retention;
pub mod settings;
pub mod traces;
