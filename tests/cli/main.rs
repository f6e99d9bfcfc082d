//! The program as its users meet it: the built binary, its words and exit codes, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bad_file;
mod bad_flow;
mod bad_input;
mod bad_server;
mod journal;
mod kill;
mod outside;
mod pages;
mod resume;
mod run;
mod secrets;
mod steering;
mod world;

#[path = "../common/postgres.rs"]
mod postgres;
