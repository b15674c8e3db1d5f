//! What goes to the server, as all clouds have it.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Payload, Resource, Result};
use longshore_transport::Query;

/// A request that is complete but for the bucket's address.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) key: Option<String>,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) call: CallInfo,
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into())
}

fn header_value(name: &HeaderName, value: &str) -> Result<HeaderValue> {
    // Anything else would not come back as it went; some servers decode what looks like an encoded word of mail.
    let plain = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
        && value.trim() == value
        && !value.contains("=?");
    let value = HeaderValue::from_str(value).ok().filter(|_| plain);
    value.ok_or_else(|| invalid(format!("the value of {name} has characters that a header cannot hold")))
}

/// What repeating a write would do: one with a condition would find its own work.
pub(crate) fn write_idempotency(create_only: bool, if_match: Option<&String>) -> Idempotency {
    if create_only || if_match.is_some() { Idempotency::NotIdempotent } else { Idempotency::Idempotent }
}

impl Request {
    pub(crate) fn new(
        method: Method,
        operation: &'static str,
        idempotency: Idempotency,
        resource: Resource,
    ) -> Self {
        Self {
            method,
            key: None,
            query: Query::default(),
            headers: HeaderMap::new(),
            body: Payload::empty(),
            call: CallInfo::new(operation, idempotency).on(resource),
        }
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
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
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let value = header_value(&name, value)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn header_opt(self, name: HeaderName, value: Option<&str>) -> Result<Self> {
        match value {
            Some(value) => self.header(name, value),
            None => Ok(self),
        }
    }

    pub(crate) fn body(mut self, body: impl Into<Payload>) -> Self {
        self.body = body.into();
        self
    }

    /// An XML document as body. There are servers that ignore one whose type is not said.
    #[cfg(feature = "s3")]
    pub(crate) fn document(mut self, document: String) -> Self {
        self.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        self.body(document)
    }

    /// The same request once more; `None` if its body can be sent only once.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        Some(Self {
            method: self.method.clone(),
            key: self.key.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.try_clone()?,
            call: self.call.clone(),
        })
    }
}
