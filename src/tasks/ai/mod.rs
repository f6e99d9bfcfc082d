//! Tasks that ask language models.

pub mod agent;
pub mod answer;
mod ask;
pub mod chat;
pub mod classify;
mod configuration;
mod document;
pub mod extract;
mod html;
pub mod ingest;
mod json;
mod message;
mod outputs;
mod provider;
mod refused;
mod retrieve;
pub mod search;
mod splitter;
mod store;
