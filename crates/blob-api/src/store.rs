//! The trait.

use std::{fmt::Debug, future::Future};

use longshore_core_types::{ObjectKey, ObjectMeta, Payload, Pressure, Result, StoreUrl};

use crate::{
    Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream, GetOptions,
    GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartRef, PageToken, PartInfo,
    PartNumber, PartReceipt, PutOptions, PutResult, SignRequest, SignedRequest, UploadPage,
};

/// One bucket of blobs. Every method but [`pressure`](Self::pressure) is required; conveniences live in
/// [`BlobStoreExt`](crate::BlobStoreExt).
///
/// # For implementers
///
/// - What the store cannot do is an error of kind `Unsupported` before anything is sent, and
///   [`Capability`] says so. An option that the store cannot honour is `Unsupported` too: a condition that is
///   silently ignored loses data.
/// - Names are taken byte for byte. A name that the store cannot hold is `InvalidInput` before anything is sent.
/// - Readers see the old object or the new one, whole: `put` and `complete_multipart` switch atomically.
/// - A body that ends early, or that does not match the checksum the server stated, ends in an error, never in
///   a shorter object.
/// - Methods retry as the store's transport is configured; bodies of `get` do not resume by themselves.
/// - Wrappers forward every method.
///
/// The conformance suite (feature `conformance`) checks all of it.
pub trait BlobStore: Debug + Send + Sync + 'static {
    /// What this store can do. Constant over its life.
    fn capability(&self) -> &Capability;

    /// Where it is, without a key.
    fn url(&self) -> StoreUrl;

    /// What the service behind this store has said about its load; the same account for all stores of one client.
    /// `None`, the default, if nobody notes it.
    fn pressure(&self) -> Option<Pressure> {
        None
    }

    /// What the object is. `NotFound` if there is none.
    fn head(&self, key: &ObjectKey, opts: HeadOptions) -> impl Future<Output = Result<ObjectMeta>> + Send;

    /// The object, or the range of it that the options name. `NotFound` if there is none.
    ///
    /// A range that reaches over the end is cut; one that starts behind it is `RangeNotSatisfiable`. The
    /// future ends when the head of the answer is there; the body follows as it is read.
    fn get(&self, key: &ObjectKey, opts: GetOptions) -> impl Future<Output = Result<GetResult>> + Send;

    /// Many small objects in one request, in the order asked for.
    fn get_many(
        &self,
        keys: Vec<ObjectKey>,
        opts: GetManyOptions,
    ) -> impl Future<Output = Result<GetManyStream>> + Send;

    /// Stores an object, replacing one of the same name.
    fn put(
        &self,
        key: &ObjectKey,
        body: Payload,
        opts: PutOptions,
    ) -> impl Future<Output = Result<PutResult>> + Send;

    /// Deletes an object. Deleting what is not there is `Ok`, as with S3.
    fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> impl Future<Output = Result<()>> + Send;

    /// Deletes many objects and says what became of each, in any order.
    ///
    /// `Err` only if nothing can be said about single names.
    fn delete_many(&self, keys: Vec<ObjectKey>) -> impl Future<Output = Result<Vec<DeleteOutcome>>> + Send;

    /// Copies an object inside the bucket, at the server. `NotFound` if the source is not there.
    fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        opts: CopyOptions,
    ) -> impl Future<Output = Result<PutResult>> + Send;

    /// Whether [`copy_from`](Self::copy_from) can read from the bucket of `from`, without asking anybody.
    fn can_copy_from(&self, from: &StoreUrl) -> bool;

    /// Copies an object of another bucket into this one, at the server. `from` names the object.
    fn copy_from(
        &self,
        from: &StoreUrl,
        to: &ObjectKey,
        opts: CopyOptions,
    ) -> impl Future<Output = Result<PutResult>> + Send;

    /// One page of a listing: the first, or the one that `page` of an earlier answer points at.
    ///
    /// The options must be the same for all pages.
    fn list_page(
        &self,
        opts: &ListOptions,
        page: Option<PageToken>,
    ) -> impl Future<Output = Result<ListPage>> + Send;

    /// Begins an upload in parts. Nothing is visible until it is completed.
    fn create_multipart(
        &self,
        key: &ObjectKey,
        opts: PutOptions,
    ) -> impl Future<Output = Result<MultipartId>> + Send;

    /// Stores one part. Whether a part may be sent again is
    /// [`MultipartLimits::part_retry`](crate::MultipartLimits).
    fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> impl Future<Output = Result<PartReceipt>> + Send;

    /// The parts that the server has, in the order of their numbers. `NotFound` if there is no such upload.
    fn list_parts(&self, upload: &MultipartRef) -> impl Future<Output = Result<Vec<PartInfo>>> + Send;

    /// Uploads that were begun for names that start with `prefix`.
    fn list_uploads(
        &self,
        prefix: &str,
        page: Option<PageToken>,
    ) -> impl Future<Output = Result<UploadPage>> + Send;

    /// Makes the object of its parts, given in the order of their numbers.
    fn complete_multipart(
        &self,
        upload: &MultipartRef,
        parts: Vec<PartReceipt>,
    ) -> impl Future<Output = Result<PutResult>> + Send;

    /// Gives an upload up and frees its parts. `Ok` if there is no such upload any more.
    fn abort_multipart(&self, upload: &MultipartRef) -> impl Future<Output = Result<()>> + Send;

    /// A URL that allows one request without credentials.
    fn sign(&self, request: SignRequest) -> impl Future<Output = Result<SignedRequest>> + Send;
}
