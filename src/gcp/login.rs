//! The fields by which every task on Google Cloud says who it is.

/// The fields of a task that say who it is on Google Cloud.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoogleLogin<'a> {
    /// `service_account`: a key as JSON, its path, or its base64 form.
    pub service_account: Option<&'a str>,
    /// `impersonate`: the e-mail address of the account to act as.
    pub impersonate: Option<&'a str>,
    /// `project`.
    pub project: Option<&'a str>,
    /// `scopes`; none stands for all of Google Cloud.
    pub scopes: &'a [String],
}

/// Adds to a task's struct the fields that all tasks on Google Cloud have, and `login()`, which reads them.
///
/// serde could flatten a shared struct into each, but would then no longer know where a wrong field stands.
macro_rules! google_task {
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        pub struct $name {
            $($fields)*
            /// A service account's key: its JSON, the path of a file with it, or its base64 form. By default the
            /// Application Default Credentials: GOOGLE_APPLICATION_CREDENTIALS, the login of `gcloud auth
            /// application-default login`, or the service account of the machine.
            #[serde(alias = "serviceAccount")]
            service_account: Option<String>,
            /// The e-mail address of a service account to act as; the credentials need the role
            /// `roles/iam.serviceAccountTokenCreator` on it.
            #[serde(alias = "impersonatedServiceAccount")]
            impersonate: Option<String>,
            /// OAuth scopes. By default all of Google Cloud, within the roles of the account.
            #[serde(default)]
            scopes: Vec<String>,
            /// The project. By default the credentials' own, else GOOGLE_CLOUD_PROJECT.
            #[serde(alias = "projectId")]
            project: Option<String>,
            /// The location of new buckets and datasets and of queries, such as `EU` or `europe-west3`.
            location: Option<String>,
            /// The bucket for paths that do not name one.
            bucket: Option<String>,
        }

        impl $name {
            /// Who the task is.
            fn login(&self) -> $crate::gcp::GoogleLogin<'_> {
                // Not every task has a use for these two, but defaults for all of Google's tasks set them.
                let _ = (&self.location, &self.bucket);
                $crate::gcp::GoogleLogin {
                    service_account: self.service_account.as_deref(),
                    impersonate: self.impersonate.as_deref(),
                    project: self.project.as_deref(),
                    scopes: &self.scopes,
                }
            }
        }
    };
}

pub(crate) use google_task;
