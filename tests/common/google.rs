//! Emulators of Cloud Storage and BigQuery for all test programs, left running between them.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failure here is the failure of a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The variables that lead to the emulators: `STORAGE_EMULATOR_HOST`, `BIGQUERY_EMULATOR_HOST` and
/// `GOOGLE_CLOUD_PROJECT`. None where they cannot be set up; with `JITNEY_TEST_STRICT=1` that fails the test, else the
/// test has to return, and stderr says that it did.
pub fn emulators() -> Option<&'static BTreeMap<String, String>> {
    static FOUND: OnceLock<Result<BTreeMap<String, String>, String>> = OnceLock::new();
    match FOUND.get_or_init(start) {
        Ok(variables) => Some(variables),
        Err(problem) => {
            super::skip(problem);
            None
        }
    }
}

/// The folder that the emulators run in; `tests/emulators/run stop` takes it.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulators")
}

/// A service account's key that nobody has ever used.
pub fn key(folder: &Path) -> String {
    let pem = folder.join("key.pem");
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
        .arg(&pem)
        .output();
    assert!(made.expect("`openssl` is needed for this test").status.success());
    serde_json::json!({
        "type": "service_account", "project_id": "key-project", "private_key_id": "0123456789abcdef",
        "private_key": std::fs::read_to_string(pem).unwrap(), "client_email": "load@key-project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn start() -> Result<BTreeMap<String, String>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulators/run");
    let output = Command::new(&script).arg("start").arg(folder()).output();
    let output = output.map_err(|error| format!("cannot run {}: {error}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect())
}
