//! The options that say how a file is read, shared by `jitney infer` and `jitney load`.

use clap::Args;
use serde_json::{Map, Value, json};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the file is read (by default the file tells)")]
pub(in crate::cli) struct FileArguments {
    /// csv, ndjson, json, parquet or excel
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The character between fields; `tab` for a tab
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// The encoding, such as LATIN1, WIN1252 or UTF-16
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// The first line names the columns
    #[arg(long, conflicts_with_all = ["no_header", "columns"])]
    header: bool,
    /// No line names the columns
    #[arg(long)]
    no_header: bool,
    /// The names of the columns, if no line of the file has them
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// How many lines to skip before the header
    #[arg(long, value_name = "NUMBER")]
    skip_lines: Option<u64>,
    /// What lines begin with that are comments
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// The quoting character, or `none`
    #[arg(long, value_name = "CHARACTER")]
    quote: Option<String>,
    /// Leave out blanks around values
    #[arg(long)]
    trim: bool,
    /// A text that stands for NULL, besides an empty field; may be repeated
    #[arg(long, value_name = "TEXT")]
    null: Vec<String>,
    /// Numbers have a decimal comma, as in 1234,56
    #[arg(long, conflicts_with = "decimal")]
    decimal_comma: bool,
    /// The character before the decimals of numbers
    #[arg(long, value_name = "CHARACTER")]
    decimal: Option<String>,
    /// The character between groups of three digits
    #[arg(long, value_name = "CHARACTER")]
    thousands: Option<String>,
    /// How dates are written, such as %d.%m.%Y
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<String>,
    /// How timestamps are written, such as '%m/%d/%Y %I:%M:%S %p'
    #[arg(long, value_name = "FORMAT")]
    timestamp_format: Option<String>,
    /// Texts that are true, such as yes or ja
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',')]
    true_values: Vec<String>,
    /// Texts that are false, such as no or nein
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',')]
    false_values: Vec<String>,
    /// The keys that lead to the rows of a JSON document, such as data or result.items
    #[arg(long, value_name = "KEYS")]
    records: Option<String>,
    /// The sheet of an Excel workbook, if it is not the first one
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// Make columns of objects within rows of JSON, of all or of so many levels
    #[arg(long, value_name = "LEVELS", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    flatten: Option<String>,
}

impl FileArguments {
    /// The same as fields of a task.
    pub(in crate::cli) fn fields(&self) -> Map<String, Value> {
        let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
        let list = |values: &[String]| (!values.is_empty()).then(|| json!(values));
        let delimiter = self.delimiter.as_deref().map(|text| match text {
            "tab" | "\\t" => json!("\t"),
            other => json!(other),
        });
        let header = match (self.header, self.no_header || !self.columns.is_empty()) {
            (true, _) => Some(json!(true)),
            (false, true) => Some(json!(false)),
            (false, false) => None,
        };
        let decimal = if self.decimal_comma { Some(json!(",")) } else { text(&self.decimal) };
        let flatten = self.flatten.as_deref().map(|depth| match (depth, depth.parse::<u64>()) {
            ("true", _) => json!(true),
            (_, Ok(depth)) => json!(depth),
            (other, Err(_)) => json!(other),
        });
        let null = match self.null.as_slice() {
            [one] => Some(json!(one)),
            several => list(several),
        };
        let fields = [
            ("format", text(&self.format)),
            ("delimiter", delimiter),
            ("encoding", text(&self.encoding)),
            ("header", header),
            ("columns", list(&self.columns)),
            ("skip_lines", self.skip_lines.map(|lines| json!(lines))),
            ("comment", text(&self.comment)),
            ("quote", text(&self.quote)),
            ("trim", self.trim.then(|| json!(true))),
            ("null_string", null),
            ("decimal", decimal),
            ("thousands", text(&self.thousands)),
            ("date_format", text(&self.date_format)),
            ("timestamp_format", text(&self.timestamp_format)),
            ("true_values", list(&self.true_values)),
            ("false_values", list(&self.false_values)),
            ("records", text(&self.records)),
            ("sheet", text(&self.sheet)),
            ("flatten", flatten),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
