//! Answers that describe themselves: two parts, the description and the archive.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, header};
use longshore_blob_api::ByteStream;
use longshore_core_types::{Error, ErrorKind, Result};

use crate::wire::{
    batch::{Described, parse_description},
    headers,
};

/// Longest description that is read.
const LIMIT: usize = 256 << 20;

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("the answer is not a description and an archive: {what}"))
}

/// What separates the parts, by the type of the answer.
fn boundary(headers: &HeaderMap) -> Result<String> {
    let kind = headers::text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    let fits = kind.starts_with("multipart/");
    let boundary = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        (name.eq_ignore_ascii_case("boundary")).then(|| value.trim_matches('"').to_owned())
    });
    let boundary = boundary.filter(|boundary| fits && !boundary.is_empty());
    boundary.ok_or_else(|| malformed(&format!("its type is {kind:?}")))
}

/// The description, and the bytes of the archive, which end in an error unless the answer is complete.
pub(super) async fn split(headers: &HeaderMap, body: ByteStream) -> Result<(Vec<Described>, ByteStream)> {
    let boundary = boundary(headers)?;
    let mut reader = Reader { body, buffer: BytesMut::new() };
    reader.until(&format!("--{boundary}\r\n")).await?;
    reader.part_head("metadata").await?;
    let description = reader.until(&format!("\r\n--{boundary}\r\n")).await?;
    let description = parse_description(&description)?;
    reader.part_head("archive").await?;
    Ok((description, reader.rest(format!("\r\n--{boundary}--"))))
}

struct Reader {
    body: ByteStream,
    buffer: BytesMut,
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

impl Reader {
    /// What stands in front of a mark, which is dropped.
    async fn until(&mut self, mark: &str) -> Result<Bytes> {
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.buffer[searched..], mark.as_bytes()) {
                let part = self.buffer.split_to(searched + at).freeze();
                drop(self.buffer.split_to(mark.len()));
                return Ok(part);
            }
            searched = self.buffer.len().saturating_sub(mark.len() - 1);
            if self.buffer.len() > LIMIT {
                return Err(malformed("the description does not end"));
            }
            match self.body.try_next().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Err(malformed("it ends early")),
            }
        }
    }

    async fn part_head(&mut self, name: &str) -> Result<()> {
        let head = self.until("\r\n\r\n").await?;
        if find(&head, format!("name=\"{name}\"").as_bytes()).is_none() {
            return Err(malformed(&format!("a part is not the {name}")));
        }
        Ok(())
    }

    /// Everything up to the mark that ends the answer.
    fn rest(self, end: String) -> ByteStream {
        // So many bytes are held back: they may be the beginning of the end.
        let held = end.len() + "\r\n".len();
        let state = (Some(self.body), self.buffer, end);
        stream::try_unfold(state, move |(body, mut buffer, end)| async move {
            let Some(mut body) = body else { return Ok(None) };
            while buffer.len() <= held {
                if let Some(chunk) = body.try_next().await? {
                    buffer.extend_from_slice(&chunk);
                    continue;
                }
                let Some(at) = find(&buffer, end.as_bytes()) else {
                    return Err(malformed("the archive is not followed by an end"));
                };
                return Ok(Some((buffer.split_to(at).freeze(), (None, buffer, end))));
            }
            let ready = buffer.len() - held;
            Ok(Some((buffer.split_to(ready).freeze(), (Some(body), buffer, end))))
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "multipart/mixed; boundary=\"xyz\"".parse().unwrap());
        headers
    }

    fn body(text: &str, chunk: usize) -> ByteStream {
        let chunks: Vec<_> = text.as_bytes().chunks(chunk).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        stream::iter(chunks).boxed()
    }

    const GOOD: &str = "--xyz\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n\
        {\"uuid\":\"u\",\"out\":[{\"size\":3},{\"size\":0,\"err_msg\":\"gone\"}]}\r\n--xyz\r\n\
        Content-Disposition: form-data; name=\"archive\"\r\nContent-Type: x\r\n\r\n\
        archive\r\n--xy and more\r\n--xyz--\r\n";

    #[tokio::test]
    async fn both_parts_whatever_the_chunks() {
        for chunk in [1, 2, 7, 64, 1000] {
            let (described, archive) = split(&headers(), body(GOOD, chunk)).await.unwrap();
            assert_eq!((described[0].size, described[1].err_msg.as_str()), (3, "gone"));
            let chunks: Vec<Bytes> = archive.try_collect().await.unwrap();
            assert_eq!(chunks.concat(), b"archive\r\n--xy and more");
        }
    }

    #[tokio::test]
    async fn answers_that_are_cut_or_are_something_else() {
        let cut = &GOOD[..GOOD.len() - 6];
        let (_, archive) = split(&headers(), body(cut, 10)).await.unwrap();
        assert!(archive.try_collect::<Vec<Bytes>>().await.is_err());
        assert!(split(&headers(), body(&GOOD[..60], 10)).await.is_err());
        assert!(split(&HeaderMap::new(), body(GOOD, 10)).await.is_err());
        assert!(split(&headers(), body(&GOOD.replace("metadata", "other"), 10)).await.is_err());
    }
}
