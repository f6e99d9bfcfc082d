//! Messages about fields of a task in the words of the command line.

use crate::cli::run_display::Words;

/// The fields whose names messages may have, and the options that are called otherwise.
const OPTIONS: &[(&str, &str)] = &[
    ("header: true", "header"),
    ("header: false", "no-header"),
    ("null_string", "null"),
    ("skip_lines", "skip-lines"),
    ("date_format", "date-format"),
    ("timestamp_format", "timestamp-format"),
    ("thousands", "thousands"),
    ("decimal", "decimal"),
    ("true_values", "true-values"),
    ("false_values", "false-values"),
    ("delimiter", "delimiter"),
    ("encoding", "encoding"),
    ("columns", "columns"),
    ("comment", "comment"),
    ("quote", "quote"),
    ("format", "format"),
    ("records", "records"),
    ("sheet", "sheet"),
    ("flatten", "flatten"),
    ("on_extra_column", "on-extra-column"),
    ("on_missing_column", "on-missing-column"),
    ("on_bad_row", "reject"),
    ("if_loaded", "force"),
    ("mode", "mode"),
];

/// Phrases that name a field with its value, or what only a flow can do.
const PHRASES: &[(&str, &str)] = &[
    ("`on_bad_row: {reject: {max: 100}}`", "`--reject 100`"),
    ("`mode: {replace_partition: {…}}`", "`--mode replace`"),
    ("`mode: truncate`", "`--mode replace`"),
    ("`mode: merge`", "`--mode merge --key COLUMN`"),
    ("`if_loaded: skip`, or `if_loaded: load`", "`--force` loads it again"),
    ("; to leave the table as it is, write `if_loaded: skip`", ""),
    ("; to leave the table as it is, `if_loaded: skip`", ""),
    ("`if_loaded: load`", "`--force`"),
    ("as `if_loaded` says", "as `--force` says"),
    (
        "name the file's column in `transform: {rename: …}`, or leave it empty",
        "name the file's columns with `--skip-lines 1 --columns NAME,…`, or leave it empty",
    ),
    ("choose one of them with `transform: {select: […]}`", "name the columns with `--skip-lines 1 --columns NAME,…`"),
    ("choose columns with `transform: {select: […]}`, or leave", "or leave"),
];

/// Both, for what a task says.
pub(super) const OPTION_WORDS: Words = Words { message: values_as_options, help: as_options };

/// A message that names options instead of fields with their values. A word alone may be the name of a column.
pub(super) fn values_as_options(message: &str) -> String {
    let text = PHRASES.iter().fold(message.to_owned(), |text, (phrase, words)| text.replace(phrase, words));
    let text = without_renaming(&text);
    OPTIONS.iter().fold(text, |text, (field, option)| text.replace(&format!("`{field}: "), &format!("`--{option} ")))
}

/// A help that names options instead of the fields of a task.
pub(super) fn as_options(help: &str) -> String {
    const GUESS: &str = "did you mean `";
    if let Some((guess, rest)) = help.strip_prefix(GUESS).and_then(|rest| rest.split_once('`')) {
        return format!("{GUESS}{guess}`{}", as_options(rest));
    }
    let text = values_as_options(help);
    OPTIONS.iter().fold(text, |text, (field, option)| text.replace(&format!("`{field}`"), &format!("`--{option}`")))
}

/// The text without a step that would rename a column: ` (`transform: {rename: {a: b}}`)`.
fn without_renaming(text: &str) -> String {
    const BEGIN: &str = " (`transform: {rename: {";
    const END: &str = "}}`)";
    let Some((before, rest)) = text.split_once(BEGIN) else { return text.to_owned() };
    match rest.split_once(END) {
        Some((_, after)) => format!("{before}{after}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_options_in_place_of_fields() {
        for (message, expected) in [
            ("write `header: true` or `header: false`", "write `--header` or `--no-header`"),
            ("say so: `encoding: UTF-16LE`", "say so: `--encoding UTF-16LE`"),
            ("set `null_string`", "set `--null`"),
            ("the header is `a`", "the header is `a`"),
            ("write `comment: '#'`", "write `--comment '#'`"),
            ("reject such rows: `on_bad_row: {reject: {max: 100}}`", "reject such rows: `--reject 100`"),
            ("leave it empty with `on_missing_column: empty`", "leave it empty with `--on-missing-column empty`"),
            ("did you mean `id` (`transform: {rename: {ids: id}}`)? else add it", "did you mean `id`? else add it"),
            (
                "to add all rows of the file again, write `if_loaded: load`; to leave the table as it is, `if_loaded: skip`",
                "to add all rows of the file again, write `--force`",
            ),
        ] {
            assert_eq!(as_options(message), expected);
        }
        let message = "the file has no column for `mode` of table `format`";
        assert_eq!(values_as_options(message), message);
    }
}
