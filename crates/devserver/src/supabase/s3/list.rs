//! Both listings of objects; they share their walk, and its defect, with the service's own.

use percent_encoding::utf8_percent_encode;

use super::xml::Element;
use super::{document, number, visible};
use crate::aistore::reply::Reply;
use crate::supabase::caller::Caller;
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::list_v2::{Cursor, Entry, page};
use crate::supabase::read::COMPONENT;
use crate::supabase::time::iso;

const MAX_KEYS: u64 = 1000;

/// What both listings ask for.
struct Asked {
    prefix: String,
    delimiter: Option<String>,
    max_keys: u64,
    encoding: Option<String>,
}

impl Asked {
    fn read(cx: &Cx) -> Result<Self> {
        let text = |name: &str| cx.parameter(name).filter(|t| !t.is_empty()).map(str::to_owned);
        Ok(Self {
            prefix: text("prefix").unwrap_or_default(),
            delimiter: text("delimiter"),
            max_keys: number(cx, "max-keys", 0, None)?.unwrap_or(MAX_KEYS).min(MAX_KEYS),
            encoding: text("encoding-type"),
        })
    }

    fn encode(&self, key: &str) -> String {
        match self.encoding.as_deref() {
            Some("url") => utf8_percent_encode(key, COMPONENT).to_string(),
            _ => key.to_owned(),
        }
    }

    /// The entries of a page, and whether more follow.
    fn page(&self, cx: &Cx, caller: &Caller, id: &str, cursor: Option<Cursor>) -> Result<(Vec<Entry>, bool)> {
        let bucket = visible(cx, caller, id)?;
        let size = usize::try_from(self.max_keys).unwrap_or(0);
        let snapshot = cx.service.storage.snapshot()?;
        let mut entries = page(&snapshot, &bucket, &self.prefix, self.delimiter.is_some(), cursor, size + 1)?;
        let more = entries.len() > size;
        entries.truncate(size);
        Ok((entries, more))
    }

    fn contents(&self, to: Element, entries: &[Entry]) -> Element {
        to.each(entries, |to, entry| match entry {
            Entry::Folder(..) => to,
            Entry::Object(name, object) => {
                let shown = Element::default()
                    .text("Key", self.encode(name))
                    .text("LastModified", iso(object.updated_at))
                    .text("ETag", &object.etag)
                    .text("Size", object.size.to_string())
                    .text("StorageClass", "STANDARD");
                to.child("Contents", &shown)
            }
        })
    }

    fn prefixes(&self, to: Element, entries: &[Entry]) -> Element {
        to.each(entries, |to, entry| match entry {
            Entry::Folder(path, _) => {
                to.child("CommonPrefixes", &Element::default().text("Prefix", self.encode(path)))
            }
            Entry::Object(..) => to,
        })
    }
}

fn after(key: Option<&str>) -> Option<Cursor> {
    key.filter(|k| !k.is_empty()).map(|last| Cursor { last: last.to_owned(), ..Cursor::default() })
}

/// `ListObjects`.
pub(super) fn first(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    let asked = Asked::read(cx)?;
    let (entries, more) = asked.page(cx, caller, id, after(cx.parameter("marker")))?;
    let next = entries.last().filter(|_| more).map(|last| match last {
        Entry::Folder(path, _) => path.clone(),
        Entry::Object(name, _) => name.clone(),
    });
    let head = Element::default()
        .text("Name", id)
        .text("Prefix", &asked.prefix)
        .maybe("Marker", next.as_deref())
        .maybe("NextMarker", next.as_deref().filter(|_| asked.delimiter.is_some()))
        .text("MaxKeys", asked.max_keys.to_string())
        .text("IsTruncated", more.to_string());
    let body = asked.prefixes(asked.contents(head, &entries), &entries);
    Ok(document(body.maybe("EncodingType", asked.encoding.as_deref()).document("ListBucketResult")))
}

/// `ListObjectsV2`.
pub(super) fn second(cx: &Cx, caller: &Caller, id: &str) -> Result<Reply> {
    let asked = Asked::read(cx)?;
    let token = cx.parameter("continuation-token").filter(|t| !t.is_empty());
    let cursor = match token {
        Some(token) => Some(Cursor::decode(token).ok_or_else(|| Fail::parameter("continuation token"))?),
        None => after(cx.parameter("start-after")),
    };
    let order = token.map(|_| "asc".to_owned());
    let (entries, more) = asked.page(cx, caller, id, cursor)?;
    let next = entries.last().filter(|_| more);
    let next = next.map(|last| Cursor { last: last.mark().to_owned(), order, ..Cursor::default() }.encode());
    let head =
        Element::default().text("Name", id).text("Prefix", &asked.prefix).maybe("ContinuationToken", token);
    let body = asked
        .contents(head, &entries)
        .text("IsTruncated", more.to_string())
        .text("MaxKeys", asked.max_keys.to_string())
        .maybe("Delimiter", asked.delimiter.as_deref())
        .maybe("EncodingType", asked.encoding.as_deref())
        .text("KeyCount", entries.len().to_string());
    let body = asked.prefixes(body, &entries).maybe("NextContinuationToken", next.as_deref());
    Ok(document(body.document("ListBucketResult")))
}
