//! Reading an object.

use std::{fmt, future::IntoFuture, ops::Range};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_blob_api::{ByteStream, GetResult};
use longshore_core_types::{ByteRange, CallInfo, Error, ErrorKind, ObjectMeta, Result};
use longshore_transport::body;

use crate::{
    client::Client,
    model::FileInfo,
    transform::Transform,
    wire::object::{self as wire, Access, At, GetParams},
};

/// An object, or a part of it, being read. Made by awaiting [`Download`].
///
/// Dropping it ends the transfer.
pub struct FileReader(GetResult);

impl FileReader {
    /// What the answer says about the object: size, entity tag, content type. The user's metadata is told by
    /// [`info`](crate::Bucket::info) only. Of a transformed image it is what arrives.
    pub fn meta(&self) -> &ObjectMeta {
        &self.0.meta
    }

    /// Which bytes of the object the body holds.
    pub fn range(&self) -> Range<u64> {
        self.0.range.clone()
    }

    /// Everything in memory. For objects that surely fit.
    pub async fn bytes(self) -> Result<Bytes> {
        self.0.bytes().await
    }

    /// The bytes as they arrive. A body that is incomplete ends in an error.
    #[doc(alias = "asStream")]
    pub fn into_stream(self) -> ByteStream {
        self.0.into_stream()
    }

    /// The bytes as a reader.
    pub fn into_async_read(self) -> impl tokio::io::AsyncRead + Send + Unpin + use<> {
        self.0.into_async_read()
    }
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader").field("meta", &self.0.meta).field("range", &self.0.range).finish()
    }
}

/// Sends a GET and makes sure that the answer is what was asked for.
pub(crate) async fn get(client: &Client, at: &At, access: Access, params: &GetParams) -> Result<GetResult> {
    let answer = match client.call(wire::get(at, access, params)?).await {
        // Some backing stores fail over a range behind the end.
        Err(error) if error.kind() == ErrorKind::Unavailable && params.range.is_some() => {
            return Err(out_of_range(client, at, access, params.range, error).await);
        }
        answer => answer?,
    };
    let call = answer.call.clone();
    let mut head = wire::parse_get(&at.key, &answer.parts).map_err(|error| error.with_call(&call))?;
    let range = match head.range {
        Some(range) => range,
        // Only the service knows how long a body is whose length a proxy left out.
        None if params.transform.is_none() => {
            let info: FileInfo =
                client.call(wire::info(at, access)?).await?.json("the description of an object").await?;
            head.meta.size = info.size.unwrap_or_default();
            0..head.meta.size
        }
        None => {
            let body = body::stream(answer.body, call).boxed();
            return Ok(GetResult::new(head.meta, 0..0, body));
        }
    };
    if let Some(asked) = params.range {
        check_range(asked, &range, head.meta.size).map_err(|error| error.with_call(&call))?;
    }
    let body = whole(body::stream(answer.body, call.clone()).boxed(), range.end - range.start, call);
    Ok(GetResult::new(head.meta, range, body))
}

/// The error of a ranged read that the server failed over, if the range is the reason.
async fn out_of_range(
    client: &Client,
    at: &At,
    access: Access,
    range: Option<ByteRange>,
    error: Error,
) -> Error {
    let info: Result<FileInfo> =
        async { client.call(wire::info(at, access)?).await?.json("the description of an object").await }
            .await;
    match (info, range) {
        (Ok(FileInfo { size: Some(size), .. }), Some(range)) => match range.resolve(size) {
            Err(outside) => outside.with_operation(error.operation()).with_source(error),
            Ok(_) => error,
        },
        _ => error,
    }
}

/// Fails if the answer holds other bytes than those that were asked for. Fewer are no fault.
fn check_range(asked: ByteRange, got: &Range<u64>, size: u64) -> Result<()> {
    let wanted = asked.resolve(size)?;
    if got.start == wanted.start && got.end <= wanted.end {
        return Ok(());
    }
    let message = format!("the server sent the bytes {got:?} of {size} when asked for {asked}");
    Err(Error::new(ErrorKind::Protocol, message))
}

/// A body that ends in an error unless it has the length that was stated.
fn whole(body: ByteStream, length: u64, call: CallInfo) -> ByteStream {
    let state = (body, length, call);
    stream::try_unfold(state, |(mut body, left, call)| async move {
        match body.try_next().await? {
            Some(chunk) => match left.checked_sub(chunk.len() as u64) {
                Some(left) => Ok(Some((chunk, (body, left, call)))),
                None => Err(wrong_length("more", &call)),
            },
            None if left > 0 => Err(wrong_length("fewer", &call)),
            None => Ok(None),
        }
    })
    .boxed()
}

fn wrong_length(how: &str, call: &CallInfo) -> Error {
    Error::new(ErrorKind::Transport, format!("{how} bytes arrived than were announced")).with_call(call)
}

/// A read of an object; see [`Bucket::download`](crate::Bucket::download).
#[derive(Debug)]
#[must_use = "nothing is read until it is awaited"]
pub struct Download {
    client: Client,
    at: Result<At>,
    access: Access,
    params: GetParams,
}

impl Download {
    pub(crate) fn new(client: &Client, at: Result<At>, access: Access) -> Self {
        Self { client: client.clone(), at, access, params: GetParams::default() }
    }

    /// By which route it is read; [`Access::Authenticated`] where the client has credentials.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Only these bytes. A range that reaches over the end is cut; one that starts behind it is
    /// `RangeNotSatisfiable`.
    pub fn range(mut self, range: impl Into<ByteRange>) -> Self {
        self.params.range = Some(range.into());
        self
    }

    /// `NotModified` if the entity tag is still this one, quotes included.
    pub fn if_none_match(mut self, etag: impl Into<String>) -> Self {
        self.params.if_none_match = Some(etag.into());
        self
    }

    /// As an image that is resized on the way. `Unsupported` where the service does not transform images.
    pub fn transform(mut self, transform: Transform) -> Self {
        self.params.transform = (!transform.is_empty()).then_some(transform);
        self
    }

    /// A further parameter of the URL, such as one that makes caches take it for another object.
    #[doc(alias = "cacheNonce")]
    #[doc(alias = "query_params")]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.query.push((name.into(), value.into()));
        self
    }
}

impl IntoFuture for Download {
    type Output = Result<FileReader>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(
            async move { Ok(FileReader(get(&self.client, &self.at?, self.access, &self.params).await?)) },
        )
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::Idempotency;

    use super::*;

    async fn read(chunks: &'static [&'static str], length: u64) -> Result<Vec<u8>> {
        let chunks = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())));
        let call = CallInfo::new("supabase.test", Idempotency::Idempotent);
        let chunks: Vec<Bytes> = whole(stream::iter(chunks).boxed(), length, call).try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_body_of_another_length_is_an_error() {
        assert_eq!(read(&["ab", "c"], 3).await.unwrap(), b"abc");
        assert!(read(&["ab", "c"], 2).await.unwrap_err().to_string().contains("more"));
        assert!(read(&["ab", "c"], 4).await.unwrap_err().to_string().contains("fewer"));
    }

    #[test]
    fn other_bytes_than_asked_for() {
        assert!(check_range((2..5).into(), &(2..5), 10).is_ok());
        assert!(check_range((2..50).into(), &(2..10), 10).is_ok());
        assert!(check_range((2..5).into(), &(0..10), 10).is_err());
    }
}
