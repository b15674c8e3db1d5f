//! Bodies of uploads: as they are, or in signed or unsigned chunks.

use bytes::{Bytes, BytesMut};

use super::signature::{Chunks, mismatch};
use crate::http::ReqBody;
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::store::Receiver;

/// Longest chunk, and longest line before one.
const MAX_CHUNK: usize = 8 << 20;
const MAX_LINE: usize = 256;

fn broken() -> Fail {
    Fail::request("Malformed aws-chunked body").close()
}

/// The length of the object's bytes, if the request tells it.
pub(super) fn length(cx: &Cx) -> Option<u64> {
    match cx.header("x-amz-decoded-content-length") {
        Some(length) => length.parse().ok(),
        None => cx.body.known_len(),
    }
}

/// Takes the bytes that a request carries.
pub(super) async fn take(cx: &mut Cx, chunks: Chunks, to: &mut Receiver) -> Result<()> {
    let kind = cx.text("x-amz-content-sha256").unwrap_or_default();
    if !kind.starts_with("STREAMING-") {
        return to.take(&mut cx.body).await;
    }
    let signed = kind.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD").then_some(chunks);
    Decoder { body: &mut cx.body, buffer: BytesMut::new() }.run(signed, to).await
}

struct Decoder<'b> {
    body: &'b mut ReqBody,
    buffer: BytesMut,
}

impl Decoder<'_> {
    async fn more(&mut self) -> Result<()> {
        let bytes = self.body.next().await?.ok_or_else(broken)?;
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = self.buffer.split_to(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.buffer.len() > MAX_LINE {
                return Err(broken());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, len: usize) -> Result<Bytes> {
        while self.buffer.len() < len {
            self.more().await?;
        }
        Ok(self.buffer.split_to(len).freeze())
    }

    async fn run(mut self, mut signed: Option<Chunks>, to: &mut Receiver) -> Result<()> {
        loop {
            let line = self.line().await?;
            let (size, extension) = line.split_once(';').unwrap_or((&line, ""));
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| broken())?;
            if size > MAX_CHUNK {
                return Err(broken());
            }
            let bytes = self.exactly(size).await?;
            if let Some(chunks) = &mut signed {
                let signature =
                    extension.strip_prefix("chunk-signature=").ok_or_else(mismatch).map_err(Fail::close)?;
                chunks.check(&bytes, signature).map_err(Fail::close)?;
            }
            if size == 0 {
                break;
            }
            if self.exactly(2).await?[..] != b"\r\n"[..] {
                return Err(broken());
            }
            to.write(&bytes)?;
        }
        // Trailers are read and not checked, as in the original.
        self.body.discard().await?;
        Ok(())
    }
}
