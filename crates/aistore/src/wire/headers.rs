//! Headers of AIStore, and what its answers say about an object.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, header};
use longshore_core_types::{Checksum, ChecksumKind};

use crate::{
    names::HIDDEN_CUSTOM_KEY,
    object::props::{ChunkProps, EcProps, ObjectProps},
};

macro_rules! headers {
    ($($name:ident = $text:literal;)*) => {$(
        pub(crate) const $name: HeaderName = HeaderName::from_static($text);
    )*};
}

headers! {
    APPEND_HANDLE = "ais-append-handle";
    ATIME = "ais-atime";
    BLOB_CHUNK = "ais-blob-chunk";
    BLOB_DOWNLOAD = "ais-blob-download";
    BLOB_THRESHOLD = "ais-blob-threshold";
    BLOB_TIMEOUT = "ais-blob-read-timeout";
    BLOB_WORKERS = "ais-blob-workers";
    BUCKET_NAME = "ais-bucket-name";
    BUCKET_PROPS = "ais-bucket-props";
    BUCKET_PROVIDER = "ais-bucket-provider";
    BUCKET_SUMMARY = "ais-bucket-summ";
    CHECKSUM_TYPE = "ais-checksum-type";
    CHECKSUM_VALUE = "ais-checksum-value";
    CHUNK_COUNT = "ais-chunks-count";
    CHUNK_MAX = "ais-chunks-max-chunk-size";
    CUSTOM = "ais-custom-md";
    EC_DATA = "ais-ec-data";
    EC_GENERATION = "ais-ec-generation";
    EC_PARITY = "ais-ec-parity";
    EC_REPLICATED = "ais-ec-replicated";
    HDR_ERROR = "hdr-error";
    INVENTORY_NAME = "ais-inv-name";
    LOCATION = "ais-location";
    MIRROR_COPIES = "ais-mirror-copies";
    MIRROR_PATHS = "ais-mirror-paths";
    NAME = "ais-name";
    NODE_ID = "ais-node-id";
    PRESENT = "ais-present";
    REMOTE_ALIAS = "ais-remote-ais-alias";
    REMOTE_URL = "ais-remote-ais-url";
    XACTION_ID = "ais-xaction-id";
    VERSION = "ais-version";
}

/// A header as text. Values of AIStore are raw UTF-8, which `HeaderValue::to_str` refuses.
pub(crate) fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

pub(crate) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

fn flag(headers: &HeaderMap, name: &HeaderName) -> Option<bool> {
    Some(text(headers, name)?.trim() == "true")
}

/// The checksum algorithm of a name of AIStore; `None` for `none` and for algorithms not known here.
pub(crate) fn checksum_kind(name: &str) -> Option<ChecksumKind> {
    Some(match name {
        "xxhash" | "xxhash2" => ChecksumKind::XxHash64,
        "md5" => ChecksumKind::Md5,
        "crc32c" => ChecksumKind::Crc32c,
        "sha256" => ChecksumKind::Sha256,
        "sha512" => ChecksumKind::Sha512,
        _ => return None,
    })
}

/// The name of an algorithm at AIStore.
pub(crate) fn checksum_name(kind: ChecksumKind) -> &'static str {
    match kind {
        ChecksumKind::XxHash64 => "xxhash2",
        other => other.as_str(),
    }
}

/// The checksum that an answer states. It describes the whole object, also on a 206.
pub(crate) fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    let kind = checksum_kind(&text(headers, &CHECKSUM_TYPE)?)?;
    Checksum::from_hex(kind, &text(headers, &CHECKSUM_VALUE)?).ok()
}

/// Custom metadata: one header line for each pair, so that values may contain commas.
pub(crate) fn custom(headers: &HeaderMap) -> BTreeMap<String, String> {
    let lines = headers.get_all(CUSTOM).into_iter();
    let lines = lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
    lines
        .filter_map(|line| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())))
        .filter(|(key, _)| key != HIDDEN_CUSTOM_KEY)
        .collect()
}

/// Nanoseconds since 1970 in decimal digits.
pub(crate) fn nanoseconds(text: &str) -> Option<SystemTime> {
    let nanos: u64 = text.trim().parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}

fn http_date(text: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().into())
}

/// What the headers of an answer to HEAD, GET or PUT say about the object. `size` is left to the caller:
/// only HEAD states it in `Content-Length`.
pub(crate) fn object_props(headers: &HeaderMap) -> ObjectProps {
    let ec = text(headers, &EC_GENERATION).map(|_| EcProps {
        generation: number(headers, &EC_GENERATION).unwrap_or_default(),
        data_slices: number(headers, &EC_DATA).unwrap_or_default(),
        parity_slices: number(headers, &EC_PARITY).unwrap_or_default(),
        replicated: flag(headers, &EC_REPLICATED).unwrap_or_default(),
    });
    let chunks = number(headers, &CHUNK_COUNT)
        .map(|count| ChunkProps { count, max_chunk_size: number(headers, &CHUNK_MAX).unwrap_or_default() });
    let paths = text(headers, &MIRROR_PATHS).unwrap_or_default();
    let paths = paths.trim_start_matches('[').trim_end_matches(']');
    ObjectProps {
        name: text(headers, &NAME),
        bucket_name: text(headers, &BUCKET_NAME),
        bucket_provider: text(headers, &BUCKET_PROVIDER),
        size: 0,
        checksum: checksum(headers),
        checksum_type: text(headers, &CHECKSUM_TYPE).filter(|name| name != "none"),
        access_time: text(headers, &ATIME).and_then(|nanos| nanoseconds(&nanos)),
        version: text(headers, &VERSION),
        custom: custom(headers),
        present: flag(headers, &PRESENT),
        location: text(headers, &LOCATION),
        mirror_copies: number(headers, &MIRROR_COPIES),
        mirror_paths: paths.split([',', ' ']).filter(|p| !p.is_empty()).map(str::to_owned).collect(),
        ec,
        chunks,
        last_modified: text(headers, &header::LAST_MODIFIED).and_then(|date| http_date(&date)),
        etag: text(headers, &header::ETAG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn custom_metadata_with_commas_and_unicode() {
        let headers = map(&[
            ("ais-custom-md", "a=1,2,3"),
            ("ais-custom-md", "b=x=y"),
            ("ais-custom-md", "name=Grüß 日本"),
            ("ais-custom-md", "orig_fntl=/ais/mp1/x"),
        ]);
        let custom = custom(&headers);
        assert_eq!(custom["a"], "1,2,3");
        assert_eq!(custom["b"], "x=y");
        assert_eq!(custom["name"], "Grüß 日本");
        assert_eq!(custom.len(), 3);
    }

    #[test]
    fn both_forms_of_mirror_paths() {
        for value in ["[/ais/mp1/2 /ais/mp2/2]", "/ais/mp1/2,/ais/mp2/2", "[/ais/mp1/2, /ais/mp2/2]"] {
            let props = object_props(&map(&[("ais-mirror-paths", value)]));
            assert_eq!(props.mirror_paths, ["/ais/mp1/2", "/ais/mp2/2"]);
        }
    }

    #[test]
    fn times_and_checksums() {
        let props = object_props(&map(&[
            ("ais-atime", "1700000000000000001"),
            ("last-modified", "Sat, 21 Nov 2026 15:39:30 GMT"),
            ("ais-checksum-type", "xxhash2"),
            ("ais-checksum-value", "45ab6734b21e6968"),
        ]));
        assert_eq!(props.access_time, nanoseconds("1700000000000000001"));
        let modified = props.last_modified.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(modified.as_secs(), 1_795_275_570);
        assert_eq!(props.checksum.unwrap().to_string(), "xxhash64:45ab6734b21e6968");
    }
}
