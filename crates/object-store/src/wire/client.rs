//! How requests go out.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, response::Parts};
#[cfg(feature = "gcs")]
use longshore_core_types::ErrorKind;
use longshore_core_types::{CallInfo, Error, Result};
use longshore_transport::{ResponseBody, Transport, body};

use super::{endpoint::Endpoint, request::Request, xml};
use crate::credentials::Source;

/// Longest error answer that is read.
const ERROR_BODY: usize = 64 << 10;

/// Longest document that is read: a page of 1,000 names of 1 KiB, all of them escaped.
const DOCUMENT: usize = 16 << 20;

/// What a service's answers mean that are errors.
#[derive(Clone, Copy)]
pub(crate) struct Errors {
    /// The error that an answer is.
    pub(crate) read: fn(&CallInfo, &Parts, &[u8]) -> Error,
    /// The error that a successful answer is after all.
    pub(crate) in_success: fn(&CallInfo, &Parts, &[u8]) -> Option<Error>,
    /// Whether other credentials may help.
    pub(crate) stale: fn(&Error) -> bool,
}

/// One bucket's address, and who asks.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) transport: Transport,
    pub(crate) endpoint: Endpoint,
    /// Forgets the credentials; `None` to ask anonymously.
    invalidate: Option<Arc<dyn Fn() + Send + Sync>>,
    errors: Errors,
    translation: Option<Translation>,
}

/// From the headers of requests that are built here to those of a service, and back.
#[derive(Clone, Copy)]
struct Translation {
    request: fn(&Method, &mut HeaderMap),
    answer: fn(&mut HeaderMap),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new<C: 'static>(
        transport: Transport,
        endpoint: Endpoint,
        source: Option<&Source<C>>,
        errors: Errors,
    ) -> Self {
        let invalidate = source.cloned().map(|source| {
            let forget: Arc<dyn Fn() + Send + Sync> = Arc::new(move || source.invalidate());
            forget
        });
        Self { transport, endpoint, invalidate, errors, translation: None }
    }

    /// Speaks with other headers.
    #[cfg(feature = "gcs")]
    pub(crate) fn translated(
        mut self,
        request: fn(&Method, &mut HeaderMap),
        answer: fn(&mut HeaderMap),
    ) -> Self {
        self.translation = Some(Translation { request, answer });
        self
    }

    /// The service that has the bucket, asked by the same.
    #[cfg(any(feature = "azure", feature = "s3"))]
    pub(crate) fn service(&self) -> Self {
        Self { endpoint: self.endpoint.service(), ..self.clone() }
    }

    /// Sends a request. Any status but success is an error, which says what the body says.
    ///
    /// A key that the server does not take any more is asked for once more, where others give them, and the request is
    /// sent again. The server says so with status 400 or 403, so the transport does not notice.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer> {
        let again = request.try_clone();
        match (self.send(request).await, &self.invalidate, again) {
            (Err(error), Some(invalidate), Some(again)) if (self.errors.stale)(&error) => {
                invalidate();
                // Whoever has no other key says the same again.
                self.send(again)
                    .await
                    .map_err(|second| if (self.errors.stale)(&second) { error } else { second })
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
        if let Some(translation) = self.translation {
            let method = sent.method().clone();
            (translation.request)(&method, sent.headers_mut());
        }
        sent.extensions_mut().insert(call.clone());
        let response = self.transport.send(sent).await.map_err(|error| error.into_error(&call))?;
        let (mut parts, body) = response.into_parts();
        if let Some(translation) = self.translation {
            (translation.answer)(&mut parts.headers);
        }
        if parts.status.is_success() {
            return Ok(Answer { parts, body, call, in_success: self.errors.in_success });
        }
        let text = body::excerpt(body, ERROR_BODY).await;
        Err((self.errors.read)(&call, &parts, &text))
    }
}

/// A successful answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) parts: Parts,
    pub(crate) body: ResponseBody,
    pub(crate) call: CallInfo,
    in_success: fn(&CallInfo, &Parts, &[u8]) -> Option<Error>,
}

impl Answer {
    async fn read(self) -> Result<(Parts, Bytes, CallInfo)> {
        let bytes = body::collect(self.body, DOCUMENT).await.map_err(|error| error.into_error(&self.call))?;
        Ok((self.parts, bytes, self.call))
    }

    /// The document that the body is. Some calls answer 200 before they know how they end: their body may be an error.
    pub(crate) async fn document<T: xml::Document>(self, what: &str) -> Result<T> {
        let in_success = self.in_success;
        let (parts, bytes, call) = self.read().await?;
        if let Some(error) = in_success(&call, &parts, &bytes) {
            return Err(error);
        }
        xml::parse(&bytes, what).map_err(|error: Error| error.with_call(&call))
    }

    /// The JSON document that the body is.
    #[cfg(feature = "gcs")]
    pub(crate) async fn json<T: serde::de::DeserializeOwned>(self, what: &str) -> Result<T> {
        let (_, bytes, call) = self.read().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let fault = Error::new(ErrorKind::Protocol, format!("the answer is not {what}"));
            fault.with_response_excerpt(&bytes).with_source(error).with_call(&call)
        })
    }

    /// Waits for the end of an answer that says nothing more. Reading it frees the connection.
    pub(crate) async fn done(self) -> Result<Parts> {
        Ok(self.read().await?.0)
    }
}
