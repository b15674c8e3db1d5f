//! An upload of a stream that can be read once and whose end nobody knows.

use std::{io, mem, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use longshore_blob_api::{BlobStore, MultipartLimits, PartOrder};
use longshore_core_types::{Error, ErrorKind, Payload, Result as CoreResult};
use tokio::task::JoinSet;

use super::{
    Job, UploadOutcome,
    parts::{Begun, Failure, Stored},
};
use crate::{
    body::{Body, Origin},
    budget::Ticket,
    error::{Result, TransferError, attach, task_failed},
    plan::{Growing, MIB},
    requests::FULL,
    slab::{SLAB, footprint},
    source::OneShot,
};

/// Some bytes of the stream, in memory that is paid for.
struct Piece {
    chunks: Vec<Bytes>,
    size: u64,
    /// The stream has no more.
    last: bool,
    ticket: Ticket,
}

impl<S: BlobStore + Clone> Job<S> {
    /// Uploads a stream: in one request if it turns out to be short, else part after part as it is read.
    ///
    /// A part is read only after memory for all of it was granted, so that it can be sent again.
    pub(super) async fn stream(
        self: Arc<Self>,
        mut source: OneShot,
        size: Option<u64>,
    ) -> Result<UploadOutcome> {
        if let Some(size) = size {
            attach(self.check_size(size), self.reporter.item())?;
        }
        // Half of the budget at most for one part, so that one can be read while another is sent.
        let most = self.context.engine.memory.total() / 2;
        let limits = self.store.capability().multipart;
        let grow = match limits {
            Some(limits) => {
                let grow = Growing::new(self.context.config().part_size, limits, most);
                let grow = grow.and_then(|grow| size.map_or(Ok(grow), |size| grow.sized(size)));
                Some((attach(grow, self.reporter.item())?, limits))
            }
            None => None,
        };
        let first = match grow {
            Some((grow, _)) => grow.part(0),
            // Without parts, what is read cannot be sent again unless it is all there.
            None if self.store.capability().put_requires_length => Ok(most),
            None => Ok(most.saturating_sub(SLAB as u64).clamp(1, 8 * MIB)),
        };
        let first = attach(first, self.reporter.item())?;
        let first = size.map_or(first, |size| first.min(size.max(1)));
        // Without parts, the rest of the stream goes through one more buffer. It is paid for now: who has memory must not
        // wait for more.
        let spare = if grow.is_some() { 0 } else { SLAB as u64 };
        let mut piece = self.read(&mut source, first, spare).await.map_err(|error| self.fail(error))?;
        piece.last |= size == Some(piece.size);
        if piece.last {
            attach(self.check_size(piece.size), self.reporter.item())?;
            let result = self.single(Origin::Memory(piece.chunks.into())).await;
            drop(piece.ticket);
            return result.map_err(|error| self.fail(error));
        }
        match grow {
            Some((grow, limits)) => self.in_parts(source, piece, grow, limits).await,
            None => self.endless(source, piece, size).await.map_err(|error| self.fail(error)),
        }
    }

    /// Reads up to `size` bytes, in memory that has room for so many more.
    async fn read(&self, source: &mut OneShot, size: u64, spare: u64) -> CoreResult<Piece> {
        self.context
            .unless_stopped(async {
                let ticket = self.context.engine.memory.ticket(footprint(size) + spare).await;
                let mut piece = Piece { chunks: Vec::new(), size: 0, last: false, ticket };
                while piece.size < size && !piece.last {
                    let left = usize::try_from(size - piece.size).unwrap_or(usize::MAX);
                    let mut slab = self.context.engine.slabs.take_for(left);
                    piece.last = source.fill(&mut slab, left.min(SLAB)).await.map_err(source_failed)?;
                    piece.size += slab.len() as u64;
                    if slab.len() > 0 {
                        piece.chunks.push(slab.freeze());
                    }
                }
                Ok(piece)
            })
            .await
    }

    async fn in_parts(
        self: Arc<Self>,
        source: OneShot,
        first: Piece,
        grow: Growing,
        limits: MultipartLimits,
    ) -> Result<UploadOutcome> {
        let begun = Arc::new(Begun::begin(&self, limits).await.map_err(|error| self.fail(error))?);
        let sent = match self.send_parts(&begun, source, first, grow).await {
            Ok(stored) => begun.complete(stored).await,
            Err(failure) => Err(failure),
        };
        match sent {
            Ok(outcome) => Ok(outcome),
            // There is no second upload to begin: what was read is gone.
            Err(failure) => {
                let failure = Failure::Final(failure.into_error().on(self.reporter.item()));
                Err(begun.clean_up(failure).await.into_error())
            }
        }
    }

    async fn send_parts(
        &self,
        begun: &Arc<Begun<S>>,
        source: OneShot,
        first: Piece,
        grow: Growing,
    ) -> Result<Vec<Stored>, Failure> {
        let mut tasks = JoinSet::new();
        let result = self.feed(begun, &mut tasks, source, first, grow).await;
        // What is still being sent would arrive after the upload has been aborted, and stay.
        tasks.shutdown().await;
        result
    }

    async fn feed(
        &self,
        begun: &Arc<Begun<S>>,
        tasks: &mut JoinSet<Result<Stored, Failure>>,
        mut source: OneShot,
        first: Piece,
        grow: Growing,
    ) -> Result<Vec<Stored>, Failure> {
        let most = match begun.limits.part_order {
            PartOrder::InOrder => 1,
            _ => self.context.config().concurrency,
        };
        let mut stored = Vec::new();
        let mut piece = first;
        let mut index = 0;
        loop {
            while tasks.len() >= most
                && let Some(ended) = tasks.join_next().await
            {
                stored.push(ended.map_err(task_failed)??);
            }
            let last = piece.last;
            tasks.spawn(send_piece(Arc::clone(begun), index, piece));
            if last {
                break;
            }
            index += 1;
            // Beyond the last part there may be, a stream that has ended is no fault.
            let (size, too_long) = match grow.part(index.into()) {
                Ok(size) => (size, None),
                Err(error) => (1, Some(error)),
            };
            // A part that fails must not wait for a stream that says nothing.
            let read = self.read(&mut source, size, 0);
            tokio::pin!(read);
            piece = loop {
                tokio::select! {
                    piece = &mut read => break piece?,
                    Some(ended) = tasks.join_next() => stored.push(ended.map_err(task_failed)??),
                }
            };
            if piece.size == 0 {
                break;
            }
            if let Some(error) = too_long {
                return Err(error.into());
            }
        }
        while let Some(ended) = tasks.join_next().await {
            stored.push(ended.map_err(task_failed)??);
        }
        stored.sort_by_key(|part| part.receipt.number);
        Ok(stored)
    }

    /// One request, which cannot be repeated, and whose length is unknown unless somebody said it.
    async fn endless(&self, source: OneShot, first: Piece, size: Option<u64>) -> CoreResult<UploadOutcome> {
        if self.store.capability().put_requires_length && size.is_none() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} takes no streams of unknown length beyond {} bytes, half of the memory budget; upload a \
                     file instead",
                    self.store.url(),
                    first.size
                ),
            ));
        }
        let _request = self.context.admit_request(FULL).await?;
        let slabs = self.context.engine.slabs.clone();
        let Piece { chunks, ticket, .. } = first;
        let rest = stream::try_unfold((source, false), move |(mut source, ended)| {
            let mut slab = slabs.take();
            async move {
                if ended {
                    return Ok(None);
                }
                let ended = source.fill(&mut slab, SLAB).await?;
                Ok((slab.len() > 0).then(|| (slab.freeze(), (source, ended))))
            }
        });
        let head = stream::iter(chunks.into_iter().map(Ok));
        let reporter = self.reporter.clone();
        let body = Payload::once(size, futures_util::StreamExt::chain(head, rest)).observe(move || {
            let reporter = reporter.clone();
            move |chunk: &Bytes| reporter.moved(chunk.len() as u64)
        });
        let put = self.store.put(&self.key, body, self.options.clone());
        let result = self.context.within_grace(put).await?;
        drop(ticket);
        let verified = self.verify(&result, None, false).await?;
        Ok(UploadOutcome {
            result,
            bytes: self.reporter.done(),
            parts: 0,
            checksum: None,
            verified,
            resumed: 0,
        })
    }
}

/// The stream may be another store's object; what went wrong there is what went wrong.
fn source_failed(error: io::Error) -> Error {
    let error = match error.downcast::<TransferError>() {
        Ok(error) => return error.into(),
        Err(error) => error,
    };
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(ErrorKind::LocalIo, "cannot read the source").with_source(error),
    }
}

async fn send_piece<S: BlobStore + Clone>(
    begun: Arc<Begun<S>>,
    index: u32,
    mut piece: Piece,
) -> Result<Stored, Failure> {
    let job = &begun.job;
    let _request = job.context.admit_request(FULL).await?;
    let origin = Origin::Memory(mem::take(&mut piece.chunks).into());
    let kind = begun.part_sum();
    let body = Body::new(&job.context, origin.clone(), 0..piece.size, kind, &job.reporter);
    let stored = begun.send(index, &body, &origin).await?;
    job.reporter.part_done(index.into(), piece.size);
    Ok(stored)
}
