//! A bucket as a neutral store.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::Method;
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MetadataRule, MultipartId, MultipartLimits,
    MultipartRef, PageToken, PartInfo, PartNumber, PartReceipt, PinKind, PutOptions, PutResult, SignMethod,
    SignRequest, SignedRequest, UploadPage,
};
use longshore_core_types::{
    BucketName, ByteRange, CallInfo, Checksum, ChecksumKind, Error, ErrorKind, Idempotency, ObjectKey,
    ObjectMeta, Payload, Pressure, Resource, Result, StoreUrl, checksum::Hasher,
};

use super::{
    config::S3Builder,
    credentials::AwsCredentials,
    flavor::{AMAZON, Flavor, UrlSigner},
    store_copy, store_list,
    wire::{
        answer,
        request::{self, check_key},
        xml::{self, DeleteResult, InitiateMultipartUploadResult, Made, NotDeleted},
    },
};
#[cfg(feature = "gcs")]
use crate::wire::{client::Errors, endpoint::Endpoint};
#[cfg(feature = "gcs")]
use longshore_transport::Transport;

use crate::{
    credentials::Source,
    wire::{
        client::{Answer, Client},
        read,
        request::{Request, write_idempotency},
    },
};

/// Names in one request to delete.
const BATCH: usize = 1000;

/// Requests to delete at a time.
const BATCHES: usize = 4;

/// Requests to delete one object at a time.
const SINGLES: usize = 8;

/// Longest life of a signed URL, in seconds.
const LONGEST_SIGNATURE: u64 = 7 * 24 * 60 * 60;

/// Largest object of a single request.
pub(super) const LARGEST_PUT: u64 = 5 << 30;

/// A bucket of Amazon S3, or of a store with its API. Cheap to clone.
///
/// - Names and listings are raw: nothing is normalised. Names with a segment `.` or `..` can be listed, and nothing
///   else, because such segments do not survive in a URL.
/// - Requests are signed without the digest of their body (`UNSIGNED-PAYLOAD`), because bodies are streams. A checksum
///   in [`PutOptions`] is compared by the server.
/// - Copies that must not replace anything, and those of more than 5 GiB, are made in parts at the server.
#[derive(Clone, Debug)]
pub struct S3Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    flavor: Flavor,
    signer: UrlSigner,
    region: String,
    bucket: BucketName,
    url: StoreUrl,
    capability: Capability,
}

impl S3Store {
    /// Settings of a bucket at Amazon; see [`S3Builder`].
    pub fn builder(bucket: impl Into<String>) -> S3Builder {
        S3Builder::new(bucket)
    }

    pub(super) fn new(
        client: Client,
        source: Option<Source<AwsCredentials>>,
        region: String,
        bucket: BucketName,
        conditional_writes: bool,
    ) -> Self {
        let url = StoreUrl::new(AMAZON.scheme, bucket.clone(), "");
        let capability = capability(conditional_writes, source.is_some());
        let signer = source.map_or(UrlSigner::Nobody, UrlSigner::Amazon);
        Self(Arc::new(Inner { client, flavor: AMAZON, signer, region, bucket, url, capability }))
    }

    /// Creates the bucket, in the region of the settings. [`ErrorKind::AlreadyExists`] if there is one of this name.
    pub async fn create_bucket(&self) -> Result<()> {
        const OPERATION: &str = "s3.bucket.create";
        // Repeated, it would find the bucket that it made itself.
        let mut request = self.request(Method::PUT, OPERATION, Idempotency::NotIdempotent);
        let region = &self.0.region;
        if region != "us-east-1" {
            request = request.document(xml::create_bucket(region));
        }
        self.send(Ok(request), OPERATION, None).await?.done().await.map(drop)
    }

    /// Removes the bucket, which must be empty.
    pub async fn delete_bucket(&self) -> Result<()> {
        const OPERATION: &str = "s3.bucket.delete";
        let request = self.request(Method::DELETE, OPERATION, Idempotency::NotIdempotent);
        self.send(Ok(request), OPERATION, None).await?.done().await.map(drop)
    }

    /// Names of all buckets that the account of this store owns, in no order, a page of 1,000 at a time. The bucket
    /// itself does not have to exist.
    #[doc(alias = "ListBuckets")]
    pub fn list_buckets(&self) -> BoxStream<'static, Result<String>> {
        store_list::buckets(self)
    }

    pub(super) fn flavor(&self) -> Flavor {
        self.0.flavor
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn bucket(&self) -> &BucketName {
        &self.0.bucket
    }

    pub(super) fn can(&self) -> &Capability {
        &self.0.capability
    }

    pub(crate) fn resource(&self, key: Option<&ObjectKey>) -> Resource {
        let (scheme, bucket) = (self.0.url.scheme(), self.0.url.bucket().unwrap_or(&self.0.bucket).clone());
        match key {
            Some(key) => Resource::Object { scheme, bucket, key: key.clone() },
            None => Resource::Bucket { scheme, bucket },
        }
    }

    /// Names call and object in an error that was found before anything was sent.
    pub(super) fn refuse(&self, error: Error, operation: &'static str, key: Option<&ObjectKey>) -> Error {
        error.with_operation((self.0.flavor.operation)(operation)).with_resource(self.resource(key))
    }

    /// A request on the bucket.
    pub(super) fn request(&self, method: Method, operation: &'static str, how: Idempotency) -> Request {
        Request::new(method, (self.0.flavor.operation)(operation), how, self.resource(None))
    }

    /// A request on an object.
    pub(super) fn on(
        &self,
        key: &ObjectKey,
        method: Method,
        operation: &'static str,
        how: Idempotency,
    ) -> Result<Request> {
        check_key(key.as_str()).map_err(|error| self.refuse(error, operation, Some(key)))?;
        let operation = (self.0.flavor.operation)(operation);
        Ok(Request::new(method, operation, how, self.resource(Some(key))).key(key.as_str()))
    }

    /// Sends what was prepared, or refuses what could not be.
    pub(super) async fn send(
        &self,
        request: Result<Request>,
        operation: &'static str,
        key: Option<&ObjectKey>,
    ) -> Result<Answer> {
        match request {
            Ok(request) => self.client().call(request).await,
            Err(error) => Err(self.refuse(error, operation, key)),
        }
    }

    async fn read(&self, key: &ObjectKey, opts: &GetOptions) -> Result<GetResult> {
        const OPERATION: &str = "s3.object.get";
        let request = self.on(key, Method::GET, OPERATION, Idempotency::Idempotent)?.reading(opts);
        let answer = self.send(request, OPERATION, Some(key)).await?;
        read::result(answer, key, opts, answer::object)
    }

    /// Deletes names that one document can say.
    async fn delete_batch(&self, keys: Vec<ObjectKey>) -> Vec<DeleteOutcome> {
        const OPERATION: &str = "s3.object.delete_many";
        let document = xml::delete(keys.iter().map(ObjectKey::as_str));
        let digest = md5_of(document.as_bytes());
        let request = self
            .request(Method::POST, OPERATION, Idempotency::Idempotent)
            .query("delete", "")
            .checksum(Some(&digest))
            .map(|request| request.document(document));
        let result = match self.send(request, OPERATION, None).await {
            Ok(answer) => answer.document::<DeleteResult>("the outcome of deleting many").await,
            Err(error) => Err(error),
        };
        match result {
            Ok(result) => {
                // A failure that is about none of the names may be about any of them.
                let of_none = |e: &&NotDeleted| !keys.iter().any(|key| key.as_str() == e.key);
                let general = result.error.iter().find(of_none);
                let failed =
                    |key: &ObjectKey| result.error.iter().find(|e| e.key == key.as_str()).or(general);
                let outcome = |key: ObjectKey| {
                    let result = match failed(&key) {
                        None => Ok(()),
                        Some(fail) if fail.code == "NoSuchKey" => Ok(()),
                        Some(fail) => {
                            Err(self.refuse(not_deleted(&fail.code, &fail.message), OPERATION, Some(&key)))
                        }
                    };
                    DeleteOutcome::new(key, result)
                };
                keys.into_iter().map(outcome).collect()
            }
            Err(error) => keys
                .into_iter()
                .map(|key| {
                    let mut same = Error::new(error.kind(), error.message().to_owned())
                        .with_retryability(error.retryability());
                    if let Some(status) = error.status() {
                        same = same.with_status(status);
                    }
                    if let Some(code) = error.code() {
                        same = same.with_code(code);
                    }
                    let same = self.refuse(same, OPERATION, Some(&key));
                    DeleteOutcome::new(key, Err(same))
                })
                .collect(),
        }
    }
}

fn md5_of(bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(ChecksumKind::Md5);
    hasher.update(bytes);
    hasher.finish()
}

fn not_deleted(code: &str, message: &str) -> Error {
    let kind = match code {
        "AccessDenied" => ErrorKind::PermissionDenied,
        "SlowDown" => ErrorKind::RateLimited,
        "InternalError" | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    };
    let message = if message.is_empty() { "the server did not delete it" } else { message };
    Error::new(kind, message.to_owned()).with_code(code)
}

/// The store of a bucket at Google.
#[cfg(feature = "gcs")]
pub(crate) fn google<C: 'static>(
    transport: Transport,
    endpoint: Endpoint,
    source: Option<&Source<C>>,
    signer: Option<crate::gcs::UrlSigner>,
    bucket: BucketName,
) -> S3Store {
    use super::{
        error,
        flavor::{GOOGLE, google_capability},
    };
    let errors =
        Errors { read: crate::gcs::read_error, in_success: error::in_success, stale: error::is_stale };
    let client = Client::new(transport, endpoint, source, errors)
        .translated(crate::gcs::translate_request, crate::gcs::translate_answer);
    let capability = google_capability(capability(true, false), signer.is_some());
    let url = StoreUrl::new(GOOGLE.scheme, bucket.clone(), "");
    let signer = signer.map_or(UrlSigner::Nobody, UrlSigner::Google);
    S3Store(Arc::new(Inner {
        client,
        flavor: GOOGLE,
        signer,
        region: String::new(),
        bucket,
        url,
        capability,
    }))
}

/// What S3 can do.
fn capability(conditional_writes: bool, has_key: bool) -> Capability {
    let mut can = Capability::default();
    can.ranged_get = true;
    can.suffix_range = true;
    can.if_match = conditional_writes;
    can.if_none_match = true;
    can.create_only = conditional_writes;
    can.pin = PinKind::IfMatch;
    can.copy = true;
    can.list_delimiter = true;
    can.list_start_after = true;
    can.list_ordered = true;
    can.list_max_page = u32::try_from(BATCH).ok();
    can.delete_batch = u32::try_from(BATCH).ok();
    can.content_headers = true;
    can.more_headers = true;
    can.user_metadata = true;
    can.metadata = MetadataRule::Headers;
    can.sign_get = has_key;
    can.sign_put = has_key;
    can.multipart = Some(MultipartLimits::default());
    can.put_requires_length = true;
    can.max_put = Some(LARGEST_PUT);
    can.max_object = Some(5 << 40);
    can.checksums = vec![ChecksumKind::Crc32c, ChecksumKind::Md5, ChecksumKind::Sha256];
    can
}

impl BlobStore for S3Store {
    fn capability(&self) -> &Capability {
        self.can()
    }

    fn url(&self) -> StoreUrl {
        self.0.url.clone()
    }

    fn pressure(&self) -> Option<Pressure> {
        Some(self.client().transport.pressure().clone())
    }

    async fn head(&self, key: &ObjectKey, opts: HeadOptions) -> Result<ObjectMeta> {
        const OPERATION: &str = "s3.object.head";
        self.can().check_head(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let mut conditions = GetOptions::default();
        conditions.if_match = opts.if_match;
        conditions.if_none_match = opts.if_none_match;
        let request = self.on(key, Method::HEAD, OPERATION, Idempotency::Idempotent)?.reading(&conditions);
        let answer = self.send(request, OPERATION, Some(key)).await?;
        let size = read::stated_length(&answer)?;
        Ok(answer::object(&answer.parts, key, size))
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        const OPERATION: &str = "s3.object.get";
        self.can().check_get(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        match (self.read(key, &opts).await, opts.range) {
            // The last bytes of an empty object are none, which a server has no words for.
            (Err(error), Some(ByteRange::Suffix(_))) if error.kind() == ErrorKind::RangeNotSatisfiable => {
                let mut whole = opts;
                whole.range = None;
                let result = self.read(key, &whole).await?;
                if result.meta.size == 0 { Ok(result) } else { Err(error) }
            }
            (result, _) => result,
        }
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        Err(match self.can().check_get_many() {
            Err(error) => self.refuse(error, "s3.object.get_many", None),
            Ok(()) => Error::new(ErrorKind::Unsupported, "there is no such call"),
        })
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        const OPERATION: &str = "s3.object.put";
        self.can().check_put(&body, &opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let how = write_idempotency(opts.create_only, opts.if_match.as_ref());
        let request = self.on(key, Method::PUT, OPERATION, how)?;
        let answer =
            self.send(request::put(request, body, &opts, &self.0.flavor), OPERATION, Some(key)).await;
        let parts = answer.map_err(|error| created_before(error, opts.create_only))?.done().await?;
        Ok(answer::stored(&parts))
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        const OPERATION: &str = "s3.object.delete";
        self.can().check_delete(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let request = self
            .on(key, Method::DELETE, OPERATION, Idempotency::Idempotent)?
            .conditions(false, opts.if_match.as_deref());
        match self.send(request, OPERATION, Some(key)).await {
            Ok(answer) => answer.done().await.map(drop),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let (mut outcomes, mut batches, mut singles) =
            (Vec::with_capacity(keys.len()), Vec::new(), Vec::new());
        let mut batch = Vec::new();
        for key in keys {
            if let Err(error) = check_key(key.as_str()) {
                let error = self.refuse(error, "s3.object.delete_many", Some(&key));
                outcomes.push(DeleteOutcome::new(key, Err(error)));
            } else if self.can().delete_batch.is_none() || !xml::can_say(key.as_str()) {
                singles.push(key);
            } else {
                batch.push(key);
                if batch.len() == BATCH {
                    batches.push(std::mem::take(&mut batch));
                }
            }
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        let deleted = stream::iter(batches).map(|batch| self.delete_batch(batch)).buffer_unordered(BATCHES);
        outcomes.extend(deleted.concat().await);
        let delete = |key: ObjectKey| async move {
            let result = self.delete(&key, DeleteOptions::default()).await;
            DeleteOutcome::new(key, result)
        };
        outcomes
            .extend(stream::iter(singles).map(delete).buffer_unordered(SINGLES).collect::<Vec<_>>().await);
        Ok(outcomes)
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        const OPERATION: &str = "s3.object.copy";
        self.can().check_copy(&opts).map_err(|e| self.refuse(e, OPERATION, Some(from)))?;
        store_copy::copy(self, self.bucket().as_str(), from, to, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        // Under another name than S3's it is not known which bucket the other one is.
        self.0.url.scheme() == from.scheme() && from.scheme() == self.0.flavor.scheme
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        const OPERATION: &str = "s3.object.copy";
        let source = || {
            let Some(bucket) = from.bucket().filter(|_| self.can_copy_from(from)) else {
                let message = format!("{from} is not at this service");
                return Err(Error::new(ErrorKind::Unsupported, message));
            };
            self.can().check_copy(&opts)?;
            Ok((bucket.clone(), from.object_key()?))
        };
        let (bucket, key) = source().map_err(|e| self.refuse(e, OPERATION, Some(to)))?;
        store_copy::copy(self, bucket.as_str(), &key, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        self.can().check_list(opts).map_err(|e| self.refuse(e, store_list::OPERATION, None))?;
        store_list::page(self, opts, page).await
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        const OPERATION: &str = "s3.multipart.create";
        self.can().check_create_multipart(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        if opts.create_only && self.0.flavor.copies_have_conditions {
            let message = "this service has no condition on the end of an upload in parts";
            return Err(self.refuse(Error::new(ErrorKind::Unsupported, message), OPERATION, Some(key)));
        }
        // Repeated after a lost answer, it would leave an upload behind that nobody knows of.
        let request = self
            .on(key, Method::POST, OPERATION, Idempotency::NotIdempotent)?
            .query("uploads", "")
            .attributes(&opts.attributes, &self.0.flavor);
        let answer = self.send(request, OPERATION, Some(key)).await?;
        let begun: InitiateMultipartUploadResult = answer.document("the id of an upload").await?;
        Ok(upload_id(&begun.upload_id, &opts))
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        const OPERATION: &str = "s3.multipart.part";
        let key = &upload.key;
        self.can().check_part(number, &body).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let size = body.len().unwrap_or_default();
        let request = self
            .on(key, Method::PUT, OPERATION, Idempotency::Idempotent)?
            .query("partNumber", &number.to_string())
            .query("uploadId", server_id(upload))
            .body(body);
        let parts = self.send(Ok(request), OPERATION, Some(key)).await?.done().await?;
        let mut receipt = PartReceipt::new(number, size);
        receipt.etag = answer::stored(&parts).etag;
        Ok(receipt)
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        store_list::parts(self, upload).await
    }

    async fn list_uploads(&self, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
        store_list::uploads(self, prefix, page).await
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        const OPERATION: &str = "s3.multipart.complete";
        let key = &upload.key;
        self.can().check_complete(&parts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let request = self
            .on(key, Method::POST, OPERATION, Idempotency::NotIdempotent)?
            .query("uploadId", server_id(upload));
        let (create_only, if_match) = conditions_of(upload);
        let request = xml::complete(&parts)
            .and_then(|document| request.document(document).conditions(create_only, if_match.as_deref()));
        let answer = self.send(request, OPERATION, Some(key)).await;
        let answer = answer.map_err(|error| created_before(error, create_only))?;
        let mut result = answer::stored(&answer.parts);
        let made: Made = answer.document("a completed upload").await?;
        result.etag = made.etag;
        Ok(result)
    }

    async fn abort_multipart(&self, upload: &MultipartRef) -> Result<()> {
        const OPERATION: &str = "s3.multipart.abort";
        let request = self
            .on(&upload.key, Method::DELETE, OPERATION, Idempotency::Idempotent)?
            .query("uploadId", server_id(upload));
        match self.send(Ok(request), OPERATION, Some(&upload.key)).await {
            Ok(answer) => answer.done().await.map(drop),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        const OPERATION: &str = "s3.object.sign";
        let refuse = |error| self.refuse(error, OPERATION, Some(&request.key));
        self.can().check_sign(&request).and_then(|()| check_key(request.key.as_str())).map_err(refuse)?;
        let seconds = request.expires_in.as_secs();
        if !(1..=LONGEST_SIGNATURE).contains(&seconds) {
            let name = self.0.flavor.name;
            let message =
                format!("a signature of {name} lasts 1 to {LONGEST_SIGNATURE} seconds, not {seconds}");
            return Err(refuse(Error::new(ErrorKind::InvalidInput, message)));
        }
        let method = match request.method {
            SignMethod::Get => Method::GET,
            SignMethod::Put => Method::PUT,
            _ => return Err(refuse(Error::new(ErrorKind::Unsupported, "only GET and PUT are signed"))),
        };
        let uri = self.client().endpoint.uri(Some(request.key.as_str()), "").map_err(refuse)?;
        let Inner { client, region, signer, .. } = &*self.0;
        let url = signer.presign(&client.transport, region, method, &uri, request.expires_in).await;
        match url.map_err(refuse)? {
            Some(url) => Ok(SignedRequest::new(request.method, url)),
            None => Err(refuse(Error::new(ErrorKind::Unsupported, "there is no key to sign with"))),
        }
    }
}

/// An object that is there already, where one was to be created.
pub(super) fn created_before(error: Error, create_only: bool) -> Error {
    let there = create_only && error.kind() == ErrorKind::PreconditionFailed;
    if there { error.with_kind(ErrorKind::AlreadyExists) } else { error }
}

/// S3 judges the conditions of an upload when it is completed, so its id here says which they are.
fn upload_id(id: &str, opts: &PutOptions) -> MultipartId {
    match (&opts.if_match, opts.create_only) {
        (_, true) => MultipartId::new(format!("{CREATE}{id}")),
        (Some(etag), _) => MultipartId::new(format!("{MATCH}{etag}\n{id}")),
        (None, false) => MultipartId::new(id),
    }
}

const CREATE: &str = "create-only\n";
const MATCH: &str = "if-match\n";

/// The server's part of an id.
pub(super) fn server_id(upload: &MultipartRef) -> &str {
    upload.id.as_str().rsplit('\n').next().unwrap_or_default()
}

fn conditions_of(upload: &MultipartRef) -> (bool, Option<String>) {
    let id = upload.id.as_str();
    let etag = id.strip_prefix(MATCH).and_then(|rest| rest.split_once('\n')).map(|(etag, _)| etag.to_owned());
    (id.starts_with(CREATE), etag)
}

/// A call for messages about what comes with an answer.
pub(super) fn call_on(store: &S3Store, operation: &'static str, key: Option<&ObjectKey>) -> CallInfo {
    CallInfo::new(operation, Idempotency::Idempotent).on(store.resource(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_failure_to_delete_is_lost() {
        use longshore_transport::testing::{Reply, ScriptedService};

        let keys = || ["a", "b ", "c"].map(|name| ObjectKey::new(name).unwrap()).to_vec();
        let answered = async |errors: &str| {
            let reply = Reply::ok(format!("<DeleteResult>{errors}</DeleteResult>"));
            let builder = S3Builder::new("b").endpoint("http://h").anonymous();
            let store = builder.service(ScriptedService::replies([reply])).build().unwrap();
            let outcomes = store.delete_many(keys()).await.unwrap();
            outcomes.iter().map(|outcome| outcome.result.is_ok()).collect::<Vec<_>>()
        };
        assert_eq!(answered("").await, [true; 3]);
        let one = "<Error><Key>b </Key><Code>AccessDenied</Code></Error>";
        let gone = "<Error><Key>a</Key><Code>NoSuchKey</Code></Error>";
        assert_eq!(answered(&format!("{one}{gone}")).await, [true, false, true]);
        // These say not which.
        assert_eq!(answered("<Error><Code>InternalError</Code></Error>").await, [false; 3]);
        assert_eq!(answered("<Error><Key>b</Key><Code>AccessDenied</Code></Error>").await, [false; 3]);
    }

    #[test]
    fn ids_of_uploads_carry_their_conditions() {
        let key = ObjectKey::new("k").unwrap();
        let check = |opts: PutOptions| {
            let upload = MultipartRef { key: key.clone(), id: upload_id("abc", &opts) };
            assert_eq!(server_id(&upload), "abc");
            conditions_of(&upload)
        };
        assert_eq!(check(PutOptions::default()), (false, None));
        assert_eq!(check(PutOptions::default().with_create_only()), (true, None));
        assert_eq!(check(PutOptions::default().with_if_match("\"t\"")), (false, Some("\"t\"".into())));
    }
}
