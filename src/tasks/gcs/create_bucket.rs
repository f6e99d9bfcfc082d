//! `gcs.create_bucket`: a place for objects.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::address::encode;
use super::store::Store;
use crate::gcp::{ApiFailure, google_task};
use crate::task::{Capability, Task, TaskContext, TaskError};
use crate::tasks::if_exists::IfExists;

google_task! {
    /// Creates a bucket.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct CreateBucket {
        /// The bucket's name, unique in all of Google Cloud: 3 to 63 lowercase letters, digits and dashes.
        name: String,
        /// What to do if it exists: `ERROR` (by default), `SKIP`, or `UPDATE` its settings.
        #[serde(default, alias = "ifExists")]
        if_exists: IfExists,
        /// `STANDARD` (Google's default), `NEARLINE`, `COLDLINE` or `ARCHIVE`.
        #[serde(alias = "storageClass")]
        storage_class: Option<String>,
        /// Labels of the bucket, which are shown on bills.
        #[serde(default)]
        labels: BTreeMap<String, String>,
        /// Whether overwritten and deleted objects are kept as earlier versions.
        #[serde(alias = "versioningEnabled")]
        versioning_enabled: Option<bool>,
        /// Actions on objects by their age: `{condition: {age: 30}, action: {type: DELETE}}`, or `{type:
        /// SET_STORAGE_CLASS, storageClass: NEARLINE}`.
        #[serde(default, alias = "lifecycleRules")]
        lifecycle_rules: Vec<LifecycleRule>,
        /// Whether the reader pays for the traffic.
        #[serde(alias = "requesterPays")]
        requester_pays: Option<bool>,
        /// The index page of each folder of a website.
        #[serde(alias = "indexPage")]
        index_page: Option<String>,
        /// The page that a website shows for missing objects.
        #[serde(alias = "notFoundPage")]
        not_found_page: Option<String>,
        /// The Cloud KMS key that encrypts new objects.
        #[serde(alias = "defaultKmsKeyName")]
        default_kms_key_name: Option<String>,
        /// Whether new objects are held until an event.
        #[serde(alias = "defaultEventBasedHold")]
        default_event_based_hold: Option<bool>,
        /// The number of seconds during which objects cannot be deleted or overwritten.
        #[serde(alias = "retentionPeriod")]
        retention_period: Option<u64>,
    }
}

/// What happens to objects of an age.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LifecycleRule {
    /// Which objects.
    condition: LifecycleCondition,
    /// What happens to them.
    action: LifecycleAction,
}

/// Which objects a rule is for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LifecycleCondition {
    /// Their age in days.
    age: u32,
}

/// What a rule does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LifecycleAction {
    /// `DELETE` or `SET_STORAGE_CLASS`.
    #[serde(rename = "type")]
    kind: LifecycleActionKind,
    /// The class to set.
    #[serde(alias = "storageClass", alias = "value")]
    storage_class: Option<String>,
}

/// The kinds of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum LifecycleActionKind {
    /// Delete the object.
    Delete,
    /// Move it to a cheaper class.
    SetStorageClass,
}

/// What the task gives to later ones.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// The bucket.
    pub bucket: Bucket,
    /// Whether it was created.
    pub created: bool,
    /// Whether its settings were changed.
    pub updated: bool,
}

/// A bucket.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its address, `gs://name`.
    pub uri: String,
    /// Its location.
    pub location: String,
    /// The class of new objects.
    #[serde(rename = "storageClass")]
    pub storage_class: String,
}

impl Task for CreateBucket {
    const NAME: &'static str = "gcs.create_bucket";
    const CAPABILITIES: &'static [Capability] = &[Capability::UsesGoogle];
    const ALIASES: &'static [&'static str] = &["io.kestra.plugin.gcp.gcs.CreateBucket"];
    const FILES: &'static [&'static str] = &["service_account"];
    const EXAMPLE: &'static str = "\
- id: bucket
  type: gcs.create_bucket
  name: my-project-taxi
  location: EU
  if_exists: SKIP
";
    type Outputs = Outputs;

    async fn run(&self, context: &TaskContext) -> Result<Outputs, TaskError> {
        check_name(&self.name)?;
        let store = Store::open(context, &self.login()).await?;
        let found = match store.bucket(&self.name).await {
            Ok(found) => Some(found),
            Err(failure) if failure.is(StatusCode::NOT_FOUND) => None,
            Err(failure) if failure.is(StatusCode::FORBIDDEN) => return Err(self.forbidden(failure)),
            Err(failure) => return Err(failure.into()),
        };
        let (json, created, updated) = match (found, self.if_exists) {
            (None, _) => (self.create(&store).await?, true, false),
            (Some(found), IfExists::Skip) => (found, false, false),
            (Some(_), IfExists::Update) => (self.update(&store).await?, false, true),
            (Some(_), IfExists::Error) => {
                let message = format!("creating gs://{}: it already exists", self.name);
                return Err(TaskError::permanent(message)
                    .help("`if_exists: SKIP` leaves it unchanged, `UPDATE` changes its settings"));
            }
        };
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let (location, storage_class) = (text("location"), text("storageClass"));
        self.compare_location(context, &location);
        context.info(format!("gs://{} in {location} {}", self.name, if created { "is created" } else { "is there" }));
        let bucket = Bucket { name: self.name.clone(), uri: format!("gs://{}", self.name), location, storage_class };
        Ok(Outputs { bucket, created, updated })
    }
}

impl CreateBucket {
    async fn create(&self, store: &Store<'_>) -> Result<Value, TaskError> {
        let project = store.api.access.project()?;
        let what = format!("creating gs://{} in project {project}", self.name);
        let mut settings = self.settings();
        settings.insert("name".into(), self.name.as_str().into());
        settings.extend(self.location.as_deref().map(|location| ("location".to_owned(), location.into())));
        let path = format!("/storage/v1/b?project={}", encode(project));
        let created =
            store.api.call_value(&store.retry, &what, || store.api.request(Method::POST, &path).json(&settings)).await;
        match created {
            Ok(bucket) => Ok(bucket),
            // A repeat of our own request, whose answer was lost, finds the bucket made.
            Err(failure) if failure.is(StatusCode::CONFLICT) => match store.bucket(&self.name).await {
                Ok(bucket) if mentions(&failure, "you already own it") || self.if_exists == IfExists::Skip => {
                    Ok(bucket)
                }
                _ => Err(failure.help(self.name_taken()).into()),
            },
            Err(failure) if failure.is(StatusCode::BAD_REQUEST) && mentions(&failure, "location") => {
                Err(failure.help(LOCATIONS).into())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn update(&self, store: &Store<'_>) -> Result<Value, TaskError> {
        let (what, settings) = (format!("updating gs://{}", self.name), self.settings());
        let path = format!("/storage/v1/b/{}", encode(&self.name));
        let updated =
            store.api.call_value(&store.retry, &what, || store.api.request(Method::PATCH, &path).json(&settings));
        Ok(updated.await?)
    }

    /// The bucket as the JSON API describes it, without name and place, which never change.
    fn settings(&self) -> Map<String, Value> {
        let rules = self.lifecycle_rules.iter().map(LifecycleRule::to_json).collect::<Vec<_>>();
        let website = json!({"mainPageSuffix": self.index_page, "notFoundPage": self.not_found_page});
        let all = [
            ("storageClass", self.storage_class.as_ref().map(|class| json!(class.to_uppercase()))),
            ("labels", (!self.labels.is_empty()).then(|| json!(self.labels))),
            ("versioning", self.versioning_enabled.map(|enabled| json!({"enabled": enabled}))),
            ("lifecycle", (!rules.is_empty()).then(|| json!({"rule": rules}))),
            ("billing", self.requester_pays.map(|pays| json!({"requesterPays": pays}))),
            ("website", (self.index_page.is_some() || self.not_found_page.is_some()).then_some(website)),
            ("encryption", self.default_kms_key_name.as_ref().map(|key| json!({"defaultKmsKeyName": key}))),
            ("defaultEventBasedHold", self.default_event_based_hold.map(Value::from)),
            ("retentionPolicy", self.retention_period.map(|seconds| json!({"retentionPeriod": seconds.to_string()}))),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn compare_location(&self, context: &TaskContext, location: &str) {
        let Some(requested) = self.location.as_deref().filter(|requested| !requested.eq_ignore_ascii_case(location))
        else {
            return;
        };
        context.warn(format!(
            "gs://{} is in {location}, not in {requested}, and buckets cannot be moved: BigQuery loads from it only into \
             datasets of the same location",
            self.name
        ));
    }

    fn forbidden(&self, failure: ApiFailure) -> TaskError {
        failure
            .help(format!("either the name is taken, so choose another one; or the bucket is yours, but you may not read its metadata: grant \
                 roles/storage.admin: gcloud storage buckets add-iam-policy-binding gs://{} --member=… --role=roles/storage.admin", self.name))
            .into()
    }

    fn name_taken(&self) -> String {
        format!(
            "the name is taken; names are shared by all users of Google Cloud: choose another one, such as YOUR-PROJECT-{}",
            self.name
        )
    }
}

impl LifecycleRule {
    fn to_json(&self) -> Value {
        let action = match self.action.kind {
            LifecycleActionKind::Delete => json!({"type": "Delete"}),
            LifecycleActionKind::SetStorageClass => {
                json!({"type": "SetStorageClass", "storageClass": self.action.storage_class})
            }
        };
        json!({"condition": {"age": self.condition.age}, "action": action})
    }
}

const LOCATIONS: &str = "`location` is a region such as `europe-west3` or `us-central1`, or `EU`, `US` or `ASIA`; \
     https://cloud.google.com/storage/docs/locations lists all";

fn mentions(failure: &ApiFailure, words: &str) -> bool {
    matches!(failure, ApiFailure::Rejected(google_error) if google_error.message.to_ascii_lowercase().contains(words))
}

/// Google's rules for names, so that a wrong one is known before anything is asked.
fn check_name(name: &str) -> Result<(), TaskError> {
    let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_.".contains(letter);
    let ends = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let problem = match name {
        _ if !name.chars().all(letters) => "use lowercase letters, digits, `-`, `_` and `.`",
        _ if !(3..=222).contains(&name.len()) || name.split('.').any(|part| part.len() > 63) => {
            "it must have 3 to 63 characters"
        }
        _ if !name.starts_with(ends) || !name.ends_with(ends) => "it must begin and end with a letter or digit",
        _ if name.starts_with("goog") || name.contains("google") => "it must not contain `google` or begin with `goog`",
        _ => return Ok(()),
    };
    Err(TaskError::permanent(format!("`{name}` is not a valid bucket name: {problem}"))
        .help("choose a name such as your-project-taxi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_google_would_refuse_are_refused_here() {
        assert!(check_name("my-project-taxi_1.x").is_ok());
        for name in ["ab", "My-bucket", "my bucket", "-abc", "abc-", "goog-x", &"x".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
