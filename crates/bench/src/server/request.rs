//! Heads of requests.

use std::ops::Range;

/// Headers of one request; more than that is refused.
const MAX_HEADERS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Put,
    Post,
    Delete,
    Other,
}

/// What this server needs to know of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query as they came.
    pub(super) target: String,
    range: Option<String>,
    pub(super) if_match: Option<String>,
    /// Bytes of the body.
    pub(super) length: u64,
    pub(super) chunked: bool,
    pub(super) expects_continue: bool,
    pub(super) close: bool,
}

/// Which bytes a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    All,
    Part(Range<u64>),
    Unsatisfiable,
}

impl Request {
    /// Reads a head from the start of `buffer`. `Ok(None)`: it is not complete yet. Otherwise it comes with
    /// its length.
    pub(super) fn parse(buffer: &[u8]) -> Result<Option<(Self, usize)>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head_length) = head.parse(buffer)? else { return Ok(None) };
        let method = match head.method.unwrap_or_default() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        };
        let mut request = Self {
            method,
            target: head.path.unwrap_or_default().to_owned(),
            range: None,
            if_match: None,
            length: 0,
            chunked: false,
            expects_continue: false,
            close: head.version == Some(0),
        };
        for header in head.headers.iter() {
            request.take(header)?;
        }
        Ok(Some((request, head_length)))
    }

    fn take(&mut self, header: &httparse::Header<'_>) -> Result<(), httparse::Error> {
        let value = || std::str::from_utf8(header.value).map_err(|_| httparse::Error::HeaderValue);
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("range") {
            self.range = Some(value()?.to_owned());
        } else if is("if-match") {
            self.if_match = Some(value()?.to_owned());
        } else if is("content-length") {
            self.length = value()?.trim().parse().map_err(|_| httparse::Error::HeaderValue)?;
        } else if is("transfer-encoding") {
            self.chunked = true;
        } else if is("expect") {
            self.expects_continue = value()?.eq_ignore_ascii_case("100-continue");
        } else if is("connection") {
            self.close |= value()?.eq_ignore_ascii_case("close");
        }
        Ok(())
    }

    /// The path, without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The value of a parameter of the query, as it came; empty for one without a value.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// `BUCKET/KEY`, in whichever form it was asked for.
    pub(super) fn object(&self) -> &str {
        let path = self.path().trim_start_matches('/');
        path.strip_prefix("v1/objects/").unwrap_or(path)
    }

    /// Which bytes of an object of `size` bytes are asked for. A range in a form that is not understood, or
    /// more than one, is ignored, as servers may.
    pub(super) fn bytes(&self, size: u64) -> Bytes {
        let Some((first, last)) =
            self.range.as_deref().and_then(|r| r.strip_prefix("bytes=")).and_then(|r| r.split_once('-'))
        else {
            return Bytes::All;
        };
        let range = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => first..size.min(last.saturating_add(1)),
            (Ok(first), Err(_)) if last.is_empty() => first..size,
            (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
            _ => return Bytes::All,
        };
        if range.start < range.end { Bytes::Part(range) } else { Bytes::Unsatisfiable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> Request {
        Request::parse(head.as_bytes()).unwrap().expect("complete").0
    }

    #[test]
    fn heads_are_understood() {
        let head = "PUT /v1/objects/b/a/o?provider=ais&x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\
                    Expect: 100-Continue\r\nConnection: close\r\n\r\nhello";
        let (request, length) = Request::parse(head.as_bytes()).unwrap().unwrap();
        assert_eq!(&head[length..], "hello");
        assert_eq!((request.method, request.object(), request.length), (Method::Put, "b/a/o", 5));
        assert!(request.expects_continue && request.close && !request.chunked);
        assert_eq!(request.parameter("provider"), Some("ais"));
        assert_eq!(request.parameter("x"), Some(""));
        assert_eq!(request.parameter("y"), None);
        assert_eq!(parsed("GET /b/k HTTP/1.1\r\n\r\n").object(), "b/k");
        assert!(Request::parse(b"GET / HTTP/1.1\r\nHost").unwrap().is_none());
        assert!(Request::parse(b"not http at all\r\n\r\n").is_err());
        assert!(Request::parse(b"PUT / HTTP/1.1\r\nContent-Length: much\r\n\r\n").is_err());
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        let bytes = |range: &str| parsed(&format!("GET / HTTP/1.1\r\nRange: {range}\r\n\r\n")).bytes(100);
        assert_eq!(bytes("bytes=0-9"), Bytes::Part(0..10));
        assert_eq!(bytes("bytes=90-"), Bytes::Part(90..100));
        assert_eq!(bytes("bytes=90-1000"), Bytes::Part(90..100));
        assert_eq!(bytes("bytes=-10"), Bytes::Part(90..100));
        assert_eq!(bytes("bytes=-1000"), Bytes::Part(0..100));
        assert_eq!(bytes("bytes=100-"), Bytes::Unsatisfiable);
        assert_eq!(bytes("bytes=9-0"), Bytes::All);
        assert_eq!(bytes("lines=1-2"), Bytes::All);
    }
}
