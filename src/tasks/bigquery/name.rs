//! What tables and datasets are called.

use std::fmt;

use gcp_bigquery_client::model::table_reference::TableReference;
use schemars::JsonSchema;
use serde::Serialize;

use crate::task::TaskError;

/// A table's full name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct BigQueryTableName {
    /// Its project.
    pub(super) project: String,
    /// Its dataset.
    pub(super) dataset: String,
    /// Its name, with the partition after `$` if there is one.
    pub(super) table: String,
}

impl BigQueryTableName {
    /// Reads `dataset.table`, `project.dataset.table` or `project:dataset.table`, each with `$202004` after it where
    /// the name includes a partition.
    ///
    /// # Errors
    /// When it is no such name, or one that BigQuery would refuse.
    pub(super) fn parse(text: &str, project: &str) -> Result<Self, TaskError> {
        let wrong = |problem: &str| {
            TaskError::permanent(format!("`{text}` is not a table name: {problem}")).help("write dataset.table")
        };
        if text.matches('`').count() % 2 == 1 {
            return Err(wrong("the closing backtick is missing"));
        }
        let plain = text.replace('`', "");
        let (before, table) = plain.trim().rsplit_once('.').ok_or_else(|| wrong("it has no dataset"))?;
        // A project of a company's domain has dots and a colon of its own: `example.com:project`.
        let (project, dataset) = before.rsplit_once(['.', ':']).unwrap_or((project, before));
        check_dataset(dataset)?;
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-.:_".contains(letter);
        if project.is_empty() || !project.chars().all(fits) {
            return Err(wrong("its project is empty, or has characters other than letters, digits and -.:_"));
        }
        let (own, decorator) = table.split_once('$').map_or((table, None), |(own, rest)| (own, Some(rest)));
        let unexpected = |letter: char| letter.is_control() || "./@:`*\\'\";()".contains(letter);
        if own.is_empty() || own.len() > 1024 || own.contains(unexpected) {
            return Err(wrong("its name is empty, too long, or contains one of ./@:*\\'\";()"));
        }
        if decorator.is_some_and(|part| !is_partition(part)) {
            return Err(wrong("a partition is written as $2020, $202004, $20200415, $2020041513 or $__NULL__"));
        }
        Ok(Self { project: project.to_owned(), dataset: dataset.to_owned(), table: table.to_owned() })
    }

    /// Another table of the same dataset.
    pub(super) fn sibling(&self, table: impl Into<String>) -> Self {
        Self { table: table.into(), ..self.clone() }
    }

    /// As a job's configuration has it.
    pub(super) fn reference(&self) -> TableReference {
        TableReference::new(&self.project, &self.dataset, &self.table)
    }

    /// As SQL has it, without a partition.
    pub(super) fn sql(&self) -> String {
        let table = self.table.split('$').next().unwrap_or_default();
        format!("`{}.{}.{table}`", self.project, self.dataset)
    }
}

impl fmt::Display for BigQueryTableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.project, self.dataset, self.table)
    }
}

/// Google's rules for datasets, so that a wrong name is known before anything is asked.
///
/// # Errors
/// Says which name would do.
pub(super) fn check_dataset(name: &str) -> Result<(), TaskError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if !name.is_empty() && name.len() <= 1024 && name.chars().all(fits) {
        return Ok(());
    }
    let better: String = name.chars().map(|letter| if fits(letter) { letter } else { '_' }).take(1024).collect();
    let better = if better.is_empty() { "zoomcamp".to_owned() } else { better };
    Err(TaskError::permanent(format!(
        "`{name}` is not a valid dataset name: BigQuery allows only letters, digits and underscores"
    ))
    .help(format!("the name of a project or bucket may have dashes, that of a dataset may not: use `{better}`")))
}

fn is_partition(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(text, "__NULL__" | "__UNPARTITIONED__") || (digits && matches!(text.len(), 4 | 6 | 8 | 10))
}

/// A column for SQL. Names in backquotes know the escapes of texts.
pub(super) fn column(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`").replace('\n', "\\n"))
}

/// A text for SQL.
pub(super) fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for letter in text.chars() {
        match letter {
            '\\' | '\'' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ => quoted.push(letter),
        }
    }
    format!("'{quoted}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_usual_form() {
        let parse =
            |text| BigQueryTableName::parse(text, "p").map(|name| name.to_string()).map_err(|error| error.message);
        assert_eq!(parse("d.t").unwrap(), "p.d.t");
        assert_eq!(parse("my-project.d.t$202004").unwrap(), "my-project.d.t$202004");
        assert_eq!(parse("`example.com:mine.d.t`").unwrap(), "example.com:mine.d.t");
        assert_eq!(parse("mine:d.t").unwrap(), "mine.d.t");
        assert_eq!(BigQueryTableName::parse("a-b.d.t$202004", "p").unwrap().sql(), "`a-b.d.t`");
        let hostile = ["d.t\\", "d.t;DROP TABLE d.v", "d.t` WHERE true", "d.t(a)", "p\\`.d.t", "p;q.d.t", "p q.d.t"];
        for wrong in ["t", "d.", "a-b.t", "d.t$april", "d.a:b"].into_iter().chain(hostile) {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_dataset_with_a_dash_is_told_a_better_name() {
        let error = check_dataset("my-taxi").unwrap_err();
        assert!(error.help.unwrap().ends_with("use `my_taxi`"));
    }

    #[test]
    fn a_column_never_ends_its_quotes() {
        assert_eq!(column("My column"), "`My column`");
        assert_eq!(column("a` FROM x; --"), "`a\\` FROM x; --`");
        assert_eq!(column("a\\"), "`a\\\\`");
    }

    #[test]
    fn texts_are_quoted_for_sql() {
        assert_eq!(literal("it's \\ \n"), r"'it\'s \\ \n'");
    }
}
