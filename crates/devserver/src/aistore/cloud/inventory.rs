//! Native bucket inventories: the names of a remote bucket as they were at one time, to be listed without asking its
//! origin. A bucket has one at most.
//!
//! An inventory is a row whose bodies are its chunks, each a list of names in order; it is there whole or not at all.

use std::io::BufReader;
use std::sync::Arc;

use http::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::list::page;
use crate::aistore::actmsg::{Action, decode_value};
use crate::aistore::buckets::Bucket;
use crate::aistore::cluster_api::SMAP_VERSION;
use crate::aistore::error::{Fail, Relayed, Result};
use crate::aistore::gojson::{Schema, Struct};
use crate::aistore::ids::now;
use crate::aistore::jobs::Report;
use crate::aistore::list::{
    ENTRY_DIRECTORY, Entry, FLAG_ARCHIVES, FLAG_CACHED, FLAG_DIFF, FLAG_NO_RECURSION, FLAG_NOT_CACHED,
    FLAG_ONLY_REMOTE, Message, PageQuery,
};
use crate::aistore::names::BucketName;
use crate::aistore::node::Cx;
use crate::aistore::reply::Reply;
use crate::aistore::{Cluster, cloud};
use crate::storage::{BodyWriter, Row, StorageError, Tables};

const INVENTORY_NAME: HeaderName = HeaderName::from_static("ais-inv-name");
/// Names in a chunk: by default, at least and at most.
const CHUNK: i64 = 20_000;
const CHUNK_RANGE: std::ops::RangeInclusive<i64> = 2..=640_000;
/// Longest name of an inventory.
const MAX_NAME: usize = 64;

/// Listing flags that are about what the cluster has, or about other ways to list; names and bits.
const MISSING: u64 = 1 << 1;
const DELETED: u64 = 1 << 2;
const REGISTERED: u64 = 1 << 6;
const DO_NOT_ASK: u64 = 1 << 7;
const DO_NOT_REGISTER: u64 = 1 << 8;
const OVER_S3: u64 = 1 << 14;
const NOT_LISTED: u64 = FLAG_NOT_CACHED | MISSING | DELETED | FLAG_ARCHIVES | FLAG_ONLY_REMOTE | FLAG_DIFF;
const NOT_CREATED: u64 =
    NOT_LISTED | FLAG_CACHED | REGISTERED | DO_NOT_ASK | DO_NOT_REGISTER | FLAG_NO_RECURSION | OVER_S3;

static CREATE: Struct = Struct {
    name: "apc.CreateNBIMsg",
    fields: &[
        ("name", "Name", Schema::Text),
        ("uuid", "LsoMsg: UUID", Schema::Text),
        ("props", "LsoMsg: Props", Schema::Text),
        ("time_format", "LsoMsg: TimeFormat", Schema::Text),
        ("prefix", "LsoMsg: Prefix", Schema::Text),
        ("start_after", "LsoMsg: StartAfter", Schema::Text),
        ("continuation_token", "LsoMsg: ContinuationToken", Schema::Text),
        ("target", "LsoMsg: SID", Schema::Text),
        ("flags", "LsoMsg: Flags", Schema::QuotedInteger),
        ("pagesize", "LsoMsg: PageSize", Schema::Integer),
        ("names_per_chunk", "NamesPerChunk", Schema::Integer),
        ("force", "Force", Schema::Bool),
    ],
    strict: false,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    name: String,
    prefix: String,
    props: String,
    flags: String,
    start_after: String,
    continuation_token: String,
    names_per_chunk: i64,
    force: bool,
}

impl Options {
    fn flags(&self) -> u64 {
        self.flags.parse().unwrap_or(0)
    }

    fn check(&self) -> Result<()> {
        let bad = |why: String| Err(Fail::bad(format!("invalid 'create-inventory': {why}")));
        if !self.continuation_token.is_empty() {
            return bad("continuation_token must be empty".into());
        }
        if !self.start_after.is_empty() {
            return bad("start_after is not supported".into());
        }
        if self.flags() & NOT_CREATED != 0 {
            return bad(format!("flags {} are about another kind of listing", self.flags() & NOT_CREATED));
        }
        let (n, least, most) = (self.names_per_chunk, CHUNK_RANGE.start(), CHUNK_RANGE.end());
        if n != 0 && !CHUNK_RANGE.contains(&n) {
            return bad(format!("names_per_chunk={n} is not between {least} and {most}"));
        }
        check_name(&self.name)
    }

    fn chunk(&self) -> usize {
        let names = if self.names_per_chunk == 0 { CHUNK } else { self.names_per_chunk };
        usize::try_from(names).unwrap_or(usize::MAX)
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.len() > MAX_NAME {
        return Err(Fail::bad(format!(
            "inventory name is too long: {} > {MAX_NAME}(max length)",
            name.len()
        )));
    }
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(valid) || name.contains("..") {
        return Err(Fail::bad(
            "inventory name is invalid: may only contain letters, numbers, dashes (-), underscores (_), and dots (.)",
        ));
    }
    Ok(())
}

/// What is kept of an inventory beside its chunks.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Inventory {
    name: String,
    prefix: String,
    /// Nanoseconds since the epoch.
    started: i64,
    finished: i64,
    names: u64,
    /// The chunks that the targets would have written, each its own.
    chunks: u64,
    /// The last name of each chunk here.
    lasts: Vec<String>,
}

/// A name in a chunk: size, checksum and metadata as they were asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Line(String, u64, String, String);

fn key(uname: &str) -> Vec<u8> {
    format!("aistore/inventory/{uname}").into_bytes()
}

fn find(cluster: &Cluster, bucket: &BucketName) -> Result<Option<Row<Inventory>>> {
    Ok(cluster.storage.snapshot()?.row(&key(&bucket.uname()))?)
}

/// Removes the inventory of a bucket that is no more.
pub(in crate::aistore) fn forget(
    tables: &mut Tables<'_>,
    uname: &str,
) -> std::result::Result<(), StorageError> {
    tables.remove_row::<Inventory>(&key(uname)).map(drop)
}

/// `create-inventory`.
pub(in crate::aistore) async fn create(cx: &Cx, bucket: Arc<Bucket>, action: &Action) -> Result<Reply> {
    let node = cx.cluster.targets[0].name();
    let relayed = |fail: Fail| {
        let (path, caller) = ("/v1/txn/begin".to_owned(), cx.node_name());
        fail.relayed(Relayed { method: "POST", path, caller, node: node.clone() })
    };
    let name = bucket.name.clone();
    if cloud::behind(cx.cluster.cloud.as_ref(), &bucket).is_none() {
        // The targets of the original die.
        return Err(Fail::bad(format!("create-inventory: expecting remote bucket (have {name})"))
            .tcode("ErrNotRemoteBck"));
    }
    let options: Options = decode_value(action, Schema::Struct(&CREATE), &node).map_err(&relayed)?;
    options.check().map_err(&relayed)?;
    if let Some(known) = find(&cx.cluster, &name)?.filter(|_| !options.force) {
        return Err(relayed(Fail::bad(format!(
            "inventory for bucket {name} already exists: [{}{}]\n(only one inventory per bucket is supported, use CLI \
             '--force' or 'CreateNBIMsg.Force' to override)",
            name.uname(),
            known.value.name
        ))));
    }
    let id = cx.cluster.jobs.new_id("create-inventory");
    let started = now();
    let title = if options.name.is_empty() { id.clone() } else { options.name.clone() };
    let cluster = Arc::clone(&cx.cluster);
    let gathered = tokio::task::spawn_blocking(move || gather(&cluster, &bucket, &options, title, started));
    let (inventory, bodies) = gathered.await.map_err(std::io::Error::other)??;
    let mut report = Report { bucket: Some(name.clone()), ..Report::default() };
    report.objects = inventory.names;
    let key = key(&name.uname());
    let stored = cx.cluster.storage.write(move |t| {
        let pieces: Vec<_> = bodies.iter().map(BodyWriter::piece).collect();
        t.put_row(&key, &inventory, &pieces)?;
        for body in bodies {
            body.keep();
        }
        Ok(())
    });
    stored.await?;
    Ok(Reply::text(cx.cluster.jobs.record_as("create-inventory", id, started, report)))
}

/// Writes the names at a bucket's origin into chunks.
fn gather(
    cluster: &Cluster,
    bucket: &Bucket,
    options: &Options,
    name: String,
    started: i64,
) -> Result<(Inventory, Vec<BodyWriter>)> {
    let mut query = PageQuery::of_origin(&options.prefix, &options.props, options.flags());
    let mut inventory = Inventory {
        name,
        prefix: options.prefix.clone(),
        started,
        finished: 0,
        names: 0,
        chunks: 0,
        lasts: Vec::new(),
    };
    let (mut bodies, mut lines) = (Vec::new(), Vec::new());
    let mut of_target = vec![0; cluster.targets.len()];
    loop {
        let (entries, token) = page(cluster, bucket, &query)?;
        // A name with a slash at its end stands for a directory.
        for entry in entries.into_iter().filter(|entry| !entry.n.ends_with('/')) {
            of_target[cluster.place(bucket, &entry.n)] += 1;
            lines.push(Line(entry.n, entry.s, entry.cs, entry.m));
            if lines.len() == options.chunk() {
                write_chunk(cluster, &mut inventory, &mut bodies, &mut lines)?;
            }
        }
        if token.is_empty() {
            break;
        }
        query.token = token;
    }
    write_chunk(cluster, &mut inventory, &mut bodies, &mut lines)?;
    inventory.chunks = of_target.iter().map(|names: &usize| names.div_ceil(options.chunk()) as u64).sum();
    inventory.finished = now();
    Ok((inventory, bodies))
}

fn write_chunk(
    cluster: &Cluster,
    inventory: &mut Inventory,
    bodies: &mut Vec<BodyWriter>,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let Some(last) = lines.last().map(|line| line.0.clone()) else { return Ok(()) };
    let mut body = cluster.storage.create_body()?;
    let packed = rmp_serde::to_vec(&*lines).map_err(std::io::Error::other)?;
    body.write(&packed)?;
    body.finish()?;
    inventory.names += lines.len() as u64;
    inventory.lasts.push(last);
    bodies.push(body);
    lines.clear();
    Ok(())
}

/// `show-inventory`: those of some buckets, or the one of this name.
pub(in crate::aistore) fn show(cx: &Cx, buckets: &[Arc<Bucket>], wanted: &str) -> Result<Reply> {
    let mut shown = serde_json::Map::new();
    for bucket in buckets {
        let Some(Row { value, pieces }) = find(&cx.cluster, &bucket.name)? else { continue };
        if !wanted.is_empty() && value.name != wanted {
            continue;
        }
        let object = format!("{}{}", bucket.name.uname(), value.name);
        let mut entry = json!({
            "bucket": bucket.name.to_string(),
            "name": value.name,
            "obj_name": object,
            "size": pieces.iter().map(|p| p.len).sum::<u64>(),
            "started": value.started,
            "finished": value.finished,
            "smap_ver": SMAP_VERSION,
            "nat": cx.cluster.targets.len(),
        });
        // Left out where there is nothing to say.
        if !value.prefix.is_empty() {
            entry["prefix"] = value.prefix.into();
        }
        if value.names > 0 {
            entry["ntotal"] = value.names.into();
            entry["chunks"] = value.chunks.into();
        }
        shown.insert(object, entry);
    }
    Ok(Reply::json(format!("{}\n", serde_json::Value::Object(shown))))
}

/// `destroy-inventory`: the one of this name, or any; that there is none is no error.
pub(in crate::aistore) async fn destroy(cx: &Cx, bucket: &Bucket, wanted: &str) -> Result<Reply> {
    let (key, wanted) = (key(&bucket.name.uname()), wanted.to_owned());
    let removed = cx.cluster.storage.write(move |t| {
        let known = t.row::<Inventory>(&key)?;
        if known.is_some_and(|row| wanted.is_empty() || row.value.name == wanted) {
            t.remove_row::<Inventory>(&key)?;
        }
        Ok(())
    });
    removed.await?;
    Ok(Reply::ok())
}

/// Refuses what a listing of an inventory cannot do.
pub(in crate::aistore) fn check_list(bucket: &BucketName, message: &Message, flags: u64) -> Result<()> {
    let bad = |why: String| {
        Err(Fail::bad(format!(
            "{bucket}: the request to list via native bucket inventory has invalid or unsupported flags: invalid list \
             via native bucket inventory: {why}"
        )))
    };
    if !message.start_after.is_empty() {
        return bad("start_after is not supported".into());
    }
    if flags & NOT_LISTED != 0 {
        return bad(format!("flags {}", flags & NOT_LISTED));
    }
    Ok(())
}

/// A page of a listing, and the name behind which the next one begins.
type Listed = (Vec<Entry>, String);

/// A page of an inventory.
pub(in crate::aistore) async fn list(
    cx: &Cx,
    bucket: &Bucket,
    message: Message,
    flags: u64,
) -> Result<Listed> {
    let wanted = cx.header(INVENTORY_NAME.as_str()).unwrap_or_default().to_owned();
    let node = cx.cluster.targets[0].name();
    let relayed = |fail: Fail| {
        let (path, caller) = (cx.path.clone(), cx.node_name());
        fail.relayed(Relayed { method: "GET", path, caller, node: node.clone() })
    };
    check_name(&wanted).map_err(relayed)?;
    let (cluster, name) = (Arc::clone(&cx.cluster), bucket.name.clone());
    let missing = if wanted.is_empty() {
        Fail::bad(format!("bucket \"{name}\" has no inventories"))
    } else {
        Fail::not_found(format!("{node}: ais://.sys-inventory/{}{wanted} does not exist", name.uname()))
    };
    let listed = tokio::task::spawn_blocking(move || {
        let query = InventoryPage {
            wanted: &wanted,
            prefix: message.prefix.strip_suffix('*').unwrap_or(&message.prefix),
            token: &message.continuation_token,
            size: usize::try_from(message.pagesize).ok().filter(|n| *n > 0),
            flat: flags & FLAG_NO_RECURSION == 0,
        };
        query.of(&cluster, &name)
    });
    listed.await.map_err(std::io::Error::other)??.ok_or_else(|| relayed(missing))
}

/// What a page is to hold.
#[derive(Clone, Copy, Debug)]
struct InventoryPage<'a> {
    /// Name of the inventory, or any.
    wanted: &'a str,
    prefix: &'a str,
    token: &'a str,
    /// Without a size of its own a page is as long as a chunk.
    size: Option<usize>,
    flat: bool,
}

impl InventoryPage<'_> {
    /// True if names up to this one belong to earlier pages, or to none.
    fn is_past(&self, name: &str) -> bool {
        name <= self.token || name < self.prefix
    }

    fn of(&self, cluster: &Cluster, bucket: &BucketName) -> Result<Option<Listed>> {
        let opened = cluster.storage.open_row(&key(&bucket.uname()), |row: &Row<Inventory>| {
            if !self.wanted.is_empty() && row.value.name != self.wanted {
                return Err(());
            }
            let total: u64 = row.pieces.iter().map(|p| p.len).sum();
            let past = row.pieces.iter().zip(&row.value.lasts).take_while(|(_, last)| self.is_past(last));
            let skipped: u64 = past.map(|(piece, _)| piece.len).sum();
            Ok((skipped, total - skipped))
        });
        let Some(Ok((row, reader))) = opened? else { return Ok(None) };
        let mut reader = BufReader::new(reader);
        let mut entries: Vec<Entry> = Vec::new();
        for _ in row.value.lasts.iter().skip_while(|last| self.is_past(last)) {
            let lines: Vec<Line> = rmp_serde::from_read(&mut reader).map_err(std::io::Error::other)?;
            let size = self.size.unwrap_or(lines.len());
            for line in lines {
                let Some(entry) = self.entry(line, entries.last()) else { continue };
                if entries.len() >= size {
                    let token = entries.last().map_or_else(String::new, |last| last.n.clone());
                    return Ok(Some((entries, token)));
                }
                entries.push(entry);
            }
        }
        Ok(Some((entries, String::new())))
    }

    /// The entry that stands for a name, unless that is not of this page or `last` stands for it already.
    fn entry(&self, Line(n, s, cs, m): Line, last: Option<&Entry>) -> Option<Entry> {
        let below = self.token.ends_with('/') && n.starts_with(self.token);
        if self.is_past(&n) || below || !n.starts_with(self.prefix) {
            return None;
        }
        let slash = n[self.prefix.len()..].find('/').filter(|_| !self.flat);
        let Some(slash) = slash else { return Some(Entry { n, cs, m, s, ..Entry::default() }) };
        let directory = &n[..=self.prefix.len() + slash];
        let known = last.is_some_and(|last| last.n == directory);
        (!known).then(|| Entry { n: directory.to_owned(), f: ENTRY_DIRECTORY, ..Entry::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options() {
        for good in ["", "inv-1", "a.b_c"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["a/b", "a..b", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name(&"x".repeat(65)).is_err());
        let refused = |options: Options| options.check().expect_err("refused").message;
        assert!(refused(Options { names_per_chunk: 1, ..Options::default() }).contains("names_per_chunk=1"));
        assert!(refused(Options { flags: "1".into(), ..Options::default() }).contains("flags 1"));
        assert!(refused(Options { start_after: "a".into(), ..Options::default() }).contains("start_after"));
        assert_eq!(Options::default().chunk(), 20_000);
    }

    #[test]
    fn entries_of_a_page() {
        let page = InventoryPage { wanted: "", prefix: "d/", token: "d/b/", size: None, flat: false };
        let line = |name: &str| Line(name.to_owned(), 1, String::new(), String::new());
        let entry = |name: &str, last: Option<&Entry>| page.entry(line(name), last).map(|e| (e.n, e.f));
        assert_eq!(entry("d/a", None), None, "before the token");
        assert_eq!(entry("d/b/1", None), None, "below it");
        assert_eq!(entry("e", None), None, "another prefix");
        assert_eq!(entry("d/c", None), Some(("d/c".into(), 0)));
        let directory = page.entry(line("d/c/1"), None);
        assert_eq!(directory.as_ref().map(|e| e.n.as_str()), Some("d/c/"));
        assert_eq!(entry("d/c/2", directory.as_ref()), None, "stands for it already");
    }
}
