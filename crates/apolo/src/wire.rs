//! Requests of the service, as pure functions. Nothing here does I/O.

use http::{HeaderValue, Method, header};
use longshore_core_types::{CallInfo, Error, ErrorKind, Idempotency, Payload, Resource, Result};
use longshore_transport::encode_segment;
use serde::Serialize;

/// A request that is complete but for the service's address.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Encoded path and query, below the base URL.
    pub(crate) path: String,
    pub(crate) body: Payload,
    pub(crate) json: bool,
    pub(crate) lines: bool,
    pub(crate) call: CallInfo,
}

impl Request {
    pub(crate) fn new(
        method: Method,
        path: impl Into<String>,
        operation: &'static str,
        how: Idempotency,
    ) -> Self {
        let call = CallInfo::new(operation, how);
        Self { method, path: path.into(), body: Payload::empty(), json: false, lines: false, call }
    }

    pub(crate) fn on(mut self, kind: &'static str, name: &str) -> Self {
        self.call = self.call.on(Resource::Named { kind, name: name.to_owned().into() });
        self
    }

    pub(crate) fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let mark = if self.path.contains('?') { '&' } else { '?' };
            self.path = format!("{}{mark}{name}={}", self.path, encode_segment(value));
        }
        self
    }

    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let json = serde_json::to_vec(value).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request cannot be written as JSON")
                .with_source(error)
                .with_call(&self.call)
        })?;
        self.json = true;
        self.body = json.into();
        Ok(self)
    }

    /// Asks for a list line by line.
    pub(crate) fn lines(mut self) -> Self {
        self.lines = true;
        self
    }

    /// The request to a service.
    pub(crate) fn at(self, base: &str) -> Result<http::Request<Payload>> {
        let uri = format!("{base}{}", self.path).parse::<http::Uri>();
        let uri = uri.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the request does not fit into a URL")
                .with_source(error)
                .with_call(&self.call)
        })?;
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        if self.json {
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let accept = if self.lines { "application/x-ndjson" } else { "*/*" };
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(accept));
        request.extensions_mut().insert(self.call);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let request = Request::new(
            Method::GET,
            format!("/buckets/{}", encode_segment("a/b c")),
            "x",
            Idempotency::Idempotent,
        )
        .query("org_name", Some("a&b"))
        .query("owner", None)
        .query("project_name", Some("p"));
        let request = request.at("http://h/api/v1/buckets").unwrap();
        assert_eq!(
            request.uri().to_string(),
            "http://h/api/v1/buckets/buckets/a%2Fb%20c?org_name=a%26b&project_name=p"
        );
        assert_eq!(request.headers()["accept"], "*/*");
    }
}
