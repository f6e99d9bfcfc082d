//! The task types: one file each, and one line each in [`ALL`].

use crate::task::TaskType;

/// Every task type, by name.
pub static ALL: &[TaskType] = &[
];

/// The task type of this name, short or Kestra's.
pub fn find(name: &str) -> Option<&'static TaskType> {
    ALL.iter().find(|task| task.is(name))
}
