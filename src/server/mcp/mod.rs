//! Tools for agents, by the Model Context Protocol: over stdio (`jitney mcp`) and at `/mcp`. They do what the API, the pages
//! and the command line do, by the same functions. Results are small and structured, and errors say what to do next.
//!
//! `tool.rs` is what a tool is, `registry.rs` lists them; `flows.rs`, `executions.rs`, `partitions.rs`, `data.rs` and
//! `documentation.rs` are the tools; `agent.rs` answers the protocol's requests for one caller.

mod agent;
mod data;
mod documentation;
mod executions;
mod flows;
mod http;
mod partitions;
mod registry;
mod settings;
mod stdio;
mod tool;

pub(super) use http::router;
pub use settings::McpSettings;
pub use stdio::McpSession;
