//! Where `secret()` finds its values.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::config::Settings;

/// Names a folder with one file for each secret.
const FOLDER: &str = "JITNEY_SECRETS_DIR";
/// What the names of our own settings begin with.
const OWN: &str = "JITNEY_";
/// Where Docker puts secrets.
const DOCKER: &str = "/run/secrets";
/// What Kestra's variables of secrets begin with; their values are base64.
const ENCODED: &str = "SECRET_";

/// The value of a secret. The first of these that has it gives it: the environment, `.env` in the flow's folder, `.env` in
/// the current folder, the folder of secrets.
///
/// # Errors
/// When there is none, or one that cannot be read.
pub(super) fn find(settings: &Settings, flows: &Path, name: &str) -> Result<String, String> {
    found(settings, flows, name).map(|(value, _)| value)
}

/// Where a secret's value is found.
///
/// # Errors
/// When there is none, or one that cannot be read.
pub fn source_of(settings: &Settings, flows: &Path, name: &str) -> Result<String, String> {
    found(settings, flows, name).map(|(_, source)| source)
}

/// The names of the secrets that are there whether or not a flow asks for them: the variables that begin with `SECRET_`, the
/// entries of the `.env` files, and the files in the folder of secrets.
pub fn available(settings: &Settings, flows: &Path) -> Vec<String> {
    let mut names: Vec<String> = settings.variables(ENCODED).map(|(name, _)| name.to_owned()).collect();
    let in_dotenv = dotenv_files(flows).into_iter().flat_map(|file| entries(&file).unwrap_or_default());
    names.extend(in_dotenv.map(|(name, _)| name.strip_prefix(ENCODED).unwrap_or(&name).to_owned()));
    let in_folder = secrets_folder(settings).read_dir().into_iter().flatten().flatten();
    names.extend(in_folder.filter_map(|file| file.file_name().into_string().ok()));
    names.retain(|name| check_name(name).is_ok());
    names.sort();
    names.dedup();
    names
}

fn check_name(name: &str) -> Result<(), String> {
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    if name.is_empty() || name.starts_with('.') || !is_name {
        return Err(format!("`{name}` is not a valid secret name: use letters, digits, `_`, `-` and `.`"));
    }
    if name.to_ascii_uppercase().starts_with(OWN) {
        return Err(format!("`{name}` is a setting of jitney itself, which flows may not read; rename the secret"));
    }
    Ok(())
}

fn secrets_folder(settings: &Settings) -> PathBuf {
    PathBuf::from(settings.variable(FOLDER).unwrap_or(DOCKER))
}

/// The value of a secret and where it was found.
fn found(settings: &Settings, flows: &Path, name: &str) -> Result<(String, String), String> {
    check_name(name)?;
    let encoded = [format!("{ENCODED}{name}"), format!("{ENCODED}{}", name.to_uppercase()), name.to_owned()];
    if let Some(name) = encoded.iter().find(|name| settings.is_unreadable(name)) {
        return Err(format!("the environment variable `{name}` is not UTF-8 text"));
    }
    let variables = |name: &str| settings.variable(name).map(str::to_owned);
    if let Some(value) = named(name, "the environment", variables)? {
        return Ok((value, "the environment".to_owned()));
    }
    let mut looked = vec![format!("the variables `{ENCODED}{}` (in base64) and `{name}`", name.to_uppercase())];
    for file in dotenv_files(flows) {
        let entries = entries(&file)?;
        let entry = |name: &str| entries.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let place = file.display().to_string();
        if let Some(value) = named(name, &place, entry)? {
            return Ok((value, place));
        }
        looked.push(format!("{place}{}", if file.exists() { "" } else { " (no such file)" }));
    }
    let folder = secrets_folder(settings);
    if let Some(value) = in_folder(&folder, name)? {
        return Ok((value, folder.display().to_string()));
    }
    let missing = if folder.is_dir() { "" } else { " (no such folder)" };
    Err(format!(
        "there is no secret `{name}`; searched {} and the folder {}{missing}",
        looked.join(", "),
        folder.display()
    ))
}

/// The names that a flow's text asks `secret()` for.
pub fn named_in(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text.split("secret").skip(1).filter_map(argument).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The quoted text that follows a `(`.
fn argument(rest: &str) -> Option<&str> {
    let rest = rest.trim_start().strip_prefix('(')?.trim_start().trim_start_matches('\\');
    let quoted = rest.strip_prefix(['\'', '"'])?;
    quoted.find(['\'', '"', '\\']).map(|end| &quoted[..end])
}

/// A value under Kestra's name for it, in base64, or under its own.
fn named(name: &str, place: &str, get: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    for encoded in [format!("{ENCODED}{name}"), format!("{ENCODED}{}", name.to_uppercase())] {
        if let Some(value) = get(&encoded) {
            return decoded(&value).map(Some).ok_or_else(|| {
                format!("`{encoded}` in {place} is not valid base64; encode it, or rename it to `{name}` and store it in plain text")
            });
        }
    }
    Ok(get(name))
}

/// Encoded by hand, most values end with a line end that nobody means.
fn decoded(value: &str) -> Option<String> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let dense: String = value.split_whitespace().collect();
    let bytes = GeneralPurpose::new(&STANDARD, lenient).decode(dense).ok()?;
    Some(without_end(String::from_utf8(bytes).ok()?))
}

fn without_end(mut text: String) -> String {
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    text
}

fn dotenv_files(flows: &Path) -> Vec<PathBuf> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut files = vec![absolute(&flows.join(".env")), absolute(Path::new(".env"))];
    files.dedup();
    files
}

/// The entries of a `.env` file; none when there is no such file.
fn entries(file: &Path) -> Result<Vec<(String, String)>, String> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| format!("cannot read {}: {error}", file.display()))?,
    };
    dotenvy::from_read_iter(Cursor::new(&text)).collect::<Result<_, _>>().map_err(|error| match error {
        // The line itself may hold a secret: it is not shown.
        dotenvy::Error::LineParse(line, at) => {
            let number = text.lines().position(|other| other.trim() == line.trim()).map_or(0, |index| index + 1);
            format!("{}:{number}:{}: this line is not of the form NAME=VALUE", file.display(), at + 1)
        }
        _ => format!("cannot read {}", file.display()),
    })
}

fn in_folder(folder: &Path, name: &str) -> Result<Option<String>, String> {
    for name in [name.to_owned(), name.to_lowercase()] {
        let file = folder.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => return Ok(Some(without_end(text))),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory) => {}
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CliOverrides;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let overrides = CliOverrides { home: Some("/nowhere".into()), ..CliOverrides::default() };
        Settings::from_environment(overrides, variables.collect()).unwrap()
    }

    #[test]
    fn each_place_gives_way_to_the_one_before() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("secrets");
        std::fs::create_dir(&folder).unwrap();
        let directory = (FOLDER, folder.to_str().unwrap());
        let find = |variables: &[(&str, &str)]| {
            let settings = settings(&[variables, &[directory]].concat());
            super::find(&settings, place.path(), "Api_Key")
        };
        assert!(find(&[]).is_err());
        std::fs::write(folder.join("api_key"), "in a file\n").unwrap();
        assert_eq!(find(&[]).unwrap(), "in a file");
        std::fs::write(place.path().join(".env"), "# note\nOTHER=x\nexport Api_Key='in dotenv'\n").unwrap();
        assert_eq!(find(&[]).unwrap(), "in dotenv");
        assert_eq!(find(&[("Api_Key", "in a variable")]).unwrap(), "in a variable");
        let both = [("Api_Key", "in a variable"), ("SECRET_API_KEY", "aW4gYmFzZTY0Cg==")];
        assert_eq!(find(&both).unwrap(), "in base64");
    }

    #[test]
    fn what_cannot_be_read_is_named_without_its_value() {
        let place = tempfile::tempdir().unwrap();
        let find =
            |variables: &[(&str, &str)], name: &str| super::find(&settings(variables), place.path(), name).unwrap_err();
        let error = find(&[("SECRET_TOKEN", "hunter2!")], "TOKEN");
        assert!(error.contains("`SECRET_TOKEN` in the environment") && !error.contains("hunter2"), "{error}");
        assert!(find(&[], "../../etc/passwd").contains("is not a valid secret name"));
        let error = find(&[], "TOKEN");
        for place in ["`SECRET_TOKEN` (in base64) and `TOKEN`", ".env (no such file)", "/run/secrets"] {
            assert!(error.contains(place), "{error}");
        }
        std::fs::write(place.path().join(".env"), "A=b\nTOKEN = hunter2 'x\n").unwrap();
        let error = find(&[], "TOKEN");
        assert!(error.contains(".env:2:") && !error.contains("hunter2"), "{error}");
    }
}
