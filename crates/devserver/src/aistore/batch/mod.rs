//! Get-batch: many objects, or files inside them, in one archive.
//!
//! The gateway reads the list and redirects to a target, which knows it by then; what the client sends there again is
//! read, but only the first list counts.

mod assemble;
mod request;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};

use self::request::{Request, decode};
use super::archive::Format;
use super::buckets::Bucket;
use super::cloud;
use super::cloud::object::{Freshness, warm};
use super::error::{Fail, Relayed, Result};
use super::gateway::other_method;
use super::ids::{now, short_id};
use super::jobs::Report;
use super::node::Cx;
use super::redirect;
use super::reply::{Html, Reply};
use super::target::locate;
use super::{TARGETS, guard};
use crate::access::bits;
use crate::sync::lock;

/// Batches that may wait for their second request; beyond that the oldest is forgotten.
const MAX_WAITING: usize = 1024;

/// A batch that a target is to deliver.
#[derive(Debug)]
struct Batch {
    id: String,
    job: String,
    /// The bucket in the path, if there is one.
    bucket: Option<Arc<Bucket>>,
    target: usize,
    request: Request,
}

impl Batch {
    /// The job's name in messages.
    fn name(&self) -> String {
        let job = &self.job;
        match &self.bucket {
            Some(bucket) => format!("x-get-batch[{job}]-{}", bucket.name),
            None => format!("x-get-batch[{job}]"),
        }
    }
}

/// Batches between their two requests.
#[derive(Debug, Default)]
pub(crate) struct Batches(Mutex<VecDeque<Batch>>);

impl Batches {
    fn put(&self, batch: Batch) {
        let mut waiting = lock(&self.0);
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(batch);
    }

    fn take(&self, id: &str, target: usize) -> Option<Batch> {
        let mut waiting = lock(&self.0);
        let at = waiting.iter().position(|b| b.id == id && b.target == target)?;
        waiting.remove(at)
    }
}

/// Answers the first request: with a redirect.
pub(crate) async fn at_gateway(cx: &Cx, rest: &str) -> Result<Reply> {
    if cx.method != Method::GET {
        return Ok(other_method(&cx.method, "GET"));
    }
    let rest = rest.trim_end_matches('/');
    let name = match rest.split_once('/') {
        None if rest == "moss" => None,
        Some(("moss", name)) if !name.contains('/') => Some(name),
        _ => return Err(cx.invalid_uri()),
    };
    let together = match cx.query.value("coloc") {
        "" | "0" => false,
        "1" | "2" => true,
        other => return Err(Fail::bad(format!("invalid 'coloc={other}' (expecting 0, 1, or 2)"))),
    };
    let bucket = match name {
        Some(name) => {
            let name = cx.bucket_name(name)?;
            cloud::admit(cx, &name).await?;
            Some(guard::bucket(cx, &name, bits::GET)?)
        }
        None => None,
    };
    let request = decode(cx, bucket.as_ref()).await?;
    let target = choose(cx, &request, together);
    let id = format!("{}-{}", &cx.node().id[..7], &short_id()[..5]);
    let path = |job: &str| {
        let bucket = name.map(|name| format!("/{name}")).unwrap_or_default();
        format!("/v1/ml/moss{bucket}/{job}/{id}/{TARGETS}")
    };
    if !request.mime.is_empty() {
        let node = &cx.cluster.targets[target];
        Format::from_request(&request.mime).map_err(|fail| {
            let (caller, node) = (cx.node_name(), node.name());
            fail.relayed(Relayed { method: "POST", path: path("noxid"), caller, node })
        })?;
    }
    let report = Report { bucket: bucket.as_ref().map(|b| b.name.clone()), ..Report::default() };
    let jobs = &cx.cluster.jobs;
    let joined = report.bucket.as_ref().and_then(|name| jobs.join("get-batch", name, None, &report));
    let job = joined.unwrap_or_else(|| jobs.record("get-batch", now(), report));
    let path = path(&job);
    let url = redirect::url(&cx.cluster, &cx.cluster.targets[target], &path, &cx.query, &cx.plan);
    cx.cluster.batches.put(Batch { id, job, bucket, target, request });
    Ok(Reply::redirect(StatusCode::TEMPORARY_REDIRECT, &url, Html::Body))
}

/// The target that is to deliver. The original takes any; here the choice repeats from run to run, and clients meet
/// both of what it does: a single entry lies on the target that delivers it, the first of several does not.
fn choose(cx: &Cx, request: &Request, together: bool) -> usize {
    let home = |entry: &request::Entry| cx.cluster.place(&entry.bucket, &entry.objname);
    if together {
        let homes: Vec<_> = request.entries.iter().map(home).collect();
        let count = |target: &usize| homes.iter().filter(|h| *h == target).count();
        return (0..TARGETS).rev().max_by_key(count).unwrap_or(0);
    }
    let first = request.entries.first().map_or(0, home);
    if request.entries.len() > 1 { (first + 1) % TARGETS } else { first }
}

/// Answers the second request: with the archive.
pub(crate) async fn at_target(cx: &Cx, index: usize, rest: &str) -> Result<Reply> {
    if cx.method != Method::GET {
        return Ok(other_method(&cx.method, "GET, POST"));
    }
    if cx.query.value("pid").is_empty() || cx.query.value("utm").is_empty() {
        return Err(Fail::new(StatusCode::UNAUTHORIZED, "direct target access denied"));
    }
    let items: Vec<_> = rest.split('/').collect();
    let (["moss", job, id, _] | ["moss", _, job, id, _]) = items.as_slice() else {
        return Err(cx.invalid_uri());
    };
    request::check_again(cx)?;
    let Some(batch) = cx.cluster.batches.take(id, index) else {
        return Err(Fail::not_found(format!(
            "x-get-batch[{job}]: wid={id:?} (prep-rx not done?) does not exist"
        )));
    };
    for entry in &batch.request.entries {
        let home = cx.cluster.place(&entry.bucket, &entry.objname);
        let object = locate(cx, Arc::clone(&entry.bucket), &entry.objname, home);
        match warm(cx, &object, Freshness::Any).await {
            // What is missing is a matter of the batch.
            Err(fail) if fail.status != StatusCode::NOT_FOUND => return Err(fail),
            _ => {}
        }
    }
    assemble::answer(cx, batch).await
}
