//! Calls on buckets.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::caller::Presented;
use super::error::{Fail, Result};
use super::schema::Fields;
use super::settings::ApoloAction;
use super::state::{Bucket, moment, now};
use super::{Service, random, uuid};
use crate::s3::{Catalog as _, CatalogError};

/// What buckets may be on.
const PROVIDERS: &[&str] = &["aws", "minio", "azure", "gcp", "open_stack", "seaweedfs", "emc_ecs"];

/// The part of a query that names are looked up with.
#[derive(Clone, Debug, Default)]
pub(super) struct Where {
    org: Option<String>,
    project: Option<String>,
    owner: Option<String>,
}

impl Where {
    pub(super) fn new(query: &[(String, String)]) -> Self {
        let get = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        Self { org: get("org_name"), project: get("project_name"), owner: get("owner") }
    }
}

/// What may stand in a label: letters, digits, `-`, `_` and `.`, the first and the last of them letters or digits.
fn is_label(value: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && ends(value.chars().next())
        && ends(value.chars().last())
}

fn check_label(value: &str) -> Result<()> {
    if is_label(value) {
        return Ok(());
    }
    let text =
        format!("unable to parse requirement: values[0][platform.apolo.us/id]: Invalid value: '{value}'");
    Err(Fail::label(400, &text, "BadRequest"))
}

/// The provider's bucket for a new one.
fn provider_name(org: &str, project: &str, name: Option<&str>) -> String {
    let digest = Sha256::digest(format!("{org}{project}").as_bytes());
    let mut text = String::from("neuro-pl-");
    for byte in &digest[..5] {
        let _ = write!(text, "{byte:02x}");
    }
    for part in [org, project] {
        if !part.is_empty() {
            let _ = write!(text, "-{part}");
        }
    }
    let plain: String = name
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .collect();
    if !plain.is_empty() {
        let _ = write!(text, "-{plain}");
    }
    let mut cut: String = text.chars().take(45).collect();
    cut.push_str(&random("0123456789abcdef", 12));
    cut
}

impl Service {
    /// A bucket as it is answered.
    pub(super) fn describe(&self, bucket: &Bucket) -> Map<String, Value> {
        let mut map = Map::new();
        let mut set = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
        set("id", json!(bucket.id));
        set("name", json!(bucket.name));
        set("owner", json!(bucket.owner));
        if self.settings.seed_era {
            set("org_name", if bucket.org.is_empty() { Value::Null } else { json!(bucket.org) });
        } else {
            set("org_name", json!(bucket.org));
            set("project_name", json!(bucket.project));
        }
        set("provider", json!(bucket.provider));
        set("created_at", json!(moment(bucket.created)));
        set("imported", json!(bucket.imported.is_some()));
        set("public", json!(bucket.public));
        map
    }

    /// The bucket of this id, or of this name where the query says.
    pub(super) fn resolve(&self, id_or_name: &str, place: &Where, user: Option<&str>) -> Result<Bucket> {
        check_label(id_or_name)?;
        if let Some(bucket) = self.state.bucket(|b| b.id == id_or_name) {
            return Ok(bucket);
        }
        let org = match place.org.as_deref().filter(|org| !org.is_empty()) {
            Some(org) => org,
            None if self.settings.seed_era => "",
            None => return Err(Fail::value("org_name must be provided")),
        };
        let project = match (&place.project, &place.owner) {
            (Some(_), Some(_)) => return Err(Fail::value("owner cannot be specified with project_name")),
            (Some(project), None) => project.as_str(),
            (None, Some(owner)) => owner.as_str(),
            (None, None) => user.unwrap_or_default(),
        };
        self.find(org, project, id_or_name).ok_or_else(|| Fail::missing("Bucket", id_or_name))
    }

    fn find(&self, org: &str, project: &str, name: &str) -> Option<Bucket> {
        self.state.bucket(|b| b.org == org && b.project == project && b.name.as_deref() == Some(name))
    }

    /// The place of a new bucket: organisation and project.
    fn home(&self, fields: &mut Fields, user: &str) -> (String, String) {
        if self.settings.seed_era {
            return (fields.text_or_null("org_name").unwrap_or_default(), user.to_owned());
        }
        (fields.text("org_name"), fields.text_or("project_name", user))
    }

    pub(super) async fn create(
        &self,
        presented: Result<Presented>,
        body: &[u8],
    ) -> Result<Map<String, Value>> {
        if !self.settings.creation {
            return Err(Fail::disabled("Bucket creation is disabled, please use import instead"));
        }
        let presented = presented?;
        let mut fields = Fields::parse(body, "'list' object has no attribute 'get'")?;
        let name = fields.name();
        let (org, project) = self.home(&mut fields, &presented.user);
        let provider = fields.text_or_null("provider");
        fields.ignore(&["owner", "created_at", "imported", "public"]);
        let (org, project, name) = fields.done((org, project, name))?;
        if let Some(provider) = provider {
            check_provider(&provider)?;
        }
        let user = self.need_project(&presented, &org, &project)?;
        let _changing = self.state.changing.lock().await;
        self.check_free(&org, &project, name.as_deref())?;
        let name_at_provider = provider_name(&org, &project, name.as_deref());
        if let Some(name) = name.as_deref().filter(|name| !is_label(name)) {
            return Err(Fail::label(422, &format!("metadata.labels: Invalid value: '{name}'"), "Invalid"));
        }
        self.provider.buckets.create(&name_at_provider).await.map_err(|e| refused(e, "CreateBucket"))?;
        let bucket = Bucket {
            id: format!("bucket-{}", uuid()),
            name,
            owner: user,
            org,
            project,
            provider: "aws".into(),
            created: now(),
            public: false,
            name_at_provider,
            imported: None,
        };
        self.state.put_bucket(bucket.clone()).await?;
        Ok(self.describe(&bucket))
    }

    pub(super) async fn import(
        &self,
        presented: Result<Presented>,
        body: &[u8],
    ) -> Result<Map<String, Value>> {
        let presented = presented?;
        let mut fields = Fields::parse(body, "'list' object has no attribute 'get'")?;
        let name = fields.name();
        let (org, project) = self.home(&mut fields, &presented.user);
        let provider = fields.text("provider");
        let name_at_provider = fields.text("provider_bucket_name");
        let credentials = fields.mapping("credentials");
        fields.done(())?;
        check_provider(&provider)?;
        let user = self.need_project(&presented, &org, &project)?;
        let _changing = self.state.changing.lock().await;
        self.check_free(&org, &project, name.as_deref())?;
        let bucket = Bucket {
            id: format!("bucket-{}", uuid()),
            name,
            owner: user,
            org,
            project,
            provider,
            created: now(),
            public: false,
            name_at_provider,
            imported: Some(Value::Object(credentials).to_string()),
        };
        self.state.put_bucket(bucket.clone()).await?;
        Ok(self.describe(&bucket))
    }

    fn check_free(&self, org: &str, project: &str, name: Option<&str>) -> Result<()> {
        match name {
            Some(name) if self.find(org, project, name).is_some() => Err(Fail::taken()),
            _ => Ok(()),
        }
    }

    pub(super) fn get(
        &self,
        presented: Result<Presented>,
        id_or_name: &str,
        place: &Where,
    ) -> Result<Map<String, Value>> {
        let bucket = self.resolve(id_or_name, place, user(&presented))?;
        self.need(&presented?, &bucket, ApoloAction::Read)?;
        Ok(self.describe(&bucket))
    }

    /// What the caller may read of a project.
    pub(super) fn list(
        &self,
        presented: Result<Presented>,
        query: &[(String, String)],
    ) -> Result<Vec<Map<String, Value>>> {
        let mut place = None;
        if !self.settings.seed_era {
            let mut fields = Fields::query(query);
            let wanted = (fields.text("org_name"), fields.text("project_name"));
            place = Some(fields.done(wanted)?);
        }
        let user = self.confirm(&presented?)?;
        let here =
            |b: &&Bucket| place.as_ref().is_none_or(|(org, project)| b.org == *org && b.project == *project);
        let buckets = self.state.buckets();
        let found = buckets.iter().filter(here).filter(|b| self.may(&user, b, ApoloAction::Read));
        Ok(found.map(|bucket| self.describe(bucket)).collect())
    }

    pub(super) fn by_path(
        &self,
        presented: Result<Presented>,
        query: &[(String, String)],
    ) -> Result<Map<String, Value>> {
        let path = query.iter().find(|(name, _)| name == "path").map(|(_, path)| path);
        let path = path.ok_or_else(|| Fail::Unexpected("'path'".into()))?;
        let parts: Vec<_> = path.splitn(4, '/').collect();
        let bucket = match parts.as_slice() {
            [org, project, name, ..] => self.find(org, project, name),
            _ => None,
        };
        let bucket = match (bucket, parts.as_slice()) {
            // Without organisations.
            (None, [owner, name, ..]) if self.settings.seed_era => self.find("", owner, name),
            (bucket, _) => bucket,
        };
        let bucket = bucket.ok_or_else(|| Fail::Unexpected(format!("Bucket for path {path} not found")))?;
        self.need(&presented?, &bucket, ApoloAction::Read)?;
        Ok(self.describe(&bucket))
    }

    pub(super) async fn publish(
        &self,
        presented: Result<Presented>,
        id_or_name: &str,
        place: &Where,
        body: &[u8],
    ) -> Result<Map<String, Value>> {
        let mut fields = Fields::parse(body, "{'_schema': ['Invalid input type.']}")?;
        let public = fields.boolean("public");
        let public = fields.done(public)?;
        let mut bucket = self.resolve(id_or_name, place, user(&presented))?;
        self.need(&presented?, &bucket, ApoloAction::Write)?;
        if let Some(wanted) = public {
            let wanted = wanted.unwrap_or_default();
            let _changing = self.state.changing.lock().await;
            if wanted != bucket.public {
                let set = self.provider.buckets.set_public(&bucket.name_at_provider, wanted).await;
                set.map_err(|e| refused(e, "GetBucketPolicy"))?;
                bucket.public = wanted;
                self.state.put_bucket(bucket.clone()).await?;
            }
        }
        let mut answer = self.describe(&bucket);
        if public == Some(None) {
            answer.insert("public".into(), Value::Null);
        }
        Ok(answer)
    }

    pub(super) async fn remove(
        &self,
        presented: Result<Presented>,
        id_or_name: &str,
        place: &Where,
    ) -> Result<()> {
        let bucket = self.resolve(id_or_name, place, user(&presented))?;
        self.need(&presented?, &bucket, ApoloAction::Write)?;
        let _changing = self.state.changing.lock().await;
        // As in the original this comes first, also if the bucket then stays.
        self.forget_bucket(&bucket).await?;
        if bucket.imported.is_none() {
            match self.provider.buckets.remove(&bucket.name_at_provider).await {
                Ok(()) | Err(CatalogError::Missing) => {}
                Err(error) => return Err(refused(error, "DeleteBucket")),
            }
        }
        Ok(self.state.remove_bucket(&bucket.id).await?)
    }
}

/// Whom a request claims to come from.
pub(super) fn user(presented: &Result<Presented>) -> Option<&str> {
    presented.as_ref().ok().map(|p| p.user.as_str())
}

fn check_provider(provider: &str) -> Result<()> {
    if PROVIDERS.contains(&provider) {
        return Ok(());
    }
    Err(Fail::value(format!("'{provider}' is not a valid BucketsProviderType")))
}

fn refused(error: CatalogError, operation: &str) -> Fail {
    let (code, text) = match error {
        CatalogError::Storage(error) => return error.into(),
        CatalogError::Exists => {
            ("BucketAlreadyExists", "The requested bucket name is not available.".to_owned())
        }
        CatalogError::Missing => ("NoSuchBucket", "The specified bucket does not exist".to_owned()),
        CatalogError::NotEmpty => {
            ("BucketNotEmpty", "The bucket you tried to delete is not empty".to_owned())
        }
        CatalogError::BadName(name) => {
            ("InvalidBucketName", format!("The specified bucket is not valid: {name}"))
        }
    };
    Fail::s3(code, operation, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_provider() {
        let name = provider_name("acme", "proj1", Some("data-one"));
        assert!(name.starts_with("neuro-pl-384e2ea395-acme-proj1-data-one") && name.len() == 51, "{name}");
        let long = provider_name("acme", "proj1", Some(&"a_".repeat(20)));
        assert_eq!(long.len(), 57);
        assert!(!long.contains('_'), "{long}");
    }

    #[test]
    fn labels() {
        assert!(is_label("a--b") && is_label("") && is_label("bucket-1"));
        for bad in ["abc-", "has space", "a/b", "_a", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
