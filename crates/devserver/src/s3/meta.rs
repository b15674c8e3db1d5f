//! What an object carries beside its bytes: HTTP headers, user metadata, entity tag, checksum.
//!
//! User metadata lies in the record's `custom` list under its own names; everything else under names that begin with a
//! colon, which no header name can.

use std::collections::HashMap;

use s3s::dto::{ETag, Timestamp, TimestampFormat};

use crate::checksum::{ChecksumKind, hex};
use crate::storage::ObjectRecord;

const ETAG: &str = ":etag";
const CONTENT_TYPE: &str = ":content-type";
const CACHE_CONTROL: &str = ":cache-control";
const CONTENT_DISPOSITION: &str = ":content-disposition";
const CONTENT_ENCODING: &str = ":content-encoding";
const CONTENT_LANGUAGE: &str = ":content-language";
const EXPIRES: &str = ":expires";

/// Headers and user metadata of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) user: Vec<(String, String)>,
}

/// Takes the headers out of an input of the `s3s` crate; several inputs have the same fields.
macro_rules! meta_of {
    ($input:expr) => {
        $crate::s3::meta::Meta {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take().and_then(|t| $crate::s3::meta::http_date(&t)),
            user: $crate::s3::meta::sorted($input.metadata.take().unwrap_or_default()),
        }
    };
}
pub(super) use meta_of;

pub(super) fn sorted(map: HashMap<String, String>) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = map.into_iter().collect();
    pairs.sort();
    pairs
}

pub(super) fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

impl Meta {
    /// As the record keeps it.
    pub(super) fn into_custom(self) -> Vec<(String, String)> {
        let headers = [
            (CONTENT_TYPE, self.content_type),
            (CACHE_CONTROL, self.cache_control),
            (CONTENT_DISPOSITION, self.content_disposition),
            (CONTENT_ENCODING, self.content_encoding),
            (CONTENT_LANGUAGE, self.content_language),
            (EXPIRES, self.expires),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        headers.chain(self.user).collect()
    }

    pub(super) fn of(custom: &[(String, String)]) -> Self {
        let get = |name| find(custom, name).map(str::to_owned);
        Self {
            content_type: get(CONTENT_TYPE),
            cache_control: get(CACHE_CONTROL),
            content_disposition: get(CONTENT_DISPOSITION),
            content_encoding: get(CONTENT_ENCODING),
            content_language: get(CONTENT_LANGUAGE),
            expires: get(EXPIRES),
            user: custom.iter().filter(|(name, _)| !name.starts_with(':')).cloned().collect(),
        }
    }

    pub(super) fn user_map(&self) -> Option<HashMap<String, String>> {
        (!self.user.is_empty()).then(|| self.user.iter().cloned().collect())
    }

    pub(super) fn expires_time(&self) -> Option<Timestamp> {
        Timestamp::parse(TimestampFormat::HttpDate, self.expires.as_deref()?).ok()
    }
}

pub(super) fn find<'a>(custom: &'a [(String, String)], name: &str) -> Option<&'a str> {
    custom.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

/// Sets the entity tag of a record.
pub(super) fn set_etag(custom: &mut Vec<(String, String)>, tag: String) {
    custom.push((ETAG.to_owned(), tag));
}

/// The entity tag, without quotes. Objects that did not come over S3 get one that changes whenever they do.
pub(super) fn etag_text(record: &ObjectRecord) -> String {
    if let Some(tag) = find(&record.custom, ETAG) {
        return tag.to_owned();
    }
    match &record.checksum {
        Some(sum) if sum.kind == ChecksumKind::Md5 => sum.value.clone(),
        _ => format!("{:016x}{:016x}", record.mtime, record.size),
    }
}

pub(super) fn etag(record: &ObjectRecord) -> ETag {
    ETag::Strong(etag_text(record))
}

/// The tag of an object in `parts`: the digest of their digests, and their number.
pub(super) fn multipart_etag(parts: impl IntoIterator<Item = [u8; 16]>) -> String {
    use md5::Digest as _;
    let mut digest = md5::Md5::new();
    let mut count = 0_u32;
    for part in parts {
        digest.update(part);
        count += 1;
    }
    format!("{}-{count}", hex(&digest.finalize()))
}

/// A time of the storage.
pub(super) fn time(nanoseconds: i64) -> Timestamp {
    let since = std::time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default());
    Timestamp::from(std::time::UNIX_EPOCH + since)
}

/// Seconds since the epoch.
pub(super) fn seconds(time: &Timestamp) -> i64 {
    let mut text = Vec::new();
    if time.format(TimestampFormat::EpochSeconds, &mut text).is_err() {
        return 0;
    }
    let text = String::from_utf8_lossy(&text);
    text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_metadata_survive_the_record() {
        let meta = Meta {
            content_type: Some("text/plain".into()),
            expires: Some("Thu, 01 Dec 1994 16:00:00 GMT".into()),
            user: vec![("a".into(), "1".into())],
            ..Meta::default()
        };
        let custom = meta.clone().into_custom();
        assert_eq!(Meta::of(&custom), meta);
        assert!(meta.expires_time().is_some());
    }

    #[test]
    fn tags_of_parts() {
        // Two parts: 5 MiB of zeros, twice.
        let part =
            [0x5f, 0x36, 0x3e, 0x0e, 0x58, 0xa9, 0x5f, 0x06, 0xcb, 0xe9, 0xbb, 0xc6, 0x62, 0xc5, 0xdf, 0xb6];
        assert!(multipart_etag([part, part]).ends_with("-2"));
    }
}
