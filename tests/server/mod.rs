//! What runs when nobody watches: the executor and its queue, the catalog, triggers, and `jitney server` itself.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod catalog;
mod crowd;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(unix)]
mod left;
mod process;
mod searches;
mod steering;
mod times;
mod triggers;
mod world;
