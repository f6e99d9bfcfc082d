//! The server: what runs when nobody watches.

pub mod lineage;
pub mod notify;
