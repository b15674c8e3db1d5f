//! What differs between the services that have S3's protocol.

use std::time::Duration;

use http::{Method, Uri};
#[cfg(feature = "gcs")]
use longshore_blob_api::Capability;
#[cfg(feature = "gcs")]
use longshore_core_types::ChecksumKind;
use longshore_core_types::{Result, Scheme, Secret};
use longshore_transport::Transport;

use super::{credentials::AwsCredentials, sign};
use crate::credentials::Source;

/// A service.
#[derive(Clone, Copy, Debug)]
pub(in crate::s3) struct Flavor {
    /// How its buckets are written.
    pub(in crate::s3) scheme: Scheme,
    /// Its name in messages.
    pub(in crate::s3) name: &'static str,
    /// Most bytes of user metadata, names and values together.
    pub(in crate::s3) most_metadata: usize,
    /// Plain copies know conditions, and uploads in parts know none.
    pub(in crate::s3) copies_have_conditions: bool,
    /// A part of an upload can be a range of an object that is there.
    pub(in crate::s3) copies_parts: bool,
    /// The service's name of a call.
    pub(in crate::s3) operation: fn(&'static str) -> &'static str,
}

pub(in crate::s3) const AMAZON: Flavor = Flavor {
    scheme: Scheme::S3,
    name: "S3",
    most_metadata: 2 << 10,
    copies_have_conditions: false,
    copies_parts: true,
    operation: |name| name,
};

#[cfg(feature = "gcs")]
pub(in crate::s3) const GOOGLE: Flavor = Flavor {
    scheme: Scheme::Gs,
    name: "Google Cloud Storage",
    most_metadata: 8 << 10,
    copies_have_conditions: true,
    copies_parts: false,
    operation: google_operation,
};

#[cfg(feature = "gcs")]
fn google_operation(name: &'static str) -> &'static str {
    match name {
        "s3.bucket.list" => "gs.bucket.list",
        "s3.multipart.abort" => "gs.multipart.abort",
        "s3.multipart.complete" => "gs.multipart.complete",
        "s3.multipart.create" => "gs.multipart.create",
        "s3.multipart.list_parts" => "gs.multipart.list_parts",
        "s3.multipart.list_uploads" => "gs.multipart.list_uploads",
        "s3.multipart.part" => "gs.multipart.part",
        "s3.object.copy" => "gs.object.copy",
        "s3.object.delete" => "gs.object.delete",
        "s3.object.delete_many" => "gs.object.delete_many",
        "s3.object.get" => "gs.object.get",
        "s3.object.get_many" => "gs.object.get_many",
        "s3.object.head" => "gs.object.head",
        "s3.object.put" => "gs.object.put",
        "s3.object.sign" => "gs.object.sign",
        other => other,
    }
}

/// What Google's service cannot do of what Amazon's can.
#[cfg(feature = "gcs")]
pub(in crate::s3) fn google_capability(mut can: Capability, may_sign: bool) -> Capability {
    can.if_match = false;
    can.delete_batch = None;
    can.sign_get = may_sign;
    can.sign_put = may_sign;
    can.checksums = vec![ChecksumKind::Crc32c, ChecksumKind::Md5];
    can
}

/// Who signs URLs.
#[derive(Clone, Debug)]
pub(in crate::s3) enum UrlSigner {
    Nobody,
    Amazon(Source<AwsCredentials>),
    #[cfg(feature = "gcs")]
    Google(crate::gcs::UrlSigner),
}

impl UrlSigner {
    /// `None` if there is no key.
    pub(in crate::s3) async fn presign(
        &self,
        transport: &Transport,
        region: &str,
        method: Method,
        uri: &Uri,
        expires: Duration,
    ) -> Result<Option<Secret>> {
        match self {
            Self::Nobody => Ok(None),
            Self::Amazon(source) => {
                let keys = source.credentials().await?;
                sign::presign(transport, method, uri, &keys, region, expires).await.map(Some)
            }
            #[cfg(feature = "gcs")]
            Self::Google(signer) => signer.presign(method, uri, expires).await.map(Some),
        }
    }
}
