//! Jobs: a record of what was started, and the two models in which clients ask about it.
//!
//! Work is done before the call that starts it answers. What remains of a job is its record: finished, or, for kinds
//! that idle between work items, running and idle for a while. For those who test waiting and stopping it can pretend to
//! be at work for a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::gotime;
use super::ids::{now, short_id};
use super::names::BucketName;
use crate::sync::lock;

/// Kinds that copy from bucket to bucket: neither may get another name meanwhile.
const COPYING: [&str; 5] = ["copy-bck", "etl-bck", "copy-listrange", "etl-listrange", "move-bck"];

/// Records that are kept.
const MAX_JOBS: usize = 2000;

/// A kind of job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// The name that people use; accepted wherever the kind is.
    display: &'static str,
    /// Answers `what=status`.
    status: bool,
    /// Stays running and idle after its work.
    idles: bool,
    pub(crate) start: Start,
}

/// What the generic start call does with a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Starts it, on one bucket or all.
    Any,
    /// Starts it, but only on a bucket.
    NeedsBucket,
    /// Starts it on one node.
    OneNode,
    /// Starts it for the whole cluster.
    Cluster,
    /// Only remote buckets know it.
    Remote,
    /// Another call does.
    OwnCall,
    /// It comes with PUTs.
    ByPut,
    Never,
}

const fn kind(name: &'static str, display: &'static str, status: bool, idles: bool, start: Start) -> Kind {
    Kind { name, display, status, idles, start }
}

static KINDS: &[Kind] = &[
    kind("election", "elect-primary", false, false, Start::Never),
    kind("rebalance", "", true, false, Start::Cluster),
    kind("etl-inline", "", true, false, Start::Never),
    kind("lru", "lru-eviction", true, false, Start::Any),
    kind("cleanup-store", "cleanup", true, false, Start::Any),
    kind("summary-bck", "summary", false, false, Start::Never),
    kind("summary-shard", "shard-summary", false, false, Start::Never),
    kind("resilver", "", true, false, Start::OneNode),
    kind("rechunk", "", true, false, Start::NeedsBucket),
    kind("index-shard", "shard-index", true, false, Start::Never),
    kind("ec-get", "", false, true, Start::Never),
    kind("ec-put", "", false, true, Start::Never),
    kind("ec-resp", "", false, true, Start::Never),
    kind("put-copies", "", false, true, Start::ByPut),
    kind("archive", "", false, true, Start::Never),
    kind("copy-listrange", "copy-objects", false, true, Start::Never),
    kind("etl-listrange", "etl-objects", false, true, Start::Never),
    kind("blob-download", "", false, false, Start::Remote),
    kind("download", "", true, true, Start::OwnCall),
    kind("dsort", "", false, false, Start::Never),
    kind("promote", "promote-files", true, false, Start::Never),
    kind("evict-listrange", "evict-objects", true, false, Start::OwnCall),
    kind("evict-remote-bck", "evict-remote-bucket", false, false, Start::Never),
    kind("delete-listrange", "delete-objects", true, false, Start::OwnCall),
    kind("prefetch-listrange", "prefetch-objects", true, false, Start::Remote),
    kind("ec-encode", "ec-bucket", true, false, Start::OwnCall),
    kind("make-n-copies", "mirror", true, false, Start::OwnCall),
    kind("move-bck", "rename-bucket", true, false, Start::Never),
    kind("copy-bck", "copy-bucket", true, false, Start::Never),
    kind("etl-bck", "etl-bucket", true, false, Start::Never),
    kind("list", "", false, true, Start::Never),
    kind("get-batch", "", false, true, Start::Never),
    kind("create-inventory", "", true, false, Start::Never),
    kind("load-lom-cache", "warm-up-metadata", true, false, Start::NeedsBucket),
];

/// The kind with this name, canonical or for people.
pub(crate) fn find_kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| !name.is_empty() && (k.name == name || k.display == name))
}

/// What a job has to say for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) bucket: Option<BucketName>,
    pub(crate) from: Option<BucketName>,
    pub(crate) to: Option<BucketName>,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) workers: u64,
    /// Errors that did not end it, already in the server's words.
    pub(crate) errors: Vec<String>,
    /// The one target that it ran on; `None` for all.
    pub(crate) only: Option<usize>,
}

impl Report {
    /// Counts an object that was worked on.
    pub(crate) fn add(&mut self, size: u64) {
        self.objects += 1;
        self.bytes += size;
    }
}

#[derive(Clone, Debug)]
struct Job {
    id: String,
    kind: &'static Kind,
    report: Report,
    started: i64,
    ended: i64,
    /// Until when it pretends to be at work.
    runs_until: Option<Instant>,
    /// When an idling kind ends by itself.
    idle_until: Option<Instant>,
    aborted: bool,
}

impl Job {
    /// Time of the end in nanoseconds, 0 while it runs or idles.
    fn end_time(&self) -> i64 {
        let idles = self.idle_until.is_some_and(|until| Instant::now() < until);
        if !self.aborted && (idles || self.runs()) { 0 } else { self.ended }
    }

    fn runs(&self) -> bool {
        !self.aborted && self.runs_until.is_some_and(|until| Instant::now() < until)
    }

    /// The errors as a target tells them, or all of them.
    fn error(&self, target: Option<&str>) -> String {
        // An error that names no node is everyone's.
        let own = |e: &&String| match (target, e.strip_prefix("t[")) {
            (Some(target), Some(rest)) => rest.starts_with(target),
            _ => true,
        };
        let mut errors = self.report.errors.iter().filter(own);
        let Some(first) = errors.next() else { return String::new() };
        match errors.count() {
            0 => first.clone(),
            1 => format!("{first} (and 1 more error)"),
            n => format!("{first} (and {n} more errors)"),
        }
    }

    fn status(&self) -> Value {
        if self.aborted { self.status_with("user abort") } else { self.status_with(&self.error(None)) }
    }

    fn status_with(&self, err: &str) -> Value {
        json!({"kind": self.kind.name, "uuid": self.id, "err": err, "end_time": self.end_time(), "aborted": self.aborted})
    }

    /// Adds work, after which it idles anew.
    fn extend(&mut self, more: &Report, idle: Duration) {
        self.report.objects += more.objects;
        self.report.bytes += more.bytes;
        self.report.errors.extend(more.errors.iter().cloned());
        self.report.from.clone_from(&more.from);
        self.report.to.clone_from(&more.to);
        self.idle_until = Some(Instant::now() + idle);
        self.ended = now();
    }

    fn concerns(&self, bucket: &BucketName) -> bool {
        [&self.report.bucket, &self.report.from, &self.report.to].into_iter().flatten().any(|b| b == bucket)
    }

    /// The record as one target tells it; objects are counted at the first.
    fn snapshot(&self, target: usize, id: &str) -> Value {
        const ZERO: &str = "0001-01-01T00:00:00Z";
        let time = |nanos| gotime::format(nanos, "2006-01-02T15:04:05.999999999Z07:00");
        let bucket = |b: &Option<BucketName>| {
            b.as_ref().map_or_else(
                || json!({"name": "", "provider": "", "namespace": {"uuid": "", "name": ""}}),
                BucketName::json,
            )
        };
        let ended = self.end_time();
        let first = target == self.report.only.unwrap_or(0);
        let count = |n: u64| if first { n.to_string() } else { "0".to_owned() };
        json!({
            "ext": null,
            "start-time": time(self.started),
            "end-time": if ended == 0 { ZERO.to_owned() } else { time(ended) },
            "bck": bucket(&self.report.bucket),
            "src-bck": bucket(&self.report.from),
            "dst-bck": bucket(&self.report.to),
            "id": self.id,
            "kind": self.kind.name,
            "abort-err": if self.aborted { "user abort" } else { "" },
            "err": self.error(Some(id)),
            "glob.id": (self.report.workers << 10).to_string(),
            "stats": {
                "loc-objs": count(self.report.objects), "loc-bytes": count(self.report.bytes),
                "out-objs": "0", "out-bytes": "0", "in-objs": "0", "in-bytes": "0",
            },
            "aborted": self.aborted,
            "is_idle": !self.runs(),
        })
    }
}

/// A selection of jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection<'a> {
    /// Ids, tried in turn.
    pub(crate) ids: Vec<&'a str>,
    pub(crate) kind: Option<&'static Kind>,
    pub(crate) bucket: Option<&'a BucketName>,
    pub(crate) running: Option<bool>,
}

impl Selection<'_> {
    fn takes(&self, job: &Job) -> bool {
        (self.ids.is_empty() || self.ids.contains(&job.id.as_str()))
            && self.kind.is_none_or(|k| k == job.kind)
            && self.bucket.is_none_or(|b| job.concerns(b) || job.report.bucket.is_none())
            && self.running.is_none_or(|r| r == (job.end_time() == 0))
    }
}

/// How long jobs pretend to be at work, for as long as it is not set anew.
#[derive(Debug, Default)]
pub(crate) struct JobTime(Mutex<Duration>);

impl JobTime {
    pub(crate) fn set(&self, time: Duration) {
        *lock(&self.0) = time;
    }

    fn get(&self) -> Duration {
        *lock(&self.0)
    }
}

/// All jobs of the process.
#[derive(Debug)]
pub(crate) struct Jobs {
    idle: Duration,
    run: Arc<JobTime>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: Vec<Job>,
    rebalances: u32,
}

impl Jobs {
    /// Jobs are at work for `run`, and idling kinds stay listed as running for `idle` after that.
    pub(crate) fn new(idle: Duration, run: Arc<JobTime>) -> Self {
        Self { idle, run, inner: Mutex::default() }
    }

    /// Records work that has been done since `started`; returns the job's id.
    pub(crate) fn record(&self, kind: &str, started: i64, report: Report) -> String {
        self.record_as(kind, self.new_id(kind), started, report)
    }

    /// An id for a job of this kind, to be recorded later.
    pub(crate) fn new_id(&self, kind: &str) -> String {
        match kind {
            "copy-listrange" | "etl-listrange" => format!("tco-{}", short_id()),
            "get-batch" => format!("gbt-{}", short_id()),
            "create-inventory" => format!("inv-{}", short_id()),
            "rebalance" => {
                let mut inner = lock(&self.inner);
                inner.rebalances += 1;
                format!("g{}", inner.rebalances)
            }
            _ => short_id(),
        }
    }

    /// Records under an id that was given out before.
    pub(crate) fn record_as(&self, kind: &str, id: String, started: i64, report: Report) -> String {
        let Some(kind) = find_kind(kind) else { return id };
        let mut inner = lock(&self.inner);
        if inner.jobs.len() == MAX_JOBS {
            inner.jobs.remove(0);
        }
        let run = self.run.get();
        let runs_until = (!run.is_zero()).then(|| Instant::now() + run);
        let idle_until = kind.idles.then(|| Instant::now() + run + self.idle);
        let ended = now() + i64::try_from(run.as_nanos()).unwrap_or(i64::MAX / 2);
        let job =
            Job { id: id.clone(), kind, report, started, ended, runs_until, idle_until, aborted: false };
        inner.jobs.push(job);
        id
    }

    /// Adds work to an idling job of this kind on this bucket, if there is one, and returns its id. With `to`, the
    /// job must be one between the two.
    pub(crate) fn join(
        &self,
        kind: &str,
        bucket: &BucketName,
        to: Option<&BucketName>,
        more: &Report,
    ) -> Option<String> {
        let mut inner = lock(&self.inner);
        let job = inner.jobs.iter_mut().rev().find(|j| {
            j.kind.name == kind
                && j.end_time() == 0
                && j.report.bucket.as_ref() == Some(bucket)
                && to.is_none_or(|to| j.report.to.as_ref() == Some(to))
        })?;
        job.extend(more, self.idle);
        Some(job.id.clone())
    }

    /// An idling job of this kind on this bucket that has seen errors: its id and what it says.
    pub(crate) fn failing(&self, kind: &str, bucket: &BucketName) -> Option<(String, String)> {
        let inner = lock(&self.inner);
        let job =
            inner.jobs.iter().rev().find(|j| {
                j.kind.name == kind && j.end_time() == 0 && j.report.bucket.as_ref() == Some(bucket)
            })?;
        let error = job.error(None);
        (!error.is_empty()).then(|| (job.id.clone(), error))
    }

    /// The job that copies from or to this bucket and has not ended, also if it only waits for more work.
    pub(crate) fn copying(&self, bucket: &BucketName) -> Option<String> {
        let inner = lock(&self.inner);
        let holds = |j: &&Job| COPYING.contains(&j.kind.name) && j.end_time() == 0 && j.concerns(bucket);
        inner.jobs.iter().find(holds).map(|j| format!("{}[{}]", j.kind.name, j.id))
    }

    /// Adds work to the job of this id.
    pub(crate) fn extend(&self, id: &str, more: &Report) {
        if let Some(job) = lock(&self.inner).jobs.iter_mut().rev().find(|j| j.id == id) {
            job.extend(more, self.idle);
        }
    }

    /// The newest job that is selected and answers `what=status`, with its kind.
    pub(crate) fn status(&self, selection: &Selection<'_>) -> Option<(Value, &'static Kind)> {
        let inner = lock(&self.inner);
        let job = inner.jobs.iter().rev().find(|j| j.kind.status && selection.takes(j))?;
        Some((job.status(), job.kind))
    }

    /// All that are selected and answer `what=status`.
    pub(crate) fn statuses(&self, selection: &Selection<'_>) -> Vec<Value> {
        let inner = lock(&self.inner);
        let listed = inner.jobs.iter().filter(|j| j.kind.status && selection.takes(j));
        // In lists, that somebody stopped a job is no error.
        listed.map(|job| job.status_with(&job.error(None))).collect()
    }

    /// `kind[id]` of what runs or idles.
    pub(crate) fn running(&self, kind: Option<&'static Kind>) -> Vec<String> {
        let selection = Selection { kind, running: Some(true), ..Selection::default() };
        let inner = lock(&self.inner);
        let names = inner.jobs.iter().filter(|j| selection.takes(j));
        names.map(|j| format!("{}[{}]", j.kind.name, j.id)).collect()
    }

    /// Snapshots of the selected jobs by target; `None` if ids were given and none is known.
    pub(crate) fn snapshots(&self, selection: &Selection<'_>, targets: &[&str]) -> Option<Value> {
        let inner = lock(&self.inner);
        let by_id = !selection.ids.is_empty();
        let mut jobs: Vec<_> = inner.jobs.iter().filter(|j| selection.takes(j)).collect();
        if by_id {
            jobs.truncate(1);
            if jobs.is_empty() {
                return None;
            }
        }
        let mut answer = BTreeMap::new();
        for (index, target) in targets.iter().enumerate() {
            let here = jobs.iter().filter(|j| j.report.only.is_none_or(|t| t == index));
            let snapshots: Vec<_> = here.map(|j| j.snapshot(index, target)).collect();
            // A target that does not know the id is left out; one without jobs of a kind says so.
            if !(by_id && snapshots.is_empty()) {
                answer.insert((*target).to_owned(), Value::Array(snapshots));
            }
        }
        Some(Value::Object(answer.into_iter().collect()))
    }

    /// Marks selected jobs that have not ended as aborted.
    pub(crate) fn abort(&self, selection: &Selection<'_>) {
        let mut inner = lock(&self.inner);
        for job in &mut inner.jobs {
            if selection.takes(job) && job.end_time() == 0 {
                job.aborted = true;
                job.ended = now();
            }
        }
    }

    /// Id of a running job of this kind.
    pub(crate) fn running_id(&self, kind: &str) -> Option<String> {
        let inner = lock(&self.inner);
        inner.jobs.iter().rev().find(|j| j.kind.name == kind && j.end_time() == 0).map(|j| j.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str) -> Selection<'_> {
        Selection { ids: vec![id], ..Selection::default() }
    }

    fn report(bucket: &str) -> Report {
        Report { bucket: Some(BucketName::ais(bucket)), objects: 3, ..Report::default() }
    }

    #[test]
    fn idling_kinds_run_for_a_while() {
        let jobs = Jobs::new(Duration::from_mins(1), Arc::default());
        let copied = jobs.record("copy-listrange", now(), report("a"));
        let deleted = jobs.record("delete-listrange", now(), report("a"));
        assert!(copied.starts_with("tco-"));
        assert_eq!(jobs.running(None), [format!("copy-listrange[{copied}]")]);
        let by_id = |id| Selection { ids: vec![id], ..Selection::default() };
        assert!(jobs.status(&by_id(&copied)).is_none(), "unknown to this model");
        let (status, _) = jobs.status(&by_id(&deleted)).expect("a status");
        assert!(status["end_time"].as_i64() > Some(0));
        jobs.abort(&by_id(&copied));
        assert!(jobs.running(None).is_empty());
        let snapshots = jobs.snapshots(&by_id(&copied), &["t1", "t2"]).expect("snapshots");
        assert_eq!(snapshots["t1"][0]["aborted"], true);
        assert_eq!(snapshots["t1"][0]["stats"]["loc-objs"], "3");
        assert_eq!(snapshots["t2"][0]["stats"]["loc-objs"], "0");
    }

    #[test]
    fn work_takes_as_long_as_it_is_told_to() {
        let time = Arc::new(JobTime::default());
        let jobs = Jobs::new(Duration::ZERO, Arc::clone(&time));
        let done = jobs.record("copy-bck", now(), report("a"));
        time.set(Duration::from_mins(1));
        let [left, stopped] = ["copy-bck", "lru"].map(|kind| jobs.record(kind, now(), report("a")));
        let end = |id: &str| jobs.status(&one(id)).expect("a status").0["end_time"].as_i64();
        assert_eq!((end(&left), end(&stopped)), (Some(0), Some(0)));
        assert!(end(&done) > Some(0));
        assert_eq!(jobs.snapshots(&one(&left), &["t1"]).expect("snapshots")["t1"][0]["is_idle"], false);
        jobs.abort(&one(&stopped));
        assert_eq!(jobs.status(&one(&stopped)).expect("a status").0["err"], "user abort");
        assert_eq!(jobs.running(None), [format!("copy-bck[{left}]")]);
    }

    #[test]
    fn errors_are_counted_up() {
        let jobs = Jobs::new(Duration::ZERO, Arc::default());
        let errors = vec!["first".to_owned(), "second".to_owned()];
        let id = jobs.record("delete-listrange", now(), Report { errors, ..report("a") });
        let (status, _) =
            jobs.status(&Selection { ids: vec![&id], ..Selection::default() }).expect("a status");
        assert_eq!(status["err"], "first (and 1 more error)");
    }

    #[test]
    fn kinds_by_either_name() {
        assert_eq!(find_kind("copy-bucket").map(|k| k.name), Some("copy-bck"));
        assert_eq!(find_kind("").map(|k| k.name), None);
        assert_eq!(find_kind("nope").map(|k| k.name), None);
    }
}
