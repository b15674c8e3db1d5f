//! Upload of one file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use longshore_blob_api::{BlobStore, PutOptions};
use longshore_core_types::{ObjectKey, Payload};

use super::store::BenchStore;
use super::{Common, Through};
use crate::app::{Failure, at};

/// Bytes read from the file at once.
const BLOCK: usize = 256 << 10;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// File to read
    file: PathBuf,
    /// `http://HOST:PORT/BUCKET/KEY`
    url: String,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = args.common.runtime()?;
    match args.common.through {
        Through::Engine => runtime.block_on(engine(args))?,
        Through::Loop => runtime.block_on(plain(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn engine(args: &Args) -> Result<(), Failure> {
    let (base, key) = super::split(&args.url)?;
    let store = BenchStore::new(args.common.transport()?, base, None)?;
    let engine = args.common.engine().build()?;
    engine.upload(&store, ObjectKey::new(key)?, args.file.as_path()).await?;
    super::report(&engine);
    Ok(())
}

/// The least that an upload does: one request, the file read block by block as the socket takes it.
async fn plain(args: &Args) -> Result<(), Failure> {
    let (base, key) = super::split(&args.url)?;
    let store = BenchStore::new(args.common.transport()?, base, None)?;
    let file = Arc::new(File::open(&args.file).map_err(at(&args.file))?);
    let size = file.metadata()?.len();
    let pool = Pool::default();
    let body = Payload::replayable(Some(size), move || {
        let start = (Arc::clone(&file), Arc::clone(&pool), 0);
        stream::try_unfold(start, move |(file, pool, offset)| async move {
            if offset >= size {
                return Ok(None);
            }
            let chunk = read(&file, offset, &pool)?;
            let next = offset + chunk.len() as u64;
            Ok(Some((chunk, (file, pool, next))))
        })
        .boxed()
    });
    store.put(&ObjectKey::new(key)?, body, PutOptions::default()).await?;
    Ok(())
}

fn read(file: &File, offset: u64, pool: &Pool) -> io::Result<Bytes> {
    let free = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let block = free.unwrap_or_else(|| vec![0; BLOCK].into());
    let mut block = Block { bytes: block, filled: 0, pool: Arc::clone(pool) };
    block.filled = file.read_at(&mut block.bytes, offset)?;
    if block.filled == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Bytes::from_owner(block))
}

/// Buffers that nobody uses now. A fresh one for every chunk makes the allocator grow and trim its heap.
type Pool = Arc<Mutex<Vec<Box<[u8]>>>>;

/// A buffer that goes back to its pool when it has been sent.
struct Block {
    bytes: Box<[u8]>,
    filled: usize,
    pool: Pool,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.bytes);
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }
}
