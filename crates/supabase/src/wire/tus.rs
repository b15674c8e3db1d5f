//! Resumable uploads, by the protocol tus 1.0.0.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderName, Method, header, response::Parts};
use longshore_core_types::{Error, ErrorKind, Idempotency, Payload, Result, Secret};

use super::{
    Request,
    object::{At, FileOptions, X_UPSERT, metadata_json},
};
use crate::names::{invalid, object_resource};

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const SIGNATURE: HeaderName = HeaderName::from_static("x-signature");
const VERSION: &str = "1.0.0";

/// What lets an upload in.
#[derive(Clone, Debug)]
pub(crate) enum Permit {
    /// Who asks; whether an object that is there may be replaced is said with every request.
    Caller { upsert: bool },
    /// A signed upload's token, which says the rest.
    Token(Secret),
}

impl Permit {
    fn path(&self) -> &'static str {
        match self {
            Self::Caller { .. } => "/upload/resumable",
            Self::Token(_) => "/upload/resumable/sign",
        }
    }

    fn put_on(&self, request: Request) -> Result<Request> {
        let request = request.header(RESUMABLE, VERSION)?;
        match self {
            Self::Caller { upsert } => request.header(X_UPSERT, if *upsert { "true" } else { "false" }),
            Self::Token(token) => request.anonymous().secret_header(SIGNATURE, token.expose()),
        }
    }
}

/// An upload that was begun: the object, and the server's id, which is all that its URL is made of.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) at: At,
    pub(crate) id: String,
    pub(crate) permit: Permit,
}

impl Upload {
    fn request(&self, method: Method, operation: &'static str, idempotency: Idempotency) -> Result<Request> {
        let path = format!("{}/{}", self.permit.path(), self.id);
        let request = Request::new(method, path, operation, idempotency)
            .on(object_resource(&self.at.bucket, &self.at.key));
        self.permit.put_on(request)
    }

    /// The version that the object will have.
    pub(crate) fn version(&self) -> Option<String> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&self.id).ok()?).ok()?;
        Some(text.rsplit_once('/')?.1.to_owned())
    }

    /// Whether the id is one of an upload of this object.
    pub(crate) fn is_of_its_object(&self) -> bool {
        let decoded = URL_SAFE_NO_PAD.decode(&self.id).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let name = decoded.as_deref().and_then(|text| text.rsplit_once('/')).map(|(name, _)| name);
        name == Some(&format!("{}/{}", self.at.bucket, self.at.key))
    }
}

/// `Cache-Control` as resumable uploads can say it: a number of seconds, or nothing for `no-cache`.
fn cache_seconds(value: &str) -> Result<Option<u64>> {
    if value == "no-cache" {
        return Ok(None);
    }
    let seconds = value.strip_prefix("max-age=").unwrap_or(value);
    seconds.parse().map(Some).map_err(|_| {
        Error::new(
            ErrorKind::Unsupported,
            format!(
                "a resumable upload cannot set the cache control {value:?}, only `max-age=SECONDS` or `no-cache`"
            ),
        )
    })
}

/// The value of `Upload-Metadata`.
pub(crate) fn metadata(at: &At, options: &FileOptions) -> Result<String> {
    if options.robots_tag.is_some() || !options.headers.is_empty() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "a resumable upload carries no headers of its object",
        ));
    }
    let mut pairs = vec![("bucketName", at.bucket.to_string()), ("objectName", at.key.to_string())];
    if let Some(kind) = &options.content_type {
        if !kind.contains('/') {
            return Err(invalid(format!("{kind:?} is not a content type such as text/plain")));
        }
        pairs.push(("contentType", kind.clone()));
    }
    if let Some(seconds) = options.cache_control.as_deref().map(cache_seconds).transpose()?.flatten() {
        pairs.push(("cacheControl", seconds.to_string()));
    }
    if let Some(metadata) = &options.metadata {
        pairs.push(("metadata", metadata_json(metadata)?));
    }
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value))).collect();
    Ok(pairs.join(","))
}

/// Begins an upload of `length` bytes, or of a length that is said later.
pub(crate) fn create(
    at: &At,
    permit: &Permit,
    length: Option<u64>,
    options: &FileOptions,
) -> Result<Request> {
    let request =
        Request::new(Method::POST, permit.path(), "supabase.resumable.create", Idempotency::Idempotent)
            .on(object_resource(&at.bucket, &at.key));
    let request = permit.put_on(request)?;
    let request = match length {
        Some(length) => request.header(LENGTH, length.to_string())?,
        None => request.header(DEFER_LENGTH, "1")?,
    };
    request.header(METADATA, metadata(at, options)?)
}

/// The id of the upload that was begun: the last part of its URL. Host and path of the URL are the server's idea of
/// itself, which proxies make wrong, so nothing else of it is used.
pub(crate) fn parse_create(parts: &Parts) -> Result<String> {
    let location = parts.headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let path = location.map(|location| location.split(['?', '#']).next().unwrap_or_default());
    let id = path.and_then(|path| path.trim_end_matches('/').rsplit('/').next()).unwrap_or_default();
    let is_id =
        |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_id(id) {
        return Ok(id.to_owned());
    }
    Err(Error::new(ErrorKind::Protocol, "the answer does not say where the upload is"))
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) offset: u64,
    /// `None` as long as nobody said it.
    pub(crate) length: Option<u64>,
}

impl Progress {
    pub(crate) fn is_complete(self) -> bool {
        self.length == Some(self.offset)
    }
}

pub(crate) fn head(upload: &Upload) -> Result<Request> {
    upload.request(Method::HEAD, "supabase.resumable.offset", Idempotency::Idempotent)
}

fn number(parts: &Parts, name: &HeaderName) -> Option<u64> {
    parts.headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

pub(crate) fn parse_head(parts: &Parts) -> Result<Progress> {
    match number(parts, &OFFSET) {
        Some(offset) => Ok(Progress { offset, length: number(parts, &LENGTH) }),
        None => Err(Error::new(ErrorKind::Protocol, "the answer does not say how far the upload is")),
    }
}

/// Sends bytes that start at `offset`. With `length` it also says how long the whole is.
///
/// The server compares the offset, so a repetition of what has arrived is refused and harms nothing.
pub(crate) fn patch(upload: &Upload, offset: u64, body: Payload, length: Option<u64>) -> Result<Request> {
    let request = upload
        .request(Method::PATCH, "supabase.resumable.send", Idempotency::Idempotent)?
        .header(header::CONTENT_TYPE, "application/offset+octet-stream")?
        .header(OFFSET, offset.to_string())?
        .body(body);
    match length {
        Some(length) => request.header(LENGTH, length.to_string()),
        None => Ok(request),
    }
}

pub(crate) fn parse_patch(parts: &Parts) -> Result<u64> {
    Ok(parse_head(parts)?.offset)
}

pub(crate) fn delete(upload: &Upload) -> Result<Request> {
    upload.request(Method::DELETE, "supabase.resumable.abort", Idempotency::Idempotent)
}

#[cfg(test)]
mod tests {
    use longshore_core_types::{BucketName, ObjectKey};
    use serde_json::{Map, json};

    use super::*;

    fn at() -> At {
        At::new(BucketName::new("tus").unwrap(), ObjectKey::new("dir/file.txt").unwrap()).unwrap()
    }

    fn upload(id: &str, permit: Permit) -> Upload {
        Upload { at: at(), id: id.to_owned(), permit }
    }

    fn created(location: &str) -> Result<String> {
        let answer = http::Response::builder().header("location", location).body(()).unwrap();
        parse_create(&answer.into_parts().0)
    }

    #[test]
    fn every_request_says_whether_it_may_replace() {
        let upload = upload("id", Permit::Caller { upsert: true });
        let requests = [head(&upload), patch(&upload, 0, "x".into(), None), delete(&upload)];
        for request in requests.map(Result::unwrap) {
            assert_eq!(request.headers[X_UPSERT], "true", "{}", request.method);
            assert_eq!(request.headers[RESUMABLE], VERSION);
            assert_eq!(request.path, "/upload/resumable/id");
        }
    }

    #[test]
    fn a_signature_goes_with_every_request_and_nothing_else_does() {
        let upload = upload("id", Permit::Token(Secret::from("sesame")));
        let create = create(&at(), &upload.permit, Some(3), &FileOptions::default());
        let requests = [create, head(&upload), patch(&upload, 0, "x".into(), None), delete(&upload)];
        for request in requests.map(Result::unwrap) {
            assert!(request.anonymous && request.call.sensitive);
            assert!(request.headers[SIGNATURE].is_sensitive());
            assert!(!request.headers.contains_key(X_UPSERT));
            assert!(request.path.starts_with("/upload/resumable/sign"));
        }
    }

    #[test]
    fn only_the_id_of_a_location_counts() {
        for location in [
            "http://localhost/upload/resumable/abc-_9",
            "https://wrong.example:8443/storage/v1/upload/resumable/abc-_9?x=1",
            "/upload/resumable/abc-_9/",
        ] {
            assert_eq!(created(location).unwrap(), "abc-_9");
        }
        for location in ["", "http://localhost/upload/resumable/a%2Fb", "http://h/x/a b"] {
            assert_eq!(created(location).unwrap_err().kind(), ErrorKind::Protocol, "{location}");
        }
    }

    #[test]
    fn ids_name_their_object_and_version() {
        let id = URL_SAFE_NO_PAD.encode("tus/dir/file.txt/18f86885-bf0b");
        let ours = upload(&id, Permit::Caller { upsert: true });
        assert!(ours.is_of_its_object());
        assert_eq!(ours.version().as_deref(), Some("18f86885-bf0b"));
        for other in ["tus/dir/file.txt", "tus/dir/other.txt/18f8", "x"] {
            let upload = upload(&URL_SAFE_NO_PAD.encode(other), Permit::Caller { upsert: true });
            assert!(!upload.is_of_its_object(), "{other}");
        }
        assert!(!upload("no/such?id", Permit::Caller { upsert: true }).is_of_its_object());
    }

    #[test]
    fn metadata_of_the_upload() {
        let mut options = FileOptions {
            content_type: Some("text/plain".to_owned()),
            cache_control: Some("max-age=60".to_owned()),
            metadata: Some(Map::from_iter([("a".to_owned(), json!(1))])),
            ..FileOptions::default()
        };
        assert_eq!(
            metadata(&at(), &options).unwrap(),
            "bucketName dHVz,objectName ZGlyL2ZpbGUudHh0,contentType dGV4dC9wbGFpbg==,cacheControl NjA=,\
             metadata eyJhIjoxfQ=="
        );
        options.cache_control = Some("public, max-age=60".to_owned());
        assert_eq!(metadata(&at(), &options).unwrap_err().kind(), ErrorKind::Unsupported);
        options.cache_control = Some("no-cache".to_owned());
        assert!(!metadata(&at(), &options).unwrap().contains("cacheControl"));
    }
}
