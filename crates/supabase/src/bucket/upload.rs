//! Storing an object in one request.

use std::{future::IntoFuture, time::Duration};

use futures_core::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use longshore_core_types::{Payload, Result, Secret};
use serde_json::{Map, Value};

use crate::{
    client::Client,
    model::Uploaded,
    names::invalid,
    wire::object::{self as wire, At, FileOptions, Over},
};

/// An upload; see [`Bucket::upload`](crate::Bucket::upload).
///
/// It is one request: what fails is lost. Large objects go in pieces by
/// [`resumable`](crate::Bucket::resumable), or by the transfer engine over
/// [`store`](crate::Bucket::store).
#[derive(Debug)]
#[must_use = "nothing is stored until it is awaited"]
pub struct UploadFile {
    client: Client,
    at: Result<At>,
    body: Payload,
    options: FileOptions,
    over: Over,
    token: Option<Secret>,
    fault: Option<longshore_core_types::Error>,
}

impl UploadFile {
    pub(crate) fn new(client: &Client, at: Result<At>, body: Payload, over: Over) -> Self {
        let (client, options) = (client.clone(), FileOptions::default());
        Self { client, at, body, options, over, token: None, fault: None }
    }

    pub(crate) fn token(mut self, token: Secret) -> Self {
        self.token = Some(token);
        self
    }

    /// Whether an object of this name is replaced. Off by default, and always on for updates; with a signed URL the
    /// token says it.
    pub fn upsert(mut self, upsert: bool) -> Self {
        if self.over != Over::Update {
            self.over = if upsert { Over::Replace } else { Over::Refuse };
        }
        self
    }

    /// Content type; `application/octet-stream` by default.
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.options.content_type = Some(value.into());
        self
    }

    /// `Cache-Control` of later downloads; `no-cache` by default.
    pub fn cache_control(mut self, value: impl Into<String>) -> Self {
        self.options.cache_control = Some(value.into());
        self
    }

    /// Lets downloads be cached for this long.
    #[doc(alias = "cacheControl")]
    pub fn max_age(self, time: Duration) -> Self {
        self.cache_control(format!("max-age={}", time.as_secs()))
    }

    /// The user's own metadata: any JSON object of 8 KiB at most.
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.options.metadata = Some(metadata);
        self
    }

    /// `X-Robots-Tag` of later downloads.
    pub fn robots_tag(mut self, value: impl Into<String>) -> Self {
        self.options.robots_tag = Some(value.into());
        self
    }

    /// A further header of the request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                self.options.headers.append(name, value);
            }
            _ => self.fault = Some(invalid(format!("the header {name:?} cannot be sent"))),
        }
        self
    }
}

impl IntoFuture for UploadFile {
    type Output = Result<Uploaded>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { client, at, body, options, over, token, fault } = self;
        Box::pin(async move {
            let at = at?;
            if let Some(fault) = fault {
                return Err(fault);
            }
            let request = match &token {
                Some(token) => wire::upload_signed(&at, token.expose(), body, &options)?,
                None => wire::upload(&at, body, &options, over)?,
            };
            client.call(request).await?.json("the name of the object that was stored").await
        })
    }
}
