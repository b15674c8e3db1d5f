//! A container as a neutral store.

use std::{sync::Arc, time::Duration};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method};
use longshore_blob_api::{
    BlobStore, Capability, CopyOptions, DeleteOptions, DeleteOutcome, GetManyOptions, GetManyStream,
    GetOptions, GetResult, HeadOptions, ListOptions, ListPage, MultipartId, MultipartLimits, MultipartRef,
    PageToken, PartInfo, PartNumber, PartReceipt, PinKind, PutOptions, PutResult, SignMethod, SignRequest,
    SignedRequest, UploadPage,
};
use longshore_core_types::{
    BucketName, ChecksumKind, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Payload, Pressure,
    Resource, Result, Scheme, StoreUrl,
};

use super::{
    config::AzureBuilder,
    credentials::AzureCredentials,
    sign, store_copy, store_list,
    upload::Upload,
    wire::{
        answer,
        request::{self, check_key, versioned},
        xml,
    },
};
use crate::{
    credentials::Source,
    wire::{
        client::{Answer, Client},
        read,
        request::{Request, write_idempotency},
    },
};

/// Blobs that are deleted at a time.
const DELETES: usize = 8;

/// Largest blob of a single request.
const LARGEST_PUT: u64 = 5000 << 20;

/// A container of Azure Blob Storage. Cheap to clone.
///
/// - Names and listings are raw: nothing is normalised. Names with a segment `.` or `..`, a backslash or a control
///   character can be listed, and nothing else: they would not come back as they went.
/// - Names of user metadata are identifiers, without dashes, which is the service's rule.
/// - The service has no uploads in parts, only blocks that wait for a commit. So an upload begins without a request;
///   an aborted one leaves its blocks behind, which the service drops after a week or with the next write of that name;
///   and of two uploads of one name the commit of the first ends the other.
#[derive(Clone, Debug)]
pub struct AzureStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    source: Option<Source<AzureCredentials>>,
    account: String,
    url: StoreUrl,
    bucket: BucketName,
    capability: Capability,
}

impl AzureStore {
    /// Settings of a container; see [`AzureBuilder`].
    pub fn builder(container: impl Into<String>) -> AzureBuilder {
        AzureBuilder::new(container)
    }

    pub(super) fn new(
        client: Client,
        source: Option<Source<AzureCredentials>>,
        account: String,
        bucket: BucketName,
        can_sign: bool,
    ) -> Self {
        let url = StoreUrl::new(Scheme::Az, bucket.clone(), "");
        Self(Arc::new(Inner { client, source, account, url, bucket, capability: capability(can_sign) }))
    }

    /// Creates the container. [`ErrorKind::AlreadyExists`] if there is one of this name.
    pub async fn create_container(&self) -> Result<()> {
        const OPERATION: &str = "az.container.create";
        // Repeated, it would find the container that it made itself.
        let request = self.request(Method::PUT, OPERATION, Idempotency::NotIdempotent);
        self.client().call(request.query("restype", "container")).await?.done().await.map(drop)
    }

    /// Removes the container **with all its blobs**, which is what the service does. It may take a while until its name
    /// can be used again.
    pub async fn delete_container(&self) -> Result<()> {
        const OPERATION: &str = "az.container.delete";
        let request = self.request(Method::DELETE, OPERATION, Idempotency::NotIdempotent);
        self.client().call(request.query("restype", "container")).await?.done().await.map(drop)
    }

    /// Names of all containers of the account, which Azure has in order, a page at a time. The container of this store
    /// does not have to exist. A signature for one container does not allow it.
    #[doc(alias = "ListContainers")]
    pub fn list_containers(&self) -> BoxStream<'static, Result<String>> {
        store_list::containers(self)
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(super) fn can(&self) -> &Capability {
        &self.0.capability
    }

    pub(super) fn bucket(&self) -> &BucketName {
        &self.0.bucket
    }

    pub(super) async fn credentials(&self) -> Result<Option<AzureCredentials>> {
        match &self.0.source {
            Some(source) => source.credentials().await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn resource(&self, key: Option<&ObjectKey>) -> Resource {
        let (scheme, bucket) = (self.0.url.scheme(), self.0.bucket.clone());
        match key {
            Some(key) => Resource::Object { scheme, bucket, key: key.clone() },
            None => Resource::Bucket { scheme, bucket },
        }
    }

    /// Names call and blob in an error that was found before anything was sent.
    pub(super) fn refuse(&self, error: Error, operation: &'static str, key: Option<&ObjectKey>) -> Error {
        error.with_operation(operation).with_resource(self.resource(key))
    }

    /// A request on the container.
    pub(super) fn request(&self, method: Method, operation: &'static str, how: Idempotency) -> Request {
        versioned(Request::new(method, operation, how, self.resource(None)))
    }

    /// A request on a blob.
    pub(super) fn on(
        &self,
        key: &ObjectKey,
        method: Method,
        operation: &'static str,
        how: Idempotency,
    ) -> Result<Request> {
        check_key(key.as_str()).map_err(|error| self.refuse(error, operation, Some(key)))?;
        Ok(versioned(Request::new(method, operation, how, self.resource(Some(key))).key(key.as_str())))
    }

    /// Sends what was prepared, or refuses what could not be.
    pub(super) async fn send(
        &self,
        request: Result<Request>,
        operation: &'static str,
        key: &ObjectKey,
    ) -> Result<Answer> {
        match request {
            Ok(request) => self.client().call(request).await,
            Err(error) => Err(self.refuse(error, operation, Some(key))),
        }
    }
}

/// What Azure can do.
fn capability(can_sign: bool) -> Capability {
    let mut can = Capability::default();
    can.ranged_get = true;
    can.if_match = true;
    can.if_none_match = true;
    can.create_only = true;
    can.pin = PinKind::IfMatch;
    can.copy = true;
    can.list_delimiter = true;
    can.list_ordered = true;
    can.list_max_page = Some(5000);
    can.content_headers = true;
    can.user_metadata = true;
    can.sign_get = can_sign;
    can.sign_put = can_sign;
    let mut limits = MultipartLimits::default();
    limits.min_part = 1;
    limits.max_part = 4000 << 20;
    limits.max_parts = 50_000;
    limits.list_uploads = false;
    limits.tracked = false;
    can.multipart = Some(limits);
    can.put_requires_length = true;
    can.max_put = Some(LARGEST_PUT);
    can.max_object = Some(limits.max_part * u64::from(limits.max_parts));
    can.checksums = vec![ChecksumKind::Md5];
    can
}

/// The body of a request. Its length is part of the signature, so it stands in the head already.
fn with_body(mut request: Request, body: Payload) -> Request {
    if let Some(length) = body.len() {
        request.headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    request.body(body)
}

impl BlobStore for AzureStore {
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
        const OPERATION: &str = "az.object.head";
        self.can().check_head(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let mut conditions = GetOptions::default();
        conditions.if_match = opts.if_match;
        conditions.if_none_match = opts.if_none_match;
        let request = self.on(key, Method::HEAD, OPERATION, Idempotency::Idempotent)?;
        let answer = self.send(request::reading(request, &conditions), OPERATION, key).await?;
        let size = read::stated_length(&answer)?;
        Ok(answer::object(&answer.parts, key, size))
    }

    async fn get(&self, key: &ObjectKey, opts: GetOptions) -> Result<GetResult> {
        const OPERATION: &str = "az.object.get";
        self.can().check_get(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let request = self.on(key, Method::GET, OPERATION, Idempotency::Idempotent)?;
        let answer = self.send(request::reading(request, &opts), OPERATION, key).await?;
        read::result(answer, key, &opts, answer::object)
    }

    async fn get_many(&self, _: Vec<ObjectKey>, _: GetManyOptions) -> Result<GetManyStream> {
        Err(match self.can().check_get_many() {
            Err(error) => self.refuse(error, "az.object.get_many", None),
            Ok(()) => Error::new(ErrorKind::Unsupported, "there is no such call"),
        })
    }

    async fn put(&self, key: &ObjectKey, body: Payload, opts: PutOptions) -> Result<PutResult> {
        const OPERATION: &str = "az.object.put";
        self.can().check_put(&body, &opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let how = write_idempotency(opts.create_only, opts.if_match.as_ref());
        let request = with_body(self.on(key, Method::PUT, OPERATION, how)?, body);
        let parts = self.send(request::put(request, &opts), OPERATION, key).await?.done().await?;
        Ok(answer::stored(&parts))
    }

    async fn delete(&self, key: &ObjectKey, opts: DeleteOptions) -> Result<()> {
        const OPERATION: &str = "az.object.delete";
        self.can().check_delete(&opts).map_err(|e| self.refuse(e, OPERATION, Some(key)))?;
        let request = self.on(key, Method::DELETE, OPERATION, Idempotency::Idempotent)?;
        let request = request::conditions(request, false, opts.if_match.as_deref());
        match self.send(request, OPERATION, key).await {
            Ok(answer) => answer.done().await.map(drop),
            Err(error) if error.code() == Some("BlobNotFound") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<DeleteOutcome>> {
        let delete = |key: ObjectKey| async move {
            let result = self.delete(&key, DeleteOptions::default()).await;
            DeleteOutcome::new(key, result)
        };
        Ok(stream::iter(keys).map(delete).buffer_unordered(DELETES).collect().await)
    }

    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        self.can().check_copy(&opts).map_err(|e| self.refuse(e, store_copy::OPERATION, Some(from)))?;
        store_copy::copy(self, from, to, opts).await
    }

    fn can_copy_from(&self, from: &StoreUrl) -> bool {
        from.scheme() == Scheme::Az && from.bucket() == Some(self.bucket())
    }

    async fn copy_from(&self, from: &StoreUrl, to: &ObjectKey, opts: CopyOptions) -> Result<PutResult> {
        let refuse = |error| self.refuse(error, store_copy::OPERATION, Some(to));
        if !self.can_copy_from(from) {
            let message = format!("{from} is not in this container");
            return Err(refuse(Error::new(ErrorKind::Unsupported, message)));
        }
        self.copy(&from.object_key().map_err(refuse)?, to, opts).await
    }

    async fn list_page(&self, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
        self.can().check_list(opts).map_err(|e| self.refuse(e, store_list::OPERATION, None))?;
        store_list::page(self, opts, page).await
    }

    async fn create_multipart(&self, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
        const OPERATION: &str = "az.multipart.create";
        let refuse = |error| self.refuse(error, OPERATION, Some(key));
        self.can().check_create_multipart(&opts).map_err(refuse)?;
        check_key(key.as_str()).map_err(refuse)?;
        // What the commit will say is checked now, not after the bytes were sent.
        request::put(self.request(Method::PUT, OPERATION, Idempotency::Idempotent), &opts).map_err(refuse)?;
        Upload::begin(key, &opts).map(|upload| upload.id()).map_err(refuse)
    }

    async fn upload_part(
        &self,
        upload: &MultipartRef,
        number: PartNumber,
        body: Payload,
    ) -> Result<PartReceipt> {
        const OPERATION: &str = "az.multipart.part";
        let key = &upload.key;
        let refuse = |error| self.refuse(error, OPERATION, Some(key));
        self.can().check_part(number, &body).map_err(refuse)?;
        let Some(size) = body.len() else {
            return Err(refuse(Error::new(
                ErrorKind::Unsupported,
                "Azure needs to know the length of a part",
            )));
        };
        let begun = Upload::parse(upload).map_err(refuse)?;
        let request = self
            .on(key, Method::PUT, OPERATION, Idempotency::Idempotent)?
            .query("comp", "block")
            .query("blockid", &begun.block(number));
        self.send(Ok(with_body(request, body)), OPERATION, key).await?.done().await?;
        Ok(PartReceipt::new(number, size))
    }

    async fn list_parts(&self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        store_list::parts(self, upload).await
    }

    async fn list_uploads(&self, _: &str, _: Option<PageToken>) -> Result<UploadPage> {
        Err(match self.can().check_list_uploads() {
            Err(error) => self.refuse(error, "az.multipart.list_uploads", None),
            Ok(()) => Error::new(ErrorKind::Unsupported, "there is no such call"),
        })
    }

    async fn complete_multipart(&self, upload: &MultipartRef, parts: Vec<PartReceipt>) -> Result<PutResult> {
        const OPERATION: &str = "az.multipart.complete";
        let key = &upload.key;
        let refuse = |error| self.refuse(error, OPERATION, Some(key));
        self.can().check_complete(&parts).map_err(refuse)?;
        let begun = Upload::parse(upload).map_err(refuse)?;
        let opts = begun.options();
        let document = xml::block_list(parts.iter().map(|part| begun.block(part.number)));
        let how = write_idempotency(opts.create_only, opts.if_match.as_ref());
        let request = self.on(key, Method::PUT, OPERATION, how)?.query("comp", "blocklist");
        let request = request::content(with_body(request, Payload::from(document)), &opts.attributes)
            .and_then(|request| request::metadata(request, &opts.attributes))
            .and_then(|request| request::conditions(request, opts.create_only, opts.if_match.as_deref()));
        let parts = self.send(request, OPERATION, key).await?.done().await?;
        Ok(answer::stored(&parts))
    }

    async fn abort_multipart(&self, _: &MultipartRef) -> Result<()> {
        // Blocks cannot be taken back, and the service knows of nothing else.
        Ok(())
    }

    async fn sign(&self, request: SignRequest) -> Result<SignedRequest> {
        const OPERATION: &str = "az.object.sign";
        let refuse = |error| self.refuse(error, OPERATION, Some(&request.key));
        self.can().check_sign(&request).and_then(|()| check_key(request.key.as_str())).map_err(refuse)?;
        if request.expires_in < Duration::from_secs(1) {
            let message = "a signature of Azure lasts one second at least";
            return Err(refuse(Error::new(ErrorKind::InvalidInput, message)));
        }
        let method = match request.method {
            SignMethod::Get => Method::GET,
            SignMethod::Put => Method::PUT,
            _ => return Err(refuse(Error::new(ErrorKind::Unsupported, "only GET and PUT are signed"))),
        };
        let uri = self.client().endpoint.uri(Some(request.key.as_str()), "").map_err(refuse)?;
        let Some(credentials) = self.credentials().await.map_err(refuse)? else {
            return Err(refuse(Error::new(ErrorKind::Unsupported, "there is no key to sign with")));
        };
        let (transport, account) = (&self.client().transport, &self.0.account);
        let url = sign::presign(transport, method, &uri, &credentials, account, request.expires_in).await;
        let mut signed = SignedRequest::new(request.method, url.map_err(refuse)?);
        if request.method == SignMethod::Put {
            let kind = HeaderName::from_static("x-ms-blob-type");
            signed.headers.push((kind.to_string(), "BlockBlob".to_owned()));
        }
        Ok(signed)
    }
}
