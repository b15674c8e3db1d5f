//! Calls on whole buckets that run as jobs: copy, rename, rechunk, copies, erasure coding; summaries.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use http::StatusCode;
use http::header::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::actmsg::{Action, decode_value};
use super::buckets::Bucket;
use super::cloud;
use super::cloud::object::{Freshness, open};
use super::error::{Fail, Relayed, Result};
use super::gateway::bucket;
use super::gojson::{Schema, Struct};
use super::guard::{self, Form};
use super::ids::{now, short_id};
use super::jobs::Report;
use super::names::{BucketName, Provider};
use super::node::Cx;
use super::objects::{self, Object};
use super::props;
use super::reply::Reply;
use super::target::locate;
use crate::access::bits;
use crate::sync::lock;

/// Names taken from the walk at a time while a whole bucket is processed.
const STEP: usize = 1000;
/// Disks of a target, for the limits on copies.
const MOUNT_PATHS: u64 = 2;
/// What the disks pretend to hold.
const DISK_SIZE: u64 = 1 << 38;

/// A summary that was asked for: of a bucket or all, below a prefix.
#[derive(Clone, Debug)]
struct Summary {
    bucket: Option<BucketName>,
    prefix: String,
    /// What is not in the cluster counts too.
    origin: bool,
}

/// Summaries between their calls.
#[derive(Debug, Default)]
pub(crate) struct Summaries {
    map: Mutex<HashMap<String, Summary>>,
}

/// Goes through the objects of a bucket, in steps that hold no snapshot in between.
#[derive(Debug)]
pub(crate) struct Cursor {
    bucket: Arc<Bucket>,
    prefix: String,
    /// Where the next step begins; `None` at the end.
    from: Option<String>,
    names: VecDeque<(String, u64)>,
    /// What was written later is passed over.
    as_of: i64,
    /// Goes through what the bucket's origin has, if it is a remote one, instead of the cluster's copies.
    origin: bool,
}

impl Cursor {
    pub(crate) fn new(bucket: &Arc<Bucket>, prefix: &str) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            prefix: prefix.to_owned(),
            from: Some(prefix.to_owned()),
            names: VecDeque::new(),
            as_of: i64::MAX,
            origin: false,
        }
    }

    /// Goes through the objects of a remote bucket where they come from.
    pub(crate) fn at_origin(self, origin: bool) -> Self {
        Self { origin, ..self }
    }

    /// Passes over what is written after `time`, such as the walker's own copies.
    pub(crate) fn written_by(self, time: i64) -> Self {
        Self { as_of: time, ..self }
    }

    /// The next object and its size.
    pub(crate) fn next(&mut self, cx: &Cx) -> Result<Option<(Object, u64)>> {
        if self.names.is_empty() {
            self.step(cx)?;
        }
        let Some((name, size)) = self.names.pop_front() else { return Ok(None) };
        let target = cx.cluster.place(&self.bucket, &name);
        Ok(Some((locate(cx, Arc::clone(&self.bucket), &name, target), size)))
    }

    fn step(&mut self, cx: &Cx) -> Result<()> {
        let Some(from) = self.from.take() else { return Ok(()) };
        if let Some((cloud, bucket)) =
            cloud::behind(cx.cluster.cloud.as_ref(), &self.bucket).filter(|_| self.origin)
        {
            let after = from.strip_suffix('\0').unwrap_or_default();
            let found = cloud.objects(bucket, &self.prefix, after, STEP)?;
            self.names.extend(found.into_iter().map(|entry| (entry.name, entry.size)));
            if self.names.len() == STEP {
                self.from = self.names.back().map(|(last, _)| format!("{last}\0"));
            }
            return Ok(());
        }
        let walk = cx.cluster.storage.snapshot()?.walk(self.bucket.id)?;
        for item in walk.from(&from)? {
            let (name, record) = item?;
            if !name.starts_with(&self.prefix) {
                return Ok(());
            }
            if record.mtime > self.as_of {
                continue;
            }
            self.names.push_back((name, record.size));
            if self.names.len() == STEP {
                self.from = self.names.back().map(|(last, _)| format!("{last}\0"));
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Options of copies, of whole buckets and of selections.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CopyOptions {
    ext: Option<HashMap<String, String>>,
    pub(crate) prefix: String,
    prepend: String,
    pub(crate) dry_run: bool,
    pub(crate) synchronize: bool,
    #[serde(rename = "latest-ver")]
    latest: bool,
    #[serde(rename = "num-workers")]
    pub(crate) workers: i64,
}

pub(crate) static COPY: Struct = Struct {
    name: "apc.TCBMsg",
    fields: &[
        ("ext", "Ext", Schema::TextMap),
        ("prefix", "Prefix", Schema::Text),
        ("prepend", "Prepend", Schema::Text),
        ("dry_run", "DryRun", Schema::Bool),
        ("force", "Force", Schema::Bool),
        ("latest-ver", "LatestVer", Schema::Bool),
        ("synchronize", "Sync", Schema::Bool),
        ("num-workers", "NumWorkers", Schema::Integer),
        ("coer", "ContinueOnError", Schema::Bool),
    ],
    strict: false,
};

impl CopyOptions {
    /// Refuses what cannot go together.
    pub(crate) fn check(&self) -> Result<()> {
        if self.synchronize && !self.prepend.is_empty() {
            return Err(Fail::bad(format!(
                "prepend option ({:?}) is incompatible with the request to synchronize buckets",
                self.prepend
            )));
        }
        Ok(())
    }

    /// How a remote source is looked at.
    pub(crate) fn freshness(&self) -> Freshness {
        Freshness::asked(self.latest, self.synchronize)
    }

    /// Where an object goes: its extension exchanged, then the prefix put in front.
    pub(crate) fn destination(&self, name: &str) -> String {
        let mut name = name.to_owned();
        if let Some(map) = &self.ext
            && let Some(dot) = name.rfind('.')
            && let Some(new) = map.get(&name[dot + 1..])
        {
            name.truncate(dot + 1);
            name.push_str(new.trim_start_matches('.'));
        }
        format!("{}{name}", self.prepend)
    }
}

/// The destination that `bck_to` names.
fn destination(cx: &Cx) -> Result<BucketName> {
    let text = cx.query.value("bck_to");
    if text.is_empty() {
        return Err(Fail::bad("missing \"bck_to\" query parameter"));
    }
    Ok(BucketName::parse_uname(text)?.0)
}

/// The bucket to copy into, created like the source if it is missing.
pub(crate) async fn ensure_destination(cx: &Cx, from: &Bucket, to: &BucketName) -> Result<Arc<Bucket>> {
    if to.provider != Provider::Ais || !to.namespace.uuid.is_empty() {
        cloud::admit(cx, to).await?;
        let found = bucket(cx, to)?;
        guard::check(cx, Some(&found), bits::PUT, Form::Wrapped)?;
        return Ok(found);
    }
    if let Some(found) = cx.cluster.buckets.find(to) {
        guard::check(cx, Some(&found), bits::PUT, Form::Wrapped)?;
        return Ok(found);
    }
    guard::cluster(cx, bits::CREATE_BUCKET)?;
    // A copy of a cloud's bucket is the cluster's own.
    let like = (from.name.provider == Provider::Ais).then(|| from.settings());
    cx.cluster.buckets.create(to, like, &Value::Null).await
}

/// `copy-bck`.
pub(crate) async fn copy(cx: &Cx, name: &BucketName, action: &Action) -> Result<Reply> {
    let from = bucket(cx, name)?;
    let to = destination(cx)?;
    let options: CopyOptions = decode_value(action, Schema::Struct(&COPY), &cx.node_name())?;
    options.check()?;
    if to == *name && !options.dry_run {
        return Err(Fail::bad(format!("cannot copy-bck bucket \"{name}\" onto itself")));
    }
    if to.provider != Provider::Ais {
        cloud::admit(cx, &to).await?;
        bucket(cx, &to)?;
    }
    // Without this filter only what the cluster has is copied.
    let origin =
        from.remote().is_some() && cx.query.get("presence").is_some_and(|p| matches!(p, "0" | "1" | "5"));
    let started = now();
    let mut report = Report {
        bucket: Some(to.clone()),
        from: Some(name.clone()),
        to: Some(to.clone()),
        workers: u64::try_from(options.workers).unwrap_or(0),
        ..Report::default()
    };
    let into = if options.dry_run { None } else { Some(ensure_destination(cx, &from, &to).await?) };
    let prefix = options.prefix.strip_suffix('*').unwrap_or(&options.prefix).to_owned();
    let mut cursor = Cursor::new(&from, &prefix).at_origin(origin);
    while let Some((object, size)) = cursor.next(cx)? {
        report.add(size);
        let Some(into) = &into else { continue };
        let source = match open(cx, &object, options.freshness()).await {
            // Gone since it was listed, or since it was fetched.
            Err(fail) if fail.status == StatusCode::NOT_FOUND => continue,
            other => other?,
        };
        let name = options.destination(&object.key.name);
        let target = cx.cluster.place(into, &name);
        objects::copy_source(cx, source, &locate(cx, Arc::clone(into), &name, target)).await?;
    }
    if let (true, Some(into)) = (options.synchronize, &into) {
        remove_vanished(cx, &from, into, &options.prefix, |_| true).await?;
    }
    let kind = if origin { "copy-listrange" } else { "copy-bck" };
    Ok(Reply::text(cx.cluster.jobs.record(kind, started, report)))
}

/// Removes from the destination what the source does not have, among the names that are taken.
pub(crate) async fn remove_vanished(
    cx: &Cx,
    from: &Arc<Bucket>,
    into: &Arc<Bucket>,
    prefix: &str,
    takes: impl Fn(&str) -> bool,
) -> Result<()> {
    let mut cursor = Cursor::new(into, prefix);
    while let Some((object, _)) = cursor.next(cx)? {
        if !takes(&object.key.name) {
            continue;
        }
        let source = locate(cx, Arc::clone(from), &object.key.name, cx.cluster.place(from, &object.key.name));
        if !cloud::object::exists(cx, &source)? {
            let key = object.key.clone();
            cx.cluster.storage.write(move |t| t.remove_object(&key)).await?;
        }
    }
    Ok(())
}

/// `move-bck`.
pub(crate) async fn rename(cx: &Cx, name: &BucketName) -> Result<Reply> {
    let bucket = bucket(cx, name)?;
    let to = destination(cx)?;
    if name.provider != Provider::Ais {
        return Err(Fail::bad(format!("can only rename AIS ('ais://') bucket (\"{name}\" is not)")));
    }
    if to.provider != Provider::Ais || name.provider != Provider::Ais {
        let remote = if to.provider == Provider::Ais { name } else { &to };
        return Err(Fail::bad(format!("can only rename to AIS ('ais://') bucket (\"{remote}\" is remote)")));
    }
    if to == *name {
        return Err(Fail::bad(format!("cannot rename bucket \"{name}\" to itself (\"{to}\")")));
    }
    bucket.allow(bits::MOVE_BUCKET)?;
    // A real cluster waits for about six seconds before it says so.
    if let Some(job) = cx.cluster.jobs.copying(name) {
        let text =
            format!("{job} is currently running, cannot run \"move-bck\"({name} => {to}) concurrently");
        return Err(Fail::new(StatusCode::CONFLICT, text).tcode("ErrLimitedCoexistence"));
    }
    let started = now();
    cx.cluster.buckets.rename(name, &to).await?;
    let report =
        Report { bucket: Some(to.clone()), from: Some(name.clone()), to: Some(to), ..Report::default() };
    Ok(Reply::text(cx.cluster.jobs.record("move-bck", started, report)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rechunk {
    #[serde(rename = "objsize-limit")]
    limit: u64,
    #[serde(rename = "chunk-size")]
    chunk: u64,
    prefix: String,
}

/// `rechunk`: objects above a size are stored in chunks, others whole.
pub(crate) async fn rechunk(cx: &Cx, name: &BucketName, action: &Action) -> Result<Reply> {
    let bucket = bucket(cx, name)?;
    let message: Rechunk = serde_json::from_value(action.value.clone()).unwrap_or_default();
    if message.chunk == 0 {
        let node = cx.cluster.targets[0].name();
        let text = format!(
            "{node} failed to \"rechunk\" List/Range: {node}: failed to newxactRechunk chunk size is not set, err: <nil>"
        );
        let relayed = Relayed { method: "POST", path: cx.path.clone(), caller: cx.node_name(), node };
        return Err(Fail::bad(text).tcode("ErrFailedTo").relayed(relayed));
    }
    let started = now();
    let mut report = Report { bucket: Some(name.clone()), ..Report::default() };
    let mut cursor = Cursor::new(&bucket, &message.prefix);
    while let Some((object, size)) = cursor.next(cx)? {
        if size >= message.limit {
            objects::rechunk(cx, &object, message.chunk).await?;
            report.add(size);
        }
    }
    Ok(Reply::text(cx.cluster.jobs.record("rechunk", started, report)))
}

fn in_transaction(cx: &Cx, name: &BucketName, fail: Fail) -> Fail {
    let node = cx.cluster.targets[0].name();
    let path = format!("/v1/txn/{}/begin", name.name);
    fail.relayed(Relayed { method: "POST", path, caller: cx.node_name(), node })
}

/// `make-n-copies`: checked, recorded, and kept as a property; every object here has one copy.
pub(crate) async fn make_copies(cx: &Cx, name: &BucketName, action: &Action) -> Result<Reply> {
    bucket(cx, name)?;
    let copies = match &action.value {
        Value::Number(n) => n.as_i64(),
        Value::String(s) => s.parse().ok(),
        _ => None,
    };
    let Some(copies) = copies else {
        return Err(Fail::bad("failed to parse 'copies' (<nil>, <nil>) - unexpected type"));
    };
    let node = cx.cluster.targets[0].name();
    if !(1..=16).contains(&copies) {
        let text = format!("{node}: invalid num copies {copies}, must be in [1, 16] range");
        return Err(in_transaction(cx, name, Fail::bad(text)));
    }
    if u64::try_from(copies).is_ok_and(|c| c > MOUNT_PATHS) {
        let text =
            format!("{node}: number of copies ({copies}) exceeds the number of mountpaths ({MOUNT_PATHS})");
        return Err(in_transaction(cx, name, Fail::bad(text)));
    }
    let mirror = json!({"mirror": {"copies": copies, "enabled": copies > 1}});
    cx.cluster.buckets.set_props(name, Some(&mirror)).await?;
    let report = Report { bucket: Some(name.clone()), ..Report::default() };
    Ok(Reply::text(cx.cluster.jobs.record("make-n-copies", now(), report)))
}

/// Refuses a mirror that the disks of a target could not hold.
pub(crate) fn check_mirror(cx: &Cx, bucket: &Bucket, change: &Value) -> Result<()> {
    let mirror = &change["mirror"];
    let copies = mirror["copies"].as_u64().unwrap_or(0);
    if mirror["enabled"] == true && copies > MOUNT_PATHS {
        let node = cx.cluster.targets[0].name();
        let text = format!(
            "{node}: not enough mountpaths ({MOUNT_PATHS}) to configure {}(0x{:x}) as {copies}-way mirror",
            bucket.name, bucket.id
        );
        return Err(in_transaction(cx, &bucket.name, Fail::bad(text)));
    }
    Ok(())
}

/// `ec-encode`: the value is a string that holds JSON.
pub(crate) async fn encode(cx: &Cx, name: &BucketName, action: &Action) -> Result<Reply> {
    let bucket = bucket(cx, name)?;
    let spec: Option<Value> = action.value.as_str().and_then(|s| serde_json::from_str(s).ok());
    let Some(spec) = spec.filter(Value::is_object) else {
        return Err(Fail::bad("invalid ec-encode request"));
    };
    for (member, what) in [("data_slices", "data"), ("parity_slices", "parity")] {
        if spec[member].as_u64().unwrap_or(0) == 0 {
            return Err(Fail::bad(format!("missing number of {what} slices")));
        }
    }
    let enabled = bucket.settings()["ec"]["enabled"] == true;
    let same = ["data_slices", "parity_slices"].iter().all(|m| spec[*m] == bucket.settings()["ec"][*m]);
    if enabled && !same {
        let node = cx.node_name();
        return Err(Fail::bad(format!("{node}: EC is already enabled on the bucket {name}")));
    }
    let mut wanted = spec.clone();
    wanted["enabled"] = json!(true);
    props::apply(bucket.settings(), &json!({"ec": wanted}), &name.to_string())?;
    if !enabled && spec["enabled"] != true {
        let node = cx.cluster.targets[0].name();
        let path = format!("/v1/txn/{}/commit", name.name);
        let relayed = Relayed { method: "POST", path, caller: cx.node_name(), node };
        return Err(Fail::bad(format!("EC is disabled for {name}")).relayed(relayed));
    }
    cx.cluster.buckets.set_props(name, Some(&json!({"ec": wanted}))).await?;
    let report = Report { bucket: Some(name.clone()), ..Report::default() };
    Ok(Reply::text(cx.cluster.jobs.record("ec-encode", now(), report)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SummaryMessage {
    uuid: String,
    prefix: String,
    /// Only what the cluster has.
    cached: bool,
}

/// `summary-bck` on one bucket or, without a name, on all.
pub(crate) fn summary(cx: &Cx, name: Option<&BucketName>, action: &Action) -> Result<Reply> {
    let message: SummaryMessage = serde_json::from_value(action.value.clone()).unwrap_or_default();
    if let Some(name) = name {
        bucket(cx, name)?;
    }
    if message.uuid.is_empty() {
        let origin = !message.cached;
        let wanted = Summary { bucket: name.cloned(), prefix: message.prefix, origin };
        let id = begin_summary(cx, wanted);
        return Ok(Reply { status: StatusCode::ACCEPTED, ..Reply::text(id) });
    }
    let wanted = find_summary(cx, &message.uuid, name)?;
    let buckets = match &wanted.bucket {
        Some(name) => vec![bucket(cx, name)?],
        None => cx.cluster.buckets.list(Some(Provider::Ais), None),
    };
    let all: Vec<_> = buckets.iter().map(|b| summarize(cx, b, &wanted)).collect::<Result<_>>()?;
    Ok(Reply::text(format!("{}\n", Value::Array(all))))
}

fn begin_summary(cx: &Cx, wanted: Summary) -> String {
    let report = Report { bucket: wanted.bucket.clone(), ..Report::default() };
    let id = cx.cluster.jobs.record("summary-bck", now(), report);
    lock(&cx.cluster.summaries.map).insert(id.clone(), wanted);
    id
}

fn find_summary(cx: &Cx, id: &str, name: Option<&BucketName>) -> Result<Summary> {
    if id.len() < 8 {
        return Err(Fail::bad(format!("summary-bck: invalid UUID {id:?}")));
    }
    lock(&cx.cluster.summaries.map).get(id).cloned().ok_or_else(|| {
        let node = cx.cluster.targets[0].name();
        let path = format!("/v1/buckets/{}/query", name.map_or("", |n| &n.name));
        let relayed = Relayed { method: "GET", path, caller: cx.node_name(), node: node.clone() };
        Fail::not_found(format!("{node}: summary-bck job {id} does not exist")).relayed(relayed)
    })
}

fn summarize(cx: &Cx, bucket: &Arc<Bucket>, wanted: &Summary) -> Result<Value> {
    let (mut count, mut total, mut smallest, mut largest) = (0_u64, 0_u64, u64::MAX, 0_u64);
    let mut cursor = Cursor::new(bucket, &wanted.prefix);
    while let Some((_, size)) = cursor.next(cx)? {
        count += 1;
        total += size;
        smallest = smallest.min(size);
        largest = largest.max(size);
    }
    let (mut remote_count, mut remote_total) = (0_u64, 0_u64);
    if wanted.origin && bucket.remote().is_some() {
        let mut cursor = Cursor::new(bucket, &wanted.prefix).at_origin(true);
        while let Some((_, size)) = cursor.next(cx)? {
            remote_count += 1;
            remote_total += size;
        }
    }
    let mut summary = bucket.name.json();
    summary["ObjCount"] =
        json!({"obj_count_present": count.to_string(), "obj_count_remote": remote_count.to_string()});
    summary["ObjSize"] = json!({
        "obj_min_size": if count == 0 { 0 } else { smallest },
        "obj_avg_size": (total + count / 2).checked_div(count).unwrap_or(0),
        "obj_max_size": largest,
    });
    summary["TotalSize"] = json!({
        "size_on_disk": total.to_string(),
        "size_all_present_objs": total.to_string(),
        "size_all_remote_objs": remote_total.to_string(),
        "total_disks_size": DISK_SIZE.to_string(),
    });
    summary["used_pct"] = json!(0);
    summary["is_present"] = json!(false);
    Ok(summary)
}

/// Bucket info: HEAD with `bsumm_remote`, to be repeated with the id that the first answer gives.
pub(crate) fn info(cx: &Cx, bucket: &Arc<Bucket>, prefix: &str, reply: Reply) -> Result<Reply> {
    const JOB: HeaderName = HeaderName::from_static("ais-xaction-id");
    const SUMMARY: HeaderName = HeaderName::from_static("ais-bucket-summ");
    let id = cx.query.value("uuid");
    if id.is_empty() {
        let origin = cx.query.value("bsumm_remote").eq_ignore_ascii_case("true");
        let wanted = Summary { bucket: Some(bucket.name.clone()), prefix: prefix.to_owned(), origin };
        let id = begin_summary(cx, wanted);
        return Ok(Reply { status: StatusCode::ACCEPTED, ..reply.with(JOB, &id) });
    }
    let wanted = find_summary(cx, id, Some(&bucket.name))?;
    let mut summary = summarize(cx, bucket, &wanted)?;
    summary["is_present"] = json!(true);
    Ok(reply.with(JOB, id).with(SUMMARY, &summary.to_string()))
}

/// Jobs that only leave a record here.
pub(crate) fn record_only(cx: &Cx, name: &BucketName, kind: &str) -> Result<Reply> {
    bucket(cx, name)?;
    let report = Report { bucket: Some(name.clone()), ..Report::default() };
    Ok(Reply::text(cx.cluster.jobs.record(kind, now(), report)))
}

/// `summary-shard`: begun, and never asked for by the clients known.
pub(crate) fn shard_summary(cx: &Cx, name: &BucketName) -> Result<Reply> {
    bucket(cx, name)?;
    Ok(Reply { status: StatusCode::ACCEPTED, ..Reply::text(short_id()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies() {
        let options = CopyOptions {
            ext: Some(HashMap::from([("jpg".to_owned(), "..png".to_owned())])),
            prepend: "p/".into(),
            ..CopyOptions::default()
        };
        assert_eq!(options.destination("a/b.jpg"), "p/a/b.png");
        assert_eq!(options.destination("a/b.gif"), "p/a/b.gif");
        assert_eq!(options.destination("jpg"), "p/jpg");
    }
}
