//! Reading an object.

use std::{fmt, future::IntoFuture, ops::Range};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use longshore_blob_api::{ByteStream, GetResult};
use longshore_core_types::{ByteRange, Error, ErrorKind, ObjectKey, Result};
use longshore_transport::body;
use tokio::io::AsyncRead;

use super::{
    Object,
    options::{ArchiveFormat, ArchiveMode, ArchiveSelect, BlobRead, EtlCall, ObjectAt},
    props::ObjectProps,
    resume::{self, Pin},
};
use crate::{
    client::Client,
    verify::Verified,
    wire::object::{self as wire, GetParams},
};

/// An object, or a part of it, being read. Made by awaiting [`GetObject`].
///
/// Dropping it ends the transfer.
pub struct ObjectReader {
    key: ObjectKey,
    /// What the object is; of the whole of it, also when only a range was asked for. With an archive member
    /// or a transformation it says only the size of what is read, if that is known.
    props: ObjectProps,
    range: Option<Range<u64>>,
    body: ByteStream,
}

impl ObjectReader {
    /// What the cluster said about the object.
    #[doc(alias = "attributes")]
    pub fn props(&self) -> &ObjectProps {
        &self.props
    }

    /// Which bytes of the object the body holds; `None` if the length is not known in advance.
    pub fn range(&self) -> Option<Range<u64>> {
        self.range.clone()
    }

    /// Everything in memory. For objects that surely fit.
    #[doc(alias = "read_all")]
    pub async fn bytes(self) -> Result<Bytes> {
        self.into_result().bytes().await
    }

    /// The bytes as they arrive. A body that is incomplete or does not match the object's checksum ends in
    /// an error.
    #[doc(alias = "raw")]
    pub fn into_stream(self) -> ByteStream {
        self.body
    }

    /// The bytes as a reader.
    #[doc(alias = "as_file")]
    pub fn into_async_read(self) -> impl AsyncRead + Send + Unpin + use<> {
        self.into_result().into_async_read()
    }

    /// The neutral form of it.
    pub(crate) fn into_result(self) -> GetResult {
        let range = self.range.unwrap_or(0..self.props.size);
        GetResult::new(self.props.to_meta(self.key), range, self.body)
    }
}

impl fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectReader")
            .field("props", &self.props)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// Sends a GET. The body that it answers is verified where that is possible.
pub(crate) async fn get(
    client: &Client,
    at: &ObjectAt,
    params: &GetParams,
    verify: bool,
    resumes: u32,
) -> Result<ObjectReader> {
    let answer = client.call(wire::get(at, params)?).await?;
    let call = answer.call.clone();
    let head = wire::parse_get(&answer.parts, params.range.is_some()).map_err(|e| e.with_call(&call))?;
    if let (Some(asked), Some(got)) = (params.range, &head.range) {
        check_range(asked, got, head.props.size).map_err(|e| e.with_call(&call))?;
    }
    let length = head.range.as_ref().map(|range| range.end - range.start);
    // The stated checksum describes the whole object, whatever part of it is in the body.
    let whole = params.is_plain() && head.range.as_ref() == Some(&(0..head.props.size));
    let checksum = head.props.checksum.clone().filter(|_| whole && verify);
    let chunks = body::stream(answer.body, call.clone()).boxed();
    let chunks = match Pin::of(&head.props).filter(|_| params.is_plain() && resumes > 0) {
        Some(pin) => {
            let left = head.range.clone().unwrap_or_default();
            resume::resuming(client.clone(), at.clone(), params.clone(), chunks, pin, left, resumes)
        }
        None => chunks,
    };
    let body = Verified::new(chunks, length, checksum, call).boxed();
    Ok(ObjectReader { key: at.key().clone(), props: head.props.of(at), range: head.range, body })
}

/// Fails if the answer holds other bytes than those that were asked for. Fewer are no fault: what is missing at
/// the end can be asked for again.
fn check_range(asked: ByteRange, got: &Range<u64>, size: u64) -> Result<()> {
    let wanted = asked.resolve(size)?;
    if got.start == wanted.start && got.end <= wanted.end {
        return Ok(());
    }
    let message = format!("the server sent the bytes {got:?} of {size} when asked for {asked}");
    Err(Error::new(ErrorKind::Protocol, message))
}

/// A read of an object; see [`Object::get`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is awaited"]
pub struct GetObject {
    object: Object,
    params: GetParams,
    verify: bool,
    resumes: u32,
}

/// How often a body that breaks is taken up again unless told otherwise.
const RESUMES: u32 = 5;

impl GetObject {
    pub(crate) fn new(object: Object) -> Self {
        Self { object, params: GetParams::default(), verify: true, resumes: RESUMES }
    }

    /// Only these bytes. A range that reaches over the end is cut; one that starts behind it is
    /// `RangeNotSatisfiable`.
    pub fn range(mut self, range: impl Into<ByteRange>) -> Self {
        self.params.range = Some(range.into());
        self
    }

    /// Only this member of the archive that the object is.
    pub fn archpath(mut self, path: impl Into<String>) -> Self {
        self.params.archive = Some(ArchiveSelect::Member(path.into()));
        self
    }

    /// Only the members of the archive that match, as a TAR. `Unsupported` for ZIP.
    pub fn matching(mut self, mode: ArchiveMode, pattern: impl Into<String>) -> Self {
        self.params.archive = Some(ArchiveSelect::Matching { mode, pattern: pattern.into() });
        self
    }

    /// The format of the archive, where the object's name does not say it.
    pub fn archive_format(mut self, format: ArchiveFormat) -> Self {
        self.params.archive_format = Some(format);
        self
    }

    /// The object as this ETL transforms it.
    pub fn etl(mut self, etl: EtlCall) -> Self {
        self.params.etl = Some(etl);
        self
    }

    /// The version that the backend has now, which the cluster fetches if its own is older.
    pub fn latest(mut self, latest: bool) -> Self {
        self.params.latest = latest;
        self
    }

    /// Lets the cluster compare content and checksum before it sends anything.
    pub fn validate_checksum(mut self, validate: bool) -> Self {
        self.params.validate_checksum = validate;
        self
    }

    /// Reads a large remote object through the blob downloader.
    pub fn blob(mut self, blob: BlobRead) -> Self {
        self.params.blob = Some(blob);
        self
    }

    /// How often a body that breaks is taken up again behind its last byte; 5 times by default.
    ///
    /// What comes then must be of the same version, or where the bucket has no versions of the same checksum and size;
    /// else the read fails with `PreconditionFailed`. Members of archives and transformations say neither, so they are
    /// never taken up again.
    #[doc(alias = "max_resume")]
    pub fn resumes(mut self, times: u32) -> Self {
        self.resumes = times;
        self
    }

    /// Whether a body that is the whole object is compared with the object's checksum; on by default.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }
}

impl IntoFuture for GetObject {
    type Output = Result<ObjectReader>;
    type IntoFuture = BoxFuture<'static, Result<ObjectReader>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (client, at) = (self.object.client(), self.object.at());
            get(client, at, &self.params, self.verify, self.resumes).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;

    /// Of many who read an object that the cluster does not hold yet, some are turned away for a moment.
    #[tokio::test]
    async fn a_read_waits_for_the_backend() {
        let busy = || {
            let text = r#"{"tcode":"ErrBusy","message":"aws://b/o is currently busy, please try again"}"#;
            Reply::status(409).body(text)
        };
        let server =
            ScriptedService::replies([busy(), Reply::ok("data").header("content-length", "4"), busy()]);
        let wait = Duration::from_millis(1);
        let builder = Client::builder("http://gateway:1").service(server.clone());
        let client = builder.retry(RetryConfig::default().waits(wait, wait)).build().unwrap();
        let object = client.bucket("aws://b").unwrap().object("o").unwrap();
        assert_eq!(object.get().await.unwrap().bytes().await.unwrap(), "data");
        // Anything else that is busy is told at once.
        assert_eq!(object.put("data").await.unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(server.requests().len(), 3);
    }

    #[test]
    fn other_bytes_than_those_asked_for_are_refused() {
        let check = |asked: ByteRange, got: Range<u64>| check_range(asked, &got, 10);
        assert!(check(ByteRange::from(2..5), 2..5).is_ok());
        assert!(check(ByteRange::from(2..99), 2..10).is_ok());
        assert!(check(ByteRange::From(4), 4..7).is_ok());
        assert!(check(ByteRange::Suffix(3), 7..10).is_ok());
        assert!(check_range(ByteRange::Suffix(3), &(0..0), 0).is_ok());
        for (asked, got) in
            [(ByteRange::from(2..5), 3..5), (ByteRange::from(2..5), 2..6), (ByteRange::Suffix(3), 0..3)]
        {
            assert_eq!(check(asked, got).unwrap_err().kind(), ErrorKind::Protocol, "{asked}");
        }
    }
}
