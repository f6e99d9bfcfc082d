//! The folder of the demo: the shipped flows and SQL, and a mirror with sample months.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{FIRST_MONTH, YEAR};
use crate::cli::target;
use crate::config::Settings;
use crate::sample::month::TaxiColour;

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
const TRIPS_PER_DAY: &str = include_str!("../../../sql/postgres/trips_per_day.sql");

/// The schema of the tables of the demo: tables of real months have the same names in `public`.
pub(super) const SCHEMA: &str = "jitney_demo";
/// The namespace of its flows, so that its executions are not confused with those of real months.
const NAMESPACE: &str = "demo";

/// The folder of the flows that load into the tables of the demo.
const SAMPLE: &str = "sample";

/// The unpacked folder.
pub(super) struct DemoFolder {
    folder: PathBuf,
    /// The folder that is served, with the layout of the published files.
    pub(super) mirror: PathBuf,
}

impl DemoFolder {
    /// Writes the files, and overwrites those of an earlier demo.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn unpack(folder: &Path) -> io::Result<Self> {
        for (name, text) in FILES {
            write(&folder.join(name), text)?;
            write(&folder.join(SAMPLE).join(name), &for_demo_tables(name, text))?;
        }
        Ok(Self { folder: folder.to_owned(), mirror: folder.join("mirror") })
    }

    /// A flow's file, as it is shipped.
    pub(super) fn flow(&self, name: &str) -> PathBuf {
        self.folder.join("flows").join(name)
    }

    /// The same flow for the demo's own tables.
    pub(super) fn sample_flow(&self, name: &str) -> PathBuf {
        self.folder.join(SAMPLE).join("flows").join(name)
    }

    /// The query behind the chart, over the demo's own tables.
    pub(super) fn trips_per_day() -> String {
        in_schema(TRIPS_PER_DAY)
    }

    /// Where a month's file goes; its folder exists.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn month(&self, colour: TaxiColour) -> io::Result<PathBuf> {
        self.place(colour.as_str(), &colour.file_name(YEAR, FIRST_MONTH))
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

    /// What to try next, with the server that the demo used; `uses_other_server` if flows use another one by
    /// default.
    pub(super) fn next_steps(&self, settings: &Settings, uses_other_server: bool) -> String {
        let flags = target::postgres_flag(settings);
        let psql = target::address(settings).map_or("jitney postgres psql --".to_owned(), |at| format!("psql {at}"));
        let into = if uses_other_server { ", into the server that the environment names" } else { "" };
        format!(
            "
Next:
  jitney executions                    what has run
  {psql} -c '\\dt {SCHEMA}.*'
                                       the tables, in a schema of their own
  jitney run {}{flags} -i taxi=green -i year=2019 -i month=01
                                       a real month, from the published files{into}
  jitney server{flags} --flows {} --open
                                       all of this in the browser
",
            self.flow("postgres_taxi.yaml").display(),
            self.folder.join(SAMPLE).join("flows").display()
        )
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}

/// A shipped file, changed to use the tables of the demo.
fn for_demo_tables(name: &str, text: &str) -> String {
    let text = in_schema(text);
    match name {
        sql if sql.starts_with("sql/postgres/") && text.contains("CREATE TABLE") => {
            format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA};\n{text}")
        }
        _ => text.replacen("\nnamespace: zoomcamp\n", &format!("\nnamespace: {NAMESPACE}\n"), 1),
    }
}

fn in_schema(text: &str) -> String {
    text.replace("public.", &format!("{SCHEMA}."))
}
