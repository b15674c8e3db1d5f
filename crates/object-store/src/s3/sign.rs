//! Signature Version 4, by the `object_store` crate: in headers, and in URLs.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Method, Uri, header, request::Parts};
use longshore_core_types::{Result, Secret};
use longshore_transport::{CredentialProvider, Transport};
use object_store_0_14::{
    StaticCredentialProvider,
    aws::{AmazonS3Builder, AwsAuthorizer},
    path::Path,
    signer::Signer as _,
};

use super::credentials::AwsCredentials;
use crate::{
    TransportConnector,
    credentials::Source,
    wire::sign::{failed, move_headers, to_sign},
};

/// Signs each attempt anew, so that neither keys nor the time of the signature are old.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) source: Source<AwsCredentials>,
    pub(super) region: String,
}

/// Headers that are signed. Others may change on the way, as proxies see fit.
fn is_signed(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-amz-") || matches!(name.as_str(), "content-md5" | "content-type")
}

/// Bodies are streams that are read once, so their digest is not part of what is signed: their integrity is TLS's
/// matter and the entity tag's.
fn sign_parts(parts: &mut Parts, keys: &AwsCredentials, region: &str) -> Result<()> {
    let credential = keys.for_signing()?;
    let mut request = to_sign(parts, is_signed);
    let authorizer = AwsAuthorizer::new(&credential, "s3", region).with_sign_payload(false);
    authorizer.try_authorize(&mut request, None).map_err(failed)?;
    let secret = [header::AUTHORIZATION, HeaderName::from_static("x-amz-security-token")];
    let public = [HeaderName::from_static("x-amz-date"), HeaderName::from_static("x-amz-content-sha256")];
    move_headers(&mut request, parts, &secret, &public);
    Ok(())
}

impl CredentialProvider for Signer {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let keys = self.source.credentials().await?;
        sign_parts(parts, &keys, &self.region)
    }

    fn invalidate(&self) {
        self.source.invalidate();
    }
}

/// A URL that allows one method without keys, for this long. Nothing is sent.
pub(super) async fn presign(
    transport: &Transport,
    method: Method,
    uri: &Uri,
    keys: &AwsCredentials,
    region: &str,
    expires: Duration,
) -> Result<Secret> {
    // The library signs the endpoint and a path below it, and its paths cannot say all names. So the endpoint is the
    // whole URL, and the path goes where it is no part of what is signed: into the fragment, which is removed again.
    let store = AmazonS3Builder::new()
        .with_virtual_hosted_style_request(true)
        .with_endpoint(format!("{uri}#"))
        .with_bucket_name("unused")
        .with_region(region)
        .with_credentials(Arc::new(StaticCredentialProvider::new(keys.for_signing()?)))
        .with_http_connector(TransportConnector::new(transport.clone()))
        .build()
        .map_err(failed)?;
    let mut url = store.signed_url(method, &Path::default(), expires).await.map_err(failed)?;
    url.set_fragment(None);
    Ok(Secret::from(String::from(url)))
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::ScriptedService;

    use super::*;

    fn keys() -> AwsCredentials {
        AwsCredentials::new("AKIAIOSFODNN7EXAMPLE", "sentinel").with_session_token("to+ken")
    }

    #[tokio::test]
    async fn urls_are_signed_as_they_are() {
        let transport = Transport::builder().service(ScriptedService::replies([])).build().unwrap();
        let uri = "http://h:9/b//dir/a%20b%3F%0A/".parse().unwrap();
        let url =
            presign(&transport, Method::GET, &uri, &keys(), "r-1", Duration::from_hours(1)).await.unwrap();
        let url = url.expose();
        assert!(url.starts_with("http://h:9/b//dir/a%20b%3F%0A/?X-Amz-Algorithm=AWS4-HMAC-SHA256&"), "{url}");
        for part in [
            "%2Fr-1%2Fs3%2Faws4_request",
            "X-Amz-Expires=3600",
            "Security-Token=to%2Bken",
            "X-Amz-Signature=",
        ] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(!url.contains('#') && !url.contains("sentinel"), "{url}");
    }

    #[test]
    fn headers_are_signed_each_time() {
        let request = http::Request::get("http://h:1/b/k?b=2&a=1")
            .header("x-amz-meta-a", " x  y ")
            .header("range", "bytes=0-1")
            .body(());
        let (mut parts, ()) = request.unwrap().into_parts();
        for _ in 0..2 {
            sign_parts(&mut parts, &keys(), "r").unwrap();
            let value = parts.headers[header::AUTHORIZATION].to_str().unwrap();
            assert!(
                value.contains(
                    "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token, Signature="
                ),
                "{value}"
            );
            assert!(parts.headers[header::AUTHORIZATION].is_sensitive());
            assert!(parts.headers["x-amz-security-token"].is_sensitive());
            assert_eq!(parts.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
        }
    }
}
