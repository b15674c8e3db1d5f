//! Which call of the client a recorded request is.
//!
//! Reading is strict: a request that holds anything that the call would not send is no request of that call.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use longshore_aistore::{Bucket, Client, Object};
use longshore_blob_api::BlobStore;
use longshore_core_types::Result;
use serde_json::{Map, Value, json};

use crate::{
    batch_calls::batch_call,
    bucket_calls::{bucket_call, bucket_info, list_buckets},
    job_calls::{cluster_call, objects_call},
    node_calls::{health, node_call, remote_cluster},
    object_calls::{object_call, upload},
    recorded::{Group, Request, Response},
    service_calls::{download_call, dsort_call, etl_call},
    wanted::{self, Want},
};

type Running = Pin<Box<dyn Future<Output = Result<Value>>>>;

/// A call of the client, and what its answer must be read as.
pub(crate) struct Call {
    pub(crate) run: Box<dyn FnOnce(Client) -> Running>,
    pub(crate) want: Want,
    /// Answers to requests that the call makes before the recorded ones.
    pub(crate) beforehand: Vec<Response>,
    /// Answers to requests that the call makes after the recorded ones.
    pub(crate) afterwards: Vec<Response>,
}

impl Call {
    pub(crate) fn new<F, Fut>(want: Want, run: F) -> Self
    where
        F: FnOnce(Client) -> Fut + 'static,
        Fut: Future<Output = Result<Value>> + 'static,
    {
        Self {
            run: Box::new(move |client| Box::pin(run(client))),
            want,
            beforehand: Vec::new(),
            afterwards: Vec::new(),
        }
    }
}

/// Query pairs, taken out one by one: what is left over belongs to no call.
pub(crate) struct Pairs(pub(crate) Vec<(String, String)>);

impl Pairs {
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1)
    }

    /// `Some(false)` if absent; `None` if it has another value than the client sends.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name).as_deref() {
            None => Some(false),
            Some("true") => Some(true),
            Some(_) => None,
        }
    }

    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The call of a recorded request; `None` if no call makes it.
pub(crate) fn read(group: &Group) -> Option<Call> {
    let request = &group.hops[0].request;
    let answer = group.hops.last().and_then(|hop| hop.response.as_ref());
    let verify = answer.is_none_or(|answer| answer.body().is_complete());
    let (path, pairs) = request.target();
    let mut pairs = Pairs(pairs);
    let raw_path = request.path.split('?').next().unwrap_or_default();
    if let Some(rest) = raw_path.strip_prefix("/v1/objects/") {
        let Some((bucket, name)) = rest.split_once('/') else {
            let place = place(rest, &mut pairs)?;
            return objects_call(request, place, &pairs);
        };
        let place = place(bucket, &mut pairs)?;
        return object_call(request, place, crate::recorded::decode(name), pairs, verify);
    }
    if let Some(bucket) = raw_path.strip_prefix("/v1/buckets/") {
        if let (Some(count), true) = (pairs.take("bsumm_remote"), request.method == "HEAD") {
            return bucket_info(bucket, &count, pairs);
        }
        let place = place(bucket, &mut pairs)?;
        return bucket_call(request, place, pairs);
    }
    if let Some(rest) = path.strip_prefix("/s3/") {
        return s3_call(request, rest, pairs);
    }
    if let Some(bucket) = path.strip_prefix("/v1/ml/moss") {
        return batch_call(request, bucket.trim_start_matches('/'), pairs);
    }
    match (request.method.as_str(), path.as_str()) {
        ("GET", "/v1/buckets") => list_buckets(request, pairs),
        (_, "/v1/cluster") => cluster_call(request, pairs),
        ("GET", "/v1/daemon") => {
            (pairs.take("what")? == "smap").then_some(())?;
            pairs.end()?;
            Some(Call::new(wanted::map, |client| async move {
                let map = client.cluster().map().await?;
                let nodes = |nodes: &BTreeMap<String, longshore_aistore::Node>| -> Value {
                    nodes
                        .iter()
                        .map(|(id, node)| {
                            (id.clone(), json!([node.public_net.url, node.flags, node.id_digest]))
                        })
                        .collect::<Map<_, _>>()
                        .into()
                };
                Ok(json!({
                    "uuid": map.uuid, "version": map.version, "primary": map.primary.id,
                    "gateways": nodes(&map.gateways), "targets": nodes(&map.targets),
                }))
            }))
        }
        ("GET", "/v1/reverse/daemon") => node_call(request, pairs),
        ("GET", "/v1/health") => health(pairs),
        ("PUT", "/v1/cluster/attach" | "/v1/cluster/detach") => remote_cluster(request, &path, pairs),
        (_, path) if path == "/v1/etl" || path.starts_with("/v1/etl/") => etl_call(request, path, pairs),
        (_, path) if path == "/v1/sort" || path.starts_with("/v1/sort/") => dsort_call(request, path, pairs),
        (_, path) if path == "/v1/download" || path.starts_with("/v1/download/") => {
            download_call(request, path, &pairs)
        }
        _ => None,
    }
}

/// How the client names the bucket: by its URL. What it cannot name at all is left to the client to refuse.
#[derive(Clone)]
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn bucket(&self, client: &Client) -> Result<Bucket> {
        client.bucket(&self.0)
    }

    /// Whether the bucket lives outside the cluster.
    pub(crate) fn is_remote(&self) -> bool {
        !self.0.starts_with("ais://")
    }

    pub(crate) fn object(&self, client: &Client, name: &str) -> Result<Object> {
        self.bucket(client)?.object(name)
    }
}

pub(crate) fn place(bucket: &str, pairs: &mut Pairs) -> Option<Place> {
    let provider = pairs.take("provider")?;
    // The client sends canonical names only.
    ["ais", "aws", "azure", "gcp", "oci", "ht"].contains(&provider.as_str()).then_some(())?;
    let bucket = crate::recorded::decode(bucket);
    (!bucket.is_empty()).then_some(())?;
    Some(Place(match pairs.take("namespace") {
        None => format!("{provider}://{bucket}"),
        // The global namespace is never sent, and one without sign is not a namespace.
        Some(namespace) if namespace == "@#" || !namespace.contains(['@', '#']) => return None,
        Some(namespace) => format!("{provider}://{namespace}/{bucket}"),
    }))
}

fn s3_call(request: &Request, path: &str, mut pairs: Pairs) -> Option<Call> {
    (request.method == "GET").then_some(())?;
    if let Some((bucket, name)) = path.split_once('/') {
        let upload = upload(name, &pairs.take("uploadId")?)?;
        pairs.end()?;
        let place = Place(format!("ais://{bucket}"));
        return Some(Call::new(wanted::parts, move |client| async move {
            let parts = place.bucket(&client)?.store().list_parts(&upload).await?;
            Ok(parts.iter().map(|part| json!([part.number.get(), part.etag])).collect())
        }));
    }
    pairs.take("uploads")?;
    let prefix = pairs.take("prefix").unwrap_or_default();
    pairs.end()?;
    let place = Place(format!("ais://{path}"));
    Some(Call::new(wanted::uploads, move |client| async move {
        let page = place.bucket(&client)?.store().list_uploads(&prefix, None).await?;
        let upload = |info: &longshore_blob_api::UploadInfo| {
            json!([info.upload.key.as_str(), info.upload.id.as_str(), info.started.is_some()])
        };
        Ok(page.uploads.iter().map(upload).collect())
    }))
}
