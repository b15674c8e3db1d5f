//! Objects on disk: metadata in a redb database, each body in a file of its own.
//!
//! A body is complete on disk before the transaction that makes it visible commits, and the file that it replaces is
//! removed after that. Whenever the process dies, each object is therefore the old one or the new one, whole; files
//! that no record refers to are swept at the next start.

mod backend;
mod bodies;
mod records;
mod rows;
mod tables;
mod writer;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::Database;

pub(crate) use bodies::{BodyReader, BodyWriter};
pub(crate) use records::{ObjectKey, ObjectRecord, PartRecord, Piece, Service, UploadRecord};
pub(crate) use rows::Row;
pub(crate) use tables::{Snapshot, Tables};

use bodies::BodyDir;
use writer::Writer;

pub(crate) type Result<T> = std::result::Result<T, StorageError>;

/// Meta entry: the number of starts so far.
const EPOCH: &str = "epoch";
/// Meta entry: identity of the cluster.
const CLUSTER_ID: &str = "cluster-id";
/// Meta entry: the database was closed in order, nothing needs sweeping.
const CLEAN: &str = "clean";

/// Why the storage could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("database: {0}")]
    Database(#[from] redb::Error),
    #[error("commit: {0}")]
    Commit(Arc<Self>),
    #[error("transaction aborted by an error of another request")]
    Aborted,
    #[error("corrupt record: {0}")]
    Corrupt(String),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("storage is closed")]
    Closed,
}

impl StorageError {
    /// True if the shared transaction may hold half of a change and has to be undone.
    fn breaks_transaction(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Corrupt(_))
    }

    /// True if the device is full.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Io(e) | Self::Database(redb::Error::Io(e)) => e.kind() == io::ErrorKind::StorageFull,
            Self::Commit(e) => e.is_full(),
            _ => false,
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for StorageError {
            fn from(e: $error) -> Self {
                Self::Database(e.into())
            }
        }
    )*};
}
from_redb!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError
);

/// The storage of one server.
#[derive(Debug)]
pub(crate) struct Storage {
    // Dropped first: ends the queue and closes the database in order.
    writer: Writer,
    db: Arc<Database>,
    bodies: Arc<BodyDir>,
}

impl Storage {
    /// Opens or creates the storage in `dir`, repairing and sweeping what an earlier process left behind.
    pub(crate) fn open(dir: &Path, durable: bool) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let backend = backend::FileBackend::open(&dir.join("meta.redb"), durable)?;
        let db = Database::builder().set_cache_size(64 << 20).create_with_backend(backend)?;

        let txn = db.begin_write()?;
        let (epoch, clean) = {
            let mut tables = Tables::open(&txn)?;
            let epoch = tables.meta(EPOCH)?.and_then(|v| v.try_into().ok()).map_or(0, u64::from_be_bytes) + 1;
            let clean = epoch == 1 || tables.meta(CLEAN)?.as_deref() == Some(&[1]);
            tables.set_meta(EPOCH, &epoch.to_be_bytes())?;
            tables.set_meta(CLEAN, &[0])?;
            (epoch, clean)
        };
        txn.commit()?;

        let db = Arc::new(db);
        let bodies = Arc::new(BodyDir::open(dir.join("bodies"), epoch, durable)?);
        let writer = Writer::start(Arc::clone(&db), Arc::clone(&bodies))?;
        let storage = Self { writer, db, bodies };
        if !clean {
            let removed = storage.sweep()?;
            tracing::info!(removed, dir = %dir.display(), "swept orphan bodies");
        }
        Ok(storage)
    }

    /// Removes files that no record refers to.
    fn sweep(&self) -> Result<usize> {
        let mut used = HashSet::new();
        self.snapshot()?.for_each_body(|id| {
            used.insert(id);
        })?;
        Ok(self.bodies.sweep(&used)?)
    }

    /// A consistent view of the database.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        use redb::ReadableDatabase as _;
        Ok(Snapshot::new(self.db.begin_read()?))
    }

    /// Runs `job` in a (shared) transaction; returns once it is committed. Checks come before changes.
    pub(crate) async fn write<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.run(job).await
    }

    /// A new body that vanishes unless kept.
    pub(crate) fn create_body(&self) -> Result<BodyWriter> {
        Ok(self.bodies.create()?)
    }

    /// Reads what was written so far, one body after the other.
    pub(crate) fn read_back(&self, bodies: &[BodyWriter]) -> BodyReader {
        self.read_pieces(bodies.iter().map(BodyWriter::piece))
    }

    /// Reads pieces that a record or a writer holds on to.
    pub(crate) fn read_pieces(&self, pieces: impl IntoIterator<Item = Piece>) -> BodyReader {
        let pieces: Vec<_> = pieces.into_iter().filter(|p| p.len > 0).collect();
        let len = pieces.iter().map(|p| p.len).sum();
        BodyReader::new(self.bodies.pin(&pieces), pieces, 0, len)
    }

    /// Looks an object up.
    pub(crate) fn object(&self, key: &ObjectKey) -> Result<Option<ObjectRecord>> {
        self.snapshot()?.object(key)
    }

    /// Looks an object up and opens the range that `range` chooses from its record.
    ///
    /// The body that is read belongs to the record that is returned, also while the object is being replaced.
    pub(crate) fn open_object<E>(
        &self,
        key: &ObjectKey,
        range: impl Fn(&ObjectRecord) -> std::result::Result<(u64, u64), E>,
    ) -> Result<Option<std::result::Result<(ObjectRecord, BodyReader), E>>> {
        loop {
            let Some(record) = self.object(key)? else { return Ok(None) };
            let pin = self.bodies.pin(&record.pieces);
            // Replaced between look-up and pin: its files may be gone already.
            if self.object(key)?.is_none_or(|now| now.pieces != record.pieces) {
                continue;
            }
            let (start, len) = match range(&record) {
                Ok(range) => range,
                Err(e) => return Ok(Some(Err(e))),
            };
            let mut reader = BodyReader::new(pin, record.pieces.clone(), start, len);
            reader.open_first()?;
            return Ok(Some(Ok((record, reader))));
        }
    }

    /// Removes the objects of buckets that no longer exist, in steps that leave room for other writers.
    pub(crate) async fn purge(&self, bucket: u64) -> Result<()> {
        loop {
            let removed = self.write(move |t| t.purge_objects(bucket, 1000)).await?;
            if removed < 1000 {
                return Ok(());
            }
        }
    }

    /// Ids of a service's buckets that own objects although they are not in `known`.
    pub(crate) fn stray_buckets(&self, service: Service, known: &HashSet<u64>) -> Result<Vec<u64>> {
        let mut owners = self.snapshot()?.buckets_with_objects(service.ids())?;
        owners.retain(|id| !known.contains(id));
        Ok(owners)
    }

    /// The identity of the cluster that the storage belongs to; `new` if it has none yet.
    pub(crate) async fn cluster_id(&self, new: impl FnOnce() -> String) -> Result<String> {
        if let Some(known) = self.snapshot()?.meta(CLUSTER_ID)? {
            return String::from_utf8(known).map_err(|e| StorageError::Corrupt(e.to_string()));
        }
        let id = new();
        let bytes = id.clone().into_bytes();
        self.write(move |t| t.set_meta(CLUSTER_ID, &bytes)).await?;
        Ok(id)
    }

    /// Marks the storage as closed in order.
    pub(crate) async fn close(&self) -> Result<()> {
        self.write(|t| t.set_meta(CLEAN, &[1])).await
    }
}

/// A directory that is removed with its owner, or one that stays.
#[derive(Debug)]
pub(crate) enum DataDir {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl DataDir {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }
}
