//! The demo's folder: the shipped flows and SQL, unpacked, and a mirror of sample months.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::month::Colour;
use super::{MONTH, YEAR};

/// The files that the demo runs, as the project ships them.
const FILES: &[(&str, &str)] = &[
    ("flows/postgres_taxi.yaml", include_str!("../../../flows/postgres_taxi.yaml")),
    ("flows/postgres_zones.yaml", include_str!("../../../flows/postgres_zones.yaml")),
    ("flows/gcp_setup.yaml", include_str!("../../../flows/gcp_setup.yaml")),
    ("flows/gcp_taxi.yaml", include_str!("../../../flows/gcp_taxi.yaml")),
    ("flows/gcp_taxi_parquet.yaml", include_str!("../../../flows/gcp_taxi_parquet.yaml")),
    ("flows/gcp_report.yaml", include_str!("../../../flows/gcp_report.yaml")),
    ("sql/bigquery/green.json", include_str!("../../../sql/bigquery/green.json")),
    ("sql/bigquery/yellow.json", include_str!("../../../sql/bigquery/yellow.json")),
    ("sql/postgres/green_tripdata.sql", include_str!("../../../sql/postgres/green_tripdata.sql")),
    ("sql/postgres/yellow_tripdata.sql", include_str!("../../../sql/postgres/yellow_tripdata.sql")),
    ("sql/postgres/zones.sql", include_str!("../../../sql/postgres/zones.sql")),
    ("sql/postgres/trips_by_zone.sql", include_str!("../../../sql/postgres/trips_by_zone.sql")),
];

/// The query behind the chart.
pub(super) const TRIPS_PER_DAY: &str = include_str!("../../../sql/postgres/trips_per_day.sql");

/// The unpacked folder.
pub(super) struct Kit {
    folder: PathBuf,
    /// What is served, as the published files are.
    pub(super) mirror: PathBuf,
}

impl Kit {
    /// Writes the files, over those of an earlier demo.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn unpack(folder: &Path) -> io::Result<Self> {
        for (name, text) in FILES {
            let path = folder.join(name);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)?;
        }
        Ok(Self { folder: folder.to_owned(), mirror: folder.join("mirror") })
    }

    /// A flow's file.
    pub(super) fn flow(&self, name: &str) -> PathBuf {
        self.folder.join("flows").join(name)
    }

    /// Where a month's file goes; its folder exists.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn month(&self, colour: Colour) -> io::Result<PathBuf> {
        self.place(colour.as_str(), &colour.file_name(YEAR, MONTH))
    }

    /// Where the zone table goes; its folder exists.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn zones(&self) -> io::Result<PathBuf> {
        self.place("misc", "taxi_zone_lookup.csv")
    }

    fn place(&self, folder: &str, name: &str) -> io::Result<PathBuf> {
        let folder = self.mirror.join(folder);
        fs::create_dir_all(&folder)?;
        Ok(folder.join(name))
    }

    /// The three things to try next.
    pub(super) fn next_steps(&self) -> String {
        format!(
            "
Next:
  jitney executions                    what has run
  jitney postgres psql                 look at the tables
  jitney run {} -i taxi=green -i year=2019 -i month=01
                                       a real month, from the published files
",
            self.flow("postgres_taxi.yaml").display()
        )
    }
}
