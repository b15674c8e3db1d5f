//! Calls on objects, of the S3 store that the Apolo client opens.

use std::future::Future;

use longshore_blob_api::{
    BlobStore, DeleteOptions, Entry, GetOptions, HeadOptions, ListOptions, MultipartId, MultipartRef,
    PageToken, PartNumber, PartReceipt, PutOptions,
};
use longshore_core_types::{ByteRange, ObjectKey, Result};
use longshore_object_store::s3::{AwsCredentials, S3Builder};
use longshore_transport::RetryConfig;
use serde_json::{Value, json};

use super::Made;
use crate::{
    network::Network,
    recorded::{Body, Request, Response},
    replay::RUNTIME,
};

pub(super) fn call(request: &Request, response: &Response, network: &Network) -> Option<Made> {
    let (path, pairs) = request.target();
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let path = path.strip_prefix('/')?;
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let store = S3Builder::new(bucket)
        .endpoint("http://localhost")
        .credentials(AwsCredentials::new("AK", "secret"))
        .retry(RetryConfig::off())
        .service(network.service())
        .build()
        .ok()?;
    let body = || request.body().bytes();
    let ran = |result: Result<Value>, want: Value| Some(Made { result, want, asked: network.asked() });
    if key.is_empty() {
        let mut options = ListOptions::prefix(get("prefix")?);
        options.delimited = get("delimiter").is_some();
        let page = get("continuation-token").map(PageToken::new);
        (request.method == "GET").then_some(())?;
        let result = run(async {
            let page = store.list_page(&options, page).await?;
            let mut names: Vec<_> = page.entries.iter().map(listed).collect();
            names.sort();
            Ok(json!([names, page.next.is_some()]))
        });
        return ran(result, wanted_list(response));
    }
    let key = ObjectKey::new(key).ok()?;
    let upload = get("uploadId").map(|id| MultipartRef { key: key.clone(), id: MultipartId::new(id) });
    let text = || String::from_utf8_lossy(&response.body().bytes()).into_owned();
    match (request.method.as_str(), upload, get("partNumber")) {
        ("HEAD", None, None) => {
            let size = response.header("content-length").and_then(|size| size.parse::<u64>().ok());
            ran(run(async { Ok(json!(store.head(&key, HeadOptions::default()).await?.size)) }), json!(size))
        }
        ("GET", None, None) => {
            let mut options = GetOptions::default();
            if let Some(start) =
                request.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-'))
            {
                options = options.with_range(ByteRange::From(start.parse().ok()?));
            }
            let result = run(async { Ok(json!(store.get(&key, options).await?.bytes().await?.len())) });
            ran(result, json!(response.body().bytes().len()))
        }
        ("PUT", None, None) => {
            let result = run(async {
                store.put(&key, body().into(), PutOptions::default()).await.map(|_| Value::Null)
            });
            ran(result, Value::Null)
        }
        ("DELETE", None, None) => {
            let result =
                run(async { store.delete(&key, DeleteOptions::default()).await.map(|()| Value::Null) });
            ran(result, Value::Null)
        }
        ("POST", None, None) if get("uploads").is_some() => {
            let result = run(async {
                let id = store.create_multipart(&key, PutOptions::default()).await?;
                Ok(json!(id.as_str()))
            });
            ran(result, json!(between(&text(), "<UploadId>")))
        }
        ("PUT", Some(upload), Some(number)) => {
            let number = PartNumber::new(number.parse().ok()?).ok()?;
            let result =
                run(async { Ok(json!(store.upload_part(&upload, number, body().into()).await?.etag)) });
            ran(result, json!(response.header("etag")))
        }
        ("POST", Some(upload), None) => {
            let Body::Bytes(document) = request.body() else { return None };
            let receipts = parts(&String::from_utf8_lossy(&document)).into_iter().map(|(number, tag)| {
                // The length is not sent; short parts are refused.
                let mut receipt = PartReceipt::new(PartNumber::new(number).ok()?, 8 << 20);
                receipt.etag = Some(tag);
                Some(receipt)
            });
            let receipts = receipts.collect::<Option<Vec<_>>>()?;
            let result = run(async { Ok(json!(store.complete_multipart(&upload, receipts).await?.etag)) });
            ran(result, json!(between(&text(), "<ETag>").map(|tag| tag.replace("&quot;", "\""))))
        }
        ("DELETE", Some(upload), None) => {
            ran(run(async { store.abort_multipart(&upload).await.map(|()| Value::Null) }), Value::Null)
        }
        _ => None,
    }
}

pub(super) fn run(future: impl Future<Output = Result<Value>>) -> Result<Value> {
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}

fn listed(entry: &Entry) -> String {
    match entry {
        Entry::Object(meta) => format!("{} {} {:?}", meta.key, meta.size, meta.last_modified),
        other => other.name().to_owned(),
    }
}

/// What stands between a tag and the next one.
pub(super) fn between(text: &str, tag: &str) -> Option<String> {
    let start = text.find(tag)? + tag.len();
    Some(text[start..].split('<').next()?.to_owned())
}

fn wanted_list(response: &Response) -> Value {
    let text = String::from_utf8_lossy(&response.body().bytes()).into_owned();
    let decode = |name: String| crate::recorded::decode(&name);
    let mut names = Vec::new();
    for object in text.split("<Contents>").skip(1) {
        let key = between(object, "<Key>").map(decode).unwrap_or_default();
        let size = between(object, "<Size>").unwrap_or_default();
        let time = between(object, "<LastModified>").and_then(|time| time.parse::<jiff::Timestamp>().ok());
        names.push(format!("{key} {size} {:?}", time.map(std::time::SystemTime::from)));
    }
    for prefix in text.split("<CommonPrefixes>").skip(1) {
        names.push(between(prefix, "<Prefix>").map(decode).unwrap_or_default());
    }
    names.sort();
    json!([names, text.contains("<IsTruncated>true")])
}

/// Numbers and tags of the parts of a finished upload.
pub(super) fn parts(document: &str) -> Vec<(u32, String)> {
    let part = |part: &str| {
        let number = between(part, "<PartNumber>")?.parse().ok()?;
        Some((number, between(part, "<ETag>")?.replace("&quot;", "\"")))
    };
    document.split("<Part>").skip(1).filter_map(part).collect()
}
