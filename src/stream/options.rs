//! How a file is to be read.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::split::Dialect;
use super::{Conversions, Encoding, FileFormat, UnpackLimits};

/// The largest row of a CSV file, unless somebody says otherwise.
const DEFAULT_ROW_BYTES: usize = 64 << 20;
/// The largest row that may be allowed: what COPY takes.
pub const MAX_ROW_BYTES: usize = 1 << 30;

/// How to read a file.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// What errors call the file; its path if `None`.
    pub name: Option<String>,
    /// The file's format; by its name if `None`.
    pub format: Option<FileFormat>,
    /// Between the fields of a CSV file.
    pub delimiter: u8,
    /// Around fields that hold delimiters or line ends; `None` if quotes mean nothing.
    pub quote: Option<u8>,
    /// Before a quote within quotes.
    pub escape: u8,
    /// Whether the first line of a CSV file names its columns.
    pub header: bool,
    /// What lines begin with that are no rows; empty if all are.
    pub comment: String,
    /// Lines before the header, or before the first row, that are left out.
    pub skip_lines: u64,
    /// The largest row of a CSV file; it is held in memory whole. At most [`MAX_ROW_BYTES`].
    pub max_row_bytes: usize,
    /// Fields, besides the empty one, that are NULL.
    pub null_strings: Vec<String>,
    /// Whether blanks around a field are left out.
    pub trim: bool,
    /// How the values of a CSV file are written.
    pub conversions: Conversions,
    /// The columns of a CSV file without a header.
    pub columns: Option<Vec<String>>,
    /// What the bytes of a text file mean. Without one they are UTF-8, unless a byte order mark says UTF-16.
    pub encoding: Option<Encoding>,
    /// Where the rows of a JSON file stand, if they are not the file itself.
    pub records: Option<RecordsPath>,
    /// The sheet of an Excel workbook that is read; the first one if `None`.
    pub sheet: Option<String>,
    /// How far objects within the rows of JSON are taken apart.
    pub flatten: Flatten,
    /// How much the file may unpack to.
    pub limits: UnpackLimits,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            name: None,
            format: None,
            delimiter: b',',
            quote: Some(b'"'),
            escape: b'"',
            header: true,
            comment: String::new(),
            skip_lines: 0,
            max_row_bytes: DEFAULT_ROW_BYTES,
            null_strings: Vec::new(),
            trim: false,
            conversions: Conversions::default(),
            columns: None,
            encoding: None,
            records: None,
            sheet: None,
            flatten: Flatten::default(),
            limits: UnpackLimits::default(),
        }
    }
}

impl ReadOptions {
    /// How a CSV file separates and encloses its fields.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: self.delimiter,
            quote: self.quote,
            escape: self.escape,
            comment: self.comment.clone().into_bytes(),
            max_row_bytes: self.max_row_bytes,
            counts_rows: self.format == Some(FileFormat::Excel),
        }
    }

    /// The same for the CSV that is made of a sheet.
    pub(super) fn of_sheet(&self) -> Self {
        let Self { delimiter, quote, escape, comment, conversions, encoding, .. } = Self::default();
        let format = Some(FileFormat::Excel);
        Self {
            format,
            delimiter,
            quote,
            escape,
            comment,
            conversions: Conversions {
                true_values: self.conversions.true_values.clone(),
                false_values: self.conversions.false_values.clone(),
                ..conversions
            },
            encoding,
            ..self.clone()
        }
    }

    /// A setting that files of this format leave without effect, and that only JSON has.
    pub(super) fn of_json_alone(&self, format: FileFormat) -> Option<&'static str> {
        match format {
            FileFormat::Csv | FileFormat::Parquet | FileFormat::Excel if self.flatten != Flatten::default() => {
                Some("flatten")
            }
            format if format != FileFormat::Json && self.records.is_some() => Some("records"),
            _ => None,
        }
    }
}

/// Where in a JSON document the rows are: the keys that lead to an array, as in `data` or `result.items`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordsPath(Vec<String>);

impl RecordsPath {
    /// The keys, outermost first.
    pub fn keys(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<String> for RecordsPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let keys: Vec<String> = text.split('.').map(|key| key.trim().to_owned()).collect();
        match keys.iter().any(String::is_empty) {
            true => Err(format!("`{text}` is not a path of keys; write for example `data` or `result.items`")),
            false => Ok(Self(keys)),
        }
    }
}

impl From<RecordsPath> for String {
    fn from(path: RecordsPath) -> Self {
        path.0.join(".")
    }
}

/// How many levels of objects within a row become columns of their own; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flatten(pub u8);

impl Flatten {
    /// What `flatten: true` means; what nests deeper stays JSON.
    pub const ALL: Self = Self(100);
}

impl<'de> Deserialize<'de> for Flatten {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let depth = match Value::deserialize(deserializer)? {
            Value::Bool(is_wanted) => Some(if is_wanted { Self::ALL.0 } else { 0 }),
            Value::Number(number) => number.as_u64().and_then(|depth| u8::try_from(depth).ok()),
            Value::String(text) => match text.as_str() {
                "true" => Some(Self::ALL.0),
                "false" => Some(0),
                number => number.parse().ok(),
            },
            _ => None,
        };
        let depth = depth.filter(|depth| *depth <= Self::ALL.0);
        depth.map(Self).ok_or_else(|| D::Error::custom("expected `true`, `false`, or how many levels from 0 to 100"))
    }
}

impl JsonSchema for Flatten {
    fn schema_name() -> Cow<'static, str> {
        "Flatten".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": ["boolean", "integer"], "minimum": 0, "maximum": Self::ALL.0})
    }

    fn inline_schema() -> bool {
        true
    }
}
