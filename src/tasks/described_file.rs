//! A file that somebody describes by the fields of `postgres.load`, to be asked what it holds.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::csv_fields::{as_written, reads_csv};
use crate::stream::FileFormat;
use crate::stream::infer::Question;
use crate::task::{FieldConflict, TaskError};

reads_csv! { as_written! {
/// How a file is read, as far as it is described.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribedFile {
    /// The file's format; by default what its name says, or its content.
    format: Option<FileFormat>,
}
} }

impl DescribedFile {
    /// Reads the fields.
    ///
    /// # Errors
    /// Names the field that has no valid value.
    pub fn of(fields: &Map<String, Value>) -> Result<Self, TaskError> {
        serde_path_to_error::deserialize(Value::Object(fields.clone()))
            .map_err(|error| TaskError::permanent(format!("`{}`: {}", error.path(), error.inner())))
    }

    /// What the file of this name is asked.
    ///
    /// # Errors
    /// When a character is none of ASCII.
    pub fn question(&self, name: &str) -> Result<Question, TaskError> {
        self.csv().question(name.to_owned(), self.format, true)
    }

    /// What does not go together in the description of a file of this format.
    pub fn conflicts(&self, format: FileFormat) -> Vec<FieldConflict> {
        self.csv().conflicts(format, "format")
    }
}
