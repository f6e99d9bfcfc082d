//! The language, the command line, the server and the tasks that need no more than this machine.

mod common;

mod agents;
mod ai;
mod architecture;
mod assistant;
mod backfill;
mod bad_files;
mod browser;
mod cli;
mod convert;
mod course;
mod decompress;
mod download;
mod expressions;
mod graph;
mod http_request;
mod language;
mod notify;
mod refusals;
mod rest;
mod schema;
mod script;
mod server;
mod transform;
mod triggers;
