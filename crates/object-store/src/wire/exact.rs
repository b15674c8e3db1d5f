//! Bodies that must have the length that was announced.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use longshore_blob_api::ByteStream;
use longshore_core_types::{CallInfo, Error, ErrorKind, Result, Retryability};

/// A body that fails if it ends before, or goes on behind, its length.
pub(crate) struct Exact {
    body: ByteStream,
    left: u64,
    call: CallInfo,
    ended: bool,
}

impl Exact {
    pub(crate) fn new(body: ByteStream, length: u64, call: CallInfo) -> Self {
        Self { body, left: length, call, ended: false }
    }

    fn fail(&mut self, message: &'static str) -> Poll<Option<Result<Bytes>>> {
        self.ended = true;
        let error = Error::new(ErrorKind::Protocol, message).with_call(&self.call);
        Poll::Ready(Some(Err(error.with_retryability(Retryability::IfIdempotent))))
    }
}

impl Stream for Exact {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(chunk))) => match self.left.checked_sub(chunk.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(chunk)))
                }
                None => self.fail("the body is longer than the answer says"),
            },
            Poll::Ready(None) if self.left > 0 => self.fail("the body ended before all bytes of it had come"),
            other => {
                self.ended = matches!(other, Poll::Ready(_));
                other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt, stream};
    use longshore_core_types::Idempotency;

    use super::*;

    async fn read(length: u64) -> Result<Vec<Bytes>> {
        let chunks = ["ab", "cd"].map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let call = CallInfo::new("s3.object.get", Idempotency::Idempotent);
        Exact::new(stream::iter(chunks).boxed(), length, call).try_collect().await
    }

    #[tokio::test]
    async fn lengths_are_kept() {
        assert_eq!(read(4).await.unwrap().concat(), b"abcd");
        assert!(read(5).await.unwrap_err().to_string().contains("ended before"));
        assert!(read(3).await.unwrap_err().to_string().contains("longer"));
    }
}
