//! Calls on the buckets service and on the platform.

use std::{future::Future, time::Duration};

use futures_util::TryStreamExt;
use longshore_apolo::{
    Bucket, BucketCredentials, Buckets, Client, CredentialMap, NewImport, PersistentCredentials, Provider,
};
use longshore_core_types::Result;
use longshore_transport::RetryConfig;
use serde_json::{Map, Value, json};

use super::Made;
use crate::{
    network::Network,
    recorded::{Request, Response, decode},
    replay::RUNTIME,
};

const BASE: &str = "http://localhost/api/v1/buckets";

/// Makes the call of a recorded request; `None` if no call makes it.
pub(super) fn call(request: &Request, response: &Response, network: &Network) -> Option<Made> {
    let token = request.header("authorization")?.strip_prefix("Bearer ")?.to_owned();
    let path = request.path.split('?').next()?;
    let (_, pairs) = request.target();
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let (org, project, owner) = (get("org_name"), get("project_name"), get("owner"));
    let document = request.json();
    let body = document.as_object().cloned().unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let only = |names: &[&str]| body.keys().all(|key| names.contains(&key.as_str()));
    let plain = pairs.iter().all(|(n, _)| ["org_name", "project_name", "owner"].contains(&n.as_str()));
    let lines = request.header("accept") == Some("application/x-ndjson");
    let mut builder = Client::builder().cluster("default-cluster").token(token);
    builder = builder.retry(RetryConfig::off()).service(network.service());
    if path == "/api/v1/config" {
        return Some(platform(builder, response, network));
    }
    builder = builder.buckets_url(BASE);
    let (body_org, body_project) = (text("org_name"), text("project_name"));
    if let Some(org) = org.or(body_org) {
        builder = builder.org(org);
    }
    if let Some(project) = project.clone().or(body_project) {
        builder = builder.project(project);
    }
    let client = RUNTIME.with_borrow(|runtime| runtime.block_on(builder.connect())).ok()?;
    let buckets = || match &owner {
        Some(owner) => client.buckets().of_owner(owner),
        None => client.buckets(),
    };
    let segments: Vec<&str> = path.strip_prefix("/api/v1/buckets/")?.split('/').collect();
    let empty = request.body().bytes().is_empty();
    // Two answers to who is asked for are one too many, and documents are called JSON.
    let (twice, typed) = (owner.is_some() && project.is_some(), request.header("content-type"));
    (!twice && (empty || typed == Some("application/json"))).then_some(())?;
    let ran = |result: Result<Value>, want: Value| Some(Made { result, want, asked: network.asked() });
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", ["buckets"]) if lines && plain && owner.is_none() => {
            let result =
                run(async { Ok(rows(&client.buckets().list().await?.try_collect::<Vec<_>>().await?)) });
            ran(result, wanted_lines(response))
        }
        ("POST", ["buckets"]) if only(&["name", "org_name", "project_name"]) && strings(&body) => {
            let name = text("name");
            ran(run(async { Ok(row(&client.buckets().create(name.as_deref()).await?)) }), wanted(response))
        }
        ("POST", ["buckets", "import", "external"]) => {
            let names =
                ["name", "org_name", "project_name", "provider", "provider_bucket_name", "credentials"];
            let import = only(&names).then(|| import(&body)).flatten()?;
            ran(run(async { Ok(row(&client.buckets().import_external(import).await?)) }), wanted(response))
        }
        ("GET", ["buckets", "find", "by_path"]) => {
            let wanted_path = get("path")?;
            let result = run(async { Ok(row(&client.buckets().by_path(&wanted_path).await?)) });
            ran(result, wanted(response))
        }
        ("GET", ["persistent_credentials"]) if lines && pairs.is_empty() => {
            let keys = client.persistent_credentials();
            let result = run(async {
                let found: Vec<_> = keys.list().await?.try_collect().await?;
                Ok(found.iter().map(keys_row).collect())
            });
            ran(result, wanted_lines(response))
        }
        ("POST", ["persistent_credentials"]) if only(&["name", "bucket_ids", "read_only"]) => {
            let ids = body.get("bucket_ids")?.as_array()?.iter().map(|id| id.as_str().map(str::to_owned));
            let (ids, read_only) = (ids.collect::<Option<Vec<_>>>()?, body.get("read_only")?.as_bool()?);
            let (keys, name) = (client.persistent_credentials(), text("name"));
            ran(
                run(async { Ok(keys_row(&keys.create(&ids, name.as_deref(), read_only).await?)) }),
                keys_wanted(response),
            )
        }
        (method, ["persistent_credentials", name]) if pairs.is_empty() => {
            let (keys, name) = (client.persistent_credentials(), decode(name));
            match method {
                "GET" => ran(run(async { Ok(keys_row(&keys.get(&name).await?)) }), keys_wanted(response)),
                "DELETE" => ran(run(async { keys.remove(&name).await.map(|()| Value::Null) }), Value::Null),
                _ => None,
            }
        }
        (method, ["buckets", name, rest @ ..]) if plain && !name.is_empty() => {
            let (buckets, name) = (buckets(), decode(name));
            let (result, want) = one(method, rest, &buckets, &name, &body, empty, response)?;
            ran(result, want)
        }
        _ => None,
    }
}

/// A call on one bucket.
fn one(
    method: &str,
    rest: &[&str],
    buckets: &Buckets,
    name: &str,
    body: &Map<String, Value>,
    empty: bool,
    response: &Response,
) -> Option<(Result<Value>, Value)> {
    Some(match (method, rest) {
        ("GET", []) => (run(async { Ok(row(&buckets.get(name).await?)) }), wanted(response)),
        ("DELETE", []) => (run(async { buckets.remove(name).await.map(|()| Value::Null) }), Value::Null),
        ("PATCH", []) if body.len() == 1 => {
            let public = body.get("public")?.as_bool()?;
            (run(async { Ok(row(&buckets.set_public_access(name, public).await?)) }), wanted(response))
        }
        ("POST", ["make_tmp_credentials"]) if empty => {
            let result = run(async { Ok(entry(&buckets.temporary_credentials(name).await?)) });
            (result, entry_wanted(&response.json()))
        }
        ("POST", ["sign_blob_url"]) if body.len() == 2 => {
            let key = body.get("key")?.as_str()?;
            let seconds = body.get("expires_in_sec")?.as_u64().filter(|seconds| *seconds > 0)?;
            let result = run(async {
                let url = buckets.sign_url(name, key, Duration::from_secs(seconds)).await?;
                Ok(json!(url.expose()))
            });
            (result, response.json()["url"].clone())
        }
        _ => return None,
    })
}

fn platform(builder: longshore_apolo::ClientBuilder, response: &Response, network: &Network) -> Made {
    let builder = builder.api_url("http://localhost/api/v1");
    let result = run(async {
        let here = builder.connect().await?.uri_defaults()?;
        Ok(json!([here.cluster, here.org, here.project]))
    });
    let document = response.json();
    let cluster = &document["clusters"][0];
    let want = json!([cluster["name"], cluster["orgs"][0], document["projects"][0]["name"]]);
    Made { result, want, asked: network.asked() }
}

fn run(future: impl Future<Output = Result<Value>>) -> Result<Value> {
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}

/// Whether every member is one that the call can send.
fn strings(body: &Map<String, Value>) -> bool {
    !body.is_empty()
        && body.iter().all(|(name, value)| value.is_string() || (name == "name" && value.is_null()))
}

fn import(body: &Map<String, Value>) -> Option<NewImport> {
    let provider = Provider::parse(body.get("provider")?.as_str()?);
    let mut import = NewImport::new(provider, body.get("provider_bucket_name")?.as_str()?);
    for (name, value) in body.get("credentials")?.as_object()? {
        import = import.with_credential(name, value.as_str()?);
    }
    Some(match body.get("name").and_then(Value::as_str) {
        Some(name) => import.with_name(name),
        None => import,
    })
}

const MEMBERS: &[&str] =
    &["id", "name", "owner", "org_name", "project_name", "provider", "imported", "public"];

fn pick(value: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| value[*name].clone()).collect()
}

fn wanted(response: &Response) -> Value {
    wanted_row(&response.json())
}

fn wanted_row(bucket: &Value) -> Value {
    // Credentials are listed in the same way.
    if bucket.get("credentials").is_some() {
        return keys_wanted_row(bucket);
    }
    let time = bucket["created_at"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    json!([pick(bucket, MEMBERS), time.map(|time| time.to_string())])
}

fn wanted_lines(response: &Response) -> Value {
    let text = String::from_utf8_lossy(&response.body().bytes()).into_owned();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .map(|row: Value| wanted_row(&row))
        .collect()
}

fn row(bucket: &Bucket) -> Value {
    let members = json!([
        bucket.id,
        bucket.name,
        bucket.owner,
        bucket.org_name,
        bucket.project_name,
        bucket.provider.as_str(),
        bucket.imported,
        bucket.public,
    ]);
    json!([members, bucket.created_at.map(|time| time.to_string())])
}

fn rows(buckets: &[Bucket]) -> Value {
    buckets.iter().map(row).collect()
}

fn map(credentials: &CredentialMap) -> Value {
    let pairs = credentials.secrets().map(|(name, value)| (name.to_owned(), json!(value.expose())));
    Value::Object(pairs.collect())
}

fn entry(found: &BucketCredentials) -> Value {
    json!([found.bucket_id, found.provider.as_str(), found.read_only, map(&found.credentials)])
}

fn entry_wanted(found: &Value) -> Value {
    pick(found, &["bucket_id", "provider", "read_only", "credentials"])
}

fn keys_row(found: &PersistentCredentials) -> Value {
    let entries: Vec<_> = found.credentials.iter().map(entry).collect();
    json!([found.id, found.name, found.owner, found.read_only, entries])
}

fn keys_wanted(response: &Response) -> Value {
    keys_wanted_row(&response.json())
}

fn keys_wanted_row(found: &Value) -> Value {
    let entries: Vec<_> = found["credentials"].as_array().into_iter().flatten().map(entry_wanted).collect();
    json!([found["id"], found["name"], found["owner"], found["read_only"], entries])
}
