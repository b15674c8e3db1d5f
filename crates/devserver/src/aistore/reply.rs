//! Answers before they meet a connection.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::cloud;
use crate::fault::Plan;
use crate::http::{Abort, Conn, JournalRef, ReqBody, ResBody, Source};
use crate::storage::ObjectRecord;

pub(crate) const CHECKSUM_TYPE: HeaderName = HeaderName::from_static("ais-checksum-type");
pub(crate) const CHECKSUM_VALUE: HeaderName = HeaderName::from_static("ais-checksum-value");
pub(crate) const VERSION: HeaderName = HeaderName::from_static("ais-version");
pub(crate) const ATIME: HeaderName = HeaderName::from_static("ais-atime");
pub(crate) const CUSTOM: HeaderName = HeaderName::from_static("ais-custom-md");

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) source: Source,
}

impl Reply {
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), source: Source::empty() }
    }

    /// 200 without a body.
    pub(crate) fn ok() -> Self {
        Self::new(StatusCode::OK)
    }

    /// 200 with plain text, such as a job id.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::ok().with(CONTENT_TYPE, "text/plain; charset=utf-8").body(text.into())
    }

    /// 200 with a JSON document.
    pub(crate) fn json(document: impl Into<String>) -> Self {
        Self::ok().with(CONTENT_TYPE, "application/json; charset=utf-8").body(document.into())
    }

    /// 405 with what is allowed.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED)
            .with(ALLOW, allow)
            .with(CONTENT_TYPE, "text/plain; charset=utf-8")
            .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .body("Method Not Allowed\n")
    }

    /// A redirect; `location` may hold any UTF-8.
    pub(crate) fn redirect(status: StatusCode, location: &str, html: Html) -> Self {
        let mut escaped = String::with_capacity(location.len());
        for byte in location.bytes() {
            if byte.is_ascii() {
                escaped.push(char::from(byte));
            } else {
                let _ = write!(escaped, "%{byte:02x}");
            }
        }
        let mut reply = Self::new(status).with(LOCATION, &escaped);
        if html != Html::None {
            reply = reply.with(CONTENT_TYPE, "text/html; charset=utf-8");
        }
        if html == Html::Body {
            let text = location
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;");
            let phrase = status.canonical_reason().unwrap_or_default();
            reply = reply.body(format!("<a href=\"{text}\">{phrase}</a>.\n\n"));
        }
        reply
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: HeaderName, value: &str) {
        // Bytes beyond ASCII go out as they are: values of user metadata are raw UTF-8 on this wire.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.append(name, value);
        }
    }

    #[must_use]
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.source = Source::Full(body.into());
        self
    }

    #[must_use]
    pub(crate) fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// What goes out on a connection; what was left unread of the request is dealt with first. `head` asks for the head
    /// alone, `close` for the end of the connection.
    pub(crate) async fn send(
        mut self,
        head: bool,
        close: bool,
        mut body: ReqBody,
        plan: &Plan,
        conn: &Conn,
        journal: JournalRef,
    ) -> Result<Response<ResBody>, Abort> {
        // Both are to be asked: reading the rest decides whether the connection can go on.
        if body.settle().await? || close {
            self.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let length = self.source.left();
        if head {
            self.source = Source::empty();
        }
        let status = self.status;
        journal.journal.update(journal.seq, |e| e.status = Some(status.as_u16()));
        let body = ResBody::new(self.source, plan, Arc::clone(&conn.control), Some(journal));
        let length = if head { length } else { body.len() };
        // A handler that knows better has said so.
        if let Some(length) = length.filter(|_| status != StatusCode::NO_CONTENT)
            && !self.headers.contains_key(CONTENT_LENGTH)
        {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = self.headers;
        Ok(response)
    }

    /// Announces a length without a body, for HEAD.
    #[must_use]
    pub(crate) fn length(self, len: u64) -> Self {
        self.with(CONTENT_LENGTH, &len.to_string())
    }

    pub(crate) fn checksum(&mut self, record: &ObjectRecord) {
        if let Some(checksum) = &record.checksum {
            self.set(CHECKSUM_TYPE, checksum.kind.as_str());
            self.set(CHECKSUM_VALUE, &checksum.value);
        }
    }

    pub(crate) fn version(&mut self, record: &ObjectRecord) {
        if let Some(version) = record.version {
            self.set(VERSION, &version.to_string());
        }
    }

    pub(crate) fn atime(&mut self, record: &ObjectRecord) {
        self.set(ATIME, &record.atime.to_string());
    }

    pub(crate) fn custom(&mut self, record: &ObjectRecord) {
        for (name, value) in &record.custom {
            self.set(CUSTOM, &format!("{name}={value}"));
        }
    }

    /// The headers that GET and PUT carry for an object.
    pub(crate) fn object(&mut self, record: &ObjectRecord) {
        self.content(record);
        self.atime(record);
    }

    /// What holds for an object's bytes wherever they are.
    pub(crate) fn content(&mut self, record: &ObjectRecord) {
        self.checksum(record);
        self.version(record);
        self.custom(record);
        if let Some(etag) = cloud::object::etag(record) {
            self.set(ETAG, etag);
        }
    }
}

/// What a redirect says beside its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Html {
    None,
    HeaderOnly,
    Body,
}
