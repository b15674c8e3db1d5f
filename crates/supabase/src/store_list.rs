//! Listings in byte order, without gaps.
//!
//! Servers lose names between two pages of a listing of one level: where a page ends with the object `a`, the next one
//! starts at `a/`, and what lies between (`a-b`, `a.txt`) is never listed. So after such a page the listing without
//! levels is asked whether there is a name in between. If there is, the names that start with `a` and one of the
//! characters before `/` are listed, one such prefix after the other, before the listing goes on.

use longshore_blob_api::{Entry, ListOptions, ListPage, PageToken};
use longshore_core_types::{Error, ErrorKind, ObjectKey, Result};
use serde::{Deserialize, Serialize};

use crate::{
    bucket::{Bucket, page as fetch},
    names::{decode_key, encode_key},
    wire::list::{FilePage, MOST_OF_PAGE, PageParams},
};

/// Characters before `/` that names hold or once could hold, in their order.
const BEFORE_SLASH: &str = " !\"#$%&'()*+,-.";

pub(crate) async fn page(
    bucket: &Bucket,
    opts: &ListOptions,
    token: Option<PageToken>,
    encoded: bool,
) -> Result<ListPage> {
    if !encoded {
        return plain(bucket, opts, token).await;
    }
    let mut outer = opts.clone();
    outer.prefix = encoded_prefix(&opts.prefix);
    let mut page = plain(bucket, &outer, token).await?;
    page.entries = page.entries.into_iter().map(decoded).collect::<Result<_>>()?;
    page.entries.retain(|entry| entry.name().starts_with(&opts.prefix));
    Ok(page)
}

async fn plain(bucket: &Bucket, opts: &ListOptions, token: Option<PageToken>) -> Result<ListPage> {
    if opts.delimited { level(bucket, opts, token).await } else { flat(bucket, opts, token).await }
}

/// What all encoded names begin with whose names begin with this. A last part that is `.` or `..` alone is encoded
/// otherwise than the start of a longer one, so it is left out, and its names are picked afterwards.
fn encoded_prefix(prefix: &str) -> String {
    let (folder, last) = prefix.rsplit_once('/').map_or(("", prefix), |(folder, last)| (folder, last));
    match (last, folder) {
        ("." | "..", "") if !prefix.starts_with('/') => String::new(),
        ("." | "..", folder) => format!("{}/", encode_key(folder)),
        _ => encode_key(prefix),
    }
}

fn decoded(entry: Entry) -> Result<Entry> {
    let inner = |name: &str| {
        decode_key(name).ok_or_else(|| {
            let text = format!("{name:?} was not stored under an encoded name: list without encoded keys");
            Error::new(ErrorKind::InvalidInput, text)
        })
    };
    Ok(match entry {
        Entry::Object(mut meta) => {
            meta.key = ObjectKey::new(inner(meta.key.as_str())?)?;
            Entry::Object(meta)
        }
        Entry::Prefix(prefix) => Entry::Prefix(inner(&prefix)?),
        // Nothing else has a name.
        other => other,
    })
}

fn params(prefix: &str, cursor: Option<String>, limit: u32) -> PageParams {
    PageParams {
        limit: Some(limit),
        cursor,
        prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
        ..PageParams::default()
    }
}

fn limit(opts: &ListOptions) -> u32 {
    opts.page_size.unwrap_or(MOST_OF_PAGE).min(MOST_OF_PAGE)
}

/// All names below the prefix. Servers page these without a fault.
async fn flat(bucket: &Bucket, opts: &ListOptions, token: Option<PageToken>) -> Result<ListPage> {
    let cursor = token.map(|token| token.as_str().to_owned());
    let asked = params(&opts.prefix, cursor, limit(opts));
    let found = fetch(bucket.client(), bucket.name(), &asked).await?;
    let next = found.next(asked.cursor.as_deref())?.map(PageToken::new);
    Ok(ListPage::new(entries(found)?, next))
}

fn entries(page: FilePage) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = page.folders.into_iter().map(Entry::Prefix).collect();
    for file in page.objects {
        let key = ObjectKey::new(&file.name)?;
        entries.extend(file.to_meta(key).map(Entry::Object));
    }
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(entries)
}

/// A listing of one level that is under way: names with this prefix, from here on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Frame {
    #[serde(rename = "p")]
    prefix: String,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Frame {
    fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), cursor: None }
    }
}

/// What is still to be listed, the next one last.
fn read_token(opts: &ListOptions, token: Option<&PageToken>) -> Result<Vec<Frame>> {
    let Some(token) = token else { return Ok(vec![Frame::new(&opts.prefix)]) };
    serde_json::from_str(token.as_str()).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "this is not the token of a page of this listing")
            .with_source(error)
    })
}

async fn level(bucket: &Bucket, opts: &ListOptions, token: Option<PageToken>) -> Result<ListPage> {
    let mut frames = read_token(opts, token.as_ref())?;
    let Some(Frame { prefix, cursor }) = frames.pop() else { return Ok(ListPage::default()) };
    let asked = PageParams { with_delimiter: Some(true), ..params(&prefix, cursor, limit(opts)) };
    let found = fetch(bucket.client(), bucket.name(), &asked).await?;
    let next = found.next(asked.cursor.as_deref())?;
    let entries = entries(found)?;
    if let Some(cursor) = next {
        if let Some(Entry::Object(last)) = entries.last() {
            let key = last.key.as_str();
            if is_gap(bucket, &prefix, &cursor, key).await? {
                frames.push(Frame { prefix, cursor: Some(cursor) });
                frames.extend(BEFORE_SLASH.chars().rev().map(|c| Frame::new(format!("{key}{c}"))));
                return finish(entries, &frames);
            }
        }
        frames.push(Frame { prefix, cursor: Some(cursor) });
    }
    finish(entries, &frames)
}

/// Whether a name lies between an object and what is below the folder of the same name.
async fn is_gap(bucket: &Bucket, prefix: &str, cursor: &str, key: &str) -> Result<bool> {
    let next = fetch(bucket.client(), bucket.name(), &params(prefix, Some(cursor.to_owned()), 1)).await?;
    let folder = format!("{key}/");
    Ok(next.objects.first().is_some_and(|object| object.name < folder))
}

fn finish(entries: Vec<Entry>, frames: &[Frame]) -> Result<ListPage> {
    if frames.is_empty() {
        return Ok(ListPage::new(entries, None));
    }
    let token = serde_json::to_string(frames).map_err(|error| {
        Error::new(ErrorKind::Other, "the place in the listing cannot be written").with_source(error)
    })?;
    Ok(ListPage::new(entries, Some(PageToken::new(token))))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use longshore_blob_api::BlobStoreExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Client,
        testing::{reply, server},
    };

    /// Pages as a real server does, its fault included.
    fn answer(names: &[String], body: &Value) -> Value {
        let prefix = body["prefix"].as_str().unwrap_or_default();
        let limit = usize::try_from(body["limit"].as_u64().unwrap()).unwrap();
        let delimited = body["with_delimiter"] == true;
        let after = body["cursor"].as_str().map(str::to_owned);
        let mut rows: Vec<String> = Vec::new();
        for name in names.iter().filter(|name| name.starts_with(prefix)) {
            let row = match name[prefix.len()..].find('/') {
                Some(slash) if delimited => name[..=prefix.len() + slash].to_owned(),
                _ => name.clone(),
            };
            let passed = match &after {
                None => false,
                // The fault: the names between `a` and `a/` are passed over.
                Some(cursor) if delimited => {
                    let folder = format!("{}/", cursor.trim_end_matches('/'));
                    row < folder || row == *cursor
                }
                Some(cursor) => row <= *cursor,
            };
            if !passed && rows.last() != Some(&row) {
                rows.push(row);
            }
        }
        let has_next = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().cloned().filter(|_| has_next);
        let (folders, objects): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| delimited && row.ends_with('/'));
        json!({
            "hasNext": has_next, "nextCursor": next,
            "folders": folders.iter().map(|name| json!({"name": name, "id": null})).collect::<Vec<_>>(),
            "objects": objects.iter().map(|name| json!({"name": name, "id": "1"})).collect::<Vec<_>>(),
        })
    }

    async fn listed(names: &[&str], opts: ListOptions) -> Vec<String> {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        let server = server(move |_, body| {
            let body = serde_json::from_slice(body).unwrap();
            reply(200, &[], &answer(&names, &body).to_string())
        });
        let client = Client::builder("http://h").service(server).build().unwrap();
        let store = client.bucket("b").unwrap().store();
        let entries: Vec<Entry> = store.list(opts).try_collect().await.unwrap();
        entries.iter().map(|entry| entry.name().to_owned()).collect()
    }

    const NAMES: &[&str] = &[
        "Dir/x", "a", "a-b", "a-b/deep", "a-b-c", "a-b.txt", "a.txt", "a/below", "a0", "b", "b b", "b b/1",
        "c/1", "c/2", "c1",
    ];
    const LEVEL: &[&str] = &[
        "Dir/", "a", "a-b", "a-b-c", "a-b.txt", "a-b/", "a.txt", "a/", "a0", "b", "b b", "b b/", "c/", "c1",
    ];

    #[tokio::test]
    async fn a_level_is_complete_whatever_the_size_of_its_pages() {
        for size in [1, 2, 3, 5, 1000] {
            let opts = ListOptions::default().with_delimiter().with_page_size(size);
            assert_eq!(listed(NAMES, opts).await, LEVEL, "pages of {size}");
        }
        let below = ListOptions::prefix("a-").with_delimiter().with_page_size(1);
        assert_eq!(listed(NAMES, below).await, ["a-b", "a-b-c", "a-b.txt", "a-b/"]);
    }

    #[tokio::test]
    async fn all_names_in_byte_order() {
        let mut sorted = NAMES.to_vec();
        sorted.sort_unstable();
        for size in [1, 4, 1000] {
            assert_eq!(listed(NAMES, ListOptions::default().with_page_size(size)).await, sorted);
        }
    }

    #[test]
    fn prefixes_of_encoded_names() {
        for (prefix, encoded) in [
            ("", ""),
            ("a/\u{fc}", "a/=C3=BC"),
            ("a/.", "a/"),
            ("..", ""),
            ("a/.x", "a/.x"),
            ("/.", "/"),
            ("a=", "a=3D"),
        ] {
            assert_eq!(encoded_prefix(prefix), encoded, "{prefix}");
        }
    }

    #[test]
    fn tokens_that_are_none() {
        let opts = ListOptions::default().with_delimiter();
        let error = read_token(&opts, Some(&PageToken::new("bDph"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn every_character_that_names_hold_before_the_slash_is_asked_for() {
        let known =
            (0..b'/').map(char::from).filter(|c| crate::key_fault(&c.to_string().repeat(3)).is_none());
        for c in known {
            assert!(BEFORE_SLASH.contains(c), "{c:?}");
        }
        assert!(BEFORE_SLASH.is_ascii() && BEFORE_SLASH.bytes().is_sorted());
    }
}
