//! Signed URLs, by the `object_store` crate.

use std::{fmt, sync::Arc, time::Duration};

use http::{Method, Uri};
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use object_store_0_14::{
    StaticCredentialProvider,
    gcp::{GcpCredential, GcpSigningCredentialProvider, GoogleCloudStorageBuilder},
    path::Path,
    signer::Signer as _,
};

use crate::TransportConnector;

/// Signs with the key of a service account; an account without a key here asks the service to sign.
#[derive(Clone)]
pub(crate) struct UrlSigner {
    pub(super) account: GcpSigningCredentialProvider,
    pub(super) connector: TransportConnector,
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlSigner")
    }
}

impl UrlSigner {
    /// A URL that allows one method without a token, for this long.
    pub(crate) async fn presign(&self, method: Method, uri: &Uri, expires: Duration) -> Result<Secret> {
        let failed = |error: object_store_0_14::Error| {
            Error::new(ErrorKind::Other, "the URL could not be signed").with_source(error)
        };
        // As for S3: the address is the whole URL, and what the library appends goes into the fragment.
        let store = GoogleCloudStorageBuilder::new()
            .with_base_url(&format!("{uri}#"))
            .with_bucket_name("unused")
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: String::new(),
            })))
            .with_signing_credentials(Arc::clone(&self.account))
            .with_http_connector(self.connector.clone())
            .with_retry(TransportConnector::retry_config())
            .build()
            .map_err(failed)?;
        let mut url = store.signed_url(method, &Path::default(), expires).await.map_err(failed)?;
        url.set_fragment(None);
        Ok(Secret::from(String::from(url)))
    }
}
