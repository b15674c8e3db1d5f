//! Calls on objects, of the Azure store that the Apolo client opens.

use longshore_blob_api::{
    BlobStore, DeleteOptions, Entry, GetOptions, HeadOptions, ListOptions, MultipartRef, PartNumber,
    PartReceipt, PutOptions,
};
use longshore_core_types::{ByteRange, ObjectKey, Result, Secret};
use longshore_object_store::azure::{AzureBuilder, AzureCredentials};
use longshore_transport::RetryConfig;
use serde_json::{Value, json};

use super::{
    Made, differs, header,
    objects::{between, run},
};
use crate::{
    network::{Asked, Network},
    recorded::{Request, Response},
};

/// What a shared access signature puts into a query.
const SIGNATURE: [&str; 5] = ["se=", "sp=", "sv=", "sr=", "sig="];

pub(super) fn call(request: &Request, response: &Response, network: &Network) -> Option<Made> {
    let (path, pairs) = request.target();
    let get = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let (account, path) = path.strip_prefix('/')?.split_once('/')?;
    let (container, key) = path.split_once('/').unwrap_or((path, ""));
    let (_, query) = request.path.split_once('?')?;
    let signature = query.split('&').filter(|pair| SIGNATURE.iter().any(|name| pair.starts_with(name)));
    let signature = signature.collect::<Vec<_>>().join("&");
    let store = AzureBuilder::new(container)
        .endpoint(format!("http://localhost/{account}"))
        .credentials(AzureCredentials::Sas(Secret::from(signature)))
        .retry(RetryConfig::off())
        .service(network.service())
        .build()
        .ok()?;
    let body = || request.body().bytes();
    let ran = |result: Result<Value>, want: Value| Some(Made { result, want, asked: network.asked() });
    if key.is_empty() {
        let mut options = ListOptions::prefix(get("prefix")?);
        options.delimited = get("delimiter").is_some();
        let result = run(async {
            let page = store.list_page(&options, None).await?;
            let mut names: Vec<_> = page.entries.iter().map(listed).collect();
            names.sort();
            Ok(json!([names, page.next.is_some()]))
        });
        return ran(result, wanted_list(response));
    }
    let key = ObjectKey::new(key).ok()?;
    let begun = || {
        let id =
            run(async { Ok(json!(store.create_multipart(&key, PutOptions::default()).await?.as_str())) });
        let id = id.ok()?.as_str().map(longshore_blob_api::MultipartId::new)?;
        Some(MultipartRef { key: key.clone(), id })
    };
    match (request.method.as_str(), get("comp").as_deref()) {
        ("HEAD", None) => {
            let result = run(async {
                let meta = store.head(&key, HeadOptions::default()).await?;
                Ok(json!([meta.size, time(meta.last_modified), time(meta.created)]))
            });
            let number = response.header("content-length").and_then(|size| size.parse::<u64>().ok());
            let date = |name: &str| time(response.header(name).and_then(date));
            ran(result, json!([number, date("last-modified"), date("x-ms-creation-time")]))
        }
        ("GET", None) => {
            let (start, end) = request.header("x-ms-range")?.strip_prefix("bytes=")?.split_once('-')?;
            let end = end.parse::<u64>().ok()?.checked_add(1)?;
            let range = ByteRange::Bounded { start: start.parse().ok()?, end };
            let options = GetOptions::default().with_range(range);
            let result = run(async { Ok(json!(store.get(&key, options).await?.bytes().await?.len())) });
            ran(result, json!(response.body().bytes().len()))
        }
        ("PUT", None) => {
            let mut options = PutOptions::default();
            options.create_only = request.header("if-none-match") == Some("*");
            ran(run(async { Ok(json!(store.put(&key, body().into(), options).await?.etag)) }), tag(response))
        }
        ("DELETE", None) => {
            let result =
                run(async { store.delete(&key, DeleteOptions::default()).await.map(|()| Value::Null) });
            ran(result, Value::Null)
        }
        ("PUT", Some("block")) => {
            let upload = begun()?;
            let number = PartNumber::from_index(0);
            let result = run(async {
                store.upload_part(&upload, number, body().into()).await.map(|part| json!(part.size))
            });
            ran(result, json!(body().len()))
        }
        ("PUT", Some("blocklist")) => {
            let upload = begun()?;
            let blocks = u32::try_from(String::from_utf8_lossy(&body()).matches("<Latest>").count()).ok()?;
            let parts = (0..blocks).map(|index| PartReceipt::new(PartNumber::from_index(index), 1));
            let parts = parts.collect();
            ran(run(async { Ok(json!(store.complete_multipart(&upload, parts).await?.etag)) }), tag(response))
        }
        _ => None,
    }
}

fn tag(response: &Response) -> Value {
    json!(response.header("etag"))
}

fn time(time: Option<std::time::SystemTime>) -> String {
    format!("{time:?}")
}

fn date(text: &str) -> Option<std::time::SystemTime> {
    let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
    Some(zoned.timestamp().into())
}

fn listed(entry: &Entry) -> String {
    match entry {
        Entry::Object(meta) => {
            format!("{} {} {} {}", meta.key, meta.size, time(meta.last_modified), time(meta.created))
        }
        other => other.name().to_owned(),
    }
}

fn wanted_list(response: &Response) -> Value {
    let text = String::from_utf8_lossy(&response.body().bytes()).into_owned();
    let mut names = Vec::new();
    for blob in text.split("<Blob>").skip(1) {
        let get = |tag: &str| between(blob, tag).unwrap_or_default();
        let (changed, made) = (date(&get("<Last-Modified>")), date(&get("<Creation-Time>")));
        names.push(format!("{} {} {} {}", get("<Name>"), get("<Content-Length>"), time(changed), time(made)));
    }
    for prefix in text.split("<BlobPrefix>").skip(1) {
        names.push(between(prefix, "<Name>").unwrap_or_default());
    }
    names.sort();
    json!([names, between(&text, "<NextMarker>").is_some_and(|marker| !marker.is_empty())])
}

/// Path and query without the ids of blocks, which are the client's own.
pub(super) fn comparable(
    (path, mut pairs): (String, Vec<(String, String)>),
) -> (String, Vec<(String, String)>) {
    for (name, value) in &mut pairs {
        if name == "blockid" {
            value.clear();
        }
    }
    (path, pairs)
}

/// Kind and condition of a write. The signature is in the URL, so nothing is in a header.
pub(super) fn same_headers(recorded: &Request, asked: &Asked) -> std::result::Result<(), String> {
    for name in ["x-ms-blob-type", "if-none-match", "if-match", "authorization"] {
        let (found, want) = (header(asked, name), recorded.header(name).unwrap_or_default());
        if found != want {
            return differs(name, &found, &want);
        }
    }
    Ok(())
}
