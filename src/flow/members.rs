//! The members of `flow`, `execution`, `task` and the other built-in objects of expressions. `engine/names.rs` and
//! `engine/scope.rs` provide them at run time, and the triggers those of `trigger`; a test compares both lists.

use crate::diagnostic::nearest;

/// Roots that are not listed, such as `vars` and `envs`, have members that users define.
pub(super) const MEMBERS: &[(&str, &[&str])] = &[
    ("execution", &["id", "originalId", "startDate", "state"]),
    ("flow", &["id", "namespace", "revision"]),
    ("item", &["index", "key", "parent", "parents", "value"]),
    ("parent", &["outputs", "taskrun"]),
    ("response", &["body", "headers", "statusCode"]),
    ("task", &["id", "type"]),
    ("taskrun", &["attemptsCount", "id", "items", "iteration", "parentId", "startDate", "value"]),
    (
        "trigger",
        &[
            "blobs",
            "body",
            "date",
            "executionId",
            "executionLabels",
            "flowId",
            "headers",
            "id",
            "name",
            "namespace",
            "next",
            "outputs",
            "parameters",
            "previous",
            "size",
            "state",
            "statusCode",
            "uri",
        ],
    ),
];

pub(super) struct UnknownMember {
    /// With the word before it: `flow.idd`.
    pub(super) name: String,
    /// What may be meant.
    pub(super) help: String,
}

/// The member of a dotted name that its first word does not have, if so.
pub(super) fn unknown(reference: &str) -> Option<UnknownMember> {
    let mut parts = reference.split('.');
    let (root, member) = (parts.next()?, parts.next()?);
    let (_, members) = MEMBERS.iter().find(|(word, _)| *word == root)?;
    if members.contains(&member) {
        return None;
    }
    let help = match nearest(member, members.iter().copied()) {
        Some(near) => format!("did you mean `{root}.{near}`?"),
        None => format!("`{root}` has `{}`", members.join("`, `")),
    };
    Some(UnknownMember { name: format!("{root}.{member}"), help })
}
