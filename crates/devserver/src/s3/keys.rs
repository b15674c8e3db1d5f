//! Who may do what: access keys, temporary ones among them, and public buckets.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Result, s3_error};

use super::catalog::Catalog;
use crate::sync::{read, write};

/// What a key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Everything.
    All,
    /// Objects of these buckets.
    Buckets { names: Vec<String>, write: bool },
}

/// A pair of access key and secret, and what belongs to it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    /// The token that requests with a temporary key must carry.
    pub(crate) session: Option<String>,
    pub(crate) expires: Option<SystemTime>,
    pub(crate) grant: Grant,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("expires", &self.expires)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A key to everything that never expires.
    pub(crate) fn master(secret: impl Into<String>) -> Self {
        Self { secret: secret.into(), session: None, expires: None, grant: Grant::All }
    }
}

/// All keys that are good for something.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    map: RwLock<HashMap<String, Key>>,
}

impl Keys {
    /// Adds a key; temporary ones that have expired make room.
    pub(crate) fn add(&self, access_key: impl Into<String>, key: Key) {
        const KEPT: std::time::Duration = std::time::Duration::from_hours(1);
        let mut map = write(&self.map);
        // Those that expired a short while ago are still told apart from keys that never were.
        map.retain(|_, k| k.expires.is_none_or(|at| at + KEPT > SystemTime::now()));
        map.insert(access_key.into(), key);
    }

    pub(crate) fn remove(&self, access_key: &str) {
        write(&self.map).remove(access_key);
    }

    fn get(&self, access_key: &str) -> S3Result<Key> {
        read(&self.map).get(access_key).cloned().ok_or_else(|| {
            s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
        })
    }
}

/// What a request wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) access_key: Option<&'a str>,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) query: Option<&'a str>,
    pub(super) bucket: Option<&'a str>,
    /// It names an object.
    pub(super) object: bool,
}

/// Checks keys and what they open.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) keys: Arc<Keys>,
    pub(super) catalog: Arc<dyn Catalog>,
}

/// The token of a temporary key, from the header or from a signed URL.
fn session_token(request: &Request<'_>) -> Option<String> {
    if let Some(value) = request.headers.get("x-amz-security-token") {
        return value.to_str().ok().map(str::to_owned);
    }
    request.query.unwrap_or_default().split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
        name.eq_ignore_ascii_case("x-amz-security-token").then(|| value.into_owned())
    })
}

impl Gate {
    pub(super) fn check(&self, request: &Request<'_>) -> S3Result<()> {
        let denied = || s3_error!(AccessDenied, "Access Denied");
        let reads = matches!(*request.method, Method::GET | Method::HEAD);
        let Some(access_key) = request.access_key else {
            let bucket = request.bucket.and_then(|name| self.catalog.find(name));
            return if reads && bucket.is_some_and(|b| b.public) { Ok(()) } else { Err(denied()) };
        };
        let key = self.keys.get(access_key)?;
        if key.expires.is_some_and(|at| at <= SystemTime::now()) {
            return Err(s3_error!(ExpiredToken, "The provided token has expired."));
        }
        if key.session != session_token(request) {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
        match &key.grant {
            Grant::All => Ok(()),
            Grant::Buckets { names, write } => {
                let named = request.bucket.is_some_and(|bucket| names.iter().any(|n| n == bucket));
                // Deleting many is a POST on the bucket.
                let within = request.object || reads || *request.method == Method::POST;
                if named && within && (reads || *write) { Ok(()) } else { Err(denied()) }
            }
        }
    }
}

impl S3Auth for Gate {
    fn get_secret_key<'life0, 'life1, 'async_trait>(
        &'life0 self,
        access_key: &'life1 str,
    ) -> BoxFuture<'async_trait, S3Result<SecretKey>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let key = self.keys.get(access_key);
        Box::pin(async move { Ok(SecretKey::from(key?.secret)) })
    }
}

impl S3Access for Gate {
    fn check<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        cx: &'life1 mut S3AccessContext<'life2>,
    ) -> BoxFuture<'async_trait, S3Result<()>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        let (bucket, object) = match cx.s3_path() {
            S3Path::Root => (None, false),
            S3Path::Bucket { bucket } => (Some(&**bucket), false),
            S3Path::Object { bucket, .. } => (Some(&**bucket), true),
        };
        let verdict = Self::check(
            self,
            &Request {
                access_key: cx.credentials().map(|c| c.access_key.as_str()),
                method: cx.method(),
                headers: cx.headers(),
                query: cx.uri().query(),
                bucket,
                object,
            },
        );
        Box::pin(std::future::ready(verdict))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::catalog::{BucketInfo, CatalogError};
    use super::*;

    #[derive(Debug)]
    struct One;

    impl Catalog for One {
        fn list(&self) -> Vec<BucketInfo> {
            Vec::new()
        }

        fn find(&self, name: &str) -> Option<BucketInfo> {
            let public = name == "open";
            Some(BucketInfo { name: name.into(), id: 1, created: 0, public })
        }

        fn create<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), CatalogError>> {
            Box::pin(async { Err(CatalogError::Missing) })
        }

        fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), CatalogError>> {
            Box::pin(async { Err(CatalogError::Missing) })
        }
    }

    #[test]
    fn what_keys_open() {
        let gate = Gate { keys: Arc::default(), catalog: Arc::new(One) };
        gate.keys.add("master", Key::master("s"));
        let names = vec!["b".to_owned()];
        let limited = |write| Key {
            session: Some("a+b".into()),
            grant: Grant::Buckets { names: names.clone(), write },
            ..Key::master("s")
        };
        gate.keys.add("reader", limited(false));
        gate.keys.add("writer", limited(true));
        gate.keys.add(
            "late",
            Key { expires: Some(SystemTime::now() - Duration::from_secs(1)), ..Key::master("s") },
        );
        let mut headers = HeaderMap::new();
        let check =
            |key: Option<&str>, method: Method, bucket: &str, headers: &HeaderMap, query: Option<&str>| {
                let request = Request {
                    access_key: key,
                    method: &method,
                    headers,
                    query,
                    bucket: Some(bucket),
                    object: true,
                };
                gate.check(&request).map_or_else(|e| e.code().as_str().to_owned(), |()| "ok".into())
            };
        assert_eq!(check(Some("master"), Method::PUT, "x", &headers, None), "ok");
        assert_eq!(check(Some("late"), Method::GET, "x", &headers, None), "ExpiredToken");
        assert_eq!(check(Some("who"), Method::GET, "x", &headers, None), "InvalidAccessKeyId");
        assert_eq!(check(None, Method::GET, "open", &headers, None), "ok");
        assert_eq!(check(None, Method::PUT, "open", &headers, None), "AccessDenied");
        assert_eq!(check(Some("reader"), Method::GET, "b", &headers, None), "InvalidToken");
        assert_eq!(
            check(Some("reader"), Method::GET, "b", &headers, Some("X-Amz-Security-Token=a%2Bb")),
            "ok"
        );
        headers.insert("x-amz-security-token", "a+b".parse().unwrap());
        assert_eq!(check(Some("reader"), Method::PUT, "b", &headers, None), "AccessDenied");
        assert_eq!(check(Some("writer"), Method::PUT, "b", &headers, None), "ok");
        assert_eq!(check(Some("writer"), Method::GET, "c", &headers, None), "AccessDenied");
    }
}
