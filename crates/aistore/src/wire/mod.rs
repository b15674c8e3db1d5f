//! Requests and answers of the AIStore API, as pure functions: parameters to a request, an answer to a value.
//!
//! Nothing here does I/O. A function that builds a request refuses what would harm the cluster or its data.

pub(crate) mod append;
pub(crate) mod batch;
pub(crate) mod bucket;
pub(crate) mod bucket_jobs;
pub(crate) mod cluster;
pub(crate) mod download;
pub(crate) mod dsort;
pub(crate) mod etl;
pub(crate) mod group;
pub(crate) mod headers;
pub(crate) mod inventory;
pub(crate) mod job;
pub(crate) mod list;
pub(crate) mod multipart;
pub(crate) mod object;
pub(crate) mod object_jobs;
pub(crate) mod time;
pub(crate) mod xml;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Payload, Resource, Result};
use longshore_transport::{BaseUrl, Query};
use serde::Serialize;

/// A request that is complete but for the node that it goes to.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Encoded path from `/v1` or `/s3` on.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) call: CallInfo,
}

impl Request {
    pub(crate) fn new(
        method: Method,
        path: impl Into<String>,
        operation: &'static str,
        idempotency: Idempotency,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            query: Query::with_commas(),
            headers: HeaderMap::new(),
            body: Payload::empty(),
            call: CallInfo::new(operation, idempotency),
        }
    }

    pub(crate) fn on(mut self, resource: Resource) -> Self {
        self.call = self.call.on(resource);
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(name, value);
        self
    }

    pub(crate) fn query_if(self, condition: bool, name: &str, value: &str) -> Self {
        if condition { self.query(name, value) } else { self }
    }

    /// Adds a header. Values are made by this crate or checked before, so a bad one is refused, not escaped.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Result<Self> {
        let value = HeaderValue::from_bytes(value.as_ref()).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("the value of {name} cannot stand in a header"))
                .with_source(error)
        })?;
        self.headers.append(name, value);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: impl Into<Payload>) -> Self {
        self.body = body.into();
        self
    }

    /// A JSON body. Nearly all of them are small maps of this crate's own types.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request cannot be written as JSON").with_source(error)
        })?;
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self.body(json))
    }

    /// The action message that most calls but plain object I/O carry.
    pub(crate) fn action(self, action: &str, name: &str, value: &impl Serialize) -> Result<Self> {
        #[derive(Serialize)]
        struct Message<'a, V> {
            action: &'a str,
            name: &'a str,
            value: V,
        }
        self.json(&Message { action, name, value })
    }

    /// The request to one node.
    pub(crate) fn at(self, node: &BaseUrl) -> Result<http::Request<Payload>> {
        let uri = node.uri(&self.path, self.query.as_str())?;
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(self.call);
        Ok(request)
    }

    /// A request to another place with the same content; `None` if the body can be sent only once.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.try_clone()?,
            call: self.call.clone(),
        })
    }
}

/// Reads a JSON answer; an error names the place inside the document.
pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorKind::Protocol, format!("the answer is not {what}"))
            .with_response_excerpt(body)
            .with_source(error)
    })
}

/// Reads a text answer, such as a job id.
pub(crate) fn from_text(body: &[u8], what: &str) -> Result<String> {
    match std::str::from_utf8(body) {
        Ok(text) => Ok(text.trim().trim_matches('"').to_owned()),
        Err(error) => Err(Error::new(ErrorKind::Protocol, format!("the answer is not {what}"))
            .with_response_excerpt(body)
            .with_source(error)),
    }
}
