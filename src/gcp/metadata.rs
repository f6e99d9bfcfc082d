//! The metadata server that answers on machines of Google's: who a program there is, without any key.

use std::time::Duration;

use crate::config::Settings;
use crate::web::client;

/// On such a machine the server answers within milliseconds; elsewhere nobody does.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// A metadata server that answered.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Its address.
    pub(super) endpoint: String,
    /// The machine's project.
    pub(super) project: String,
    /// The e-mail address of the machine's service account.
    pub(super) account: Option<String>,
}

/// Asks the metadata server, if this machine has one.
pub(super) async fn find(settings: &Settings) -> Option<Metadata> {
    let host = settings.variable("GCE_METADATA_HOST").unwrap_or("metadata.google.internal");
    let endpoint = format!("http://{host}");
    let project = read(&endpoint, "project/project-id").await?;
    let account = read(&endpoint, "instance/service-accounts/default/email").await;
    Some(Metadata { endpoint, project, account })
}

async fn read(endpoint: &str, what: &str) -> Option<String> {
    let request = client::client(METADATA_TIMEOUT).ok()?.get(format!("{endpoint}/computeMetadata/v1/{what}"));
    let answer = request.header("Metadata-Flavor", "Google").timeout(METADATA_TIMEOUT).send().await.ok()?;
    // Only the real server says so; a captive portal would answer too.
    let real = answer.status().is_success() && answer.headers().contains_key("metadata-flavor");
    if real { answer.text().await.ok().map(|text| text.trim().to_owned()) } else { None }
}
