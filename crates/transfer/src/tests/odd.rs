//! A store that behaves oddly.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use longshore_blob_api::{
    BlobStore, BlobStoreExt, ByteStream, Capability, CopyOptions, DeleteOptions, DeleteOutcome,
    GetManyOptions, GetManyStream, GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MemoryStore,
    MultipartId, MultipartRef, PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult,
    SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{
    Checksum, ChecksumKind, Error, ErrorKind, ObjectKey, ObjectMeta, Payload, Result, StoreUrl,
    checksum::Hasher,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type OnBody = dyn Fn(u64, ByteStream) -> ByteStream + Send + Sync;
type OnList = dyn Fn(u64, ListPage) -> Result<ListPage> + Send + Sync;
type OnRange = dyn Fn(u64, &mut GetOptions) + Send + Sync;

/// A store in memory whose answers are changed on their way.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent oddities")]
pub(super) struct Odd {
    inner: MemoryStore,
    capability: Capability,
    states: Option<Vec<ChecksumKind>>,
    on_body: Arc<OnBody>,
    on_range: Arc<OnRange>,
    on_list: Arc<OnList>,
    lists: Arc<AtomicU64>,
    gets: Arc<AtomicU64>,
    slow_parts: Option<(Option<u64>, std::time::Duration)>,
    damages: bool,
    parts: Arc<AtomicU64>,
    wrong_receipt: u64,
    latency: std::time::Duration,
    anonymous: bool,
    empty_answers: bool,
    pool: Option<Arc<Semaphore>>,
    silent: bool,
}

impl Odd {
    pub(super) fn new(inner: MemoryStore) -> Self {
        Self {
            capability: inner.capability().clone(),
            inner,
            states: None,
            on_body: Arc::new(|_, body| body),
            on_range: Arc::new(|_, _| {}),
            on_list: Arc::new(|_, page| Ok(page)),
            lists: Arc::default(),
            gets: Arc::default(),
            slow_parts: None,
            damages: false,
            parts: Arc::default(),
            wrong_receipt: 0,
            latency: std::time::Duration::ZERO,
            anonymous: false,
            empty_answers: false,
            pool: None,
            silent: false,
        }
    }

    /// States neither entity tags nor versions.
    pub(super) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// States checksums of these kinds only, and right ones.
    pub(super) fn states(mut self, kinds: &[ChecksumKind]) -> Self {
        self.states = Some(kinds.to_vec());
        self.capability.checksums = kinds.to_vec();
        self
    }

    /// Changes the body of the nth `get` (from 1).
    pub(super) fn on_body(
        mut self,
        f: impl Fn(u64, ByteStream) -> ByteStream + Send + Sync + 'static,
    ) -> Self {
        self.on_body = Arc::new(f);
        self
    }

    /// Changes what the nth `get` (from 1) asks for.
    pub(super) fn on_range(mut self, f: impl Fn(u64, &mut GetOptions) + Send + Sync + 'static) -> Self {
        self.on_range = Arc::new(f);
        self
    }

    /// Changes the nth page (from 1) of all listings.
    pub(super) fn on_list(
        mut self,
        f: impl Fn(u64, ListPage) -> Result<ListPage> + Send + Sync + 'static,
    ) -> Self {
        self.on_list = Arc::new(f);
        self
    }

    /// Stores something else than what was sent, and says so.
    pub(super) fn damages(mut self) -> Self {
        self.damages = true;
        self.states(&[ChecksumKind::Crc32c])
    }

    /// The nth part (from 1) is stored with other bytes, as its receipt says.
    pub(super) fn wrong_receipt(mut self, n: u64) -> Self {
        self.wrong_receipt = n;
        self
    }

    pub(super) fn inner(&self) -> MemoryStore {
        self.inner.clone()
    }

    /// Each part takes this long to be stored.
    pub(super) fn slow_parts(mut self, time: std::time::Duration) -> Self {
        self.slow_parts = Some((None, time));
        self
    }

    /// The nth part (from 1) is stored, but its answer takes this long.
    pub(super) fn slow_part(mut self, n: u64, time: std::time::Duration) -> Self {
        self.slow_parts = Some((Some(n), time));
        self
    }

    /// Each `get` waits so long for its answer.
    pub(super) fn slow_gets(mut self, time: std::time::Duration) -> Self {
        self.latency = time;
        self
    }

    /// How many parts are stored.
    pub(super) fn parts_stored(&self) -> u64 {
        self.parts.load(Ordering::Relaxed)
    }

    /// How many `get`s there were.
    pub(super) fn gets(&self) -> u64 {
        self.gets.load(Ordering::Relaxed)
    }

    /// Says of each `get` that it brings no byte, and brings none.
    pub(super) fn empty_answers(mut self) -> Self {
        self.empty_answers = true;
        self
    }

    /// Requests share these connections with whoever has the same ones, first come, first served; a `get` holds its own
    /// until the end of the body.
    pub(super) fn pooled(mut self, pool: &Arc<Semaphore>) -> Self {
        self.pool = Some(Arc::clone(pool));
        self
    }

    async fn connection(&self) -> Option<OwnedSemaphorePermit> {
        match &self.pool {
            Some(pool) => Some(Arc::clone(pool).acquire_owned().await.unwrap()),
            None => None,
        }
    }

    /// States no checksum of what it makes of parts.
    pub(super) fn silent_completions(mut self) -> Self {
        self.silent = true;
        self
    }

    async fn describe(&self, meta: &mut ObjectMeta) {
        let key = meta.key.clone();
        self.restate(&key, &mut meta.checksums).await;
        if self.anonymous {
            (meta.etag, meta.version) = (None, None);
        }
    }

    async fn restate(&self, key: &ObjectKey, checksums: &mut Vec<Checksum>) {
        if let Some(kinds) = &self.states {
            let mut content = self.inner.read(key).await.unwrap().to_vec();
            if self.damages {
                content[0] ^= 1;
            }
            *checksums = kinds
                .iter()
                .map(|kind| {
                    let mut hasher = Hasher::new(*kind);
                    hasher.update(&content);
                    hasher.finish()
                })
                .collect();
        }
    }
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Odd")
    }
}

/// The first `length` bytes of a body, which then ends as if that were all.
pub(super) fn short(body: ByteStream, length: usize) -> ByteStream {
    let cut = |(mut body, left): (ByteStream, usize)| async move {
        if left == 0 {
            return None;
        }
        let chunk: Result<Bytes> = body.next().await?;
        let chunk = chunk.map(|chunk| chunk.slice(..chunk.len().min(left)));
        let taken = chunk.as_ref().map_or(left, Bytes::len);
        Some((chunk, (body, left - taken)))
    };
    stream::unfold((body, length), cut).boxed()
}

/// The first `length` bytes of a body, then nothing for ever.
pub(super) fn stalled(body: ByteStream, length: usize) -> ByteStream {
    short(body, length).chain(stream::pending()).boxed()
}

/// The first `length` bytes of a body, then an error.
pub(super) fn failing(body: ByteStream, length: usize, kind: ErrorKind) -> ByteStream {
    short(body, length).chain(stream::iter([Err(Error::new(kind, "injected"))])).boxed()
}

/// A body of which every byte is wrong.
pub(super) fn wrong(body: ByteStream) -> ByteStream {
    body.map(|chunk| chunk.map(|chunk| chunk.iter().map(|byte| !byte).collect())).boxed()
}

impl BlobStore for Odd {
    fn capability(&self) -> &Capability {
        &self.capability
    }

    fn url(&self) -> StoreUrl {
        self.inner.url()
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        let mut meta = self.inner.head(key, opts).await?;
        self.describe(&mut meta).await;
        Ok(meta)
    }

    async fn get(&self, key: &ObjectKey, mut opts: GetOptions) -> Result<GetResult> {
        let n = self.gets.fetch_add(1, Ordering::Relaxed) + 1;
        (self.on_range)(n, &mut opts);
        tokio::time::sleep(self.latency).await;
        let connection = self.connection().await;
        let result = self.inner.get(key, opts).await?;
        let (mut meta, mut range) = (result.meta.clone(), result.range.clone());
        if self.empty_answers {
            range.end = range.start;
            return Ok(GetResult::new(meta, range, stream::empty().boxed()));
        }
        self.describe(&mut meta).await;
        let body = (self.on_body)(n, result.into_stream());
        let held = stream::once(async move { drop(connection) }).filter_map(async |()| None);
        let body = body.chain(held).boxed();
        Ok(GetResult::new(meta, range, body))
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        self.inner.get_many(keys, opts).await
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        let _connection = self.connection().await;
        let mut result = self.inner.put(key, body, opts).await?;
        self.restate(key, &mut result.checksums).await;
        Ok(result)
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        self.inner.delete(key, opts).await
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        self.inner.delete_many(keys).await
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.inner.copy(from, to, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        self.inner.can_copy_from(from)
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.inner.copy_from(from, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let n = self.lists.fetch_add(1, Ordering::Relaxed) + 1;
        (self.on_list)(n, self.inner.list_page(opts, page).await?)
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        self.inner.create_multipart(key, opts).await
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        let _connection = self.connection().await;
        let receipt = self.inner.upload_part(upload, number, body).await?;
        let n = self.parts.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some((_, time)) = self.slow_parts.filter(|(only, _)| only.is_none_or(|only| only == n)) {
            tokio::time::sleep(time).await;
        }
        if n == self.wrong_receipt {
            return Ok(receipt.with_checksum(Hasher::new(ChecksumKind::Crc32c).finish()));
        }
        Ok(receipt)
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        self.inner.list_parts(upload).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        self.inner.list_uploads(prefix, page).await
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        let mut result = self.inner.complete_multipart(upload, parts).await?;
        self.restate(&upload.key, &mut result.checksums).await;
        if self.silent {
            result.checksums.clear();
        }
        Ok(result)
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        self.inner.abort_multipart(upload).await
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        self.inner.sign(request).await
    }
}
