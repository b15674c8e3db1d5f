//! Listings.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{escape, xml};
use crate::aistore::buckets::Bucket;
use crate::aistore::cloud::{self, Cloud};
use crate::aistore::error::Result;
use crate::aistore::gotime;
use crate::aistore::multipart;
use crate::aistore::node::Cx;
use crate::aistore::objects::Object;
use crate::aistore::reply::Reply;
use crate::aistore::s3::object::stored_etag;
use crate::s3::Query;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01\"";
/// Most entries of a page.
const MAX_KEYS: usize = 1000;

pub(super) fn buckets(cx: &Cx) -> Reply {
    let (mut list, mut seen) = (String::new(), HashMap::new());
    for bucket in cx.cluster.buckets.list(None, None) {
        let created = bucket.props()["created"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        let created = gotime::format(created, "2006-01-02T15:04:05.000Z");
        let (name, provider) = (bucket.name.name.clone(), bucket.name.provider.as_str());
        // S3 knows one bucket of a name.
        let warning = seen.insert(name.clone(), provider).map_or_else(String::new, |other| {
            format!(
                " (WARNING: {{{name}, Provider: {other}}} and {{{name}, Provider: {provider}}} share the same name)"
            )
        });
        let _ = write!(
            list,
            "<Bucket><Name>{name}</Name><CreationDate>{created}</CreationDate><String>Provider: {provider}{warning}\
             </String></Bucket>"
        );
    }
    xml(&format!(
        "<ListAllMyBucketsResult {NAMESPACE}><Owner><ID>1</ID><DisplayName>ListAllMyBucketsResult</DisplayName></Owner>\
         <Buckets>{list}</Buckets></ListAllMyBucketsResult>"
    ))
}

/// A page of a listing, as it is written.
#[derive(Debug, Default)]
struct Page {
    contents: String,
    prefixes: Vec<String>,
    count: usize,
    /// Where the next page goes on; empty on the last.
    next: String,
}

impl Page {
    fn push(&mut self, name: &str, modified: i64, etag: &str, size: u64) {
        self.count += 1;
        let modified = gotime::format(modified, "2006-01-02T15:04:05Z07:00");
        let _ = write!(
            self.contents,
            "<Contents><Key>{}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag><StorageClass>\
             </StorageClass><Size>{size}</Size></Contents>",
            escape(name),
        );
    }
}

/// Both generations of object listings; what the page size cannot mean is ignored.
pub(super) fn objects(cx: &Cx, bucket: &Bucket) -> Result<Reply> {
    let value = |name| cx.query.value(name);
    let limit = value("max-keys").parse::<usize>().ok().filter(|n| *n > 0).unwrap_or(MAX_KEYS).min(MAX_KEYS);
    let page = match cloud::behind(cx.cluster.cloud.as_ref(), bucket) {
        Some((cloud, name)) => page_of_cloud(cx, cloud, name, limit)?,
        None => page_here(cx, bucket, limit)?,
    };
    let mut common = String::new();
    for prefix in &page.prefixes {
        let _ = write!(common, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(prefix));
    }
    let (name, next) = (&bucket.name.name, escape(&page.next));
    let truncated = !next.is_empty();
    // Version 1 goes on by a marker of its own.
    let more = match (truncated, value("list-type").is_empty()) {
        (false, _) => String::new(),
        (true, true) => format!("<NextMarker>{next}</NextMarker>"),
        (true, false) => format!("<NextContinuationToken>{next}</NextContinuationToken>"),
    };
    let Page { contents, count, .. } = page;
    Ok(xml(&format!(
        "<ListBucketResult {NAMESPACE}><Name>{name}</Name><Prefix></Prefix><ContinuationToken>{next}\
         </ContinuationToken>{more}{contents}{common}<KeyCount>{count}</KeyCount><MaxKeys>{limit}</MaxKeys>\
         <IsTruncated>{truncated}</IsTruncated></ListBucketResult>"
    )))
}

/// The name behind which a page begins.
fn after(cx: &Cx) -> &str {
    let value = |name| cx.query.value(name);
    [value("continuation-token"), value("start-after"), value("marker")].into_iter().max().unwrap_or_default()
}

fn page_of_cloud(cx: &Cx, cloud: &Cloud, bucket: &str, limit: usize) -> Result<Page> {
    let level = !cx.query.value("delimiter").is_empty();
    let asked = Query { prefix: cx.query.value("prefix"), level, after: after(cx), max: limit };
    let found = cloud.list(bucket, asked)?;
    let mut page = Page { count: found.prefixes.len(), ..Page::default() };
    if found.more {
        page.next = found.last().unwrap_or_default().to_owned();
    }
    for entry in found.entries {
        let etag = if entry.etag.contains('-') { "" } else { &entry.etag };
        page.push(&entry.name, entry.modified, etag, entry.size);
    }
    page.prefixes = found.prefixes;
    Ok(page)
}

fn page_here(cx: &Cx, bucket: &Bucket, limit: usize) -> Result<Page> {
    let (prefix, flat) = (cx.query.value("prefix"), cx.query.value("delimiter").is_empty());
    let (token, after) = (cx.query.value("continuation-token"), after(cx));
    let from = if after.is_empty() { prefix.to_owned() } else { format!("{after}\0").max(prefix.to_owned()) };
    let snapshot = cx.cluster.storage.snapshot()?;
    let walk = snapshot.walk(bucket.id)?;
    let mut page = Page::default();
    let mut last = String::new();
    for item in walk.from(&from)? {
        let (name, record) = item?;
        if !name.starts_with(prefix) {
            break;
        }
        let directory =
            if flat { None } else { name[prefix.len()..].find('/').map(|n| &name[..=prefix.len() + n]) };
        let known = |d: &&str| {
            page.prefixes.last().is_some_and(|p| p == d) || (!token.is_empty() && token.starts_with(*d))
        };
        if name.contains("//") || directory.as_ref().is_some_and(known) {
            last.clone_from(&name);
            continue;
        }
        if page.count == limit {
            page.next = last;
            break;
        }
        if let Some(directory) = directory {
            page.count += 1;
            page.prefixes.push(directory.to_owned());
        } else {
            page.push(&name, record.mtime, stored_etag(&record).unwrap_or_default(), record.size);
        }
        last = name;
    }
    Ok(page)
}

pub(super) fn uploads(cx: &Cx, bucket: &Bucket) -> Result<Reply> {
    let mut list = String::new();
    for (id, upload) in cx.cluster.storage.snapshot()?.uploads()? {
        if upload.key.bucket == bucket.id {
            let started = gotime::format(upload.started, "2006-01-02T15:04:05.999999999Z07:00");
            let key = escape(&upload.key.name);
            let _ = write!(
                list,
                "<Upload><Initiated>{started}</Initiated><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"
            );
        }
    }
    let name = &bucket.name.name;
    Ok(xml(&format!(
        "<ListMultipartUploadsResult><Bucket>{name}</Bucket><UploadIdMarker></UploadIdMarker>{list}<MaxUploads>0\
         </MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
    )))
}

pub(super) fn parts(cx: &Cx, object: &Object) -> Result<Reply> {
    let id = cx.query.value("uploadId");
    let mut list = String::new();
    let (dialect, parts) = multipart::parts(cx, object, id)?;
    for (number, part) in parts {
        // Parts of the native dialect have none.
        let etag = match dialect {
            multipart::Dialect::S3 => format!("&#34;{}&#34;", multipart::part_hex(&part)),
            multipart::Dialect::Native => String::new(),
        };
        let _ = write!(list, "<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>");
    }
    let (bucket, key, id) = (&object.bucket.name.name, escape(&object.key.name), escape(id));
    Ok(xml(&format!(
        "<ListPartsResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>{list}</ListPartsResult>"
    )))
}
