//! Who a task is on Google Cloud: Application Default Credentials as Google documents them, or a key of its own.

use google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, anonymous, external_account, impersonated, mds,
    service_account, user_account,
};
use google_cloud_auth::errors::CredentialsError;
use reqwest::header::{AUTHORIZATION, HeaderMap};

use super::key::{CredentialsFile, LOGIN};
use super::{GoogleLogin, Service, metadata};
use crate::config::Settings;
use crate::file_access::FileAccess;
use crate::secret::Redactor;
use crate::task::TaskError;
use crate::web::{RequestError, client};

/// What every request may do, within what the account's roles allow.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Somebody that Google Cloud knows, ready to sign requests. Clones share their tokens.
#[derive(Clone, Debug)]
pub struct GoogleAccess {
    credentials: Credentials,
    /// Where the credentials came from, in the words of a sentence.
    pub from: String,
    /// The account as roles are granted to it: `serviceAccount:name@project.iam.gserviceaccount.com`.
    pub member: Option<String>,
    project: Option<String>,
    /// Knows the secrets that an answer may repeat.
    pub(super) redactor: Redactor,
}

impl GoogleAccess {
    /// Finds the credentials for a service. An emulator gets none.
    ///
    /// # Errors
    /// When there are none, or they cannot be read.
    pub async fn find(
        settings: &Settings,
        files: &FileAccess,
        service: Service,
        login: &GoogleLogin<'_>,
    ) -> Result<Self, TaskError> {
        client::install_crypto();
        let mut access = match service.emulator(settings) {
            Some(address) => {
                Self::of(anonymous::Builder::new().build(), format!("nobody, for the emulator at {address}"))
            }
            None => Self::real(settings, files, login).await?,
        };
        access.redactor = settings.redactor.clone();
        let own = access.project.take();
        let named = login.project.filter(|project| !project.is_empty()).map(str::to_owned);
        access.project = named.or(own).or_else(|| from_variables(settings));
        Ok(access)
    }

    async fn real(settings: &Settings, files: &FileAccess, login: &GoogleLogin<'_>) -> Result<Self, TaskError> {
        let key = match login.service_account {
            Some(text) => Some(CredentialsFile::from_field(text, files, &settings.redactor)?),
            None => CredentialsFile::from_environment(settings)?,
        };
        let scopes = if login.scopes.is_empty() { vec![SCOPE.to_owned()] } else { login.scopes.to_vec() };
        let quota = settings.variable("GOOGLE_CLOUD_QUOTA_PROJECT");
        let mut access = match key {
            Some(key) => of_key(key, &scopes, quota)?,
            None => of_machine(settings, &scopes, quota).await?,
        };
        if let Some(account) = login.impersonate {
            let builder = impersonated::Builder::from_source_credentials(access.credentials);
            let built = builder.with_target_principal(account).with_scopes(scopes).build();
            access.credentials = built.map_err(|error| unusable(&access.from, error))?;
            access.member = Some(format!("serviceAccount:{account}"));
            access.from = format!("{}, acting as {account}", access.from);
        }
        access.credentials =
            RedactedCredentials { inner: access.credentials, redactor: settings.redactor.clone() }.into();
        Ok(access)
    }

    fn of(credentials: Credentials, from: String) -> Self {
        Self { credentials, from, member: None, project: None, redactor: Redactor::default() }
    }

    /// For Google's own clients. What they send is known to the redactor too.
    pub fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// The headers that sign a request; none for an emulator.
    ///
    /// # Errors
    /// When no token can be obtained.
    pub async fn headers(&self) -> Result<HeaderMap, RequestError> {
        match self.credentials.headers(Default::default()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Ok(HeaderMap::new()),
            Err(error) => Err(self.no_token(error)),
        }
    }

    /// The token alone, for a client that writes the header itself; empty for an emulator.
    ///
    /// # Errors
    /// When no token can be obtained.
    pub async fn token(&self) -> Result<String, RequestError> {
        let headers = self.headers().await?;
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(value.strip_prefix("Bearer ").unwrap_or(value).to_owned())
    }

    /// The project that pays and owns: `projectId`, else the credentials' own, else the environment's.
    ///
    /// # Errors
    /// When nothing names one.
    pub fn project(&self) -> Result<&str, TaskError> {
        self.project.as_deref().ok_or_else(|| {
            TaskError::permanent(format!("no project is specified, and the credentials from {} have none", self.from))
                .help("set `projectId`, or GOOGLE_CLOUD_PROJECT; `gcloud projects list` shows your projects")
        })
    }

    fn no_token(&self, error: CredentialsError) -> RequestError {
        let what = format!("getting a token with the credentials from {}", self.from);
        if error.is_transient() {
            let error = TaskError::transient(what).caused_by(error);
            return RequestError::Retryable(error.help("check the network and any proxy"), None);
        }
        RequestError::Fatal(TaskError::permanent(what).caused_by(error).help(format!("log in again: {LOGIN}")))
    }
}

/// The project of tasks that name none, as far as it is known without asking the machine: the credentials' own, else
/// the environment's.
pub(crate) fn default_project(settings: &Settings) -> Option<String> {
    // Credentials that cannot be read are reported by the task that needs them.
    let key = CredentialsFile::from_environment(settings).ok().flatten();
    key.and_then(|key| project_of(&key)).or_else(|| from_variables(settings))
}

fn from_variables(settings: &Settings) -> Option<String> {
    let names = ["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"];
    names.iter().find_map(|name| settings.variable(name)).map(str::to_owned)
}

fn project_of(key: &CredentialsFile) -> Option<String> {
    key.text("project_id").or(key.text("quota_project_id")).map(str::to_owned)
}

fn of_key(key: CredentialsFile, scopes: &[String], quota: Option<&str>) -> Result<GoogleAccess, TaskError> {
    macro_rules! build {
        ($builder:expr) => {{
            let builder = $builder;
            match quota {
                Some(project) => builder.with_quota_project_id(project).build(),
                None => builder.build(),
            }
        }};
    }
    let json = key.json.clone();
    let built = match key.kind() {
        "service_account" => {
            let specifier = service_account::AccessSpecifier::from_scopes(scopes);
            build!(service_account::Builder::new(json).with_access_specifier(specifier))
        }
        "authorized_user" => build!(user_account::Builder::new(json).with_scopes(scopes)),
        "impersonated_service_account" => build!(impersonated::Builder::new(json).with_scopes(scopes)),
        "external_account" => build!(external_account::Builder::new(json).with_scopes(scopes)),
        other => {
            let message = format!("the credentials from {} are of type `{other}`, which is not supported", key.from);
            return Err(TaskError::permanent(message).help(format!("use another type: {LOGIN}")));
        }
    };
    let mut access = GoogleAccess::of(built.map_err(|error| unusable(&key.from, error))?, key.from.clone());
    access.project = project_of(&key);
    access.member = key.text("client_email").map(|email| format!("serviceAccount:{email}"));
    Ok(access)
}

async fn of_machine(settings: &Settings, scopes: &[String], quota: Option<&str>) -> Result<GoogleAccess, TaskError> {
    let Some(found) = metadata::find(settings).await else {
        return Err(TaskError::permanent(
            "there are no credentials for Google Cloud: no `serviceAccount`, no GOOGLE_APPLICATION_CREDENTIALS, \
             no gcloud login, and this machine is not on Google Cloud",
        )
        .help(LOGIN));
    };
    let builder = mds::Builder::default().with_endpoint(&found.endpoint).with_scopes(scopes);
    let builder = quota.into_iter().fold(builder, |builder, project| builder.with_quota_project_id(project));
    let from = format!("the metadata server at {}", found.endpoint);
    let mut access = GoogleAccess::of(builder.build().map_err(|error| unusable(&from, error))?, from);
    access.project = Some(found.project);
    access.member = found.account.map(|account| format!("serviceAccount:{account}"));
    Ok(access)
}

fn unusable(from: &str, error: impl std::error::Error) -> TaskError {
    TaskError::permanent(format!("the credentials from {from} cannot be used"))
        .caused_by(error)
        .help("create a new key: gcloud iam service-accounts keys create key.json --iam-account=…")
}

/// Credentials whose every token the redactor gets to know before it is used.
#[derive(Debug)]
struct RedactedCredentials {
    inner: Credentials,
    redactor: Redactor,
}

impl CredentialsProvider for RedactedCredentials {
    async fn headers(
        &self,
        extensions: axum::http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let headers = self.inner.headers(extensions).await;
        if let Ok(CacheableResource::New { data, .. }) = &headers
            && let Some(value) = data.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
        {
            self.redactor.learn(value.strip_prefix("Bearer ").unwrap_or(value));
        }
        headers
    }

    async fn universe_domain(&self) -> Option<String> {
        self.inner.universe_domain().await
    }
}
