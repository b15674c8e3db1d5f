//! A store of any type.
#![allow(clippy::elidable_lifetime_names, reason = "the macro names them for methods that borrow arguments")]

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use longshore_core_types::{ObjectKey, ObjectMeta, Payload, Pressure, Result, StoreUrl};

use crate::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef, PageToken,
    PartInfo, PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest, UploadPage,
};

/// Declares the object-safe twin of [`BlobStore`], its blanket implementation, and the way back.
macro_rules! erased {
    ($(fn $name:ident($($pass:ident $arg:ident: $type:ty),*) -> $output:ty;)*) => {
        /// [`BlobStore`] with boxed futures, which makes it object-safe.
        trait Erased: fmt::Debug + Send + Sync {
            fn capability(&self) -> &Capability;
            fn url(&self) -> StoreUrl;
            fn pressure(&self) -> Option<Pressure>;
            fn can_copy_from(&self, from: &StoreUrl) -> bool;
            $(fn $name<'a>(&'a self $(, $arg: erased!(@$pass $type, 'a))*) -> BoxFuture<'a, Result<$output>>;)*
        }

        impl<T: BlobStore> Erased for T {
            fn capability(&self) -> &Capability {
                BlobStore::capability(self)
            }

            fn url(&self) -> StoreUrl {
                BlobStore::url(self)
            }

            fn pressure(&self) -> Option<Pressure> {
                BlobStore::pressure(self)
            }

            fn can_copy_from(&self, from: &StoreUrl) -> bool {
                BlobStore::can_copy_from(self, from)
            }

            $(fn $name<'a>(&'a self $(, $arg: erased!(@$pass $type, 'a))*) -> BoxFuture<'a, Result<$output>> {
                Box::pin(BlobStore::$name(self $(, $arg)*))
            })*
        }

        impl BlobStore for AnyStore {
            fn capability(&self) -> &Capability {
                self.0.capability()
            }

            fn url(&self) -> StoreUrl {
                self.0.url()
            }

            fn pressure(&self) -> Option<Pressure> {
                self.0.pressure()
            }

            fn can_copy_from(&self, from: &StoreUrl) -> bool {
                self.0.can_copy_from(from)
            }

            $(async fn $name(&self $(, $arg: erased!(@$pass $type))*) -> Result<$output> {
                self.0.$name($($arg),*).await
            })*
        }
    };
    (@borrowed $type:ty $(, $lifetime:lifetime)?) => { &$($lifetime)? $type };
    (@owned $type:ty $(, $lifetime:lifetime)?) => { $type };
}

/// A store of any type behind one name: cheap to clone, one box for each call.
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use longshore_blob_api::{AnyStore, BlobStore, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new("scratch")?);
/// assert!(store.capability().ranged_get);
/// # }
/// # Ok::<(), longshore_core_types::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnyStore(Arc<dyn Erased>);

impl AnyStore {
    /// Hides the type of a store.
    pub fn new(store: impl BlobStore) -> Self {
        Self(Arc::new(store))
    }
}

erased! {
    fn head(borrowed key: ObjectKey, owned opts: HeadOptions) -> ObjectMeta;
    fn get(borrowed key: ObjectKey, owned opts: GetOptions) -> GetResult;
    fn get_many(owned keys: Vec<ObjectKey>, owned opts: GetManyOptions) -> GetManyStream;
    fn put(borrowed key: ObjectKey, owned body: Payload, owned opts: PutOptions) -> PutResult;
    fn delete(borrowed key: ObjectKey, owned opts: DeleteOptions) -> ();
    fn delete_many(owned keys: Vec<ObjectKey>) -> Vec<DeleteOutcome>;
    fn copy(borrowed from: ObjectKey, borrowed to: ObjectKey, owned opts: CopyOptions) -> PutResult;
    fn copy_from(borrowed from: StoreUrl, borrowed to: ObjectKey, owned opts: CopyOptions) -> PutResult;
    fn list_page(borrowed opts: ListOptions, owned page: Option<PageToken>) -> ListPage;
    fn create_multipart(borrowed key: ObjectKey, owned opts: PutOptions) -> MultipartId;
    fn upload_part(borrowed upload: MultipartRef, owned number: PartNumber, owned body: Payload) -> PartReceipt;
    fn list_parts(borrowed upload: MultipartRef) -> Vec<PartInfo>;
    fn list_uploads(borrowed prefix: str, owned page: Option<PageToken>) -> UploadPage;
    fn complete_multipart(borrowed upload: MultipartRef, owned parts: Vec<PartReceipt>) -> PutResult;
    fn abort_multipart(borrowed upload: MultipartRef) -> ();
    fn sign(owned request: SignRequest) -> SignedRequest;
}
