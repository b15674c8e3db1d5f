//! `multipart/form-data`, read while it arrives.

use bytes::{Bytes, BytesMut};

use super::error::{Fail, Result};
use crate::http::ReqBody;

/// Longest head of a part.
const MAX_HEAD: usize = 16 << 10;
/// Longest value of a field; the rest is cut off.
const MAX_FIELD: usize = 1 << 20;

/// The head of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    pub(super) content_type: Option<String>,
}

/// A form on its way in.
#[derive(Debug)]
pub(super) struct Form<'b> {
    body: &'b mut ReqBody,
    buffer: BytesMut,
    /// What stands between parts: line break, two dashes, boundary.
    delimiter: Vec<u8>,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first delimiter.
    Start,
    /// In the bytes of a part.
    Part,
    /// Behind a delimiter.
    Between,
    End,
}

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let value = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    (!value.is_empty()).then_some(value)
}

fn broken() -> Fail {
    Fail::request("Unexpected end of form").close()
}

impl<'b> Form<'b> {
    pub(super) fn new(body: &'b mut ReqBody, boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter needs no line break before it.
        Self { body, buffer: BytesMut::from(&b"\r\n"[..]), delimiter, at: At::Start }
    }

    /// Reads more; false at the end of the request.
    async fn more(&mut self) -> Result<bool> {
        let Some(bytes) = self.body.next().await? else { return Ok(false) };
        self.buffer.extend_from_slice(&bytes);
        Ok(true)
    }

    /// The next part; what is left of the one before is skipped.
    pub(super) async fn next(&mut self) -> Result<Option<Head>> {
        loop {
            match self.at {
                At::End => return Ok(None),
                At::Between => break,
                At::Start => {
                    self.at = At::Part;
                    let mut empty = true;
                    while let Some(chunk) = self.piece().await? {
                        empty &= chunk.is_empty();
                    }
                    if self.at == At::End && empty {
                        return Ok(None);
                    }
                }
                At::Part => while self.chunk().await?.is_some() {},
            }
        }
        while self.buffer.len() < 2 {
            if !self.more().await? {
                return Err(broken());
            }
        }
        if self.buffer.starts_with(b"--") {
            self.at = At::End;
            self.body.discard().await?;
            return Ok(None);
        }
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > MAX_HEAD || !self.more().await? {
                return Err(broken());
            }
        };
        let head = self.buffer.split_to(end + 4);
        // The delimiter of a part without bytes follows its head at once.
        let rest = std::mem::take(&mut self.buffer);
        self.buffer.extend_from_slice(b"\r\n");
        self.buffer.extend_from_slice(&rest);
        let empty = self.buffer.starts_with(&self.delimiter);
        if !empty {
            self.buffer = rest;
        }
        self.at = At::Part;
        Ok(Some(parse_head(&String::from_utf8_lossy(&head))))
    }

    /// More of the part's bytes; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self.piece().await? {
            None if self.at == At::End => Err(broken()),
            piece => Ok(piece),
        }
    }

    /// As [`chunk`](Self::chunk); a request that ends early ends the form.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        if self.at != At::Part {
            return Ok(None);
        }
        loop {
            if let Some(end) = find(&self.buffer, &self.delimiter) {
                if end > 0 {
                    return Ok(Some(self.buffer.split_to(end).freeze()));
                }
                let _ = self.buffer.split_to(self.delimiter.len());
                self.at = At::Between;
                return Ok(None);
            }
            // What may be the start of a delimiter stays.
            let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if sure > 0 {
                return Ok(Some(self.buffer.split_to(sure).freeze()));
            }
            if !self.more().await? {
                self.at = At::End;
                return Ok(None);
            }
        }
    }

    /// The value of a field.
    pub(super) async fn field(&mut self) -> Result<String> {
        let mut value = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            let room = MAX_FIELD.saturating_sub(value.len()).min(bytes.len());
            value.extend_from_slice(&bytes[..room]);
        }
        Ok(String::from_utf8_lossy(&value).into_owned())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while haystack.len() >= from + needle.len() {
        let last = haystack.len() - needle.len() + 1;
        from += haystack[from..last].iter().position(|b| *b == first)?;
        if haystack[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
    None
}

fn parse_head(text: &str) -> Head {
    let mut head = Head::default();
    for line in text.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-type") {
            head.content_type = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("content-disposition") {
            head.name = parameter(value, "name").unwrap_or_default();
            head.filename = parameter(value, "filename").or_else(|| parameter(value, "filename*"));
        }
    }
    head
}

/// A parameter of a header, quoted or not.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (&quoted[..end], quoted[end + 1..].split_once(';').map(|(_, next)| next))
            }
            None => match after.split_once(';') {
                Some((value, next)) => (value.trim(), Some(next)),
                None => (after.trim(), None),
            },
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.to_owned());
        }
        rest = next?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let head = parse_head(
            "Content-Disposition: form-data; name=\"\"; filename=\"a;b.txt\"\r\nContent-Type: text/x\r\n",
        );
        assert_eq!(head.filename.as_deref(), Some("a;b.txt"));
        assert_eq!((head.name.as_str(), head.content_type.as_deref()), ("", Some("text/x")));
        assert_eq!(parse_head("Content-Disposition: form-data; name=file").name, "file");
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("multipart/form-data; charset=x; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("multipart/form-data"), None);
    }

    #[test]
    fn searching() {
        assert_eq!(find(b"aab--b", b"--b"), Some(3));
        assert_eq!(find(b"--", b"--b"), None);
        assert_eq!(find(b"", b"--b"), None);
    }
}
