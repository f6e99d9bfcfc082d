//! The flow language, one construct at a time: each test is a flow, and what it logs and how it ends.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod branches;
mod crashes;
mod executor;
mod failures;
mod inputs;
mod keys;
mod loops;
mod pauses;
mod repeats;
mod subflows;
mod tasks;
mod waits;
mod world;
