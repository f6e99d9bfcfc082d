//! Where Google's services are: at Google, at an emulator, or behind a private address.

use crate::config::Settings;

/// A service that tasks speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Cloud Storage.
    Storage,
    /// BigQuery.
    BigQuery,
}

impl Service {
    /// The service's name at Google, as `gcloud services enable` takes it.
    pub fn api(self) -> &'static str {
        match self {
            Self::Storage => "storage.googleapis.com",
            Self::BigQuery => "bigquery.googleapis.com",
        }
    }

    /// The address of the emulator that the environment names.
    pub fn emulator(self, settings: &Settings) -> Option<String> {
        let host = settings.variable(match self {
            Self::Storage => "STORAGE_EMULATOR_HOST",
            Self::BigQuery => "BIGQUERY_EMULATOR_HOST",
        })?;
        let scheme = if host.contains("://") { "" } else { "http://" };
        Some(format!("{scheme}{}", host.trim_end_matches('/')))
    }

    /// The address to which paths such as `/storage/v1/b` are added: an emulator's, else the one that gcloud's own
    /// variable for private endpoints names, else Google's.
    pub fn endpoint(self, settings: &Settings) -> String {
        let private = settings.variable(match self {
            Self::Storage => "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE",
            Self::BigQuery => "CLOUDSDK_API_ENDPOINT_OVERRIDES_BIGQUERY",
        });
        self.emulator(settings).or_else(|| private.and_then(root)).unwrap_or_else(|| format!("https://{}", self.api()))
    }
}

/// gcloud's variables hold a path too, such as `https://host/bigquery/v2/`; tasks add their own.
fn root(address: &str) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    Some(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CliOverrides;

    #[test]
    fn an_emulator_wins_over_a_private_address_and_that_over_google() {
        let endpoint = |pairs: &[(&str, &str)]| {
            let environment = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let overrides = CliOverrides { home: Some("/h".into()), postgres: None };
            Service::Storage.endpoint(&Settings::from_environment(overrides, environment).unwrap())
        };
        let private = ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", "https://private.example/storage/v1/");
        assert_eq!(endpoint(&[]), "https://storage.googleapis.com");
        assert_eq!(endpoint(&[private]), "https://private.example");
        assert_eq!(endpoint(&[private, ("STORAGE_EMULATOR_HOST", "localhost:4443")]), "http://localhost:4443");
    }
}
