//! Calls on many objects of a bucket, chosen by a list of names or by a template: delete, copy.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::actmsg::{Action, decode_value};
use super::bucket_api::not_remote;
use super::bucket_jobs::{COPY, CopyOptions, Cursor, ensure_destination, remove_vanished};
use super::buckets::Bucket;
use super::cloud;
use super::cloud::jobs::{self, Work};
use super::cloud::object::{self, exists, open};
use super::error::{Fail, Relayed, Result};
use super::gateway::bucket;
use super::gojson::{Schema, Struct};
use super::ids::now;
use super::jobs::Report;
use super::names::{BucketName, Namespace, Provider, check_object_name};
use super::node::Cx;
use super::objects::{self, Object};
use super::reply::Reply;
use super::target::locate;
use super::template::Template;

/// Objects removed in one transaction.
const BATCH: usize = 500;

static SELECTION: Struct = Struct {
    name: "apc.EvdMsg",
    fields: &[
        ("objnames", "ListRange: ObjNames", Schema::List("[]string")),
        ("template", "ListRange: Template", Schema::Text),
        ("num-workers", "NumWorkers", Schema::Integer),
        ("coer", "ContinueOnError", Schema::Bool),
        ("non-recurs", "NonRecurs", Schema::Bool),
    ],
    strict: true,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    objnames: Option<Vec<String>>,
    template: Option<String>,
    #[serde(rename = "num-workers")]
    workers: u64,
}

/// The objects that a call is about.
#[derive(Debug)]
pub(crate) enum Selection {
    Names(Vec<String>),
    Template(Template),
}

impl Selection {
    /// Reads a selection out of an action's value, whatever else that holds. Names win over a template; neither means
    /// the whole bucket.
    pub(crate) fn from_value(value: &Value) -> Result<Self> {
        let names = value.get("objnames").filter(|n| !n.is_null());
        let template = value.get("template").and_then(Value::as_str).unwrap_or_default().to_owned();
        let names = names.map(Vec::<String>::deserialize).transpose();
        let objnames = names.map_err(|e| Fail::bad(format!("[]string: {e}")))?;
        Self::new(Message { objnames, template: Some(template), workers: 0 })
    }

    fn new(message: Message) -> Result<Self> {
        let names = message.objnames.unwrap_or_default();
        if names.is_empty() {
            return Template::parse(&message.template.unwrap_or_default()).map(Self::Template);
        }
        names.iter().try_for_each(|n| check_object_name(n))?;
        Ok(Self::Names(names))
    }

    /// Refuses a template that the original would count through until it is stopped.
    pub(crate) fn check_end(&self) -> Result<()> {
        match self {
            Self::Template(template) if template.is_endless() => Err(Fail::bad(format!(
                "template with {:?} in front stands for too many names, or for no end of them: the job would run until it \
                 is stopped; use a prefix or a range",
                template.prefix
            ))),
            _ => Ok(()),
        }
    }
}

/// An object that was picked.
#[derive(Debug)]
pub(crate) struct Pick {
    pub(crate) object: Object,
    /// Nobody has looked yet whether it exists, and it is an error if it does not.
    pub(crate) named: bool,
}

impl Pick {
    /// What a job says of a named object that does not exist.
    pub(crate) fn missing(&self, cx: &Cx) -> Option<String> {
        let node = cx.cluster.targets[self.object.target].name();
        self.named.then(|| format!("{node}: {} does not exist", self.object.display()))
    }
}

/// Goes through the selected objects of a bucket as they were when it began.
#[derive(Debug)]
pub(crate) struct Picks {
    bucket: Arc<Bucket>,
    names: std::vec::IntoIter<String>,
    walk: Option<(Template, Cursor)>,
}

impl Picks {
    pub(crate) fn new(bucket: &Arc<Bucket>, selection: Selection) -> Self {
        let (names, walk) = match selection {
            Selection::Names(names) => (names, None),
            Selection::Template(template) => {
                let cursor = Cursor::new(bucket, &template.prefix).written_by(now()).at_origin(true);
                (Vec::new(), Some((template, cursor)))
            }
        };
        Self { bucket: Arc::clone(bucket), names: names.into_iter(), walk }
    }

    pub(crate) fn next(&mut self, cx: &Cx) -> Result<Option<Pick>> {
        if let Some(name) = self.names.next() {
            let target = cx.cluster.place(&self.bucket, &name);
            let object = locate(cx, Arc::clone(&self.bucket), &name, target);
            return Ok(Some(Pick { object, named: true }));
        }
        let Some((template, cursor)) = &mut self.walk else { return Ok(None) };
        while let Some((object, _)) = cursor.next(cx)? {
            if template.matches(&object.key.name) {
                return Ok(Some(Pick { object, named: false }));
            }
        }
        Ok(None)
    }

    fn batch(&mut self, cx: &Cx) -> Result<Vec<Pick>> {
        let mut picks = Vec::new();
        while picks.len() < BATCH
            && let Some(pick) = self.next(cx)?
        {
            picks.push(pick);
        }
        Ok(picks)
    }
}

/// The selection that an action's value makes, and the number of workers.
fn chosen(cx: &Cx, action: &Action, schema: &'static Struct) -> Result<(u64, Selection)> {
    let node = cx.cluster.targets[0].name();
    let message: Result<Message> = decode_value(action, Schema::Struct(schema), &node);
    let chosen = message.and_then(|m| Ok((m.workers, Selection::new(m)?)));
    let chosen = chosen.and_then(|(workers, selection)| selection.check_end().map(|()| (workers, selection)));
    chosen.map_err(|mut fail| {
        // The target that decodes the selection refuses it.
        fail.message = format!("{node} failed to \"{}\" List/Range: {}", action.action, fail.message);
        let method = if action.action == "prefetch-listrange" { "POST" } else { "DELETE" };
        fail.relayed(Relayed { method, path: cx.path.clone(), caller: cx.node_name(), node })
    })
}

/// `prefetch-listrange`.
pub(crate) async fn prefetch(cx: &Cx, bucket: &Arc<Bucket>, action: &Action) -> Result<Reply> {
    if bucket.remote().is_none() {
        return Err(not_remote(&action.action, &bucket.name));
    }
    let (workers, selection) = chosen(cx, action, &jobs::PREFETCH)?;
    jobs::prefetch(cx, bucket, action, workers, selection).await
}

/// `evict-listrange`.
pub(crate) async fn evict(cx: &Cx, bucket: &Arc<Bucket>, action: &Action) -> Result<Reply> {
    let (workers, selection) = chosen(cx, action, &SELECTION)?;
    let started = now();
    let mut report = Report { bucket: Some(bucket.name.clone()), workers, ..Report::default() };
    jobs::each(cx, bucket, selection, Work::Evict, &mut report).await?;
    Ok(Reply::text(cx.cluster.jobs.record("evict-listrange", started, report)))
}

/// `delete-listrange`.
pub(crate) async fn delete(cx: &Cx, bucket: &Arc<Bucket>, action: &Action) -> Result<Reply> {
    let (workers, selection) = chosen(cx, action, &SELECTION)?;
    let started = now();
    let mut report = Report { bucket: Some(bucket.name.clone()), workers, ..Report::default() };
    if bucket.remote().is_some() {
        jobs::each(cx, bucket, selection, Work::Delete, &mut report).await?;
    } else {
        delete_here(cx, bucket, selection, &mut report).await?;
    }
    Ok(Reply::text(cx.cluster.jobs.record("delete-listrange", started, report)))
}

async fn delete_here(cx: &Cx, bucket: &Arc<Bucket>, selection: Selection, report: &mut Report) -> Result<()> {
    let mut picks = Picks::new(bucket, selection);
    loop {
        let batch = picks.batch(cx)?;
        if batch.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = batch.iter().map(|p| p.object.key.clone()).collect();
        let sizes = cx.cluster.storage.write(move |tables| {
            let mut sizes = Vec::with_capacity(keys.len());
            for key in &keys {
                let size = tables.object(key)?.map(|r| r.size);
                tables.remove_object(key)?;
                sizes.push(size);
            }
            Ok(sizes)
        });
        for (pick, size) in batch.iter().zip(sizes.await?) {
            match size {
                Some(size) => report.add(size),
                None => report.errors.extend(pick.missing(cx)),
            }
        }
    }
}

/// The bucket that the member `tobck` names.
pub(crate) fn to_bucket(value: &Value) -> Result<BucketName> {
    let to = &value["tobck"];
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let bucket = BucketName {
        name: text(&to["name"]),
        provider: Provider::parse(to["provider"].as_str().unwrap_or_default())?,
        namespace: Namespace { uuid: text(&to["namespace"]["uuid"]), name: text(&to["namespace"]["name"]) },
    };
    bucket.check()?;
    Ok(bucket)
}

/// `copy-listrange`.
pub(crate) async fn copy(cx: &Cx, name: &BucketName, action: &Action) -> Result<Reply> {
    let from = bucket(cx, name)?;
    let to = to_bucket(&action.value)?;
    cloud::admit(cx, &to).await?;
    let options: CopyOptions = decode_value(action, Schema::Struct(&COPY), &cx.node_name())?;
    options.check()?;
    let started = now();
    let into = ensure_destination(cx, &from, &to).await?;
    let mut report = Report {
        bucket: Some(name.clone()),
        from: Some(name.clone()),
        to: Some(to.clone()),
        workers: u64::try_from(options.workers).unwrap_or(0),
        ..Report::default()
    };
    // A selection that makes no sense is a matter of the job.
    match Selection::from_value(&action.value) {
        Ok(selection) => {
            selection.check_end()?;
            let template = match &selection {
                Selection::Template(template) if options.synchronize && !options.dry_run => {
                    Some(template.clone())
                }
                _ => None,
            };
            copy_picks(cx, Picks::new(&from, selection), &into, &options, &mut report).await?;
            if let Some(template) = template {
                forget_vanished(cx, &from, &template).await?;
                remove_vanished(cx, &from, &into, &template.prefix, |name| template.matches(name)).await?;
            }
        }
        Err(fail) => report.errors.push(fail.message),
    }
    let joined = cx.cluster.jobs.join("copy-listrange", name, Some(&to), &report);
    Ok(Reply::text(joined.unwrap_or_else(|| cx.cluster.jobs.record("copy-listrange", started, report))))
}

/// Drops copies of what the origin of a bucket does not have any more.
async fn forget_vanished(cx: &Cx, bucket: &Arc<Bucket>, template: &Template) -> Result<()> {
    if bucket.remote().is_none() {
        return Ok(());
    }
    let mut copies = Cursor::new(bucket, &template.prefix);
    while let Some((object, _)) = copies.next(cx)? {
        if template.matches(&object.key.name) && !exists(cx, &object)? {
            object::evict(cx, &object).await?;
        }
    }
    Ok(())
}

async fn copy_picks(
    cx: &Cx,
    mut picks: Picks,
    into: &Arc<Bucket>,
    options: &CopyOptions,
    report: &mut Report,
) -> Result<()> {
    while let Some(pick) = picks.next(cx)? {
        let object = &pick.object;
        if object.bucket.remote().is_none() && cx.cluster.storage.object(&object.key)?.is_none() {
            report.errors.extend(pick.missing(cx));
            continue;
        }
        let source = match open(cx, object, options.freshness()).await {
            Ok(source) => source,
            Err(fail) => {
                report.errors.push(fail.message);
                continue;
            }
        };
        report.add(source.size);
        let name = options.destination(&object.key.name);
        let to = locate(cx, Arc::clone(into), &name, cx.cluster.place(into, &name));
        if !options.dry_run && to.key != object.key {
            objects::copy_source(cx, source, &to).await?;
        }
    }
    Ok(())
}
