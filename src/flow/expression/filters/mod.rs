//! Filters, by topic.

mod codec;
pub(super) mod date;
mod json;
mod list;
mod number;
mod text;

use super::builtin::Builtin;
use crate::diagnostic::nearest;

const ALL: [&[Builtin]; 6] =
    [codec::FILTERS, date::FILTERS, json::FILTERS, list::FILTERS, number::FILTERS, text::FILTERS];

/// The filter of this name.
pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().flat_map(|filters| filters.iter()).find(|filter| filter.name == name)
}

/// Every filter's name.
pub(in crate::flow) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|filters| filters.iter()).map(|filter| filter.name)
}

/// Every filter with its parameters.
pub(super) fn signatures() -> impl Iterator<Item = String> {
    ALL.iter().flat_map(|filters| filters.iter()).map(Builtin::signature)
}

/// What to say of a filter that is not there.
pub(super) fn unknown(name: &str) -> String {
    let guess = nearest(name, names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no filter `{name}`{guess}")
}
