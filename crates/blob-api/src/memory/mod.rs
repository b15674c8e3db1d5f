//! A store in memory.

mod bucket;
mod builder;
mod fault;
mod listing;
mod multipart;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::{
    BucketName, CallInfo, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Payload, Resource, Result,
    Scheme, StoreUrl,
};

use self::bucket::{Bucket, Condition};
pub use self::{
    builder::MemoryStoreBuilder,
    fault::{MemoryCall, MemoryFault},
};
use crate::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyItem, GetManyOptions,
    GetManyStream, GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef,
    PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest,
    UploadPage,
};

/// A complete store in memory: for tests, examples, and as a model of what the contract means.
///
/// It can do everything but sign URLs, and can be told to do less ([`MemoryStore::builder`]). Clones share
/// the bucket. It never waits, needs no runtime and never retries.
///
/// ```
/// # futures_util::future::FutureExt::now_or_never(async {
/// use longshore_blob_api::{BlobStoreExt, MemoryStore};
/// use longshore_core_types::ObjectKey;
///
/// let store = MemoryStore::new("scratch")?;
/// let key = ObjectKey::new("greeting")?;
/// store.write(&key, "hello").await?;
/// assert_eq!(store.read(&key).await?, "hello");
/// # Ok::<(), longshore_core_types::Error>(())
/// # }).unwrap().unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    bucket: BucketName,
    world: Arc<Mutex<World>>,
    settings: Arc<Settings>,
}

/// Buckets that can copy from each other.
#[derive(Default)]
struct World {
    buckets: BTreeMap<BucketName, Bucket>,
    /// The last version or upload id that was given out.
    counter: u64,
}

impl World {
    fn next_id(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

struct Settings {
    capability: Capability,
    chunk_size: usize,
    fault: Option<Box<fault::Hook>>,
}

impl MemoryStore {
    /// An empty bucket that can do everything. `InvalidInput` if this is no name of a bucket.
    pub fn new(bucket: impl AsRef<str>) -> Result<Self> {
        Self::builder(bucket).build()
    }

    /// An empty bucket with settings of one's own.
    pub fn builder(bucket: impl AsRef<str>) -> MemoryStoreBuilder {
        MemoryStoreBuilder::new(bucket.as_ref())
    }

    /// Another bucket beside this one, with the same settings: [`copy_from`](BlobStore::copy_from) works
    /// between the two. The same name gives the same bucket.
    pub fn sibling(&self, bucket: impl AsRef<str>) -> Result<Self> {
        let bucket = BucketName::new(bucket)?;
        self.lock().buckets.entry(bucket.clone()).or_default();
        Ok(Self { bucket, world: Arc::clone(&self.world), settings: Arc::clone(&self.settings) })
    }

    /// How many uploads in parts were begun and neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.lock().buckets.get(&self.bucket).map_or(0, Bucket::open_uploads)
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // Every change is made whole under the lock, so a panic elsewhere leaves nothing half done.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one call: checks, injected fault, work under the lock. Errors get the name of the call.
    fn run<T>(
        &self,
        call: &MemoryCall<'_>,
        check: Result<()>,
        work: impl FnOnce(&mut World, &BucketName) -> Result<T>,
    ) -> Result<T> {
        let outcome = check.and_then(|()| match self.fault(call) {
            MemoryFault::Refuse(error) => Err(error),
            MemoryFault::Lose(error) => {
                work(&mut self.lock(), &self.bucket)?;
                Err(error)
            }
            MemoryFault::None | MemoryFault::BreakBody(_) => work(&mut self.lock(), &self.bucket),
        });
        outcome.map_err(|error| self.describe(call, error))
    }

    fn fault(&self, call: &MemoryCall<'_>) -> MemoryFault {
        self.settings.fault.as_ref().map_or(MemoryFault::None, |hook| hook(call))
    }

    fn describe(&self, call: &MemoryCall<'_>, error: Error) -> Error {
        let (scheme, bucket) = (Scheme::Memory, self.bucket.clone());
        let resource = match call.key {
            Some(key) => Resource::Object { scheme, bucket, key: key.clone() },
            None => Resource::Bucket { scheme, bucket },
        };
        error.with_call(&CallInfo::new(call.operation, Idempotency::Idempotent).on(resource))
    }

    /// The body of an answer, in chunks of the size that was set.
    fn body(&self, mut bytes: Bytes, breaks: Option<(u64, Error)>) -> crate::ByteStream {
        let mut failure = None;
        if let Some((after, error)) = breaks
            && after < bytes.len() as u64
        {
            bytes.truncate(usize::try_from(after).unwrap_or(usize::MAX));
            failure = Some(Err(error));
        }
        let size = self.settings.chunk_size;
        let chunks = stream::unfold(bytes, move |mut rest| async move {
            (!rest.is_empty()).then(|| (Ok(rest.split_to(size.min(rest.len()))), rest))
        });
        chunks.chain(stream::iter(failure)).boxed()
    }
}

/// Reads a body that a caller sends.
async fn collect(body: Payload) -> Result<Bytes> {
    let read = |error| Error::new(ErrorKind::LocalIo, "the body could not be read").with_source(error);
    let mut stream = body.into_stream();
    let Some(first) = stream.try_next().await.map_err(read)? else { return Ok(Bytes::new()) };
    let Some(second) = stream.try_next().await.map_err(read)? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    all.extend_from_slice(&second);
    while let Some(chunk) = stream.try_next().await.map_err(read)? {
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

impl BlobStore for MemoryStore {
    fn capability(&self) -> &Capability {
        &self.settings.capability
    }

    fn url(&self) -> StoreUrl {
        StoreUrl::new(Scheme::Memory, self.bucket.clone(), "")
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        let call = MemoryCall::new("memory.object.head").on(key);
        let conditions = [
            opts.if_match.as_deref().map(Condition::Match),
            opts.if_none_match.as_deref().map(Condition::NoneMatch),
        ];
        self.run(&call, self.capability().check_head(&opts), |world, name| {
            Ok(world.bucket(name).find(key, conditions.into_iter().flatten())?.meta(key))
        })
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        let mut call = MemoryCall::new("memory.object.get").on(key);
        call.range = opts.range;
        let conditions = [
            opts.pin.as_ref().map(Condition::Pin),
            opts.if_match.as_deref().map(Condition::Match),
            opts.if_none_match.as_deref().map(Condition::NoneMatch),
        ];
        let mut breaks = None;
        let check = self.capability().check_get(&opts).and_then(|()| match self.fault(&call) {
            MemoryFault::Refuse(error) | MemoryFault::Lose(error) => Err(error),
            MemoryFault::BreakBody(after) => {
                let error = Error::new(ErrorKind::Transport, format!("the body broke after {after} bytes"));
                breaks = Some((after, self.describe(&call, error)));
                Ok(())
            }
            MemoryFault::None => Ok(()),
        });
        let found = check.and_then(|()| {
            let mut world = self.lock();
            let object = world.bucket(&self.bucket).find(key, conditions.into_iter().flatten())?;
            Ok((object.meta(key), object.data.clone()))
        });
        let (meta, data) = found.map_err(|error| self.describe(&call, error))?;
        let range = match opts.range {
            None => 0..meta.size,
            Some(range) => range.resolve(meta.size).map_err(|error| self.describe(&call, error))?,
        };
        let body = slice(&data, &range);
        Ok(GetResult::new(meta, range, self.body(body, breaks)))
    }

    async fn get_many(&self, keys: Vec<ObjectKey>, opts: GetManyOptions) -> Result<GetManyStream> {
        let call = MemoryCall::new("memory.object.get_many");
        self.run(&call, self.capability().check_get_many(), |_, _| Ok(()))?;
        let store = self.clone();
        let items = stream::unfold(Some(keys.into_iter()), move |keys| {
            let store = store.clone();
            async move {
                let mut keys = keys?;
                let key = keys.next()?;
                match store.get(&key, GetOptions::default()).await {
                    Err(error) if !opts.continue_on_error => Some((Err(error), None)),
                    result => Some((Ok(GetManyItem::new(key, result)), Some(keys))),
                }
            }
        });
        Ok(items.boxed())
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        let call = MemoryCall::new("memory.object.put").on(key);
        let check = self.capability().check_put(&body, &opts);
        let data = match check {
            Ok(()) => collect(body).await,
            Err(error) => Err(error),
        };
        let data = data.map_err(|error| self.describe(&call, error))?;
        self.run(&call, Ok(()), |world, name| {
            let version = world.next_id();
            world.bucket(name).put(key, data, &opts, version)
        })
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        let call = MemoryCall::new("memory.object.delete").on(key);
        self.run(&call, self.capability().check_delete(&opts), |world, name| {
            world.bucket(name).delete(key, &opts)
        })
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let call = MemoryCall::new("memory.object.delete_many");
        self.run(&call, self.capability().check_write(), |world, name| {
            let delete = |key: ObjectKey| {
                let result = world.bucket(name).delete(&key, &DeleteOptions::default());
                DeleteOutcome::new(key, result)
            };
            Ok(keys.into_iter().map(delete).collect())
        })
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        let call = MemoryCall::new("memory.object.copy").on(from);
        self.run(&call, self.capability().check_copy(&opts), |world, name| {
            world.copy((name, from), (name, to), opts)
        })
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        let known = |bucket| self.lock().buckets.contains_key(bucket);
        self.capability().copy && from.scheme() == Scheme::Memory && from.bucket().is_some_and(known)
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        let call = MemoryCall::new("memory.object.copy_from").on(to);
        let check = if self.can_copy_from(from) {
            self.capability().check_copy_options(&opts)
        } else {
            Err(Error::new(ErrorKind::Unsupported, format!("this store cannot copy from {from}")))
        };
        self.run(&call, check, |world, name| {
            let key = from.object_key()?;
            let bucket = from.bucket().unwrap_or(name);
            world.copy((bucket, &key), (name, to), opts)
        })
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        let call = MemoryCall::new("memory.object.list");
        let most = self.capability().list_max_page;
        self.run(&call, self.capability().check_list(opts), |world, name| {
            world.bucket(name).list_page(opts, page.as_ref(), most)
        })
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        let call = MemoryCall::new("memory.multipart.create").on(key);
        self.run(&call, self.capability().check_create_multipart(&opts), |world, name| {
            let id = world.next_id();
            Ok(world.bucket(name).create_upload(key, opts, id))
        })
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        let mut call = MemoryCall::new("memory.multipart.put_part").on(&upload.key);
        call.part = Some(number);
        let data = match self.capability().check_part(number, &body) {
            Ok(()) => collect(body).await,
            Err(error) => Err(error),
        };
        let data = data.map_err(|error| self.describe(&call, error))?;
        self.run(&call, Ok(()), |world, name| {
            let limits = self.capability().check_multipart()?;
            world.bucket(name).put_part(upload, number, data, limits)
        })
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        let call = MemoryCall::new("memory.multipart.list_parts").on(&upload.key);
        self.run(&call, self.capability().check_list_parts(), |world, name| {
            world.bucket(name).list_parts(upload)
        })
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        let call = MemoryCall::new("memory.multipart.list_uploads");
        let most = self.capability().list_max_page;
        self.run(&call, self.capability().check_list_uploads(), |world, name| {
            world.bucket(name).list_uploads(prefix, page.as_ref(), most)
        })
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        let call = MemoryCall::new("memory.multipart.complete").on(&upload.key);
        self.run(&call, self.capability().check_complete(&parts), |world, name| {
            let version = world.next_id();
            world.bucket(name).complete_upload(upload, &parts, version)
        })
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        let call = MemoryCall::new("memory.multipart.abort").on(&upload.key);
        self.run(&call, self.capability().check_multipart().map(drop), |world, name| {
            world.bucket(name).abort_upload(upload);
            Ok(())
        })
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        let call = MemoryCall::new("memory.object.sign").on(&request.key);
        let refused =
            Error::new(ErrorKind::Unsupported, "a store in memory has no URL that others could use");
        Err(self.describe(&call, refused))
    }
}

fn slice(data: &Bytes, range: &std::ops::Range<u64>) -> Bytes {
    // Both ends lie inside the data, whose length is a `usize`.
    let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    data.slice(at(range.start)..at(range.end))
}

impl World {
    /// A bucket exists as soon as a store names it.
    fn bucket(&mut self, name: &BucketName) -> &mut Bucket {
        self.buckets.entry(name.clone()).or_default()
    }

    fn copy(
        &mut self,
        from: (&BucketName, &ObjectKey),
        to: (&BucketName, &ObjectKey),
        opts: CopyOptions,
    ) -> Result<PutResult> {
        let source = self.bucket(from.0).find(from.1, [])?;
        let data = source.data.clone();
        let mut put = PutOptions::default().with_attributes(match opts.attributes {
            Some(attributes) => attributes,
            None => source.attributes.clone(),
        });
        put.create_only = opts.create_only;
        let version = self.next_id();
        self.bucket(to.0).put(to.1, data, &put, version)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryStore").field(&self.bucket).finish()
    }
}
