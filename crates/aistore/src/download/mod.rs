//! Downloads from the web, done by the cluster.

use std::{
    fmt,
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use futures_core::future::BoxFuture;
use longshore_core_types::{Error, ErrorKind, Resource, Result};

use crate::{
    bucket::Bucket,
    client::Client,
    object::options::EtlCall,
    wait::{Wait, Watched},
    wire::download::{self as wire, DownloadParams, What},
};

/// Longest answer about downloads that is read.
const LIMIT: usize = 64 << 20;

/// A download by the cluster, by its id. Cheap to clone; making one does no I/O.
#[derive(Clone, Debug)]
pub struct Download {
    client: Client,
    id: String,
}

impl Client {
    /// A download by its id. No I/O.
    pub fn download(&self, id: impl Into<String>) -> Download {
        Download { client: self.clone(), id: id.into() }
    }

    /// The downloads that the cluster remembers.
    pub fn downloads(&self) -> ListDownloads {
        ListDownloads { client: self.clone(), matching: String::new(), active: false }
    }
}

/// Targets refuse links to loopback and link-local addresses, and, unless the cluster is told otherwise, to private
/// networks. A bucket of the cluster itself that does not exist is made.
impl Bucket {
    /// Lets the cluster download one link. The object is named by the last part of the link's path.
    pub fn download(&self, link: impl Into<String>) -> StartDownload {
        self.start_download(What::Single { link: link.into(), name: None })
    }

    /// Lets the cluster download one link as the object of this name.
    pub fn download_as(&self, name: impl Into<String>, link: impl Into<String>) -> StartDownload {
        self.start_download(What::Single { link: link.into(), name: Some(name.into()) })
    }

    /// Lets the cluster download the links that a template such as `https://host/file-{000..099}.bin` stands for.
    /// Objects are named by the last parts of the paths, below `dir` if it is not empty.
    pub fn download_range(&self, template: impl Into<String>, dir: impl Into<String>) -> StartDownload {
        self.start_download(What::Range { template: template.into(), dir: dir.into() })
    }

    /// Lets the cluster download several links, each as the object of the name that stands before it.
    pub fn download_named<N, L>(&self, links: impl IntoIterator<Item = (N, L)>) -> StartDownload
    where
        N: Into<String>,
        L: Into<String>,
    {
        let links = links.into_iter().map(|(name, link)| (name.into(), link.into()));
        self.start_download(What::Named(links.collect()))
    }

    /// Lets the cluster download several links. Objects are named by the last parts of the paths.
    pub fn download_links<L: Into<String>>(&self, links: impl IntoIterator<Item = L>) -> StartDownload {
        self.start_download(What::Links(links.into_iter().map(Into::into).collect()))
    }

    /// Lets the cluster fetch what the backend of this remote bucket has below `prefix` and ends in `suffix`; both may
    /// be empty. With `sync`, what the backend has no more is removed from the cluster. Refused for buckets of the
    /// cluster itself, where it would bring a target down.
    pub fn download_backend(
        &self,
        prefix: impl Into<String>,
        suffix: impl Into<String>,
        sync: bool,
    ) -> StartDownload {
        self.start_download(What::Backend { prefix: prefix.into(), suffix: suffix.into(), sync })
    }

    fn start_download(&self, what: What) -> StartDownload {
        StartDownload { bucket: self.clone(), what, params: DownloadParams::default() }
    }
}

/// A start of a download; see [`Bucket::download`]. Awaiting it answers the download.
#[derive(Clone)]
#[must_use = "nothing is downloaded until it is awaited"]
pub struct StartDownload {
    bucket: Bucket,
    what: What,
    params: DownloadParams,
}

impl StartDownload {
    /// A text to find the download by.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.params.description = text.into();
        self
    }

    /// How long one link may take; the cluster's own by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.params.timeout = Some(timeout);
        self
    }

    /// How often targets report; every 10 s by default.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.params.progress_interval = Some(interval);
        self
    }

    /// Most connections of a target; 0 for the cluster's own.
    pub fn connections(mut self, connections: u32) -> Self {
        self.params.connections = connections;
        self
    }

    /// Most bytes per hour, all over the cluster; 0 for no limit.
    pub fn bytes_per_hour(mut self, bytes: u64) -> Self {
        self.params.bytes_per_hour = bytes;
        self
    }

    /// Sends this header with every request to the source. Its value is shown nowhere.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.headers.entry(name.into()).or_default().push(value.into());
        self
    }

    /// Stores what this ETL makes of the downloads. A pipeline is refused.
    pub fn etl(mut self, etl: EtlCall) -> Self {
        self.params.etl = Some(etl);
        self
    }
}

impl IntoFuture for StartDownload {
    type Output = Result<Download>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let client = self.bucket.client();
            let answer = client.call(wire::start(self.bucket.reference(), &self.what, &self.params)?).await?;
            let call = answer.call.clone();
            let id = wire::parse_start(&answer.bytes(64 << 10).await?).map_err(|e| e.with_call(&call))?;
            Ok(client.download(id))
        })
    }
}

impl fmt::Debug for StartDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers often hold secrets, and so do links.
        f.debug_struct("StartDownload").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Download {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How far it is. `NotFound` if the cluster does not know it.
    pub async fn status(&self) -> Result<DownloadStatus> {
        let answer = self.client.call(wire::status(&self.id, false)?).await?;
        let call = answer.call.clone();
        wire::parse_status(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    /// The same without the links that are done, and without errors: cheap for a download of very many.
    pub async fn progress(&self) -> Result<DownloadStatus> {
        let answer = self.client.call(wire::status(&self.id, true)?).await?;
        let call = answer.call.clone();
        wire::parse_status(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    /// Stops it. `Ok` also if it is over.
    pub async fn abort(&self) -> Result<()> {
        self.client.call(wire::abort(&self.id)?).await?.done().await.map(drop)
    }

    /// Forgets it. It must be over (`InvalidInput` otherwise).
    pub async fn remove(&self) -> Result<()> {
        self.client.call(wire::remove(&self.id)?).await?.done().await.map(drop)
    }

    /// Waits until it is over. Awaiting it answers its last status; see [`DownloadStatus::into_result`].
    pub fn wait(&self) -> WaitDownload {
        Wait::new(self.clone())
    }
}

/// A list of downloads; see [`Client::downloads`]. Awaiting it asks the cluster.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct ListDownloads {
    client: Client,
    matching: String,
    active: bool,
}

impl ListDownloads {
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

impl IntoFuture for ListDownloads {
    type Output = Result<Vec<DownloadStatus>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let answer = self.client.call(wire::list(&self.matching, self.active)?).await?;
            let call = answer.call.clone();
            wire::parse_list(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
        })
    }
}

/// How far a download is. In lists without its single links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadStatus {
    /// Its id.
    pub id: String,
    /// Id of the job of the targets' downloader, which may change.
    pub job: String,
    /// What it is, in words.
    pub description: String,
    /// When it began.
    pub started: Option<SystemTime>,
    /// When it ended; `None` while it runs, and if it was stopped.
    pub finished: Option<SystemTime>,
    /// Links that were downloaded.
    pub done: u64,
    /// Links that targets have begun with.
    pub scheduled: u64,
    /// Links whose objects were there already.
    pub skipped: u64,
    /// Links that failed.
    pub failed: u64,
    /// All links; `None` while that is not known.
    pub total: Option<u64>,
    /// Whether all links were handed out to targets.
    pub all_dispatched: bool,
    /// Whether it was stopped.
    pub aborted: bool,
    /// The links under way.
    pub running: Vec<DownloadTask>,
    /// The links that are over, failed ones included.
    pub ended: Vec<DownloadTask>,
    /// What went wrong.
    pub errors: Vec<DownloadError>,
}

impl DownloadStatus {
    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        self.aborted || self.finished.is_some()
    }

    /// An error that says what went wrong, if anything did.
    pub fn into_result(self) -> Result<Self> {
        if !self.aborted && self.failed == 0 {
            return Ok(self);
        }
        let (kind, what) = match self.errors.first() {
            _ if self.aborted => (ErrorKind::Cancelled, "it was stopped".to_owned()),
            Some(error) => {
                let first = format!("{}: {}", error.name, error.message);
                (ErrorKind::Other, format!("{} links failed, the first is {first}", self.failed))
            }
            None => (ErrorKind::Other, format!("{} links failed", self.failed)),
        };
        let name = self.id.into();
        Err(Error::new(kind, format!("the download failed: {what}"))
            .with_resource(Resource::Named { kind: "download", name }))
    }
}

/// One link of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadTask {
    /// Name of the object.
    pub name: String,
    /// Bytes that have arrived.
    pub downloaded: u64,
    /// All its bytes, if that is known.
    pub total: Option<u64>,
    /// When it began.
    pub started: Option<SystemTime>,
    /// When it ended.
    pub ended: Option<SystemTime>,
}

/// A link that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadError {
    /// Name of the object.
    pub name: String,
    /// Why.
    pub message: String,
}

/// A wait for a download; see [`Download::wait`].
pub type WaitDownload = Wait<Download>;

impl Watched for Download {
    type Said = DownloadStatus;
    type Answer = DownloadStatus;
    type Outcome = DownloadStatus;
    const KIND: &'static str = "download";

    fn name(&self) -> &str {
        &self.id
    }

    async fn ask(&self) -> Result<Option<DownloadStatus>> {
        self.progress().await.map(Some)
    }

    async fn outcome(&mut self, status: DownloadStatus) -> Result<Option<DownloadStatus>> {
        if status.is_over() { self.status().await.map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    fn client(server: &ScriptedService) -> Client {
        Client::builder("http://gateway:1").service(server.clone()).build().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_what_went_wrong() {
        let over = r#"{"id":"dnl-1","finished_time":"2026-11-21T15:49:35Z","error_cnt":1}"#;
        let all = r#"{"id":"dnl-1","finished_time":"2026-11-21T15:49:35Z","error_cnt":1,
            "download_errors":[{"name":"a","error":"egress blocked"}]}"#;
        let running = r#"{"id":"dnl-1","finished_time":"1970-01-01T00:00:00Z"}"#;
        let replies = [Reply::ok(r#"{"id":"dnl-1"}"#), Reply::status(404), Reply::ok(running)];
        let server = ScriptedService::replies(replies.into_iter().chain([Reply::ok(over), Reply::ok(all)]));
        let bucket = client(&server).bucket("b").unwrap();
        let download = bucket.download("http://host/a").header("authorization", "sesame").await.unwrap();
        let status = download.wait().await.unwrap();
        assert_eq!(status.failed, 1);
        let error = status.into_result().unwrap_err();
        assert!(error.to_string().contains("egress blocked"), "{error}");
        let shown = format!("{:?}", bucket.download("http://host/a").header("authorization", "sesame"));
        assert!(!shown.contains("sesame"));
    }

    #[tokio::test]
    async fn what_brings_targets_down_is_not_sent() {
        let server = ScriptedService::replies([]);
        let bucket = client(&server).bucket("b").unwrap();
        assert!(bucket.download_backend("", "", false).await.is_err());
        assert!(bucket.download_named([] as [(String, String); 0]).await.is_err());
        assert!(bucket.download_range("http://host/{0..99999999}", "").await.is_err());
        assert!(bucket.download("nonsense").await.is_err());
        assert!(client(&server).download("").abort().await.is_err());
        assert!(server.requests().is_empty());
    }
}
