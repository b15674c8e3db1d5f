//! Calls on one object: HEAD, GET, PUT, PATCH, DELETE, copy, rename.

use std::collections::BTreeMap;

use http::{Method, header, response::Parts};
use longshore_core_types::{ByteRange, ContentRange, Error, ErrorKind, Idempotency, Payload, Result};
use longshore_transport::encode_path;
use serde_json::Value;

use super::{Request, headers, headers::object_props};
use crate::{
    names::{BucketRef, check_custom, invalid, namespace_uname},
    object::{
        options::{
            ArchiveFormat, ArchiveSelect, BlobRead, EtlCall, HeadProp, ObjectAt, Presence, go_duration,
        },
        props::ObjectProps,
    },
};

use Idempotency::{Idempotent, NotIdempotent};

/// The call that reads an object.
pub(crate) const READ: &str = "aistore.object.get";

/// `provider` and, if it is not the global one, `namespace`.
pub(crate) fn with_bucket(request: Request, bucket: &BucketRef) -> Request {
    let namespace = bucket.namespace();
    request.query("provider", bucket.provider().as_str()).query_if(
        !namespace.is_global(),
        "namespace",
        &namespace_uname(namespace),
    )
}

/// A call on one object.
pub(crate) fn on_object(
    method: Method,
    at: &ObjectAt,
    operation: &'static str,
    idempotency: Idempotency,
) -> Request {
    let path = format!("/v1/objects/{}/{}", at.bucket().name(), encode_path(at.key().as_str()));
    let request = Request::new(method, path, operation, idempotency);
    with_bucket(request, at.bucket()).on(at.bucket().object_resource(at.key()))
}

/// Options of a HEAD.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadParams {
    pub(crate) props: Vec<HeadProp>,
    pub(crate) presence: Option<Presence>,
    pub(crate) latest: bool,
}

/// HEAD of the second generation, which answers what it is asked for.
pub(crate) fn head(at: &ObjectAt, params: &HeadParams) -> Result<Request> {
    if params.latest && !at.bucket().is_remote() {
        return Err(invalid(format!(
            "{}: only objects of remote buckets have a latest version to compare with",
            at.bucket()
        )));
    }
    if params.presence == Some(Presence::Outside) {
        return Err(invalid("presence outside the cluster can be asked of buckets only"));
    }
    // Without `props` the server takes its first generation of HEAD.
    let props = if params.props.is_empty() { &[HeadProp::Name, HeadProp::Size][..] } else { &params.props };
    let props: Vec<&str> = props.iter().map(|prop| prop.as_str()).collect();
    let mut request = on_object(Method::HEAD, at, "aistore.object.head", Idempotent);
    if let Some(presence) = params.presence {
        request = request.query("presence", presence.as_str());
    }
    Ok(request.query("props", &props.join(",")).query_if(params.latest, "latest-ver", "true"))
}

/// HEAD of the first generation, for servers that know no other.
pub(crate) fn head_v1(at: &ObjectAt) -> Request {
    on_object(Method::HEAD, at, "aistore.object.head", Idempotent)
}

/// What a HEAD answered. The first generation leaves a zero size out.
pub(crate) fn parse_head(parts: &Parts) -> ObjectProps {
    let mut props = object_props(&parts.headers);
    props.size = headers::number(&parts.headers, &header::CONTENT_LENGTH).unwrap_or_default();
    props
}

/// Options of a GET.
#[derive(Clone, Debug, Default)]
pub(crate) struct GetParams {
    pub(crate) range: Option<ByteRange>,
    pub(crate) archive: Option<ArchiveSelect>,
    pub(crate) archive_format: Option<ArchiveFormat>,
    pub(crate) etl: Option<EtlCall>,
    pub(crate) latest: bool,
    pub(crate) validate_checksum: bool,
    pub(crate) blob: Option<BlobRead>,
}

impl GetParams {
    /// Whether the body is the object's own bytes, which its checksum describes.
    pub(crate) fn is_plain(&self) -> bool {
        self.archive.is_none() && self.etl.is_none()
    }
}

pub(crate) fn get(at: &ObjectAt, params: &GetParams) -> Result<Request> {
    let mut request = on_object(Method::GET, at, READ, Idempotent);
    if let Some(range) = params.range {
        if params.archive.is_some() {
            return Err(invalid("a byte range of an archive's members cannot be read"));
        }
        if params.blob.is_some() {
            return Err(invalid("a byte range cannot be read through the blob downloader"));
        }
        request = request.header(header::RANGE, range.to_header()?)?;
    }
    request = match &params.archive {
        Some(select) => archive_query(request, at, select, params.archive_format)?,
        None => request,
    };
    request = etl_query(request, params.etl.as_ref())?;
    request = request.query_if(params.latest, "latest-ver", "true").query_if(
        params.validate_checksum,
        "validate-checksum",
        "true",
    );
    match &params.blob {
        Some(blob) => blob_headers(request, at, blob),
        None => Ok(request),
    }
}

fn archive_query(
    request: Request,
    at: &ObjectAt,
    select: &ArchiveSelect,
    format: Option<ArchiveFormat>,
) -> Result<Request> {
    let request = match select {
        ArchiveSelect::Member(path) => {
            if path.trim_start_matches('/').is_empty() {
                return Err(invalid("the path inside the archive is empty"));
            }
            if path.split('/').any(|part| part == "..") {
                return Err(invalid(format!("the path {path:?} inside the archive contains `..`")));
            }
            request.query("archpath", path)
        }
        ArchiveSelect::Matching { mode, pattern } => {
            // A shard whose name says nothing is recognised by its content, which may turn out to be ZIP.
            let by_name = ArchiveFormat::from_name(at.key().as_str());
            match format.or(by_name) {
                _ if [format, by_name].contains(&Some(ArchiveFormat::Zip)) => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        "a pattern on a ZIP archive would lock the object for good; read single members",
                    ));
                }
                None => {
                    return Err(invalid(format!(
                        "the name {} does not say which format the archive has: state it",
                        at.key()
                    )));
                }
                Some(_) => {}
            }
            if pattern.is_empty() {
                return Err(invalid("an empty pattern matches every member: read the object itself"));
            }
            request.query("archregx", pattern).query("archmode", mode.as_str())
        }
    };
    Ok(match format {
        Some(format) => request.query("archmime", format.as_str()),
        None => request,
    })
}

fn etl_query(request: Request, etl: Option<&EtlCall>) -> Result<Request> {
    let Some(etl) = etl else { return Ok(request) };
    etl.check()?;
    let request = request.query("etl_name", &etl.name).query_if(
        !etl.pipeline.is_empty(),
        "etl_pipeline",
        &etl.pipeline.join(","),
    );
    Ok(match &etl.args {
        Some(args) => request.query("etl_args", args),
        None => request,
    })
}

fn blob_headers(request: Request, at: &ObjectAt, blob: &BlobRead) -> Result<Request> {
    if !at.bucket().is_remote() {
        return Err(invalid(format!("{}: the blob downloader reads remote buckets only", at.bucket())));
    }
    if blob.workers.is_some_and(|workers| workers > 128) {
        return Err(invalid("the blob downloader has 128 workers at most"));
    }
    let mut request = request
        .header(headers::BLOB_DOWNLOAD, "true")?
        .header(headers::BLOB_THRESHOLD, blob.threshold.to_string())?;
    if let Some(size) = blob.chunk_size {
        request = request.header(headers::BLOB_CHUNK, size.to_string())?;
    }
    if let Some(workers) = blob.workers {
        request = request.header(headers::BLOB_WORKERS, workers.to_string())?;
    }
    if let Some(timeout) = blob.chunk_timeout {
        request = request.header(headers::BLOB_TIMEOUT, go_duration(timeout))?;
    }
    Ok(request)
}

/// What the head of an answer to GET says.
#[derive(Debug)]
pub(crate) struct GetHead {
    /// Of the whole object, also when a range was asked for.
    pub(crate) props: ObjectProps,
    /// Which bytes the body holds; `None` if its length is not known (selections of an archive, ETL).
    pub(crate) range: Option<std::ops::Range<u64>>,
}

pub(crate) fn parse_get(parts: &Parts, ranged: bool) -> Result<GetHead> {
    let mut props = object_props(&parts.headers);
    let length = headers::number(&parts.headers, &header::CONTENT_LENGTH);
    let partial = parts.status == http::StatusCode::PARTIAL_CONTENT;
    if partial != ranged {
        let message =
            if ranged { "the answer ignores the byte range" } else { "an unasked part of the object" };
        return Err(Error::new(ErrorKind::Protocol, message).with_status(parts.status));
    }
    if !partial {
        props.size = length.unwrap_or_default();
        return Ok(GetHead { props, range: length.map(|length| 0..length) });
    }
    let text = headers::text(&parts.headers, &header::CONTENT_RANGE).unwrap_or_default();
    let Some(ContentRange { range: Some(range), total: Some(total) }) = ContentRange::parse(&text) else {
        let message = format!("the answer's `Content-Range` {text:?} is not one");
        return Err(Error::new(ErrorKind::Protocol, message).with_status(parts.status));
    };
    props.size = total;
    Ok(GetHead { props, range: Some(range) })
}

/// PUT of a whole object. There is never a checksum header in front of the body: if it equals the checksum
/// of the stored object, the server drops the new body and its metadata.
pub(crate) fn put(
    at: &ObjectAt,
    body: Payload,
    custom: &BTreeMap<String, String>,
    skip_version_check: bool,
) -> Result<Request> {
    check_custom(custom.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
    let mut request = on_object(Method::PUT, at, "aistore.object.put", Idempotent)
        .query_if(skip_version_check, "skip_vc", "true")
        .body(body);
    for (key, value) in custom {
        request = request.header(headers::CUSTOM, format!("{key}={value}"))?;
    }
    Ok(request)
}

/// What an answer to PUT says; the size is not in it.
pub(crate) fn parse_put(parts: &Parts) -> ObjectProps {
    object_props(&parts.headers)
}

/// PATCH of custom metadata: adds to the keys that are there, or replaces them all.
pub(crate) fn patch_custom(
    at: &ObjectAt,
    custom: &BTreeMap<String, String>,
    replace: bool,
) -> Result<Request> {
    check_custom(custom.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
    on_object(Method::PATCH, at, "aistore.object.set_custom", Idempotent)
        .query_if(replace, "set-new-custom", "true")
        .action("", "", custom)
}

/// DELETE, with no body at all: the server deletes also on an action that it does not know.
pub(crate) fn delete(at: &ObjectAt) -> Request {
    on_object(Method::DELETE, at, "aistore.object.delete", Idempotent)
}

/// Drops the cluster's copy of a remote object. Refused for buckets of the cluster itself, where the server
/// would delete the object.
pub(crate) fn evict(at: &ObjectAt) -> Result<Request> {
    check_remote(at.bucket(), "evicting")?;
    on_object(Method::DELETE, at, "aistore.object.evict", Idempotent).action(
        "evict-listrange",
        "",
        &Value::Null,
    )
}

/// Refuses a call that makes sense only where objects live outside the cluster.
pub(crate) fn check_remote(bucket: &BucketRef, what: &str) -> Result<()> {
    if bucket.is_remote() {
        return Ok(());
    }
    Err(invalid(format!("{what} works on remote buckets only, and {bucket} lives in the cluster")))
}

/// Another name in the same bucket.
pub(crate) fn rename(at: &ObjectAt, to: &ObjectAt) -> Result<Request> {
    if at.bucket() != to.bucket() {
        return Err(invalid("an object can be renamed inside its bucket only"));
    }
    if at.bucket().is_remote() {
        return Err(invalid(format!("{}: objects of remote buckets cannot be renamed", at.bucket())));
    }
    if at.key() == to.key() {
        return Err(invalid(format!("{} is the name already", at.key())));
    }
    on_object(Method::POST, at, "aistore.object.rename", NotIdempotent).action(
        "rename-obj",
        to.key().as_str(),
        &Value::Null,
    )
}

/// Asks whether somebody reads or writes the object right now.
pub(crate) fn check_lock(at: &ObjectAt) -> Result<Request> {
    on_object(Method::POST, at, "aistore.object.check_lock", Idempotent).action(
        "check-lock",
        "",
        &Value::Null,
    )
}

/// Options of a copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyParams {
    pub(crate) etl: Option<EtlCall>,
    pub(crate) latest: bool,
    pub(crate) sync: bool,
}

/// Copies one object inside the cluster, also between buckets and providers.
pub(crate) fn copy(from: &ObjectAt, to: &ObjectAt, params: &CopyParams) -> Result<Request> {
    if params.sync {
        check_remote(from.bucket(), "synchronizing")?;
    }
    let request = on_object(Method::PUT, from, "aistore.object.copy", Idempotent)
        .query("object_to", &to.uname())
        .query_if(params.latest, "latest-ver", "true")
        .query_if(params.sync, "synchronize", "true");
    etl_query(request, params.etl.as_ref())
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ObjectKey;

    use super::*;
    use crate::object::options::ArchiveMode;

    fn at(bucket: &str, key: &str) -> ObjectAt {
        ObjectAt::new(bucket.parse().unwrap(), ObjectKey::new(key).unwrap()).unwrap()
    }

    #[test]
    fn paths_and_queries() {
        let request = head(&at("data", "dir/my obj"), &HeadParams::default()).unwrap();
        assert_eq!(request.path, "/v1/objects/data/dir/my%20obj");
        assert_eq!(request.query.as_str(), "provider=ais&props=name,size");
        let request = copy(&at("data", "a"), &at("aws://c", "b/x"), &CopyParams::default()).unwrap();
        assert_eq!(request.query.as_str(), "provider=ais&object_to=aws%2F%40%23%2Fc%2Fb%2Fx");
    }

    #[test]
    fn what_would_harm_is_refused() {
        let here = at("data", "shard.zip");
        let params = HeadParams { latest: true, ..HeadParams::default() };
        assert!(head(&here, &params).is_err());
        assert!(head(&at("aws://data", "x"), &params).is_ok());
        assert!(evict(&here).is_err());

        let outside = HeadParams { presence: Some(Presence::Outside), ..HeadParams::default() };
        assert!(head(&here, &outside).is_err());
        assert!(rename(&here, &here).is_err());
        assert!(rename(&here, &at("other", "x")).is_err());
        let sync = CopyParams { sync: true, ..CopyParams::default() };
        assert!(copy(&here, &at("data", "x"), &sync).is_err());

        let matching = ArchiveSelect::Matching { mode: ArchiveMode::Prefix, pattern: "a".into() };
        let mut params = GetParams { archive: Some(matching), ..GetParams::default() };
        assert_eq!(get(&here, &params).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(get(&at("data", "noext"), &params).is_err());
        assert!(get(&at("data", "s.tar"), &params).is_ok());
        params.archive_format = Some(ArchiveFormat::Zip);
        assert!(get(&at("data", "s.tar"), &params).is_err());
        params.archive_format = None;
        params.range = Some(ByteRange::From(0));
        assert!(get(&at("data", "s.tar"), &params).is_err());

        for empty in [ByteRange::Bounded { start: 4, end: 4 }, ByteRange::Suffix(0)] {
            assert!(get(&here, &GetParams { range: Some(empty), ..GetParams::default() }).is_err());
        }
        let blob = GetParams { blob: Some(BlobRead::default()), ..GetParams::default() };
        assert!(get(&here, &blob).is_err());
        let request = get(&at("gcp://data", "x"), &blob).unwrap();
        assert_eq!(request.headers[headers::BLOB_THRESHOLD], "1");
    }

    #[test]
    fn partial_answers() {
        let parts = |status: u16, range: &str| {
            let response = http::Response::builder().status(status).header("content-range", range);
            response.header("content-length", "0").body(()).unwrap().into_parts().0
        };
        let head = parse_get(&parts(206, "bytes 0--1/0"), true).unwrap();
        assert_eq!((head.props.size, head.range), (0, Some(0..0)));
        assert!(parse_get(&parts(200, ""), true).is_err());
        assert!(parse_get(&parts(206, "bytes 0-1/2"), false).is_err());
        assert!(parse_get(&parts(206, "nonsense"), true).is_err());
    }
}
