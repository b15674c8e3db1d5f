//! The one thread that writes the database: group commit.
//!
//! The database has a single writer and a fixed cost per commit, so concurrent requests share commits: the thread
//! takes every job that is waiting, runs them in one transaction, commits, then tells all of them.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::bodies::BodyDir;
use super::tables::Tables;
use super::{Result, StorageError};

/// Jobs that one commit may carry.
const MAX_BATCH: usize = 256;

type Finish = Box<dyn FnOnce(std::result::Result<(), StorageError>) + Send>;
type Job = Box<dyn FnOnce(&mut Tables<'_>) -> (Finish, bool) + Send>;

/// Handle of the writer thread; dropping it ends the thread after the queued jobs.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(db: Arc<Database>, bodies: Arc<BodyDir>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let thread =
            Builder::new().name("longshore-dev-db".into()).spawn(move || run(&db, &bodies, queue))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs `job` in a transaction and returns its result once that is committed.
    ///
    /// A job must make all of its checks before its first change: an error of its own
    /// does not undo the transaction that it shares with others.
    pub(super) async fn run<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tables<'_>) -> Result<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |tables| {
            let result = job(tables);
            let broken = matches!(&result, Err(e) if e.breaks_transaction());
            let finish: Finish = Box::new(move |committed| {
                let _ = tell.send(committed.and(result));
            });
            (finish, broken)
        });
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(StorageError::Closed);
        }
        told.await.unwrap_or(Err(StorageError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(db: &Database, bodies: &BodyDir, mut queue: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        let mut finishes = Vec::with_capacity(batch.len());
        let (result, doomed) = commit(db, batch, &mut finishes);
        let error = result.err().map(Arc::new);
        for finish in finishes {
            finish(error.as_ref().map_or(Ok(()), |e| Err(StorageError::Commit(Arc::clone(e)))));
        }
        for id in doomed {
            bodies.remove(id);
        }
    }
}

/// Runs the batch; returns the bodies that nothing refers to any more.
fn commit(db: &Database, batch: Vec<Job>, finishes: &mut Vec<Finish>) -> (Result<()>, Vec<u64>) {
    let run = || -> Result<Vec<u64>> {
        let txn = db.begin_write().map_err(redb::Error::from)?;
        let mut broken = false;
        let doomed = {
            let mut tables = Tables::open(&txn)?;
            for job in batch {
                let (finish, breaks) = job(&mut tables);
                broken |= breaks;
                finishes.push(finish);
            }
            tables.take_doomed()
        };
        if broken {
            txn.abort().map_err(redb::Error::from)?;
            return Err(StorageError::Aborted);
        }
        txn.commit().map_err(redb::Error::from)?;
        Ok(doomed)
    };
    match run() {
        Ok(doomed) => (Ok(()), doomed),
        Err(e) => (Err(e), Vec::new()),
    }
}
