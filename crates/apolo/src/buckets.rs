//! Buckets of a project.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Result, Secret};
use serde_json::{Map, Value, json};

use crate::{
    client::Client,
    model::{Bucket, BucketCredentials, Provider, WireBucket},
    ndjson,
    wire::Request,
};

use Idempotency::{Idempotent, NotIdempotent};

/// Where names of buckets are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// Organisation; servers of 2026 and later want one.
    pub(crate) org: Option<String>,
    /// Project.
    pub(crate) project: Option<String>,
    /// Owner of the bucket, where servers before 2023 have no projects.
    pub(crate) owner: Option<String>,
}

/// A provider's bucket that is to be registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewImport {
    /// What is behind it.
    pub provider: Provider,
    /// Its name at the provider.
    pub provider_bucket_name: String,
    /// What opens it; the service keeps it and gives it to whoever may read the bucket.
    pub credentials: Vec<(String, Secret)>,
    /// Its name in the project.
    pub name: Option<String>,
}

impl NewImport {
    /// A bucket without credentials and without a name here.
    pub fn new(provider: Provider, provider_bucket_name: impl Into<String>) -> Self {
        Self {
            provider,
            provider_bucket_name: provider_bucket_name.into(),
            credentials: Vec::new(),
            name: None,
        }
    }

    /// Adds one of the values that open it, such as `access_key_id`.
    #[must_use]
    pub fn with_credential(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.credentials.push((name.into(), value.into()));
        self
    }

    /// Sets its name in the project.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// Calls on the buckets of a project; made by [`Client::buckets`]. Cheap to clone.
///
/// A bucket is named by its name in the project, or by its id, which is good in the whole cluster.
#[derive(Clone, Debug)]
pub struct Buckets {
    client: Client,
    scope: Scope,
}

/// A list of buckets. After an error the stream ends.
pub type BucketStream = BoxStream<'static, Result<Bucket>>;

impl Buckets {
    pub(crate) fn new(client: Client, scope: Scope) -> Self {
        Self { client, scope }
    }

    /// Buckets of another organisation and project.
    #[must_use]
    pub fn in_project(&self, org: impl Into<String>, project: impl Into<String>) -> Self {
        let scope = Scope { org: Some(org.into()), project: Some(project.into()), owner: None };
        Self::new(self.client.clone(), scope)
    }

    /// Buckets of another user, on servers before 2023.
    #[must_use]
    pub fn of_owner(&self, owner: impl Into<String>) -> Self {
        let scope = Scope { org: self.scope.org.clone(), project: None, owner: Some(owner.into()) };
        Self::new(self.client.clone(), scope)
    }

    fn one(
        &self,
        method: Method,
        name: &str,
        rest: &str,
        operation: &'static str,
        how: Idempotency,
    ) -> Result<Request> {
        check_known(name, operation)?;
        let request = Request::new(method, format!("/buckets/{name}{rest}"), operation, how);
        Ok(request
            .on("bucket", name)
            .query("org_name", self.scope.org.as_deref())
            .query("project_name", self.scope.project.as_deref())
            .query("owner", self.scope.owner.as_deref()))
    }

    async fn bucket(&self, request: Request) -> Result<Bucket> {
        let found: WireBucket = self.client.call(request).await?.json("a bucket").await?;
        Ok(found.on(self.client.cluster()))
    }

    fn place(&self, body: &mut Map<String, Value>) {
        for (key, value) in [("org_name", &self.scope.org), ("project_name", &self.scope.project)] {
            if let Some(value) = value {
                body.insert(key.to_owned(), json!(value));
            }
        }
    }

    /// The buckets of the project that the caller may read, in any order. Repeated on failures that pass.
    pub async fn list(&self) -> Result<BucketStream> {
        let request = Request::new(Method::GET, "/buckets", "apolo.bucket.list", Idempotent)
            .query("org_name", self.scope.org.as_deref())
            .query("project_name", self.scope.project.as_deref())
            .lines();
        let found = ndjson::items::<WireBucket>(self.client.call(request).await?).await?;
        let cluster = self.client.cluster().to_owned();
        Ok(found.map(move |bucket| bucket.map(|bucket| bucket.on(&cluster))).boxed())
    }

    /// Creates a bucket, with a name of 3 to 40 lower-case letters, digits, `-` and `_`, or without one.
    ///
    /// [`ErrorKind::AlreadyExists`] if the project has one of this name; [`ErrorKind::Unsupported`] where buckets are
    /// only imported. Not repeated where the service may have it: it might make two.
    pub async fn create(&self, name: Option<&str>) -> Result<Bucket> {
        let mut body = Map::new();
        if let Some(name) = name {
            check_name(name, "apolo.bucket.create")?;
        }
        body.insert("name".to_owned(), json!(name));
        self.place(&mut body);
        let request = Request::new(Method::POST, "/buckets", "apolo.bucket.create", NotIdempotent);
        self.bucket(request.on("bucket", name.unwrap_or("without a name")).json(&body)?).await
    }

    /// Registers a bucket that a provider has already. Nothing is checked with the provider.
    pub async fn import_external(&self, import: NewImport) -> Result<Bucket> {
        const OPERATION: &str = "apolo.bucket.import";
        if let Some(name) = &import.name {
            check_name(name, OPERATION)?;
        }
        let credentials: Map<String, Value> =
            import.credentials.iter().map(|(name, value)| (name.clone(), json!(value.expose()))).collect();
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(import.name));
        body.insert("provider".to_owned(), json!(import.provider.as_str()));
        body.insert("provider_bucket_name".to_owned(), json!(import.provider_bucket_name));
        body.insert("credentials".to_owned(), Value::Object(credentials));
        self.place(&mut body);
        let request = Request::new(Method::POST, "/buckets/import/external", OPERATION, NotIdempotent);
        self.bucket(request.on("bucket", &import.provider_bucket_name).json(&body)?).await
    }

    /// The bucket of this name or id.
    pub async fn get(&self, id_or_name: &str) -> Result<Bucket> {
        self.bucket(self.one(Method::GET, id_or_name, "", "apolo.bucket.get", Idempotent)?).await
    }

    /// The bucket of a path `org/project/name[/key...]`.
    pub async fn by_path(&self, path: &str) -> Result<Bucket> {
        let request = Request::new(Method::GET, "/buckets/find/by_path", "apolo.bucket.by_path", Idempotent)
            .query("path", Some(path))
            .on("bucket", path);
        self.bucket(request).await
    }

    /// Removes a bucket, which must be empty unless it is on Azure. An imported one is only forgotten.
    #[doc(alias = "rm")]
    pub async fn remove(&self, id_or_name: &str) -> Result<()> {
        let request = self.one(Method::DELETE, id_or_name, "", "apolo.bucket.remove", NotIdempotent)?;
        self.client.call(request).await?.done().await
    }

    /// Lets anybody read the bucket, or nobody any more. On Azure the service cannot take it back.
    pub async fn set_public_access(&self, id_or_name: &str, public: bool) -> Result<Bucket> {
        let request = self.one(Method::PATCH, id_or_name, "", "apolo.bucket.set_public", Idempotent)?;
        self.bucket(request.json(&json!({ "public": public }))?).await
    }

    /// Credentials of the provider, good for about an hour.
    #[doc(alias = "request_tmp_credentials")]
    pub async fn temporary_credentials(&self, id_or_name: &str) -> Result<BucketCredentials> {
        const OPERATION: &str = "apolo.bucket.credentials";
        let request = self.one(Method::POST, id_or_name, "/make_tmp_credentials", OPERATION, Idempotent)?;
        self.client.call(request).await?.json("credentials").await
    }

    /// A URL that allows reading an object without credentials, made by the service.
    ///
    /// Good for whole seconds, one at least. [`ErrorKind::InvalidInput`] for an empty key, and for more than seven days,
    /// which most providers do not sign for. Stores of [`Client::store`] sign by themselves, without asking.
    #[doc(alias = "make_signed_url")]
    pub async fn sign_url(&self, id_or_name: &str, key: &str, expires_in: Duration) -> Result<Secret> {
        #[derive(serde::Deserialize)]
        struct Signed {
            url: String,
        }
        const OPERATION: &str = "apolo.bucket.sign_url";
        if key.is_empty() {
            let message = "the key of the object is empty";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_operation(OPERATION));
        }
        let body = json!({ "key": key, "expires_in_sec": expires_in.as_secs().max(1) });
        let request = self.one(Method::POST, id_or_name, "/sign_blob_url", OPERATION, Idempotent)?;
        let signed: Signed = self.client.call(request.json(&body)?).await?.json("a signed URL").await?;
        Ok(Secret::from(signed.url))
    }
}

/// The service's rule, and that a name does not end in `-` or `_`, which it refuses later and less clearly.
pub(crate) fn check_name(name: &str, operation: &'static str) -> Result<()> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = (3..=40).contains(&name.len())
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(|b| inner(b) || matches!(b, b'-' | b'_'))
        && name.bytes().last().is_some_and(inner);
    if good {
        return Ok(());
    }
    let message = format!(
        "{name:?} is not a name: 3 to 40 lower-case letters, digits, `-` and `_`, a letter first, letter or digit last"
    );
    Err(Error::new(ErrorKind::InvalidInput, message).with_operation(operation))
}

/// What may be the name or id of something that there is, also on old servers: what Kubernetes takes for a label. With
/// anything else the service fails, or takes the request for another one.
pub(crate) fn check_known(id_or_name: &str, operation: &'static str) -> Result<()> {
    let ends = [id_or_name.bytes().next(), id_or_name.bytes().last()];
    let good = id_or_name.len() <= 63
        && ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
        && id_or_name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if good {
        return Ok(());
    }
    let message = format!(
        "{id_or_name:?} is neither a name nor an id: up to 63 letters, digits, `-`, `_` and `.`, letter or digit at both ends"
    );
    Err(Error::new(ErrorKind::InvalidInput, message).with_operation(operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["abc", "a--b", "data_1"] {
            assert!(check_name(good, "x").is_ok(), "{good}");
        }
        for bad in ["ab", "Upper", "1abc", "abc-", "a_b-", "abc\n", "a.b", &"a".repeat(41)] {
            assert_eq!(check_name(bad, "x").unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }

    #[test]
    fn names_of_what_there_is() {
        for good in ["abc", "Old.name", "bucket-342d067e-903c-4b6f-8957-ab6f342739d3", &"a".repeat(63)] {
            assert!(check_known(good, "x").is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "has space", "acme/proj1/data", "-a", "a_", "a%2Fb", &"a".repeat(64)] {
            assert_eq!(check_known(bad, "x").unwrap_err().kind(), ErrorKind::InvalidInput, "{bad}");
        }
    }
}
