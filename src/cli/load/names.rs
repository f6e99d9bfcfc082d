//! Names for tables of the names of files.

use super::source::Place;
use crate::cli::InvalidFlow;
use crate::diagnostic::Diagnostic;

/// Bytes of a name that is made of a file's: servers cut names at 63.
const MAX_NAME: usize = 60;
/// Ends of files' names that say how a file is written and packed.
const SUFFIXES: &[&str] = &[
    "csv", "tsv", "tab", "psv", "txt", "dat", "data", "json", "ndjson", "jsonl", "geojson", "parquet", "pq", "xlsx",
    "xlsm", "xls", "ods", "gz", "gzip", "zst", "zstd", "zip", "bz2", "xz",
];

/// The table that is meant, or one that is called as the file is.
///
/// # Errors
/// When the file has no name, or the schema is one of the server's own.
pub(super) fn table(given: Option<&str>, place: &Place) -> Result<String, InvalidFlow> {
    let Some(given) = given else { return name_of(&place.file_name().unwrap_or_default()).ok_or_else(unnamed) };
    let schema = given.split_once('.').map(|(schema, _)| schema.trim().trim_matches('"').to_lowercase());
    if schema.is_some_and(|schema| schema == "information_schema" || schema.starts_with("pg_")) {
        let finding = Diagnostic::error(format!("`{given}` would be among the server's own tables"));
        return Err(finding.help("name another schema, such as `public`").into());
    }
    Ok(given.to_owned())
}

/// The error about a table that nobody named.
pub(super) fn unnamed() -> InvalidFlow {
    let finding = Diagnostic::error("the table needs a name, which the file does not tell");
    finding.help("name it behind the file: jitney load FILE TABLE").into()
}

/// A file's name as that of a table: without the ends that tell its format, in small letters, digits and underscores.
pub(super) fn name_of(file: &str) -> Option<String> {
    let mut stem = file.trim_start_matches('.');
    while let Some((rest, suffix)) = stem.rsplit_once('.')
        && SUFFIXES.contains(&suffix.to_lowercase().as_str())
    {
        stem = rest;
    }
    let stem = stem.to_lowercase();
    let words: Vec<&str> =
        stem.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name = words.join("_");
    let name = match name.chars().next()? {
        '0'..='9' => format!("t_{name}"),
        _ => name,
    };
    Some(name.get(..name.floor_char_boundary(MAX_NAME)).unwrap_or(&name).to_owned())
}

/// The id of a flow that loads into this table: of letters that ids may have.
pub(super) fn flow_id(table: &str) -> String {
    let base = table.rsplit('.').next().unwrap_or_default().trim_matches('"').to_lowercase();
    let words: Vec<&str> =
        base.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    match words.is_empty() {
        true => "load_file".to_owned(),
        false => format!("load_{}", words.join("_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_becomes_that_of_a_table() {
        for (file, expected) in [
            ("green_tripdata_2020-04.csv.gz", Some("green_tripdata_2020_04")),
            ("Taxi Zones (new).csv", Some("taxi_zones_new")),
            ("2020.csv", Some("t_2020")),
            ("sales.2023.csv", Some("sales_2023")),
            ("report.v1.2.CSV.GZ", Some("report_v1_2")),
            ("a.b", Some("a_b")),
            (".hidden.csv", Some("hidden")),
            ("größe.csv", Some("größe")),
            ("---.csv", None),
            ("", None),
        ] {
            assert_eq!(name_of(file).as_deref(), expected, "{file}");
        }
        let long = name_of(&format!("{}.csv", "ä".repeat(50))).unwrap_or_default();
        assert_eq!(long, "ä".repeat(30));
    }

    #[test]
    fn the_id_of_a_flow_has_letters_of_ascii() {
        for (table, id) in [("umsätze", "load_ums_tze"), ("public.\"My Table\"", "load_my_table"), ("表", "load_file")]
        {
            assert_eq!(flow_id(table), id);
        }
    }
}
