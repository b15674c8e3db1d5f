//! Calls on jobs, and calls that start them.

use std::collections::BTreeMap;

use longshore_aistore::{
    ArchiveFormat, BucketRef, Client, Collection, EtlCall, Job, JobKind, JobSnapshot, JobStatus,
};
use longshore_core_types::Result;
use serde_json::{Map, Value, json};

use crate::{
    calls::{Call, Pairs, Place},
    node_calls::whole_cluster,
    object_calls::{action, only_headers, uname},
    recorded::{Request, Response},
    wanted,
};

/// The fields of a message, taken out one by one: what is left over belongs to no call.
pub(crate) struct Fields(pub(crate) Map<String, Value>);

impl Fields {
    /// Keys in lower case, as the server reads them, and without fields that say nothing.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let Value::Object(map) = wanted::without_zeros(value) else { return None };
        Some(Self(map.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect()))
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            None => Some(String::new()),
            Some(Value::String(text)) => Some(text),
            Some(_) => None,
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.0.remove(name) {
            None => Some(false),
            Some(Value::Bool(flag)) => Some(flag),
            Some(_) => None,
        }
    }

    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

pub(crate) fn bucket(value: &Value) -> Option<BucketRef> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let provider = longshore_aistore::Provider::parse(value["provider"].as_str()?).ok()?;
    let namespace = longshore_core_types::Namespace {
        uuid: text(&value["namespace"]["uuid"]),
        name: text(&value["namespace"]["name"]),
    };
    Some(BucketRef::new(provider, value["name"].as_str()?).ok()?.in_namespace(namespace))
}

/// Id, kind, bucket and activity of a query.
fn query(value: &Value) -> Option<impl Fn(&Client) -> Job + 'static> {
    let recorded_active = value.get("show_active").and_then(Value::as_bool);
    let mut fields = Fields::of(value)?;
    fields.0.remove("show_active");
    let (id, kind) = (fields.text("id")?, fields.text("kind")?);
    let bucket = match fields.0.remove("bck") {
        Some(value) => Some(bucket(&value)?),
        None => None,
    };
    fields.end()?;
    // The client knows each kind by one name.
    (kind.is_empty() || JobKind::from(kind.as_str()).as_str() == kind).then_some(())?;
    Some(move |client: &Client| {
        let mut job = client.job(&id);
        if !kind.is_empty() {
            job = job.of_kind(kind.as_str());
        }
        if let Some(bucket) = &bucket {
            job = job.on_bucket(bucket);
        }
        match recorded_active {
            Some(active) => job.active(active),
            None => job,
        }
    })
}

fn status(status: &JobStatus) -> Value {
    let ended = status.ended.map(wanted::nanoseconds);
    json!([status.id, status.kind.as_str(), status.error, ended, status.aborted])
}

fn snapshot(snapshot: &JobSnapshot) -> Value {
    let bucket = |bucket: &Option<BucketRef>| bucket.as_ref().map(BucketRef::uname);
    json!({
        "node": snapshot.node, "id": snapshot.id, "kind": snapshot.kind.as_str(),
        "ended": snapshot.ended.is_some(), "started": snapshot.started.map(wanted::nanoseconds),
        "buckets": [bucket(&snapshot.bucket), bucket(&snapshot.source), bucket(&snapshot.destination)],
        "message": snapshot.message, "abort": snapshot.abort_error, "error": snapshot.error,
        "packed": u64::from(snapshot.joggers) | u64::from(snapshot.workers) << 10,
        "objects": snapshot.stats.objects, "bytes": snapshot.stats.bytes,
        "sent": [snapshot.stats.sent_objects, snapshot.stats.sent_bytes],
        "received": [snapshot.stats.received_objects, snapshot.stats.received_bytes],
        "aborted": snapshot.aborted, "idle": snapshot.idle,
    })
}

pub(crate) fn cluster_call(request: &Request, mut pairs: Pairs) -> Option<Call> {
    match request.method.as_str() {
        "GET" => {
            let (what, body) = (pairs.take("what")?, request.json());
            if body.is_null() {
                pairs.end()?;
                return whole_cluster(&what);
            }
            body.is_object().then_some(())?;
            let fresh = pairs.flag("frc")?;
            pairs.end()?;
            match what.as_str() {
                "status" => {
                    (request.header("accept") != Some("application/msgpack")).then_some(())?;
                    let job = query(&body)?;
                    Some(Call::new(wanted::job_status, move |client| async move {
                        Ok(status(&job(&client).status().await?))
                    }))
                }
                "qryxstats" => {
                    (request.header("accept") != Some("application/msgpack")).then_some(())?;
                    let job = query(&body)?;
                    Some(Call::new(wanted::job_snapshots, move |client| async move {
                        Ok(job(&client).snapshots().await?.iter().map(snapshot).collect())
                    }))
                }
                "status_all" => {
                    let active = body.get("show_active")?.as_bool()?;
                    let kind = kind_only(&body)?;
                    Some(Call::new(wanted::job_statuses, move |client| async move {
                        let cluster = client.cluster();
                        let all = match (active, fresh) {
                            (false, false) => cluster.jobs(kind.as_ref()).await?,
                            (true, _) => cluster.active_jobs(kind.as_ref()).await?,
                            (false, true) => cluster.jobs_now(kind.as_ref()).await?,
                        };
                        Ok(all.iter().map(status).collect())
                    }))
                }
                "running_all" => {
                    (body.get("show_active")?.as_bool()? && !fresh).then_some(())?;
                    let kind = kind_only(&body)?;
                    Some(Call::new(wanted::running, move |client| async move {
                        let jobs = client.cluster().running_jobs(kind.as_ref()).await?;
                        Ok(jobs.iter().map(|(kind, id)| json!(format!("{kind}[{id}]"))).collect())
                    }))
                }
                _ => None,
            }
        }
        "PUT" => {
            pairs.end()?;
            let (action, name, value) = action(request)?;
            name.is_empty().then_some(())?;
            match action.as_str() {
                "stop" => {
                    let job = query(&value)?;
                    Some(Call::new(wanted::nothing, move |client| async move {
                        job(&client).abort().await.map(|()| Value::Null)
                    }))
                }
                "start" => start(&value),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Kind of a query that has nothing but that.
#[expect(clippy::option_option, reason = "a kind, none, or another query")]
fn kind_only(body: &Value) -> Option<Option<JobKind>> {
    let mut fields = Fields::of(body)?;
    fields.0.remove("show_active");
    let kind = fields.text("kind")?;
    fields.end()?;
    (kind.is_empty() || JobKind::from(kind.as_str()).as_str() == kind).then_some(())?;
    Some((!kind.is_empty()).then(|| JobKind::from(kind.as_str())))
}

fn start(value: &Value) -> Option<Call> {
    let mut fields = Fields::of(value)?;
    let (kind, node, force) = (fields.text("kind")?, fields.text("daemonid")?, fields.flag("force")?);
    let one = fields.0.remove("bck");
    let many = match fields.0.remove("buckets") {
        Some(Value::Array(many)) => many,
        Some(_) => return None,
        None => Vec::new(),
    };
    fields.end()?;
    (!kind.is_empty() && JobKind::from(kind.as_str()).as_str() == kind).then_some(())?;
    let buckets: Vec<BucketRef> = one.iter().chain(&many).map(bucket).collect::<Option<_>>()?;
    Some(Call::new(wanted::text, move |client| async move {
        let mut call = client.jobs_of(kind.as_str()).start().node(node).force(force);
        for bucket in &buckets {
            call = call.bucket(bucket);
        }
        Ok(json!(call.await?.id()))
    }))
}

pub(crate) fn summary(s: &longshore_aistore::BucketSummary) -> Value {
    json!([
        s.bucket.uname(),
        s.objects_present,
        s.objects_remote,
        s.smallest,
        s.average,
        s.largest,
        s.bytes_on_disk,
        s.bytes_present,
        s.bytes_remote,
        s.disk_capacity,
        s.used_percent,
        s.present
    ])
}

fn ids(jobs: &[Job]) -> Value {
    json!(jobs.iter().map(Job::id).collect::<Vec<_>>().join(","))
}

/// The selection of a group call.
fn selection(fields: &mut Fields, value: &Value) -> Option<Box<dyn FnOnce() -> Result<Collection>>> {
    fields.0.remove("objnames");
    fields.0.remove("template");
    match (value.get("objnames"), value.get("template")) {
        (Some(names), None) => {
            let names: Vec<String> = serde_json::from_value(names.clone()).ok()?;
            Some(Box::new(move || Collection::names_of(names)))
        }
        (None, Some(template)) => {
            let template = template.as_str()?.to_owned();
            Some(Box::new(move || {
                // A range, or where there is none a prefix.
                let ranged = template.contains(['{', '}', '@', '%']);
                if ranged { template.parse() } else { Collection::prefix(template) }
            }))
        }
        _ => None,
    }
}

macro_rules! with_copy_options {
    ($call:ident, $options:ident) => {{
        let mut call = $call
            .prefix($options.prefix)
            .prepend($options.prepend)
            .dry_run($options.dry_run)
            .force($options.force)
            .latest($options.latest)
            .sync($options.sync)
            .continue_on_error($options.continue_on_error);
        if let Some(workers) = $options.workers {
            call = call.workers(workers);
        }
        for (from, to) in $options.extensions {
            call = call.extension(from, to);
        }
        if let Some(timeout) = $options.timeout {
            call = call.timeout(timeout);
        }
        call
    }};
}

#[expect(clippy::struct_excessive_bools, reason = "the fields of the message")]
struct CopyOptions {
    prefix: String,
    prepend: String,
    dry_run: bool,
    force: bool,
    latest: bool,
    sync: bool,
    continue_on_error: bool,
    workers: Option<i32>,
    extensions: BTreeMap<String, String>,
    etl: Option<EtlCall>,
    timeout: Option<std::time::Duration>,
}

fn copy_options(fields: &mut Fields) -> Option<CopyOptions> {
    let id = fields.text("id")?;
    Some(CopyOptions {
        prefix: fields.text("prefix")?,
        prepend: fields.text("prepend")?,
        dry_run: fields.flag("dry_run")?,
        force: fields.flag("force")?,
        latest: fields.flag("latest-ver")?,
        sync: fields.flag("synchronize")?,
        continue_on_error: fields.flag("coer")?,
        workers: match fields.0.remove("num-workers") {
            Some(number) => Some(i32::try_from(number.as_i64()?).ok()?),
            None => None,
        },
        extensions: match fields.0.remove("ext") {
            Some(map) => serde_json::from_value(map).ok()?,
            None => BTreeMap::new(),
        },
        etl: (!id.is_empty()).then(|| EtlCall::new(id)),
        timeout: match fields.text("request_timeout")?.as_str() {
            "" => None,
            text => Some(crate::service_calls::duration(text)?),
        },
    })
}

/// Calls on buckets that start jobs, and on selected objects.
pub(crate) fn bucket_job(
    request: &Request,
    place: Place,
    mut pairs: Pairs,
    (action, of, value): (&str, &str, &Value),
) -> Option<Call> {
    only_headers(request, &[])?;
    if (request.method.as_str(), action) == ("POST", "ec-encode") {
        pairs.end()?;
        return ec_encode(place, of, value);
    }
    of.is_empty().then_some(())?;
    let to = pairs.take("bck_to");
    match (request.method.as_str(), action) {
        ("POST", "move-bck") => {
            pairs.end()?;
            value.is_null().then_some(())?;
            let to = uname(&to?)?.0;
            Some(Call::new(wanted::text, move |client| async move {
                Ok(json!(place.bucket(&client)?.rename(&to).await?.1.id()))
            }))
        }
        ("POST", "copy-bck" | "etl-bck") => {
            pairs.end()?;
            let to = uname(&to?)?.0;
            let mut fields = Fields::of(value)?;
            let options = copy_options(&mut fields)?;
            fields.end()?;
            ((action == "etl-bck") == options.etl.is_some()).then_some(())?;
            Some(Call::new(wanted::text, move |client| async move {
                let from = place.bucket(&client)?;
                let call = match options.etl.clone() {
                    Some(etl) => from.transform_to(&to, etl),
                    None => from.copy_to(&to),
                };
                Ok(ids(&with_copy_options!(call, options).await?))
            }))
        }
        ("GET", "summary-bck") => {
            pairs.end()?;
            let mut fields = Fields::of(value)?;
            let (prefix, cached, present) =
                (fields.text("prefix")?, fields.flag("cached")?, fields.flag("present")?);
            // Without an id it is the start; the questions that follow belong to the same call.
            fields.end()?;
            Some(Call::new(wanted::summary, move |client| async move {
                let call = place.bucket(&client)?.summary().prefix(prefix).cached(cached).present(present);
                Ok(summary(&call.interval(std::time::Duration::from_millis(1)).await?))
            }))
        }
        ("DELETE", "evict-remote-bck") => {
            let keep = pairs.take("keep_bck_md")?.eq_ignore_ascii_case("true");
            pairs.end()?;
            Some(Call::new(wanted::nothing, move |client| async move {
                place.bucket(&client)?.evict(keep).await.map(|()| Value::Null)
            }))
        }
        ("POST", "make-n-copies") => {
            pairs.end()?;
            let copies = u32::try_from(value.as_u64()?).ok()?;
            Some(Call::new(wanted::text, move |client| async move {
                Ok(json!(place.bucket(&client)?.make_copies(copies).await?.id()))
            }))
        }
        ("POST", "rechunk") => {
            pairs.end()?;
            let (over, chunk) = (value["objsize-limit"].as_u64()?, value["chunk-size"].as_u64()?);
            let prefix = value["prefix"].as_str()?.to_owned();
            Some(Call::new(wanted::text, move |client| async move {
                Ok(json!(place.bucket(&client)?.rechunk(over, chunk, &prefix).await?.id()))
            }))
        }
        ("POST", "index-shard") => {
            pairs.end()?;
            let prefix = value.get("prefix").and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(Call::new(wanted::text, move |client| async move {
                Ok(json!(place.bucket(&client)?.index_shards(&prefix).await?.id()))
            }))
        }
        (
            _,
            "delete-listrange" | "evict-listrange" | "prefetch-listrange" | "copy-listrange" | "archive"
            | "etl-listrange",
        ) => {
            pairs.end()?;
            to.is_none().then_some(())?;
            group_call(request, place, action, value)
        }
        _ => None,
    }
}

fn ec_encode(place: Place, of: &str, value: &Value) -> Option<Call> {
    let value: Value = serde_json::from_str(value.as_str()?).ok()?;
    (value["enabled"] == true && (of.is_empty() || of == "recover")).then_some(())?;
    let number = |name: &str| u32::try_from(value[name].as_u64()?).ok();
    let (data, parity, recover) = (number("data_slices")?, number("parity_slices")?, !of.is_empty());
    Some(Call::new(wanted::text, move |client| async move {
        let bucket = place.bucket(&client)?;
        let job = if recover {
            bucket.ec_recover(data, parity).await?
        } else {
            bucket.ec_encode(data, parity).await?
        };
        Ok(json!(job.id()))
    }))
}

fn group_call(request: &Request, place: Place, action: &str, value: &Value) -> Option<Call> {
    let mut fields = Fields::of(value)?;
    let what = selection(&mut fields, value)?;
    let to = match fields.0.remove("tobck") {
        Some(value) => Some(bucket(&value)?),
        None => None,
    };
    match (request.method.as_str(), action) {
        ("DELETE", "delete-listrange" | "evict-listrange") => {
            fields.end()?;
            let evict = action == "evict-listrange";
            Some(Call::new(wanted::text, move |client| async move {
                let group = place.bucket(&client)?.objects(what()?);
                let call = if evict { group.evict() } else { group.delete() };
                Ok(json!(call.await?.id()))
            }))
        }
        ("POST", "prefetch-listrange") => {
            let (latest, go_on) = (fields.flag("latest-ver")?, fields.flag("coer")?);
            fields.end()?;
            Some(Call::new(wanted::text, move |client| async move {
                let group = place.bucket(&client)?.objects(what()?);
                Ok(json!(group.prefetch().latest(latest).continue_on_error(go_on).await?.id()))
            }))
        }
        ("POST", "copy-listrange" | "etl-listrange") => {
            let options = copy_options(&mut fields)?;
            fields.end()?;
            let to = to?;
            ((action == "etl-listrange") == options.etl.is_some()).then_some(())?;
            Some(Call::new(wanted::text, move |client| async move {
                let group = place.bucket(&client)?.objects(what()?);
                let call = match options.etl.clone() {
                    Some(etl) => group.transform_to(&to, etl),
                    None => group.copy_to(&to),
                };
                Ok(ids(&with_copy_options!(call, options).await?))
            }))
        }
        ("PUT", "archive") => {
            let (name, mime) = (fields.text("archname")?, fields.text("mime")?);
            let (include, append, go_on) = (fields.flag("isbn")?, fields.flag("aate")?, fields.flag("coer")?);
            let base_only = fields.flag("bnonly")?;
            fields.end()?;
            let to = to?;
            let format = match mime.as_str() {
                "" => None,
                mime => Some(ArchiveFormat::ALL.into_iter().find(|format| format.as_str() == mime)?),
            };
            // Of an archive to add to, the client looks at the end first.
            let looks = append && ArchiveFormat::from_name(&name) == Some(ArchiveFormat::Tar);
            let mut call = Call::new(wanted::text, move |client| async move {
                let group = place.bucket(&client)?.objects(what()?);
                let mut call = group.archive(name).into_bucket(&to).include_bucket(include);
                call = call.append(append).continue_on_error(go_on).base_names_only(base_only);
                if let Some(format) = format {
                    call = call.format(format);
                }
                Ok(ids(&call.await?))
            });
            if looks {
                call.beforehand.push(Response::made(404, ""));
            }
            Some(call)
        }
        _ => None,
    }
}

/// Promotions and blob downloads.
pub(crate) fn objects_call(request: &Request, place: Place, pairs: &Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    pairs.end()?;
    (request.method == "POST").then_some(())?;
    let (action, name, value) = action(request)?;
    let mut fields = Fields::of(&value).or_else(|| value.is_object().then(|| Fields(Map::new())))?;
    match action.as_str() {
        "promote" => {
            (fields.text("src")? == name).then_some(())?;
            let (target, object) = (fields.text("tid")?, fields.text("obj")?);
            let (recursive, overwrite) = (fields.flag("rcr")?, fields.flag("ovw")?);
            let (delete, not_shared) = (fields.flag("dls")?, fields.flag("notshr")?);
            fields.end()?;
            Some(Call::new(wanted::job, move |client| async move {
                let call = place.bucket(&client)?.promote(name).name(object).target(target);
                let call = call.recursive(recursive).overwrite(overwrite).delete_source(delete);
                Ok(json!(call.not_shared(not_shared).await?.map(|job| job.id().to_owned())))
            }))
        }
        "blob-download" => {
            let latest = fields.flag("latest-ver")?;
            fields.end()?;
            Some(Call::new(wanted::job, move |client| async move {
                let call = place.object(&client, &name)?.blob_download().latest(latest);
                Ok(json!(call.await?.map(|job| job.id().to_owned())))
            }))
        }
        _ => None,
    }
}
