//! The fields that say how a CSV file is read, which several tasks have.

use super::csv_words::{Quote, Texts};
use crate::fingerprint::FingerprintBuilder;
use crate::stream::infer::Question;
use crate::stream::{
    ColumnType, Conversions, Encoding, FileFormat, Flatten, MAX_ROW_BYTES, ReadOptions, RecordsPath, TimeFormat,
};
use crate::task::{FieldConflict, TaskError};

/// Defines a struct with fields of its own, followed by those that say how a CSV file is read, which `fn csv` gives as
/// [`CsvFields`]. The struct itself is made by the macro that is named.
macro_rules! reads_csv {
    ($make:ident! { $(#[$meta:meta])* pub struct $name:ident { $($own:tt)* } }) => {
        $make! {
            $(#[$meta])*
            #[allow(unreachable_pub, reason = "some of the tasks are private")]
            pub struct $name {
                $($own)*
                /// Whether the first line of a CSV file names the columns; it does by default.
                #[serde(default)]
                pub header: Option<bool>,
                /// The columns of a CSV file without such a line, in order.
                #[serde(default)]
                pub columns: Option<Vec<String>>,
                /// The character between the fields of a CSV file; by default a comma.
                #[serde(default)]
                pub delimiter: Option<char>,
                /// The quoting character of a CSV file; by default a double quote. `none` if quotes have no meaning.
                #[serde(default)]
                #[schemars(with = "Option<String>")]
                pub quote: Option<$crate::tasks::csv_words::Quote>,
                /// The character before a quote, or before itself, inside quotes; by default the quote itself.
                #[serde(default)]
                pub escape: Option<char>,
                /// The text, or a list of texts, that stands for NULL in a CSV file, in addition to an empty field. Within quotes
                /// it is a text.
                #[serde(default, alias = "nullString")]
                #[schemars(with = "serde_json::Value")]
                pub null_string: $crate::tasks::csv_words::Texts,
                /// The encoding of a CSV or NDJSON file, such as `LATIN1`, `WIN1252` or `UTF-16`; by default UTF-8, or the
                /// UTF-16 that a byte order mark tells.
                #[serde(default)]
                #[schemars(with = "Option<String>")]
                pub encoding: Option<$crate::stream::Encoding>,
                /// What lines of a CSV file begin with that are comments, such as `#`.
                #[serde(default)]
                pub comment: Option<String>,
                /// How many lines of a CSV file are left out before the header, or before the first row if there is none.
                #[serde(default)]
                pub skip_lines: Option<u64>,
                /// Whether blanks around the fields of a CSV file are left out, also within quotes; by default they stay.
                #[serde(default)]
                pub trim: Option<bool>,
                /// The character before the decimals of numbers in a CSV file; by default a point. It applies to columns
                /// of numbers: `smallint`, `int`, `bigint`, `real`, `float` and `numeric`.
                #[serde(default)]
                pub decimal: Option<char>,
                /// The character between groups of three digits in a CSV file, such as `.` or a blank; by default there is
                /// none.
                #[serde(default)]
                pub thousands: Option<char>,
                /// How dates of a CSV file are written, in the words of strptime, such as `%d.%m.%Y`. It applies to columns
                /// of dates. By default as Postgres reads them.
                #[serde(default)]
                #[schemars(with = "Option<String>")]
                pub date_format: Option<$crate::stream::TimeFormat>,
                /// How timestamps of a CSV file are written, in the words of strptime, such as `%m/%d/%Y %I:%M:%S %p`; `%f`
                /// after a point is written `%.f`, and `%z` is an offset from UTC. By default as Postgres reads them.
                #[serde(default)]
                #[schemars(with = "Option<String>")]
                pub timestamp_format: Option<$crate::stream::TimeFormat>,
                /// Texts that are true in boolean columns of a CSV file, in addition to `true`, `t`, `yes`, `y`, `on` and
                /// `1`.
                #[serde(default)]
                pub true_values: Vec<String>,
                /// Texts that are false there, in addition to `false`, `f`, `no`, `n`, `off` and `0`.
                #[serde(default)]
                pub false_values: Vec<String>,
                /// The largest row of a CSV file in bytes, which is held in memory; by default 64 MiB, and 1 GiB at most.
                #[serde(default)]
                pub max_row_bytes: Option<u64>,
                /// Where the rows of a JSON file are, if it is not made of rows: the keys that lead to an array, such as
                /// `data` for `{"data": [{…}, {…}]}`, or `result.items`.
                #[serde(default)]
                #[schemars(with = "Option<String>")]
                pub records: Option<$crate::stream::RecordsPath>,
                /// The sheet of an Excel workbook; by default the first one.
                #[serde(default)]
                pub sheet: Option<String>,
                /// Whether objects within the rows of a JSON or NDJSON file become columns of their own, or how many levels
                /// of them: `{"a": {"b": 1}}` gives a column `a__b`. An object without members leaves its columns NULL. By
                /// default an object is one value.
                #[serde(default)]
                pub flatten: $crate::stream::Flatten,
            }
        }

        impl $name {
            /// How a CSV file is read.
            fn csv(&self) -> $crate::tasks::csv_fields::CsvFields {
                $crate::tasks::csv_fields::CsvFields {
                    header: self.header,
                    columns: self.columns.clone(),
                    delimiter: self.delimiter,
                    quote: self.quote,
                    escape: self.escape,
                    null_string: self.null_string.clone(),
                    encoding: self.encoding.clone(),
                    comment: self.comment.clone(),
                    skip_lines: self.skip_lines,
                    trim: self.trim,
                    decimal: self.decimal,
                    thousands: self.thousands,
                    date_format: self.date_format.clone(),
                    timestamp_format: self.timestamp_format.clone(),
                    true_values: self.true_values.clone(),
                    false_values: self.false_values.clone(),
                    max_row_bytes: self.max_row_bytes,
                    records: self.records.clone(),
                    sheet: self.sheet.clone(),
                    flatten: self.flatten,
                }
            }
        }
    };
}
pub(in crate::tasks) use reads_csv;

/// Makes a struct as it is written, for [`reads_csv`].
macro_rules! as_written {
    ($($all:tt)*) => { $($all)* };
}
pub(in crate::tasks) use as_written;

/// How a CSV file is read, as the task says it.
pub(in crate::tasks) struct CsvFields {
    pub header: Option<bool>,
    pub columns: Option<Vec<String>>,
    pub delimiter: Option<char>,
    pub quote: Option<Quote>,
    pub escape: Option<char>,
    pub null_string: Texts,
    pub encoding: Option<Encoding>,
    pub comment: Option<String>,
    pub skip_lines: Option<u64>,
    pub trim: Option<bool>,
    pub decimal: Option<char>,
    pub thousands: Option<char>,
    pub date_format: Option<TimeFormat>,
    pub timestamp_format: Option<TimeFormat>,
    pub true_values: Vec<String>,
    pub false_values: Vec<String>,
    pub max_row_bytes: Option<u64>,
    pub records: Option<RecordsPath>,
    pub sheet: Option<String>,
    pub flatten: Flatten,
}

/// The fields that are about the rows of a sheet of Excel; its values are none that are written in other ways.
const OF_SHEETS: &[&str] =
    &["header", "columns", "skip_lines", "trim", "null_string", "true_values", "false_values", "sheet"];

impl CsvFields {
    /// What does not go together, for a file of this format; `by` is the field that tells the format.
    pub(crate) fn conflicts(&self, format: FileFormat, by: &'static str) -> Vec<FieldConflict> {
        let mut conflicts = self.idle(format, by);
        conflicts.extend(self.named_twice());
        conflicts.extend(self.same_characters());
        let too_large = self.max_row_bytes.filter(|size| *size > MAX_ROW_BYTES as u64 || *size == 0);
        conflicts.extend(too_large.map(|_| {
            FieldConflict::between(
                ["max_row_bytes"],
                format!("a row has 1 byte at least and {MAX_ROW_BYTES} bytes at most"),
            )
        }));
        conflicts
    }

    /// The fields that a file of this format leaves without effect.
    fn idle(&self, format: FileFormat, by: &'static str) -> Vec<FieldConflict> {
        let is_idle = |field: &str| match format {
            FileFormat::Csv => matches!(field, "records" | "flatten" | "sheet"),
            FileFormat::Excel => !OF_SHEETS.contains(&field),
            FileFormat::Ndjson => !matches!(field, "encoding" | "flatten"),
            FileFormat::Json => !matches!(field, "encoding" | "flatten" | "records"),
            FileFormat::Parquet => true,
        };
        let conflict = |(field, _): (&'static str, bool)| {
            FieldConflict::between(
                [field, by],
                format!("`{field}` does not apply to a {} file; remove it", format.name()),
            )
        };
        self.given().into_iter().filter(|(field, is_given)| *is_given && is_idle(field)).map(conflict).collect()
    }

    /// The fields about values of a type that no column has, where all that is known of columns is what the task says.
    pub(crate) fn without_columns(&self, kinds: &[ColumnType]) -> Vec<FieldConflict> {
        use ColumnType::{Bool, Date, Float, Int, Numeric, Real, Timestamp, TimestampTz};
        let has = |is: fn(&ColumnType) -> bool| kinds.iter().any(is);
        let numbers = has(|kind| matches!(kind, Int(_) | Float | Real | Numeric));
        let times = has(|kind| matches!(kind, Timestamp | TimestampTz));
        let truths = has(|kind| *kind == Bool);
        let fields = [
            ("decimal", self.decimal.is_some(), numbers, "float"),
            ("thousands", self.thousands.is_some(), numbers, "float"),
            ("date_format", self.date_format.is_some(), has(|kind| *kind == Date), "date"),
            ("timestamp_format", self.timestamp_format.is_some(), times, "timestamp"),
            ("true_values", !self.true_values.is_empty(), truths, "bool"),
            ("false_values", !self.false_values.is_empty(), truths, "bool"),
        ];
        let idle = fields.into_iter().filter(|(_, is_given, has_columns, _)| *is_given && !has_columns);
        let conflict = |(field, _, _, kind)| {
            let message = format!(
                "no column of `schema` has a type that it applies to; add for example `schema: {{column: {kind}}}`"
            );
            FieldConflict::between([field, "schema"], message)
        };
        idle.map(conflict).collect()
    }

    /// Every field, with whether the task says it.
    fn given(&self) -> [(&'static str, bool); 20] {
        [
            ("header", self.header.is_some()),
            ("columns", self.columns.is_some()),
            ("delimiter", self.delimiter.is_some()),
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("null_string", self.null_string.0.iter().any(|text| !text.is_empty())),
            ("encoding", self.encoding.is_some()),
            ("comment", self.comment.is_some()),
            ("skip_lines", self.skip_lines.is_some()),
            ("trim", self.trim.is_some()),
            ("decimal", self.decimal.is_some()),
            ("thousands", self.thousands.is_some()),
            ("date_format", self.date_format.is_some()),
            ("timestamp_format", self.timestamp_format.is_some()),
            ("true_values", !self.true_values.is_empty()),
            ("false_values", !self.false_values.is_empty()),
            ("max_row_bytes", self.max_row_bytes.is_some()),
            ("records", self.records.is_some()),
            ("sheet", self.sheet.is_some()),
            ("flatten", self.flatten != Flatten::default()),
        ]
    }

    /// What is wrong when both a header and the task name the columns.
    fn named_twice(&self) -> Option<FieldConflict> {
        (self.columns.is_some() && self.header != Some(false)).then(|| {
            let message = "it names the columns of a file without a header: add `header: false`, or remove it and rename \
                           columns with `rename`";
            FieldConflict::between(["columns", "header"], message)
        })
    }

    /// Characters that would have two meanings, or none.
    fn same_characters(&self) -> Vec<FieldConflict> {
        let quote = self.quote.map_or(Some('"'), |quote| quote.0);
        let delimiter = self.delimiter.unwrap_or(',');
        let mut conflicts = Vec::new();
        if quote == Some(delimiter) {
            conflicts.push(FieldConflict::between(["delimiter", "quote"], "the delimiter and the quote must differ"));
        }
        if quote.is_none() && self.escape.is_some() {
            conflicts
                .push(FieldConflict::between(["escape", "quote"], "`escape` requires a quoting character; remove it"));
        }
        if self.thousands.is_some_and(|mark| mark == self.decimal.unwrap_or('.')) {
            let message = "this is also the decimal separator: set `decimal`, too";
            conflicts.push(FieldConflict::between(["thousands", "decimal"], message));
        }
        let is_of_numbers = |mark: char| mark.is_ascii_alphanumeric() || ['-', '+'].contains(&mark);
        for (field, mark) in [("decimal", self.decimal), ("thousands", self.thousands)] {
            if mark.is_some_and(is_of_numbers) {
                conflicts.push(FieldConflict::between([field], "a letter, a digit or a sign can be part of a number"));
            }
        }
        conflicts
    }

    /// What decides which rows are read. (`max_row_bytes` decides only whether they are.)
    pub(super) fn definition(&self) -> FingerprintBuilder {
        let Self { header, columns, delimiter, quote, escape, null_string, encoding, comment, .. } = self;
        let Self { skip_lines, trim, decimal, thousands, date_format, timestamp_format, true_values, .. } = self;
        let encoding = encoding.as_ref().filter(|encoding| !encoding.is_utf8()).map(Encoding::name);
        let null_strings: Vec<_> = null_string.0.iter().filter(|text| !text.is_empty()).collect();
        FingerprintBuilder::default()
            .with("header", &header.unwrap_or(true), &true)
            .with_some("columns", columns.as_ref())
            .with("delimiter", &delimiter.unwrap_or(','), &',')
            .with("quote", &quote.map_or(Some('"'), |quote| quote.0), &Some('"'))
            .with_some("escape", *escape)
            .with("null_string", &null_strings, &Vec::new())
            .with_some("encoding", encoding)
            .with_some("comment", comment.as_ref())
            .with("skip_lines", &skip_lines.unwrap_or_default(), &0)
            .with("trim", &trim.unwrap_or_default(), &false)
            .with_some("decimal", *decimal)
            .with_some("thousands", *thousands)
            .with_some("date_format", date_format.as_ref().map(TimeFormat::as_str))
            .with_some("timestamp_format", timestamp_format.as_ref().map(TimeFormat::as_str))
            .with("true_values", true_values, &Vec::new())
            .with("false_values", &self.false_values, &Vec::new())
            .with_some("records", self.records.as_ref())
            .with_some("sheet", self.sheet.as_ref())
            .with("flatten", &self.flatten, &Flatten::default())
    }

    /// The same as earlier versions wrote it into ledgers. What it is made from must not change.
    pub(super) fn former_definition(&self, format: Option<FileFormat>) -> String {
        let quote = self.quote.map_or('"', |quote| quote.0.unwrap_or('"'));
        let null_string = self.null_string.0.first().map(String::as_str).unwrap_or_default();
        let reading = (format, self.delimiter.unwrap_or(','), quote, self.escape, null_string);
        let encoding = self.encoding.as_ref().filter(|encoding| !encoding.is_utf8());
        let encoding = encoding.map(|encoding| format!(" {encoding:?}")).unwrap_or_default();
        let later: String =
            self.later_fields().into_iter().map(|(field, value)| format!(" {field}: {value}")).collect();
        format!("{reading:?}{encoding}{later}")
    }

    /// Those of its fields that came later, as far as the task says them.
    fn later_fields(&self) -> Vec<(&'static str, String)> {
        let texts = |texts: &[String]| (!texts.is_empty()).then(|| format!("{texts:?}"));
        let format = |format: &Option<TimeFormat>| format.as_ref().map(|format| format!("{:?}", format.as_str()));
        let fields = [
            ("quote", self.quote.filter(|quote| quote.0.is_none()).map(|_| "none".to_owned())),
            ("null_string", texts(self.null_string.0.get(1..).unwrap_or_default())),
            ("comment", self.comment.as_ref().map(|text| format!("{text:?}"))),
            ("skip_lines", self.skip_lines.filter(|lines| *lines > 0).map(|lines| lines.to_string())),
            ("trim", self.trim.filter(|trim| *trim).map(|trim| trim.to_string())),
            ("decimal", self.decimal.map(|mark| format!("{mark:?}"))),
            ("thousands", self.thousands.map(|mark| format!("{mark:?}"))),
            ("date_format", format(&self.date_format)),
            ("timestamp_format", format(&self.timestamp_format)),
            ("true_values", texts(&self.true_values)),
            ("false_values", texts(&self.false_values)),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
    }

    /// How the file of this name is read.
    ///
    /// # Errors
    /// When a character is none of ASCII.
    pub(crate) fn options(self, name: String, format: Option<FileFormat>) -> Result<ReadOptions, TaskError> {
        let quote = self.quote.map_or(Some('"'), |quote| quote.0);
        Ok(ReadOptions {
            name: Some(name),
            format,
            delimiter: byte("delimiter", self.delimiter.unwrap_or(','))?,
            quote: quote.map(|quote| byte("quote", quote)).transpose()?,
            escape: byte("escape", self.escape.or(quote).unwrap_or('"'))?,
            header: self.header.unwrap_or(true),
            comment: self.comment.unwrap_or_default(),
            skip_lines: self.skip_lines.unwrap_or_default(),
            max_row_bytes: match self.max_row_bytes {
                Some(size) => usize::try_from(size).unwrap_or(MAX_ROW_BYTES).min(MAX_ROW_BYTES),
                None => ReadOptions::default().max_row_bytes,
            },
            null_strings: self.null_string.0,
            trim: self.trim.unwrap_or_default(),
            conversions: Conversions {
                decimal: self.decimal,
                thousands: self.thousands,
                date: self.date_format,
                timestamp: self.timestamp_format,
                true_values: self.true_values,
                false_values: self.false_values,
            },
            columns: self.columns,
            encoding: self.encoding,
            records: self.records,
            sheet: self.sheet,
            flatten: self.flatten,
            ..ReadOptions::default()
        })
    }
}

impl CsvFields {
    /// What the file of this name is asked, so far as the task does not say it. With `tells_dialect`, the file also tells how
    /// it is written.
    ///
    /// # Errors
    /// As [`CsvFields::options`].
    pub(crate) fn question(
        self,
        name: String,
        format: Option<FileFormat>,
        tells_dialect: bool,
    ) -> Result<Question, TaskError> {
        let (has_delimiter, has_header) = (self.delimiter.is_some(), self.header.is_some());
        Ok(Question { options: self.options(name, format)?, has_delimiter, has_header, tells_dialect })
    }
}

/// A character that separates or encloses fields, as the one byte that it must be.
pub(in crate::tasks) fn byte(field: &str, character: char) -> Result<u8, TaskError> {
    u8::try_from(character).ok().filter(u8::is_ascii).ok_or_else(|| {
        TaskError::permanent(format!("`{field}`: `{character}` is not an ASCII character"))
            .help("use a character such as , ; | or a tab")
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    reads_csv! { as_written! {
        /// A task of nothing else.
        #[derive(Deserialize, schemars::JsonSchema)]
        pub struct Bare {}
    } }

    fn bare(fields: Value) -> CsvFields {
        serde_json::from_value::<Bare>(fields).unwrap().csv()
    }

    #[test]
    fn what_earlier_versions_wrote_into_ledgers_is_still_what_these_fields_come_to() {
        assert_eq!(bare(serde_json::json!({})).former_definition(None), r#"(None, ',', '"', None, "")"#);
        let all = bare(serde_json::json!({
            "delimiter": ";", "quote": "'", "escape": "\\", "null_string": "NULL", "encoding": "utf8", "trim": false,
        }));
        assert_eq!(all.former_definition(Some(FileFormat::Csv)), r#"(Some(Csv), ';', '\'', Some('\\'), "NULL")"#);
        let new = bare(serde_json::json!({"quote": "none", "null_string": ["-", "?"], "decimal": ","}));
        assert_eq!(
            new.former_definition(None),
            r#"(None, ',', '"', None, "-") quote: none null_string: ["?"] decimal: ','"#
        );
    }

    #[test]
    fn fields_without_effect_or_with_two_meanings_are_found_before_anything_runs() {
        let said = |fields: Value, format: FileFormat| -> Vec<String> {
            let conflicts = bare(fields).conflicts(format, "from");
            conflicts.into_iter().map(|conflict| format!("{}: {}", conflict.fields[0], conflict.message)).collect()
        };
        assert_eq!(said(serde_json::json!({"null_string": "", "quote": ""}), FileFormat::Csv), Vec::<String>::new());
        let fields = [
            ("comment", serde_json::json!("#")),
            ("skip_lines", serde_json::json!(1)),
            ("trim", serde_json::json!(true)),
            ("decimal", serde_json::json!(",")),
            ("thousands", serde_json::json!(" ")),
            ("date_format", serde_json::json!("%d.%m.%Y")),
            ("timestamp_format", serde_json::json!("%d.%m.%Y")),
            ("true_values", serde_json::json!(["ja"])),
            ("false_values", serde_json::json!(["nein"])),
            ("max_row_bytes", serde_json::json!(1000)),
            ("null_string", serde_json::json!([0, "x"])),
        ];
        for (field, value) in fields {
            for format in [FileFormat::Ndjson, FileFormat::Parquet] {
                let shown = said(serde_json::json!({field: value.clone()}), format);
                assert_eq!(
                    shown,
                    [format!("{field}: `{field}` does not apply to a {} file; remove it", format.name())]
                );
            }
        }
        for (fields, field) in [
            (serde_json::json!({"delimiter": "|", "quote": "|"}), "delimiter"),
            (serde_json::json!({"quote": "none", "escape": "\\"}), "escape"),
            (serde_json::json!({"thousands": "."}), "thousands"),
            (serde_json::json!({"decimal": "5"}), "decimal"),
            (serde_json::json!({"max_row_bytes": 2_000_000_000}), "max_row_bytes"),
            (serde_json::json!({"columns": ["a"]}), "columns"),
        ] {
            let shown = said(fields, FileFormat::Csv);
            assert!(shown.len() == 1 && shown[0].starts_with(&format!("{field}: ")), "{shown:?}");
        }
        for (field, value, kind) in [
            ("decimal", serde_json::json!(","), ColumnType::Numeric),
            ("thousands", serde_json::json!(" "), ColumnType::Int(32)),
            ("date_format", serde_json::json!("%d.%m.%Y"), ColumnType::Date),
            ("timestamp_format", serde_json::json!("%d.%m.%Y"), ColumnType::TimestampTz),
            ("true_values", serde_json::json!(["ja"]), ColumnType::Bool),
            ("false_values", serde_json::json!(["nein"]), ColumnType::Bool),
        ] {
            let fields = bare(serde_json::json!({field: value}));
            assert_eq!(fields.without_columns(&[ColumnType::Text, kind]), []);
            assert_eq!(fields.without_columns(&[ColumnType::Text])[0].fields[0], field);
        }
        assert!(serde_json::from_value::<Bare>(serde_json::json!({"quote": "ab"})).is_err());
        assert!(serde_json::from_value::<Bare>(serde_json::json!({"date_format": "dd.mm.yyyy"})).is_err());
    }
}
