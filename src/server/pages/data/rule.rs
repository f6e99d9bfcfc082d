//! A data-quality rule in words.

use serde::Serialize;
use serde_json::Value;

use crate::text::{plain, thousands};

/// How many values of a list are named.
const MAX_VALUES: usize = 10;

/// A rule as the page shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct ShownRule {
    /// The columns that it looks at; empty for a rule about the rows as a whole.
    pub(super) columns: Vec<String>,
    /// What must be true of them.
    pub(super) words: String,
    /// Whether the task only warns where it is not.
    pub(super) only_warns: bool,
}

impl ShownRule {
    pub(super) fn of(rule: &Value) -> Self {
        let (columns, words) = described(rule).unwrap_or_else(|| (Vec::new(), rule.to_string()));
        Self { columns, words, only_warns: rule.get("on_fail").is_some_and(|action| action == "warn") }
    }
}

/// The columns of a rule, and what must be true of them; none if it is none that is known.
fn described(rule: &Value) -> Option<(Vec<String>, String)> {
    let (name, condition) = rule.as_object()?.iter().find(|(name, _)| *name != "on_fail")?;
    let column = || Some(vec![plain(condition.get("column")?)]);
    let ends = |words: fn(&Value) -> String| [condition.get("min").map(words), condition.get("max").map(words)];
    Some(match name.as_str() {
        "not_null" => (texts(condition)?, "no NULLs".to_owned()),
        "unique" => {
            let columns = texts(condition)?;
            let words = if columns.len() > 1 { "unique together" } else { "unique" };
            (columns, words.to_owned())
        }
        "between" => (column()?, range(ends(plain))?),
        "in" => {
            let mut values = texts(condition.get("values")?)?;
            if values.len() > MAX_VALUES {
                values.splice(MAX_VALUES.., [format!("{} more", values.len() - MAX_VALUES)]);
            }
            (column()?, format!("one of {}", values.join(", ")))
        }
        "row_count" => {
            (Vec::new(), range(ends(|number| number.as_u64().map_or_else(|| plain(number), thousands)))? + " rows")
        }
        "freshness" => (column()?, format!("newest at most {} old", plain(condition.get("max_age")?))),
        _ => return None,
    })
}

fn texts(values: &Value) -> Option<Vec<String>> {
    Some(values.as_array()?.iter().map(plain).collect())
}

fn range(ends: [Option<String>; 2]) -> Option<String> {
    match ends {
        [Some(min), Some(max)] => Some(format!("{min} to {max}")),
        [Some(min), None] => Some(format!("at least {min}")),
        [None, Some(max)] => Some(format!("at most {max}")),
        [None, None] => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_rule_is_a_few_words_about_its_columns() {
        let words = |rule: Value| {
            let shown = ShownRule::of(&rule);
            format!("{}: {}{}", shown.columns.join(", "), shown.words, if shown.only_warns { " (warns)" } else { "" })
        };
        let cases = [
            (json!({"not_null": ["id", "day"]}), "id, day: no NULLs"),
            (json!({"on_fail": "warn", "unique": ["id", "day"]}), "id, day: unique together (warns)"),
            (json!({"between": {"column": "fare", "min": 0, "max": 500.5}}), "fare: 0 to 500.5"),
            (json!({"between": {"column": "fare", "max": "{{ vars.most }}"}}), "fare: at most {{ vars.most }}"),
            (json!({"in": {"column": "taxi", "values": ["yellow", 2]}}), "taxi: one of yellow, 2"),
            (json!({"row_count": {"min": 1000}}), ": at least 1,000 rows"),
            (json!({"freshness": {"column": "day", "max_age": "36h"}}), "day: newest at most 36h old"),
            (json!({"new_rule": 1}), ": {\"new_rule\":1}"),
        ];
        for (rule, wanted) in cases {
            assert_eq!(words(rule), wanted);
        }
    }
}
