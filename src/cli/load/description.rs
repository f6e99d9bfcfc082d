//! What a file tells of itself, with what the user says of it.

use serde_json::{Map, Value, json};

use super::arguments::FileArguments;
use super::source::FetchedFile;
use super::words::{as_options, values_as_options};
use super::yaml::{block, scalar};
use crate::cli::InvalidFlow;
use crate::diagnostic::Diagnostic;
use crate::stream::FileFormat;
use crate::stream::infer::{InferredFile, infer};
use crate::task::TaskError;
use crate::tasks::described_file::DescribedFile;
use crate::tasks::postgres::schema_of;

/// A file whose columns are known.
pub(in crate::cli) struct Description {
    /// What the user says, as fields of a task.
    given: Map<String, Value>,
    /// What the file tells.
    pub file: InferredFile,
}

impl Description {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// When an option has no valid value or does not fit the file, or the file is empty, damaged or no table. A row that is
    /// none is an error unless such rows are rejected later.
    pub(in crate::cli) async fn of(
        local: &FetchedFile,
        arguments: &FileArguments,
        rejects: bool,
    ) -> anyhow::Result<Self> {
        let given = arguments.fields();
        let described = DescribedFile::of(&given).map_err(|error| invalid(&error.message))?;
        let question = described.question(&local.name).map_err(|error| invalid(&error.message))?;
        let path = local.path.clone();
        let asked = tokio::task::spawn_blocking(move || infer(&path, &question, &std::sync::Arc::default(), &|| false));
        let file = asked.await?.map_err(|error| in_options((*error).into()))?;
        let format = file.options.format.unwrap_or(FileFormat::Csv);
        if let Some(conflict) = described.conflicts(format).first() {
            let field = conflict.fields.first().copied().unwrap_or_default();
            return Err(invalid(&format!("`{field}`: {}", conflict.message)).into());
        }
        if let Some(bad) = file.first_bad.as_ref().filter(|_| !rejects) {
            let help = bad.hint.as_deref().unwrap_or("correct the row");
            // Where most rows have other fields than the header, that is not to be trusted.
            let is_header_doubtful = bad.hint.is_none() && file.bad_rows * 2 > file.rows;
            let more = match is_header_doubtful {
                true => "; if line 1 is not the header, `--skip-lines 1` skips it, and `--comment '#'` comments",
                false => ", or load the others with `--reject 100`",
            };
            let finding = bad.diagnostic(&local.name).help(format!("{help}{more}"));
            return Err(in_options(finding.into()));
        }
        if file.columns.is_empty() {
            let what = if format == FileFormat::Csv { "is empty" } else { "has no rows" };
            return Err(TaskError::permanent(format!("{}: the file {what}, so it has no columns", local.name)).into());
        }
        Ok(Self { given, file })
    }

    fn is_csv(&self) -> bool {
        matches!(self.file.options.format, Some(FileFormat::Csv | FileFormat::Excel))
    }

    /// The columns and their types as a flow's `schema`, and a note for each that needs one.
    pub(in crate::cli) fn schema(&self) -> (Map<String, Value>, Vec<Option<String>>) {
        (schema_of(&self.file), self.file.columns.iter().map(|column| column.note.as_deref().map(as_options)).collect())
    }

    /// How the file is read, as fields of a task: what the user says, and what is not the default.
    pub(in crate::cli) fn fields(&self) -> Map<String, Value> {
        let InferredFile { options, told, .. } = &self.file;
        let mut fields = self.given.clone();
        let mut tell = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
        if told.format {
            tell("format", json!(options.format));
        }
        if told.delimiter {
            tell("delimiter", json!(char::from(options.delimiter).to_string()));
        }
        if told.encoding {
            tell("encoding", json!(options.encoding.as_ref().map(|encoding| encoding.name())));
        }
        if told.skip_lines {
            tell("skip_lines", json!(options.skip_lines));
        }
        if told.columns {
            tell("header", json!(false));
            if options.skip_lines > 0 {
                tell("skip_lines", json!(options.skip_lines));
            }
            tell("columns", json!(options.columns));
        }
        fields
    }

    /// What the file is, as YAML without its columns.
    pub(in crate::cli) fn summary(&self) -> Map<String, Value> {
        let InferredFile { options, compression, encoding, rows, .. } = &self.file;
        let mut summary = Map::new();
        let mut tell = |name: &str, value: Value| drop(summary.insert(name.to_owned(), value));
        tell("format", json!(options.format));
        tell("compression", json!(compression.to_string()));
        if let Some(sheet) = &options.sheet {
            tell("sheet", json!(sheet));
        }
        if options.format == Some(FileFormat::Excel) {
            tell("header", json!(options.header));
            if options.skip_lines > 0 {
                tell("skip_lines", json!(options.skip_lines));
            }
        } else if self.is_csv() {
            tell("delimiter", json!(char::from(options.delimiter).to_string()));
            tell("header", json!(options.header));
            if options.skip_lines > 0 {
                tell("skip_lines", json!(options.skip_lines));
            }
        }
        if !encoding.is_empty() {
            tell("encoding", json!(encoding));
        }
        tell("rows", json!(rows));
        summary
    }

    /// The whole description as YAML.
    pub(in crate::cli) fn yaml(&self) -> String {
        let notes: String = self.notes().map(|note| format!("# {note}\n")).collect();
        let (schema, column_notes) = self.schema();
        let columns = self.file.options.columns.as_ref().filter(|_| self.is_csv());
        let columns = columns.map(|names| {
            format!("columns: [{}]\n", names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", "))
        });
        let columns = columns.unwrap_or_default();
        format!("{notes}{}{columns}schema:\n{}", block(&self.summary(), 0, &[]), block(&schema, 2, &column_notes))
    }

    /// What a reader should know of the file.
    pub(in crate::cli) fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.file.notes.iter().map(|note| as_options(note))
    }
}

fn invalid(message: &str) -> InvalidFlow {
    Diagnostic::error(as_options(message)).into()
}

/// An error about a file that names options in place of fields.
fn in_options(error: TaskError) -> anyhow::Error {
    let (message, help) = (values_as_options(&error.message), error.help.as_deref().map(as_options));
    TaskError { message, help, ..error }.into()
}
