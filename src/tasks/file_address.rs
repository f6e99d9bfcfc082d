//! What tells a file from others of the same name and content, in every execution.

use std::path::Path;

use crate::task::TaskContext;

/// What an address begins with that names a file in storage by its task run and name alone.
const STORED: &str = "jitney:///*/";

/// Where a file is, or comes from.
#[derive(Clone)]
pub(super) struct FileAddress {
    /// The whole address:
    ///
    /// - for a file that was downloaded, also if it was unpacked or transformed since: where it comes from, without
    ///   login and with a checksum in the place of a query;
    /// - for another file in storage, such as one that a script made or somebody sent: the task run or input, and its
    ///   name;
    /// - for any other file: its absolute path.
    pub(super) whole: String,
    /// The same, but the path of a file below the flow's folder as it is from there: what people read, and what
    /// earlier versions noted as the address.
    pub(super) short: String,
}

/// An address in a ledger, and the load that noted it.
pub(super) struct NotedAddress<'a> {
    pub(super) address: &'a str,
    /// Whether a flow of the same id did the load.
    pub(super) is_of_this_flow: bool,
    /// Whether this execution did it.
    pub(super) is_of_this_execution: bool,
}

/// Whether two addresses are those of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sameness {
    /// They are.
    Same,
    /// They are not.
    Other,
    /// The addresses do not tell.
    Unknown,
}

impl FileAddress {
    /// That of a file which a task reads.
    pub(super) fn of(context: &TaskContext, path: &Path) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = real(context.files.folder());
        if !context.storage.holds(path) {
            return Self::of_file(&real(&context.place_of(path)), &folder);
        }
        match context.storage.origin(path) {
            None => Self::plain(format!("{STORED}{}", context.storage.within(path).unwrap_or_default())),
            Some(origin) if origin.contains("://") => Self::plain(origin),
            // Earlier versions noted the path from the folder.
            Some(origin) => Self::of_file(&folder.join(origin), &folder),
        }
    }

    /// One that has no shorter form.
    pub(super) fn plain(address: String) -> Self {
        Self { short: address.clone(), whole: address }
    }

    fn of_file(path: &Path, folder: &Path) -> Self {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Self { whole: text(path), short: text(path.strip_prefix(folder).unwrap_or(path)) }
    }

    /// Whether the file is that of a load. Of two files of one execution none is the other. Nobody can tell where one
    /// file has been given by two kinds of address, by queries that may hold a new token each time, or by paths of
    /// which the earlier one leads nowhere now, so that the flow with its files may have been moved.
    pub(super) fn sameness(&self, noted: &NotedAddress<'_>) -> Sameness {
        let (now, then) = (self.whole.as_str(), noted.address);
        let place = |address: &str| address.split('?').next().unwrap_or_default().to_owned();
        let name = |address: &str| place(address).rsplit('/').next().unwrap_or_default().to_owned();
        // The first version knew a file in storage by its name alone.
        let is_vague = |address: &str| address.starts_with(STORED) || !address.contains('/');
        let is_unknown = is_vague(now) || is_vague(then) || place(now) == place(then) || self.may_have_been(noted);
        match () {
            () if now == then || (self.short == then && noted.is_of_this_flow) => Sameness::Same,
            () if noted.is_of_this_execution || name(now) != name(then) => Sameness::Other,
            () if is_unknown => Sameness::Unknown,
            () => Sameness::Other,
        }
    }

    /// Whether the path of a load may be an earlier one of this file, or one from another folder.
    fn may_have_been(&self, noted: &NotedAddress<'_>) -> bool {
        let ends_with = |address: &str, end: &str| address.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'));
        let (then, is_below) = (Path::new(noted.address), self.short != self.whole);
        match then.is_absolute() {
            true => noted.is_of_this_flow && is_below && ends_with(noted.address, &self.short) && !then.exists(),
            false => ends_with(&self.whole, noted.address),
        }
    }
}

/// The address of the file of a load in a ledger. Loads of earlier versions that replaced a partition have noted its value
/// alone; their file is known by its name.
pub(super) fn noted_address(address: Option<String>, partition: String, source: String, now: &FileAddress) -> String {
    let is_address = partition.contains('/') || partition == now.short || partition == source;
    address.unwrap_or(if is_address { partition } else { source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Sameness::{Other, Same, Unknown};

    fn noted(address: &str, is_of_this_flow: bool, is_of_this_execution: bool) -> NotedAddress<'_> {
        NotedAddress { address, is_of_this_flow, is_of_this_execution }
    }

    #[test]
    fn addresses_tell_one_file_from_another_or_say_that_they_do_not() {
        for (now, then, is_of_this_execution, expected) in [
            ("/f/north/data.csv", "/f/north/data.csv", false, Same),
            ("/f/north/data.csv", "/f/south/data.csv", false, Other),
            ("https://a/data.csv", "https://a/data.csv", false, Same),
            ("https://a/s1/data.csv", "https://a/s2/data.csv", false, Other),
            ("https://a/data.csv?1", "https://a/data.csv?2", false, Unknown),
            ("https://a/data.csv?1", "https://a/data.csv?2", true, Other),
            ("jitney:///*/each[1].get/data.csv", "jitney:///*/each[0].get/data.csv", false, Unknown),
            ("jitney:///*/each[1].get/data.csv", "jitney:///*/each[0].get/data.csv", true, Other),
            ("jitney:///*/inputs[file]/a.csv", "jitney:///*/inputs[file]/b.csv", false, Other),
            ("https://a/data.csv", "data.csv", false, Unknown),
        ] {
            let sameness = FileAddress::plain(now.to_owned()).sameness(&noted(then, true, is_of_this_execution));
            assert_eq!(sameness, expected, "{now} {then}");
        }
    }

    #[test]
    fn a_path_from_the_flows_folder_is_that_of_the_flow_that_noted_it() {
        let now = FileAddress::of_file(Path::new("/x/q/months/a.csv"), Path::new("/x/q"));
        assert_eq!(now.short, "months/a.csv");
        for (then, is_of_this_flow, expected) in [
            ("months/a.csv", true, Same),
            ("months/a.csv", false, Unknown),
            ("q/months/a.csv", false, Unknown),
            ("a.csv", true, Unknown),
            ("years/a.csv", true, Other),
            ("onths/a.csv", false, Other),
        ] {
            assert_eq!(now.sameness(&noted(then, is_of_this_flow, false)), expected, "{then}");
        }
    }

    #[test]
    fn a_file_may_have_been_moved_with_its_flow_if_its_earlier_path_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("months/a.csv");
        let now = FileAddress::of_file(Path::new("/x/q/months/a.csv"), Path::new("/x/q"));
        let sameness = |is_of_this_flow| now.sameness(&noted(there.to_str().unwrap(), is_of_this_flow, false));
        assert_eq!([true, false].map(sameness), [Unknown, Other]);
        std::fs::create_dir(folder.path().join("months")).unwrap();
        std::fs::write(&there, "").unwrap();
        assert_eq!(sameness(true), Other);
    }

    #[test]
    fn a_partitions_value_is_no_address() {
        let now = FileAddress::of_file(Path::new("/f/raw/a.csv"), Path::new("/f"));
        let address = |address: Option<&str>, partition: &str| {
            noted_address(address.map(str::to_owned), partition.to_owned(), "a.csv".to_owned(), &now)
        };
        assert_eq!(address(Some("/f/raw/a.csv"), "2019-01"), "/f/raw/a.csv");
        assert_eq!(address(None, "old/a.csv"), "old/a.csv");
        assert_eq!(address(None, "raw/a.csv"), "raw/a.csv");
        assert_eq!(now.sameness(&noted(&address(None, "2019-01"), true, false)), Unknown);
    }
}
