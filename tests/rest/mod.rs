//! The server as scripts call it: the program, and curl.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod access;
mod accounts;
mod backfills;
mod files;
mod leaks;
mod logins;
mod observers;
mod pages;
mod roles;
mod scripts;
mod uploads;
pub mod world;

use crate::common::postgres;
