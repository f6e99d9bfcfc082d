//! What load jobs read, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stream::Encoding;

/// How a CSV file is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CsvOptions {
    /// The number of lines before the first row: 1 for a header, which is the default with `mode`.
    #[serde(alias = "skipLeadingRows")]
    pub(super) skip_leading_rows: Option<u32>,
    /// The character between fields; by default a comma.
    #[serde(alias = "fieldDelimiter")]
    pub(super) field_delimiter: Option<String>,
    /// The quoting character; empty to disable quoting.
    pub(super) quote: Option<String>,
    /// The text that means NULL, in addition to an empty field.
    #[serde(alias = "nullMarker")]
    pub(super) null_marker: Option<String>,
    /// Whether the last columns of a row may be missing.
    #[serde(alias = "allowJaggedRows")]
    pub(super) allow_jagged_rows: Option<bool>,
    /// Whether quoted fields may contain line breaks.
    #[serde(alias = "allowQuotedNewLines", alias = "allowQuotedNewlines")]
    pub(super) allow_quoted_newlines: Option<bool>,
    /// `UTF-8` (by default) or `ISO-8859-1`; without `mode` also `UTF-16LE` or `UTF-16BE`.
    #[schemars(with = "Option<String>")]
    pub(super) encoding: Option<Encoding>,
}

impl CsvOptions {
    /// Whether any of them is given.
    pub(super) fn are_given(&self) -> bool {
        let texts = [&self.field_delimiter, &self.quote, &self.null_marker];
        let switches = [self.allow_jagged_rows, self.allow_quoted_newlines];
        self.skip_leading_rows.is_some()
            || self.encoding.is_some()
            || texts.into_iter().any(Option::is_some)
            || switches.into_iter().any(|switch| switch.is_some())
    }

    /// The options that are no single character and ought to be one. BigQuery knows two words for a tab.
    pub(super) fn longer_than_a_character(&self) -> impl Iterator<Item = &'static str> {
        let delimiter = self.field_delimiter.as_deref().filter(|text| !["\\t", "tab"].contains(text));
        let all = [("field_delimiter", delimiter), ("quote", self.quote.as_deref())];
        all.into_iter().filter(|(_, text)| text.is_some_and(|text| text.chars().nth(1).is_some())).map(|(name, _)| name)
    }
}

/// How an Avro file is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AvroOptions {
    /// Whether logical types such as dates and decimals are converted.
    #[serde(alias = "useAvroLogicalTypes")]
    pub(super) use_avro_logical_types: Option<bool>,
}

/// The formats that load jobs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(super) enum LoadFormat {
    /// Comma-separated values, or another delimiter; plain or gzip.
    #[serde(rename = "CSV", alias = "csv")]
    Csv,
    /// One JSON object a line; plain or gzip.
    #[serde(rename = "NEWLINE_DELIMITED_JSON", alias = "JSON", alias = "NDJSON", alias = "json", alias = "ndjson")]
    Json,
    /// Parquet.
    #[serde(rename = "PARQUET", alias = "parquet")]
    Parquet,
    /// Avro.
    #[serde(rename = "AVRO", alias = "avro")]
    Avro,
    /// ORC.
    #[serde(rename = "ORC", alias = "orc")]
    Orc,
}

/// What BigQuery calls an encoding; none for what it does not read.
pub(super) fn encoding_word(encoding: &Encoding) -> Option<&'static str> {
    let words = [("UTF-8", "UTF-8"), ("LATIN1", "ISO-8859-1"), ("UTF-16LE", "UTF-16LE"), ("UTF-16BE", "UTF-16BE")];
    words.into_iter().find(|(name, _)| encoding.is(name)).map(|(_, word)| word)
}
