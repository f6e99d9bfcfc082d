//! Conditions on the execution of another flow.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ConditionContext;
use crate::flow::trigger::upstream::{UpstreamStatus, has_labels};

/// Holds for executions of one flow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ExecutionFlow {
    /// The flow's namespace.
    namespace: String,
    /// The flow's id.
    flow_id: String,
}

impl ExecutionFlow {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let upstream = context.upstream()?;
        Ok(upstream.namespace == self.namespace && upstream.flow == self.flow_id)
    }
}

/// Holds for executions of the flows of a namespace.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecutionNamespace {
    /// The namespace.
    namespace: String,
    /// How it is compared; `EQUALS` by default.
    comparison: Option<NamespaceComparison>,
    /// Whether namespaces that begin with it match, too; the same as `comparison: PREFIX`.
    #[serde(default)]
    prefix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum NamespaceComparison {
    Equals,
    Prefix,
    Suffix,
}

impl ExecutionNamespace {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let namespace = &context.upstream()?.namespace;
        let default_comparison = if self.prefix { NamespaceComparison::Prefix } else { NamespaceComparison::Equals };
        Ok(match self.comparison.unwrap_or(default_comparison) {
            NamespaceComparison::Equals => *namespace == self.namespace,
            NamespaceComparison::Prefix => namespace.starts_with(&self.namespace),
            NamespaceComparison::Suffix => namespace.ends_with(&self.namespace),
        })
    }
}

/// Holds for executions that have all of these labels.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecutionLabels {
    /// The labels, as a map.
    labels: Map<String, Value>,
}

impl ExecutionLabels {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        Ok(has_labels(context.upstream()?, &self.labels))
    }
}

/// Holds for executions in certain states.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ExecutionStatus {
    /// The states that match; all if the list is empty.
    #[serde(rename = "in")]
    within: Option<Vec<UpstreamStatus>>,
    /// The states that do not match.
    #[serde(default)]
    not_in: Vec<UpstreamStatus>,
}

impl ExecutionStatus {
    pub(super) fn is_met(&self, context: &ConditionContext) -> Result<bool, String> {
        let status = context.upstream()?.status;
        Ok(self.within.as_ref().is_none_or(|states| states.contains(&status)) && !self.not_in.contains(&status))
    }
}
