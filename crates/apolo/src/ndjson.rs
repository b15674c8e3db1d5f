//! Lists: one JSON document a line, or an array.

use bytes::BytesMut;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use longshore_core_types::{CallInfo, Error, ErrorKind, Result};
use longshore_transport::body;
use serde::de::DeserializeOwned;

use crate::{client::Answer, error};

/// Longest line: a bucket has a few hundred bytes, credentials of many buckets some more.
const LINE: usize = 4 << 20;

struct Lines {
    body: BoxStream<'static, Result<bytes::Bytes>>,
    buffer: BytesMut,
    call: CallInfo,
    ended: bool,
}

impl Lines {
    /// The next line that is not empty; the last one may lack its end.
    async fn next(&mut self) -> Option<Result<BytesMut>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some(Ok(line));
            }
            if self.ended {
                let rest = self.buffer.split();
                return (!rest.trim_ascii().is_empty()).then_some(Ok(rest));
            }
            match self.body.next().await {
                Some(Ok(chunk)) if self.buffer.len() + chunk.len() > LINE => {
                    self.stop();
                    let message = format!("a line of the list is longer than {LINE} bytes");
                    return Some(Err(Error::new(ErrorKind::Protocol, message).with_call(&self.call)));
                }
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => {
                    self.stop();
                    return Some(Err(error));
                }
                None => self.ended = true,
            }
        }
    }

    fn stop(&mut self) {
        self.ended = true;
        self.buffer.clear();
    }
}

fn parse<T: DeserializeOwned>(line: &[u8], call: &CallInfo) -> Result<T> {
    if let Some(error) = error::from_line(line) {
        return Err(error.with_call(call));
    }
    serde_json::from_slice(line).map_err(|error| {
        Error::new(ErrorKind::Protocol, "a line of the list is not what was asked for")
            .with_response_excerpt(line)
            .with_source(error)
            .with_call(call)
    })
}

/// The items of a list. After an error the stream ends.
pub(crate) async fn items<T>(answer: Answer) -> Result<BoxStream<'static, Result<T>>>
where
    T: DeserializeOwned + Send + 'static,
{
    let kind = answer.parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-ndjson") {
        let all: Vec<T> = answer.json("a list").await?;
        return Ok(stream::iter(all).map(Ok).boxed());
    }
    let call = answer.call.clone();
    let body = body::stream(answer.body, call.clone()).boxed();
    let lines = Lines { body, buffer: BytesMut::new(), call, ended: false };
    let items = stream::unfold(Some(lines), |state| async move {
        let mut lines = state?;
        match lines.next().await? {
            Err(error) => Some((Err(error), None)),
            Ok(line) => match parse(&line, &lines.call) {
                Ok(item) => Some((Ok(item), Some(lines))),
                Err(error) => Some((Err(error), None)),
            },
        }
    });
    Ok(items.boxed())
}
