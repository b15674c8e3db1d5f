//! Who may do what: tokens and access bits, where the cluster requires them.
//!
//! The order is that of the original: the form of a request and the existence of its bucket come first, then the token,
//! then the bits, then the bucket's own `access` property.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use http::StatusCode;

use super::buckets::Bucket;
use super::error::{Fail, Result};
use super::names::BucketName;
use super::node::Cx;
use super::{Cluster, gateway};
use crate::access::bits::{BCK_SET_ACL, PATCH, RO};
use crate::access::{Bits, CLUSTER_BITS, Claims, describe, now_seconds, presented, remaining, verify};
use crate::sync::{lock, read, write};

/// Verified tokens that are remembered.
const MAX_SEEN: usize = 4096;

/// How a refusal is encoded; it depends on the way the original takes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    /// With a type.
    Wrapped,
    /// XML, and never 401.
    S3,
}

/// The cluster's part in access control.
pub(crate) struct Guard {
    secret: String,
    required: AtomicBool,
    /// Revoked tokens and when they expire anyway.
    revoked: RwLock<HashMap<String, f64>>,
    seen: Mutex<HashMap<String, Arc<Claims>>>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("required", &self.required()).finish_non_exhaustive()
    }
}

/// Why nobody is behind a request.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) message: String,
    missing: bool,
}

impl Guard {
    /// A guard that trusts tokens signed with `secret`.
    pub(crate) fn new(secret: String, required: bool) -> Self {
        Self {
            secret,
            required: AtomicBool::new(required),
            revoked: RwLock::default(),
            seen: Mutex::default(),
        }
    }

    /// True if requests need a token.
    pub(crate) fn required(&self) -> bool {
        self.required.load(Ordering::Acquire)
    }

    pub(crate) fn require(&self, required: bool) {
        self.required.store(required, Ordering::Release);
    }

    /// Refuses these tokens from now on.
    pub(crate) fn revoke(&self, tokens: impl IntoIterator<Item = String>) {
        let now = now_seconds();
        let mut revoked = write(&self.revoked);
        revoked.retain(|_, expires| *expires > now);
        for token in tokens {
            // What does not verify now never will; remembered or not, it is refused.
            if let Ok(claims) = verify(&self.secret, &token) {
                revoked.insert(token, claims.expires);
            }
        }
    }

    /// Who is behind a request.
    pub(crate) fn claims(&self, headers: &http::HeaderMap) -> std::result::Result<Arc<Claims>, Unknown> {
        let Some((header, token)) = presented(headers) else {
            return Err(Unknown { message: "token required".into(), missing: true });
        };
        let bad = |why: &str, echo: bool| {
            let echo = if echo { format!(": {token}") } else { String::new() };
            let message = format!("invalid token from header \"{header}\": invalid token [err: {why}]{echo}");
            Unknown { message, missing: false }
        };
        if read(&self.revoked).contains_key(&token) {
            return Err(bad("token revoked", true));
        }
        let mut seen = lock(&self.seen);
        if let Some(claims) = seen.get(&token) {
            if claims.expires > now_seconds() {
                return Ok(Arc::clone(claims));
            }
            seen.remove(&token);
            return Err(bad("token expired", true));
        }
        let claims = Arc::new(verify(&self.secret, &token).map_err(|e| bad(&e.0, false))?);
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(token, Arc::clone(&claims));
        Ok(claims)
    }
}

fn refuse(status: StatusCode, message: String, form: Form, tcode: &'static str) -> Fail {
    match form {
        Form::Plain => Fail::new(status, message),
        Form::Wrapped => Fail::new(status, message).tcode(tcode),
        Form::S3 => Fail { xml: Some(tcode), ..Fail::new(StatusCode::FORBIDDEN, message) },
    }
}

/// The bearer of a valid token, whatever it grants.
pub(crate) fn bearer(cx: &Cx, form: Form) -> Result<Arc<Claims>> {
    cx.cluster.guard.claims(&cx.headers).map_err(|unknown| {
        let tcode = if unknown.missing { "" } else { "wrapError" };
        refuse(StatusCode::UNAUTHORIZED, unknown.message, form, tcode)
    })
}

/// The bucket, if it exists and the caller has these bits in it.
pub(crate) fn bucket(cx: &Cx, name: &BucketName, bits: Bits) -> Result<Arc<Bucket>> {
    let bucket = gateway::bucket(cx, name)?;
    check(cx, Some(&bucket), bits, Form::Wrapped)?;
    Ok(bucket)
}

/// Refuses callers without these bits in a bucket that exists; what becomes of one that does not is for others.
pub(crate) fn existing(cx: &Cx, name: &BucketName, bits: Bits) -> Result<()> {
    match cx.cluster.buckets.find(name) {
        Some(bucket) => check(cx, Some(&bucket), bits, Form::Wrapped),
        None => Ok(()),
    }
}

/// Refuses a call that needs bits of the cluster.
pub(crate) fn cluster(cx: &Cx, bits: Bits) -> Result<()> {
    check(cx, None, bits, Form::Plain)
}

/// Refuses a caller without a valid token or without the bits; lets everybody pass where no token is required. What the
/// bucket's property forbids to writers is for the caller to ask.
pub(crate) fn check(cx: &Cx, bucket: Option<&Bucket>, bits: Bits, form: Form) -> Result<()> {
    if !cx.cluster.guard.required() {
        return Ok(());
    }
    let claims = bearer(cx, form)?;
    permit(&cx.cluster, &claims, bucket, bits)
        .map_err(|message| refuse(StatusCode::FORBIDDEN, message, form, "wrapError"))?;
    let Some(bucket) = bucket else { return Ok(()) };
    let free = if claims.admin { PATCH | BCK_SET_ACL } else { 0 };
    bucket.allow(bits & (RO | PATCH | BCK_SET_ACL) & !free)
}

/// Whether a token grants bits; the error is the refusal's text.
fn permit(
    cluster: &Cluster,
    claims: &Claims,
    bucket: Option<&Bucket>,
    bits: Bits,
) -> std::result::Result<(), String> {
    if claims.admin {
        return Ok(());
    }
    let user = &claims.subject;
    let denied = |detail: Option<(&str, &str, Bits)>| {
        let detail = detail.map_or_else(String::new, |(before, after, granted)| {
            let left = remaining(claims.expires);
            let granted = describe(granted);
            format!(": [{before}user {user}, token expires in {left}{after}, granted({granted})]")
        });
        Err(format!("user `{user}` has insufficient permissions{detail}"))
    };
    let own = claims.clusters.iter().find(|c| c.id == cluster.uuid);
    let list = own.or_else(|| claims.clusters.iter().find(|c| c.id.is_empty()));
    let wanted = bits & CLUSTER_BITS;
    match list {
        Some(list) if wanted & !list.perm != 0 => {
            return denied(Some((&format!("cluster {}, ", cluster.uuid), "", list.perm)));
        }
        None if wanted != 0 => return denied(None),
        _ => {}
    }
    let wanted = bits & !CLUSTER_BITS;
    if wanted == 0 {
        return Ok(());
    }
    // A list for the bucket decides alone, also against a wider one for the cluster.
    let lists = |bucket: &&Bucket| {
        let name = &bucket.name;
        claims.buckets.iter().find(|acl| {
            name.namespace.is_global()
                && acl.bck.namespace.uuid == cluster.uuid
                && acl.bck.name == name.name
                && acl.bck.provider == name.provider.as_str()
        })
    };
    if let Some((bucket, acl)) = bucket.and_then(|b| Some((b, lists(&b)?))) {
        return if wanted & !acl.perm == 0 {
            Ok(())
        } else {
            denied(Some(("", &format!(", bucket {}", bucket.name), acl.perm)))
        };
    }
    let granted = list.map_or(0, |list| list.perm);
    if wanted & !granted == 0 { Ok(()) } else { denied(Some(("", "", granted))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::sign;

    fn headers(token: &str) -> http::HeaderMap {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().expect("a value"));
        headers
    }

    #[test]
    fn a_revoked_token_is_refused_at_once() {
        let guard = Guard::new("s".into(), true);
        let token = sign("s", r#"{"sub":"bob","exp":99999999999}"#);
        let other = sign("s", r#"{"sub":"eve","exp":99999999999}"#);
        assert_eq!(guard.claims(&headers(&token)).expect("valid").subject, "bob");
        guard.revoke([token.clone(), "garbage".into()]);
        let refused = guard.claims(&headers(&token)).expect_err("revoked");
        assert!(refused.message.ends_with(&format!("[err: token revoked]: {token}")));
        assert!(guard.claims(&headers(&other)).is_ok());
    }

    #[test]
    fn an_expired_token_is_refused_although_it_was_seen() {
        let guard = Guard::new("s".into(), true);
        let expires = now_seconds() + 0.05;
        let token = sign("s", &format!(r#"{{"sub":"bob","exp":{expires}}}"#));
        assert!(guard.claims(&headers(&token)).is_ok());
        while now_seconds() <= expires {
            std::thread::yield_now();
        }
        let refused = guard.claims(&headers(&token)).expect_err("expired").message;
        assert!(refused.ends_with(&format!("[err: token expired]: {token}")));
        let refused = guard.claims(&headers(&token)).expect_err("expired").message;
        assert!(refused.ends_with("[err: token expired]"));
    }
}
