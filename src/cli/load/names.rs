//! Names that files tell.

use super::source::Place;
use crate::cli::InvalidFlow;
use crate::diagnostic::Diagnostic;

/// Letters of a name that is made of a file's.
const MAX_NAME: usize = 60;

/// The table that is meant, or one that is called as the file is.
///
/// # Errors
/// When the file has no name.
pub(super) fn table(given: Option<&str>, place: &Place) -> Result<String, InvalidFlow> {
    let named = || name_of(&place.file_name().unwrap_or_default());
    given.map(str::to_owned).or_else(named).ok_or_else(unnamed)
}

/// The error about a table that nobody named.
pub(super) fn unnamed() -> InvalidFlow {
    let finding = Diagnostic::error("the table needs a name, which the file does not tell");
    finding.help("name it behind the file: jitney load FILE TABLE").into()
}

/// A file's name as that of a table: without extensions, in small letters, digits and underscores.
pub(super) fn name_of(file: &str) -> Option<String> {
    let stem = file.trim_start_matches('.').split('.').next().unwrap_or_default().to_lowercase();
    let words: Vec<&str> =
        stem.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name: String = words.join("_").chars().take(MAX_NAME).collect();
    match name.chars().next()? {
        '0'..='9' => Some(format!("t_{name}")),
        _ => Some(name),
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
            (".hidden.csv", Some("hidden")),
            ("größe.csv", Some("größe")),
            ("---.csv", None),
            ("", None),
        ] {
            assert_eq!(name_of(file).as_deref(), expected, "{file}");
        }
    }
}
