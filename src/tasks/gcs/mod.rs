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
mod pack;
mod pieces;
mod receive;
mod resumable_upload;
mod selection;
mod send;
mod store;
mod upload_session;

pub use blob::Blob;
