//! A download of a small object into a directory of many.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use longshore_blob_api::BlobStore;
use longshore_core_types::{Error, checksum::Hasher};

use super::{
    DownloadOutcome,
    file::FileOptions,
    source::{Cut, Failure, Opened, Subject, Version},
};
use crate::{
    context::{Context, SMALL, weight},
    dir::Dir,
    error::{Result, task_failed},
    progress::ItemReporter,
    slab::footprint,
    small_file::SmallFile,
};

/// Fetches the whole object into memory that is paid for, compares its checksum, and writes it in one go.
///
/// `None` if it turns out to be no small object, or its file no plain case; nothing is changed then.
pub(crate) async fn to_small_file<S: BlobStore + Clone>(
    subject: &Arc<Subject<S>>,
    dir: &Arc<Dir>,
    target: &Path,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<Option<DownloadOutcome>> {
    let mut restarts = subject.context.config().retry.restarts;
    let mut corrupt = 1;
    loop {
        let error = match once(subject, dir, target, options, reporter).await {
            Ok(outcome) => return Ok(outcome),
            Err(Failure::Replaced(error)) if restarts > 0 => {
                restarts -= 1;
                error
            }
            Err(Failure::Corrupt(error)) if corrupt > 0 => {
                corrupt -= 1;
                error
            }
            Err(failure) => return Err(failure.into_error().after(reporter.done())),
        };
        reporter.restarted(error);
    }
}

async fn once<S: BlobStore + Clone>(
    subject: &Arc<Subject<S>>,
    dir: &Arc<Dir>,
    target: &Path,
    options: FileOptions,
    reporter: &ItemReporter,
) -> Result<Option<DownloadOutcome>, Failure> {
    let context = &subject.context;
    let expected = footprint(subject.size_hint.unwrap_or(SMALL));
    let _admission =
        if subject.admitted { None } else { Some(context.admit(weight(expected), expected).await?) };
    let (version, cut, opened) = subject.open().await?;
    let size = cut.end - cut.start;
    if size > SMALL || cut.parts() > 1 {
        return Ok(None);
    }
    reporter.planned(size, 1, size);
    let bytes = collect(&version, cut, opened, reporter).await?;
    let found = version.kind().map(|kind| {
        let mut hasher = Hasher::new(kind);
        hasher.update(&bytes);
        hasher.finish()
    });
    version.compare(found.as_ref())?;
    version.still_there().await?;
    let file = SmallFile {
        dir: Arc::clone(dir),
        target: target.to_owned(),
        bytes,
        modified: options.modified(&version.meta),
        #[cfg(test)]
        disk_limit: context.config().disk_limit,
    };
    if !write(context, file).await? {
        return Ok(None);
    }
    let verified = found.map(|sum| sum.kind());
    Ok(Some(DownloadOutcome { meta: version.meta.clone(), bytes: size, parts: 1, resumed: 0, verified }))
}

async fn collect<S: BlobStore + Clone>(
    version: &Arc<Version<S>>,
    cut: Cut,
    opened: Opened,
    reporter: &ItemReporter,
) -> Result<Bytes, Failure> {
    let mut reader = version.read(0, cut.start..cut.end, Some(opened));
    let mut slab = None;
    loop {
        let left = usize::try_from(cut.end - reader.position()).unwrap_or(usize::MAX);
        let Some(bytes) = reader.next(reporter).await? else { break };
        reporter.moved(bytes.len() as u64);
        if bytes.len() == left && slab.is_none() {
            return Ok(bytes);
        }
        // A frame keeps more memory than it shows, so those before the last one are not kept.
        slab.get_or_insert_with(|| version.context().engine.slabs.take_for(left)).append(&bytes);
    }
    Ok(slab.map(crate::slab::Slab::freeze).unwrap_or_default())
}

/// Writes it here, as that is quicker than handing it over, or in the background while the disk is slow.
async fn write(context: &Context, file: SmallFile) -> Result<bool, Error> {
    let speed = &context.engine.small_files;
    if !speed.is_slow() {
        return speed.time(|| file.write());
    }
    let engine = Arc::clone(&context.engine);
    let written = tokio::task::spawn_blocking(move || engine.small_files.time(|| file.write()));
    written.await.map_err(task_failed)?
}
