//! Appending to an object, in a session that ends with a flush.

use http::{Method, response::Parts};
use longshore_core_types::{Checksum, Idempotency, Payload, Result};

use super::{Request, headers, object::on_object};
use crate::{names::invalid, object::options::ObjectAt};

/// Handles are opaque, but the server panics or answers nonsense on some that are none.
pub(crate) fn check(handle: &str) -> Result<()> {
    if handle.split('|').count() == 4 && !handle.starts_with('|') {
        return Ok(());
    }
    Err(invalid("the append handle was not made by a cluster"))
}

/// Appends bytes; without a handle to the object's end, or to nothing. The bytes may be in the work file when
/// the answer is lost, so an append is never repeated.
pub(crate) fn append(at: &ObjectAt, handle: Option<&str>, body: Payload) -> Result<Request> {
    if let Some(handle) = handle {
        check(handle)?;
    }
    Ok(on_object(Method::PUT, at, "aistore.object.append", Idempotency::Never)
        .query("append_type", "append")
        .query("append_handle", handle.unwrap_or_default())
        .body(body))
}

/// Makes the object of what was appended. The checksum, if given, is that of all of it.
pub(crate) fn flush(at: &ObjectAt, handle: &str, checksum: Option<&Checksum>) -> Result<Request> {
    check(handle)?;
    // A second flush of the same handle changes nothing.
    let request = on_object(Method::PUT, at, "aistore.object.flush", Idempotency::Idempotent)
        .query("append_type", "flush")
        .query("append_handle", handle);
    match checksum {
        Some(checksum) => request
            .header(headers::CHECKSUM_TYPE, headers::checksum_name(checksum.kind()))?
            .header(headers::CHECKSUM_VALUE, checksum.to_hex()),
        None => Ok(request),
    }
}

/// The handle that the next append must carry; an older one breaks the object's checksum.
pub(crate) fn parse_handle(parts: &Parts) -> Option<String> {
    headers::text(&parts.headers, &headers::APPEND_HANDLE)
}

#[cfg(test)]
mod tests {
    use longshore_core_types::ObjectKey;

    use super::*;

    #[test]
    fn handles_are_checked() {
        let at = ObjectAt::new("b".parse().unwrap(), ObjectKey::new("o").unwrap()).unwrap();
        for bad in ["", "garbage", "a|b|c", "a|b|c|d|e", "|b|c|d"] {
            assert!(append(&at, Some(bad), "x".into()).is_err(), "{bad}");
            assert!(flush(&at, bad, None).is_err(), "{bad}");
        }
        let request = append(&at, Some("t|/p/%wk|xxhash2|AA=="), "x".into()).unwrap();
        assert!(request.query.as_str().ends_with("append_handle=t%7C%2Fp%2F%25wk%7Cxxhash2%7CAA%3D%3D"));
        assert!(append(&at, None, "x".into()).unwrap().query.as_str().ends_with("append_handle="));
    }
}
