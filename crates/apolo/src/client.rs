//! The client and how its requests go out.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::response::Parts;
use longshore_core_types::{CallInfo, Error, ErrorKind, Result};
use longshore_transport::{HttpService, ResponseBody, Transport, TransportConfig, body};
use serde::de::DeserializeOwned;

use crate::{
    buckets::{Buckets, Scope},
    config::ClientBuilder,
    error,
    persistent::PersistentKeys,
    uri::{BlobUri, UriDefaults},
    wire::Request,
};

/// Longest error answer that is read.
pub(crate) const ERROR_BODY: usize = 64 << 10;

/// Longest answer that is read into memory.
const ANSWER: usize = 32 << 20;

/// A client of the buckets service of one cluster. Cloning is cheap; clones share connections and credentials.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) transport: Transport,
    /// Base of the service, without a slash at the end.
    pub(crate) base: String,
    pub(crate) cluster: String,
    pub(crate) org: Option<String>,
    pub(crate) project: Option<String>,
    /// How requests to the stores behind buckets go out.
    pub(crate) config: TransportConfig,
    /// What sends them, if it is not our HTTP client.
    pub(crate) service: Option<HttpService>,
}

impl Client {
    /// Settings of a client.
    #[doc(alias = "login_with_token")]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    #[cfg(test)]
    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// How requests to the stores behind buckets go out.
    pub(crate) fn outgoing(&self) -> (TransportConfig, Option<HttpService>) {
        (self.0.config.clone(), self.0.service.clone())
    }

    /// The cluster that it asks.
    pub fn cluster(&self) -> &str {
        &self.0.cluster
    }

    /// Buckets of the organisation and project of the settings. No I/O.
    pub fn buckets(&self) -> Buckets {
        let scope = Scope { org: self.0.org.clone(), project: self.0.project.clone(), owner: None };
        Buckets::new(self.clone(), scope)
    }

    /// Credentials that do not expire. No I/O.
    pub fn persistent_credentials(&self) -> PersistentKeys {
        PersistentKeys::new(self.clone())
    }

    fn org(&self) -> Result<&str> {
        self.0.org.as_deref().ok_or_else(|| missing("organisation"))
    }

    fn project(&self) -> Result<&str> {
        self.0.project.as_deref().ok_or_else(|| missing("project"))
    }

    /// What short `blob:` URIs leave out. [`ErrorKind::InvalidConfig`] if organisation or project are not set.
    pub fn uri_defaults(&self) -> Result<UriDefaults> {
        let (org, project) = (self.org()?.to_owned(), self.project()?.to_owned());
        Ok(UriDefaults { cluster: self.0.cluster.clone(), org, project })
    }

    /// Reads a `blob:` URI; what it leaves out is that of this client. [`ErrorKind::InvalidInput`] if it is none,
    /// [`ErrorKind::InvalidConfig`] if it leaves out an organisation or project that is not set here.
    pub fn uri(&self, text: &str) -> Result<BlobUri> {
        BlobUri::complete(text, &self.0.cluster, || self.org(), || self.project())
    }

    /// Sends a request. Any status but success is an error, which says what the body says.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer> {
        send(&self.0.transport, &self.0.base, request).await
    }
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("no Apolo {what} is set"))
}

pub(crate) async fn send(transport: &Transport, base: &str, request: Request) -> Result<Answer> {
    let call = request.call.clone();
    let response = transport.send(request.at(base)?).await.map_err(|error| error.into_error(&call))?;
    let (parts, body) = response.into_parts();
    if parts.status.is_success() {
        return Ok(Answer { parts, body, call });
    }
    let text = body::excerpt(body, ERROR_BODY).await;
    Err(error::from_response(&call, &parts, &text))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.0.base)
            .field("cluster", &self.0.cluster)
            .field("org", &self.0.org)
            .field("project", &self.0.project)
            .finish_non_exhaustive()
    }
}

/// A successful answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) parts: Parts,
    pub(crate) body: ResponseBody,
    pub(crate) call: CallInfo,
}

impl Answer {
    async fn bytes(self) -> Result<Bytes> {
        body::collect(self.body, ANSWER).await.map_err(|error| error.into_error(&self.call))
    }

    pub(crate) async fn json<T: DeserializeOwned>(self, what: &str) -> Result<T> {
        let call = self.call.clone();
        let body = self.bytes().await?;
        serde_json::from_slice(&body).map_err(|error| {
            // The text may hold credentials, so it is not shown.
            Error::new(ErrorKind::Protocol, format!("the answer is not {what}"))
                .with_source(error)
                .with_call(&call)
        })
    }

    /// Waits for the end of an answer that says nothing more. Reading it frees the connection.
    pub(crate) async fn done(self) -> Result<()> {
        self.bytes().await.map(drop)
    }
}
