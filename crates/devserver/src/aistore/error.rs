//! Errors as AIStore words and encodes them.

use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;

use super::reply::Reply;
use super::s3::escape as escape_xml;
use crate::http::Abort;
use crate::raw;
use crate::storage::StorageError;

const HDR_ERROR: HeaderName = HeaderName::from_static("hdr-error");

pub(crate) type Result<T> = std::result::Result<T, Fail>;

/// A refusal, before it is known which node words it for which request.
#[derive(Clone, Debug)]
pub(crate) struct Fail {
    pub(crate) status: StatusCode,
    /// Go type name, empty for plain errors.
    pub(crate) tcode: &'static str,
    pub(crate) message: String,
    /// Headers beside the usual ones.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Set if another node failed inside the gateway's call.
    pub(crate) relayed: Option<Box<Relayed>>,
    /// Set to the code if the answer is an XML document of the S3 endpoint.
    pub(crate) xml: Option<&'static str>,
    /// The connection is to be closed without an answer.
    pub(crate) abort: bool,
}

/// The inner request that failed when a gateway relays an error.
#[derive(Clone, Debug)]
pub(crate) struct Relayed {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) caller: String,
    pub(crate) node: String,
}

impl Fail {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            tcode: "",
            message: message.into(),
            headers: Vec::new(),
            relayed: None,
            xml: None,
            abort: false,
        }
    }

    /// 400.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404 with the usual type.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message).tcode("ErrNotFound")
    }

    /// A refusal that was asked for.
    pub(crate) fn injected(status: u16, retry_after: Option<u64>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let fail = Self::new(status, "injected fault");
        match retry_after {
            Some(seconds) => fail.header("retry-after", &seconds.to_string()),
            None => fail,
        }
    }

    /// Closes the connection.
    pub(crate) fn abort() -> Self {
        Self { abort: true, ..Self::bad("connection closed") }
    }

    #[must_use]
    pub(crate) fn tcode(mut self, tcode: &'static str) -> Self {
        self.tcode = tcode;
        self
    }

    #[must_use]
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn relayed(mut self, relayed: Relayed) -> Self {
        self.relayed = Some(Box::new(relayed));
        self
    }

    /// The answer that tells this failure; to HEAD, in a header.
    pub(crate) fn reply(&self, method: &Method, path: &str, peer: &str, node: &str) -> Reply {
        if let Some(code) = self.xml {
            return self.xml_reply(code);
        }
        let mut json = raw::unescape(&self.json(method, path, peer, node));
        let mut reply = Reply::new(self.status)
            .with(CONTENT_TYPE, "application/json")
            .with(X_CONTENT_TYPE_OPTIONS, "nosniff");
        for (name, value) in &self.headers {
            reply.set(HeaderName::from_static(name), value);
        }
        if method == Method::HEAD {
            if let Ok(value) = HeaderValue::from_bytes(&json) {
                reply.headers.insert(HDR_ERROR, value);
            }
            return reply;
        }
        json.push(b'\n');
        reply.body(json)
    }

    fn xml_reply(&self, code: &str) -> Reply {
        let message = escape_xml(&self.message);
        let mut reply = Reply::new(self.status)
            .with(CONTENT_TYPE, "application/xml")
            .with(X_CONTENT_TYPE_OPTIONS, "nosniff");
        for (name, value) in &self.headers {
            reply.set(HeaderName::from_static(name), value);
        }
        reply
            .body(format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                 <Resource></Resource><RequestId></RequestId></Error>"
            ))
    }

    /// The JSON document, without the line break that ends it in a body.
    pub(crate) fn json(&self, method: &Method, path: &str, peer: &str, node: &str) -> String {
        let document = Document {
            tcode: self.tcode,
            message: &self.message,
            method: self.relayed.as_ref().map_or(method.as_str(), |r| r.method),
            url_path: self.relayed.as_ref().map_or(path, |r| &r.path),
            remote_addr: peer,
            caller: self.relayed.as_ref().map_or("", |r| &r.caller),
            node: self.relayed.as_ref().map_or(node, |r| &r.node),
            status: self.status.as_u16(),
        };
        serde_json::to_string(&document).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    tcode: &'a str,
    message: &'a str,
    method: &'a str,
    url_path: &'a str,
    remote_addr: &'a str,
    caller: &'a str,
    node: &'a str,
    status: u16,
}

impl From<Abort> for Fail {
    fn from(_: Abort) -> Self {
        Self::abort()
    }
}

impl From<StorageError> for Fail {
    fn from(error: StorageError) -> Self {
        if error.is_full() {
            return Self::new(StatusCode::INSUFFICIENT_STORAGE, format!("out of space: {error}"))
                .tcode("ErrCapExceeded");
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("storage: {error}"))
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        StorageError::from(error).into()
    }
}
