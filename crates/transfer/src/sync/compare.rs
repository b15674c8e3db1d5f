//! Whether a file or object is the same in two places.

use std::{fs::File, path::PathBuf, time::Duration};

use longshore_blob_api::{BlobStore, HeadOptions};
use longshore_core_types::{Checksum, ChecksumKind, Error, ObjectKey, Result, checksum::Hasher};

use super::{Place, listing::Entry};
use crate::{
    Transfer,
    context::Context,
    error::{TransferError, local, task_failed},
    part_file::hash_range,
    requests::FULL,
    sink::Sink,
    slab::SLAB,
};

/// Times of one place can be finer than those of the other.
const SAME_TIME: Duration = Duration::from_secs(1);

/// What makes two files or objects the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compare {
    /// Their sizes, and that the destination is not older than the source. Where a place tells no times, checksums
    /// decide, if there are some; else sizes alone.
    #[default]
    SizeAndTime,
    /// Their sizes and checksums. Files are read. What no checksum can be found for is not the same.
    Checksum,
    /// Both of the above.
    TimeAndChecksum,
    /// Their sizes.
    Size,
    /// Nothing is the same: everything is copied.
    Never,
}

impl Compare {
    /// Whether listings should state checksums.
    pub(super) fn wants_checksums(self) -> bool {
        matches!(self, Self::SizeAndTime | Self::Checksum | Self::TimeAndChecksum)
    }
}

/// What the listings alone say; `None` if contents have to be looked at.
pub(super) fn at_once(compare: Compare, source: &Entry, destination: &Entry) -> Option<bool> {
    if compare == Compare::Never || source.size != destination.size {
        return Some(false);
    }
    let times = source.modified.zip(destination.modified);
    let not_older = times.map(|(source, destination)| {
        destination.checked_add(SAME_TIME).is_none_or(|latest| source <= latest)
    });
    match compare {
        Compare::Size => Some(true),
        Compare::SizeAndTime => not_older,
        Compare::TimeAndChecksum if not_older == Some(false) => Some(false),
        _ => None,
    }
}

/// Compares what two places say about one name. With a reader, what no checksum says is read.
pub(super) async fn is_same(
    compare: Compare,
    context: &Context,
    reader: Option<&Transfer>,
    source: (&Place, &Entry),
    destination: (&Place, &Entry),
) -> Result<bool> {
    if let Some(same) = at_once(compare, source.1, destination.1) {
        return Ok(same);
    }
    // Sizes alone must do where the user did not ask for checksums.
    let insists = compare != Compare::SizeAndTime;
    match (same_content(context, source, destination, insists).await?, reader) {
        (Some(same), _) => Ok(same),
        (None, _) if !insists => Ok(true),
        (None, None) => Ok(false),
        (None, Some(reader)) => {
            let ours = read(context, reader, source).await?;
            Ok(ours == read(context, reader, destination).await?)
        }
    }
}

/// The checksum of what is there, byte by byte.
async fn read(context: &Context, reader: &Transfer, at: (&Place, &Entry)) -> Result<Checksum> {
    let mut hasher = Hasher::new(ChecksumKind::Crc32c);
    match at.0 {
        Place::Local(root) => hash_local(context, root.join(&at.1.name), hasher).await,
        Place::Store { store, prefix } => {
            let key = ObjectKey::new(format!("{prefix}{}", at.1.name))?;
            let body = reader.download(store, key, Sink::writer(tokio::io::sink()));
            let failed = |error: TransferError| {
                Error::new(error.kind(), "cannot read the object to compare it").with_source(error)
            };
            let mut body = body.cancel(context.cancel.clone()).body().await.map_err(failed)?;
            while let Some(bytes) = body.chunk().await.map_err(failed)? {
                hasher.update(&bytes);
            }
            Ok(hasher.finish())
        }
    }
}

/// Compares checksums; `None` if there is no kind that both can have. With `ask`, objects are asked for checksums that
/// their listing did not state.
async fn same_content(
    context: &Context,
    source: (&Place, &Entry),
    destination: (&Place, &Entry),
    ask: bool,
) -> Result<Option<bool>> {
    let (ours, theirs) = (stated(context, source, ask).await?, stated(context, destination, ask).await?);
    let (ours, theirs) = match (ours, theirs) {
        (Some(ours), Some(theirs)) => (ours, theirs),
        (None, Some(theirs)) => (computed(context, source, &theirs).await?, theirs),
        (Some(ours), None) => {
            let theirs = computed(context, destination, &ours).await?;
            (ours, theirs)
        }
        (None, None) => return Ok(None),
    };
    Ok(ours.iter().find_map(|sum| {
        let other = theirs.iter().find(|other| other.kind() == sum.kind())?;
        Some(sum == other)
    }))
}

/// The checksums that a store states; `None` for a file.
async fn stated(context: &Context, at: (&Place, &Entry), ask: bool) -> Result<Option<Vec<Checksum>>> {
    let Place::Store { store, prefix } = at.0 else { return Ok(None) };
    if !at.1.checksums.is_empty() || !ask {
        return Ok(Some(at.1.checksums.clone()));
    }
    let key = ObjectKey::new(format!("{prefix}{}", at.1.name))?;
    let head = context.ask(store.head(&key, HeadOptions::default())).await?;
    Ok(Some(head.checksums))
}

/// The same checksum of a file as the other side has.
async fn computed(context: &Context, at: (&Place, &Entry), like: &[Checksum]) -> Result<Vec<Checksum>> {
    let (Place::Local(root), Some(kind)) = (at.0, like.first().map(Checksum::kind)) else {
        return Ok(Vec::new());
    };
    Ok(vec![hash_local(context, root.join(&at.1.name), Hasher::new(kind)).await?])
}

/// The checksum of a file, in memory that is paid for, and with no more files read at once than requests may run.
async fn hash_local(context: &Context, path: PathBuf, hasher: Hasher) -> Result<Checksum> {
    let mut local = Context::local(&context.engine);
    local.cancel = context.cancel.clone();
    let admission = local.admit(FULL, SLAB as u64).await?;
    let hash = tokio::task::spawn_blocking(move || {
        let _admission = admission;
        hash_file(&path, hasher)
    });
    local.unless_stopped(async { hash.await.map_err(task_failed)? }).await
}

pub(super) fn hash_file(path: &PathBuf, mut hasher: Hasher) -> Result<Checksum> {
    let failed = |error| local("read", path, error);
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let length = usize::try_from(size).unwrap_or(SLAB).clamp(1, SLAB);
    hash_range(&file, &mut hasher, 0, size, &mut vec![0; length]).map_err(failed)?;
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn times_at_the_end_of_all_time_can_be_compared() {
        let at = |seconds| Entry {
            name: "a".into(),
            size: 1,
            modified: UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
            checksums: Vec::new(),
        };
        let last = u64::try_from(i64::MAX).unwrap();
        let compare = |source, destination| at_once(Compare::SizeAndTime, &at(source), &at(destination));
        assert_eq!(compare(1, last), Some(true));
        assert_eq!(compare(last, last), Some(true));
        assert_eq!(compare(last, 1), Some(false));
        assert_eq!((compare(2, 1), compare(3, 1)), (Some(true), Some(false)));
    }
}
