//! Listing objects: pages out of an ordered walk, as MessagePack or JSON.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::actmsg::{Action, decode_value};
use super::buckets::Bucket;
use super::error::{Fail, Relayed, Result};
use super::gojson::{Schema, Struct};
use super::gotime;
use super::guard::{self, Form};
use super::ids::short_id;
use super::names::{BucketName, Provider, check_prefix};
use super::node::Cx;
use super::objects::location;
use super::reply::Reply;
use super::{Cluster, archive, cloud, cluster_api};
use crate::access::bits;
use crate::storage::{ObjectKey, ObjectRecord};

/// Most entries of a page.
const MAX_PAGE: usize = 10_000;

pub(super) const FLAG_CACHED: u64 = 1;
pub(super) const FLAG_ARCHIVES: u64 = 1 << 3;
pub(super) const FLAG_NAME_ONLY: u64 = 1 << 4;
pub(super) const FLAG_NAME_SIZE: u64 = 1 << 5;
/// Only if the cluster knows the bucket already.
const FLAG_REGISTERED: u64 = 1 << 6;
/// The cluster does not get to know the bucket by this.
const FLAG_DO_NOT_REGISTER: u64 = 1 << 8;
pub(super) const FLAG_NOT_CACHED: u64 = 1 << 9;
pub(super) const FLAG_ONLY_REMOTE: u64 = 1 << 10;
pub(super) const FLAG_NO_RECURSION: u64 = 1 << 11;
pub(super) const FLAG_DIFF: u64 = 1 << 12;
const FLAG_NO_DIRS: u64 = 1 << 13;
const FLAG_INVENTORY: u64 = 1 << 15;

/// Entry flag: the object is in the cluster.
pub(super) const ENTRY_CACHED: u16 = 64;
/// Entry flag: a member of an archive.
const ENTRY_MEMBER: u16 = 128;
/// Entry flag: a virtual directory.
pub(super) const ENTRY_DIRECTORY: u16 = 256;
/// Entry flag: an archive whose members follow.
const ENTRY_ARCHIVE: u16 = 512;
/// Entry flag: the copy is not what its origin has now.
pub(super) const ENTRY_CHANGED: u16 = 1024;
/// Entry flag: the origin has it no more.
pub(super) const ENTRY_GONE: u16 = 2048;
/// Entry flag: stored in chunks.
const ENTRY_CHUNKED: u16 = 8192;

static MESSAGE: Struct = Struct {
    name: "apc.LsoMsg",
    fields: &[
        ("uuid", "UUID", Schema::Text),
        ("props", "Props", Schema::Text),
        ("time_format", "TimeFormat", Schema::Text),
        ("prefix", "Prefix", Schema::Text),
        ("start_after", "StartAfter", Schema::Text),
        ("continuation_token", "ContinuationToken", Schema::Text),
        ("target", "SID", Schema::Text),
        ("flags", "Flags", Schema::QuotedInteger),
        ("pagesize", "PageSize", Schema::Integer),
    ],
    strict: false,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    uuid: String,
    props: String,
    time_format: String,
    pub(super) prefix: String,
    pub(super) start_after: String,
    pub(super) continuation_token: String,
    target: String,
    flags: String,
    pub(super) pagesize: i64,
}

impl Message {
    /// The flags, with those that properties and other flags stand for.
    fn effective_flags(&self) -> u64 {
        let asked: u64 = self.flags.parse().unwrap_or(0);
        let implied = match self.props.as_str() {
            "" if asked & FLAG_CACHED == 0 => FLAG_NAME_SIZE,
            "name" => FLAG_NAME_ONLY,
            "name,size" => FLAG_NAME_SIZE,
            _ => 0,
        };
        // Archives can be looked into where they are.
        let cached = if asked & FLAG_ARCHIVES == 0 { 0 } else { FLAG_CACHED };
        asked | implied | cached
    }
}

/// One entry in MessagePack; the JSON form has other names.
#[derive(Debug, Default, Serialize)]
pub(super) struct Entry {
    pub(super) n: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) cs: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) a: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) v: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) t: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) m: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) s: u64,
    #[serde(skip_serializing_if = "is_zero16")]
    pub(super) c: u16,
    #[serde(skip_serializing_if = "is_zero16")]
    pub(super) f: u16,
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    checksum: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    atime: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    location: &'a str,
    #[serde(rename = "custom-md", skip_serializing_if = "str::is_empty")]
    custom: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "is_zero16")]
    copies: u16,
    #[serde(skip_serializing_if = "is_zero16")]
    flags: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero16(value: &u16) -> bool {
    *value == 0
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PackedPage<'a> {
    #[serde(rename = "UUID")]
    uuid: &'a str,
    continuation_token: &'a str,
    entries: &'a [Entry],
    flags: u64,
}

#[derive(Serialize)]
struct JsonPage<'a> {
    uuid: &'a str,
    continuation_token: &'a str,
    entries: Option<Vec<JsonEntry<'a>>>,
    flags: u64,
}

/// The properties to be filled in.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one per property")]
pub(super) struct Wanted {
    pub(super) size: bool,
    version: bool,
    checksum: bool,
    atime: bool,
    copies: bool,
    pub(super) custom: bool,
    location: bool,
    time_format: String,
}

impl Wanted {
    fn new(props: &str, flags: u64, time_format: String) -> Self {
        let props = match props {
            "" if flags & FLAG_CACHED != 0 => "name,size,checksum,atime",
            "" => "name,size,cached",
            other => other,
        };
        let layout = if time_format.is_empty() { gotime::RFC822.to_owned() } else { time_format };
        let wanted = Self { time_format: layout, ..Self::default() };
        if flags & FLAG_NAME_ONLY != 0 {
            return wanted;
        }
        if flags & FLAG_NAME_SIZE != 0 {
            return Self { size: true, ..wanted };
        }
        // The original looks for the words anywhere in the text.
        let has = |word: &str| props.contains(word);
        Self {
            size: has("size"),
            version: has("version"),
            checksum: has("checksum"),
            atime: has("atime"),
            copies: has("copies"),
            custom: has("custom"),
            location: has("location"),
            ..wanted
        }
    }
}

/// The bucket that a `list` action is about, as its flags want it to be found.
pub(crate) async fn bucket(cx: &Cx, name: &BucketName, action: &Action) -> Result<Arc<Bucket>> {
    let flags = action.value["flags"].as_str().and_then(|f| f.parse().ok()).unwrap_or(0_u64);
    let known = cx.cluster.buckets.find(name).is_some();
    if !known && name.provider != Provider::Ais && flags & FLAG_REGISTERED != 0 {
        return Err(cloud::unregistered(name));
    }
    if known || flags & FLAG_DO_NOT_REGISTER == 0 {
        cloud::admit(cx, name).await?;
    } else if let Some(bucket) = cloud::peek(cx, name) {
        let message: Message = serde_json::from_value(action.value.clone()).unwrap_or_default();
        let props = &message.props;
        if !cloud::list::only_remote(props, message.effective_flags()) {
            return Err(Fail::bad(format!(
                "cannot list remote and not-in-cluster bucket {name} for not-only-remote object properties: {props:?}"
            )));
        }
        guard::check(cx, Some(&bucket), bits::OBJ_LIST, Form::Wrapped)?;
        return Ok(bucket);
    }
    guard::bucket(cx, name, bits::OBJ_LIST)
}

/// Answers a `list` action on a bucket.
pub(crate) async fn list_objects(cx: &Cx, bucket: Arc<Bucket>, action: &Action) -> Result<Reply> {
    let message: Message = decode_value(action, Schema::Struct(&MESSAGE), &cx.node_name())?;
    let flags = message.effective_flags();
    let remote = cloud::behind(cx.cluster.cloud.as_ref(), &bucket).is_some();
    check(cx, &bucket, &message, flags, remote)?;
    let uuid = if message.uuid.is_empty() { short_id() } else { message.uuid.clone() };
    if flags & FLAG_INVENTORY != 0 {
        let (entries, token) = cloud::inventory::list(cx, &bucket, message, flags).await?;
        return answer(cx, &uuid, &token, &entries);
    }
    let elsewhere = remote && flags & FLAG_CACHED == 0;
    let max = if elsewhere { cloud::list::MAX_PAGE } else { MAX_PAGE };
    let page = message.pagesize.try_into().map_or(max, |n: usize| if n == 0 { max } else { n.min(max) });
    let query = PageQuery {
        only_remote: cloud::list::only_remote(&message.props, flags),
        wanted: Wanted::new(&message.props, flags, message.time_format),
        prefix: message.prefix.strip_suffix('*').unwrap_or(&message.prefix).to_owned(),
        token: message.continuation_token,
        start_after: message.start_after,
        flat: flags & FLAG_NO_RECURSION == 0,
        no_dirs: flags & FLAG_NO_DIRS != 0,
        archives: flags & FLAG_ARCHIVES != 0,
        page,
        flags,
    };
    let cluster = Arc::clone(&cx.cluster);
    // Up to 10,000 entries: long enough to keep a connection's thread from its other work.
    let listed = tokio::task::spawn_blocking(move || {
        if elsewhere {
            return cloud::list::page(&cluster, &bucket, &query);
        }
        let Page { entries, count, last } = collect(&cluster, &bucket, &query)?;
        Ok((entries, if count == query.page { last } else { String::new() }))
    });
    let (mut entries, token) =
        listed.await.map_err(|e| Fail::new(http::StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))??;
    // Members come behind neighbours of their archive whose names go on with a character below the slash.
    entries.sort_by(|a, b| a.n.cmp(&b.n));
    answer(cx, &uuid, &token, &entries)
}

fn answer(cx: &Cx, uuid: &str, token: &str, entries: &[Entry]) -> Result<Reply> {
    let packed = cx.header(ACCEPT.as_str()).is_some_and(|a| a.contains("application/msgpack"));
    if packed { pack(uuid, token, entries) } else { Ok(json(uuid, token, entries)) }
}

fn check(cx: &Cx, bucket: &Bucket, message: &Message, flags: u64, remote: bool) -> Result<()> {
    let name = &bucket.name;
    let relayed = |fail: Fail| {
        let node = cx.cluster.targets[0].name();
        fail.relayed(Relayed { method: "GET", path: cx.path.clone(), caller: cx.node_name(), node })
    };
    if remote {
        check_remote(bucket, message, flags)?;
    } else if flags & FLAG_NOT_CACHED != 0 {
        return Err(Fail::bad(format!("{name} is not a remote bucket - cannot list 'not cached' objects")));
    }
    if flags & FLAG_DIFF != 0 && !remote {
        return Err(Fail::bad(format!(
            "cannot perform remote versions check (or diff vs remote bucket): bucket {name} does not provide remote \
             versioning info"
        )));
    }
    if flags & FLAG_INVENTORY != 0 {
        cloud::inventory::check_list(name, message, flags)?;
    }
    check_prefix(&message.prefix)?;
    if message.pagesize < 0 {
        return Err(Fail::bad(format!("page size {} is negative", message.pagesize)));
    }
    if !message.target.is_empty() && !cx.cluster.targets.iter().any(|t| t.id == message.target) {
        let node = cx.cluster.targets[0].name();
        let message = format!(
            "{node}: list-objects failure: node {} not present in Smap v{}",
            message.target,
            cluster_api::SMAP_VERSION
        );
        return Err(relayed(Fail::bad(message).tcode("errNodeNotFound")));
    }
    Ok(())
}

/// What listings of remote buckets cannot do.
fn check_remote(bucket: &Bucket, message: &Message, flags: u64) -> Result<()> {
    if !message.start_after.is_empty() && flags & (FLAG_CACHED | FLAG_INVENTORY) == 0 {
        return Err(Fail::bad(format!(
            "list-objects option --start_after ({}) not yet supported for remote buckets ({})",
            message.start_after,
            bucket.numbered()
        )));
    }
    if flags & FLAG_DIFF == 0 {
        return Ok(());
    }
    let short = flags & (FLAG_NAME_ONLY | FLAG_NAME_SIZE) != 0;
    let why = if short || !message.props.contains("custom") {
        "without listing \"custom\" (object property)"
    } else if flags & FLAG_NOT_CACHED != 0 {
        "when apc.LsNotCached (CLI '--not-cached') is set"
    } else if flags & FLAG_CACHED != 0 {
        "when apc.LsCached (CLI '--cached') is set"
    } else {
        return Ok(());
    };
    Err(Fail::bad(format!("cannot perform remote versions check (or diff vs remote bucket) {why}")))
}

/// What a page is to hold.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per option of the request")]
pub(super) struct PageQuery {
    pub(super) wanted: Wanted,
    pub(super) prefix: String,
    pub(super) token: String,
    start_after: String,
    pub(super) flat: bool,
    /// Without virtual directories, which only remote buckets know how to leave out.
    pub(super) no_dirs: bool,
    /// The cluster's copies are not looked at.
    pub(super) only_remote: bool,
    /// Archives are followed by their members, which do not count towards the page.
    archives: bool,
    pub(super) page: usize,
    pub(super) flags: u64,
}

impl PageQuery {
    /// Asks for all that lies behind a cloud bucket, as its origin tells it.
    pub(super) fn of_origin(prefix: &str, props: &str, flags: u64) -> Self {
        Self {
            wanted: Wanted::new(props, flags, String::new()),
            prefix: prefix.strip_suffix('*').unwrap_or(prefix).to_owned(),
            token: String::new(),
            start_after: String::new(),
            flat: true,
            no_dirs: true,
            only_remote: true,
            archives: false,
            page: cloud::list::MAX_PAGE,
            flags,
        }
    }
}

/// What a name is in a listing of one level.
#[derive(Debug, PartialEq, Eq)]
enum Level<'a> {
    Object,
    /// The virtual directory that stands for the name, with its trailing slash.
    Directory(&'a str),
}

/// Places a name that starts with `prefix` in the level that the prefix opens.
///
/// A prefix without trailing slash opens two: the rest of its own level, and the directory of exactly that name.
fn level<'a>(name: &'a str, prefix: &str) -> Level<'a> {
    let within = |base: usize| match name[base..].find('/') {
        Some(slash) => Level::Directory(&name[..=base + slash]),
        None => Level::Object,
    };
    if prefix.is_empty() || prefix.ends_with('/') {
        return within(prefix.len());
    }
    if name[prefix.len()..].starts_with('/') {
        return within(prefix.len() + 1);
    }
    within(prefix.rfind('/').map_or(0, |slash| slash + 1))
}

/// The smallest name behind everything in a directory (given with its slash).
fn behind(directory: &str) -> String {
    // '0' is the byte after '/'.
    format!("{}0", directory.trim_end_matches('/'))
}

/// A page as it fills.
#[derive(Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    /// Entries without members of archives.
    count: usize,
    /// Name of the last of these.
    last: String,
}

impl Page {
    fn push(&mut self, entry: Entry) {
        self.count += 1;
        self.last.clone_from(&entry.n);
        self.entries.push(entry);
    }

    /// Adds the members of the last entry if it is an archive.
    fn push_members(&mut self, cluster: &Cluster, bucket: &Bucket) -> Result<()> {
        let Some(archive) = self.entries.last_mut() else { return Ok(()) };
        let key = ObjectKey::new(bucket.id, 0, &archive.n);
        let Some(members) = archive::members(&cluster.storage, &key)? else { return Ok(()) };
        archive.f |= ENTRY_ARCHIVE;
        self.entries.extend(members.into_iter().map(|(name, size)| Entry {
            n: format!("{}/{name}", self.last),
            s: size,
            f: ENTRY_CACHED | ENTRY_MEMBER,
            ..Entry::default()
        }));
        Ok(())
    }
}

fn collect(cluster: &Cluster, bucket: &Bucket, query: &PageQuery) -> Result<Page> {
    let walk = cluster.storage.snapshot()?.walk(bucket.id)?;
    let mut from = query.prefix.clone();
    if !query.token.is_empty() {
        let is_directory = !query.flat && query.token.ends_with('/');
        from = from.max(if is_directory { behind(&query.token) } else { format!("{}\0", query.token) });
    }
    if query.flat && !query.start_after.is_empty() {
        from = from.max(format!("{}\0", query.start_after));
    }
    let mut page = Page::default();
    loop {
        let mut jump = None;
        for item in walk.from(&from)? {
            let (name, record) = item?;
            if page.count == query.page || !name.starts_with(&query.prefix) {
                return Ok(page);
            }
            // Stored and readable, but never listed.
            if name.contains("//") {
                continue;
            }
            if !query.flat
                && let Level::Directory(directory) = level(&name, &query.prefix)
            {
                page.push(Entry { n: directory.to_owned(), f: ENTRY_DIRECTORY, ..Entry::default() });
                jump = Some(behind(directory));
                break;
            }
            if !query.start_after.is_empty() && name <= query.start_after {
                continue;
            }
            page.push(entry(cluster, bucket, name, &record, &query.wanted));
            if query.archives {
                page.push_members(cluster, bucket)?;
            }
        }
        match jump {
            Some(next) => from = next,
            None => return Ok(page),
        }
    }
}

/// The entry of an object that the cluster holds.
pub(super) fn entry(
    cluster: &Cluster,
    bucket: &Bucket,
    name: String,
    record: &ObjectRecord,
    wanted: &Wanted,
) -> Entry {
    let text = |wanted: bool, text: &dyn Fn() -> String| if wanted { text() } else { String::new() };
    Entry {
        cs: text(wanted.checksum, &|| record.checksum.as_ref().map_or_else(String::new, |c| c.value.clone())),
        a: text(wanted.atime, &|| gotime::format(record.atime, &wanted.time_format)),
        v: text(wanted.version, &|| record.version.map_or_else(String::new, |v| v.to_string())),
        t: text(wanted.location, &|| location(&cluster.targets[cluster.place(bucket, &name)], &name)),
        m: text(wanted.custom, &|| custom(record)),
        s: if wanted.size { record.size } else { 0 },
        c: u16::from(wanted.copies),
        f: ENTRY_CACHED | if record.chunked { ENTRY_CHUNKED } else { 0 },
        n: name,
    }
}

/// `[key:value key2:value2]`.
fn custom(record: &ObjectRecord) -> String {
    if record.custom.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> = record.custom.iter().map(|(k, v)| format!("{k}:{v}")).collect();
    format!("[{}]", pairs.join(" "))
}

fn pack(uuid: &str, token: &str, entries: &[Entry]) -> Result<Reply> {
    let page = PackedPage { uuid, continuation_token: token, entries, flags: 0 };
    let bytes = rmp_serde::to_vec_named(&page)
        .map_err(|e| Fail::new(http::StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(Reply::ok().with(CONTENT_TYPE, "application/msgpack").body(bytes))
}

fn json(uuid: &str, token: &str, entries: &[Entry]) -> Reply {
    let entries: Vec<_> = entries
        .iter()
        .map(|e| JsonEntry {
            name: &e.n,
            checksum: &e.cs,
            atime: &e.a,
            version: &e.v,
            location: &e.t,
            custom: &e.m,
            size: (e.s > 0).then(|| e.s.to_string()),
            copies: e.c,
            flags: e.f,
        })
        .collect();
    let entries = (!entries.is_empty()).then_some(entries);
    let page = JsonPage { uuid, continuation_token: token, entries, flags: 0 };
    Reply::json(serde_json::to_string(&page).unwrap_or_default() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (name, prefix, expected) in [
            ("0", "", Level::Object),
            ("a/1", "", Level::Directory("a/")),
            ("a/1", "a/", Level::Object),
            ("a/sub/3", "a/", Level::Directory("a/sub/")),
            ("a/1", "a", Level::Object),
            ("a/sub/3", "a", Level::Directory("a/sub/")),
            ("ab", "a", Level::Object),
            ("abc/1", "a", Level::Directory("abc/")),
            ("c/d/e/f.txt", "c/d", Level::Directory("c/d/e/")),
            ("c/dd/x", "c/d", Level::Directory("c/dd/")),
        ] {
            assert_eq!(level(name, prefix), expected, "{name} under {prefix:?}");
        }
        assert_eq!(behind("a/b/"), "a/b0");
    }

    #[test]
    fn property_selection() {
        let wanted = |props, flags| Wanted::new(props, flags, String::new());
        assert!(wanted("", 0).size && !wanted("", 0).checksum);
        assert!(wanted("", FLAG_CACHED).checksum && wanted("", FLAG_CACHED).atime);
        assert!(!wanted("name,size", FLAG_NAME_ONLY).size);
        assert!(wanted("name, version", 0).version && !wanted("name, version", 0).size);
    }
}
