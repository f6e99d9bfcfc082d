#![doc = include_str!("ARCHITECTURE.md")]
#![warn(unreachable_pub)]

pub mod blocking;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod duration;
pub mod execution_state;
pub mod fingerprint;
pub mod id;
pub mod log;
pub mod secret;
pub mod text;

pub mod file_access;
pub mod gcp;
pub mod home;
pub mod journal;
pub mod jq;
pub mod namespace_files;
pub mod postgres;
pub mod process;
pub mod storage;
pub mod stream;
pub mod task;
pub mod web;

pub mod doctor;
pub mod flow;
pub mod tasks;

pub mod engine;

pub mod cli;
pub mod server;
