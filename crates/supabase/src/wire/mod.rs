//! Requests and answers of the storage API, as pure functions: parameters to a request, an answer to a value.
//!
//! Nothing here does I/O.

pub(crate) mod analytics;
pub(crate) mod bucket;
pub(crate) mod list;
pub(crate) mod object;
pub(crate) mod sign;
pub(crate) mod tus;
pub(crate) mod vectors;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Payload, Resource, Result};
use longshore_transport::{BaseUrl, Query};
use serde::Serialize;

use crate::keys::Anonymous;

/// A request that is complete but for the service that it goes to.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Encoded path below the base URL.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) call: CallInfo,
    /// What grants access stands in the request: no key and no token go with it.
    pub(crate) anonymous: bool,
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
            query: Query::default(),
            headers: HeaderMap::new(),
            body: Payload::empty(),
            call: CallInfo::new(operation, idempotency),
            anonymous: false,
        }
    }

    pub(crate) fn on(mut self, resource: Resource) -> Self {
        self.call = self.call.on(resource);
        self
    }

    /// The URL or a header grants access: no credentials go with it, and no layer prints it.
    pub(crate) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self.call = self.call.sensitive();
        self
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(name, value);
        self
    }

    pub(crate) fn query_opt(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, &value.to_string()),
            None => self,
        }
    }

    /// Adds a header. A value that cannot stand in one is refused, not escaped.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Result<Self> {
        let value = header_value(&name, value)?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Adds a header that grants access.
    pub(crate) fn secret_header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Result<Self> {
        let mut value = header_value(&name, value)?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: impl Into<Payload>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request cannot be written as JSON").with_source(error)
        })?;
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(self.body(json))
    }

    /// The request to a service.
    pub(crate) fn at(self, service: &BaseUrl) -> Result<http::Request<Payload>> {
        let uri = service.uri(&self.path, self.query.as_str())?;
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(self.call);
        if self.anonymous {
            request.extensions_mut().insert(Anonymous);
        }
        Ok(request)
    }

    /// The same request once more; `None` if its body can be sent only once.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.try_clone()?,
            call: self.call.clone(),
            anonymous: self.anonymous,
        })
    }
}

fn header_value(name: &HeaderName, value: impl AsRef<[u8]>) -> Result<HeaderValue> {
    HeaderValue::from_bytes(value.as_ref()).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, format!("the value of {name} cannot stand in a header"))
            .with_source(error)
    })
}

/// Reads a JSON answer.
pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::new(ErrorKind::Protocol, format!("the answer is not {what}"))
            .with_response_excerpt(body)
            .with_source(error)
    })
}
