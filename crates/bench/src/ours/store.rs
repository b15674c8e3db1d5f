//! A store over plain HTTP as the bench's server speaks it: ranges, entity tags, uploads in parts.
//!
//! It does what the platform crates do for one object, with the whole transport below, and nothing else.

use std::sync::Arc;

use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_MATCH, RANGE};
use http::{HeaderMap, Method, StatusCode};
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, Entry, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartLimits, MultipartRef,
    PageToken, PartInfo, PartNumber, PartReceipt, PinKind, PutOptions, PutResult, SignRequest, SignedRequest,
    UploadPage,
};
use longshore_core_types::{
    BucketName, CallInfo, Checksum, ContentRange, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta,
    Payload, Resource, Result, Scheme, StoreUrl,
};
use longshore_transport::{HttpRequest, HttpResponse, Transport, body};

/// One bucket of the bench's server. Cheap to clone, as the platforms' stores are.
#[derive(Clone, Debug)]
pub(super) struct BenchStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    base: String,
    bucket: BucketName,
    url: StoreUrl,
    capability: Capability,
    /// What the server would state of the one large object, which it does not know itself.
    checksum: Option<Checksum>,
}

impl BenchStore {
    /// The bucket at `base`, such as `http://127.0.0.1:8080/bench`.
    ///
    /// Every object has this checksum.
    pub(super) fn new(transport: Transport, base: &str, checksum: Option<Checksum>) -> Result<Self> {
        let mut capability = Capability::default();
        capability.ranged_get = true;
        capability.suffix_range = true;
        capability.if_match = true;
        capability.pin = PinKind::IfMatch;
        capability.put_requires_length = true;
        let mut limits = MultipartLimits::default();
        limits.list_parts = false;
        limits.list_uploads = false;
        capability.multipart = Some(limits);
        let bucket = BucketName::new(base.rsplit('/').next().unwrap_or_default())?;
        capability.checksums = checksum.iter().map(Checksum::kind).collect();
        let (base, url) = (base.to_owned(), base.parse()?);
        Ok(Self(Arc::new(Inner { transport, base, bucket, url, capability, checksum })))
    }

    async fn send(
        &self,
        call: &CallInfo,
        mut request: http::request::Builder,
        body: Payload,
    ) -> Result<HttpResponse> {
        if let Some(extensions) = request.extensions_mut() {
            extensions.insert(call.clone());
        }
        let request: HttpRequest =
            request.body(body).map_err(|e| Error::new(ErrorKind::InvalidInput, "request").with_source(e))?;
        let answer = self.0.transport.send(request).await.map_err(|error| error.into_error(call))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::PRECONDITION_FAILED => ErrorKind::PreconditionFailed,
            StatusCode::RANGE_NOT_SATISFIABLE => ErrorKind::RangeNotSatisfiable,
            _ => ErrorKind::Protocol,
        };
        let text = body::excerpt(answer.into_body(), 2048).await;
        Err(Error::new(kind, "refused").with_status(status).with_call(call).with_response_excerpt(&text))
    }

    fn call(&self, operation: &'static str, idempotency: Idempotency, key: &ObjectKey) -> CallInfo {
        let (scheme, bucket) = (Scheme::Http, self.0.bucket.clone());
        CallInfo::new(operation, idempotency).on(Resource::Object { scheme, bucket, key: key.clone() })
    }

    fn request(&self, method: Method, target: &str) -> http::request::Builder {
        http::Request::builder().method(method).uri(format!("{}/{target}", self.0.base))
    }

    fn meta(&self, key: &ObjectKey, headers: &HeaderMap, size: u64) -> ObjectMeta {
        let mut meta = ObjectMeta::new(key.clone(), size);
        meta.etag = text(headers, &ETAG).map(str::to_owned);
        meta.checksums = self.0.checksum.iter().cloned().collect();
        meta
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn length(headers: &HeaderMap) -> Result<u64> {
    let length = text(headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
    length.ok_or_else(|| Error::new(ErrorKind::Protocol, "the answer states no length"))
}

fn unsupported<T>(what: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, what))
}

impl BlobStore for BenchStore {
    fn capability(&self) -> &Capability {
        &self.0.capability
    }

    fn url(&self) -> StoreUrl {
        self.0.url.clone()
    }

    async fn head(&self, key: &ObjectKey, _: HeadOptions) -> Result<ObjectMeta> {
        let call = self.call("bench.object.head", Idempotency::Idempotent, key);
        let request = self.request(Method::HEAD, key.as_str());
        let answer = self.send(&call, request, Payload::empty()).await?;
        Ok(self.meta(key, answer.headers(), length(answer.headers())?))
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        let call = self.call("bench.object.get", Idempotency::Idempotent, key);
        let mut request = self.request(Method::GET, key.as_str());
        if let Some(range) = opts.range {
            request = request.header(RANGE, range.to_header()?);
        }
        if let Some(etag) = opts.pin.and_then(|pin| pin.etag).or(opts.if_match) {
            request = request.header(IF_MATCH, etag);
        }
        let answer = self.send(&call, request, Payload::empty()).await?;
        let headers = answer.headers();
        let (range, size) = if answer.status() == StatusCode::PARTIAL_CONTENT {
            match text(headers, &CONTENT_RANGE).and_then(ContentRange::parse) {
                Some(ContentRange { range: Some(range), total: Some(total) }) => (range, total),
                _ => {
                    return Err(
                        Error::new(ErrorKind::Protocol, "the answer states no range").with_call(&call)
                    );
                }
            }
        } else {
            let size = length(headers)?;
            (0..size, size)
        };
        let meta = self.meta(key, headers, size);
        Ok(GetResult::new(meta, range, body::stream(answer.into_body(), call).boxed()))
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        unsupported("get_many")
    }

    async fn put(&self, key: &ObjectKey, body: Payload, _: PutOptions) -> Result<PutResult> {
        let call = self.call("bench.object.put", Idempotency::Idempotent, key);
        let request = self.request(Method::PUT, key.as_str());
        let answer = self.send(&call, request, body).await?;
        let mut result = PutResult::default();
        result.etag = text(answer.headers(), &ETAG).map(str::to_owned);
        body::collect(answer.into_body(), 1 << 10).await.map_err(|error| error.into_error(&call))?;
        Ok(result)
    }

    async fn delete(&self, _: &ObjectKey, _: DeleteOptions) -> Result<()> {
        unsupported("delete")
    }

    async fn delete_many(&self, _: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        unsupported("delete_many")
    }

    async fn copy(&self, _: &ObjectKey, _: &ObjectKey, _: CopyOptions) -> Result<PutResult> {
        unsupported("copy")
    }

    fn can_copy_from(&self, _: &StoreUrl) -> bool {
        false
    }

    async fn copy_from(&self, _: &StoreUrl, _: &ObjectKey, _: CopyOptions) -> Result<PutResult> {
        unsupported("copy_from")
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let call = CallInfo::new("bench.object.list", Idempotency::Idempotent);
        let after = page.map_or_else(String::new, |page| format!("&continuation-token={}", page.as_str()));
        let target = format!("?list-type=2&prefix={}{after}", opts.prefix);
        let request = self.request(Method::GET, &target);
        let answer = self.send(&call, request, Payload::empty()).await?;
        let text =
            body::collect(answer.into_body(), 4 << 20).await.map_err(|error| error.into_error(&call))?;
        let text = std::str::from_utf8(&text)
            .map_err(|error| Error::new(ErrorKind::Protocol, "the listing is no text").with_source(error))?;
        // The server is the bench's own, so this needs no parser of XML.
        let (mut entries, mut key, mut next) = (Vec::new(), None, None);
        for tag in text.split('<') {
            match tag.split_once('>') {
                Some(("Key", text)) => key = Some(ObjectKey::new(text)?),
                Some(("Size", text)) => {
                    let size = text.parse().ok().zip(key.take());
                    let (size, key) =
                        size.ok_or_else(|| Error::new(ErrorKind::Protocol, "an entry lacks fields"))?;
                    entries.push(Entry::Object(ObjectMeta::new(key, size)));
                }
                Some(("NextContinuationToken", text)) => next = Some(PageToken::new(text)),
                _ => {}
            }
        }
        Ok(ListPage::new(entries, next))
    }

    async fn create_multipart(&self, key: &ObjectKey, _: PutOptions) -> Result<MultipartId> {
        let call = self.call("bench.multipart.create", Idempotency::Idempotent, key);
        let request = self.request(Method::POST, &format!("{}?uploads", key.as_str()));
        let answer = self.send(&call, request, Payload::empty()).await?;
        body::collect(answer.into_body(), 1 << 10).await.map_err(|error| error.into_error(&call))?;
        Ok(MultipartId::new("sink"))
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        let call = self.call("bench.multipart.part", Idempotency::Idempotent, &upload.key);
        let size = body.len().unwrap_or_default();
        let target = format!("{}?partNumber={number}&uploadId={}", upload.key.as_str(), upload.id);
        let answer = self.send(&call, self.request(Method::PUT, &target), body).await?;
        let receipt = PartReceipt::new(number, size);
        let receipt = match text(answer.headers(), &ETAG) {
            Some(etag) => receipt.with_etag(etag),
            None => receipt,
        };
        body::collect(answer.into_body(), 1 << 10).await.map_err(|error| error.into_error(&call))?;
        Ok(receipt)
    }

    async fn list_parts(&self, _: &MultipartRef) -> Result<Vec<PartInfo>> {
        unsupported("list_parts")
    }

    async fn list_uploads(&self, _: &str, _: Option<PageToken>) -> Result<UploadPage> {
        unsupported("list_uploads")
    }

    async fn complete_multipart(&self, upload: &MultipartRef, _: Vec<PartReceipt>) -> Result<PutResult> {
        let call = self.call("bench.multipart.complete", Idempotency::Idempotent, &upload.key);
        let target = format!("{}?uploadId={}", upload.key.as_str(), upload.id);
        let answer = self.send(&call, self.request(Method::POST, &target), Payload::empty()).await?;
        body::collect(answer.into_body(), 1 << 10).await.map_err(|error| error.into_error(&call))?;
        Ok(PutResult::default())
    }

    async fn abort_multipart(&self, _: &MultipartRef) -> Result<()> {
        Ok(())
    }

    async fn sign(&self, _: SignRequest) -> Result<SignedRequest> {
        unsupported("sign")
    }
}
