//! Listing objects.

use http::{Method, header, response::Parts};
use longshore_core_types::{Checksum, ChecksumKind, Error, ErrorKind, Idempotency, Result};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Request, bucket::on_bucket, headers};
use crate::{
    bucket::list::{ListEntry, ListFlags, ListPage, ListProp},
    names::{BucketRef, check_prefix, invalid},
};

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListParams {
    pub(crate) prefix: String,
    pub(crate) props: Vec<ListProp>,
    pub(crate) flags: ListFlags,
    /// `None` for the largest page that the provider has.
    pub(crate) page_size: Option<u32>,
    pub(crate) start_after: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) time_format: Option<String>,
    pub(crate) inventory: Option<String>,
    /// Id and token of the page before.
    pub(crate) uuid: String,
    pub(crate) token: String,
}

pub(crate) fn list(bucket: &BucketRef, params: &ListParams) -> Result<Request> {
    check(bucket, params)?;
    let props: Vec<&str> = params.props.iter().map(|prop| prop.as_str()).collect();
    let message = Message {
        uuid: &params.uuid,
        props: props.join(","),
        time_format: params.time_format.as_deref(),
        // The server drops a final `*`; so do we, and filter the answer by the whole prefix.
        prefix: params.prefix.trim_end_matches('*'),
        start_after: params.start_after.as_deref().filter(|_| params.token.is_empty()),
        continuation_token: &params.token,
        target: params.target.as_deref().unwrap_or_default(),
        flags: params.flags.bits().to_string(),
        pagesize: params.page_size.map_or(0, |size| size.min(bucket.provider().max_page())),
    };
    let mut request = on_bucket(Method::GET, bucket, "aistore.bucket.list_objects", Idempotency::Idempotent)
        .header(header::ACCEPT, "application/msgpack")?;
    if let Some(inventory) = &params.inventory {
        request = request.header(headers::INVENTORY_NAME, inventory)?;
    }
    request.action("list", "", &message)
}

/// What the server refuses, or answers with something else than was asked for.
fn check(bucket: &BucketRef, params: &ListParams) -> Result<()> {
    check_prefix(&params.prefix)?;
    let flags = params.flags;
    if params.page_size == Some(0) {
        return Err(invalid("a page of a listing cannot have zero entries"));
    }
    if bucket.is_remote() && params.start_after.is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{bucket}: remote buckets cannot be listed from after a name"),
        ));
    }
    if !bucket.is_remote() {
        let remote_only = [
            (ListFlags::NOT_CACHED, "objects that the cluster does not hold"),
            (ListFlags::DIFF, "differences from the backend"),
            (ListFlags::INVENTORY, "an inventory"),
        ];
        if let Some((_, what)) = remote_only.into_iter().find(|(flag, _)| flags.contains(*flag)) {
            return Err(invalid(format!("{bucket} is not remote, so there is no listing of {what}")));
        }
    }
    if flags.contains(ListFlags::CACHED | ListFlags::NOT_CACHED) {
        return Err(invalid("a listing of objects that are cached and not cached is empty"));
    }
    if flags.contains(ListFlags::DIFF) && !params.props.contains(&ListProp::Custom) {
        return Err(invalid("a listing of differences needs the property `custom`"));
    }
    Ok(())
}

#[derive(Serialize)]
struct Message<'a> {
    uuid: &'a str,
    props: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_format: Option<&'a str>,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_after: Option<&'a str>,
    continuation_token: &'a str,
    target: &'a str,
    /// A decimal number in a string; a bare number is refused.
    flags: String,
    /// Never negative: that ends every target of the cluster.
    pagesize: u32,
}

/// Both encodings of a page: MessagePack has the first names, JSON the others.
#[derive(Deserialize)]
struct WirePage {
    #[serde(rename = "UUID", alias = "uuid", default)]
    uuid: String,
    #[serde(rename = "ContinuationToken", alias = "continuation_token", default)]
    token: String,
    #[serde(rename = "Entries", alias = "entries", default)]
    entries: Option<Vec<WireEntry>>,
    #[serde(rename = "Flags", alias = "flags", default)]
    flags: u32,
}

#[derive(Deserialize)]
struct WireEntry {
    #[serde(rename = "n", alias = "name")]
    name: String,
    #[serde(rename = "cs", alias = "checksum", default)]
    checksum: String,
    #[serde(rename = "a", alias = "atime", default)]
    atime: String,
    #[serde(rename = "v", alias = "version", default)]
    version: String,
    #[serde(rename = "t", alias = "location", default)]
    location: String,
    #[serde(rename = "m", alias = "custom-md", default)]
    custom: String,
    #[serde(rename = "s", alias = "size", default, deserialize_with = "loose")]
    size: u64,
    #[serde(rename = "c", alias = "copies", default)]
    copies: u32,
    #[serde(rename = "f", alias = "flags", default)]
    flags: u16,
}

/// JSON quotes 64-bit numbers, MessagePack has them as they are. A negative size means none is known.
fn loose<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Visitor;

    impl serde::de::Visitor<'_> for Visitor {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number, or one in a string")
        }

        fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E>(self, number: i64) -> Result<u64, E> {
            Ok(u64::try_from(number).unwrap_or_default())
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_any(Visitor)
}

/// The page of an answer, in whichever of the two encodings it came.
pub(crate) fn parse(parts: &Parts, body: &[u8]) -> Result<ListPage> {
    let kind = headers::text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default();
    let page: WirePage = if kind.starts_with("application/msgpack") {
        rmp_serde::from_slice(body).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the answer is not a page of a listing").with_source(error)
        })?
    } else {
        super::from_json(body, "a page of a listing")?
    };
    let entries = page.entries.unwrap_or_default().into_iter().map(WireEntry::into_entry).collect();
    Ok(ListPage { entries, uuid: page.uuid, token: page.token, flags: page.flags })
}

impl WireEntry {
    fn into_entry(self) -> ListEntry {
        let text = |text: String| (!text.is_empty()).then_some(text);
        ListEntry {
            checksum: checksum_by_length(&self.checksum),
            checksum_text: text(self.checksum),
            name: self.name,
            size: self.size,
            access_time: text(self.atime),
            version: text(self.version),
            location: text(self.location),
            custom: text(self.custom),
            copies: self.copies,
            flags: self.flags,
        }
    }
}

/// Listings carry digests without the name of the algorithm; their lengths differ.
fn checksum_by_length(hex: &str) -> Option<Checksum> {
    let kind = ChecksumKind::ALL.into_iter().find(|kind| kind.byte_len() * 2 == hex.len())?;
    Checksum::from_hex(kind, hex).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(kind: &str) -> Parts {
        http::Response::builder().header("content-type", kind).body(()).unwrap().into_parts().0
    }

    #[test]
    fn json_pages() {
        let body = br#"{"uuid":"x","continuation_token":"","entries":[{"name":"a","size":"12","flags":64}],"flags":0}"#;
        let page = parse(&parts("application/json; charset=utf-8"), body).unwrap();
        assert_eq!((page.entries[0].name.as_str(), page.entries[0].size), ("a", 12));
        assert!(page.entries[0].is_cached());
        let body = br#"{"uuid":"x","continuation_token":"","entries":null,"flags":0}"#;
        assert!(parse(&parts("application/json"), body).unwrap().entries.is_empty());
        assert!(parse(&parts("application/msgpack"), b"\x91").is_err());
    }

    #[test]
    fn page_sizes_are_never_negative_or_zero() {
        let bucket: BucketRef = "b".parse().unwrap();
        let zero = ListParams { page_size: Some(0), ..ListParams::default() };
        assert!(list(&bucket, &zero).is_err());
        let huge = ListParams { page_size: Some(u32::MAX), ..ListParams::default() };
        let body = list(&bucket, &huge).unwrap();
        assert!(format!("{body:?}").contains("list_objects"));
    }

    #[test]
    fn refused_listings() {
        let bucket: BucketRef = "b".parse().unwrap();
        let refused = |params: ListParams| list(&bucket, &params).is_err();
        assert!(refused(ListParams { prefix: "../x".into(), ..ListParams::default() }));
        for flags in [ListFlags::NOT_CACHED, ListFlags::DIFF, ListFlags::INVENTORY] {
            assert!(refused(ListParams { flags, ..ListParams::default() }));
        }
        let remote: BucketRef = "aws://b".parse().unwrap();
        let params = ListParams { start_after: Some("a".into()), ..ListParams::default() };
        assert_eq!(list(&remote, &params).unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(list(&bucket, &params).is_ok());
    }
}
