#![doc = include_str!("../README.md")]

mod any;
mod capability;
#[cfg(feature = "conformance")]
pub mod conformance;
mod ext;
mod lister;
#[cfg(feature = "memory")]
mod memory;
mod multipart;
mod options;
mod results;
mod store;

pub use any::AnyStore;
pub use capability::{Capability, MetadataRule, MultipartLimits, NameRules, PartOrder, PartRetry, PinKind};
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
