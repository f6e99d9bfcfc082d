//! All tools.

use super::tool::McpToolType;
use super::{data, documentation, executions, flows, partitions};

/// All tools, in the order in which they are listed.
pub(super) static TOOLS: &[McpToolType] = &[
    McpToolType::of::<flows::ListFlows>(),
    McpToolType::of::<flows::ReadFlow>(),
    McpToolType::of::<flows::ValidateFlow>(),
    McpToolType::of::<flows::ExplainFlow>(),
    McpToolType::of::<flows::GraphFlow>(),
    McpToolType::of::<flows::SaveFlow>(),
    McpToolType::of::<executions::RunFlow>(),
    McpToolType::of::<executions::ListExecutions>(),
    McpToolType::of::<executions::FollowExecution>(),
    McpToolType::of::<executions::ExplainExecution>(),
    McpToolType::of::<executions::KillExecution>(),
    McpToolType::of::<partitions::ListPartitions>(),
    McpToolType::of::<partitions::PlanBackfill>(),
    McpToolType::of::<partitions::StartBackfill>(),
    McpToolType::of::<partitions::FollowBackfill>(),
    McpToolType::of::<data::ListTables>(),
    McpToolType::of::<data::QueryData>(),
    McpToolType::of::<documentation::SearchDocumentation>(),
    McpToolType::of::<documentation::ReadDocumentation>(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::access::Role;

    #[test]
    fn every_tool_and_every_field_says_what_it_is_for() {
        let mut names = std::collections::BTreeSet::new();
        for tool in TOOLS {
            assert!(names.insert(tool.name), "two tools are called {}", tool.name);
            let schema = (tool.schema)().to_value();
            let about = |schema: &serde_json::Value| crate::task::documentation::description(schema);
            assert!(!about(&schema).is_empty(), "{} has no description", tool.name);
            assert_eq!(schema.get("type").and_then(|kind| kind.as_str()), Some("object"), "{}", tool.name);
            for (field, property) in schema.get("properties").and_then(|all| all.as_object()).into_iter().flatten() {
                assert!(!about(property).is_empty(), "{}: `{field}` has no description", tool.name);
            }
        }
    }

    #[test]
    fn what_changes_something_needs_more_than_a_viewer() {
        for tool in TOOLS.iter().filter(|tool| tool.is_change) {
            assert!(tool.role > Role::Viewer, "{}", tool.name);
        }
        assert_eq!(TOOLS.iter().filter(|tool| tool.is_change).count(), 4);
    }
}
