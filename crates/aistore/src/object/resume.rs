//! Bodies that are taken up again behind their last byte.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_blob_api::ByteStream;
use longshore_core_types::{ByteRange, CallInfo, Checksum, Error, ErrorKind, Idempotency, Result};
use longshore_transport::body;

use super::{options::ObjectAt, props::ObjectProps};
use crate::{
    client::Client,
    wire::object::{self as wire, GetParams},
};

/// By what two answers are known to be of one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    size: u64,
    version: Option<String>,
    /// Where there are no versions: a bucket may be set up to state the checksum of what was asked for.
    checksum: Option<Checksum>,
}

impl Pin {
    /// `None` if the answer says nothing to tell contents apart by.
    pub(super) fn of(props: &ObjectProps) -> Option<Self> {
        let version = props.version.clone();
        let checksum = props.checksum.clone().filter(|_| version.is_none());
        let pin = Self { size: props.size, version, checksum };
        (pin.version.is_some() || pin.checksum.is_some()).then_some(pin)
    }
}

struct State {
    client: Client,
    at: ObjectAt,
    params: GetParams,
    pin: Pin,
    body: ByteStream,
    /// What has not arrived yet.
    left: Range<u64>,
    resumes: u32,
}

/// The body of an answer that holds the bytes `left`, asked for again behind its last byte when it breaks.
pub(super) fn resuming(
    client: Client,
    at: ObjectAt,
    params: GetParams,
    body: ByteStream,
    pin: Pin,
    left: Range<u64>,
    resumes: u32,
) -> ByteStream {
    let state = State { client, at, params, pin, body, left, resumes };
    stream::try_unfold(state, |mut state| async move {
        let chunk = state.next().await?;
        Ok(chunk.map(|chunk| (chunk, state)))
    })
    .boxed()
}

impl State {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let error = match self.body.try_next().await {
                Ok(Some(chunk)) => {
                    self.left.start += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                // What follows too many or too few bytes is the business of whoever compares lengths.
                Ok(None) if self.left.start >= self.left.end => return Ok(None),
                Ok(None) => {
                    let message = format!("the body ended {} bytes early", self.left.end - self.left.start);
                    Error::new(ErrorKind::Transport, message).with_call(&self.call())
                }
                Err(error) => error,
            };
            if self.resumes == 0
                || self.left.start >= self.left.end
                || !error.retryability().allows(Idempotency::Idempotent)
            {
                return Err(error);
            }
            self.resumes -= 1;
            tracing::debug!(object = %self.at.uname(), from = self.left.start, %error, "the body is taken up again");
            // What broke the body says more than that it could not be taken up.
            if let Err(again) = self.open().await {
                let changed = again.kind() == ErrorKind::PreconditionFailed;
                return Err(if changed { again } else { error.with_related(again) });
            }
        }
    }

    fn call(&self) -> CallInfo {
        CallInfo::new("aistore.object.get", Idempotency::Idempotent)
            .on(self.at.bucket().object_resource(self.at.key()))
    }

    async fn open(&mut self) -> Result<()> {
        let range = ByteRange::from(self.left.clone());
        let params = GetParams { range: Some(range), ..self.params.clone() };
        let answer = self.client.call(wire::get(&self.at, &params)?).await?;
        let call = answer.call.clone();
        let head = wire::parse_get(&answer.parts, true).map_err(|error| error.with_call(&call))?;
        if Pin::of(&head.props).as_ref() != Some(&self.pin) {
            let message = "the object was replaced while it was read";
            return Err(Error::new(ErrorKind::PreconditionFailed, message).with_call(&call));
        }
        if head.range.as_ref() != Some(&self.left) {
            let message = format!("the answer holds the bytes {:?}, not {:?}", head.range, self.left);
            return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
        }
        self.body = body::stream(answer.body, call).boxed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;

    /// A body of ten bytes that breaks twice, then this.
    async fn read(last: Reply, resumes: u32) -> (Result<Bytes>, Vec<Option<String>>) {
        let head = |reply: Reply| reply.header("ais-version", "3");
        let first = head(Reply::ok("").broken_body(["01", "23"])).header("content-length", "10");
        let second = head(Reply::status(206).broken_body(["4"]))
            .header("content-range", "bytes 4-9/10")
            .header("content-length", "6");
        let server = ScriptedService::replies([first, second, last]);
        let client = Client::builder("http://gateway:1")
            .service(server.clone())
            .retry(RetryConfig::off())
            .build()
            .unwrap();
        let object = client.bucket("b").unwrap().object("o").unwrap();
        let read = object.get().resumes(resumes).await.unwrap().bytes().await;
        let ranges = server.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
        (read, ranges)
    }

    fn rest(version: &str) -> Reply {
        Reply::status(206)
            .body("56789")
            .header("ais-version", version)
            .header("content-range", "bytes 5-9/10")
            .header("content-length", "5")
    }

    #[tokio::test]
    async fn a_body_goes_on_behind_its_last_byte() {
        let (read, ranges) = read(rest("3"), 2).await;
        assert_eq!(read.unwrap(), "0123456789");
        assert_eq!(ranges, [None, Some("bytes=4-9".into()), Some("bytes=5-9".into())]);
    }

    /// Buckets with `enable_read_range` state the checksum of the range.
    #[tokio::test]
    async fn a_version_counts_before_a_checksum() {
        let rest = rest("3").header("ais-checksum-type", "crc32c").header("ais-checksum-value", "01020304");
        let (read, _) = read(rest, 2).await;
        assert_eq!(read.unwrap(), "0123456789");
    }

    #[tokio::test]
    async fn another_version_is_noticed() {
        let (read, _) = read(rest("4"), 2).await;
        assert_eq!(read.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    }

    #[tokio::test]
    async fn it_is_taken_up_no_more_often_than_allowed() {
        for resumes in [0, 1] {
            let (outcome, ranges) = read(rest("3"), resumes).await;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Transport);
            assert_eq!(ranges.len(), resumes as usize + 1);
        }
    }
}
