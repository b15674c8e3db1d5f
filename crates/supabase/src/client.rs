//! The client and how its requests go out.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Method, StatusCode, response::Parts};
use longshore_core_types::{
    BucketName, CallInfo, Error, ErrorKind, ObjectKey, Payload, Pressure, Result, Secret,
};
use longshore_transport::{BaseUrl, ResponseBody, Transport, TransportError, body};

use crate::{
    analytics::Analytics,
    bucket::Bucket,
    buckets::Buckets,
    config::ClientBuilder,
    error,
    keys::Keys,
    names,
    vectors::Vectors,
    wire::{Request, bucket as wire, from_json},
};

/// Longest error answer that is read.
const ERROR_BODY: usize = 64 << 10;

/// Longest answer that is read into memory: a list of 1,500 objects with metadata of 8 KiB each.
pub(crate) const ANSWER: usize = 32 << 20;

/// A client of the storage service of one project.
///
/// Cloning is cheap; clones share connections and credentials. Making one does no I/O.
///
/// ```no_run
/// # async fn example() -> longshore_core_types::Result<()> {
/// use longshore_supabase::Client;
///
/// let client = Client::builder("https://abc.supabase.co").key("service_role key").build()?;
/// client.buckets().create("photos").await?;
/// client.bucket("photos")?.upload("cat.jpg", "meow").content_type("image/jpeg").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) transport: Transport,
    pub(crate) endpoint: BaseUrl,
    pub(crate) keys: Keys,
    pub(crate) part_size: u64,
    #[cfg(feature = "s3")]
    pub(crate) s3: Option<crate::s3::S3Access>,
}

impl Client {
    /// A client of a project: `https://REF.supabase.co`, `http://127.0.0.1:54321`, or with the path of the storage
    /// service behind it (`.../storage/v1`). A storage server without gateway is named by
    /// [`ClientBuilder::service_url`].
    ///
    /// Reads no environment variable; [`ClientBuilder::from_env`] does.
    #[doc(alias = "create_client")]
    #[doc(alias = "AsyncStorageClient")]
    pub fn builder(project: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(project)
    }

    /// A client as the environment describes it; see [`ClientBuilder::from_env`].
    pub fn from_env() -> Result<Self> {
        ClientBuilder::from_env().build()
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Calls that make, describe and delete buckets. No I/O.
    pub fn buckets(&self) -> Buckets {
        Buckets::new(self.clone())
    }

    /// The objects of a bucket, by its id. No I/O. A name that the service does not take is `InvalidInput`.
    #[doc(alias = "from_")]
    #[doc(alias = "from")]
    pub fn bucket(&self, id: impl AsRef<str>) -> Result<Bucket> {
        Ok(Bucket::new(self.clone(), names::bucket_name(id.as_ref())?))
    }

    /// Calls on analytics buckets, which hold Iceberg tables. No I/O.
    pub fn analytics(&self) -> Analytics {
        Analytics::new(self.clone())
    }

    /// Calls on vector buckets. No I/O.
    pub fn vectors(&self) -> Vectors {
        Vectors::new(self.clone())
    }

    /// The base URL that calls go to.
    pub fn endpoint(&self) -> String {
        self.0.endpoint.to_string()
    }

    /// Whether the service is up. Asks without credentials.
    pub async fn status(&self) -> Result<()> {
        self.call(wire::status()).await?.done().await.map(drop)
    }

    /// Whether the service and its database work.
    pub async fn health(&self) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Health {
            healthy: bool,
        }
        let answer = self.call(wire::health()).await?;
        let call = answer.call.clone();
        let body = answer.bytes(ERROR_BODY).await?;
        let health: Health = from_json(&body, "a state of health").map_err(|e| e.with_call(&call))?;
        Ok(health.healthy)
    }

    /// Version of the service.
    pub async fn version(&self) -> Result<String> {
        let body = self.call(wire::version()).await?.bytes(ERROR_BODY).await?;
        Ok(String::from_utf8_lossy(&body).trim().to_owned())
    }

    /// Makes the caches in front of the service forget all objects of the project, or only their transformed
    /// images. Needs the service role; `InvalidInput` where there is no such cache.
    #[doc(alias = "purgeCache")]
    pub async fn purge_cache(&self, transformed_only: bool) -> Result<()> {
        self.purge(None, transformed_only).await
    }

    pub(crate) async fn purge(
        &self,
        at: Option<(&BucketName, Option<&ObjectKey>)>,
        transformed_only: bool,
    ) -> Result<()> {
        self.call(wire::purge(at, transformed_only)).await?.done().await.map(drop)
    }

    pub(crate) fn service(&self) -> &BaseUrl {
        &self.0.endpoint
    }

    /// Size of the pieces of resumable uploads.
    pub(crate) fn part_size(&self) -> u64 {
        self.0.part_size
    }

    /// How the S3 endpoint is asked, if there are keys for it.
    #[cfg(feature = "s3")]
    pub(crate) fn s3(&self) -> Option<&crate::s3::S3Access> {
        self.0.s3.as_ref()
    }

    /// The project's key.
    pub(crate) fn api_key(&self) -> Option<Secret> {
        self.0.keys.api_key()
    }

    #[cfg(feature = "s3")]
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Whether requests carry credentials at all.
    pub(crate) fn has_credentials(&self) -> bool {
        self.0.keys.any()
    }

    /// Sends a request. Any status but success is an error, which says what the body says.
    ///
    /// A token that the service refuses is renewed once, if there is somebody to ask, and the request is sent once
    /// more. The service says so with status 400, so the transport does not notice.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer> {
        let keys = &self.0.keys;
        let generation = keys.generation();
        let again = if request.anonymous { None } else { request.try_clone() };
        let head = request.method == Method::HEAD;
        match self.send(request).await {
            Err(error) if is_stale(&error, head) && keys.renew(generation) => match again {
                Some(request) => self.send(request).await,
                None => Err(error),
            },
            done => done,
        }
    }

    /// Sends a deletion. After an attempt without a clear answer, "missing" is what success looks like.
    pub(crate) async fn delete(&self, request: Request) -> Result<()> {
        match self.call(request).await {
            Err(error) if error.kind() == ErrorKind::NotFound && error.attempts() > 1 => Ok(()),
            answer => answer?.done().await.map(drop),
        }
    }

    async fn send(&self, request: Request) -> Result<Answer> {
        let call = request.call.clone();
        let opaque = self.0.keys.bearer_is_opaque() && !request.anonymous;
        let request = request.at(&self.0.endpoint).map_err(|error| error.with_call(&call))?;
        let response = self.0.transport.send(request).await.map_err(|error| error.into_error(&call))?;
        let (parts, body) = response.into_parts();
        let answer = Answer { parts, body, call };
        if answer.parts.status.is_success() {
            return Ok(answer);
        }
        Err(error::advise(answer.into_error().await, opaque))
    }

    /// What the service has said about its load.
    pub(crate) fn pressure(&self) -> Pressure {
        self.0.transport.pressure().clone()
    }
}

/// Whether a refusal may be for an old token. An answer to HEAD has no text that would tell.
fn is_stale(error: &Error, head: bool) -> bool {
    match error.status() {
        // The layer below has renewed it already.
        Some(StatusCode::UNAUTHORIZED) => false,
        Some(StatusCode::BAD_REQUEST) if head => true,
        _ => error.kind() == ErrorKind::Unauthenticated,
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.0.endpoint).finish_non_exhaustive()
    }
}

/// A successful answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) parts: Parts,
    pub(crate) body: ResponseBody,
    pub(crate) call: CallInfo,
}

impl Answer {
    /// The body in memory, up to a limit.
    pub(crate) async fn bytes(self, limit: usize) -> Result<Bytes> {
        Ok(self.read(limit).await?.1)
    }

    /// Head and body of an answer that is no stream.
    pub(crate) async fn read(self, limit: usize) -> Result<(Parts, Bytes)> {
        let bytes = body::collect(self.body, limit).await;
        Ok((self.parts, bytes.map_err(|error: TransportError| error.into_error(&self.call))?))
    }

    /// A JSON answer as a value.
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(self, what: &str) -> Result<T> {
        let call = self.call.clone();
        let body = self.bytes(ANSWER).await?;
        from_json(&body, what).map_err(|error| error.with_call(&call))
    }

    /// Waits for the end of an answer that says nothing more. Reading it frees the connection.
    pub(crate) async fn done(self) -> Result<Parts> {
        Ok(self.read(ERROR_BODY).await?.0)
    }

    async fn into_error(self) -> Error {
        let text = body::excerpt(self.body, ERROR_BODY).await;
        error::from_response(&self.call, &self.parts, &text)
    }
}

/// The bytes of a body from `skip` on; those before are read and dropped.
pub(crate) fn skip(body: Payload, skip: u64) -> Payload {
    use futures_util::{StreamExt, future, stream};
    if skip == 0 {
        return body;
    }
    let rest = move |body: Payload| {
        let mut left = skip;
        let cut = move |chunk: std::io::Result<Bytes>| {
            let chunk = chunk.map(|mut chunk| {
                let drop = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                left -= drop as u64;
                chunk.split_off(drop)
            });
            future::ready((!chunk.as_ref().is_ok_and(Bytes::is_empty)).then_some(chunk))
        };
        body.into_stream().filter_map(cut)
    };
    let length = body.len().map(|length| length.saturating_sub(skip));
    if body.try_clone().is_none() {
        return Payload::once(length, rest(body));
    }
    Payload::replayable(length, move || match body.try_clone() {
        Some(body) => rest(body).boxed(),
        // It could be cloned when it came, and is never read itself.
        None => stream::empty().boxed(),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, TryStreamExt, stream};

    use super::*;

    fn read(body: Payload) -> Vec<u8> {
        let chunks: Vec<Bytes> = body.into_stream().try_collect().now_or_never().unwrap().unwrap();
        chunks.concat()
    }

    #[test]
    fn the_start_of_a_body_can_be_left_out() {
        let whole = || Payload::from("abcdef");
        assert_eq!(read(skip(whole(), 0)), b"abcdef");
        let rest = skip(whole(), 4);
        assert_eq!((rest.len(), read(rest.try_clone().unwrap())), (Some(2), b"ef".to_vec()));
        assert_eq!(read(rest), b"ef");
        let chunks = ["ab", "cd", "ef"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let once = skip(Payload::once(Some(6), stream::iter(chunks)), 3);
        assert!(once.try_clone().is_none());
        assert_eq!(read(once), b"def");
    }
}
