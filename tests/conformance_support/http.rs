//! The read-only store of web servers, and a server that serves a bucket in memory.
//!
//! The suite has to write what it reads, so writes and listings go to the bucket, and `head` and `get` over HTTP
//! (without network: the server is a service below the transport).

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use longshore_blob_api::{
    AnyStore, BlobStore, BlobStoreExt, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions,
    GetManyStream, GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MemoryStore, MultipartId,
    MultipartRef, PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest,
    SignedRequest, UploadPage,
};
use longshore_core_types::{ByteRange, Error, ErrorKind, ObjectKey, ObjectMeta, Payload, Result, StoreUrl};
use longshore_http_store::HttpStore;
use longshore_transport::{
    RetryConfig, Transport, TransportConfig,
    testing::{Reply, ScriptedService, Seen},
};
use percent_encoding::percent_decode_str;

use super::{Backend, Context, Fault, Opened};

const BASE: &str = "/base/";

/// A server that can do what HTTP has for objects.
pub(crate) fn backend() -> Backend {
    Backend { name: "http", open: |_: &Context| open(Manners::Good), except: &[] }
}

/// A server that ignores ranges and conditions, and states no length.
pub(crate) fn plain() -> Backend {
    Backend { name: "http-plain", open: |_: &Context| open(Manners::Plain), except: &[] }
}

#[derive(Clone, Copy, PartialEq)]
enum Manners {
    Good,
    Plain,
}

fn open(manners: Manners) -> Result<Opened, Fault> {
    let bucket = MemoryStore::new("conformance")?;
    let shelf = bucket.clone();
    let server = ScriptedService::new(move |seen| answer(&shelf, seen, manners));
    let config = TransportConfig::default().retry(RetryConfig::off());
    let transport = Transport::builder().config(config).service(server).build()?;
    let web = HttpStore::builder(format!("http://host{BASE}")).transport(transport);
    let web = web.ranges(manners == Manners::Good).build()?;
    // What HTTP says decides about reading, what the bucket can do about writing.
    let mut can = bucket.capability().clone();
    can.ranged_get = web.capability().ranged_get;
    can.suffix_range = web.capability().suffix_range;
    can.pin = web.capability().pin;
    can.get_many = false;
    can.user_metadata = false;
    Ok(Opened::new(AnyStore::new(Served { bucket, web, can })))
}

/// Answers as a web server does.
fn answer(bucket: &MemoryStore, seen: &Seen, manners: Manners) -> Reply {
    let path = seen.uri.path().strip_prefix(BASE).unwrap_or_default();
    let name = percent_decode_str(path).decode_utf8_lossy();
    let Ok(key) = ObjectKey::new(name) else { return Reply::status(404) };
    // A store in memory never waits.
    let found = async {
        let meta = bucket.head(&key, HeadOptions::default()).await?;
        Ok::<_, Error>((meta, bucket.read(&key).await?))
    };
    let Some(Ok((meta, data))) = found.now_or_never() else { return Reply::status(404) };
    let tag = meta.etag.clone().unwrap_or_default();
    let good = manners == Manners::Good;
    let holds = |name: &str| good.then(|| seen.header(name)).flatten().map(|asked| asked == tag);
    if holds("if-match") == Some(false) {
        return Reply::status(412);
    }
    if holds("if-none-match") == Some(true) {
        return Reply::status(304);
    }
    let (reply, data) = match seen.header("range").filter(|_| good).map(|range| cut(range, &meta)) {
        None => (Reply::status(200), data),
        Some(Err(())) => {
            return Reply::status(416).header("content-range", &format!("bytes */{}", meta.size));
        }
        Some(Ok(range)) => {
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, meta.size);
            (Reply::status(206).header("content-range", &text), data.slice(range))
        }
    };
    let reply = headers(reply, &meta, &tag);
    let reply = if good { reply.header("content-length", &data.len().to_string()) } else { reply };
    if seen.method == "HEAD" {
        return reply;
    }
    let chunks: Vec<_> = data.chunks(64 << 10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    reply.stream(stream::iter(chunks))
}

fn headers(mut reply: Reply, meta: &ObjectMeta, tag: &str) -> Reply {
    let attributes = &meta.attributes;
    for (name, value) in
        [("content-type", &attributes.content_type), ("cache-control", &attributes.cache_control)]
    {
        if let Some(value) = value {
            reply = reply.header(name, value);
        }
    }
    reply.header("etag", tag)
}

/// The bytes of a `Range` header.
fn cut(range: &str, meta: &ObjectMeta) -> Result<std::ops::Range<usize>, ()> {
    let (first, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or(())?;
    let number = |text: &str| text.parse::<u64>().map_err(drop);
    let range = match (first, last) {
        ("", length) => ByteRange::Suffix(number(length)?),
        (start, "") => ByteRange::From(number(start)?),
        (start, last) => ByteRange::from(number(start)?..number(last)? + 1),
    };
    let range = range.resolve(meta.size).map_err(drop)?;
    if range.is_empty() {
        return Err(());
    }
    let at = |position: u64| usize::try_from(position).map_err(drop);
    Ok(at(range.start)?..at(range.end)?)
}

/// Written in the bucket, read over HTTP.
#[derive(Clone, Debug)]
struct Served {
    bucket: MemoryStore,
    web: HttpStore,
    can: Capability,
}

impl Served {
    /// A name that no URL can hold must not get into the bucket.
    fn check_name(key: &ObjectKey) -> Result<()> {
        if key.as_str().split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Error::new(ErrorKind::InvalidInput, "no URL can hold this name"));
        }
        Ok(())
    }
}

impl BlobStore for Served {
    fn capability(&self) -> &Capability {
        &self.can
    }

    fn url(&self) -> StoreUrl {
        self.bucket.url()
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        self.web.head(key, opts).await
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        self.web.get(key, opts).await
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        self.web.get_many(keys, opts).await
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        self.can.check_put(&body, &opts)?;
        Self::check_name(key)?;
        self.bucket.put(key, body, opts).await
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.bucket.delete(key, opts).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        self.bucket.delete_many(keys).await
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.bucket.copy(from, to, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        self.bucket.can_copy_from(from)
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.bucket.copy_from(from, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        self.bucket.list_page(opts, page).await
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.can.check_create_multipart(&opts)?;
        self.bucket.create_multipart(key, opts).await
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        self.bucket.upload_part(upload, number, body).await
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.bucket.list_parts(upload).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        self.bucket.list_uploads(prefix, page).await
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        self.bucket.complete_multipart(upload, parts).await
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        self.bucket.abort_multipart(upload).await
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        self.bucket.sign(request).await
    }
}
