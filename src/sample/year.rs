//! The last twelve months in a folder, each a small one, and the flow that loads them: what a server without flows offers
//! first.

use std::fs;
use std::io;
use std::path::Path;

use chrono::{Datelike, Months, NaiveDate};

use super::month::{TaxiColour, write_month};

/// The flow that loads a month of them.
pub const FLOW: &str = include_str!("taxi_months.yaml");
/// The namespace of the flow.
pub const NAMESPACE: &str = "sample";
/// The flow's id.
pub const ID: &str = "taxi_months";
/// The folder of the months, next to the flow's file.
pub const FOLDER: &str = "data";

/// The rows of each month, in the proportions of the published files of 2019.
const ROWS: [u64; 12] = [10_515, 9_595, 10_018, 8_573, 8_415, 7_851, 7_846, 7_495, 7_484, 7_940, 7_492, 7_510];
const SEED: u64 = 2;

/// Writes the months up to that of a day, as far as they are not in the folder yet: each of them whole or not at all.
///
/// # Errors
/// When a file cannot be written.
pub fn write_year(folder: &Path, newest: NaiveDate) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let months = (0..).map_while(|back| newest.checked_sub_months(Months::new(back)));
    for (day, rows) in months.zip(ROWS.into_iter().rev()) {
        let name = TaxiColour::Green.file_name(day.year(), day.month());
        let (file, draft) = (folder.join(&name), folder.join(format!(".{name}")));
        if !file.exists() {
            write_month(&draft, TaxiColour::Green, day.year(), day.month(), rows, SEED)?;
            fs::rename(&draft, &file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_written_once_and_holes_are_filled() {
        let folder = tempfile::tempdir().unwrap();
        let january = folder.path().join("green_tripdata_2020-01.csv.gz");
        fs::write(&january, "mine").unwrap();
        write_year(folder.path(), NaiveDate::from_ymd_opt(2020, 3, 31).unwrap()).unwrap();
        assert_eq!(fs::read(&january).unwrap(), b"mine");
        let names = || folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(names().len(), 12, "{:?}", names());
        for month in ["2019-04", "2020-02", "2020-03"] {
            assert!(folder.path().join(format!("green_tripdata_{month}.csv.gz")).exists(), "{month}");
        }
    }
}
