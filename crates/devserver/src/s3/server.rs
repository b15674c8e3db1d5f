//! The listener: signatures are checked, faults have their way, the journal is written.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPECT, RANGE, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use s3s::route::S3Route;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::stream::ByteStream as _;
use s3s::{Body, S3Request, S3Response, S3Result};
use tokio::sync::mpsc;

use super::catalog::Catalog;
use super::keys::{self, Gate, Keys};
use super::objects::{FullAt, Skew, object_key};
use super::{AnyName, Shop, Unsigned, answer, meta};
use crate::aistore::query::decode_path;
use crate::fault::{Candidate, FaultKind, Faults, Plan};
use crate::http::{Abort, Conn, Handler, JournalRef, ReqBody, ResBody, Restart, Source, misbehave};
use crate::journal::{Journal, JournalEntry, NodeKind};
use crate::storage::Storage;

/// An S3 endpoint.
#[derive(Debug)]
pub(crate) struct Server {
    service: S3Service,
    shop: Shop,
    restarts: mpsc::Sender<Restart>,
    faults: Arc<Faults>,
    journal: Arc<Journal>,
}

/// What a request asks for, before anything is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Operation {
    name: &'static str,
    bucket: Option<String>,
    key: Option<String>,
    /// The body that counts is the request's.
    upload: bool,
}

fn classify(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> Operation {
    let has = |name: &str| {
        query.split('&').any(|pair| pair.split_once('=').map_or(pair, |(n, _)| n).eq_ignore_ascii_case(name))
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let copies = headers.contains_key("x-amz-copy-source");
    let name = match (method.as_str(), key.is_empty()) {
        ("GET", true) if has("uploads") => "mpt-list",
        ("GET", true) if !bucket.is_empty() && !has("location") => "list",
        ("POST", true) if has("delete") => "delete-many",
        (_, true) => "bucket",
        ("GET", false) if has("uploadId") => "mpt-list",
        ("GET", false) => "get",
        ("HEAD", false) => "head",
        ("PUT", false) if has("uploadId") => "mpt-part",
        ("PUT", false) if copies => "copy",
        ("PUT", false) => "put",
        ("DELETE", false) if has("uploadId") => "mpt-abort",
        ("DELETE", false) => "delete",
        ("POST", false) if has("uploads") => "mpt-create",
        ("POST", false) if has("uploadId") => "mpt-complete",
        _ => "post",
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let upload = matches!(name, "put" | "mpt-part") && !copies;
    Operation { name, bucket: some(bucket), key: some(key), upload }
}

impl Server {
    pub(crate) fn new(
        storage: &Arc<Storage>,
        catalog: &Arc<dyn Catalog>,
        keys: Arc<Keys>,
        restarts: mpsc::Sender<Restart>,
        faults: Arc<Faults>,
        journal: Arc<Journal>,
    ) -> Self {
        let shop = || Shop { storage: Arc::clone(storage), catalog: Arc::clone(catalog) };
        let gate = Gate { keys, catalog: Arc::clone(catalog) };
        let mut builder = S3ServiceBuilder::new(shop());
        builder.set_validation(AnyName);
        builder.set_auth(gate.clone());
        builder.set_access(gate.clone());
        let unsigned = Unsigned::new(Arc::clone(storage), Arc::clone(catalog));
        builder.set_route(EmptyRange { gate, unsigned });
        Self { service: builder.build(), shop: shop(), restarts, faults, journal }
    }

    /// Faults that act before, or instead of, carrying the request out.
    async fn misbehave(
        &self,
        plan: &Plan,
        conn: &Conn,
        operation: &Operation,
    ) -> Result<Option<Response<Body>>, Abort> {
        if let (Some(FaultKind::Replace), Some(bucket), Some(key)) =
            (plan.kind(), &operation.bucket, &operation.key)
        {
            self.shop.replace(bucket, key).await.map_err(|_| Abort)?;
        }
        let refused = misbehave(plan, conn, &self.restarts).await?;
        Ok(refused.map(|(code, retry_after)| injected(code, retry_after)))
    }
}

/// The answer of a fault, in S3's form.
fn injected(code: u16, retry_after: Option<u64>) -> Response<Body> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let name = match code {
        403 => "AccessDenied",
        404 => "NoSuchKey",
        429 | 503 => "SlowDown",
        500 => "InternalError",
        501 => "NotImplemented",
        _ => "InjectedFault",
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{name}</Code><Message>injected fault</Message></Error>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

impl Handler for Server {
    async fn handle(
        self: Arc<Self>,
        conn: Conn,
        request: Request<Incoming>,
    ) -> Result<Response<ResBody>, Abort> {
        let (mut parts, incoming) = request.into_parts();
        let path = decode_path(parts.uri.path());
        let query = parts.uri.query().unwrap_or_default();
        let operation = classify(&parts.method, &path, query, &parts.headers);
        let plan = Plan::new(
            self.faults.choose(&Candidate {
                node: NodeKind::S3,
                redirected: false,
                operation: operation.name,
                method: parts.method.as_str(),
                bucket: operation.bucket.as_deref(),
                key: operation.key.as_deref(),
            }),
            operation.upload,
        );
        let text = |name: HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok());
        let expects_continue = text(EXPECT).is_some_and(|v| v.eq_ignore_ascii_case("100-continue"));
        let entry = JournalEntry {
            method: parts.method.to_string(),
            path: journal_path(&parts.uri),
            operation: operation.name,
            key: operation.key.clone(),
            range: text(RANGE).map(str::to_owned),
            content_length: text(CONTENT_LENGTH).and_then(|v| v.parse().ok()),
            expects_continue,
            authorized: parts.headers.contains_key(AUTHORIZATION) || query.contains("Signature="),
            fault: plan.text(),
            ..JournalEntry::new(NodeKind::S3, "s3")
        };
        let journal = JournalRef { journal: Arc::clone(&self.journal), seq: self.journal.push(entry) };
        let body =
            ReqBody::new(incoming, &plan, expects_continue, Arc::clone(&conn.control), journal.clone());
        // Shared, because what the service leaves unread is dealt with afterwards.
        let body = Arc::new(tokio::sync::Mutex::new(body));
        let misbehaved = self.misbehave(&plan, &conn, &operation).await?;
        let reply = if let Some(reply) = misbehaved {
            reply
        } else {
            twist(&mut parts.extensions, &plan);
            let sent = request_body(&parts.method, &parts.headers, &body);
            answer(&self.service, Request::from_parts(parts.clone(), sent)).await
        };
        let (mut head, reply) = reply.into_parts();
        if matches!(plan.kind(), Some(FaultKind::WrongChecksum)) {
            spoil_checksums(&mut head.headers);
        }
        let bodiless = parts.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        let length = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
        let source = if bodiless { Source::empty() } else { source(reply, length) };
        if body.lock().await.settle().await? {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let status = head.status;
        journal.journal.update(journal.seq, |e| e.status = Some(status.as_u16()));
        let sent = ResBody::new(source, &plan, Arc::clone(&conn.control), Some(journal));
        if bodiless && !head.status.is_success() {
            head.headers.remove(CONTENT_LENGTH);
        } else if !bodiless && let Some(length) = sent.len() {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(Response::from_parts(head, sent))
    }
}

/// Tells the operation what a fault wants of it.
fn twist(extensions: &mut http::Extensions, plan: &Plan) {
    if let Some(at) = plan.no_space_at() {
        extensions.insert(FullAt(at));
    }
    if plan.ignores_range() {
        extensions.insert(Skew::Ignore);
    }
    if let Some((by, admitted)) = plan.range_shift() {
        extensions.insert(Skew::Shift { by, admitted });
    }
}

/// The path for the journal, which holds no signature.
fn journal_path(uri: &Uri) -> String {
    let secret = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !["X-Amz-Signature", "X-Amz-Security-Token", "Signature"].iter().any(|n| n.eq_ignore_ascii_case(name))
    };
    match uri.query() {
        None => uri.path().to_owned(),
        Some(query) => {
            let kept: Vec<_> = query.split('&').filter(secret).collect();
            format!("{}?{}", uri.path(), kept.join("&"))
        }
    }
}

fn request_body(method: &Method, headers: &HeaderMap, body: &Arc<tokio::sync::Mutex<ReqBody>>) -> Body {
    let announced = headers.get(CONTENT_LENGTH).is_some_and(|v| v != "0")
        || headers.contains_key(http::header::TRANSFER_ENCODING);
    if !announced || matches!(*method, Method::GET | Method::HEAD) {
        return Body::empty();
    }
    let stream = futures_util::stream::unfold(Arc::clone(body), |body| async move {
        let next = body.lock().await.next().await;
        let next = next.map_err(std::io::Error::other).transpose()?;
        Some((next.map(Frame::data), body))
    });
    Body::http_body_unsync(StreamBody::new(stream))
}

fn source(mut body: Body, length: Option<u64>) -> Source {
    if let Some(bytes) = body.bytes() {
        drop(body.take_bytes());
        return Source::Full(bytes);
    }
    let exact = body.remaining_length().exact().map(|n| n as u64);
    let stream = body.map(|piece| piece.map_err(std::io::Error::other));
    Source::stream(length.or(exact), stream.boxed())
}

/// Exchanges the first character of whatever the answer says about the object's bytes.
fn spoil_checksums(headers: &mut HeaderMap) {
    for (name, value) in headers.iter_mut() {
        let sum = name.as_str().starts_with("x-amz-checksum-") && name != "x-amz-checksum-type";
        if !sum && *name != ETAG {
            continue;
        }
        let Ok(text) = value.to_str() else { continue };
        let at = text.find(|c: char| c.is_ascii_alphanumeric()).unwrap_or_default();
        let other = if text[at..].starts_with('0') { "1" } else { "0" };
        let spoilt = format!("{}{other}{}", &text[..at], text.get(at + 1..).unwrap_or_default());
        if let Ok(spoilt) = HeaderValue::from_str(&spoilt) {
            *value = spoilt;
        }
    }
}

/// Reads with an empty `Range` header, which some clients send and sign: it counts for the signature and for nothing
/// else.
struct EmptyRange {
    gate: Gate,
    unsigned: Unsigned,
}

impl S3Route for EmptyRange {
    fn is_match(&self, _: &Method, _: &Uri, headers: &HeaderMap, _: &mut http::Extensions) -> bool {
        headers.get(RANGE).is_some_and(HeaderValue::is_empty)
    }

    fn check_access<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: &'life1 mut S3Request<Body>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let path = decode_path(request.uri.path());
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let verdict = self.gate.check(&keys::Request {
            access_key: request.credentials.as_ref().map(|c| c.access_key.as_str()),
            method: &request.method,
            headers: &request.headers,
            query: request.uri.query(),
            bucket: Some(bucket),
            object: !key.is_empty(),
        });
        Box::pin(std::future::ready(verdict))
    }

    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: S3Request<Body>,
    ) -> BoxFuture<'async_trait, S3Result<S3Response<Body>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let mut plain = Request::new(request.input);
        *plain.method_mut() = request.method;
        *plain.uri_mut() = request.uri;
        *plain.headers_mut() = request.headers;
        *plain.extensions_mut() = request.extensions;
        plain.headers_mut().remove(RANGE);
        plain.headers_mut().remove(AUTHORIZATION);
        Box::pin(async move {
            let (head, body) = self.unsigned.call(plain).await.into_parts();
            let mut response = S3Response::with_headers(body, head.headers);
            response.status = Some(head.status);
            Ok(response)
        })
    }
}

impl Shop {
    /// Overwrites an object with other bytes of the same length; for the fault of that name.
    async fn replace(&self, bucket: &str, key: &str) -> S3Result<()> {
        let bucket = self.bucket(bucket)?;
        let key = object_key(&bucket, key)?;
        let opened = self.storage.open_object(&key, |r| Ok::<_, std::convert::Infallible>((0, r.size)))?;
        let Some(Ok((old, mut reader))) = opened else { return Ok(()) };
        let mut file = self.storage.create_body()?;
        while let Some(bytes) = reader.read(64 * 1024).map_err(crate::storage::StorageError::from)? {
            let other: Vec<u8> = bytes.iter().map(|b| !b).collect();
            file.write(&other).map_err(crate::storage::StorageError::from)?;
        }
        let mut custom = meta::Meta::of(&old.custom).into_custom();
        meta::set_etag(&mut custom, format!("{:032x}", fastrand::u128(..)));
        let record = super::objects::new_record(std::slice::from_ref(&file), custom);
        self.store(&bucket, key, record, vec![file], super::conditions::WriteConditions::default()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &Method, uri: &str) -> &'static str {
        let uri: Uri = uri.parse().expect("a URI");
        classify(method, uri.path(), uri.query().unwrap_or_default(), &HeaderMap::new()).name
    }

    #[test]
    fn operations() {
        assert_eq!(name(&Method::GET, "/"), "bucket");
        assert_eq!(name(&Method::GET, "/b?list-type=2"), "list");
        assert_eq!(name(&Method::GET, "/b/?uploads"), "mpt-list");
        assert_eq!(name(&Method::PUT, "/b"), "bucket");
        assert_eq!(name(&Method::POST, "/b?delete"), "delete-many");
        assert_eq!(name(&Method::PUT, "/b/k?partNumber=1&uploadId=x"), "mpt-part");
        assert_eq!(name(&Method::POST, "/b/k?uploads"), "mpt-create");
        let operation = classify(&Method::PUT, "/b//k/", "", &HeaderMap::new());
        assert_eq!((operation.key.as_deref(), operation.upload), (Some("/k/"), true));
    }

    #[test]
    fn journals_hold_no_signature() {
        let uri = "/b/k?X-Amz-Date=1&X-Amz-Signature=s&x-amz-security-token=t".parse().expect("a URI");
        assert_eq!(journal_path(&uri), "/b/k?X-Amz-Date=1");
    }

    #[test]
    fn spoilt_checksums_keep_their_form() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("\"0a\""));
        headers.insert("x-amz-checksum-crc32", HeaderValue::from_static("abc="));
        spoil_checksums(&mut headers);
        assert_eq!(headers[ETAG], "\"1a\"");
        assert_eq!(headers["x-amz-checksum-crc32"], "0bc=");
    }
}
