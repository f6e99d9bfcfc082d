//! The formats of COPY, and which options each of them has.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::task::FieldConflict;

/// The formats that COPY reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum CopyFormat {
    /// Lines of fields between tabs, with backslashes: Postgres's own text format.
    #[default]
    #[serde(alias = "text")]
    Text,
    /// Comma-separated values.
    #[serde(alias = "csv")]
    Csv,
    /// Postgres's own binary format.
    #[serde(alias = "binary")]
    Binary,
}

/// An option by its name, and whether it is given.
type GivenOption = (&'static str, bool);

impl CopyFormat {
    /// The conflicts of the options that are given although the format has no use for them: `text` are those of the
    /// formats for people, `csv` those of CSV alone.
    pub(super) fn conflicts<const T: usize, const C: usize>(
        self,
        text: [GivenOption; T],
        csv: [GivenOption; C],
    ) -> impl Iterator<Item = FieldConflict> {
        let text = text.into_iter().filter(move |_| self == Self::Binary);
        let csv = csv.into_iter().filter(move |_| self != Self::Csv);
        text.chain(csv).filter(|(_, is_given)| *is_given).map(move |(field, _)| {
            let format = format!("{self:?}").to_uppercase();
            FieldConflict::between([field, "format"], format!("the format {format} has no `{field}`; leave it out"))
        })
    }
}
