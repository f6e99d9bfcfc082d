//! `where` of a flow trigger's preconditions: which executions count, by filters in place of a flow's name.

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::UpstreamExecution;

/// Executions that must have ended, described by filters.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutionFilter {
    /// A name for it.
    #[serde(default)]
    pub id: String,
    /// Whether all filters must hold, `AND`, or one of them, `OR`. By default all.
    #[serde(default)]
    pub operand: FilterOperand,
    /// The filters.
    pub filters: Vec<FieldFilter>,
}

/// How filters are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FilterOperand {
    /// All must hold.
    #[default]
    And,
    /// One must hold.
    Or,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldFilter {
    /// What of the execution is compared.
    pub field: FilterField,
    /// How it is compared.
    #[serde(rename = "type")]
    pub kind: FilterComparison,
    /// What it is compared with.
    pub value: Option<String>,
    /// What it is compared with, for `IN` and `NOT_IN`.
    #[serde(default)]
    pub values: Vec<String>,
}

/// What of an execution can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FilterField {
    /// The id of its flow.
    FlowId,
    /// The namespace of its flow.
    Namespace,
    /// How it ended.
    State,
}

/// How a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FilterComparison {
    /// It is `value`.
    EqualTo,
    /// It is not `value`.
    NotEqualTo,
    /// It is one of `values`.
    In,
    /// It is none of `values`.
    NotIn,
    /// It begins with `value`.
    StartsWith,
    /// It ends with `value`.
    EndsWith,
    /// It has `value` in it.
    Contains,
    /// It is matched as a whole by `value`, a regular expression.
    Regex,
}

impl ExecutionFilter {
    /// Whether this execution is one that is waited for.
    pub fn matches(&self, upstream: &UpstreamExecution) -> bool {
        match self.operand {
            FilterOperand::And => self.filters.iter().all(|filter| filter.matches(upstream)),
            FilterOperand::Or => self.filters.iter().any(|filter| filter.matches(upstream)),
        }
    }

    /// What is wrong with one of the filters: its place in the list, and why.
    pub(super) fn problem(&self) -> Option<(usize, String)> {
        let located = |(index, filter): (usize, &FieldFilter)| Some((index, filter.problem()?));
        self.filters.iter().enumerate().find_map(located)
    }
}

impl FieldFilter {
    fn matches(&self, upstream: &UpstreamExecution) -> bool {
        let state = format!("{:?}", upstream.status).to_uppercase();
        let text = match self.field {
            FilterField::FlowId => &upstream.flow,
            FilterField::Namespace => &upstream.namespace,
            FilterField::State => &state,
        };
        let value = self.value.as_deref().unwrap_or_default();
        match self.kind {
            FilterComparison::EqualTo => text == value,
            FilterComparison::NotEqualTo => text != value,
            FilterComparison::In => self.values.contains(text),
            FilterComparison::NotIn => !self.values.contains(text),
            FilterComparison::StartsWith => text.starts_with(value),
            FilterComparison::EndsWith => text.ends_with(value),
            FilterComparison::Contains => text.contains(value),
            FilterComparison::Regex => whole(value).is_ok_and(|regex| regex.is_match(text)),
        }
    }

    fn problem(&self) -> Option<String> {
        let is_list = matches!(self.kind, FilterComparison::In | FilterComparison::NotIn);
        match (is_list, &self.value, self.values.is_empty()) {
            (true, _, true) => Some("`values` is missing: the list of allowed values".to_owned()),
            (true, Some(_), _) => Some("`value` has no effect: this operator compares with `values`".to_owned()),
            (false, None, _) => Some("`value` is missing: the value to compare with".to_owned()),
            (false, _, false) => Some("`values` has no effect: this operator compares with `value`".to_owned()),
            (false, Some(value), _) if self.kind == FilterComparison::Regex => {
                whole(value).err().map(|error| format!("`{value}` is not a regular expression: {error}"))
            }
            _ => None,
        }
    }
}

fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::flow::trigger::UpstreamStatus;

    fn accepts(filters: Value, operand: &str) -> bool {
        let set: ExecutionFilter = serde_json::from_value(json!({"filters": filters, "operand": operand})).unwrap();
        assert_eq!(set.problem(), None);
        let (namespace, flow) = ("company.team".to_owned(), "extract_orders".to_owned());
        set.matches(&UpstreamExecution { namespace, flow, status: UpstreamStatus::Failed, labels: Map::new() })
    }

    #[test]
    fn executions_are_filtered_by_namespace_flow_and_state() {
        for (field, kind, value, matches) in [
            ("NAMESPACE", "STARTS_WITH", json!({"value": "company"}), true),
            ("NAMESPACE", "EQUAL_TO", json!({"value": "company"}), false),
            ("NAMESPACE", "NOT_EQUAL_TO", json!({"value": "company"}), true),
            ("FLOW_ID", "ENDS_WITH", json!({"value": "orders"}), true),
            ("FLOW_ID", "CONTAINS", json!({"value": "act_o"}), true),
            ("FLOW_ID", "REGEX", json!({"value": "extract_.*"}), true),
            ("FLOW_ID", "REGEX", json!({"value": "extract"}), false),
            ("STATE", "IN", json!({"values": ["FAILED", "WARNING"]}), true),
            ("STATE", "NOT_IN", json!({"values": ["FAILED"]}), false),
        ] {
            let mut filter = json!({"field": field, "type": kind});
            filter.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
            assert_eq!(accepts(json!([filter]), "AND"), matches, "{filter}");
            let other = json!({"field": "FLOW_ID", "type": "EQUAL_TO", "value": "none"});
            assert!(!accepts(json!([filter, other]), "AND"), "{filter}");
            assert_eq!(accepts(json!([filter, other]), "OR"), matches, "{filter}");
        }
    }

    #[test]
    fn incomplete_filters_are_reported() {
        for (filter, words) in [
            (json!({"field": "STATE", "type": "IN", "value": "FAILED"}), "`values` is missing"),
            (json!({"field": "STATE", "type": "EQUAL_TO", "values": ["FAILED"]}), "`value` is missing"),
            (json!({"field": "STATE", "type": "EQUAL_TO", "value": "A", "values": ["B"]}), "`values` has no effect"),
            (json!({"field": "FLOW_ID", "type": "REGEX", "value": "("}), "is not a regular expression"),
        ] {
            let set: ExecutionFilter = serde_json::from_value(json!({"filters": [filter]})).unwrap();
            assert!(set.problem().is_some_and(|(_, problem)| problem.contains(words)), "{filter}");
        }
    }
}
