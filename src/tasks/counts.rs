//! What a load counts, wherever it goes.

/// Rows of a load: `read = loaded + rejected + skipped`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// Rows in the file.
    pub read: u64,
    /// Rows that were added or changed in the table.
    pub loaded: u64,
    /// Rejected rows.
    pub rejected: u64,
    /// Rows that were there already, or that a step left out.
    pub skipped: u64,
}

impl Counts {
    /// What a load counts that finds the file of these counts loaded already: nothing new.
    #[must_use]
    pub(super) fn again(self) -> Self {
        Self { loaded: 0, skipped: self.read.saturating_sub(self.rejected), ..self }
    }
}

/// What to say of a file with a header alone: it may have been published too early.
pub(super) fn no_rows(name: &str) -> String {
    format!("the file {name} has no rows")
}
