//! How requests go out.

use std::fmt;

use bytes::Bytes;
use http::response::Parts;
use longshore_core_types::{CallInfo, Error, Result, Secret};
use longshore_transport::{ResponseBody, Transport, body};

use super::{
    credentials::AwsCredentials,
    endpoint::Endpoint,
    error,
    sign::presign,
    wire::{request::Request, xml},
};
use crate::credentials::Source;

/// Longest error answer that is read.
const ERROR_BODY: usize = 64 << 10;

/// Longest document that is read: a page of 1,000 names of 1 KiB, all of them escaped.
const DOCUMENT: usize = 16 << 20;

/// One bucket's address, and who asks.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) endpoint: Endpoint,
    /// `None` to ask anonymously.
    pub(super) source: Option<Source<AwsCredentials>>,
    pub(super) region: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Client {
    /// Sends a request. Any status but success is an error, which says what the body says.
    ///
    /// A key that the server does not take any more is asked for once more, where others give them, and the request is
    /// sent again. The server says so with status 400 or 403, so the transport does not notice.
    pub(super) async fn call(&self, request: Request) -> Result<Answer> {
        let again = request.try_clone();
        match (self.send(request).await, &self.source, again) {
            (Err(error), Some(source), Some(again)) if error::is_stale(&error) => {
                source.invalidate();
                // Whoever has no other key says the same again.
                self.send(again).await.map_err(|second| if error::is_stale(&second) { error } else { second })
            }
            (answer, ..) => answer,
        }
    }

    async fn send(&self, request: Request) -> Result<Answer> {
        let call = request.call;
        let uri = self.endpoint.uri(request.key.as_deref(), request.query.as_str());
        let mut sent = http::Request::new(request.body);
        *sent.method_mut() = request.method;
        *sent.uri_mut() = uri.map_err(|error| error.with_call(&call))?;
        *sent.headers_mut() = request.headers;
        sent.extensions_mut().insert(call.clone());
        let response = self.transport.send(sent).await.map_err(|error| error.into_error(&call))?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(Answer { parts, body, call });
        }
        let text = body::excerpt(body, ERROR_BODY).await;
        Err(error::from_response(&call, &parts, &text))
    }

    /// A URL that allows one request without keys.
    pub(super) async fn presign(
        &self,
        method: http::Method,
        key: &str,
        expires: std::time::Duration,
    ) -> Result<Option<Secret>> {
        let Some(source) = &self.source else { return Ok(None) };
        let uri = self.endpoint.uri(Some(key), "")?;
        let keys = source.credentials().await?;
        presign(&self.transport, method, &uri, &keys, &self.region, expires).await.map(Some)
    }
}

/// A successful answer whose body is still to be read.
pub(super) struct Answer {
    pub(super) parts: Parts,
    pub(super) body: ResponseBody,
    pub(super) call: CallInfo,
}

impl Answer {
    async fn read(self) -> Result<(Parts, Bytes, CallInfo)> {
        let bytes = body::collect(self.body, DOCUMENT).await.map_err(|error| error.into_error(&self.call))?;
        Ok((self.parts, bytes, self.call))
    }

    /// The document that the body is. Some calls answer 200 before they know how they end: their body may be an error.
    pub(super) async fn document<T: serde::de::DeserializeOwned>(self, what: &str) -> Result<T> {
        let (parts, bytes, call) = self.read().await?;
        if let Some(error) = error::in_success(&call, &parts, &bytes) {
            return Err(error);
        }
        xml::parse(&bytes, what).map_err(|error: Error| error.with_call(&call))
    }

    /// Waits for the end of an answer that says nothing more. Reading it frees the connection.
    pub(super) async fn done(self) -> Result<Parts> {
        Ok(self.read().await?.0)
    }
}
