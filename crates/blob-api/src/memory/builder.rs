//! Settings of a store in memory.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use longshore_core_types::{BucketName, ChecksumKind, Error, ErrorKind, Result};

use super::{MemoryCall, MemoryFault, MemoryStore, Settings, World, fault::Hook};
use crate::{Capability, MetadataRule, MultipartLimits, PinKind};

/// Settings of a [`MemoryStore`].
///
/// ```
/// use longshore_blob_api::{BlobStore, MemoryStore, PartOrder};
///
/// let store = MemoryStore::builder("scratch")
///     .capability(|can| {
///         can.ranged_get = false;
///         can.list_max_page = Some(2);
///         if let Some(limits) = &mut can.multipart {
///             limits.part_order = PartOrder::InOrder;
///         }
///     })
///     .chunk_size(7)
///     .build()?;
/// assert!(!store.capability().ranged_get);
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct MemoryStoreBuilder {
    bucket: String,
    capability: Capability,
    chunk_size: usize,
    fault: Option<Box<Hook>>,
}

impl MemoryStoreBuilder {
    pub(super) fn new(bucket: &str) -> Self {
        Self { bucket: bucket.to_owned(), capability: everything(), chunk_size: 64 << 10, fault: None }
    }

    /// Changes what the store says it can do; it refuses whatever is taken away.
    ///
    /// By default it can do everything but sign, takes parts of any size from 1 byte on, and lists pages of
    /// 1000.
    pub fn capability(mut self, change: impl FnOnce(&mut Capability)) -> Self {
        change(&mut self.capability);
        self
    }

    /// Size in bytes of the chunks in which bodies arrive; 64 KiB by default.
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = bytes;
        self
    }

    /// Shows every call that passed its checks to `hook`, which may let it fail.
    pub fn fault(mut self, hook: impl Fn(&MemoryCall<'_>) -> MemoryFault + Send + Sync + 'static) -> Self {
        self.fault = Some(Box::new(hook));
        self
    }

    /// The empty bucket. `InvalidInput` if its name is none; `InvalidConfig` if chunks have no bytes, or if it
    /// shall be able to sign.
    pub fn build(self) -> Result<MemoryStore> {
        let bucket = BucketName::new(&self.bucket)?;
        if self.chunk_size == 0 {
            return Err(Error::new(ErrorKind::InvalidConfig, "chunks of bodies need at least one byte"));
        }
        if self.capability.sign_get || self.capability.sign_put {
            return Err(Error::new(ErrorKind::InvalidConfig, "a store in memory cannot sign URLs"));
        }
        let mut world = World::default();
        world.bucket(&bucket);
        Ok(MemoryStore {
            bucket,
            world: Arc::new(Mutex::new(world)),
            settings: Arc::new(Settings {
                capability: self.capability,
                chunk_size: self.chunk_size,
                fault: self.fault,
            }),
        })
    }
}

fn everything() -> Capability {
    Capability {
        names: None,
        read_only: false,
        unlisted: false,
        path_conflicts: false,
        ranged_get: true,
        suffix_range: true,
        if_match: true,
        if_none_match: true,
        create_only: true,
        pin: PinKind::IfMatch,
        copy: true,
        get_many: true,
        list_delimiter: true,
        list_start_after: true,
        list_ordered: true,
        list_max_page: Some(1000),
        delete_batch: Some(1000),
        content_headers: true,
        more_headers: true,
        user_metadata: true,
        metadata_apart: false,
        metadata: MetadataRule::Any,
        sign_get: false,
        sign_put: false,
        multipart: Some(MultipartLimits { min_part: 1, ..MultipartLimits::default() }),
        put_requires_length: false,
        max_put: None,
        max_object: None,
        checksums: vec![
            ChecksumKind::Crc32c,
            ChecksumKind::XxHash64,
            ChecksumKind::Md5,
            ChecksumKind::Sha256,
            ChecksumKind::Sha512,
        ],
    }
}

impl fmt::Debug for MemoryStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStoreBuilder")
            .field("bucket", &self.bucket)
            .field("capability", &self.capability)
            .field("chunk_size", &self.chunk_size)
            .finish_non_exhaustive()
    }
}
