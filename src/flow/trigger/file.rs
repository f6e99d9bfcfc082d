//! Files that arrive: what a trigger says of them.

use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::duration::DurationSpec;

/// Starts the flow for each file that arrives in a folder or under a `gs://` address, and again when it is replaced.
/// `trigger.uri` is its address, `trigger.name` its name and `trigger.size` its size in bytes. Files that exist when a
/// server first checks do not start the flow; the server's log reports how many there are. Such a file starts the flow
/// once it is rewritten or touched.
///
/// Objects of Cloud Storage are not downloaded; `gcs.download` does that. `trigger.blobs` is a list of the one object.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileArrival {
    /// The folder, or `gs://bucket/folder`. Its last part may be a pattern, as in `incoming/*.csv.gz`. A relative path
    /// is relative to the flow's folder.
    #[serde(alias = "path")]
    pub from: String,
    /// A regular expression that must match the whole address of a file.
    #[serde(alias = "regExp")]
    pub reg_exp: Option<String>,
    /// `DIRECTORY` (by default) for the folder itself, `RECURSIVE` to include everything below.
    #[serde(default, alias = "listingType")]
    pub listing_type: ListingDepth,
    /// How often to check: by default every 10 seconds, or every minute for a bucket, where Google charges for each
    /// check.
    pub interval: Option<DurationSpec>,
    /// What happens to a file that has arrived: `NONE`. It stays where it is, and starts the flow once; a task such as
    /// `gcs.delete` may delete it.
    #[serde(default, deserialize_with = "only_none")]
    pub action: Option<ArrivalAction>,
    /// A service account's key: its JSON, the path of a file with it, or its base64 form. By default the Application
    /// Default Credentials.
    #[serde(alias = "serviceAccount")]
    pub service_account: Option<String>,
    /// The e-mail address of a service account to act as.
    #[serde(alias = "impersonatedServiceAccount")]
    pub impersonate: Option<String>,
    /// OAuth scopes. By default all of Google Cloud, within the roles of the account.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Ignored, like `location` and `bucket`, which defaults for all Google tasks may set.
    #[serde(alias = "projectId")]
    pub project: Option<String>,
    /// Ignored.
    pub location: Option<String>,
    /// Ignored.
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

fn only_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ArrivalAction>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(word) if !word.eq_ignore_ascii_case("NONE") => Err(D::Error::custom(format!(
            "a trigger cannot {word} files: a file stays where it is, and starts the flow once. Write `NONE`, and delete \
             the file in a task such as `gcs.delete`"
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
        let default_interval = Duration::from_secs(if self.is_bucket() { 60 } else { 10 });
        self.interval.map_or(default_interval, |span| span.0)
    }

    /// The folder, and the pattern of the files' names.
    pub fn folder_and_pattern(&self) -> (&str, &str) {
        match self.from.rsplit_once('/') {
            Some((folder, name)) if name.contains(['*', '?']) => (folder, name),
            None if self.from.contains(['*', '?']) => (".", &self.from),
            _ => (self.from.trim_end_matches('/'), "*"),
        }
    }

    /// Whether a file of this name, without folders, matches.
    pub fn matches_name(&self, name: &str) -> bool {
        matches_glob(self.folder_and_pattern().1, name)
    }

    /// The expression that whole addresses have to fit.
    ///
    /// # Errors
    /// When it is none, in plain words.
    pub fn expression(&self) -> Result<Option<Regex>, String> {
        let read = |text: &String| {
            Regex::new(&format!("^(?:{text})$")).map_err(|error| {
                let problem = error.to_string();
                let reason = problem.lines().last().unwrap_or_default().trim();
                format!("`{text}` is not a regular expression: {reason}")
            })
        };
        self.reg_exp.as_ref().map(read).transpose()
    }
}

/// Whether a name fits a pattern, in which `*` is any text and `?` any letter.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut pattern_at, mut name_at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while name_at < name.len() {
        match pattern.get(pattern_at) {
            Some('*') => {
                star = Some((pattern_at, name_at));
                pattern_at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[name_at] => {
                (pattern_at, name_at) = (pattern_at + 1, name_at + 1);
            }
            // Let the last star take one letter more.
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (pattern_at, name_at) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[pattern_at..].iter().all(|letter| *letter == '*')
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
        assert_eq!(arrival("in/*.csv.gz").folder_and_pattern(), ("in", "*.csv.gz"));
        assert_eq!(arrival("gs://b/in/").folder_and_pattern(), ("gs://b/in", "*"));
        assert_eq!(arrival("gs://b").folder_and_pattern(), ("gs://b", "*"));
        assert_eq!(arrival("*.csv").folder_and_pattern(), (".", "*.csv"));
        let months = arrival("in/green_*_20??-*.csv");
        assert!(months.matches_name("green_tripdata_2020-04.csv"));
        assert!(!months.matches_name("green_tripdata_2020-04.csv.gz") && !months.matches_name("x"));
        assert!(arrival("in").matches_name("anything") && arrival("in/**a*").matches_name("banana"));
    }

    #[test]
    fn buckets_are_polled_less_often() {
        assert_eq!(arrival("in").interval(), Duration::from_secs(10));
        assert_eq!(arrival("gs://b/in").interval(), Duration::from_secs(60));
    }
}
