//! The program as its users meet it: the built binary, its words and exit codes, and what it leaves behind.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod backfill;
mod bad_file;
mod bad_flow;
mod bad_input;
mod bad_server;
mod demo;
mod docs;
mod home;
mod init;
mod inputs;
mod journal;
mod kill;
mod looks;
mod new;
mod one_load;
mod outside;
mod own_files;
mod packaging;
mod pages;
mod pipes;
#[cfg(target_os = "linux")]
mod questions;
mod resume;
mod run;
mod secrets;
mod steering;
mod stop;
mod target;
mod templates;
#[cfg(target_os = "linux")]
mod terminal;
mod upgrade;
pub mod world;

use crate::common::postgres;
