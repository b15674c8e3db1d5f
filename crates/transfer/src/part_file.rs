//! The file that a download grows in, until it gets its name.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions, Permissions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use longshore_core_types::{ChecksumKind, Error, ErrorKind, ObjectMeta, Result, StoreUrl, checksum::Hasher};
use tokio::sync::{mpsc, oneshot};

use crate::{
    checkpoint::{DownloadKeeper, SavedDownload, Traces},
    config::Config,
    disk_speed::DiskSpeed,
    download::Cut,
    error::{local, local_fault, task_failed},
    file_io::{self, Identity},
    slab::SLAB,
    upload::crc32c,
};

/// Ends the name of a download that has not ended.
const SUFFIX: &str = ".longshore-part";

/// File systems allow names of at most 255 bytes. The checkpoint beside the file adds `.json`, and `.tmp` for a moment.
const LONGEST_NAME: usize = 255 - ".json.tmp".len();

/// Reserving room for more than this can take long enough to move it off the runtime's thread.
const QUICK_ALLOCATION: u64 = 8 << 20;

/// Below this nothing is reserved: one write does it.
const WORTH_ALLOCATING: u64 = SLAB as u64;

/// A temporary file beside the target, which is removed unless it is given the target's name, or its checkpoint says
/// that it is worth keeping.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: Arc<File>,
    temp: PathBuf,
    target: PathBuf,
    /// Permissions of the file that is replaced, which stay.
    replaced: Option<Permissions>,
    named: AtomicBool,
    /// Where its checkpoint is, if it has one.
    traces: Option<Traces>,
    /// The checkpoint was written.
    keep: Arc<AtomicBool>,
    /// Writes go to the thread while it is slow.
    speed: Arc<DiskSpeed>,
    /// The thread that writes where the disk is slow, once it was needed.
    writer: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    #[cfg(test)]
    disk_limit: Option<u64>,
}

/// Consecutive bytes for the thread. The sender waits for the answer before it sends a second next one, which
/// bounds the queue.
struct Job {
    at: u64,
    chunks: Vec<Bytes>,
    done: oneshot::Sender<io::Result<()>>,
}

/// Bytes of one part on their way to the writing thread.
#[derive(Debug, Default)]
pub(crate) struct Stash {
    at: u64,
    chunks: Vec<Bytes>,
    length: usize,
    /// Position behind the job that is being written.
    writing: Option<(u64, oneshot::Receiver<io::Result<()>>)>,
}

impl PartFile {
    /// Creates the temporary file, or takes over one that a killed transfer left, with what its checkpoint says.
    ///
    /// [`ErrorKind::LocalIo`] if the directory cannot be written, and if another transfer is writing to the same
    /// target right now.
    pub(crate) fn create(target: Target, config: &Config) -> Result<(Self, Option<SavedDownload>)> {
        let Target { path: target, replaced } = target;
        let temp = temporary_path(&target)?;
        let file = open_locked(&temp, &target, replaced.as_ref())?;
        let traces = config.checkpoints.as_ref().map(|checkpoints| Traces::of(checkpoints, &temp, &target));
        let saved = traces.as_ref().and_then(|traces| traces.load(&file));
        if saved.is_none() {
            // The checkpoint goes first: it must never speak of bytes that are not there.
            if let Some(traces) = &traces {
                traces.remove();
            }
            file.set_len(0).map_err(|error| local("empty", &temp, error))?;
        }
        let this = Self {
            file: Arc::new(file),
            traces,
            keep: Arc::new(AtomicBool::new(saved.is_some())),
            temp,
            target,
            replaced,
            named: AtomicBool::new(false),
            speed: Arc::new(DiskSpeed::new(config.slow_io)),
            writer: Mutex::new(None),
            #[cfg(test)]
            disk_limit: config.disk_limit,
        };
        Ok((this, saved))
    }

    /// What writes the checkpoint, if there shall be one. `parts` are in the file already.
    pub(crate) fn keeper(
        &self,
        source: (&StoreUrl, &ObjectMeta),
        cut: Cut,
        parts: BTreeMap<u64, u32>,
    ) -> Option<DownloadKeeper> {
        let traces = self.traces.as_ref()?;
        Some(DownloadKeeper::new(traces, &self.keep, &self.file, source, cut, parts))
    }

    /// What has arrived is of no use any more.
    pub(crate) fn discard(&self) {
        self.keep.store(false, Ordering::Relaxed);
    }

    /// Makes room for the whole object, so that a disk that is too small is found at once.
    pub(crate) async fn allocate(&self, size: u64) -> Result<()> {
        if size <= WORTH_ALLOCATING {
            return Ok(());
        }
        #[cfg(test)]
        if self.disk_limit.is_some() {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        let allocated = if size <= QUICK_ALLOCATION {
            file_io::allocate(&file, size)
        } else {
            tokio::task::spawn_blocking(move || file_io::allocate(&file, size)).await.map_err(task_failed)?
        };
        allocated.map_err(|error| local(&format!("reserve {size} bytes for"), &self.target, error))
    }

    /// Bytes of the file that is to be replaced, if there is one.
    pub(crate) fn target_length(&self) -> Option<u64> {
        fs::metadata(&self.target).ok().filter(fs::Metadata::is_file).map(|meta| meta.len())
    }

    /// Begins with so many bytes of the file that is to be replaced, and returns their crc32c.
    pub(crate) async fn adopt(&self, length: u64) -> Result<u32> {
        let (to, target) = (Arc::clone(&self.file), self.target.clone());
        let copied = tokio::task::spawn_blocking(move || {
            let from = File::open(&target)?;
            let mut hasher = Hasher::new(ChecksumKind::Crc32c);
            let mut buffer = vec![0; SLAB];
            let mut at = 0;
            while at < length {
                let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
                let read = file_io::read_at(&from, &mut buffer[..wanted], at)?;
                if read == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
                file_io::write_at(&to, &buffer[..read], at)?;
                hasher.update(&buffer[..read]);
                at += read as u64;
            }
            Ok(crc32c(&hasher.finish()).unwrap_or_default())
        });
        let copied = copied.await.map_err(task_failed)?;
        copied.map_err(|error| local("copy the beginning of", &self.target, error))
    }

    /// Forgets everything that was written.
    pub(crate) async fn clear(&self) -> Result<()> {
        self.drain().await?;
        self.discard();
        if let Some(traces) = &self.traces {
            traces.remove();
        }
        self.file.set_len(0).map_err(|error| local("empty", &self.temp, error))
    }

    /// Writes the next bytes of a part and says up to where the part is in the file now.
    ///
    /// Inline, since a write to the page cache costs less than handing it over; while the disk is slow, by the
    /// thread, in jobs of at least 256 KiB of which two exist for each part.
    pub(crate) async fn write(&self, stash: &mut Stash, at: u64, bytes: Bytes) -> Result<Option<u64>> {
        if !self.speed.is_slow() {
            // What the thread still has comes before these bytes, and a part is in the file only up to there.
            self.flush(stash).await?;
            self.speed.time(|| self.write_now(&bytes, at))?;
            return Ok(Some(at + bytes.len() as u64));
        }
        if stash.length == 0 {
            stash.at = at;
        }
        stash.length += bytes.len();
        stash.chunks.push(bytes);
        if stash.length < SLAB {
            return Ok(None);
        }
        let written = self.wait(stash).await?;
        self.hand_over(stash)?;
        Ok(written)
    }

    /// Waits until all bytes of a part are in the file and says up to where that is, if anything was waited for.
    pub(crate) async fn flush(&self, stash: &mut Stash) -> Result<Option<u64>> {
        let written = self.wait(stash).await?;
        if stash.length == 0 {
            return Ok(written);
        }
        self.hand_over(stash)?;
        self.wait(stash).await
    }

    async fn wait(&self, stash: &mut Stash) -> Result<Option<u64>> {
        let Some((end, done)) = &mut stash.writing else { return Ok(None) };
        let (end, written) = (*end, done.await);
        // Only now: whoever gives up waiting may come back.
        stash.writing = None;
        match written {
            Ok(Ok(())) => Ok(Some(end)),
            Ok(Err(error)) => Err(self.write_failed(error)),
            Err(_) => Err(local_fault(format!("the writer of {} is gone", self.target.display()))),
        }
    }

    fn hand_over(&self, stash: &mut Stash) -> Result<()> {
        let (done, written) = oneshot::channel();
        let job = Job { at: stash.at, chunks: std::mem::take(&mut stash.chunks), done };
        let end = stash.at + stash.length as u64;
        stash.length = 0;
        self.send(job)?;
        stash.writing = Some((end, written));
        Ok(())
    }

    fn send(&self, job: Job) -> Result<()> {
        let mut jobs = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*jobs {
            Some(sender) => sender,
            None => jobs.insert(self.start_thread()?),
        };
        sender.send(job).map_err(|_| local_fault(format!("the writer of {} is gone", self.target.display())))
    }

    fn start_thread(&self) -> Result<mpsc::UnboundedSender<Job>> {
        let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
        let (file, speed) = (Arc::clone(&self.file), Arc::clone(&self.speed));
        #[cfg(test)]
        let disk_limit = self.disk_limit;
        // It ends when the file is dropped, which drops the only sender.
        std::thread::Builder::new()
            .name("longshore-write".into())
            .spawn(move || {
                let mut failed = None;
                while let Some(Job { mut at, chunks, done }) = jobs.blocking_recv() {
                    let written = match failed {
                        // Whoever asks next hears of it, also if nobody waited for the job that failed.
                        Some(kind) => Err(io::Error::from(kind)),
                        None => speed.time(|| {
                            chunks.into_iter().try_for_each(|chunk| {
                                #[cfg(test)]
                                check_disk(disk_limit, at + chunk.len() as u64)?;
                                file_io::write_at(&file, &chunk, at)?;
                                at += chunk.len() as u64;
                                Ok(())
                            })
                        }),
                    };
                    failed = failed.or_else(|| written.as_ref().err().map(io::Error::kind));
                    // Nobody waits any more if the part was given up.
                    let _ = done.send(written);
                }
            })
            .map_err(|error| local("start a writer for", &self.target, error))?;
        Ok(sender)
    }

    fn write_now(&self, bytes: &[u8], at: u64) -> Result<()> {
        #[cfg(test)]
        check_disk(self.disk_limit, at + bytes.len() as u64).map_err(|error| self.write_failed(error))?;
        file_io::write_at(&self.file, bytes, at).map_err(|error| self.write_failed(error))
    }

    fn write_failed(&self, error: io::Error) -> Error {
        local("write", &self.target, error)
    }

    /// Waits for the thread to have written everything that anybody gave it.
    async fn drain(&self) -> Result<()> {
        if self.writer.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let mut empty = Stash::default();
            self.hand_over(&mut empty)?;
            self.wait(&mut empty).await?;
        }
        Ok(())
    }

    /// What the hasher that follows the writers reads from.
    pub(crate) fn reader(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Gives the file its permissions, its time, and the target's name.
    pub(crate) async fn finish(&self, modified: Option<SystemTime>, durable: bool) -> Result<()> {
        self.drain().await?;
        if let Some(permissions) = &self.replaced {
            // A file system without permissions refuses, harmlessly.
            let _ = self.file.set_permissions(permissions.clone());
        }
        if let Some(time) = modified {
            self.file.set_modified(time).map_err(|error| local("set the time of", &self.temp, error))?;
        }
        if durable {
            let file = Arc::clone(&self.file);
            let synced = tokio::task::spawn_blocking(move || file.sync_all()).await.map_err(task_failed)?;
            synced.map_err(|error| self.write_failed(error))?;
            #[cfg(test)]
            FORCED.lock().unwrap().insert(self.target.clone());
        }
        fs::rename(&self.temp, &self.target).map_err(|error| {
            if self.target.is_dir() {
                return in_the_way(&self.target);
            }
            local("write", &self.target, error)
        })?;
        self.named.store(true, Ordering::Relaxed);
        if let Some(traces) = &self.traces {
            traces.remove();
        }
        #[cfg(unix)]
        if durable && let Some(parent) = self.target.parent() {
            // The name is in the directory, which has to reach the disk too.
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent }.to_owned();
            let synced = tokio::task::spawn_blocking(move || File::open(parent)?.sync_all()).await;
            synced.map_err(task_failed)?.map_err(|error| self.write_failed(error))?;
        }
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.named.load(Ordering::Relaxed) && !self.keep.load(Ordering::Relaxed) {
            if let Some(traces) = &self.traces {
                traces.remove();
            }
            // Nobody is left to tell; the next download to this target takes the file over.
            let _ = fs::remove_file(&self.temp);
        }
    }
}

/// Hashes `file` from `at` to `end` and says where it got to, which is less only if the file is shorter.
pub(crate) fn hash_range(
    file: &File,
    hasher: &mut Hasher,
    mut at: u64,
    end: u64,
    buffer: &mut [u8],
) -> io::Result<u64> {
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = file_io::read_at(file, &mut buffer[..length], at)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        at += read as u64;
    }
    Ok(at)
}

/// Tests: the files that were forced to the disk before they got their names.
#[cfg(test)]
static FORCED: Mutex<std::collections::BTreeSet<PathBuf>> = Mutex::new(std::collections::BTreeSet::new());

#[cfg(test)]
pub(crate) fn was_forced(target: &Path) -> bool {
    FORCED.lock().unwrap().contains(target)
}

#[cfg(test)]
pub(crate) fn check_disk(limit: Option<u64>, end: u64) -> io::Result<()> {
    match limit {
        Some(limit) if end > limit => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

/// Where a download goes, as it is before.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    replaced: Option<Permissions>,
}

impl Target {
    /// Looks at what is there. `None` for a pipe or device, which is written to and never replaced.
    ///
    /// A symbolic link stays one: the file behind it is the target.
    pub(crate) fn inspect(path: &Path) -> Result<Option<Self>> {
        let (path, meta) = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => {
                let follow = |error| local("follow the link", path, error);
                let real = fs::canonicalize(path).map_err(follow)?;
                let meta = fs::metadata(&real).map_err(follow)?;
                (real, meta)
            }
            Ok(meta) => (path.to_owned(), meta),
            // What else is wrong with the path shows when the temporary file is created.
            Err(_) => return Ok(Some(Self { path: path.to_owned(), replaced: None })),
        };
        if meta.is_dir() {
            return Err(in_the_way(&path));
        }
        let replaced = Some(meta.permissions());
        Ok(meta.is_file().then_some(Self { path, replaced }))
    }

    /// Whether it is the file of this path itself, and not one behind a link.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.path == path
    }

    /// Gives the file that takes its place the same permissions.
    pub(crate) fn hand_down(&self, file: &File) {
        if let Some(permissions) = &self.replaced {
            // A file system without permissions refuses, harmlessly.
            let _ = file.set_permissions(permissions.clone());
        }
    }
}

fn in_the_way(target: &Path) -> Error {
    local_fault(format!("cannot write {}: a directory is in the way", target.display()))
}

/// Refuses a target whose name belongs to the unfinished download of another one, which would take it for its own.
pub(crate) fn check_name(target: &Path) -> Result<()> {
    let name = target.file_name().and_then(OsStr::to_str);
    if !name.is_some_and(is_unfinished) {
        return Ok(());
    }
    let text =
        format!("cannot write {}: names like this are those of unfinished downloads", target.display());
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// The path of the temporary file of a target.
fn temporary_path(target: &Path) -> Result<PathBuf> {
    check_name(target)?;
    let name = target.file_name().ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("{} does not name a file", target.display()))
    })?;
    Ok(target.with_file_name(temporary_name(name)))
}

/// `.NAME.longshore-part`; a name that would become too long is cut, with its checksum instead of its end.
pub(crate) fn temporary_name(name: &OsStr) -> OsString {
    let mut temp = OsString::with_capacity(name.len() + 1 + SUFFIX.len());
    temp.push(".");
    if name.len() + 1 + SUFFIX.len() <= LONGEST_NAME {
        temp.push(name);
    } else {
        let mut hasher = Hasher::new(longshore_core_types::ChecksumKind::XxHash64);
        hasher.update(name.as_encoded_bytes());
        temp.push(hasher.finish().to_hex());
    }
    temp.push(SUFFIX);
    temp
}

/// Whether a file of this name is a download that has not ended, or belongs to one.
pub fn is_unfinished(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    let name = name.strip_suffix(".json").unwrap_or(name);
    name.starts_with('.') && name.ends_with(SUFFIX)
}

/// Whether a download is writing to this temporary file right now.
pub(crate) fn is_locked(temp: &Path) -> bool {
    File::open(temp).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// Opens the temporary file and locks it, so that two downloads never write the same one.
///
/// The lock ends with the process, also when that is killed.
fn open_locked(temp: &Path, target: &Path, replaced: Option<&Permissions>) -> Result<File> {
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            // A link that somebody else put there must not lead the bytes elsewhere.
            use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
            options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
            // Nobody may read what arrives who may not read what is there. The owner may, so that it can go on.
            if let Some(replaced) = replaced {
                options.mode(replaced.mode() & 0o777 | 0o600);
            }
        }
        #[cfg(not(unix))]
        let _ = replaced;
        let file = options.open(temp).map_err(|error| local("write", target, error))?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                let text = format!("cannot write {}: another transfer is writing it", target.display());
                return Err(local_fault(text));
            }
            // An error means a file system without locks.
            Ok(()) | Err(fs::TryLockError::Error(_)) => {}
        }
        // Whoever held the lock may have renamed or removed the file between the two steps.
        let locked = file.metadata().map_err(|error| local("inspect", temp, error))?;
        match fs::symlink_metadata(temp) {
            Ok(named) if Identity::of(&named).same_file(&Identity::of(&locked)) => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(local("inspect", temp, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Transfer;

    #[tokio::test]
    async fn a_part_that_comes_back_from_the_thread_is_in_the_file_up_to_where_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let transfer = Transfer::builder().slow_io(Duration::from_secs(1)).build().unwrap();
        let target = Target::inspect(&dir.path().join("f")).unwrap().unwrap();
        let (file, _) = PartFile::create(target, &transfer.0.config).unwrap();
        let mut stash = Stash::default();

        file.speed.took(Duration::from_secs(60));
        assert_eq!(file.write(&mut stash, 0, Bytes::from(vec![1; SLAB])).await.unwrap(), None);
        assert_eq!(file.write(&mut stash, SLAB as u64, Bytes::from_static(b"23")).await.unwrap(), None);
        for _ in 0..40 {
            file.speed.took(Duration::ZERO);
        }
        let end = SLAB as u64 + 3;
        assert_eq!(file.write(&mut stash, end - 1, Bytes::from_static(b"4")).await.unwrap(), Some(end));
        let found = fs::read(&file.temp).unwrap();
        assert!(found[..SLAB].iter().all(|byte| *byte == 1));
        assert_eq!(&found[SLAB..], b"234");
    }
}
