//! Transformations that run inside the cluster.

pub(crate) mod spec;

use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use longshore_core_types::{ErrorKind, Result};
use longshore_transport::RequestOptions;
use serde_json::Value;

use crate::{
    client::Client,
    cluster::Cluster,
    job::{Job, JobKind},
    object::options::EtlCall,
    wire::{Request, etl as wire, from_text},
};

pub use spec::{EtlCommunication, EtlSpec, PythonVersion};

/// Longest answer about ETLs that is read.
const LIMIT: usize = 64 << 20;

/// How long starting, stopping and the like may take: pods come and go.
const SLOW: Duration = Duration::from_secs(300);

/// What is added to the time that the containers may take to come up.
const MARGIN: Duration = Duration::from_secs(30);

/// An ETL of a cluster, which may or may not exist. Cheap to clone; making one does no I/O.
///
/// ETLs run in Kubernetes. A cluster outside of it, or one built without them, answers every call with
/// `Unsupported`.
#[derive(Clone, Debug)]
pub struct Etl {
    client: Client,
    name: String,
}

impl Client {
    /// An ETL by its name: 6 to 32 lower-case letters, digits and `-`. No I/O.
    pub fn etl(&self, name: impl Into<String>) -> Result<Etl> {
        let name = name.into();
        spec::check_name(&name)?;
        Ok(Etl { client: self.clone(), name })
    }
}

impl Cluster {
    /// All ETLs, whatever their stage.
    #[doc(alias = "list_etls")]
    pub async fn etls(&self) -> Result<Vec<EtlInfo>> {
        let answer = self.client().call(wire::list()).await?;
        let call = answer.call.clone();
        wire::parse_list(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    /// The ETLs that run.
    #[doc(alias = "list_running_etls")]
    pub async fn running_etls(&self) -> Result<Vec<EtlInfo>> {
        let mut all = self.etls().await?;
        all.retain(|etl| etl.stage == EtlStage::Running);
        Ok(all)
    }
}

impl Etl {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes it and starts it. `AlreadyExists` if there is one of this name. Awaiting it answers its job.
    pub fn init(&self, spec: EtlSpec) -> InitEtl {
        InitEtl { etl: self.clone(), spec, probe: true }
    }

    /// Starts it again after it was stopped or failed. Answers its new job.
    pub async fn start(&self) -> Result<Job> {
        self.job(wire::start(&self.name)?, SLOW).await
    }

    /// Stops it. `Ok` also if it is stopped already.
    pub async fn stop(&self) -> Result<()> {
        self.slow(wire::stop(&self.name)?).await
    }

    /// Removes it, after stopping it. `NotFound` if there is none.
    pub async fn delete(&self) -> Result<()> {
        match self.slow(wire::delete(&self.name)?).await {
            // After an attempt without a clear answer, "missing" is what success looks like.
            Err(error) if error.kind() == ErrorKind::NotFound && error.attempts() > 1 => Ok(()),
            result => result,
        }
    }

    /// What it was made of, and the objects it failed on when they were read.
    #[doc(alias = "view")]
    pub async fn details(&self) -> Result<EtlDetails> {
        self.read(wire::details(&self.name, "")?, wire::parse_details).await
    }

    /// What it was made of, and the objects it failed on in one job.
    pub async fn details_of(&self, job: &Job) -> Result<EtlDetails> {
        self.read(wire::details(&self.name, job.id())?, wire::parse_details).await
    }

    /// What its containers wrote, by target.
    pub async fn logs(&self) -> Result<Vec<EtlLog>> {
        self.read(wire::logs(&self.name, "")?, wire::parse_logs).await
    }

    /// What its container on one target wrote.
    pub async fn logs_of(&self, target: &str) -> Result<Vec<EtlLog>> {
        self.read(wire::logs(&self.name, target)?, wire::parse_logs).await
    }

    /// State of its containers, by target.
    pub async fn health(&self) -> Result<Vec<EtlHealth>> {
        self.read(wire::health(&self.name)?, wire::parse_health).await
    }

    /// What its containers use, by target.
    pub async fn metrics(&self) -> Result<Vec<EtlMetrics>> {
        self.read(wire::metrics(&self.name)?, wire::parse_metrics).await
    }

    /// A call of it, for reads and copies; more ETLs can be appended.
    pub fn call(&self) -> EtlCall {
        EtlCall::new(&self.name)
    }

    async fn read<T>(&self, request: Request, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
        let answer = self.client.call(request).await?;
        let call = answer.call.clone();
        parse(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    async fn slow(&self, request: Request) -> Result<()> {
        self.client.call_slow(request, SLOW).await?.done().await.map(drop)
    }

    async fn job(&self, request: Request, patience: Duration) -> Result<Job> {
        let answer = self.client.call_slow(request, patience).await?;
        let call = answer.call.clone();
        let id = from_text(&answer.bytes(4096).await?, "the id of a job");
        Ok(Job::new(self.client.clone(), id.map_err(|error| error.with_call(&call))?, JobKind::EtlInline))
    }
}

impl Client {
    /// Sends a request to the gateway that may take this long before it answers.
    async fn call_slow(&self, request: Request, patience: Duration) -> Result<crate::client::Answer> {
        let timeouts = self.timeouts().head_at_least(patience);
        let options = RequestOptions::default().timeouts(timeouts).deadline(Instant::now() + patience);
        self.call_with(request, options).await
    }
}

/// The making of an ETL; see [`Etl::init`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until it is awaited"]
pub struct InitEtl {
    etl: Etl,
    spec: EtlSpec,
    probe: bool,
}

impl InitEtl {
    /// Whether the cluster is asked first if it can run ETLs at all; so by default. One that cannot would keep the
    /// name for ever: nothing removes it any more.
    pub fn probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }
}

impl IntoFuture for InitEtl {
    type Output = Result<Job>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::init(&self.etl.name, &self.spec)?;
            if self.probe {
                self.etl.client.cluster().etls().await?;
            }
            self.etl.job(request, self.spec.init_timeout.saturating_add(MARGIN)).await
        })
    }
}

/// An ETL in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtlInfo {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub stage: EtlStage,
    /// Id of its job, if it has one.
    pub job: Option<String>,
    /// Objects that it transformed.
    pub objects: u64,
    /// Bytes that went in.
    pub bytes_in: u64,
    /// Bytes that came out.
    pub bytes_out: u64,
}

/// What an ETL is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EtlStage {
    /// Its containers come up.
    Initializing,
    /// It transforms.
    Running,
    /// It was stopped, or failed.
    Aborted,
    /// Something that this client does not know.
    Other(String),
}

impl From<&str> for EtlStage {
    fn from(text: &str) -> Self {
        match text {
            "Initializing" => Self::Initializing,
            "Running" => Self::Running,
            "Aborted" | "Stopped" => Self::Aborted,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for EtlStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Initializing => "initializing",
            Self::Running => "running",
            Self::Aborted => "aborted",
            Self::Other(text) => text,
        })
    }
}

/// What an ETL was made of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EtlDetails {
    /// Its name.
    pub name: String,
    /// How targets talk to it, as the cluster words it.
    pub communication: String,
    /// Its container image; `None` of one that was made of a pod.
    pub image: Option<String>,
    /// Everything that it was made of, in the layout of the cluster's version.
    pub init: Value,
    /// The objects that it failed on.
    #[doc(alias = "obj_errors")]
    pub errors: Vec<EtlObjectError>,
}

/// An object that an ETL failed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtlObjectError {
    /// Name of the object.
    pub object: String,
    /// What went wrong.
    pub message: String,
    /// Status that the transformer answered.
    pub status: u16,
}

/// What the container on one target wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtlLog {
    /// The target.
    pub target: String,
    /// The text, usually UTF-8.
    pub text: Bytes,
}

/// State of the container on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtlHealth {
    /// The target.
    pub target: String,
    /// Its state as Kubernetes words it, such as `Running`.
    pub status: String,
}

/// What the container on one target uses.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EtlMetrics {
    /// The target.
    pub target: String,
    /// Processors.
    pub cpu: f64,
    /// Memory in bytes.
    pub memory: u64,
}

#[cfg(test)]
mod tests {
    use longshore_transport::{
        RetryConfig, TimeoutConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;

    /// What takes long waits longer for an answer, and keeps all other limits that were set.
    #[tokio::test(start_paused = true)]
    async fn slow_calls_are_patient() {
        let server = ScriptedService::new(|_| Reply::silence());
        let timeouts = TimeoutConfig::default().total(Duration::from_secs(100));
        let builder = Client::builder("http://gateway:1").service(server).retry(RetryConfig::off());
        let client = builder.timeouts(timeouts).build().unwrap();
        let began = tokio::time::Instant::now();
        let error = client.etl("etl-hello").unwrap().stop().await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Timeout, 100));
    }

    #[tokio::test]
    async fn no_name_is_left_behind_where_etls_cannot_run() {
        let text = r#"{"message":"the operation requires Kubernetes","status":400}"#;
        let server = ScriptedService::new(move |_| Reply::status(400).body(text));
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        let error = client.etl("etl-hello").unwrap().init(EtlSpec::image("img:1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("Kubernetes"), "{error}");
        assert!(server.requests().iter().all(|request| request.method == "GET"));
    }

    #[tokio::test]
    async fn what_is_malformed_is_not_sent() {
        let server = ScriptedService::replies([]);
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        assert!(client.etl("x").is_err());
        let etl = client.etl("etl-hello").unwrap();
        assert_eq!(etl.init(EtlSpec::image("")).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(etl.logs_of("../x").await.is_err());
        assert!(server.requests().is_empty());
    }
}
