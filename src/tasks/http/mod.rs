//! Files and answers from web servers.

pub mod download;
pub mod request;

mod checksums;
mod content;
mod disk_space;
mod error_response;
mod fetch;
mod form;
mod local;
mod message;
mod options;
mod page;
mod partial_file;
mod similar_files;
mod source_probe;
