//! The client and how its requests go out.

use std::{fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::response::Parts;
use longshore_core_types::{CallInfo, Error, ErrorKind, Payload, Pressure, Result, StoreUrl};
use longshore_transport::{
    BaseUrl, ClusterRedirects, RequestOptions, ResponseBody, TimeoutConfig, Transport, TransportError, body,
};

use crate::{
    bucket::Bucket,
    cluster::Cluster,
    config::ClientBuilder,
    direct::Direct,
    error,
    facts::BucketFacts,
    names::BucketRef,
    object::{Object, options::ObjectAt},
    uploads::Uploads,
    wire::Request,
};

/// From this size on a gateway answers an upload before it has read the body, and then closes.
pub(crate) const LARGE_BODY: u64 = 256 << 10;

/// How long a server may be silent before a body is sent without its consent.
const CONSENT: Duration = Duration::from_secs(1);

/// Longest error answer that is read.
const ERROR_BODY: usize = 64 << 10;

/// A client of one AIStore cluster.
///
/// Cloning is cheap; clones share connections, credentials and the cluster map. Making one does no I/O.
///
/// ```no_run
/// # async fn example() -> longshore_core_types::Result<()> {
/// use longshore_aistore::Client;
///
/// let client = Client::builder("http://localhost:8080").build()?;
/// let bucket = client.bucket("photos")?;
/// bucket.create().exist_ok(true).await?;
/// bucket.object("cat.jpg")?.put("meow").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) transport: Transport,
    pub(crate) timeouts: TimeoutConfig,
    pub(crate) endpoint: BaseUrl,
    pub(crate) redirects: ClusterRedirects,
    pub(crate) direct: Direct,
    pub(crate) facts: BucketFacts,
    pub(crate) uploads: Uploads,
    /// Whether the token goes to every node of the cluster map.
    pub(crate) same_cluster: tokio::sync::OnceCell<()>,
}

impl Client {
    /// A client of the cluster behind this gateway: `http://host:port`, `https://...` or `host:port`.
    ///
    /// Reads no environment variable; [`ClientBuilder::from_env`] does.
    pub fn builder(endpoint: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder::new(endpoint)
    }

    /// A client as the environment describes it; see [`ClientBuilder::from_env`].
    pub fn from_env() -> Result<Self> {
        ClientBuilder::from_env().build()
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// A bucket, by its name (`photos`) or URL (`aws://photos`, `ais://@uuid#ns/photos`). No I/O.
    ///
    /// A name that AIStore does not accept is `InvalidInput`.
    pub fn bucket(&self, name: impl AsRef<str>) -> Result<Bucket> {
        Ok(self.bucket_ref(name.as_ref().parse()?))
    }

    /// A bucket that is named already. No I/O.
    pub fn bucket_ref(&self, bucket: BucketRef) -> Bucket {
        Bucket::new(self.clone(), bucket)
    }

    /// An object, by its URL such as `ais://bucket/dir/name`; what follows the bucket is its name, byte for
    /// byte. No I/O.
    #[doc(alias = "fetch_object_by_url")]
    #[doc(alias = "get_object_from_url")]
    pub fn object_by_url(&self, url: &str) -> Result<Object> {
        let url = match url.split_once("://") {
            // The aliases of clouds that go straight there elsewhere mean the cluster's buckets here.
            Some((word, rest)) => {
                let provider = crate::names::Provider::parse(word)?;
                format!("{provider}://{rest}").parse::<StoreUrl>()?
            }
            None => url.parse()?,
        };
        let bucket = BucketRef::from_url(&url)?;
        self.bucket_ref(bucket).object(url.object_key()?)
    }

    /// Calls on the cluster as a whole. No I/O.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.clone())
    }

    /// The gateway that calls go to, as a URL.
    pub fn endpoint(&self) -> String {
        self.0.endpoint.to_string()
    }

    pub(crate) fn gateway(&self) -> &BaseUrl {
        &self.0.endpoint
    }

    /// Those of all requests that need no others.
    pub(crate) fn timeouts(&self) -> TimeoutConfig {
        self.0.timeouts
    }

    pub(crate) fn facts(&self) -> &BucketFacts {
        &self.0.facts
    }

    pub(crate) fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// Sends a request to the gateway. Any status but success is an error.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer> {
        self.call_with(request, RequestOptions::default()).await
    }

    /// Sends a request to the gateway in a way of its own.
    pub(crate) async fn call_with(&self, request: Request, options: RequestOptions) -> Result<Answer> {
        self.ensure_trust().await?;
        self.call_at(&self.0.endpoint, request, options).await
    }

    /// Sends a request with the body of an object or part: small ones with the request, large ones straight
    /// to the target that will hold the object, or after the gateway has said where that is.
    pub(crate) async fn upload(&self, at: &ObjectAt, request: Request) -> Result<Answer> {
        if request.body.len().is_some_and(|length| length < LARGE_BODY) {
            return self.upload_through_gateway(request).await;
        }
        let waiting = RequestOptions::default().expect_continue(CONSENT);
        // A body that can be read only once is not risked at a node that may refuse it.
        let direct = match request.try_clone() {
            Some(copy) => self.0.direct.target(self, at).await.map(|place| (place, copy)),
            None => None,
        };
        if let Some((place, mut copy)) = direct {
            for (name, value) in &place.marks {
                copy.query.push(name, value);
            }
            match self.call_at(&place.endpoint, copy, waiting).await {
                Err(error) if self.0.direct.fall_back(&error) => {
                    tracing::debug!(target = %place.endpoint, %error, "upload goes through the gateway");
                }
                done => return done,
            }
        }
        self.upload_through_gateway(request).await
    }

    /// Sends a request with a body that only the gateway knows the place of.
    pub(crate) async fn upload_through_gateway(&self, mut request: Request) -> Result<Answer> {
        let body = std::mem::take(&mut request.body);
        request.body = buffer_start(body).await.map_err(|error| {
            Error::new(ErrorKind::LocalIo, "the body cannot be read")
                .with_call(&request.call)
                .with_source(error)
        })?;
        if request.body.len().is_some_and(|length| length < LARGE_BODY) {
            return self.call(request).await;
        }
        self.ensure_trust().await?;
        let waiting = RequestOptions::default().expect_continue(CONSENT);
        self.call_at(&self.0.endpoint, request, waiting).await
    }

    /// Sends a request to one node.
    pub(crate) async fn call_at(
        &self,
        node: &BaseUrl,
        request: Request,
        options: RequestOptions,
    ) -> Result<Answer> {
        let call = request.call.clone();
        let mut request = request.at(node).map_err(|error| error.with_call(&call))?;
        request.extensions_mut().insert(options);
        let response = self.0.transport.send(request).await.map_err(|error| error.into_error(&call))?;
        let (parts, body) = response.into_parts();
        let answer = Answer { parts, body, call };
        if answer.parts.status.is_success() {
            return Ok(answer);
        }
        let error = answer.into_error().await;
        Err(if error.kind() == ErrorKind::Unauthenticated { refused_by(node, error) } else { error })
    }

    /// Tells the redirect layer which nodes may see the token, where the caller asked for it.
    async fn ensure_trust(&self) -> Result<()> {
        let trusted = &self.0.same_cluster;
        if trusted.initialized() {
            return Ok(());
        }
        let load = || async {
            let options = RequestOptions::default();
            let answer = self.call_at(&self.0.endpoint, crate::smap::ClusterMap::request(), options).await?;
            let map = crate::smap::ClusterMap::parse(&answer.bytes(crate::cluster::MAP_LIMIT).await?)?;
            self.0.redirects.same_cluster(map.endpoints().map(|node| node.authority().clone()));
            Ok::<(), Error>(())
        };
        trusted.get_or_try_init(load).await.map(drop)
    }

    /// What the service has said about its load.
    pub(crate) fn pressure(&self) -> Pressure {
        self.0.transport.pressure().clone()
    }
}

/// Takes a small body that can be read only once into memory, so that it can go to the gateway and then to the
/// target. Of a large one, whose start is read to find that out, nothing is sent before the target asks.
async fn buffer_start(body: Payload) -> io::Result<Payload> {
    if body.try_clone().is_some() || body.len().is_some_and(|length| length >= LARGE_BODY) {
        return Ok(body);
    }
    let length = body.len();
    let mut stream = body.into_stream();
    let (mut chunks, mut size) = (Vec::new(), 0);
    while size < LARGE_BODY {
        let Some(chunk) = stream.try_next().await? else {
            return Ok(Payload::from(Bytes::from(chunks.concat())));
        };
        size += chunk.len() as u64;
        chunks.push(chunk);
    }
    Ok(Payload::once(length, stream::iter(chunks.into_iter().map(Ok)).chain(stream)))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.0.endpoint).finish_non_exhaustive()
    }
}

/// A token that is missing, expired or revoked: who wants another one, and what to do.
fn refused_by(node: &BaseUrl, error: Error) -> Error {
    let advice = format!("{node} wants a valid token: log in again, or give another one");
    error.with_source(Error::new(ErrorKind::Unauthenticated, advice))
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
        body::collect(self.body, limit).await.map_err(|error| error.into_error(&self.call))
    }

    /// Head and body of an answer that is no stream.
    pub(crate) async fn read(self, limit: usize) -> Result<(Parts, Bytes)> {
        let bytes = body::collect(self.body, limit).await;
        Ok((self.parts, bytes.map_err(|error: TransportError| error.into_error(&self.call))?))
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
