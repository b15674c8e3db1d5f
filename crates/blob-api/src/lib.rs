//! The neutral contract: what a bucket of blobs can do.
//!
//! [`BlobStore`] is the trait that a store implements, [`BlobStoreExt`] the conveniences that every store
//! gets for free, [`AnyStore`] a store of any type behind one name. [`Capability`] says what a store can
//! and cannot do, so that nobody has to try.
//!
//! The feature `memory` adds `MemoryStore`, the feature `conformance` the suite that proves an
//! implementation.

mod any;
mod capability;
mod ext;
mod lister;
#[cfg(feature = "memory")]
mod memory;
mod multipart;
mod options;
mod results;
mod store;

pub use any::AnyStore;
pub use capability::{Capability, MultipartLimits, PartOrder, PartRetry, PinKind};
pub use ext::{BlobStoreExt, RangesOptions, Reader, ReaderOptions, Writer, WriterOptions};
pub use lister::Lister;
#[cfg(feature = "memory")]
pub use memory::{MemoryCall, MemoryFault, MemoryStore, MemoryStoreBuilder};
pub use multipart::{MultipartId, MultipartRef, PartInfo, PartNumber, PartReceipt, UploadInfo, UploadPage};
pub use options::{
    CopyOptions, DeleteOptions, GetManyOptions, GetOptions, HeadOptions, ListDetail, ListOptions, PageToken,
    Pin, PutOptions, SignMethod, SignRequest,
};
pub use results::{
    ByteStream, DeleteOutcome, Entry, GetManyItem, GetManyStream, GetResult, ListPage, PutResult,
    SignedRequest,
};
pub use store::BlobStore;
