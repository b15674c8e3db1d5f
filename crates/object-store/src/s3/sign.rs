//! Signature Version 4: in headers, and in URLs.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Uri, header::AUTHORIZATION, request::Parts};
use jiff::Timestamp;
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::CredentialProvider;
use sha2::{Digest, Sha256};

use super::{
    credentials::{AwsCredentials, Source},
    wire::query::{Query, encode_value},
};

/// The digest of a body that is not part of what is signed. Bodies are streams that are read once: their integrity is
/// TLS's matter and the entity tag's.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Signs each attempt anew, so that neither keys nor the time of the signature are old.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) source: Source,
    pub(super) region: String,
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// When something is signed: `20260101T000000Z`.
fn stamp(now: Timestamp) -> String {
    now.strftime("%Y%m%dT%H%M%SZ").to_string()
}

struct Scope<'a> {
    time: String,
    region: &'a str,
}

impl Scope<'_> {
    fn text(&self) -> String {
        format!("{}/{}/s3/aws4_request", &self.time[..8], self.region)
    }

    fn signature(&self, secret: &Secret, canonical: &str) -> String {
        let digest = hex(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{digest}", self.time, self.text());
        let mut key = mac(format!("AWS4{}", secret.expose()).as_bytes(), &self.time[..8]);
        for part in [self.region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        hex(mac(&key, &text))
    }
}

/// Names and values of the headers that are signed, and their list.
fn canonical_headers(uri: &Uri, headers: &HeaderMap) -> (String, String) {
    let host = uri.authority().map_or_else(String::new, ToString::to_string);
    let mut all = vec![("host".to_owned(), host)];
    for name in headers.keys() {
        let text = name.as_str();
        if text.starts_with("x-amz-") || matches!(text, "content-md5" | "content-type") {
            let values = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
            let values: Vec<_> = values.map(|v| v.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            all.push((text.to_owned(), values.join(",")));
        }
    }
    all.sort();
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let lines = all.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name}:{value}");
        text
    });
    (lines, names)
}

/// Our queries are encoded already, with an equals sign in each pair: they only have to be in order.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn header(value: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(|_| {
        Error::new(ErrorKind::InvalidConfig, "the access key has characters that a header cannot hold")
    })
}

fn secret_header(value: &str) -> Result<HeaderValue> {
    let mut value = header(value)?;
    value.set_sensitive(true);
    Ok(value)
}

fn sign_parts(parts: &mut Parts, keys: &AwsCredentials, region: &str, now: Timestamp) -> Result<()> {
    let scope = Scope { time: stamp(now), region };
    if let Some(token) = &keys.session_token {
        parts.headers.insert("x-amz-security-token", secret_header(token.expose())?);
    }
    parts.headers.insert("x-amz-date", header(&scope.time)?);
    parts.headers.insert("x-amz-content-sha256", HeaderValue::from_static(UNSIGNED));
    let (lines, names) = canonical_headers(&parts.uri, &parts.headers);
    let query = canonical_query(parts.uri.query().unwrap_or_default());
    let canonical = format!("{}\n{}\n{query}\n{lines}\n{names}\n{UNSIGNED}", parts.method, parts.uri.path());
    let signature = scope.signature(&keys.secret_key, &canonical);
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={signature}",
        keys.access_key,
        scope.text()
    );
    parts.headers.insert(AUTHORIZATION, secret_header(&value)?);
    Ok(())
}

impl CredentialProvider for Signer {
    async fn authorize(&self, parts: &mut Parts) -> Result<()> {
        let keys = self.source.credentials().await?;
        sign_parts(parts, &keys, &self.region, Timestamp::now())
    }

    fn invalidate(&self) {
        self.source.invalidate();
    }
}

/// A URL that allows one method without keys, for this long.
pub(super) fn presign(
    method: &http::Method,
    uri: &Uri,
    keys: &AwsCredentials,
    region: &str,
    expires: Duration,
    now: Timestamp,
) -> Secret {
    let scope = Scope { time: stamp(now), region };
    let mut query = Query::default();
    query.push("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
    query.push("X-Amz-Credential", &format!("{}/{}", keys.access_key, scope.text()));
    query.push("X-Amz-Date", &scope.time);
    query.push("X-Amz-Expires", &expires.as_secs().to_string());
    if let Some(token) = &keys.session_token {
        query.push("X-Amz-Security-Token", token.expose());
    }
    query.push("X-Amz-SignedHeaders", "host");
    let mut pairs = uri.query().unwrap_or_default().to_owned();
    if !pairs.is_empty() {
        pairs.push('&');
    }
    pairs.push_str(query.as_str());
    let pairs = canonical_query(&pairs);
    let (lines, names) = canonical_headers(uri, &HeaderMap::new());
    let canonical = format!("{method}\n{}\n{pairs}\n{lines}\n{names}\n{UNSIGNED}", uri.path());
    let signature = scope.signature(&keys.secret_key, &canonical);
    let scheme = uri.scheme_str().unwrap_or("https");
    let host = uri.authority().map_or_else(String::new, ToString::to_string);
    let signature = encode_value(&signature);
    Secret::from(format!("{scheme}://{host}{}?{pairs}&X-Amz-Signature={signature}", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> AwsCredentials {
        AwsCredentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    }

    fn at() -> Timestamp {
        "2013-05-24T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_signed_url_of_the_specification() {
        let uri = "https://examplebucket.s3.amazonaws.com/test.txt".parse().unwrap();
        let url = presign(&http::Method::GET, &uri, &keys(), "us-east-1", Duration::from_hours(24), at());
        assert_eq!(
            url.expose(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\
             AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&\
             X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
             aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn headers_are_signed_each_time() {
        let request = http::Request::get("http://h:1/b/k?b=2&a=1").header("x-amz-meta-a", " x  y ").body(());
        let (mut parts, ()) = request.unwrap().into_parts();
        let keys = keys().with_session_token("token");
        sign_parts(&mut parts, &keys, "r", at()).unwrap();
        let first = parts.headers[AUTHORIZATION].to_str().unwrap().to_owned();
        assert!(first.contains(
            "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token, Signature="
        ));
        assert!(parts.headers[AUTHORIZATION].is_sensitive());
        sign_parts(&mut parts, &keys, "r", at()).unwrap();
        assert_eq!(parts.headers[AUTHORIZATION].to_str().unwrap(), first);
        assert_eq!(canonical_query("b=2&a=1"), "a=1&b=2");
    }
}
