//! Which role gives a permission that Google says is missing, and the command that grants it.

use super::GoogleAccess;

/// Where a role is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantScope {
    Bucket,
    Dataset,
    Project,
}

/// A role of Google's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoogleRole {
    /// Its name, such as `roles/storage.objectUser`.
    pub name: &'static str,
    on: GrantScope,
}

/// The narrowest usual role for each permission; the first entry that a permission begins with.
const ROLES: &[(&str, GoogleRole)] = &[
    ("storage.objects.", GoogleRole { name: "roles/storage.objectUser", on: GrantScope::Bucket }),
    ("storage.multipartUploads.", GoogleRole { name: "roles/storage.objectUser", on: GrantScope::Bucket }),
    ("storage.buckets.create", GoogleRole { name: "roles/storage.admin", on: GrantScope::Project }),
    ("storage.buckets.", GoogleRole { name: "roles/storage.admin", on: GrantScope::Bucket }),
    ("bigquery.jobs.", GoogleRole { name: "roles/bigquery.jobUser", on: GrantScope::Project }),
    ("bigquery.readsessions.", GoogleRole { name: "roles/bigquery.readSessionUser", on: GrantScope::Project }),
    ("bigquery.datasets.create", GoogleRole { name: "roles/bigquery.user", on: GrantScope::Project }),
    ("bigquery.", GoogleRole { name: "roles/bigquery.dataEditor", on: GrantScope::Dataset }),
    ("serviceusage.", GoogleRole { name: "roles/serviceusage.serviceUsageConsumer", on: GrantScope::Project }),
    (
        "iam.serviceAccounts.getAccessToken",
        GoogleRole { name: "roles/iam.serviceAccountTokenCreator", on: GrantScope::Project },
    ),
];

impl GoogleRole {
    /// The role that gives a permission.
    pub(crate) fn with(permission: &str) -> Option<Self> {
        ROLES.iter().find(|(start, _)| permission.starts_with(start)).map(|(_, role)| *role)
    }

    /// The permission that a refusal of Google's names, as in `… does not have storage.objects.create access to …`.
    pub(crate) fn missing(message: &str) -> Option<(&str, Self)> {
        let ends = |letter: char| letter.is_whitespace() || "'\"`,()".contains(letter);
        let words = message.split(ends).map(|word| word.trim_end_matches(['.', ':', ';']));
        words.filter(|word| word.matches('.').count() >= 2).find_map(|word| Some((word, Self::with(word)?)))
    }

    /// The command that grants it. `bucket` is a plain name, as everything on Cloud Storage has one.
    pub(crate) fn grant(self, access: &GoogleAccess, bucket: Option<&str>) -> String {
        let member = access.member.as_deref().unwrap_or("user:YOUR-ADDRESS");
        let project = access.project().unwrap_or("PROJECT");
        let binding = format!("--member={member} --role={}", self.name);
        match (self.on, bucket) {
            (GrantScope::Bucket, Some(bucket)) => {
                format!("gcloud storage buckets add-iam-policy-binding gs://{bucket} {binding}")
            }
            // A dataset's own grants are made in SQL or the console; on the project it is one command.
            _ => format!("gcloud projects add-iam-policy-binding {project} {binding}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_permission_is_found_in_googles_own_words() {
        let storage = "load@p.iam.gserviceaccount.com does not have storage.objects.create access to the Google Cloud \
                       Storage object. Permission 'storage.objects.create' denied on resource (or it may not exist).";
        let (permission, role) = GoogleRole::missing(storage).unwrap();
        assert_eq!((permission, role.name), ("storage.objects.create", "roles/storage.objectUser"));
        let query = "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.";
        assert_eq!(GoogleRole::missing(query).unwrap().1.name, "roles/bigquery.jobUser");
        assert!(GoogleRole::missing("The caller www.googleapis.com is unknown.").is_none());
    }
}
