//! Finds the spellings that a struct accepts. Derived schemas do not know `serde(alias)`, but serde's error for an unknown
//! field or variant lists every spelling, so an unknown one is tried at each place.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::task::FieldError;

/// Tries a value on a struct.
pub(super) type FieldProbe<'a> = &'a dyn Fn(&Value) -> Result<(), FieldError>;

/// Puts a value at its place in the struct.
pub(super) type FieldWrapper<'a> = &'a dyn Fn(Value) -> Value;

const UNKNOWN_NAME: &str = "?";

/// The fields of the struct at a place, every spelling of each, in order; empty when that cannot be known.
pub(super) fn fields(check: FieldProbe, wrap: FieldWrapper) -> Vec<String> {
    expected_names(check, &wrap(json!({UNKNOWN_NAME: null})), "unknown field ")
}

/// The words that a place takes, every spelling of each; empty when that cannot be known.
pub(super) fn variants(check: FieldProbe, wrap: FieldWrapper) -> Vec<String> {
    expected_names(check, &wrap(json!(UNKNOWN_NAME)), "unknown variant ")
}

fn expected_names(check: FieldProbe, value: &Value, complaint: &str) -> Vec<String> {
    let Err(error) = check(value) else { return Vec::new() };
    let Some((_, expected)) = error.message.split_once(", expected ").filter(|_| error.message.starts_with(complaint))
    else {
        return Vec::new();
    };
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The field of each alias. serde lists aliases next to their field; which neighbour it is, a "duplicate field" error
/// shows when both are provided, else their similarity decides.
pub(super) fn canonical_names<'a>(
    spellings: &'a [String],
    names: &[&'a str],
    check: FieldProbe,
    wrap: FieldWrapper,
) -> Vec<(&'a str, &'a str)> {
    let is_name = |spelling: &&str| names.contains(spelling);
    let spellings: Vec<&str> = spellings.iter().map(String::as_str).collect();
    let canonical_name = |(index, spelling): (usize, &&'a str)| {
        let before = spellings[..index].iter().rev().copied().find(is_name);
        let after = spellings[index..].iter().copied().find(is_name);
        let candidates = [before, after].into_iter().flatten();
        let is_alias = |name: &&str| {
            let both = json!({*spelling: "{{ x }}", *name: "{{ x }}"});
            check(&wrap(both)).is_err_and(|error| error.message.starts_with("duplicate field"))
        };
        let similarity = |name: &&str| (is_alias(name), strsim::jaro_winkler(name, spelling));
        let canonical_name =
            candidates.max_by(|a, b| similarity(a).partial_cmp(&similarity(b)).unwrap_or(Ordering::Equal));
        canonical_name.map(|name| (*spelling, name))
    };
    spellings.iter().enumerate().filter(|(_, spelling)| !is_name(spelling)).filter_map(canonical_name).collect()
}

/// Whether a variant is accepted as a bare word, without a value.
pub(super) fn accepts_bare_variant(check: FieldProbe, wrap: FieldWrapper, word: &Value) -> bool {
    match check(&wrap(word.clone())) {
        Ok(()) => true,
        // A sibling field may be missing, but not one of the variant itself.
        Err(error) => {
            error.message.starts_with("missing field") && error.path.last().map(String::as_str) != word.as_str()
        }
    }
}
