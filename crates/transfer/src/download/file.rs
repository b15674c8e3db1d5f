//! A download to a file, whole and verified or not at all.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use longshore_blob_api::BlobStore;
use longshore_core_types::{Checksum, ObjectMeta, checksum::Hasher};

use super::{
    DownloadOutcome,
    ranged::{Board, MEMORY},
    source::{Cut, Failure, Opened, Subject, Version},
};
use crate::{
    checkpoint::{SavedDownload, is_worth_keeping},
    context::{Admission, weight},
    copy,
    error::{Result, task_failed},
    part_file::{PartFile, Stash, Target},
    progress::ItemReporter,
};

/// How to write the file.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
pub(crate) struct FileOptions {
    pub(crate) keep_modified: bool,
    /// The time at which the object was stored, which is what listings show, rather than what its metadata says.
    pub(crate) as_listed: bool,
    /// A shorter file that is there is the beginning of the object.
    pub(crate) go_on: bool,
    /// It is on the disk before it gets its name, whatever the settings say.
    pub(crate) durable: bool,
}

impl FileOptions {
    /// The time that the file of this object gets, unless it is that of the download.
    pub(crate) fn modified(self, meta: &ObjectMeta) -> Option<SystemTime> {
        match self {
            Self { keep_modified: false, .. } => None,
            Self { as_listed: true, .. } => meta.last_modified,
            Self { as_listed: false, .. } => copy::modified(meta),
        }
    }
}

/// Downloads to `target`; begins anew if the object was replaced, or once if what arrived is wrong.
pub(crate) async fn to_file<S: BlobStore + Clone>(
    subject: &Arc<Subject<S>>,
    target: Target,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<DownloadOutcome> {
    let (file, mut saved) = PartFile::create(target, subject.context.config())?;
    let file = Arc::new(file);
    let mut begun = options.go_on;
    let mut restarts = subject.context.config().retry.restarts;
    let mut corrupt = 1;
    loop {
        let error = match Box::pin(once(subject, &file, saved.take(), begun, options, reporter)).await {
            Ok(outcome) => return Ok(outcome),
            Err(Failure::Replaced(error)) if restarts > 0 => {
                restarts -= 1;
                error
            }
            Err(Failure::Corrupt(error)) if corrupt > 0 => {
                corrupt -= 1;
                error
            }
            Err(failure) => {
                let error = failure.into_error();
                if !is_worth_keeping(error.reason()) {
                    file.discard();
                }
                return Err(error.after(reporter.done()));
            }
        };
        begun = false;
        reporter.restarted(error);
        file.clear().await?;
    }
}

async fn once<S: BlobStore + Clone>(
    subject: &Arc<Subject<S>>,
    file: &Arc<PartFile>,
    saved: Option<SavedDownload>,
    begun: bool,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<DownloadOutcome, Failure> {
    let expected = subject.size_hint.unwrap_or(MEMORY);
    let admission = if subject.admitted {
        None
    } else {
        Some(subject.context.admit(weight(expected), expected.min(MEMORY)).await?)
    };
    if let Some(saved) = saved {
        match subject.reopen(&saved).await {
            Ok(version) => {
                drop(admission);
                return resume(&version, file, saved, options, reporter).await;
            }
            Err(Failure::Replaced(error)) => {
                reporter.restarted(error);
                file.clear().await?;
            }
            Err(failure) => return Err(failure),
        }
    } else if let Some(there) = file.target_length().filter(|_| begun)
        && let Some((version, cut)) = subject.beyond(there).await?
    {
        drop(admission);
        return adopt(&version, file, cut, options, reporter).await;
    }
    let (version, cut, opened) = subject.open().await?;
    let cut = cut.with_first_in_parts();
    let size = cut.end - cut.start;
    reporter.planned(size, cut.parts(), cut.part.min(size));
    file.allocate(size).await?;
    let found = if cut.parts() == 1 {
        serial(&version, file, cut, opened, admission, reporter).await?
    } else {
        let board =
            Board::new(Arc::clone(&version), Arc::clone(file), cut, reporter.clone(), BTreeMap::new())?;
        board.fetch_all(Some((opened, admission))).await?
    };
    conclude(&version, file, cut, found, 0, options).await
}

/// Fetches the parts that are missing from what an earlier download left.
async fn resume<S: BlobStore + Clone>(
    version: &Arc<Version<S>>,
    file: &Arc<PartFile>,
    saved: SavedDownload,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<DownloadOutcome, Failure> {
    let cut = saved.cut();
    let size = cut.end - cut.start;
    reporter.planned(size, cut.parts(), cut.part.min(size));
    file.allocate(size).await?;
    let reader = file.reader();
    let parts = tokio::task::spawn_blocking(move || saved.parts(&reader)).await.map_err(task_failed)?;
    go_on(version, file, cut, parts, options, reporter).await
}

/// Takes the file that is there for the first part, and fetches the others.
async fn adopt<S: BlobStore + Clone>(
    version: &Arc<Version<S>>,
    file: &Arc<PartFile>,
    cut: Cut,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<DownloadOutcome, Failure> {
    reporter.planned(cut.end, cut.parts(), cut.part.min(cut.end));
    file.allocate(cut.end).await?;
    let sum = file.adopt(cut.first_end).await?;
    go_on(version, file, cut, BTreeMap::from([(0, sum)]), options, reporter).await
}

/// Fetches all but these parts, which are in the file.
async fn go_on<S: BlobStore + Clone>(
    version: &Arc<Version<S>>,
    file: &Arc<PartFile>,
    cut: Cut,
    parts: BTreeMap<u64, u32>,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<DownloadOutcome, Failure> {
    let resumed = parts.keys().map(|index| cut.size(*index)).sum();
    reporter.resumed(resumed);
    let board = Board::new(Arc::clone(version), Arc::clone(file), cut, reporter.clone(), parts)?;
    let found = board.fetch_all(None).await?;
    conclude(version, file, cut, found, resumed, options).await
}

/// Compares, and gives the file its name.
async fn conclude<S: BlobStore + Clone>(
    version: &Version<S>,
    file: &PartFile,
    cut: Cut,
    found: Option<Checksum>,
    resumed: u64,
    options: FileOptions,
) -> Result<DownloadOutcome, Failure> {
    version.compare(found.as_ref())?;
    version.still_there().await?;
    let durable = options.durable || version.context().config().durable;
    file.finish(options.modified(&version.meta), durable).await?;
    Ok(DownloadOutcome {
        meta: version.meta.clone(),
        bytes: cut.end - cut.start,
        parts: cut.parts(),
        resumed,
        verified: found.map(|sum| sum.kind()),
    })
}

/// One request, or as many as it takes, one after the other; the checksum is computed as the bytes pass.
async fn serial<S: BlobStore + Clone>(
    version: &Arc<Version<S>>,
    file: &PartFile,
    cut: Cut,
    opened: Opened,
    _admission: Option<Admission>,
    reporter: &ItemReporter,
) -> Result<Option<Checksum>, Failure> {
    let mut reader = version.read(0, cut.start..cut.end, Some(opened));
    let mut hasher = version.kind().map(Hasher::new);
    let mut stash = Stash::default();
    loop {
        let at = reader.position();
        let Some(bytes) = reader.next(reporter).await? else { break };
        if let Some(hasher) = &mut hasher {
            hasher.update(&bytes);
        }
        reporter.moved(bytes.len() as u64);
        // Positions in the file count from where the wanted bytes begin.
        file.write(&mut stash, at - cut.start, bytes).await?;
    }
    file.flush(&mut stash).await?;
    Ok(hasher.map(Hasher::finish))
}
