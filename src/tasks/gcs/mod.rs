//! Tasks on Google Cloud Storage.

pub mod arrivals;
pub mod create_bucket;
pub mod delete;
pub mod delete_list;
pub mod download;
pub mod list;
pub mod upload;

mod address;
mod blob;
mod large;
mod pack;
mod pieces;
mod receive;
mod selection;
mod send;
mod session;
mod store;

pub use blob::Blob;
