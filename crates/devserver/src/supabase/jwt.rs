//! Tokens: JSON Web Signatures with HMAC-SHA-256, refused in the words of the real server's library.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::time::now_seconds;

/// Claims of a token whose signature holds.
pub(crate) type Claims = Map<String, Value>;

fn mac(secret: &str, input: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(input.as_bytes());
    Some(mac)
}

/// Signs claims, given as JSON text so that their order is kept; `header` likewise.
pub(crate) fn sign(secret: &str, header: &str, claims: &str) -> String {
    let input =
        format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let signature = mac(secret, &input).map(|m| BASE64_URL_SAFE_NO_PAD.encode(m.finalize().into_bytes()));
    format!("{input}.{}", signature.unwrap_or_default())
}

/// Checks the signature, not the times.
pub(super) fn open(secret: &str, token: &str) -> Result<Claims, &'static str> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { return Err("Invalid Compact JWS") };
    let object = |part: &str| -> Option<Claims> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    let header = object(header).ok_or("JWS Protected Header is invalid")?;
    let algorithm = header.get("alg").and_then(Value::as_str).filter(|a| !a.is_empty());
    match algorithm {
        Some("HS256") => {}
        Some(_) => return Err("\"alg\" (Algorithm) Header Parameter value not allowed"),
        None => return Err("JWS \"alg\" (Algorithm) Header Parameter missing or invalid"),
    }
    let signature =
        BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| "Failed to base64url decode the signature")?;
    let signed = &token[..parts[0].len() + 1 + parts[1].len()];
    // Compared in constant time.
    if mac(secret, signed).is_none_or(|m| m.verify_slice(&signature).is_err()) {
        return Err("signature verification failed");
    }
    object(payload).ok_or("JWT Claims Set must be a top-level JSON object")
}

/// Checks the times of a token.
pub(super) fn check_times(claims: &Claims) -> Result<(), &'static str> {
    let now = now_seconds();
    let time = |name: &str| claims.get(name).filter(|v| !v.is_null());
    if let Some(value) = time("nbf") {
        let at = value.as_f64().ok_or("\"nbf\" claim must be a number")?;
        if at > now {
            return Err("\"nbf\" claim timestamp check failed");
        }
    }
    if let Some(value) = time("exp") {
        let at = value.as_f64().ok_or("\"exp\" claim must be a number")?;
        if at <= now {
            return Err("\"exp\" claim timestamp check failed");
        }
    }
    Ok(())
}

/// Checks signature and times.
pub(crate) fn verify(secret: &str, token: &str) -> Result<Claims, &'static str> {
    let claims = open(secret, token)?;
    check_times(&claims)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
    /// Made by another implementation.
    const SERVICE: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6InNlcnZpY2Vfcm9sZSIsImV4cCI6MTk4MzgxMjk5Nn0.EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU";

    #[test]
    fn a_known_token() {
        let claims = verify(SECRET, SERVICE).unwrap();
        assert_eq!(claims["role"], "service_role");
        let header = r#"{"alg":"HS256","typ":"JWT"}"#;
        let again = r#"{"iss":"supabase-demo","role":"service_role","exp":1983812996}"#;
        assert_eq!(sign(SECRET, header, again), SERVICE);
    }

    #[test]
    fn refused_tokens() {
        let refused = |token: &str| verify(SECRET, token).unwrap_err();
        assert_eq!(refused(""), "Invalid Compact JWS");
        assert_eq!(refused("a.b"), "Invalid Compact JWS");
        assert_eq!(refused("aaa.bbb.ccc"), "JWS Protected Header is invalid");
        let with = |header: &str, claims: &str| sign(SECRET, header, claims);
        let hs512 = with(r#"{"alg":"HS512"}"#, "{}");
        assert_eq!(refused(&hs512), "\"alg\" (Algorithm) Header Parameter value not allowed");
        let expired = with(r#"{"alg":"HS256"}"#, r#"{"exp":1}"#);
        assert_eq!(refused(&expired), "\"exp\" claim timestamp check failed");
        assert_eq!(verify("other", SERVICE).unwrap_err(), "signature verification failed");
        assert!(verify(SECRET, &with(r#"{"alg":"HS256"}"#, "{}")).is_ok());
    }
}
