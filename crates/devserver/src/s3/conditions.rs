//! Conditional requests.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::meta::{etag_text, time};
use crate::storage::ObjectRecord;

/// Conditions of a read: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<Timestamp>,
    pub(super) unmodified_since: Option<Timestamp>,
}

fn failed(condition: &str) -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold: {condition}"
    )
}

fn matches(condition: &ETagCondition, record: &ObjectRecord) -> bool {
    condition.as_etag().is_none_or(|tag| tag.value() == etag_text(record))
}

/// When the object changed, in the whole seconds that headers have.
fn changed(record: &ObjectRecord) -> Timestamp {
    const SECOND: i64 = 1_000_000_000;
    time(record.mtime / SECOND * SECOND)
}

impl Conditions {
    /// In the order of RFC 9110, 13.2.2.
    pub(super) fn check(&self, record: &ObjectRecord) -> S3Result<()> {
        let changed = changed(record);
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !matches(condition, record) => return Err(failed("If-Match")),
            (None, Some(time)) if changed > *time => return Err(failed("If-Unmodified-Since")),
            _ => {}
        }
        let unchanged = match (&self.none_match, &self.modified_since) {
            (Some(condition), _) => matches(condition, record),
            (None, Some(time)) => changed <= *time,
            (None, None) => false,
        };
        if unchanged { Err(s3_error!(NotModified, "Not Modified")) } else { Ok(()) }
    }

    /// The same for the source of a copy, where 304 has no place.
    pub(super) fn check_source(&self, record: &ObjectRecord) -> S3Result<()> {
        self.check(record).map_err(|e| match e.code() {
            s3s::S3ErrorCode::NotModified => failed("x-amz-copy-source-If-None-Match"),
            _ => e,
        })
    }
}

/// Conditions of a write, judged inside its transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    pub(super) fn check(&self, old: Option<&ObjectRecord>) -> S3Result<()> {
        if let Some(condition) = &self.if_match {
            let old = old.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))?;
            if !matches(condition, old) {
                return Err(failed("If-Match"));
            }
        }
        match (&self.if_none_match, old) {
            (Some(condition), Some(old)) if matches(condition, old) => Err(failed("If-None-Match")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use s3s::dto::ETag;

    use super::*;

    fn record() -> ObjectRecord {
        ObjectRecord {
            size: 1,
            checksum: None,
            version: None,
            atime: 0,
            mtime: 10_500_000_000,
            custom: vec![(":etag".into(), "t".into())],
            pieces: Vec::new(),
            chunked: false,
        }
    }

    fn tag(text: &str) -> ETagCondition {
        ETagCondition::ETag(ETag::Strong(text.into()))
    }

    fn code(result: S3Result<()>) -> String {
        result.map_or_else(|e| e.code().as_str().to_owned(), |()| "ok".to_owned())
    }

    #[test]
    fn reads() {
        let check = |c: Conditions| code(c.check(&record()));
        assert_eq!(check(Conditions { matches: Some(tag("t")), ..Conditions::default() }), "ok");
        assert_eq!(
            check(Conditions { matches: Some(tag("x")), ..Conditions::default() }),
            "PreconditionFailed"
        );
        assert_eq!(check(Conditions { none_match: Some(tag("t")), ..Conditions::default() }), "NotModified");
        let at = |seconds: i64| Some(time(seconds * 1_000_000_000));
        assert_eq!(check(Conditions { modified_since: at(10), ..Conditions::default() }), "NotModified");
        assert_eq!(check(Conditions { modified_since: at(9), ..Conditions::default() }), "ok");
        assert_eq!(
            check(Conditions { unmodified_since: at(9), ..Conditions::default() }),
            "PreconditionFailed"
        );
        let source = Conditions { none_match: Some(tag("t")), ..Conditions::default() };
        assert_eq!(code(source.check_source(&record())), "PreconditionFailed");
    }

    #[test]
    fn writes() {
        let create = WriteConditions { if_none_match: Some(ETagCondition::Any), if_match: None };
        assert_eq!(code(create.check(None)), "ok");
        assert_eq!(code(create.check(Some(&record()))), "PreconditionFailed");
        let replace = WriteConditions { if_match: Some(tag("t")), if_none_match: None };
        assert_eq!(code(replace.check(None)), "NoSuchKey");
        assert_eq!(code(replace.check(Some(&record()))), "ok");
    }
}
