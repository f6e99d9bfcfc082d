//! The flow language, one construct at a time: each test is a flow, and what it logs and how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod branches;
mod failures;
mod inputs;
mod loops;
mod tasks;
mod world;
