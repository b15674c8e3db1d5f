//! Which call of the client a recorded request is.
//!
//! Reading is strict: a request that holds anything that the call would not send is no request of that call.

use std::{future::Future, pin::Pin};

use base64::{Engine, engine::general_purpose::STANDARD};
use longshore_core_types::Result;
use longshore_supabase::Client;
use serde_json::{Map, Value, json};

use super::{bucket_calls, object_calls, tus_calls, vector_calls};
use crate::recorded::{Request, Response, decode};

type Running = Pin<Box<dyn Future<Output = Result<Value>>>>;

/// What an answer must be read as, by the recording alone.
pub(crate) type Want = fn(&Request, &Response) -> Value;

/// A call of the client, and what its answer must be read as.
pub(crate) struct Call {
    pub(crate) run: Box<dyn FnOnce(Client) -> Running>,
    pub(crate) want: Want,
    /// Answers to requests that the call makes after the recorded one.
    pub(crate) afterwards: Vec<Response>,
}

impl Call {
    pub(crate) fn new<F, Fut>(want: Want, run: F) -> Self
    where
        F: FnOnce(Client) -> Fut + 'static,
        Fut: Future<Output = Result<Value>> + 'static,
    {
        Self { run: Box::new(move |client| Box::pin(run(client))), want, afterwards: Vec::new() }
    }
}

/// The call of a recorded request; `None` if no call makes it.
pub(crate) fn read(request: &Request) -> Option<Call> {
    // The client writes both headers, and `Bearer` in one way.
    match request.header("authorization") {
        Some(value) => {
            value.strip_prefix("Bearer ").filter(|token| !token.is_empty())?;
        }
        None if request.header("apikey").is_some() && !needs_no_token(request) => return None,
        None => {}
    }
    let raw = request.path.split('?').next()?;
    // Headers that mean nothing to the call are not sent with it.
    let stores = raw.starts_with("/object/") || raw.starts_with("/upload/");
    let strange = request.header("x-metadata").is_some() && !stores
        || request.header("x-upsert") == Some("true")
            && (raw == "/object/move" || request.method == "PUT" && raw.starts_with("/object/upload/sign/"));
    (!strange).then_some(())?;
    let segments: Vec<&str> = raw.strip_prefix('/')?.split('/').collect();
    match segments[..] {
        ["status" | "version" | "health"] | ["bucket" | "cdn", ..] => bucket_calls::read(request, &segments),
        ["object" | "render", ..] => object_calls::read(request, &segments),
        ["upload", "resumable", ..] => tus_calls::read(request, &segments),
        ["iceberg" | "vector", ..] => vector_calls::read(request, &segments),
        _ => None,
    }
}

/// The token of a request, which the client gets as its key.
pub(crate) fn token(request: &Request) -> Option<&str> {
    request.header("authorization")?.strip_prefix("Bearer ")
}

/// Whether the server looks at no token here, so that the client sends none.
pub(crate) fn needs_no_token(request: &Request) -> bool {
    let public =
        ["/object/public/", "/object/info/public/", "/render/image/public/", "/upload/resumable/sign"];
    public.iter().any(|start| request.path.starts_with(start))
        || request.method == "PUT" && request.path.starts_with("/object/upload/sign/")
}

/// The rest of a path as a name.
pub(crate) fn name(segments: &[&str]) -> Option<String> {
    let name = decode(&segments.join("/"));
    (!name.is_empty()).then_some(name)
}

/// A JSON object, sent as one.
pub(crate) fn body(request: &Request) -> Option<Map<String, Value>> {
    let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    match request.json() {
        Value::Object(map) if is_json => Some(map),
        _ => None,
    }
}

/// A body that says nothing.
pub(crate) fn no_body(request: &Request) -> Option<()> {
    let bytes = request.body().bytes();
    (bytes.is_empty() || bytes == b"{}").then_some(())
}

pub(crate) fn from_base64(text: &str) -> Option<Value> {
    serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()
}

/// What a body says, with what the server takes for granted and without what it ignores.
pub(crate) fn meaning(method: &str, path: &str, mut value: Value) -> Value {
    let Value::Object(map) = &mut value else { return value };
    let part = |n: usize| path.split('/').nth(n).unwrap_or_default();
    match (method, part(1), part(2)) {
        ("POST", "bucket", "") => {
            if map.get("type").is_some_and(|kind| kind == "STANDARD") {
                map.remove("type");
            }
            if let Some(name) = map.get("name").cloned() {
                map.entry("id").or_insert(name);
            }
        }
        ("PUT", "bucket", _) => {
            map.remove("id");
            map.remove("name");
        }
        ("POST", "object", "list") => {
            map.entry("limit").or_insert(json!(100));
            map.entry("offset").or_insert(json!(0));
            let sort = map.entry("sortBy").or_insert(json!({"column": "name", "order": "asc"}));
            if let Value::Object(sort) = sort {
                sort.entry("order").or_insert(json!("asc"));
            }
        }
        ("POST", "object", "sign") => {
            // Clients put it into the body although only the URL's counts.
            map.remove("download");
            if let Some(seconds) =
                map.get("expiresIn").and_then(Value::as_str).and_then(|s| s.parse::<u64>().ok())
            {
                map.insert("expiresIn".into(), json!(seconds));
            }
            if map.get("transform").is_some_and(|transform| *transform == json!({})) {
                map.remove("transform");
            }
        }
        ("POST", "vector", _) => {
            // What is said by default.
            map.retain(|_, value| *value != Value::Bool(false));
            let whole = |number: &mut Value| *number = json!(number.as_f64());
            for vector in map.get_mut("vectors").and_then(Value::as_array_mut).into_iter().flatten() {
                vector["data"]["float32"].as_array_mut().into_iter().flatten().for_each(whole);
            }
            let asked = map.get_mut("queryVector").and_then(|vector| vector["float32"].as_array_mut());
            asked.into_iter().flatten().for_each(whole);
        }
        ("POST", "object", "move" | "copy") if map.get("destinationBucket") == map.get("bucketId") => {
            map.remove("destinationBucket");
        }
        _ => {}
    }
    value
}
