//! Settings of how values are written that no column of a file follows.

use super::InferredColumn;
use super::evidence::Evidence;
use super::kind::InferredType;
use super::tally::OddValue;
use crate::stream::Conversions;

/// The value that keeps a column from a type.
type OddOf = fn(&Evidence) -> Option<&OddValue>;

/// A note for each setting without effect, with the first value that does not follow it where others do.
pub(super) fn settings(conversions: &Conversions, columns: &[InferredColumn], evidence: &[Evidence]) -> Vec<String> {
    let all = || columns.iter().zip(evidence);
    let has = |kinds: &[InferredType]| all().any(|(column, _)| kinds.contains(&column.kind));
    let has_marked = |place: usize| all().any(|(column, own)| is_number(&column.kind) && own.marks()[place]);
    let has_time = has(&[InferredType::Timestamp, InferredType::TimestampTz]);
    let is_boolean_given = !conversions.true_values.is_empty() || !conversions.false_values.is_empty();
    let boolean = if conversions.true_values.is_empty() { "false_values" } else { "true_values" };
    let number: OddOf = Evidence::odd_number;
    let unused: [(bool, &str, &str, OddOf); 5] = [
        (
            conversions.date.is_some() && !has(&[InferredType::Date]),
            "date_format",
            "column of dates in this format",
            Evidence::odd_date,
        ),
        (
            conversions.timestamp.is_some() && !has_time,
            "timestamp_format",
            "column of timestamps in this format",
            Evidence::odd_timestamp,
        ),
        (
            conversions.decimal.is_some_and(|mark| mark != '.') && !has_marked(0),
            "decimal",
            "column of numbers with this decimal character",
            number,
        ),
        (conversions.thousands.is_some() && !has_marked(1), "thousands", "column of numbers with such groups", number),
        (
            is_boolean_given && !has(&[InferredType::Boolean]),
            boolean,
            "column of these values alone",
            Evidence::odd_boolean,
        ),
    ];
    let note = |(is_unused, field, what, odd): (bool, &str, &str, OddOf)| {
        let near = all().find_map(|(column, own)| Some((&column.name, odd(own)?)));
        let near = near.map(|(name, odd)| format!("; `{name}` has {odd}")).unwrap_or_default();
        is_unused.then(|| format!("`{field}` has no effect: the file has no {what}{near}"))
    };
    unused.into_iter().filter_map(note).collect()
}

fn is_number(kind: &InferredType) -> bool {
    matches!(kind, InferredType::BigInt | InferredType::Double | InferredType::Numeric)
}
