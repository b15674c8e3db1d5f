//! Tokens: JSON Web Tokens signed with HMAC-SHA-256, and why one is refused.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use serde::Deserialize as _;
use serde_json::Value;
use sha2::Sha256;

use super::acl::{BucketAcl, ClusterAcl};

const AUTHORIZATION: &str = "Authorization";
const SECURITY_TOKEN: &str = "X-Amz-Security-Token";

/// What a valid token says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    pub(crate) admin: bool,
    pub(crate) clusters: Vec<ClusterAcl>,
    pub(crate) buckets: Vec<BucketAcl>,
    pub(crate) subject: String,
    /// Seconds since the epoch.
    pub(crate) expires: f64,
}

/// Why a token is refused, in the words of the original's library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadToken(pub(crate) String);

fn malformed(what: &str) -> BadToken {
    BadToken(format!("token is malformed: {what}"))
}

fn bad_claims(what: &str) -> BadToken {
    BadToken(format!("token has invalid claims: {what}"))
}

/// The token of a request and the header it stands in. A header that is no bearer token falls through to the next; one
/// with a bad token does not.
pub(crate) fn presented(headers: &HeaderMap) -> Option<(&'static str, String)> {
    let text = |name: &str| headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let bearer = text("authorization").and_then(|v| v.strip_prefix("Bearer ").map(str::to_owned));
    if let Some(token) = bearer.filter(|t| !t.is_empty()) {
        return Some((AUTHORIZATION, token));
    }
    text("x-amz-security-token").filter(|t| !t.is_empty()).map(|token| (SECURITY_TOKEN, token))
}

/// Seconds since the epoch.
pub(crate) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// What is left of a token's life, as messages print it: rounded to seconds.
pub(crate) fn remaining(expires: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a count of seconds, rounded")]
    let left = (expires - now_seconds()).round() as i64;
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{}s", seconds.abs()),
        _ => format!("{hours}h{}m{}s", minutes.abs(), seconds.abs()),
    }
}

fn mac(secret: &str, input: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(input.as_bytes());
    Some(mac)
}

/// Signs a document of claims, given as JSON text so that their order is kept.
pub(crate) fn sign(secret: &str, claims: &str) -> String {
    let input = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = mac(secret, &input)
        .map(|m| BASE64_URL_SAFE_NO_PAD.encode(m.finalize().into_bytes()))
        .unwrap_or_default();
    format!("{input}.{signature}")
}

/// Checks signature and times, in the order of the original.
pub(crate) fn verify(secret: &str, token: &str) -> Result<Claims, BadToken> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return Err(malformed("token contains an invalid number of segments"));
    };
    let header = json(header, "header")?;
    let document = json(payload, "claim")?;
    let claims = read(&document).map_err(|e| malformed(&format!("could not JSON decode claim: {e}")))?;
    let algorithm = header["alg"].as_str().unwrap_or_default();
    let invalid = |why: &str| BadToken(format!("token signature is invalid: {why}"));
    if !matches!(algorithm, "HS256" | "RS256" | "RS384" | "RS512") {
        return Err(invalid(&format!("signing method {algorithm} is invalid")));
    }
    let signature = decode(signature, "signature")?;
    if algorithm != "HS256" {
        return Err(BadToken(
            "token is unverifiable: error while executing keyfunc: RSA public key not configured".into(),
        ));
    }
    let signed = &token[..parts[0].len() + 1 + parts[1].len()];
    // Compared in constant time.
    if mac(secret, signed).is_none_or(|m| m.verify_slice(&signature).is_err()) {
        return Err(invalid("signature is invalid"));
    }
    check_times(&document, &claims)?;
    Ok(claims)
}

fn check_times(document: &Value, claims: &Claims) -> Result<(), BadToken> {
    let now = now_seconds();
    let mut problems = Vec::new();
    if document["exp"].is_null() {
        problems.push("token is missing required claim: exp claim is required");
    } else if claims.expires <= now {
        return Err(BadToken("token expired".into()));
    }
    if document["nbf"].as_f64().is_some_and(|t| t > now) {
        problems.push("token is not valid yet");
    }
    if claims.subject.is_empty() {
        problems.push("missing 'sub' claim");
    }
    if problems.is_empty() { Ok(()) } else { Err(bad_claims(&problems.join(", "))) }
}

fn decode(part: &str, what: &str) -> Result<Vec<u8>, BadToken> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|e| {
        let at = match e {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            _ => part.find('=').unwrap_or(part.len()),
        };
        malformed(&format!("could not base64 decode {what}: illegal base64 data at input byte {at}"))
    })
}

fn json(part: &str, what: &str) -> Result<Value, BadToken> {
    let bytes = decode(part, what)?;
    serde_json::from_slice(&bytes).map_err(|e| malformed(&format!("could not JSON decode {what}: {e}")))
}

/// Go's word for the type of a JSON value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Array(_) => "array",
        _ => "object",
    }
}

fn read(document: &Value) -> Result<Claims, String> {
    let member = |name: &str| document.get(name).filter(|v| !v.is_null());
    let mismatch = |name: &str, value: &Value, wanted: &str| {
        format!(
            "json: cannot unmarshal {} into Go struct field AISClaims.{name} of type {wanted}",
            kind(value)
        )
    };
    for name in ["exp", "nbf", "iat"] {
        if let Some(value) = member(name)
            && !value.is_number()
        {
            return Err(format!(
                "could not parse NumericData: json: invalid number literal, trying to unmarshal {:?} into Number",
                value.to_string()
            ));
        }
    }
    let admin = match member("admin") {
        None => false,
        Some(Value::Bool(admin)) => *admin,
        Some(other) => return Err(mismatch("admin", other, "bool")),
    };
    let subject = match member("sub") {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => return Err(mismatch("sub", other, "string")),
    };
    let list = |name: &str| member(name).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let go = |e: serde_json::Error| e.to_string();
    Ok(Claims {
        admin,
        clusters: Vec::deserialize(list("clusters")).map_err(go)?,
        buckets: Vec::deserialize(list("buckets")).map_err(go)?,
        subject,
        expires: member("exp").and_then(Value::as_f64).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "secret";

    fn refused(claims: &str) -> String {
        verify(SECRET, &sign(SECRET, claims)).expect_err("a bad token").0
    }

    #[test]
    fn round_trip() {
        let token = sign(
            SECRET,
            r#"{"clusters":[{"id":"c","perm":"771"}],"admin":false,"sub":"bob","exp":99999999999.5}"#,
        );
        let claims = verify(SECRET, &token).expect("a token");
        assert_eq!((claims.subject.as_str(), claims.clusters[0].perm, claims.admin), ("bob", 771, false));
        let wrong = verify("other", &token).expect_err("another secret");
        assert_eq!(wrong.0, "token signature is invalid: signature is invalid");
    }

    #[test]
    fn known_signature() {
        // Computed with another implementation.
        let token = sign("aBitLongSecretKeyForHMAC", r#"{"a":1}"#);
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ.AC_mIldvpZDHygE4g9GL9MUko6HqpiHT9tz3iubVxv8"
        );
    }

    #[test]
    fn claims_that_are_refused() {
        assert_eq!(refused(r#"{"sub":"a","exp":1}"#), "token expired");
        assert_eq!(
            refused("{}"),
            "token has invalid claims: token is missing required claim: exp claim is required, missing 'sub' claim"
        );
        assert_eq!(
            refused(r#"{"sub":"a","exp":"2030-01-01"}"#),
            "token is malformed: could not JSON decode claim: could not parse NumericData: json: invalid number \
             literal, trying to unmarshal \"\\\"2030-01-01\\\"\" into Number"
        );
        assert!(refused(r#"{"sub":"a","exp":99999999999,"admin":"true"}"#).ends_with("of type bool"));
        assert!(
            refused(r#"{"sub":"a","exp":99999999999,"clusters":[{"id":"c","perm":1}]}"#)
                .ends_with("unquoted value into apc.AccessAttrs")
        );
    }

    #[test]
    fn forms_that_are_refused() {
        let refused = |token: &str| verify(SECRET, token).expect_err("a bad token").0;
        assert!(refused("garbage").ends_with("invalid number of segments"));
        let token = sign(SECRET, r#"{"sub":"a","exp":99999999999}"#);
        assert!(
            refused(&format!(" {token}")).ends_with("decode header: illegal base64 data at input byte 0")
        );
        assert!(
            refused(&format!("{token}=")).ends_with("decode signature: illegal base64 data at input byte 43")
        );
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let unsigned = format!("{none}.{}.", token.split('.').nth(1).unwrap_or_default());
        assert!(refused(&unsigned).ends_with("signing method none is invalid"));
    }

    #[test]
    fn presentation() {
        let find = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, http::HeaderValue::from_static(value));
            }
            presented(&headers).map(|(_, token)| token)
        };
        assert_eq!(find(&[("authorization", "Bearer a")]).as_deref(), Some("a"));
        assert_eq!(find(&[("authorization", "bearer a")]), None);
        assert_eq!(
            find(&[("authorization", "Bearer "), ("x-amz-security-token", "b")]).as_deref(),
            Some("b")
        );
        assert_eq!(
            find(&[("authorization", "Bearer bad"), ("x-amz-security-token", "b")]).as_deref(),
            Some("bad")
        );
    }

    #[test]
    fn lifetimes_are_rounded() {
        assert_eq!(remaining(now_seconds() + 86_400.2), "24h0m0s");
        assert_eq!(remaining(now_seconds() + 59.9), "1m0s");
        assert_eq!(remaining(now_seconds() + 5.1), "5s");
    }
}
