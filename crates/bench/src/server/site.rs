//! What is served, and the counters.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Stats;
use super::shape::Shape;
use crate::content;

/// Objects up to this size are kept in memory, larger ones as an open file.
const SMALL: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Site {
    root: PathBuf,
    pub(super) shape: Shape,
    pub(super) count: Counters,
    open: Mutex<HashMap<String, Arc<Object>>>,
    listings: Mutex<HashMap<String, Arc<Vec<Listed>>>>,
}

/// One object, ready to be sent.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) content: Content,
    pub(super) size: u64,
    pub(super) etag: String,
}

#[derive(Debug)]
pub(super) enum Content {
    Memory(Vec<u8>),
    File(File),
}

/// One line of a listing.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) requests: Counter,
    pub(super) refused: Counter,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) slowed: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds and returns what was there before.
    pub(super) fn add(&self, n: u64) -> u64 {
        self.0.fetch_add(n, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Site {
    /// Serves what is below `root`; of the buckets in `keys` there are only listings.
    pub(super) fn new(root: PathBuf, shape: Shape, keys: &[(String, u64)]) -> Self {
        let listings = keys.iter().map(|(bucket, count)| (bucket.clone(), Arc::new(numbered(*count))));
        let (open, listings) = (Mutex::default(), Mutex::new(listings.collect()));
        Self { root, shape, count: Counters::default(), open, listings }
    }

    pub(super) fn stats(&self) -> Stats {
        let (user, system) = crate::launch::own_cpu().unwrap_or_default();
        Stats {
            connections: self.count.connections.get(),
            requests: self.count.requests.get(),
            refused: self.count.refused.get(),
            received: self.count.received.get(),
            sent: self.count.sent.get(),
            slowed: self.count.slowed.get(),
            user,
            system,
        }
    }

    /// The object `BUCKET/KEY`; `NotFound` if there is none.
    pub(super) fn object(&self, name: &str) -> io::Result<Arc<Object>> {
        // The content never changes while the server runs, so what was opened once stays open.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = open.get(name) {
            return Ok(Arc::clone(object));
        }
        let object = Arc::new(Object::open(&self.path(name)?)?);
        open.insert(name.to_owned(), Arc::clone(&object));
        Ok(object)
    }

    pub(super) fn has_bucket(&self, bucket: &str) -> bool {
        let listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        listings.contains_key(bucket) || self.path(bucket).is_ok_and(|path| path.is_dir())
    }

    /// All objects of a bucket, by name.
    pub(super) fn listing(&self, bucket: &str) -> io::Result<Arc<Vec<Listed>>> {
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = listings.get(bucket) {
            return Ok(Arc::clone(listing));
        }
        let mut found = Vec::new();
        walk(&self.path(bucket)?, "", &mut found)?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let listing = Arc::new(found);
        listings.insert(bucket.to_owned(), Arc::clone(&listing));
        Ok(listing)
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let name = Path::new(name);
        if name.components().all(|part| matches!(part, Component::Normal(_))) {
            Ok(self.root.join(name))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

impl Object {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = metadata.len();
        let content = if size <= SMALL {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Content::Memory(bytes)
        } else {
            Content::File(file)
        };
        Ok(Self { content, size, etag: format!("\"bench-{size:x}\"") })
    }
}

/// Names that sort as they are counted.
fn numbered(count: u64) -> Vec<Listed> {
    (0..count).map(|number| Listed { key: content::small_name(number), size: content::SMALL_SIZE }).collect()
}

fn walk(dir: &Path, prefix: &str, found: &mut Vec<Listed>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            walk(&entry.path(), &format!("{key}/"), found)?;
        } else {
            found.push(Listed { key, size: metadata.len() });
        }
    }
    Ok(())
}
