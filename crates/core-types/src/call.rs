//! What a request is about, for middleware, spans and errors.

use std::{borrow::Cow, fmt};

use crate::{BucketName, Idempotency, ObjectKey, Scheme};

/// Travels in the extensions of every request, visible to every tower layer.
///
/// ```
/// # use longshore_core_types::{CallInfo, Idempotency, Resource};
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(CallInfo::new("aistore.bucket.list", Idempotency::Idempotent));
/// let call = request.extensions().get::<CallInfo>().unwrap();
/// assert_eq!(call.operation, "aistore.bucket.list");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallInfo {
    /// Name of the call, dotted: platform, noun, verb, such as `aistore.object.get`.
    pub operation: &'static str,
    /// What it acts on.
    pub resource: Resource,
    /// What repeating the request would do.
    pub idempotency: Idempotency,
    /// The URL itself grants access (a signed URL, say): no layer may print it.
    pub sensitive: bool,
}

impl CallInfo {
    /// A call on the endpoint as a whole.
    pub fn new(operation: &'static str, idempotency: Idempotency) -> Self {
        Self { operation, resource: Resource::Endpoint, idempotency, sensitive: false }
    }

    /// The same call, on `resource`.
    #[must_use]
    pub fn on(mut self, resource: Resource) -> Self {
        self.resource = resource;
        self
    }

    /// The same call, with a URL that must not be printed.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }
}

/// What a call acts on. `Display` is what messages show, such as `ais://b/o`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// The service as a whole.
    Endpoint,
    /// A bucket.
    Bucket {
        /// Scheme it is written with.
        scheme: Scheme,
        /// Its name.
        bucket: BucketName,
    },
    /// An object.
    Object {
        /// Scheme its bucket is written with.
        scheme: Scheme,
        /// Bucket that holds it.
        bucket: BucketName,
        /// Its name.
        key: ObjectKey,
    },
    /// Anything else with a name: `kind` such as `job` or `multipart upload`.
    Named {
        /// What it is.
        kind: &'static str,
        /// Its name or id.
        name: Cow<'static, str>,
    },
}

/// What stands behind the scheme of a URL that begins with a bucket.
fn slashes(scheme: Scheme) -> &'static str {
    if scheme == Scheme::Blob { "" } else { "//" }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint => f.write_str("the endpoint"),
            Self::Bucket { scheme, bucket } => write!(f, "{scheme}:{}{bucket}", slashes(*scheme)),
            Self::Object { scheme, bucket, key } => write!(f, "{scheme}:{}{bucket}/{key}", slashes(*scheme)),
            Self::Named { kind, name } => write!(f, "{kind} {name}"),
        }
    }
}
