//! Files that arrive: what a trigger says of them.

use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::duration::DurationSpec;

/// Starts the flow for each file that arrives in a folder or under a `gs://` address, and again when it is replaced.
/// `trigger.uri` is its place, `trigger.name` its name and `trigger.size` its bytes. Files that are there when a server
/// first looks have not arrived, and start nothing; the server's log says how many there are. One of them starts the flow
/// once it is written anew, or `touch` gives it a new time.
///
/// Objects of Cloud Storage are not downloaded; `gcs.download` does that. `trigger.blobs` is a list of the one object.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileArrival {
    /// The folder, or `gs://bucket/folder`. Its last part may be a pattern, as in `incoming/*.csv.gz`. A path without a
    /// root starts at the flow's own folder.
    #[serde(alias = "path")]
    pub from: String,
    /// A regular expression that a file's whole address has to fit.
    #[serde(alias = "regExp")]
    pub reg_exp: Option<String>,
    /// `DIRECTORY` (by default) for what is in the folder, `RECURSIVE` for everything below.
    #[serde(default, alias = "listingType")]
    pub listing_type: ListingDepth,
    /// How often to look: every 10 seconds by default, and every minute into a bucket, where Google counts
    /// each look.
    pub interval: Option<DurationSpec>,
    /// What happens to a file that has arrived: `NONE`. It stays where it is, and has arrived once; a task such as
    /// `gcs.delete` may take it away.
    #[serde(default, deserialize_with = "stays")]
    pub action: Option<ArrivalAction>,
    /// A service account's key: its JSON, the path of a file with it, or its base64 form. By default the Application
    /// Default Credentials.
    #[serde(alias = "serviceAccount")]
    pub service_account: Option<String>,
    /// The e-mail address of a service account to act as.
    #[serde(alias = "impersonatedServiceAccount")]
    pub impersonate: Option<String>,
    /// OAuth scopes. By default all of Google Cloud, within the account's roles.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Has no meaning here, like `location` and `bucket`: defaults for all that is Google's set them.
    #[serde(alias = "projectId")]
    pub project: Option<String>,
    /// Has no meaning here.
    pub location: Option<String>,
    /// Has no meaning here.
    pub bucket: Option<String>,
}

/// How deep to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ListingDepth {
    /// What is in the folder.
    #[default]
    #[serde(alias = "directory")]
    Directory,
    /// Everything below.
    #[serde(alias = "recursive")]
    Recursive,
}

/// What happens to a file that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
pub enum ArrivalAction {
    /// Nothing.
    None,
}

fn stays<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ArrivalAction>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(word) if !word.eq_ignore_ascii_case("NONE") => Err(D::Error::custom(format!(
            "a trigger does not {word}: a file stays where it is, and has arrived once. Write `NONE`, and a task such as \
             `gcs.delete` where it is to go"
        ))),
        word => Ok(word.map(|_| ArrivalAction::None)),
    }
}

impl FileArrival {
    /// Whether it is a bucket that files arrive in.
    pub fn is_bucket(&self) -> bool {
        self.from.starts_with("gs://")
    }

    /// How often to look.
    pub fn interval(&self) -> Duration {
        let usual = Duration::from_secs(if self.is_bucket() { 60 } else { 10 });
        self.interval.map_or(usual, |span| span.0)
    }

    /// The folder, and the pattern of the files' names.
    pub fn place(&self) -> (&str, &str) {
        match self.from.rsplit_once('/') {
            Some((folder, last)) if last.contains(['*', '?']) => (folder, last),
            None if self.from.contains(['*', '?']) => (".", &self.from),
            _ => (self.from.trim_end_matches('/'), "*"),
        }
    }

    /// Whether a file of this name, without folders, is meant.
    pub fn accepts(&self, name: &str) -> bool {
        is_like(self.place().1, name)
    }

    /// The expression that whole addresses have to fit.
    ///
    /// # Errors
    /// When it is none, in plain words.
    pub fn expression(&self) -> Result<Option<Regex>, String> {
        let read = |text: &String| {
            Regex::new(&format!("^(?:{text})$")).map_err(|error| {
                let problem = error.to_string();
                let last = problem.lines().last().unwrap_or_default().trim();
                format!("`{text}` is not a regular expression: {last}")
            })
        };
        self.reg_exp.as_ref().map(read).transpose()
    }
}

/// Whether a name fits a pattern, in which `*` is any text and `?` any letter.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while place < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[place] => (at, place) = (at + 1, place + 1),
            // Let the last star take one letter more.
            _ => match star {
                Some((stars, taken)) => {
                    star = Some((stars, taken + 1));
                    (at, place) = (stars + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::read;
    use serde_json::json;

    fn arrival(from: &str) -> FileArrival {
        read(&json!({"from": from})).unwrap()
    }

    #[test]
    fn patterns_stand_at_the_end_of_a_path() {
        assert_eq!(arrival("in/*.csv.gz").place(), ("in", "*.csv.gz"));
        assert_eq!(arrival("gs://b/in/").place(), ("gs://b/in", "*"));
        assert_eq!(arrival("gs://b").place(), ("gs://b", "*"));
        assert_eq!(arrival("*.csv").place(), (".", "*.csv"));
        let months = arrival("in/green_*_20??-*.csv");
        assert!(months.accepts("green_tripdata_2020-04.csv"));
        assert!(!months.accepts("green_tripdata_2020-04.csv.gz") && !months.accepts("x"));
        assert!(arrival("in").accepts("anything") && arrival("in/**a*").accepts("banana"));
    }

    #[test]
    fn a_bucket_is_looked_into_less_often() {
        assert_eq!(arrival("in").interval(), Duration::from_secs(10));
        assert_eq!(arrival("gs://b/in").interval(), Duration::from_secs(60));
    }
}
