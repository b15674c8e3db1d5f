//! The outcome of a read.

use futures_util::StreamExt;
use http::{StatusCode, response::Parts};
use longshore_blob_api::{GetOptions, GetResult};
use longshore_core_types::{Error, ErrorKind, ObjectKey, ObjectMeta, Result};
use longshore_transport::body;

use super::{
    answer::{content_range, length},
    client::Answer,
    exact::Exact,
};

/// The length that an answer states of its object.
pub(crate) fn stated_length(answer: &Answer) -> Result<u64> {
    length(&answer.parts).ok_or_else(|| {
        let message = "the server does not state the length of the object";
        Error::new(ErrorKind::Protocol, message).with_call(&answer.call)
    })
}

/// What was asked for, or an error if the answer is something else.
pub(crate) fn result(
    answer: Answer,
    key: &ObjectKey,
    opts: &GetOptions,
    describe: fn(&Parts, &ObjectKey, u64) -> ObjectMeta,
) -> Result<GetResult> {
    let call = answer.call.clone();
    let protocol = |message: String| Error::new(ErrorKind::Protocol, message).with_call(&call);
    let (range, size) = match (opts.range, answer.parts.status) {
        (Some(asked), StatusCode::PARTIAL_CONTENT) => {
            let found = content_range(&answer.parts);
            let Some((range, size)) = found.and_then(|found| Some((found.range?, found.total?))) else {
                return Err(protocol("the server sent a part, and does not say which".into()));
            };
            let expected = asked.resolve(size).map_err(|error| error.with_call(&call))?;
            if range != expected {
                let message = format!("the server sent the bytes {range:?} instead of {expected:?}");
                return Err(protocol(message));
            }
            (range, size)
        }
        (None, StatusCode::OK) => {
            let Some(size) = length(&answer.parts) else {
                return Err(protocol("the server does not state the length of the object".into()));
            };
            (0..size, size)
        }
        (asked, status) => {
            let what = if asked.is_some() { "a part" } else { "the object" };
            return Err(protocol(format!("{what} was asked for, and the answer has status {status}")));
        }
    };
    let meta = describe(&answer.parts, key, size);
    if let Some(pin) = opts.pin.as_ref().filter(|pin| !pin.matches(&meta)) {
        let message = format!("the object has {size} bytes by now, not {}", pin.size);
        return Err(Error::new(ErrorKind::PreconditionFailed, message).with_call(&call));
    }
    let body = body::stream(answer.body, call.clone()).boxed();
    let body = Exact::new(body, range.end - range.start, call);
    Ok(GetResult::new(meta, range, body.boxed()))
}
