//! The job that packs objects of a bucket into an archive.

use std::io;
use std::sync::Arc;

use serde::Deserialize;

use super::grow::{Growing, Grown, Old, Versions};
use super::shard::Format;
use crate::aistore::Cluster;
use crate::aistore::actmsg::Action;
use crate::aistore::buckets::Bucket;
use crate::aistore::cloud;
use crate::aistore::cloud::object::{Freshness, warm};
use crate::aistore::error::{Fail, Result};
use crate::aistore::gateway::bucket;
use crate::aistore::ids::now;
use crate::aistore::jobs::Report;
use crate::aistore::multi::{Picks, Selection, to_bucket};
use crate::aistore::names::check_new_name;
use crate::aistore::node::Cx;
use crate::aistore::objects::Object;
use crate::aistore::reply::Reply;
use crate::aistore::target::locate;
use crate::storage::BodyReader;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    archname: String,
    /// Names of members begin with the bucket's.
    isbn: bool,
    /// Names of members are those of the objects without their directories.
    bnonly: bool,
    /// What is there grows.
    aate: bool,
}

/// An object to be packed.
#[derive(Debug)]
struct Member {
    name: String,
    size: u64,
    time: i64,
    content: BodyReader,
}

/// `archive`.
pub(crate) async fn archive(cx: &Cx, from: &Arc<Bucket>, action: &Action) -> Result<Reply> {
    let node = cx.node_name();
    let message = Message::deserialize(&action.value)
        .map_err(|e| Fail::bad(format!("{node}: failed to unmarshal archive, err: {e}")))?;
    let to = to_bucket(&action.value)?;
    let name = message.archname.as_str();
    let format = Format::by_extension(name).ok_or_else(|| {
        let extension = name.rfind('.').map_or("", |at| &name[at..]);
        Fail::bad(format!("unknown filename extension ({name:?}, {extension:?})")).tcode("errUnknownFileExt")
    })?;
    check_new_name(name)?;
    cloud::admit(cx, &to).await?;
    let into = bucket(cx, &to)?;
    let jobs = &cx.cluster.jobs;
    // The original takes the request, aborts the job and writes nothing.
    if let Some((id, error)) = jobs.failing("archive", &from.name) {
        return Err(Fail::bad(format!(
            "archive[{id}] of {} has failed ({error}): the next one has to wait until it has ended",
            from.name
        )));
    }
    let started = now();
    let mut report = Report {
        bucket: Some(from.name.clone()),
        from: (to != from.name).then(|| from.name.clone()),
        to: (to != from.name).then_some(to),
        ..Report::default()
    };
    // A selection that makes no sense is a matter of the job, as is what it does not find.
    match Selection::from_value(&action.value) {
        Ok(selection) => {
            selection.check_end()?;
            let members = gather(cx, from, selection, &message, &mut report).await?;
            let object = locate(cx, Arc::clone(&into), name, cx.cluster.place(&into, name));
            if members.is_empty() {
                let node = cx.cluster.targets[object.target].name();
                report.errors.push(format!("{node}: empty o[{}/{name}]", into.name.name));
            } else if let Err(fail) = pack(cx, &object, format, &message, members).await {
                report.errors.push(fail.message);
            }
        }
        Err(fail) => report.errors.push(fail.message),
    }
    let joined = jobs.join("archive", &from.name, None, &report);
    Ok(Reply::text(joined.unwrap_or_else(|| jobs.record("archive", started, report))))
}

/// The selected objects as they are now. None is opened before its turn.
async fn gather(
    cx: &Cx,
    from: &Arc<Bucket>,
    selection: Selection,
    message: &Message,
    report: &mut Report,
) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    let mut picks = Picks::new(from, selection);
    while let Some(pick) = picks.next(cx)? {
        if let Err(fail) = warm(cx, &pick.object, Freshness::Any).await {
            report.errors.push(fail.message);
            continue;
        }
        let opened = cx.cluster.storage.open_object(&pick.object.key, |_| Ok::<_, Fail>((0, 0)))?;
        let Some(opened) = opened else {
            report.errors.extend(pick.missing(cx));
            continue;
        };
        let (record, reader) = opened?;
        report.add(record.size);
        let name = &pick.object.key.name;
        let base = if message.bnonly { name.rsplit('/').next().unwrap_or(name) } else { name };
        let name = if message.isbn { format!("{}/{base}", from.name.name) } else { base.to_owned() };
        let content = reader.reopen(0, record.size);
        members.push(Member { name, size: record.size, time: record.atime, content });
    }
    Ok(members)
}

/// Writes the archive, again if somebody else changed the object meanwhile.
async fn pack(
    cx: &Cx,
    object: &Object,
    format: Format,
    message: &Message,
    members: Vec<Member>,
) -> Result<()> {
    let (old, versions) =
        if message.aate { (Old::Grows, Versions::Keep) } else { (Old::Goes, Versions::Next) };
    let members = Arc::new(members);
    loop {
        let (cluster, object, members) = (Arc::clone(&cx.cluster), object.clone(), Arc::clone(&members));
        // Copies: not for a thread that serves connections.
        let grown = tokio::task::spawn_blocking(move || write(&cluster, object, format, old, &members));
        let grown = grown.await.map_err(io::Error::other)??;
        if grown.commit(&cx.cluster, versions).await? {
            return Ok(());
        }
    }
}

fn write(cluster: &Cluster, object: Object, format: Format, old: Old, members: &[Member]) -> Result<Grown> {
    let mut archive = Growing::begin(&cluster.storage, object, format, old)?;
    for member in members {
        let mut content = member.content.reopen(0, member.size);
        archive.append(&member.name, member.size, member.time, &mut content)?;
    }
    archive.finish(&cluster.storage)
}
