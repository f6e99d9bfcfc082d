#![doc = include_str!("ARCHITECTURE.md")]

pub mod config;
pub mod diagnostic;
pub mod id;
pub mod secret;

pub mod storage;
pub mod stream;
pub mod task;

pub mod tasks;
