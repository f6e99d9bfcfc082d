//! The patterns of `outputFiles` and `namespaceFiles`: `*.csv`, `**/part-?.{csv,gz}`.

use regex::Regex;

use crate::task::TaskError;

/// A pattern for paths below a folder. `*` and `?` stay within a name, `**` crosses folders, `{a,b}` and `[a-z]` choose.
///
/// # Errors
/// When a bracket or brace is not closed.
pub(in crate::tasks) fn pattern(glob: &str) -> Result<Regex, TaskError> {
    let invalid = || TaskError::permanent(format!("`{glob}` is not a valid file pattern"));
    Regex::new(&translate(glob)).map_err(|_| invalid().help("write for example *.csv, **/*.csv or part-{a,b}.csv"))
}

fn translate(glob: &str) -> String {
    let (mut regex, mut rest, mut braces) = (String::from("^"), glob, 0);
    while let Some(letter) = rest.chars().next() {
        let (used, part) = match letter {
            // No folder at all is some folders too.
            '*' if rest.starts_with("**/") => (3, "(?:.*/)?".to_owned()),
            '*' if rest.starts_with("**") => (2, ".*".to_owned()),
            '*' => (1, "[^/]*".to_owned()),
            '?' => (1, "[^/]".to_owned()),
            '{' => (1, "(?:".to_owned()),
            '}' if braces > 0 => (1, ")".to_owned()),
            ',' if braces > 0 => (1, "|".to_owned()),
            '[' => class(rest),
            other => (other.len_utf8(), regex::escape(&other.to_string())),
        };
        braces += i32::from(letter == '{') - i32::from(letter == '}' && braces > 0);
        regex += &part;
        rest = &rest[used..];
    }
    regex + "$"
}

/// `[a-z]` or `[!a-z]`; a bracket that is not closed stands for itself and fails as a pattern.
fn class(rest: &str) -> (usize, String) {
    let Some(end) = rest.find(']') else { return (1, "[".to_owned()) };
    let (not, inside) = match &rest[1..end] {
        inside if inside.starts_with('!') => ("^", &inside[1..]),
        inside => ("", inside),
    };
    let inside: String = inside
        .chars()
        .map(|letter| if letter == '-' { "-".into() } else { regex::escape(&letter.to_string()) })
        .collect();
    (end + 1, format!("[{not}{inside}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_look_like() {
        for (glob, path, matches) in [
            ("x.csv", "x.csv", true),
            ("x.csv", "xacsv", false),
            ("*.csv", "a.csv", true),
            ("*.csv", "sub/a.csv", false),
            ("**/*.csv", "a.csv", true),
            ("**/*.csv", "sub/deep/a.csv", true),
            ("**", "sub/a", true),
            ("sub/*", "sub/a", true),
            ("part-?.csv", "part-1.csv", true),
            ("part-?.csv", "part-12.csv", false),
            ("*.{csv,gz}", "a.gz", true),
            ("*.{csv,gz}", "a.zip", false),
            ("[a-c].csv", "b.csv", true),
            ("[!a-c].csv", "b.csv", false),
            ("a,b}.csv", "a,b}.csv", true),
            ("é (1).csv", "é (1).csv", true),
        ] {
            assert_eq!(pattern(glob).unwrap().is_match(path), matches, "{glob} on {path}");
        }
    }

    #[test]
    fn an_open_bracket_is_refused() {
        for glob in ["[a", "{a,b", "[z-a]"] {
            assert!(pattern(glob).is_err(), "{glob} was accepted");
        }
    }
}
