//! The store.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, Method, StatusCode, header, response::Parts};
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef, PageToken,
    PartInfo, PartNumber, PartReceipt, PinKind, PutOptions, PutResult, SignRequest, SignedRequest,
    UploadPage,
};
use longshore_core_types::{
    ByteRange, CallInfo, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Payload, Pressure, Resource,
    Result, StoreUrl,
};
use longshore_transport::{ResponseBody, Transport, body::excerpt};

use crate::{
    HttpStoreBuilder,
    address::Address,
    answer::{self, Demands},
    body::{self, Exact},
};

/// Longest text of an error answer that is kept, in bytes.
const EXCERPT: usize = 2048;

/// A web server, read-only: names under a base URL. Cheap to clone.
///
/// See the [crate documentation](crate) for what it makes of servers that lack something.
#[derive(Clone)]
pub struct HttpStore {
    address: Arc<Address>,
    url: StoreUrl,
    transport: Transport,
    capability: Capability,
    max_unsized: u64,
}

/// A successful answer.
struct Answer {
    parts: Parts,
    body: ResponseBody,
}

impl HttpStore {
    /// Settings of a store of this URL: of the names under it, or of the one object that it is.
    pub fn builder(url: impl AsRef<str>) -> HttpStoreBuilder {
        HttpStoreBuilder::new(url.as_ref())
    }

    pub(crate) fn new(
        address: Address,
        transport: Transport,
        ranges: bool,
        max_unsized: u64,
    ) -> Result<Self> {
        let mut capability = Capability::default();
        capability.read_only = true;
        capability.unlisted = true;
        capability.ranged_get = ranges;
        capability.suffix_range = ranges;
        capability.if_match = true;
        capability.if_none_match = true;
        capability.pin = PinKind::VersionHeader;
        capability.content_headers = true;
        let url = address.url()?;
        Ok(Self { address: Arc::new(address), url, transport, capability, max_unsized })
    }

    /// The same store, with a capability that says whether this server has ranges.
    ///
    /// Asks for the first byte of the object. `NotFound` if there is none.
    pub async fn probe(mut self, key: &ObjectKey) -> Result<Self> {
        let call = self.call("http.object.probe", key);
        let ranges = match self.send(&call, Method::GET, key, Some("bytes=0-0"), Demands::default()).await {
            Ok(answer) => answer.parts.status == StatusCode::PARTIAL_CONTENT,
            Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable => true,
            Err(error) => return Err(error),
        };
        self.capability.ranged_get = ranges;
        self.capability.suffix_range = ranges;
        Ok(self)
    }

    fn call(&self, operation: &'static str, key: &ObjectKey) -> CallInfo {
        let name = self.address.shown(key).into();
        let call =
            CallInfo::new(operation, Idempotency::Idempotent).on(Resource::Named { kind: "object", name });
        if self.address.is_signed() { call.sensitive() } else { call }
    }

    /// Sends a request. Any status but 200 and 206 is an error.
    async fn send(
        &self,
        call: &CallInfo,
        method: Method,
        key: &ObjectKey,
        range: Option<&str>,
        demands: Demands<'_>,
    ) -> Result<Answer> {
        let uri = self.address.uri(key).map_err(|error| error.with_call(call))?;
        let mut request = http::Request::new(Payload::empty());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.extensions_mut().insert(call.clone());
        let headers = request.headers_mut();
        // A body that is compressed on the way has neither the length nor the ranges of the object.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let range = range.map(|range| (header::RANGE, range));
        for (name, value) in range.into_iter().chain(demands.headers()) {
            let value = HeaderValue::try_from(value).map_err(|_| {
                let message = format!("{value:?} cannot stand in the header {name}");
                Error::new(ErrorKind::InvalidInput, message).with_call(call)
            })?;
            headers.insert(name, value);
        }
        let response = self.transport.send(request).await.map_err(|error| error.into_error(call))?;
        let (parts, body) = response.into_parts();
        if matches!(parts.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
            return Ok(Answer { parts, body });
        }
        // What a signed URL's server says may repeat the signature.
        let text = if call.sensitive { Bytes::new() } else { excerpt(body, EXCERPT).await };
        Err(answer::error(call, &parts, &text))
    }

    /// The body as a stream, with errors that name the call.
    fn stream(body: ResponseBody, call: &CallInfo) -> longshore_blob_api::ByteStream {
        longshore_transport::body::stream(body, call.clone()).boxed()
    }

    /// A whole body in memory, to learn its length.
    async fn read_unsized(&self, call: &CallInfo, body: ResponseBody) -> Result<(Vec<Bytes>, u64)> {
        let (mut chunks, mut length) = (Vec::new(), 0);
        let mut body = Self::stream(body, call);
        while let Some(chunk) = body.try_next().await? {
            length += chunk.len() as u64;
            if length > self.max_unsized {
                let message = format!(
                    "the server does not state the length of the object, and it is longer than the {} bytes \
                     that are read to learn it",
                    self.max_unsized
                );
                return Err(Error::new(ErrorKind::Unsupported, message).with_call(call));
            }
            chunks.push(chunk);
        }
        Ok((chunks, length))
    }

    /// What the object is, by its first byte: for servers and signatures that do not allow HEAD.
    async fn head_by_get(
        &self,
        call: &CallInfo,
        key: &ObjectKey,
        demands: Demands<'_>,
    ) -> Result<ObjectMeta> {
        let answer = match self.send(call, Method::GET, key, Some("bytes=0-0"), demands).await {
            // An empty object has no first byte.
            Err(error) if error.kind() == ErrorKind::RangeNotSatisfiable => {
                self.send(call, Method::GET, key, None, demands).await?
            }
            answer => answer?,
        };
        let total = match answer.parts.status {
            StatusCode::PARTIAL_CONTENT => answer::content_range(&answer.parts).and_then(|range| range.total),
            _ => answer::length(&answer.parts),
        };
        let size = match total {
            Some(size) => size,
            None if answer.parts.status == StatusCode::OK => self.read_unsized(call, answer.body).await?.1,
            None => return Err(unsized_part(call)),
        };
        let meta = answer::describe(&answer.parts, key, size);
        demands.check(&meta).map_err(|error| error.with_call(call))?;
        Ok(meta)
    }

    /// An answer to a request for a part.
    fn partial(call: &CallInfo, key: &ObjectKey, asked: ByteRange, answer: Answer) -> Result<GetResult> {
        let protocol = |message: String| Error::new(ErrorKind::Protocol, message).with_call(call);
        let found = answer::content_range(&answer.parts);
        let Some((range, total)) = found.and_then(|found| Some((found.range?, found.total))) else {
            return Err(protocol("the server sent a part, and does not say which".into()));
        };
        let Some(size) = total else { return Err(unsized_part(call)) };
        let expected = asked.resolve(size).map_err(|error| error.with_call(call))?;
        if range != expected {
            return Err(protocol(format!("the server sent the bytes {range:?} instead of {expected:?}")));
        }
        let length = range.end - range.start;
        let meta = answer::describe(&answer.parts, key, size);
        let body = Exact::new(Self::stream(answer.body, call), length, false, call.clone());
        Ok(GetResult::new(meta, range, body.boxed()))
    }

    /// An answer that is the whole object, of which a part may be wanted.
    async fn whole(
        &self,
        call: &CallInfo,
        key: &ObjectKey,
        asked: Option<ByteRange>,
        answer: Answer,
    ) -> Result<GetResult> {
        let resolve = |size| match asked {
            None => Ok(0..size),
            Some(range) => range.resolve(size).map_err(|error| error.with_call(call)),
        };
        let Some(size) = answer::length(&answer.parts) else {
            let (chunks, size) = self.read_unsized(call, answer.body).await?;
            let range = resolve(size)?;
            let meta = answer::describe(&answer.parts, key, size);
            let part = body::window(chunks, &range);
            return Ok(GetResult::new(meta, range, stream::iter(part).map(Ok).boxed()));
        };
        let range = resolve(size)?;
        if range.start > 0 {
            let message = format!(
                "the server does not support ranges: {} bytes would have to be read before the first that is wanted",
                range.start
            );
            return Err(Error::new(ErrorKind::Unsupported, message).with_call(call));
        }
        let meta = answer::describe(&answer.parts, key, size);
        let cut = range.end < size;
        let body = Exact::new(Self::stream(answer.body, call), range.end, cut, call.clone());
        Ok(GetResult::new(meta, range, body.boxed()))
    }

    /// What follows the check of a call that changes something or lists.
    fn refuse<T>(&self, checked: Result<()>, operation: &'static str, key: Option<&ObjectKey>) -> Result<T> {
        let never = || Err(Error::new(ErrorKind::Unsupported, "a web server is only read"));
        let name = key.map_or_else(|| self.url.to_string(), |key| self.address.shown(key));
        let resource = Resource::Named { kind: "object", name: name.into() };
        checked.and_then(|()| never()).map_err(|e: Error| e.with_operation(operation).with_resource(resource))
    }
}

fn unsized_part(call: &CallInfo) -> Error {
    let message = "the server sent a part, and does not state the length of the object";
    Error::new(ErrorKind::Unsupported, message).with_call(call)
}

impl BlobStore for HttpStore {
    fn capability(&self) -> &Capability {
        &self.capability
    }

    fn url(&self) -> StoreUrl {
        self.url.clone()
    }

    fn pressure(&self) -> Option<Pressure> {
        Some(self.transport.pressure().clone())
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        let call = self.call("http.object.head", key);
        self.capability.check_head(&opts).map_err(|error| error.with_call(&call))?;
        let demands = Demands {
            pin: None,
            if_match: opts.if_match.as_deref(),
            if_none_match: opts.if_none_match.as_deref(),
        };
        if self.address.is_signed() {
            return self.head_by_get(&call, key, demands).await;
        }
        match self.send(&call, Method::HEAD, key, None, demands).await {
            Ok(answer) => match answer::length(&answer.parts) {
                Some(size) => {
                    let meta = answer::describe(&answer.parts, key, size);
                    demands.check(&meta).map_err(|error| error.with_call(&call))?;
                    Ok(meta)
                }
                None => self.head_by_get(&call, key, demands).await,
            },
            Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
                self.head_by_get(&call, key, demands).await
            }
            Err(error) => Err(error),
        }
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        let call = self.call("http.object.get", key);
        self.capability.check_get(&opts).map_err(|error| error.with_call(&call))?;
        let demands = Demands {
            pin: opts.pin.as_ref(),
            if_match: opts.if_match.as_deref(),
            if_none_match: opts.if_none_match.as_deref(),
        };
        let range =
            opts.range.map(ByteRange::to_header).transpose().map_err(|error| error.with_call(&call))?;
        let answer = self.send(&call, Method::GET, key, range.as_deref(), demands).await?;
        let result = match (answer.parts.status, opts.range) {
            (StatusCode::PARTIAL_CONTENT, Some(asked)) => Self::partial(&call, key, asked, answer)?,
            (StatusCode::PARTIAL_CONTENT, None) => {
                let message = "the server sent a part where all was asked for";
                return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
            }
            (_, asked) => self.whole(&call, key, asked, answer).await?,
        };
        demands.check(&result.meta).map_err(|error| error.with_call(&call))?;
        Ok(result)
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        self.refuse(self.capability.check_get_many(), "http.object.get_many", None)
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        self.refuse(self.capability.check_put(&body, &opts), "http.object.put", Some(key))
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.refuse(self.capability.check_delete(&opts), "http.object.delete", Some(key))
    }

    async fn delete_many(&self, _: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        self.refuse(self.capability.check_write(), "http.object.delete_many", None)
    }

    async fn copy(&self, from: &ObjectKey, _: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.refuse(self.capability.check_copy(&opts), "http.object.copy", Some(from))
    }

    fn can_copy_from(&self, _: &StoreUrl) -> bool {
        false
    }

    async fn copy_from(&self, _: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.refuse(self.capability.check_copy(&opts), "http.object.copy_from", Some(to))
    }

    async fn list_page(&self, opts: &ListOptions, _: Option<PageToken>) -> Result<ListPage> {
        self.refuse(self.capability.check_list(opts), "http.object.list", None)
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.refuse(self.capability.check_create_multipart(&opts), "http.multipart.create", Some(key))
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        self.refuse(self.capability.check_part(number, &body), "http.multipart.put_part", Some(&upload.key))
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.refuse(self.capability.check_list_parts(), "http.multipart.list_parts", Some(&upload.key))
    }

    async fn list_uploads(&self, _: &str, _: Option<PageToken>) -> Result<UploadPage> {
        self.refuse(self.capability.check_list_uploads(), "http.multipart.list_uploads", None)
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        self.refuse(self.capability.check_complete(&parts), "http.multipart.complete", Some(&upload.key))
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        let checked = self.capability.check_multipart().map(drop);
        self.refuse(checked, "http.multipart.abort", Some(&upload.key))
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        self.refuse(self.capability.check_sign(&request), "http.object.sign", Some(&request.key))
    }
}

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpStore").field(&self.address).finish()
    }
}
