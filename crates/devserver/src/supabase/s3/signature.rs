//! AWS Signature Version 4, checked: headers, presigned URLs, chunks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::supabase::caller::Caller;
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::query;
use crate::supabase::time::now_seconds;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// What a signature leaves unencoded in queries.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Who signed a request, and what its chunks are signed with.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) caller: Caller,
    pub(super) chunks: Chunks,
}

/// What the signatures of chunks follow from.
#[derive(Clone)]
pub(super) struct Chunks {
    key: Vec<u8>,
    date: String,
    scope: String,
    /// The signature before.
    last: String,
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks").finish_non_exhaustive()
    }
}

/// The parts of a signature.
#[derive(Debug, PartialEq)]
struct Presented {
    access_key: String,
    /// Date, region, service, `aws4_request`.
    scope: Vec<String>,
    headers: Vec<String>,
    signature: String,
    date: String,
    token: Option<String>,
    /// Seconds that a presigned URL is good.
    expires: Option<f64>,
}

pub(super) fn mismatch() -> Fail {
    let message = "The request signature we calculated does not match the signature you provided. Check your key and \
                   signing method.";
    Fail::new(403, "SignatureDoesNotMatch", message, "SignatureDoesNotMatch")
}

fn malformed() -> Fail {
    Fail::new(400, "InvalidSignature", "Invalid signature format", "InvalidSignature")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // Any length of key will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Equal, in a time that does not tell where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

fn scope(credential: &str) -> Option<(String, Vec<String>)> {
    let mut parts: Vec<_> = credential.rsplitn(5, '/').map(str::to_owned).collect();
    let access_key = parts.pop().filter(|_| parts.len() == 4)?;
    parts.reverse();
    Some((access_key, parts))
}

impl Presented {
    fn read(cx: &Cx) -> Result<Self> {
        if cx.parameter("X-Amz-Signature").is_some() {
            return Self::from_query(cx).ok_or_else(malformed);
        }
        let header = cx.text("authorization").unwrap_or_default();
        let Some(rest) = header.strip_prefix(ALGORITHM) else {
            return Err(Fail::denied("Missing signature"));
        };
        Self::from_header(cx, rest).ok_or_else(malformed)
    }

    fn from_header(cx: &Cx, header: &str) -> Option<Self> {
        let field = |name: &str| {
            let pairs = header.split(',').filter_map(|p| p.trim().split_once('='));
            pairs.into_iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
        };
        let (access_key, scope) = scope(&field("Credential")?)?;
        Some(Self {
            access_key,
            scope,
            headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?,
            date: cx.text("x-amz-date").or_else(|| cx.text("date"))?,
            token: cx.text("x-amz-security-token"),
            expires: None,
        })
    }

    fn from_query(cx: &Cx) -> Option<Self> {
        let text = |name: &str| cx.parameter(name).map(str::to_owned);
        let (access_key, scope) = scope(&text("X-Amz-Credential")?)?;
        Some(Self {
            access_key,
            scope,
            headers: text("X-Amz-SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: text("X-Amz-Signature")?,
            date: text("X-Amz-Date")?,
            token: text("X-Amz-Security-Token"),
            expires: Some(text("X-Amz-Expires")?.parse().ok()?),
        })
    }

    /// Seconds since the epoch at which it was made.
    fn made_at(&self) -> Option<f64> {
        let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &self.date).ok()?;
        let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(at.timestamp().as_duration().as_secs_f64())
    }

    fn canonical(&self, cx: &Cx) -> String {
        let (path, raw) = cx.url.split_once('?').unwrap_or((&cx.url, ""));
        let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let mut pairs: Vec<_> = query::pairs_exact(raw)
            .into_iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encode(&name), encode(&value)))
            .collect();
        pairs.sort();
        let query: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let header = |name: &String| {
            let values = cx.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
            let values = values.map(|v| v.split_whitespace().collect::<Vec<_>>().join(" "));
            format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
        };
        let payload = cx.text("x-amz-content-sha256").unwrap_or_else(|| UNSIGNED.into());
        format!(
            "{}\n{}{path}\n{}\n{}\n{}\n{payload}",
            cx.method,
            cx.prefix,
            query.join("&"),
            self.headers.iter().map(header).collect::<String>(),
            self.headers.join(";"),
        )
    }

    fn key(&self, secret: &str) -> Vec<u8> {
        self.scope.iter().fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part))
    }
}

/// Checks the signature of a request.
pub(super) fn check(cx: &Cx) -> Result<Signed> {
    let settings = &cx.service.settings;
    let presented = Presented::read(cx)?;
    let [_, region, service, _] = presented.scope.as_slice() else { return Err(malformed()) };
    if service != "s3" {
        return Err(Fail::denied("Invalid Service"));
    }
    let expected_key = if presented.token.is_some() { &settings.project } else { &settings.s3_access_key };
    if presented.access_key != *expected_key {
        return Err(Fail::denied("Invalid Access Key"));
    }
    let secret = if presented.token.is_some() { settings.anon_key() } else { settings.s3_secret_key.clone() };
    let known = region.is_empty() || ["auto", "us-east-1", &settings.s3_region].contains(&region.as_str());
    let (key, scope) = (presented.key(&secret), presented.scope.join("/"));
    let canonical = sha256(presented.canonical(cx).as_bytes());
    let text = format!("{ALGORITHM}\n{}\n{scope}\n{canonical}", presented.date);
    if !known || !same(&hex(&hmac(&key, &text)), &presented.signature) {
        if presented.token.is_none() {
            return Err(mismatch());
        }
        let message = "The request signature we calculated does not match the signature you provided, Check your \
                       credentials. The session token should be a valid JWT token";
        return Err(Fail::new(403, "SignatureDoesNotMatch", message, "SignatureDoesNotMatch"));
    }
    if let Some(seconds) = presented.expires {
        let made = presented.made_at().ok_or_else(malformed)?;
        if made + seconds < now_seconds() {
            return Err(Fail::new(400, "ExpiredToken", "The provided token has expired.", "ExpiredToken"));
        }
    }
    let caller = match &presented.token {
        Some(token) => cx.service.bearer(token)?,
        None => Caller::service(),
    };
    let chunks = Chunks { key, scope, date: presented.date, last: presented.signature };
    Ok(Signed { caller, chunks })
}

impl Chunks {
    /// Checks the signature of the next chunk.
    pub(super) fn check(&mut self, bytes: &[u8], signature: &str) -> Result<()> {
        let text = format!(
            "{ALGORITHM}-PAYLOAD\n{}\n{}\n{}\n{}\n{}",
            self.date,
            self.scope,
            self.last,
            sha256(b""),
            sha256(bytes)
        );
        if !same(&hex(&hmac(&self.key, &text)), signature) {
            return Err(mismatch());
        }
        signature.clone_into(&mut self.last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials() {
        let (key, parts) = scope("a/b/20261121/local/s3/aws4_request").unwrap();
        assert_eq!((key.as_str(), parts.join("|")), ("a/b", "20261121|local|s3|aws4_request".to_owned()));
        assert!(scope("x").is_none());
    }

    #[test]
    fn comparison() {
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }

    #[test]
    fn signing_key() {
        // The example of the scheme's documentation.
        let presented = Presented {
            access_key: String::new(),
            scope: ["20150830", "us-east-1", "iam", "aws4_request"].map(str::to_owned).to_vec(),
            headers: Vec::new(),
            signature: String::new(),
            date: "20150830T123600Z".into(),
            token: None,
            expires: None,
        };
        let key = presented.key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
        assert_eq!(presented.made_at(), Some(1_440_938_160.0));
    }
}
