//! Settings of a [`Transfer`].

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use longshore_core_types::{Error, ErrorKind, Result, StoreUrl};
use tokio::sync::Semaphore;

use crate::{
    PartSize, RetryPolicy, Transfer,
    budget::Budget,
    checkpoint::Checkpoints,
    disk_speed::DiskSpeed,
    measured::Measured,
    plan::MIB,
    rate::RateLimit,
    requests::Services,
    slab::{SLAB, SlabPool},
    tree::Fold,
};

/// Whether what arrived is compared with the checksum that the store states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verify {
    /// Whenever the store states one.
    #[default]
    Auto,
    /// Always; a store that states none is an error.
    Always,
    /// Never.
    Never,
}

/// What becomes of the parts that were stored when an upload fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MultipartFailure {
    /// They are freed.
    #[default]
    Abort,
    /// They are kept; [`TransferError::upload`](crate::TransferError::upload) names the upload.
    Keep,
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) concurrency: usize,
    pub(crate) part_size: PartSize,
    pub(crate) multipart_threshold: u64,
    pub(crate) serial_download: u64,
    pub(crate) memory: u64,
    pub(crate) verify: Verify,
    pub(crate) on_failure: MultipartFailure,
    pub(crate) retry: RetryPolicy,
    pub(crate) hedge: bool,
    pub(crate) grace: Duration,
    pub(crate) part_lookup: Duration,
    pub(crate) part_lookup_interval: Duration,
    pub(crate) progress_interval: Duration,
    pub(crate) durable: bool,
    pub(crate) slow_io: Duration,
    pub(crate) checkpoints: Option<Checkpoints>,
    /// What directories do not tell apart in names; `None` to look.
    pub(crate) fold: Option<Fold>,
    /// Tests: every file fails beyond this position as if the disk were full.
    #[cfg(test)]
    pub(crate) disk_limit: Option<u64>,
    /// Tests: parts of a fixed size are planned like others.
    #[cfg(test)]
    pub(crate) plan_requests: bool,
}

impl Config {
    /// Whether requests bring as many parts as is worth it, or one each because somebody chose their size.
    pub(crate) fn plans_requests(&self) -> bool {
        #[cfg(test)]
        if self.plan_requests {
            return true;
        }
        self.part_size == PartSize::Auto
    }
}

/// Everything that the transfers of one [`Transfer`] share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) memory: Budget,
    /// Of the memory, what may hold bytes that a reader has not asked for yet.
    pub(crate) read_ahead: Budget,
    /// Requests in flight.
    pub(crate) services: Services,
    pub(crate) slabs: SlabPool,
    /// Of the disks that small files are written to.
    pub(crate) small_files: DiskSpeed,
    pub(crate) upload_rate: RateLimit,
    pub(crate) download_rate: RateLimit,
    /// Requests rather than bytes.
    pub(crate) request_rate: RateLimit,
    /// Copies that pass through here. Each holds a connection to its source while it waits for memory and for one to its
    /// destination, which may be the same server: there must be some left.
    pub(crate) copies: Semaphore,
    /// What requests took, by the URL of the store.
    measured: Mutex<HashMap<String, Arc<Measured>>>,
}

/// So many copies at most pass through here at once: half of the connections that a client makes to one server.
const MOST_COPIES: usize = 64;

/// Stores beyond this number are measured anew.
const MOST_STORES: usize = 64;

impl Engine {
    /// What requests to this store took.
    pub(crate) fn measured(&self, store: &StoreUrl) -> Arc<Measured> {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let store = store.to_string();
        if measured.len() >= MOST_STORES && !measured.contains_key(&store) {
            measured.clear();
        }
        Arc::clone(measured.entry(store).or_default())
    }
}

/// Settings of a [`Transfer`]; every one has a default that suits most uses.
#[derive(Clone, Debug)]
#[must_use = "nothing is set until `build` is called"]
pub struct TransferBuilder {
    config: Config,
    upload_rate: Option<u64>,
    download_rate: Option<u64>,
    request_rate: Option<u64>,
}

impl Default for TransferBuilder {
    fn default() -> Self {
        Self {
            config: Config {
                concurrency: 32,
                part_size: PartSize::Auto,
                multipart_threshold: 32 * MIB,
                serial_download: 16 * MIB,
                memory: 64 * MIB,
                verify: Verify::Auto,
                on_failure: MultipartFailure::Abort,
                retry: RetryPolicy::default(),
                hedge: true,
                grace: Duration::from_secs(5),
                part_lookup: Duration::from_secs(30),
                part_lookup_interval: Duration::from_secs(1),
                progress_interval: Duration::from_millis(100),
                durable: false,
                slow_io: Duration::from_millis(10),
                checkpoints: None,
                fold: None,
                #[cfg(test)]
                disk_limit: None,
                #[cfg(test)]
                plan_requests: false,
            },
            upload_rate: None,
            download_rate: None,
            request_rate: None,
        }
    }
}

impl Config {
    /// What names below a directory are not told apart.
    pub(crate) fn fold_below(&self, root: &Path) -> Fold {
        self.fold.unwrap_or_else(|| Fold::below(root))
    }
}

impl TransferBuilder {
    /// Most requests in flight at once, for each service and direction that this `Transfer` moves something in. Default 32.
    ///
    /// A transfer begins with up to 8. It takes more, up to this limit, as long as that moves more, and fewer when the
    /// service answers that there are too many, takes no connection, or lets small requests wait. Requests for objects of up to 256 KiB count a quarter, since they wait more than they move.
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.config.concurrency = requests;
        self
    }

    /// How large parts are. Default [`PartSize::Auto`].
    pub fn part_size(mut self, size: PartSize) -> Self {
        self.config.part_size = size;
        self
    }

    /// Uploads of more bytes than this go in parts. Default 32 MiB.
    pub fn multipart_threshold(mut self, bytes: u64) -> Self {
        self.config.multipart_threshold = bytes;
        self
    }

    /// Downloads of up to so many bytes are one request. Default 16 MiB.
    pub fn serial_download(mut self, bytes: u64) -> Self {
        self.config.serial_download = bytes;
        self
    }

    /// Memory for bytes in flight, over everything that this `Transfer` moves. Default 64 MiB.
    ///
    /// Every request waits until the memory that it needs is free, so this limits concurrency too: a request of a
    /// file needs up to 1 MiB, a part of a stream all of its size. At least 4 MiB.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.config.memory = bytes;
        self
    }

    /// Whether checksums are compared. Default [`Verify::Auto`].
    pub fn verify(mut self, verify: Verify) -> Self {
        self.config.verify = verify;
        self
    }

    /// What becomes of stored parts when an upload fails. Default [`MultipartFailure::Abort`].
    pub fn on_failure(mut self, policy: MultipartFailure) -> Self {
        self.config.on_failure = policy;
        self
    }

    /// How often and how patiently to try again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.config.retry = policy;
        self
    }

    /// Most bytes per second to all stores together. Default none.
    pub fn limit_upload(mut self, bytes_per_second: Option<u64>) -> Self {
        self.upload_rate = bytes_per_second;
        self
    }

    /// Most bytes per second from all stores together. Default none.
    pub fn limit_download(mut self, bytes_per_second: Option<u64>) -> Self {
        self.download_rate = bytes_per_second;
        self
    }

    /// Most requests that begin in a second. Default none.
    pub fn limit_requests(mut self, per_second: Option<u64>) -> Self {
        self.request_rate = per_second;
        self
    }

    /// Whether an idle connection fetches the rest of the slowest part a second time when nothing else is left.
    /// At most 3 % of a file's bytes are spent on it. Default on.
    pub fn hedge(mut self, on: bool) -> Self {
        self.config.hedge = on;
        self
    }

    /// How long running requests may go on after [`CancelToken::stop`](crate::CancelToken::stop). Default 5 s.
    pub fn grace(mut self, time: Duration) -> Self {
        self.config.grace = time;
        self
    }

    /// How long, and how often, a store is asked whether a part of unknown outcome has arrived, where sending it
    /// again could lose it. Default 30 s, every second.
    pub fn part_lookup(mut self, time: Duration, interval: Duration) -> Self {
        (self.config.part_lookup, self.config.part_lookup_interval) = (time, interval);
        self
    }

    /// How often bytes in flight are reported. Default 100 ms.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.config.progress_interval = interval;
        self
    }

    /// Whether a downloaded file is forced to the disk before it gets its name. Default off: after a crash of the
    /// machine (not of the program) the last files may then be incomplete.
    pub fn durable(mut self, on: bool) -> Self {
        self.config.durable = on;
        self
    }

    /// A file is slow if its reads or writes take longer: three of the last sixteen, or one ten times as long.
    /// They then happen on a thread of their own, until 32 in a row took less than a tenth of the limit. With a
    /// limit of zero they always do. Default 10 ms.
    pub fn slow_io(mut self, limit: Duration) -> Self {
        self.config.slow_io = limit;
        self
    }

    /// Lets transfers in parts go on where an earlier one was interrupted, even if its process was killed.
    ///
    /// Uploads of files leave a checkpoint below `directory`, which is created; downloads to files one beside their
    /// target, `.NAME.longshore-part.json`, and a note of it below `directory`. A transfer that ends for good removes
    /// them. One that was stopped, or that failed for a reason that may pass, keeps what it has moved, and the same
    /// transfer goes on with it. [`unfinished`](crate::unfinished()) lists what nobody took up. Default off.
    pub fn checkpoints(mut self, directory: impl Into<PathBuf>) -> Self {
        self.config.checkpoints = Some(Checkpoints::new(directory.into()));
        self
    }

    #[cfg(test)]
    pub(crate) fn boot(mut self, id: &str) -> Self {
        self.config.checkpoints = self.config.checkpoints.map(|checkpoints| checkpoints.booted(id));
        self
    }

    #[cfg(test)]
    pub(crate) fn fold(mut self, fold: Fold) -> Self {
        self.config.fold = Some(fold);
        self
    }

    #[cfg(test)]
    pub(crate) fn disk_limit(mut self, bytes: u64) -> Self {
        self.config.disk_limit = Some(bytes);
        self
    }

    #[cfg(test)]
    pub(crate) fn plan_requests(mut self) -> Self {
        self.config.plan_requests = true;
        self
    }

    /// Checks the settings. Does no I/O and needs no runtime.
    ///
    /// [`ErrorKind::InvalidConfig`] names every setting that is wrong.
    pub fn build(self) -> Result<Transfer> {
        let Self { config, upload_rate, download_rate, request_rate } = self;
        let faults: Vec<&str> = [
            (config.concurrency == 0, "concurrency is 0"),
            (config.concurrency > 4096, "concurrency is above 4096"),
            (config.part_size == PartSize::Fixed(0), "part size is 0"),
            (config.memory < 4 * MIB, "the memory budget is below 4 MiB"),
            (upload_rate == Some(0), "the upload rate limit is 0"),
            (download_rate == Some(0), "the download rate limit is 0"),
            (request_rate == Some(0), "the limit of requests per second is 0"),
            (config.part_lookup_interval.is_zero(), "the interval of part lookups is 0"),
        ]
        .into_iter()
        .filter_map(|(wrong, text)| wrong.then_some(text))
        .collect();
        if !faults.is_empty() {
            let message = format!("transfer settings: {}", faults.join(", "));
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        let slabs = usize::try_from(config.memory / SLAB as u64).unwrap_or(usize::MAX);
        Ok(Transfer(Arc::new(Engine {
            memory: Budget::new(config.memory),
            read_ahead: Budget::new(config.memory / 2),
            services: Services::new(config.concurrency),
            slabs: SlabPool::new(slabs),
            small_files: DiskSpeed::new(config.slow_io),
            upload_rate: RateLimit::new(upload_rate),
            download_rate: RateLimit::new(download_rate),
            request_rate: RateLimit::new(request_rate),
            // One reads while another one writes.
            copies: Semaphore::new((2 * config.concurrency).min(MOST_COPIES)),
            measured: Mutex::default(),
            config,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_setting_is_named() {
        let error = TransferBuilder::default()
            .concurrency(0)
            .memory_budget(1)
            .part_size(PartSize::Fixed(0))
            .limit_upload(Some(0))
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        for word in ["concurrency", "memory", "part size", "upload rate"] {
            assert!(error.message().contains(word), "{error}");
        }
        assert!(TransferBuilder::default().build().is_ok());
    }
}
