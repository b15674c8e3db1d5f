//! Calls on objects: upload, download, information, move, copy, delete.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, Method, header, response::Parts};
use longshore_core_types::{
    BucketName, ByteRange, ContentRange, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Payload,
    Result,
};
use longshore_transport::encode_path;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Request;
use crate::{
    names::{bucket_resource, check_key, invalid, is_route, object_resource},
    transform::Transform,
};

use Idempotency::{Idempotent, NotIdempotent};

pub(crate) const X_UPSERT: HeaderName = HeaderName::from_static("x-upsert");
const X_METADATA: HeaderName = HeaderName::from_static("x-metadata");
const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");

/// Most bytes of metadata as JSON: they travel in a header, and the server reads 16 KiB of all headers.
const MOST_METADATA: usize = 8 << 10;

/// An object of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) bucket: BucketName,
    pub(crate) key: ObjectKey,
}

impl At {
    /// Refuses names that the service does not take.
    pub(crate) fn new(bucket: BucketName, key: ObjectKey) -> Result<Self> {
        check_key(key.as_str())?;
        Ok(Self { bucket, key })
    }

    /// Bucket and name as they stand in a path.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", encode_path(self.bucket.as_str()), encode_path(self.key.as_str()))
    }

    pub(crate) fn request(
        &self,
        method: Method,
        before: &str,
        operation: &'static str,
        idempotency: Idempotency,
    ) -> Request {
        Request::new(method, format!("{before}/{}", self.path()), operation, idempotency)
            .on(object_resource(&self.bucket, &self.key))
    }
}

/// What goes with the bytes of an upload.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileOptions {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) robots_tag: Option<String>,
    pub(crate) headers: HeaderMap,
}

impl FileOptions {
    fn put_on(&self, mut request: Request) -> Result<Request> {
        if let Some(kind) = &self.content_type {
            if !kind.contains('/') {
                return Err(invalid(format!("{kind:?} is not a content type such as text/plain")));
            }
            if kind.starts_with("multipart/form-data") {
                // The server would take the content for a form and store a part of it.
                return Err(invalid("an object cannot have the content type multipart/form-data"));
            }
            request = request.header(header::CONTENT_TYPE, kind)?;
        }
        if let Some(value) = &self.cache_control {
            request = request.header(header::CACHE_CONTROL, value)?;
        }
        if let Some(metadata) = &self.metadata {
            request = request.header(X_METADATA, encode_metadata(metadata)?)?;
        }
        if let Some(value) = &self.robots_tag {
            request = request.header(X_ROBOTS_TAG, value)?;
        }
        request.headers.extend(self.headers.clone());
        Ok(request)
    }
}

/// The user's metadata as JSON, if the service can hold it.
pub(crate) fn metadata_json(metadata: &Map<String, Value>) -> Result<String> {
    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(has_nul),
            Value::Object(pairs) => pairs.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
            _ => false,
        }
    }
    if metadata.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
        return Err(invalid("metadata cannot hold a NUL character"));
    }
    let json = serde_json::to_string(metadata)
        .map_err(|error| invalid("the metadata cannot be written as JSON").with_source(error))?;
    if json.len() > MOST_METADATA {
        let length = json.len();
        return Err(invalid(format!("the metadata has {length} bytes as JSON, more than {MOST_METADATA}")));
    }
    Ok(json)
}

fn encode_metadata(metadata: &Map<String, Value>) -> Result<String> {
    metadata_json(metadata).map(|json| STANDARD.encode(json))
}

/// How an upload treats an object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// It must not be there.
    Refuse,
    /// It is replaced.
    Replace,
    /// It is replaced, by the call that always does so.
    Update,
}

pub(crate) fn upload(at: &At, body: Payload, options: &FileOptions, over: Over) -> Result<Request> {
    let request = match over {
        Over::Refuse => {
            // Repeating one whose answer was lost would find the object that it made itself.
            at.request(Method::POST, "/object", "supabase.object.upload", NotIdempotent)
                .header(X_UPSERT, "false")?
        }
        Over::Replace => at
            .request(Method::POST, "/object", "supabase.object.upload", Idempotent)
            .header(X_UPSERT, "true")?,
        Over::Update => at.request(Method::PUT, "/object", "supabase.object.update", Idempotent),
    };
    options.put_on(request.body(body))
}

/// An upload by a signed URL; the token says whether it may replace.
pub(crate) fn upload_signed(at: &At, token: &str, body: Payload, options: &FileOptions) -> Result<Request> {
    let request = at
        .request(Method::PUT, "/object/upload/sign", "supabase.object.upload_signed", NotIdempotent)
        .query("token", token)
        .anonymous()
        .body(body);
    options.put_on(request)
}

/// By which route objects are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Who asks is checked, and a token that does not count is an error that says so.
    Authenticated,
    /// Who asks is looked at; without credentials that count, objects of public buckets can be read and all
    /// others do not seem to exist.
    Tolerant,
    /// Nobody is asked: objects of public buckets only.
    Public,
}

impl Access {
    fn segment(self) -> &'static str {
        match self {
            Self::Authenticated => "/authenticated",
            Self::Tolerant => "",
            Self::Public => "/public",
        }
    }

    /// Refuses what the service would answer with another object.
    fn check(self, bucket: &BucketName) -> Result<()> {
        if self == Self::Tolerant && is_route(bucket) {
            return Err(invalid(format!(
                "the bucket {bucket} cannot be read by this route, in which its name means something else: read it with \
                 credentials, or as a public one"
            )));
        }
        Ok(())
    }

    fn put_on(self, request: Request) -> Request {
        // A public object needs no key, and its URL is no secret.
        if self == Self::Public { Request { anonymous: true, ..request } } else { request }
    }
}

/// Options of a download.
#[derive(Clone, Debug, Default)]
pub(crate) struct GetParams {
    pub(crate) range: Option<ByteRange>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) transform: Option<Transform>,
    pub(crate) query: Vec<(String, String)>,
}

pub(crate) fn get(at: &At, access: Access, params: &GetParams) -> Result<Request> {
    let mut request = match &params.transform {
        None => {
            access.check(&at.bucket)?;
            let before = format!("/object{}", access.segment());
            at.request(Method::GET, &before, "supabase.object.get", Idempotent)
        }
        Some(transform) => {
            if params.range.is_some() {
                return Err(invalid("a range of a transformed image cannot be read: the server ignores it"));
            }
            // There is no route that would look the other way.
            let segment = if access == Access::Public { "public" } else { "authenticated" };
            let before = format!("/render/image/{segment}");
            let request = at.request(Method::GET, &before, "supabase.object.render", Idempotent);
            transform.put_on(request)?
        }
    };
    if let Some(range) = params.range {
        request = request.header(header::RANGE, range.to_header()?)?;
    }
    if let Some(tag) = &params.if_none_match {
        request = request.header(header::IF_NONE_MATCH, tag)?;
    }
    for (name, value) in &params.query {
        request = request.query(name, value);
    }
    Ok(access.put_on(request))
}

pub(crate) fn info(at: &At, access: Access) -> Result<Request> {
    access.check(&at.bucket)?;
    let before = format!("/object/info{}", access.segment());
    Ok(access.put_on(at.request(Method::GET, &before, "supabase.object.info", Idempotent)))
}

/// What the head of an answer to GET says.
#[derive(Debug)]
pub(crate) struct GetHead {
    pub(crate) meta: ObjectMeta,
    /// Which bytes the body holds; `None` if the answer does not tell its length.
    pub(crate) range: Option<std::ops::Range<u64>>,
}

pub(crate) fn parse_get(key: &ObjectKey, parts: &Parts) -> Result<GetHead> {
    let text = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let length = text(&header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let mut meta = ObjectMeta::new(key.clone(), 0);
    meta.etag = text(&header::ETAG).map(str::to_owned);
    meta.last_modified = text(&header::LAST_MODIFIED)
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
        .map(|date| date.timestamp().into());
    meta.attributes.content_type = text(&header::CONTENT_TYPE).map(str::to_owned);
    meta.attributes.cache_control = text(&header::CACHE_CONTROL).map(str::to_owned);
    let range = if parts.status == http::StatusCode::PARTIAL_CONTENT {
        let stated = text(&header::CONTENT_RANGE).and_then(ContentRange::parse);
        let Some(ContentRange { range: Some(range), total: Some(total) }) = stated else {
            let shown = text(&header::CONTENT_RANGE).unwrap_or("none");
            let message = format!("a part of the object without a usable Content-Range: {shown}");
            return Err(Error::new(ErrorKind::Protocol, message));
        };
        meta.size = total;
        Some(range)
    } else {
        meta.size = length.unwrap_or_default();
        length.map(|length| 0..length)
    };
    Ok(GetHead { meta, range })
}

/// Where a move or copy leads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relocation<'a> {
    bucket_id: &'a str,
    source_key: &'a str,
    destination_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_bucket: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_metadata: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<CopiedHeaders<'a>>,
}

/// Content headers that replace those of the source.
#[derive(Serialize)]
struct CopiedHeaders<'a> {
    #[serde(rename = "cacheControl")]
    cache_control: &'a str,
    mimetype: &'a str,
}

fn relocation<'a>(from: &'a At, to: &'a At) -> Relocation<'a> {
    Relocation {
        bucket_id: from.bucket.as_str(),
        source_key: from.key.as_str(),
        destination_key: to.key.as_str(),
        destination_bucket: (from.bucket != to.bucket).then_some(to.bucket.as_str()),
        copy_metadata: None,
        metadata: None,
    }
}

pub(crate) fn relocate(from: &At, to: &At) -> Result<Request> {
    Request::new(Method::POST, "/object/move", "supabase.object.move", NotIdempotent)
        .on(object_resource(&from.bucket, &from.key))
        .json(&relocation(from, to))
}

/// Options of a copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyParams {
    /// Sent as a header if it is set; the server takes its absence for `false`.
    pub(crate) upsert: Option<bool>,
    /// Stored beside the copy instead of what stands beside the source.
    pub(crate) replace: Option<FileOptions>,
}

pub(crate) fn copy(from: &At, to: &At, params: &CopyParams) -> Result<Request> {
    let idempotency = if params.upsert == Some(true) { Idempotent } else { NotIdempotent };
    let mut request = Request::new(Method::POST, "/object/copy", "supabase.object.copy", idempotency)
        .on(object_resource(&from.bucket, &from.key));
    if let Some(upsert) = params.upsert {
        request = request.header(X_UPSERT, upsert.to_string())?;
    }
    let mut body = relocation(from, to);
    if let Some(options) = &params.replace {
        body.copy_metadata = Some(false);
        // What is left out would be kept from the source.
        body.metadata = Some(CopiedHeaders {
            cache_control: options.cache_control.as_deref().unwrap_or("no-cache"),
            mimetype: options.content_type.as_deref().unwrap_or("application/octet-stream"),
        });
        let metadata = options.metadata.clone().unwrap_or_default();
        request = request.header(X_METADATA, encode_metadata(&metadata)?)?;
    }
    request.json(&body)
}

pub(crate) fn delete(at: &At) -> Request {
    at.request(Method::DELETE, "/object", "supabase.object.delete", Idempotent)
}

/// Deletes objects by their exact names.
pub(crate) fn remove<'a>(bucket: &BucketName, keys: impl IntoIterator<Item = &'a str>) -> Result<Request> {
    #[derive(Serialize)]
    struct Names<'a> {
        prefixes: Vec<&'a str>,
    }
    let names = Names { prefixes: keys.into_iter().collect() };
    if names.prefixes.is_empty() {
        return Err(invalid("no object is named that is to be removed"));
    }
    let path = format!("/object/{}", encode_path(bucket.as_str()));
    Request::new(Method::DELETE, path, "supabase.object.remove", Idempotent)
        .on(bucket_resource(bucket))
        .json(&names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(key: &str) -> At {
        At::new(BucketName::new("b").unwrap(), ObjectKey::new(key).unwrap()).unwrap()
    }

    fn options(kind: &str) -> FileOptions {
        FileOptions { content_type: Some(kind.to_owned()), ..FileOptions::default() }
    }

    #[test]
    fn bad_names_are_refused() {
        let bucket = BucketName::new("b").unwrap();
        for key in ["ü", "a#b", "a/../b"] {
            let error = At::new(bucket.clone(), ObjectKey::new(key).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        }
    }

    #[test]
    fn buckets_that_are_called_like_a_route() {
        let at = |bucket: &str| {
            At::new(BucketName::new(bucket).unwrap(), ObjectKey::new("photos/cat.jpg").unwrap()).unwrap()
        };
        let path = |bucket, access| get(&at(bucket), access, &GetParams::default()).map(|found| found.path);
        for bucket in ["public", "authenticated", "info", "sign"] {
            // It would be the object cat.jpg of a bucket photos.
            assert_eq!(
                path(bucket, Access::Tolerant).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bucket}"
            );
            assert!(info(&at(bucket), Access::Tolerant).is_err(), "{bucket}");
            let public = path(bucket, Access::Public).unwrap();
            assert_eq!(public, format!("/object/public/{bucket}/photos/cat.jpg"));
        }
        assert_eq!(path("b", Access::Tolerant).unwrap(), "/object/b/photos/cat.jpg");
    }

    #[test]
    fn uploads_say_what_becomes_of_an_object_that_is_there() {
        for (over, method, header, idempotency) in [
            (Over::Refuse, Method::POST, Some("false"), NotIdempotent),
            (Over::Replace, Method::POST, Some("true"), Idempotent),
            (Over::Update, Method::PUT, None, Idempotent),
        ] {
            let request = upload(&at("a b"), "x".into(), &FileOptions::default(), over).unwrap();
            assert_eq!((request.method, request.path.as_str()), (method, "/object/b/a%20b"));
            assert_eq!(request.headers.get(X_UPSERT).map(|v| v.to_str().unwrap()), header);
            assert_eq!(request.call.idempotency, idempotency);
        }
    }

    #[test]
    fn content_that_would_be_taken_for_something_else() {
        for kind in ["text", "multipart/form-data; boundary=x", "a/b\n"] {
            assert!(upload(&at("k"), "x".into(), &options(kind), Over::Replace).is_err(), "{kind}");
        }
    }

    #[test]
    fn metadata_must_fit_into_a_header() {
        let with = |value: String| Map::from_iter([("k".to_owned(), Value::String(value))]);
        assert!(metadata_json(&with("x".repeat(8000))).is_ok());
        assert!(metadata_json(&with("x".repeat(9000))).is_err());
        assert!(metadata_json(&with("a\0b".to_owned())).is_err());
    }

    #[test]
    fn routes_of_reading() {
        for (access, path) in [
            (Access::Authenticated, "/object/authenticated/b/k"),
            (Access::Tolerant, "/object/b/k"),
            (Access::Public, "/object/public/b/k"),
        ] {
            let request = get(&at("k"), access, &GetParams::default()).unwrap();
            assert_eq!(request.path, path);
            assert_eq!(request.anonymous, access == Access::Public);
        }
        let rendered = GetParams { transform: Some(Transform::new().width(10)), ..GetParams::default() };
        assert_eq!(
            get(&at("k"), Access::Tolerant, &rendered).unwrap().path,
            "/render/image/authenticated/b/k"
        );
        let ranged = GetParams { range: Some((0..1).into()), ..rendered };
        assert!(get(&at("k"), Access::Public, &ranged).is_err());
    }

    #[test]
    fn empty_ranges_are_refused() {
        for range in [ByteRange::from(5..5), ByteRange::Bounded { start: 5, end: 2 }, ByteRange::Suffix(0)] {
            let params = GetParams { range: Some(range), ..GetParams::default() };
            let error = get(&at("k"), Access::Authenticated, &params).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{range}");
        }
    }

    #[test]
    fn a_part_must_say_which() {
        let parts = |range: &str| {
            let answer = http::Response::builder().status(206).header("content-range", range);
            answer.body(()).unwrap().into_parts().0
        };
        let key = ObjectKey::new("k").unwrap();
        let head = parse_get(&key, &parts("bytes 2-4/10")).unwrap();
        assert_eq!((head.range, head.meta.size), (Some(2..5), 10));
        assert_eq!(parse_get(&key, &parts("bytes 2-4/*")).unwrap_err().kind(), ErrorKind::Protocol);
    }
}
