//! The section `mcp` of the settings.

use schemars::JsonSchema;
use serde::Deserialize;

/// What agents may do at `/mcp`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct McpSettings {
    /// Whether there is a `/mcp` at all; true by default.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether agents may run flows, start backfills, save flows and stop executions, each as far as the role of their login
    /// allows; false by default.
    #[serde(default)]
    pub allow_write: bool,
}

fn yes() -> bool {
    true
}

impl Default for McpSettings {
    fn default() -> Self {
        Self { enabled: true, allow_write: false }
    }
}

impl McpSettings {
    /// What is in force, in words.
    pub(in crate::server) fn in_words(self) -> &'static str {
        match (self.enabled, self.allow_write) {
            (false, _) => "off",
            (true, false) => "read only",
            (true, true) => "read and write, by role",
        }
    }
}
