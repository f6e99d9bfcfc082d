//! The inputs of a backfill: what the journal keeps of them, and what must be given again.

use super::error::BackfillError;
use crate::diagnostic::Diagnostic;
use crate::flow::Flow;
use crate::flow::input::{is_declared_secret, is_secret};
use crate::secret::hide_passwords;

/// What stands for a value that the journal does not keep.
const HIDDEN: &str = "***";

/// Values for inputs as the journal may keep them.
pub(super) fn without_secrets(flow: &Flow, given: &[(String, String)]) -> Vec<(String, String)> {
    let hide = |(name, value): &(String, String)| {
        let is_secret = is_declared_secret(&flow.inputs, name);
        let value = if is_secret { HIDDEN.to_owned() } else { hide_passwords(value).to_string() };
        (name.clone(), value)
    };
    given.iter().map(hide).collect()
}

/// Values for inputs as they were given, from those that the journal kept and those that are given again.
///
/// # Errors
/// When one that was not kept is not given again.
pub(super) fn with_secrets(
    kept: &[(String, String)],
    again: &[(String, String)],
) -> Result<Vec<(String, String)>, BackfillError> {
    let restore = |(name, value): &(String, String)| {
        let given = again.iter().rev().find(|(other, _)| other == name);
        match given {
            Some(given) => Ok(given.clone()),
            None if value.contains(HIDDEN) => {
                let finding = Diagnostic::error(format!("the journal does not store the secret in input `{name}`"));
                let help = format!(
                    "give it again with `-i {name}=VALUE`, or to the server with `{{\"inputs\": {{\"{name}\": VALUE}}}}`"
                );
                Err(BackfillError::Invalid(vec![finding.help(help)]))
            }
            None => Ok((name.clone(), value.clone())),
        }
    };
    kept.iter().map(restore).collect()
}

/// Those of the inputs that the journal does not keep.
pub(super) fn secrets_of(flow: &Flow, given: &[(String, String)]) -> Vec<(String, String)> {
    let is_secret = |name: &str, value: &str| is_secret(&flow.inputs, name, &value.into());
    given.iter().filter(|(name, value)| is_secret(name, value)).cloned().collect()
}
