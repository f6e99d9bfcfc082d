//! A synthetic zone table with the published columns.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Boroughs with their service zone and how many of the 265 zones they have.
const BOROUGHS: [(&str, &str, usize); 7] = [
    ("EWR", "EWR", 1),
    ("Bronx", "Boro Zone", 43),
    ("Brooklyn", "Boro Zone", 61),
    ("Manhattan", "Yellow Zone", 69),
    ("Queens", "Boro Zone", 69),
    ("Staten Island", "Boro Zone", 20),
    ("Unknown", "N/A", 2),
];

const FIRST: [&str; 19] = [
    "Alder", "Amber", "Birch", "Canal", "Cedar", "Copper", "Ferry", "Harbor", "Juniper", "Lantern", "Maple", "Mason",
    "Orchard", "Quarry", "Saddler", "Slate", "Tanner", "Willow", "Wright",
];
const SECOND: [&str; 14] = [
    "Bridge", "Common", "Corner", "Cross", "Gate", "Green", "Heights", "Hill", "Landing", "Market", "Park", "Point",
    "Square", "Yards",
];

/// Writes `taxi_zone_lookup.csv` with the zones 1 to 265: real boroughs, invented names.
///
/// # Errors
/// When the file cannot be written.
pub fn write_zones(path: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, r#""LocationID","Borough","Zone","service_zone""#)?;
    let boroughs = BOROUGHS.iter().flat_map(|borough| std::iter::repeat_n(borough, borough.2));
    for (id, ((borough, service, _), name)) in (1..).zip(boroughs.zip(names())) {
        writeln!(out, r#"{id},"{borough}","{name}","{service}""#)?;
    }
    out.flush()
}

/// 266 distinct names, because 19 and 14 have no common divisor.
fn names() -> impl Iterator<Item = String> {
    FIRST.iter().cycle().zip(SECOND.iter().cycle()).map(|(first, second)| format!("{first} {second}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_are_265_zones_with_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zones.csv");
        write_zones(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let names: HashSet<_> = text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
        assert_eq!(names.len(), 265);
        assert!(text.lines().last().unwrap().starts_with("265,\"Unknown\","));
    }
}
