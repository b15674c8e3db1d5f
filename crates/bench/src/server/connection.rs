//! One connection: requests in, answers out.

use std::io;
use std::sync::Arc;

use super::request::{Bytes, Method, Request};
use super::site::{Content, Object, Site};
use super::wire::Wire;
use super::{s3, shape::Pace};

/// Longest head of a request.
const MAX_HEAD: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    wire: Wire,
    site: Arc<Site>,
    /// Bytes received and not yet used: `input[..filled]`.
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    scratch: Vec<u8>,
}

impl Connection {
    pub(super) fn new(wire: Wire, site: Arc<Site>) -> Self {
        Self { wire, site, input: vec![0; MAX_HEAD], filled: 0, output: Vec::new(), scratch: Vec::new() }
    }

    /// Answers requests until the client closes or one of them says that it is the last.
    pub(super) async fn run(mut self) -> io::Result<()> {
        while let Some(request) = self.next().await? {
            self.answer(&request).await?;
            if request.close {
                break;
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> io::Result<Option<Request>> {
        loop {
            match Request::parse(&self.input[..self.filled]) {
                Ok(Some((request, length))) => {
                    self.input.copy_within(length..self.filled, 0);
                    self.filled -= length;
                    return Ok(Some(request));
                }
                Ok(None) if self.filled < self.input.len() => {}
                Ok(None) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
            match self.wire.read(&mut self.input[self.filled..]).await? {
                0 => return Ok(None),
                n => self.filled += n,
            }
        }
    }

    async fn answer(&mut self, request: &Request) -> io::Result<()> {
        if request.path() == "/-/stats" {
            let stats = serde_json::to_string(&self.site.stats())?;
            return self.text(request, "200 OK", &stats).await;
        }
        let ordinal = self.site.count.requests.add(1);
        let slow = self.site.shape.is_slow(ordinal);
        self.site.count.slowed.add(u64::from(slow));
        if !self.site.shape.latency.is_zero() {
            tokio::time::sleep(self.site.shape.latency).await;
        }
        match request.method {
            Method::Get | Method::Head => self.download(request, slow).await,
            Method::Put | Method::Post => self.upload(request, slow).await,
            Method::Delete => self.text(request, "204 No Content", "").await,
            Method::Other => self.refuse(request, "405 Method Not Allowed").await,
        }
    }

    async fn download(&mut self, request: &Request, slow: bool) -> io::Result<()> {
        let name = request.object().trim_end_matches('/');
        if !name.contains('/') && self.site.has_bucket(name) {
            let listing = self.site.listing(name)?;
            return self.text(request, "200 OK", &s3::list(name, &listing, request)).await;
        }
        let Ok(object) = self.site.object(name) else {
            // Tools ask whether an object is there before they upload it; that is no failure.
            let asked_only = request.method == Method::Head;
            let status = "404 Not Found";
            return if asked_only {
                self.text(request, status, "").await
            } else {
                self.refuse(request, status).await
            };
        };
        if request.if_match.as_ref().is_some_and(|etag| *etag != object.etag) {
            return self.refuse(request, "412 Precondition Failed").await;
        }
        let size = object.size;
        let (status, range) = match request.bytes(size) {
            Bytes::All => ("200 OK", 0..size),
            Bytes::Part(range) => ("206 Partial Content", range),
            Bytes::Unsatisfiable => return self.refuse(request, "416 Range Not Satisfiable").await,
        };
        self.head(status, range.end - range.start);
        header(&mut self.output, &["ETag: ", &object.etag, "\r\nLast-Modified: ", s3::MODIFIED]);
        header(&mut self.output, &["Accept-Ranges: bytes\r\nContent-Type: application/octet-stream"]);
        if status.starts_with("206") {
            let (first, last) = (range.start, range.end - 1);
            header(&mut self.output, &[&format!("Content-Range: bytes {first}-{last}/{size}")]);
        }
        self.output.extend_from_slice(b"\r\n");
        if request.method == Method::Head {
            return self.wire.write_all(&self.output).await;
        }
        let pace = self.site.shape.pace(slow);
        self.body(&object, range, pace).await
    }

    /// Sends the head in `output`, then the bytes.
    async fn body(
        &mut self,
        object: &Object,
        mut range: std::ops::Range<u64>,
        mut pace: Option<Pace>,
    ) -> io::Result<()> {
        let file = match &object.content {
            Content::Memory(bytes) => {
                let part =
                    usize::try_from(range.start).and_then(|s| usize::try_from(range.end).map(|e| s..e));
                let part = &bytes[part.map_err(io::Error::other)?];
                self.output.extend_from_slice(part);
                self.wire.write_all(&self.output).await?;
                self.site.count.sent.add(part.len() as u64);
                return Ok(());
            }
            Content::File(file) => file,
        };
        self.wire.write_all(&self.output).await?;
        while range.start < range.end {
            let left = range.end - range.start;
            let step = pace.as_ref().map_or(left, |pace| left.min(pace.step()));
            let sent = self.wire.send_file(file, range.start, step).await?;
            self.site.count.sent.add(sent);
            range.start += sent;
            if let Some(pace) = &mut pace {
                pace.wait(sent).await;
            }
        }
        Ok(())
    }

    async fn upload(&mut self, request: &Request, slow: bool) -> io::Result<()> {
        if request.chunked {
            self.refuse(request, "411 Length Required").await?;
            return Err(io::ErrorKind::Unsupported.into());
        }
        if request.expects_continue && self.filled == 0 {
            self.wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut pace = self.site.shape.pace(slow);
        let mut left = request.length;
        // What came along with the head.
        let early = self.filled.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.input.copy_within(early..self.filled, 0);
        self.filled -= early;
        self.site.count.received.add(early as u64);
        left -= early as u64;
        while left > 0 {
            let step = pace.as_ref().map_or(left, |pace| left.min(pace.step()));
            let received = self.wire.discard(step, &mut self.scratch).await?;
            self.site.count.received.add(received);
            left -= received;
            if let Some(pace) = &mut pace {
                pace.wait(received).await;
            }
        }
        match s3::multipart(request).filter(|_| request.method == Method::Post) {
            Some(answer) => self.text(request, "200 OK", &answer).await,
            None => self.text(request, "200 OK", "").await,
        }
    }

    async fn refuse(&mut self, request: &Request, status: &str) -> io::Result<()> {
        self.site.count.refused.add(1);
        self.text(request, status, "").await
    }

    async fn text(&mut self, request: &Request, status: &str, text: &str) -> io::Result<()> {
        self.head(status, text.len() as u64);
        header(&mut self.output, &["ETag: \"sink-1\"\r\nLast-Modified: ", s3::MODIFIED]);
        if text.starts_with('<') {
            header(&mut self.output, &["Content-Type: application/xml"]);
        }
        self.output.extend_from_slice(b"\r\n");
        if request.method != Method::Head {
            self.output.extend_from_slice(text.as_bytes());
        }
        self.wire.write_all(&self.output).await
    }

    /// Starts an answer in `output`.
    fn head(&mut self, status: &str, length: u64) {
        self.output.clear();
        header(&mut self.output, &["HTTP/1.1 ", status]);
        header(&mut self.output, &["Content-Length: ", &length.to_string()]);
        // Some clients of S3 do not work without it.
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        header(&mut self.output, &["Date: ", &now]);
    }
}

fn header(output: &mut Vec<u8>, words: &[&str]) {
    for word in words {
        output.extend_from_slice(word.as_bytes());
    }
    output.extend_from_slice(b"\r\n");
}
