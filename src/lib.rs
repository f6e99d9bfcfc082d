#![doc = include_str!("ARCHITECTURE.md")]
#![warn(unreachable_pub)]

pub mod ai_settings;
mod blocking;
pub mod clock;
pub mod config;
pub mod diagnostic;
mod duration;
mod execution_state;
mod fingerprint;
pub mod id;
mod log;
mod secret;
pub mod text;

pub mod ai;
pub mod file_access;
mod gcp;
mod home;
pub mod journal;
pub mod jq;
mod namespace_files;
pub mod postgres;
mod process;
pub mod sample;
pub mod storage;
pub mod stream;
pub mod task;
pub mod web;

pub mod doctor;
pub mod flow;
pub mod tasks;

pub mod engine;

pub mod cli;
pub mod copilot;
pub mod server;
