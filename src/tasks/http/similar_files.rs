//! The other files in the folder of a missing file whose names differ from it in their digits only.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, Url, header::HeaderMap};

use crate::web::follow;

/// A look at a listing is a courtesy: it must not cost more than this.
const LISTING_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_LISTING_BYTES: usize = 256 << 10;

/// A help line that names the nearest files of the same kind next to `url`, if the server lists that folder.
pub(super) async fn on_server(client: &Client, url: &Url, headers: &HeaderMap) -> Option<String> {
    let missing = url.path_segments()?.next_back()?.to_owned();
    let mut folder = url.join(".").ok()?;
    folder.set_query(None);
    let listing = tokio::time::timeout(LISTING_TIMEOUT, listing(client, folder, headers)).await.ok()??;
    help_line("the server", nearest(&missing, names(&listing)))
}

/// The same for a file of this machine.
pub(super) fn in_folder(path: &Path) -> Option<String> {
    let missing = path.file_name()?.to_str()?;
    let entries = path.parent()?.read_dir().ok()?;
    let names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    help_line("the folder", nearest(missing, names.iter().map(String::as_str)))
}

async fn listing(client: &Client, folder: Url, headers: &HeaderMap) -> Option<String> {
    let request = client.get(folder).headers(headers.clone());
    let mut response = follow::send("looking for a listing", request).await.ok()?.error_for_status().ok()?;
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        bytes.extend(piece.iter().take(MAX_LISTING_BYTES - bytes.len()));
        if bytes.len() == MAX_LISTING_BYTES {
            break;
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whatever looks like a file name, in HTML, JSON or plain text alike.
fn names(listing: &str) -> impl Iterator<Item = &str> {
    listing.split(|c: char| !(c.is_alphanumeric() || "._-%+".contains(c)))
}

/// Up to two names before and two after the wanted one.
fn nearest<'a>(missing: &'a str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let pattern = pattern(missing);
    let similar: BTreeSet<&str> = names.filter(|name| *name != missing && self::pattern(name) == pattern).collect();
    let mut nearest: Vec<&str> = similar.range(..missing).rev().take(2).copied().collect();
    nearest.reverse();
    nearest.extend(similar.range(missing..).take(2));
    nearest
}

/// A name with every digit alike.
fn pattern(name: &str) -> String {
    name.replace(|c: char| c.is_ascii_digit(), "0")
}

fn help_line(place: &str, names: Vec<&str>) -> Option<String> {
    let (last, earlier) = names.split_last()?;
    let list = if earlier.is_empty() { (*last).to_owned() } else { format!("{} and {last}", earlier.join(", ")) };
    Some(format!("{place} has {list}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = "green_tripdata_2020-04.csv.gz";

    #[test]
    fn nearest_months_are_found_in_any_listing() {
        let months = [1, 2, 3, 5, 6, 7].map(|month| format!("green_tripdata_2020-{month:02}.csv.gz"));
        let html: String = months.iter().map(|name| format!("<li><a href=\"{name}\">{name}</a>\n")).collect();
        let json = format!("{{\"files\":{months:?}}} yellow_tripdata_2020-04.csv.gz green_tripdata_2020-04.csv");
        for listing in [html, json, months.join("\n")] {
            assert_eq!(
                nearest(MISSING, names(&listing)),
                [&months[1], &months[2], &months[3], &months[4]],
                "{listing}"
            );
        }
        let hint = help_line("the server", nearest(MISSING, names(&months[2..4].join(" "))));
        assert_eq!(
            hint.as_deref(),
            Some("the server has green_tripdata_2020-03.csv.gz and green_tripdata_2020-05.csv.gz")
        );
        assert_eq!(help_line("the server", nearest(MISSING, names("<p>nothing here"))), None);
    }

    #[test]
    fn a_folder_is_listed_too() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m-03.csv"), "").unwrap();
        assert_eq!(in_folder(&folder.path().join("m-04.csv")).as_deref(), Some("the folder has m-03.csv"));
        assert_eq!(in_folder(&folder.path().join("none/m-04.csv")), None);
    }
}
