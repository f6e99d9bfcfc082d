//! Credentials as JSON: a service account's key, or what `gcloud auth application-default login` leaves.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::file_access::FileAccess;
use crate::secret::Redactor;
use crate::task::{DENIED, TaskError};

/// What to do when there are no credentials.
pub(super) const LOGIN: &str = "`gcloud auth application-default login`, or name a service account's key in the \
     field `serviceAccount` or in GOOGLE_APPLICATION_CREDENTIALS=/path/key.json";

/// Credentials that were found, and where.
#[derive(Debug)]
pub(super) struct CredentialsFile {
    pub(super) json: Value,
    /// In the words of a sentence: `GOOGLE_APPLICATION_CREDENTIALS (/path/key.json)`.
    pub(super) from: String,
}

impl CredentialsFile {
    /// What a task's `serviceAccount` gives: JSON, the path of a file with it, or its base64 form.
    pub(super) fn from_field(text: &str, files: &FileAccess, redactor: &Redactor) -> Result<Self, TaskError> {
        let (text, from) = (text.trim(), "the field `serviceAccount`".to_owned());
        if text.starts_with('{') {
            return Self::parse(text, from, redactor);
        }
        let compact: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
        let decoded = STANDARD.decode(&compact).or_else(|_| URL_SAFE.decode(&compact)).ok();
        let path = files.path(text);
        match decoded.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|json| json.trim_start().starts_with('{'))
        {
            Some(json) => {
                redactor.learn(&compact);
                Self::parse(&json, from, redactor)
            }
            None if Self::is_there(text, &path, files)? => {
                let file = files.open(text, &path).map_err(|finding| denied(files, *finding))?;
                Self::read(file, format!("{from} ({})", path.display()), redactor)
            }
            // The text may be half a key: only what is surely a path is quoted.
            None if text.ends_with(".json") => {
                Err(TaskError::permanent(format!("there is no file `{text}`, which {from} names"))
                    .help(format!("looked at {}; relative paths are relative to the flow's folder", path.display())))
            }
            None => Err(TaskError::permanent(format!(
                "{from} holds neither JSON, nor its base64 form, nor the path of a file"
            ))
            .help(
                "give the whole key as `gcloud iam service-accounts keys create key.json --iam-account=…` writes it",
            )),
        }
    }

    /// Whether the text names a file that may be read.
    fn is_there(text: &str, path: &Path, files: &FileAccess) -> Result<bool, TaskError> {
        if text.len() >= 4096 {
            return Ok(false);
        }
        files.check(text, path).map_err(|finding| denied(files, *finding))?;
        Ok(path.is_file())
    }

    /// The credentials that the environment names: a file, else the one that gcloud keeps.
    pub(super) fn from_environment(settings: &Settings) -> Result<Option<Self>, TaskError> {
        if let Some(file) = settings.variable("GOOGLE_APPLICATION_CREDENTIALS") {
            let from = format!("GOOGLE_APPLICATION_CREDENTIALS ({file})");
            return Self::read(File::open(file), from, &settings.redactor).map(Some);
        }
        let kept = kept_by_gcloud(settings).filter(|file| file.is_file());
        kept.map(|file| Self::read(File::open(&file), format!("gcloud ({})", file.display()), &settings.redactor))
            .transpose()
    }

    fn read(file: io::Result<File>, from: String, redactor: &Redactor) -> Result<Self, TaskError> {
        let text = file.and_then(io::read_to_string).map_err(|error| {
            TaskError::permanent(format!("cannot read the credentials from {from}")).caused_by(error).help(LOGIN)
        })?;
        Self::parse(&text, from, redactor)
    }

    fn parse(text: &str, from: String, redactor: &Redactor) -> Result<Self, TaskError> {
        let wrong = |what: String| {
            TaskError::permanent(format!("the credentials from {from} {what}"))
                .help("create a new key: gcloud iam service-accounts keys create key.json --iam-account=…")
        };
        // serde's message could quote the key.
        let json: Value = serde_json::from_str(text)
            .map_err(|error| wrong(format!("are not JSON (line {}, column {})", error.line(), error.column())))?;
        // Its secret members are known with it.
        redactor.learn(text);
        match json["type"].as_str() {
            Some(_) => Ok(Self { json, from }),
            None => Err(wrong("have no `type`, so they are not a Google key".into())),
        }
    }

    /// `service_account`, `authorized_user` …
    pub(super) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }

    /// A text of the key.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.json[name].as_str().filter(|text| !text.is_empty())
    }
}

fn denied(files: &FileAccess, finding: Diagnostic) -> TaskError {
    TaskError::from(files.in_field("service_account", finding)).code(DENIED)
}

/// Where gcloud keeps what `gcloud auth application-default login` gave it.
fn kept_by_gcloud(settings: &Settings) -> Option<PathBuf> {
    let folder = settings.variable("CLOUDSDK_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(settings.variable("HOME")?).join(".config/gcloud")))?;
    Some(folder.join("application_default_credentials.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"type": "service_account", "project_id": "p", "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----\n"}"#;

    #[test]
    fn a_key_is_json_or_a_path_or_base64_and_its_secret_is_known() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.json"), KEY).unwrap();
        for text in [KEY.to_owned(), "key.json".to_owned(), STANDARD.encode(KEY)] {
            let redactor = Redactor::default();
            let key = CredentialsFile::from_field(&text, &FileAccess::unrestricted(folder.path()), &redactor).unwrap();
            assert_eq!((key.kind(), key.text("project_id")), ("service_account", Some("p")), "{text}");
            assert_eq!(redactor.clean("x MIIEvQIBADANBgkqhkiG9w0 y"), "x *** y", "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let refuse = |text: &str| {
            CredentialsFile::from_field(text, &FileAccess::unrestricted("/nowhere"), &Redactor::default())
                .unwrap_err()
                .message
        };
        assert!(refuse("key.json").contains("there is no file `key.json`"));
        assert!(refuse("{\"private_key\": \"abc").contains("are not JSON (line 1, column 20)"));
        assert!(refuse("{}").contains("have no `type`"));
        assert!(!refuse("hunter22!").contains("hunter22"));
    }
}
