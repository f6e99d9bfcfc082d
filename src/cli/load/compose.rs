//! The flow that loads a file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::bigquery;
use super::description::Description;
use super::names::{flow_id, table};
use super::source::{NAMESPACE, Place, download_task, literal};
use super::yaml::{block, scalar};
use super::{Arguments, ModeArgument};
use crate::cli::InvalidFlow;
use crate::diagnostic::Diagnostic;
use crate::task::Task as _;
use crate::tasks;

/// A flow that loads one file into one table.
pub(super) struct LoadFlow {
    /// The file that it is saved as, or would be.
    pub file: PathBuf,
    /// The table.
    pub table: String,
    id: String,
    /// The task that loads, without the file.
    task: String,
}

impl LoadFlow {
    /// Composes the flow.
    ///
    /// # Errors
    /// When the table has no name, or the destination cannot take the file.
    pub(super) fn of(arguments: &Arguments, place: &Place, description: &Description) -> anyhow::Result<Self> {
        let (kind, table) = match &arguments.to {
            Some(address) => (
                tasks::bigquery::load::BigQueryLoad::NAME,
                bigquery::table(address, arguments.table.as_deref(), place)?,
            ),
            None => (tasks::postgres::load::PostgresLoad::NAME, table(arguments.table.as_deref(), place)?),
        };
        let id = flow_id(&table);
        let file = arguments.save.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.yaml")));
        let fields = description.fields();
        let texts = fields.values().filter_map(Value::as_str);
        texts.chain([table.as_str()]).chain(arguments.key.iter().map(String::as_str)).try_for_each(literal)?;
        let mut task = format!("    table: {}\n", scalar(&table));
        if arguments.to.is_some() {
            task += &bigquery::fields(description, &fields, arguments)?;
        } else {
            let (schema, notes) = description.schema();
            schema.keys().try_for_each(|name| check_column(name))?;
            task += &format!("    schema:\n{}", block(&schema, 6, &notes));
            task += &block(&settings(arguments, fields), 4, &[]);
        }
        Ok(Self { file, table, id, task: format!("    type: {kind}\n    from: FILE\n{task}") })
    }

    /// The flow's text, as it can be run again.
    ///
    /// # Errors
    /// When the file's name would be an expression.
    pub(super) fn text(&self, place: &Place) -> anyhow::Result<String> {
        let from = |from: &str| self.task.replacen("FILE", &scalar(from), 1);
        let head = format!("id: {}\nnamespace: {NAMESPACE}\n", self.id);
        Ok(match place {
            Place::File(path) => {
                let path = self.path_from_here(path);
                literal(&path)?;
                format!("{head}tasks:\n  - id: load\n{}", from(&path))
            }
            Place::Url(url) => {
                format!("{head}tasks:\n{}  - id: load\n{}", download_task(url)?, from("{{ outputs.download.uri }}"))
            }
            Place::Stdin => format!(
                "{head}inputs:\n  - id: file\n    type: FILE\ntasks:\n  - id: load\n{}",
                from("{{ inputs.file }}")
            ),
        })
    }

    /// The same flow, loading a file that is in storage already.
    pub(super) fn text_with(&self, uri: &str) -> String {
        let task = self.task.replacen("FILE", &scalar(uri), 1);
        format!("id: {}\nnamespace: {NAMESPACE}\ntasks:\n  - id: load\n{task}", self.id)
    }

    /// The path of a file from the flow's folder, if that is not far away.
    fn path_from_here(&self, path: &Path) -> String {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let absolute = real(path).unwrap_or_else(|| path.to_owned());
        let mut folder = real(folder).or_else(|| std::path::absolute(folder).ok()).unwrap_or_default();
        let mut up = PathBuf::new();
        for _ in 0..2 {
            if let Ok(below) = absolute.strip_prefix(&folder) {
                return up.join(below).display().to_string();
            }
            up.push("..");
            folder.pop();
        }
        absolute.display().to_string()
    }
}

/// Checks that a column can be named in a flow.
///
/// # Errors
/// When it has no name, or one that would be read as an expression.
fn check_column(name: &str) -> Result<(), InvalidFlow> {
    if name.trim().is_empty() || name == "\"\"" {
        let finding = Diagnostic::error("the file has a column without a name: a key of its objects is empty");
        return Err(finding.help("rename the key in the file").into());
    }
    literal(name).map_err(|_| {
        let finding = Diagnostic::error(format!("the column `{name}` would be an expression in a flow"));
        let help =
            "rename it in the file; for a CSV file, `--skip-lines 1 --columns NAME,…` gives the columns other names";
        finding.help(help).into()
    })
}

/// The fields of `postgres.load` besides the file, the table and its columns.
fn settings(arguments: &Arguments, fields: Map<String, Value>) -> Map<String, Value> {
    let mut settings = fields;
    // The default is not written out.
    let mode = Some(arguments.mode).filter(|mode| *mode != ModeArgument::Append);
    let more = [
        ("mode", mode.map(|mode| mode.field(&arguments.key))),
        ("on_extra_column", arguments.on_extra_column.map(|choice| json!(choice.word()))),
        ("on_missing_column", arguments.on_missing_column.map(|choice| json!(choice.word()))),
        ("on_bad_row", arguments.reject.map(|max| json!({"reject": {"max": max}}))),
        ("force", arguments.force.then(|| json!(true))),
    ];
    settings.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    settings
}
