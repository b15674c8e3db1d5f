//! Sorting the records of archives, all over a cluster.

pub(crate) mod spec;

use std::{
    collections::BTreeMap,
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use futures_core::future::BoxFuture;
use longshore_core_types::{Error, ErrorKind, Resource, Result};

use crate::{
    client::Client,
    names::BucketRef,
    wait::{Wait, Watched},
    wire::{dsort as wire, from_text},
};

use spec::Output;
pub use spec::{DsortAlgorithm, DsortKey, DsortSize, DsortSpec, Dsorter};

/// Longest answer about sorts that is read.
const LIMIT: usize = 64 << 20;

/// Where a map of records is kept for the targets.
const MAP_NAME: &str = "ekm-file.json";

/// A distributed sort, by its id. Cheap to clone; making one does no I/O.
///
/// Many clusters are built without it: they answer `Unsupported`.
#[derive(Clone, Debug)]
pub struct Dsort {
    client: Client,
    id: String,
}

impl Client {
    /// A sort by its id. No I/O.
    pub fn dsort(&self, id: impl Into<String>) -> Dsort {
        Dsort { client: self.clone(), id: id.into() }
    }

    /// Starts a sort. `InvalidInput`, before anything is sent, if the spec is not one that a cluster survives.
    pub async fn start_dsort(&self, spec: &DsortSpec) -> Result<Dsort> {
        let url = match &spec.output {
            Output::Map(map) => {
                // Refused here, nothing is stored either.
                spec.to_json(Some(""))?;
                let json = serde_json::to_vec(map).map_err(|error| {
                    Error::new(ErrorKind::InvalidInput, "the map cannot be written as JSON")
                        .with_source(error)
                })?;
                let object = self.bucket_ref(spec.input_bucket.clone()).object(MAP_NAME)?;
                object.put(json).await?;
                Some(object.http_url())
            }
            _ => None,
        };
        let answer = self.call(wire::start(spec, url.as_deref())?).await?;
        let call = answer.call.clone();
        let id = from_text(&answer.bytes(4096).await?, "the id of a sort");
        Ok(self.dsort(id.map_err(|error| error.with_call(&call))?))
    }

    /// The sorts that the cluster remembers.
    pub fn dsorts(&self) -> ListDsorts {
        ListDsorts { client: self.clone(), matching: String::new(), active: false }
    }
}

impl Dsort {
    /// Its id.
    #[doc(alias = "dsort_id")]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What each target says about it, by target. `NotFound` if none knows it.
    #[doc(alias = "get_job_info")]
    pub async fn info(&self) -> Result<BTreeMap<String, DsortInfo>> {
        let answer = self.client.call(wire::info(&self.id)?).await?;
        let call = answer.call.clone();
        wire::parse_info(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    /// Stops it. `Ok` also if it is over.
    pub async fn abort(&self) -> Result<()> {
        self.client.call(wire::abort(&self.id)?).await?.done().await.map(drop)
    }

    /// Forgets it. It must be over (`InvalidInput` otherwise).
    pub async fn remove(&self) -> Result<()> {
        self.client.call(wire::remove(&self.id)?).await?.done().await.map(drop)
    }

    /// Waits until it is over.
    pub fn wait(&self) -> WaitDsort {
        Wait::new(self.clone())
    }
}

/// A list of sorts; see [`Client::dsorts`]. Awaiting it asks the cluster.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct ListDsorts {
    client: Client,
    matching: String,
    active: bool,
}

impl ListDsorts {
    /// Only those whose description matches this regular expression.
    pub fn matching(mut self, pattern: impl Into<String>) -> Self {
        self.matching = pattern.into();
        self
    }

    /// Only those that run.
    pub fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }
}

impl IntoFuture for ListDsorts {
    type Output = Result<Vec<DsortInfo>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let answer = self.client.call(wire::list(&self.matching, self.active)).await?;
            let call = answer.call.clone();
            wire::parse_list(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
        })
    }
}

/// What a target says about a sort, or, in a list, all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DsortInfo {
    /// Id of the sort.
    pub id: String,
    /// The bucket it reads.
    pub source: Option<BucketRef>,
    /// The bucket it writes.
    pub destination: Option<BucketRef>,
    /// The text it was given.
    pub description: String,
    /// When it began.
    pub started: Option<SystemTime>,
    /// When it ended; `None` while it runs, and if it was stopped.
    pub finished: Option<SystemTime>,
    /// Shards that it read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Reading records.
    pub extraction: DsortPhase,
    /// Sorting them.
    pub sorting: DsortPhase,
    /// Writing shards.
    pub creation: DsortPhase,
    /// What was odd.
    pub warnings: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// Whether it was stopped or failed.
    pub aborted: bool,
    /// Whether it is over.
    pub archived: bool,
}

/// One phase of a sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DsortPhase {
    /// How long it took so far.
    pub elapsed: Duration,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is over.
    pub finished: bool,
    /// Shards to read or write.
    pub total: u64,
    /// Shards read or written.
    pub done: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records read.
    pub records: u64,
}

/// How a sort ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DsortOutcome {
    /// Id of the sort.
    pub id: String,
    /// When it ended; `None` if it was stopped.
    pub finished: Option<SystemTime>,
    /// Whether it was stopped or failed.
    pub aborted: bool,
    /// What went wrong, on any target; the cause first.
    pub errors: Vec<String>,
    /// Shards that were written.
    pub created: u64,
}

impl DsortOutcome {
    /// An error that says what went wrong, if anything did.
    pub fn into_result(self) -> Result<Self> {
        if !self.aborted {
            return Ok(self);
        }
        let what = self.errors.first().map_or("it was stopped", String::as_str);
        let message = format!("the sort failed: {what}");
        let name = self.id.clone().into();
        Err(Error::new(ErrorKind::Cancelled, message).with_resource(Resource::Named { kind: "dsort", name }))
    }

    fn of(id: &str, all: &BTreeMap<String, DsortInfo>) -> Self {
        let mut errors: Vec<String> = Vec::new();
        for error in all.values().flat_map(|info| &info.errors) {
            if !errors.contains(error) {
                errors.push(error.clone());
            }
        }
        // One target knows the cause; the others only that there was one.
        errors.sort_by_key(|error| error.ends_with("aborted"));
        let finished: Option<Vec<SystemTime>> = all.values().map(|info| info.finished).collect();
        Self {
            id: id.to_owned(),
            finished: finished.and_then(|all| all.into_iter().max()),
            aborted: all.values().any(|info| info.aborted),
            errors,
            created: all.values().map(|info| info.creation.done).sum(),
        }
    }
}

/// A wait for a sort; see [`Dsort::wait`].
pub type WaitDsort = Wait<Dsort>;

impl Watched for Dsort {
    type Said = BTreeMap<String, DsortInfo>;
    type Answer = BTreeMap<String, DsortInfo>;
    type Outcome = DsortOutcome;
    const KIND: &'static str = "dsort";

    fn name(&self) -> &str {
        &self.id
    }

    async fn ask(&self) -> Result<Option<Self::Answer>> {
        Ok(Some(self.info().await?).filter(|all| !all.is_empty()))
    }

    async fn outcome(&mut self, all: Self::Answer) -> Result<Option<DsortOutcome>> {
        let over = |info: &DsortInfo| info.aborted || info.archived || info.creation.finished;
        let failed = all.values().any(|info| info.aborted && info.archived);
        Ok((failed || all.values().all(over)).then(|| DsortOutcome::of(&self.id, &all)))
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    fn client(server: &ScriptedService) -> Client {
        Client::builder("http://gateway:1").service(server.clone()).build().unwrap()
    }

    fn target(creation: &str, aborted: bool, error: &str) -> String {
        format!(
            r#"{{"id":"srt-1","Metrics":{{"shard_creation":{creation},"errors":[{error}]}},"aborted":{aborted},
            "archived":{aborted}}}"#
        )
    }

    #[tokio::test(start_paused = true)]
    async fn waits_end_when_all_targets_are_done_or_one_failed() {
        let (busy, done) =
            (target("{}", false, ""), target(r#"{"finished":true,"created_count":"2"}"#, false, ""));
        let server = ScriptedService::replies([
            Reply::status(404),
            Reply::ok("{}"),
            Reply::ok(format!(r#"{{"t1":{busy},"t2":{done}}}"#)),
            Reply::ok(format!(r#"{{"t1":{done},"t2":{done}}}"#)),
        ]);
        let outcome = client(&server).dsort("srt-1").wait().await.unwrap();
        assert_eq!((outcome.aborted, outcome.created), (false, 4));
        let failed = target("{}", true, r#""[dsort] srt-1 aborted""#);
        let cause = target("{}", true, r#""no space""#);
        let server = ScriptedService::replies([Reply::ok(format!(r#"{{"t1":{failed},"t2":{cause}}}"#))]);
        let outcome = client(&server).dsort("srt-1").wait().await.unwrap();
        assert!(outcome.into_result().unwrap_err().to_string().contains("no space"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_without_sorting_says_so() {
        let server = ScriptedService::new(|request| match request.method.as_str() {
            "GET" => Reply::ok("[]"),
            _ => Reply::status(501).body("dsort not enabled (build with -tags=dsort)\n"),
        });
        let client = client(&server);
        let error = client.dsort("srt-1").wait().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let spec =
            DsortSpec::new("b".parse().unwrap(), "a-{0..1}".parse().unwrap(), "o-{0..1}".parse().unwrap());
        let error = client.start_dsort(&spec.shard_size(1000)).await.unwrap_err();
        assert!(error.to_string().contains("dsort not enabled"), "{error}");
    }

    #[tokio::test]
    async fn what_breaks_a_cluster_is_not_sent() {
        let server = ScriptedService::replies([]);
        let client = client(&server);
        let spec =
            DsortSpec::new("b".parse().unwrap(), "a-{0..1}".parse().unwrap(), "o-{0..1}".parse().unwrap());
        assert!(client.start_dsort(&spec).await.is_err());
        let map = DsortSpec::by_map("b".parse().unwrap(), "a-{0..1}".parse().unwrap(), []);
        assert!(client.start_dsort(&map).await.is_err());
        assert!(client.dsort("").abort().await.is_err());
        assert!(server.requests().is_empty());
    }
}
