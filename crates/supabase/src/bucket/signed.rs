//! URLs that grant access, and those that need none.

use std::{fmt, future::IntoFuture, time::Duration};

use futures_core::future::BoxFuture;
use longshore_core_types::{Error, ErrorKind, Result, Secret};
use longshore_transport::{Query, encode_path};

use super::Bucket;
use crate::{
    client::Client,
    names::check_key,
    transform::Transform,
    wire::{
        object::At,
        sign::{self as wire, MOST_PATHS, encode_reference},
    },
};

impl Bucket {
    /// A URL by which anybody can read an object until it expires. Whole seconds count, one at least.
    #[doc(alias = "createSignedUrl")]
    pub fn create_signed_url(&self, key: impl AsRef<str>, expires_in: Duration) -> SignUrl {
        SignUrl {
            client: self.client().clone(),
            at: self.at(key),
            expires_in,
            transform: None,
            extra: Extra::default(),
        }
    }

    /// The same for many objects, 1000 in a request, in their order. An object that is missing does not fail the
    /// others.
    #[doc(alias = "createSignedUrls")]
    pub async fn create_signed_urls(
        &self,
        keys: impl IntoIterator<Item = impl Into<String>>,
        expires_in: Duration,
    ) -> Result<Vec<SignedEntry>> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        keys.iter().try_for_each(|key| check_key(key))?;
        let seconds = wire::lifetime(expires_in)?;
        let mut all = Vec::new();
        for paths in keys.chunks(MOST_PATHS) {
            let answer = self.client().call(wire::sign_many(self.name(), paths, seconds)?).await?;
            let call = answer.call.clone();
            let rows = wire::parse_sign_many(&answer.bytes(crate::client::ANSWER).await?);
            for row in rows.map_err(|error| error.with_call(&call))? {
                let result = match row.outcome {
                    Ok(reference) => Ok(absolute(self.client(), &reference, &Extra::default())),
                    Err(reason) => Err(Error::new(ErrorKind::NotFound, reason).with_call(&call)),
                };
                all.push(SignedEntry { path: row.path, result });
            }
        }
        Ok(all)
    }

    /// A URL by which anybody can store one object of this name, for as long as the service is set up to allow (two
    /// hours on the hosted platform). `AlreadyExists` if there is an object and `upsert` is off.
    #[doc(alias = "createSignedUploadUrl")]
    pub async fn create_signed_upload_url(&self, key: impl AsRef<str>, upsert: bool) -> Result<SignedUpload> {
        let at = self.at(key)?;
        let answer = self.client().call(wire::sign_upload(&at, upsert)?).await?;
        let call = answer.call.clone();
        let signed = wire::parse_sign_upload(&answer.bytes(64 << 10).await?);
        let (reference, token) = signed.map_err(|error| error.with_call(&call))?;
        let url = absolute(self.client(), &reference, &Extra::default());
        Ok(SignedUpload { path: at.key.to_string(), url, token })
    }

    /// The URL by which everybody can read an object of a public bucket. Asks nobody, so it is made for objects that
    /// do not exist as well. `InvalidInput` for a name that the service does not take.
    #[doc(alias = "getPublicUrl")]
    pub fn public_url(&self, key: impl AsRef<str>) -> Result<PublicUrl> {
        let base = self.client().service().to_string();
        Ok(PublicUrl { base, at: self.at(key)?, transform: None, extra: Extra::default() })
    }
}

/// What the service lets callers add to a URL.
#[derive(Clone, Debug, Default)]
struct Extra {
    download: Option<String>,
    nonce: Option<String>,
}

impl Extra {
    fn push_on(&self, query: &mut Query) {
        if let Some(name) = &self.download {
            query.push("download", name);
        }
    }

    fn push_last(&self, query: &mut Query) {
        if let Some(nonce) = &self.nonce {
            query.push("cacheNonce", nonce);
        }
    }
}

/// The whole URL of a reference of the server.
fn absolute(client: &Client, reference: &Secret, extra: &Extra) -> Secret {
    let mut query = Query::default();
    extra.push_on(&mut query);
    extra.push_last(&mut query);
    let mark = if query.is_empty() { "" } else { "&" };
    let path = encode_reference(reference.expose());
    Secret::from(format!("{}{path}{mark}{}", client.service(), query.as_str()))
}

macro_rules! extras {
    () => {
        /// Makes browsers save it instead of showing it: under its own name if `name` is empty, else under `name`.
        pub fn download(mut self, name: impl Into<String>) -> Self {
            self.extra.download = Some(name.into());
            self
        }

        /// A text that makes caches take it for another object, such as its version.
        #[doc(alias = "cacheNonce")]
        pub fn cache_nonce(mut self, nonce: impl Into<String>) -> Self {
            self.extra.nonce = Some(nonce.into());
            self
        }

        /// As an image that is resized on the way.
        pub fn transform(mut self, transform: Transform) -> Self {
            self.transform = (!transform.is_empty()).then_some(transform);
            self
        }
    };
}

/// A signed URL for reading; see [`Bucket::create_signed_url`].
#[derive(Debug)]
#[must_use = "nothing is signed until it is awaited"]
pub struct SignUrl {
    client: Client,
    at: Result<At>,
    expires_in: Duration,
    transform: Option<Transform>,
    extra: Extra,
}

impl SignUrl {
    extras!();
}

impl IntoFuture for SignUrl {
    type Output = Result<Secret>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let seconds = wire::lifetime(self.expires_in)?;
            let request = wire::sign(&self.at?, seconds, self.transform.as_ref())?;
            let answer = self.client.call(request).await?;
            let call = answer.call.clone();
            let reference = wire::parse_sign(&answer.bytes(64 << 10).await?);
            let reference = reference.map_err(|error| error.with_call(&call))?;
            Ok(absolute(&self.client, &reference, &self.extra))
        })
    }
}

/// One answer of [`Bucket::create_signed_urls`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedEntry {
    /// Name of the object.
    pub path: String,
    /// Its URL, or why there is none.
    pub result: Result<Secret>,
}

/// A signed URL for storing an object; see [`Bucket::create_signed_upload_url`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedUpload {
    /// Name of the object.
    pub path: String,
    /// Where a `PUT` with its bytes goes.
    pub url: Secret,
    /// The token, for [`Bucket::upload_to_signed_url`] and for signed resumable uploads.
    pub token: Secret,
}

/// The URL of an object of a public bucket; see [`Bucket::public_url`]. `Display` writes it.
#[derive(Clone, Debug)]
#[must_use]
pub struct PublicUrl {
    base: String,
    at: At,
    transform: Option<Transform>,
    extra: Extra,
}

impl PublicUrl {
    extras!();
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = if self.transform.is_some() { "render/image" } else { "object" };
        let (bucket, key) = (encode_path(self.at.bucket.as_str()), encode_path(self.at.key.as_str()));
        write!(f, "{}/{route}/public/{bucket}/{key}", self.base)?;
        let mut query = Query::default();
        self.extra.push_on(&mut query);
        for (name, value) in self.transform.iter().flat_map(Transform::pairs) {
            query.push(name, &value);
        }
        self.extra.push_last(&mut query);
        if query.is_empty() { Ok(()) } else { write!(f, "?{}", query.as_str()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket() -> Bucket {
        Client::builder("https://ref.supabase.co").build().unwrap().bucket("b").unwrap()
    }

    #[test]
    fn public_urls() {
        let url = |key: &str| bucket().public_url(key).unwrap();
        let base = "https://ref.supabase.co/storage/v1";
        assert_eq!(url("a b.jpg").to_string(), format!("{base}/object/public/b/a%20b.jpg"));
        assert_eq!(
            url("a").download("x y.jpg").cache_nonce("1").to_string(),
            format!("{base}/object/public/b/a?download=x%20y.jpg&cacheNonce=1")
        );
        assert_eq!(
            url("a").transform(Transform::new().width(10)).download("").to_string(),
            format!("{base}/render/image/public/b/a?download=&width=10")
        );
        assert_eq!(url("a").transform(Transform::new()).to_string(), format!("{base}/object/public/b/a"));
    }

    #[test]
    fn signed_urls_are_made_of_the_base_and_the_reference() {
        let reference = Secret::from("/object/sign/b/a b?token=t.o.k");
        let extra = Extra { download: Some(String::new()), nonce: None };
        let url = absolute(bucket().client(), &reference, &extra);
        assert_eq!(
            url.expose(),
            "https://ref.supabase.co/storage/v1/object/sign/b/a%20b?token=t.o.k&download="
        );
    }
}
