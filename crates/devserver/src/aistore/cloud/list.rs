//! Listings of remote buckets: what there is at the origin, and what the cluster has of it.

use std::collections::HashSet;

use super::behind;
use super::object::{difference, list_time};
use crate::aistore::Cluster;
use crate::aistore::buckets::Bucket;
use crate::aistore::error::Result;
use crate::aistore::list::{
    ENTRY_CACHED, ENTRY_CHANGED, ENTRY_DIRECTORY, ENTRY_GONE, Entry, FLAG_CACHED, FLAG_DIFF, FLAG_NAME_ONLY,
    FLAG_NAME_SIZE, FLAG_NOT_CACHED, FLAG_ONLY_REMOTE, PageQuery, entry as entry_here,
};
use crate::s3::{self, Page, Query};
use crate::storage::{ObjectKey, Snapshot};

/// Entries of a page, at most and by default.
pub(in crate::aistore) const MAX_PAGE: usize = 1000;

/// Properties that a listing can tell; one of them beyond name and size makes it look into the cluster.
const PROPS: [&str; 11] = [
    "name", "size", "checksum", "atime", "version", "cached", "status", "copies", "ec", "custom", "location",
];

/// True if a listing with these flags does not look into the cluster.
pub(in crate::aistore) fn only_remote(props: &str, flags: u64) -> bool {
    if flags & (FLAG_DIFF | FLAG_CACHED | FLAG_NOT_CACHED) != 0 {
        return false;
    }
    let short = flags & (FLAG_ONLY_REMOTE | FLAG_NAME_ONLY | FLAG_NAME_SIZE) != 0;
    short || !PROPS.iter().any(|prop| props.contains(prop))
}

/// Where the next page goes on, as a token that means nothing to clients.
fn token_of(last: &str) -> String {
    crate::checksum::hex(last.as_bytes())
}

/// The name that a token stands for; one that was not made here goes on where it says.
fn name_of(token: &str) -> String {
    let bytes: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()))
        .collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| token.to_owned())
}

/// A page of a remote bucket, in order, and the token for the next one.
pub(in crate::aistore) fn page(
    cluster: &Cluster,
    bucket: &Bucket,
    query: &PageQuery,
) -> Result<(Vec<Entry>, String)> {
    let Some((cloud, name)) = behind(cluster.cloud.as_ref(), bucket) else {
        return Ok((Vec::new(), String::new()));
    };
    let after = name_of(&query.token);
    let asked = Query { prefix: &query.prefix, level: !query.flat, after: &after, max: query.page };
    let page = cloud.list(name, asked)?;
    let token = page.last().filter(|_| page.more).map(token_of).unwrap_or_default();
    let snapshot = cluster.storage.snapshot()?;
    let mut entries = Vec::with_capacity(page.entries.len() + page.prefixes.len());
    let gone = if query.flags & FLAG_DIFF == 0 {
        Vec::new()
    } else {
        gone(&snapshot, bucket, &page, query, &after)?
    };
    for found in page.entries {
        entries.extend(entry(cluster, &snapshot, bucket, found, query)?);
    }
    entries.extend(gone);
    if !query.no_dirs {
        let directory = |n| Entry { n, f: ENTRY_DIRECTORY, ..Entry::default() };
        entries.extend(page.prefixes.into_iter().map(directory));
    }
    Ok((entries, token))
}

/// One object; `None` if the listing leaves it out.
fn entry(
    cluster: &Cluster,
    snapshot: &Snapshot,
    bucket: &Bucket,
    found: s3::Entry,
    query: &PageQuery,
) -> Result<Option<Entry>> {
    let here = if query.only_remote {
        None
    } else {
        snapshot.object(&ObjectKey::new(bucket.id, 0, found.name.as_str()))?
    };
    if here.is_some() && query.flags & FLAG_NOT_CACHED != 0 {
        return Ok(None);
    }
    let short = query.flags & (FLAG_NAME_ONLY | FLAG_NAME_SIZE) != 0;
    let mut entry = match &here {
        Some(record) => entry_here(cluster, bucket, found.name, record, &query.wanted),
        None => Entry { n: found.name, ..Entry::default() },
    };
    if query.wanted.size {
        entry.s = found.size;
    }
    if !short {
        if entry.cs.is_empty() && !found.etag.contains('-') {
            entry.cs.clone_from(&found.etag);
        }
        if query.wanted.custom {
            entry.m = format!("[ETag:{} LastModified:{}]", found.etag, list_time(found.modified));
        }
    }
    let differs = |record| difference(record, found.size, &found.etag).is_some();
    if query.flags & FLAG_DIFF != 0 && here.as_ref().is_some_and(differs) {
        entry.f |= ENTRY_CHANGED;
    }
    Ok(Some(entry))
}

/// Copies, in the range of a page, whose originals are gone.
fn gone(
    snapshot: &Snapshot,
    bucket: &Bucket,
    page: &Page,
    query: &PageQuery,
    after: &str,
) -> Result<Vec<Entry>> {
    let last = page.last().filter(|_| page.more);
    let known: HashSet<_> = page.entries.iter().map(|entry| entry.name.as_str()).collect();
    let walk = snapshot.walk(bucket.id)?;
    let mut entries = Vec::new();
    for item in walk.from(query.prefix.as_str().max(after))? {
        let (n, record) = item?;
        if !n.starts_with(&query.prefix) || last.is_some_and(|last| n.as_str() > last) {
            break;
        }
        let before = n == after || (!query.flat && after.ends_with('/') && n.starts_with(after));
        let elsewhere = before || page.prefixes.iter().any(|prefix| n.starts_with(prefix));
        if !elsewhere && !known.contains(n.as_str()) {
            entries.push(Entry { n, s: record.size, f: ENTRY_CACHED | ENTRY_GONE, ..Entry::default() });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        for name in ["a", "dir/\u{e4}", ""] {
            assert_eq!(name_of(&token_of(name)), name);
        }
        assert_eq!(name_of("plain name"), "plain name");
    }

    #[test]
    fn properties_of_the_origin() {
        assert!(only_remote("name,size", FLAG_NAME_SIZE) && only_remote("cached", FLAG_ONLY_REMOTE));
        assert!(!only_remote("name,size,cached", 0) && !only_remote("name, checksum", 0));
        assert!(!only_remote("name", FLAG_NAME_ONLY | FLAG_CACHED));
    }
}
