//! Buckets of a project, by the JSON interface: the XML interface lists a thousand of them and has no next page.

use futures_core::stream::BoxStream;
use http::{HeaderValue, Method, header};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Resource, Result};
use serde::Deserialize;

use super::store::GcsStore;
use crate::wire::{client::Client, pages, request::Request};

const LIST: &str = "gs.bucket.list_all";
const CREATE: &str = "gs.bucket.create";
const DELETE: &str = "gs.bucket.delete";

/// Where the JSON interface has the buckets.
const PATH: &str = "storage/v1/b";

const NO_PROJECT: &str = "no project of Google Cloud is set (GOOGLE_CLOUD_PROJECT)";

/// A page of a project's buckets.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Found {
    items: Vec<Bucket>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    name: String,
}

fn project(store: &GcsStore) -> Result<&str> {
    store.project.as_deref().ok_or_else(|| Error::new(ErrorKind::InvalidConfig, NO_PROJECT))
}

async fn page(service: Client, project: Result<String>, place: Option<String>) -> Result<pages::Page> {
    let call = CallInfo::new(LIST, Idempotency::Idempotent);
    let project = project.map_err(|error| error.with_call(&call))?;
    let request = Request::new(Method::GET, LIST, Idempotency::Idempotent, Resource::Endpoint)
        .key(PATH)
        .query("project", &project)
        .query("fields", "items/name,nextPageToken")
        .query_opt("pageToken", place);
    let found: Found = service.call(request).await?.json("a list of buckets").await?;
    Ok((found.items.into_iter().map(|bucket| bucket.name).collect(), found.next_page_token))
}

pub(super) fn list(store: &GcsStore) -> BoxStream<'static, Result<String>> {
    let service = store.store.client().service();
    let project = project(store).map(str::to_owned).map_err(|error| error.message().to_owned());
    let page = move |place| {
        let project = project.clone().map_err(|message| Error::new(ErrorKind::InvalidConfig, message));
        page(service.clone(), project, place)
    };
    pages::names(CallInfo::new(LIST, Idempotency::Idempotent), page)
}

pub(super) async fn create(store: &GcsStore) -> Result<()> {
    let resource = store.store.resource(None);
    // Repeated, it would find the bucket that it made itself.
    let call = CallInfo::new(CREATE, Idempotency::NotIdempotent).on(resource.clone());
    let project = project(store).map_err(|error| error.with_call(&call))?;
    let name = store.store.bucket().as_str();
    let mut request = Request::new(Method::POST, CREATE, Idempotency::NotIdempotent, resource)
        .key(PATH)
        .query("project", project)
        .body(serde_json::json!({ "name": name }).to_string());
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match store.store.client().service().call(request).await {
        Ok(answer) => answer.done().await.map(drop),
        // Ours, or somebody else's: names are shared by all projects.
        Err(error) if error.kind() == ErrorKind::Conflict => Err(error.with_kind(ErrorKind::AlreadyExists)),
        Err(error) => Err(error),
    }
}

pub(super) async fn delete(store: &GcsStore) -> Result<()> {
    let resource = store.store.resource(None);
    let request = Request::new(Method::DELETE, DELETE, Idempotency::NotIdempotent, resource)
        .key(&format!("{PATH}/{}", store.store.bucket()));
    store.store.client().service().call(request).await?.done().await.map(drop)
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::super::GcsBuilder;
    use super::*;

    fn store(server: &ScriptedService) -> GcsStore {
        let builder = GcsBuilder::new("b").endpoint("http://h:1").project("p 1").anonymous();
        builder.service(server.clone()).build().unwrap()
    }

    #[tokio::test]
    async fn buckets_are_listed_a_page_at_a_time() {
        let server = ScriptedService::replies([
            Reply::ok(r#"{"items": [{"name": "a", "kind": "storage#bucket"}], "nextPageToken": "n/1"}"#),
            Reply::ok(r#"{"kind": "storage#buckets", "items": [{"name": "b"}]}"#),
            Reply::ok("{}"),
        ]);
        let store = store(&server);
        let names: Vec<_> = store.list_buckets().try_collect().await.unwrap();
        assert_eq!(names, ["a", "b"]);
        assert!(store.list_buckets().try_next().await.unwrap().is_none());
        let asked: Vec<_> = server.requests().iter().map(|seen| seen.uri.to_string()).collect();
        assert_eq!(asked[0], "http://h:1/storage/v1/b?project=p%201&fields=items%2Fname%2CnextPageToken");
        assert_eq!(asked[1], format!("{}&pageToken=n%2F1", asked[0]));
    }

    #[tokio::test]
    async fn buckets_are_made_once_and_removed() {
        let taken = r#"{"error": {"code": 409, "message": "taken", "errors": [{"reason": "conflict"}]}}"#;
        let server = ScriptedService::replies([
            Reply::ok("{}"),
            Reply::status(409).body(taken),
            Reply::status(204),
            Reply::status(500),
        ]);
        let store = store(&server);
        store.create_bucket().await.unwrap();
        assert_eq!(store.create_bucket().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        store.delete_bucket().await.unwrap();
        let error = store.create_bucket().await.unwrap_err();
        assert!(error.to_string().starts_with("gs.bucket.create gs://b"), "{error}");
        let seen = server.requests();
        assert_eq!(
            seen.len(),
            4,
            "what made a bucket is not known after a lost answer, so nothing is repeated"
        );
        assert_eq!(seen[0].method, Method::POST);
        assert_eq!(seen[0].body.as_deref(), Some(&br#"{"name":"b"}"#[..]));
        assert_eq!((&seen[2].method, seen[2].uri.path()), (&Method::DELETE, "/storage/v1/b/b"));
    }

    #[tokio::test]
    async fn without_a_project_nothing_is_asked() {
        let server = ScriptedService::replies([]);
        let store = GcsBuilder::new("b").anonymous().service(server.clone()).build().unwrap();
        let error = store.list_buckets().try_next().await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidConfig && error.to_string().contains("GOOGLE_CLOUD_PROJECT")
        );
        assert_eq!(store.create_bucket().await.unwrap_err().kind(), ErrorKind::InvalidConfig);
        assert!(server.requests().is_empty());
    }
}
