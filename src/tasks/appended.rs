//! Whether a file is appended to a table when the ledger already has a similar load.

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::file_address::Sameness;
use crate::task::{Level, TaskError};
use crate::text::count;

/// Reads one column and its value, which name a partition.
///
/// # Errors
/// When it is not exactly one.
pub(super) fn one_column<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let map = Map::deserialize(deserializer)?;
    match map.len() {
        1 => Ok(map),
        _ => Err(D::Error::custom(
            "expected one column and its value, such as `{replace_partition: {filename: green_tripdata_2019-01.csv}}`",
        )),
    }
}

/// What to do where it is not known whether a file's rows are in the table.
pub(super) const EITHER_WAY_HELP: &str =
    "to add all rows of the file again, write `if_loaded: load`; to leave the table as it is, `if_loaded: skip`";

/// What to do with a file that was loaded before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum IfLoaded {
    /// Nothing, whatever the table holds by now.
    Skip,
    /// The file is loaded again.
    Load,
    /// The task fails.
    Fail,
}

/// The earlier load that comes nearest.
pub(super) struct PriorLoad<'a> {
    /// The file that is to be loaded.
    pub file: &'a str,
    /// The table.
    pub table: &'a str,
    /// The execution that loaded the earlier file.
    pub execution: &'a str,
    /// Where the earlier file was.
    pub address: &'a str,
    /// Whether that is where this one is.
    pub sameness: Sameness,
    /// Whether it had the same content.
    pub has_same_content: bool,
    /// Whether the task did the same with it.
    pub has_same_steps: bool,
    /// The rows that were loaded.
    pub rows: u64,
}

/// What has become of an earlier load's rows, as far as the table tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PriorRows {
    /// All of them are there.
    Whole,
    /// None of them is there.
    Gone,
    /// It cannot be known: what the table holds.
    Unclear(String),
}

/// What is done.
#[derive(Debug)]
pub(super) enum AppendDecision {
    /// The file is loaded, with a word about it to be said once that is done.
    Load(Level, String),
    /// It is not, with a word about it.
    Skip(String),
}

impl PriorLoad<'_> {
    /// Whether the answer hangs on what the table holds.
    pub(super) fn depends_on_rows(&self, wanted: Option<IfLoaded>) -> bool {
        wanted.is_none() && self.has_same_content && self.sameness != Sameness::Other
    }

    /// What to do.
    ///
    /// # Errors
    /// When the user wants it so, or when rows might get lost or doubled either way.
    pub(super) fn decide(&self, wanted: Option<IfLoaded>, prior_rows: &PriorRows) -> Result<AppendDecision, TaskError> {
        let Self { file, table, execution, rows, .. } = self;
        if !self.has_same_content {
            let message = format!(
                "`{file}` was loaded before, by execution {execution}, with other content; the new rows were added, \
                 and the earlier ones stayed"
            );
            // Rows that are in both are doubled now, which nobody has asked for.
            let is_wanted = wanted == Some(IfLoaded::Load) || *rows == 0;
            return Ok(match is_wanted {
                true => AppendDecision::Load(Level::Info, message),
                false => AppendDecision::Load(
                    Level::Warn,
                    format!("{message}; `mode: truncate` replaces all rows, and `mode: merge` those of the same key"),
                ),
            });
        }
        let known = if self.sameness == Sameness::Same {
            format!("execution {execution} has already loaded this file")
        } else {
            format!("execution {execution} has loaded the same content already, from `{}`", self.address)
        };
        match wanted {
            Some(IfLoaded::Load) => {
                Ok(AppendDecision::Load(Level::Info, format!("{known}; it was loaded again, as `if_loaded` says")))
            }
            Some(IfLoaded::Fail) => Err(TaskError::permanent(format!("{known}, and `if_loaded` is `fail`"))),
            Some(IfLoaded::Skip) if self.has_same_steps => Ok(AppendDecision::Skip(format!("{known}; nothing to do"))),
            Some(IfLoaded::Skip) => Err(self.settings_differ(&known)),
            None if self.sameness == Sameness::Other => {
                let level = if *rows > 0 { Level::Warn } else { Level::Info };
                let message = format!("{known}; `{file}` is another file, so its rows were added to `{table}` too");
                Ok(AppendDecision::Load(level, message))
            }
            None => match prior_rows {
                PriorRows::Gone => {
                    let message = format!("{known}, but its rows were gone from `{table}`; it was loaded again");
                    Ok(AppendDecision::Load(Level::Info, message))
                }
                _ if self.sameness == Sameness::Unknown && *rows > 0 => Err(self.sameness_unknown(&known)),
                _ if !self.has_same_steps => Err(self.settings_differ(&known)),
                PriorRows::Whole => Ok(AppendDecision::Skip(format!("{known}; nothing to do"))),
                PriorRows::Unclear(why) => {
                    Err(TaskError::permanent(format!("{known}, {}, and {why}", count(*rows, "row")))
                        .help(EITHER_WAY_HELP))
                }
            },
        }
    }

    fn sameness_unknown(&self, known: &str) -> TaskError {
        let rows = count(self.rows, "row");
        let message =
            format!("{known}, {rows}, and it is not known whether `{}` is that file or another one", self.file);
        TaskError::permanent(message).help(
            "if it is another file, add its rows with `if_loaded: load`; to leave the table as it is, write \
             `if_loaded: skip`",
        )
    }

    fn settings_differ(&self, known: &str) -> TaskError {
        TaskError::permanent(format!(
            "{known}, with other settings of the task, and `{}` may hold its rows",
            self.table
        ))
        .help("replace its rows with `mode: {replace_partition: {…}}`, or add these too with `if_loaded: load`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: PriorLoad = PriorLoad {
        file: "a.csv",
        table: "t",
        execution: "e1",
        address: "a.csv",
        sameness: Sameness::Same,
        has_same_content: true,
        has_same_steps: true,
        rows: 2,
    };

    fn message(before: &PriorLoad, wanted: Option<IfLoaded>, prior_rows: &PriorRows) -> String {
        match before.decide(wanted, prior_rows) {
            Ok(AppendDecision::Load(level, message)) => format!("load {}: {message}", level.as_str()),
            Ok(AppendDecision::Skip(message)) => format!("skip: {message}"),
            Err(error) => format!("fail: {error}"),
        }
    }

    fn unclear() -> PriorRows {
        PriorRows::Unclear("`t` holds 1 of them".to_owned())
    }

    #[test]
    fn the_same_file_is_decided_by_the_table() {
        assert!(message(&SAME, None, &PriorRows::Whole).starts_with("skip: execution e1"));
        assert!(message(&SAME, None, &PriorRows::Gone).starts_with("load INFO"));
        let unclear = message(&SAME, None, &unclear());
        assert!(unclear.starts_with("fail") && unclear.contains("`if_loaded: skip`"), "{unclear}");
    }

    #[test]
    fn the_setting_decides_whatever_the_table_holds() {
        for prior_rows in [PriorRows::Whole, PriorRows::Gone, unclear()] {
            assert!(message(&SAME, Some(IfLoaded::Skip), &prior_rows).starts_with("skip"));
            assert!(message(&SAME, Some(IfLoaded::Load), &prior_rows).starts_with("load"));
            assert!(message(&SAME, Some(IfLoaded::Fail), &prior_rows).starts_with("fail"));
        }
    }

    #[test]
    fn other_files_are_added_and_logged() {
        let other_content = PriorLoad { has_same_content: false, ..SAME };
        assert!(message(&other_content, None, &PriorRows::Whole).starts_with("load WARN"));
        assert!(message(&other_content, Some(IfLoaded::Fail), &PriorRows::Whole).starts_with("load WARN"));
        assert!(message(&other_content, Some(IfLoaded::Load), &PriorRows::Whole).starts_with("load INFO"));
        let empty = PriorLoad { rows: 0, ..other_content };
        assert!(message(&empty, None, &PriorRows::Whole).starts_with("load INFO"));
        let elsewhere = PriorLoad { address: "old/a.csv", sameness: Sameness::Other, ..SAME };
        assert!(
            message(&elsewhere, None, &PriorRows::Whole)
                .contains("load WARN: execution e1 has loaded the same content")
        );
        assert!(message(&elsewhere, Some(IfLoaded::Skip), &PriorRows::Gone).starts_with("skip"));
        assert!(message(&elsewhere, Some(IfLoaded::Fail), &PriorRows::Gone).contains("`old/a.csv`"));
    }

    #[test]
    fn other_settings_never_double_rows_silently() {
        let changed = PriorLoad { has_same_steps: false, ..SAME };
        for prior_rows in [PriorRows::Whole, unclear()] {
            assert!(message(&changed, None, &prior_rows).starts_with("fail"));
        }
        assert!(message(&changed, Some(IfLoaded::Skip), &PriorRows::Gone).starts_with("fail"));
        assert!(message(&changed, None, &PriorRows::Gone).starts_with("load"));
    }

    #[test]
    fn an_unclear_file_is_neither_skipped_nor_added_silently() {
        let perhaps = PriorLoad { sameness: Sameness::Unknown, ..SAME };
        for prior_rows in [PriorRows::Whole, unclear()] {
            let message = message(&perhaps, None, &prior_rows);
            assert!(message.starts_with("fail") && message.contains("`if_loaded: load`"), "{message}");
        }
        assert!(message(&perhaps, None, &PriorRows::Gone).starts_with("load"));
        assert!(message(&perhaps, Some(IfLoaded::Load), &PriorRows::Whole).starts_with("load"));
        let empty = PriorLoad { rows: 0, ..perhaps };
        assert!(message(&empty, None, &PriorRows::Whole).starts_with("skip"));
    }
}
