//! Signatures, by the `object_store` crate: in headers, and in URLs.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Method, Uri, header, request::Parts};
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::{CredentialProvider, Transport};
use object_store_0_14::{
    StaticCredentialProvider,
    azure::{AzureAuthorizer, MicrosoftAzureBuilder},
    path::Path,
    signer::Signer as _,
};

use super::credentials::AzureCredentials;
use crate::{
    TransportConnector,
    credentials::Source,
    wire::sign::{failed, move_headers, to_sign},
};

/// Signs each attempt anew, so that neither credentials nor the time of the signature are old.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) source: Source<AzureCredentials>,
    pub(super) account: String,
}

/// Headers that are part of the signature of an account's key.
fn is_signed(name: &HeaderName) -> bool {
    let standard = [
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::RANGE,
    ];
    name.as_str().starts_with("x-ms-") || name.as_str() == "content-md5" || standard.contains(name)
}

fn sign_parts(parts: &mut Parts, credentials: &AzureCredentials, account: &str) -> Result<()> {
    let credential = credentials.for_signing()?;
    let mut request = to_sign(parts, is_signed);
    AzureAuthorizer::new(&credential, account).try_authorize(&mut request).map_err(failed)?;
    // A shared access signature is in the URL.
    parts.uri = request.uri().clone();
    let public = [header::DATE, HeaderName::from_static("x-ms-version")];
    move_headers(&mut request, parts, &[header::AUTHORIZATION], &public);
    Ok(())
}

impl CredentialProvider for Signer {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let credentials = self.source.credentials().await?;
        sign_parts(parts, &credentials, &self.account)
    }

    fn invalidate(&self) {
        self.source.invalidate();
    }
}

/// A URL that allows one method without credentials, for this long. With an account's key nothing is sent; with a
/// token, the service is asked for a key to sign with.
pub(super) async fn presign(
    transport: &Transport,
    method: Method,
    uri: &Uri,
    credentials: &AzureCredentials,
    account: &str,
    expires: Duration,
) -> Result<Secret> {
    // The library signs the path as it stands in the URL, the service expects the name itself.
    if uri.path().contains('%') {
        let message = "URLs of blobs whose names need escapes cannot be signed";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    // The library appends a container and a path to the endpoint, and its paths cannot say all names. So the last part
    // of the URL is the container, and the path is empty.
    let text = uri.to_string();
    let (endpoint, last) = text.rsplit_once('/').unwrap_or((&text, ""));
    let store = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_endpoint(endpoint.to_owned())
        .with_container_name(last)
        .with_credentials(Arc::new(StaticCredentialProvider::new(credentials.for_signing()?)))
        .with_http_connector(TransportConnector::new(transport.clone()))
        .with_retry(TransportConnector::retry_config())
        .build()
        .map_err(failed)?;
    let url = store.signed_url(method, &Path::default(), expires).await.map_err(failed)?;
    Ok(Secret::from(String::from(url)))
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::ScriptedService;

    use super::*;

    #[test]
    fn keys_sign_headers_and_signatures_go_into_the_url() {
        let request = http::Request::put("http://h:1/account/c/k?comp=list")
            .header("x-ms-version", "2023-11-03")
            .header("content-length", "5")
            .header("accept-encoding", "identity");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let key = AzureCredentials::AccessKey(Secret::from("c2VudGluZWw="));
        for _ in 0..2 {
            sign_parts(&mut parts, &key, "account").unwrap();
            let value = &parts.headers[header::AUTHORIZATION];
            assert!(value.is_sensitive() && value.to_str().unwrap().starts_with("SharedKey account:"));
            assert!(
                parts.headers.contains_key("date")
                    && parts.headers.get_all("authorization").iter().count() == 1
            );
        }
        let sas = AzureCredentials::Sas(Secret::from("sp=r&sig=a%2Bb"));
        let (mut parts, ()) = http::Request::get("http://h:1/c/k?comp=list").body(()).unwrap().into_parts();
        sign_parts(&mut parts, &sas, "account").unwrap();
        assert_eq!(parts.uri, "http://h:1/c/k?comp=list&sp=r&sig=a%2Bb");
        assert!(!parts.headers.contains_key("authorization"));
    }

    #[tokio::test]
    async fn urls_are_signed_as_they_are() {
        let transport = Transport::builder().service(ScriptedService::replies([])).build().unwrap();
        let key = AzureCredentials::AccessKey(Secret::from("c2VudGluZWw="));
        let hour = Duration::from_hours(1);
        for path in ["a", "a//b", "dir/"] {
            let uri: Uri = format!("http://h:9/account/c/{path}").parse().unwrap();
            let url = presign(&transport, Method::GET, &uri, &key, "account", hour).await.unwrap();
            let start = format!("{uri}?");
            assert!(url.expose().starts_with(&start) && url.expose().contains("sig="), "{}", url.expose());
        }
        let odd = "http://h:9/account/c/a%20b".parse().unwrap();
        let refused = presign(&transport, Method::GET, &odd, &key, "account", hour).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
    }
}
