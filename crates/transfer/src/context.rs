//! What every step of a transfer needs: limits, settings, and the wish to stop.

use std::{future::Future, sync::Arc, time::Duration};

use longshore_blob_api::BlobStore;
use longshore_core_types::Result;
use tokio::sync::SemaphorePermit;

use crate::{
    budget::Ticket,
    cancel::CancelToken,
    config::{Config, Engine},
    error::cancelled,
    progress::Direction,
    requests::{FULL, RequestPermit, Requests},
    slab::SLAB,
};

/// Objects of up to so many bytes are small: their requests wait more than they move.
pub(crate) const SMALL: u64 = SLAB as u64;

#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) engine: Arc<Engine>,
    pub(crate) cancel: CancelToken,
    /// Those to the service and in the direction of this transfer.
    pub(crate) requests: Requests,
}

/// The right to send one request and to use the memory that it needs.
#[derive(Debug)]
pub(crate) struct Admission {
    _request: RequestPermit,
    _memory: Ticket,
}

/// What a request that moves so many bytes counts.
pub(crate) fn weight(bytes: u64) -> u32 {
    if bytes <= SMALL { 1 } else { FULL }
}

impl Context {
    /// Of a transfer from or to this store.
    pub(crate) fn new(engine: &Arc<Engine>, store: &impl BlobStore, direction: Direction) -> Self {
        let requests = engine.services.requests(store.pressure().as_ref(), direction);
        Self { engine: Arc::clone(engine), cancel: CancelToken::new(), requests }
    }

    /// Of what asks no store: of reading local files.
    pub(crate) fn local(engine: &Arc<Engine>) -> Self {
        let requests = engine.services.requests(None, Direction::Copy);
        Self { engine: Arc::clone(engine), cancel: CancelToken::new(), requests }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.engine.config
    }

    /// Waits for its turn. `Cancelled` once nothing new shall start.
    ///
    /// Memory comes first, here and everywhere: what was read of a stream waits for a request with its memory in hand, so
    /// a request that waited for memory could wait for ever.
    pub(crate) async fn admit(&self, weight: u32, memory: u64) -> Result<Admission> {
        self.unless_stopped(async {
            let memory = self.engine.memory.ticket(memory).await;
            let request = self.requests.permit(weight).await;
            self.engine.request_rate.pace(1).await;
            Ok(Admission { _request: request, _memory: memory })
        })
        .await
    }

    /// The same for a request that needs no memory of its own.
    pub(crate) async fn admit_request(&self, weight: u32) -> Result<RequestPermit> {
        self.unless_stopped(async {
            let request = self.requests.permit(weight).await;
            self.engine.request_rate.pace(1).await;
            Ok(request)
        })
        .await
    }

    /// Waits for the right to begin a copy that passes through here, before anything is asked for it.
    pub(crate) async fn copy(&self) -> Result<SemaphorePermit<'_>> {
        self.unless_stopped(async {
            let permit = self.engine.copies.acquire().await;
            let Ok(permit) = permit else { unreachable!("the limit is never closed") };
            Ok(permit)
        })
        .await
    }

    /// Asks a store something that takes no memory, so it waits for the limit of requests per second alone.
    pub(crate) async fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        self.unless_stopped(async {
            self.engine.request_rate.pace(1).await;
            question.await
        })
        .await
    }

    /// Asks a store something that has to be known even if no more is to start.
    pub(crate) async fn ask_in_grace<T>(&self, question: impl Future<Output = Result<T>>) -> Result<T> {
        self.within_grace(async {
            self.engine.request_rate.pace(1).await;
            question.await
        })
        .await
    }

    /// Does something that must not begin, nor go on, once the transfer is stopped.
    pub(crate) async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        if self.cancel.is_stopped() {
            return Err(cancelled());
        }
        // To wait for the end costs more than most work does, so it begins when the work has to wait.
        tokio::select! {
            biased;
            result = work => result,
            () = self.cancel.stopped() => Err(cancelled()),
        }
    }

    /// Does something that may go on for the time of grace.
    pub(crate) async fn within_grace<T, E: From<longshore_core_types::Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let expired = || self.cancel.expired(self.config().grace);
        tokio::pin!(work);
        tokio::select! {
            biased;
            () = expired(), if self.cancel.is_stopped() => Err(cancelled().into()),
            result = &mut work => result,
            () = expired() => Err(cancelled().into()),
        }
    }

    /// Waits before another try.
    pub(crate) async fn pause(&self, time: Duration) -> Result<()> {
        self.unless_stopped(async {
            tokio::time::sleep(time).await;
            Ok(())
        })
        .await
    }
}
