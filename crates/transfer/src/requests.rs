//! Requests in flight: as many as a [`Controller`] says, for each service and direction.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use longshore_core_types::Pressure;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use crate::{
    controller::{Controller, Ended},
    progress::Direction,
};

/// A request that moves much counts this much; one for a small object counts one.
pub(crate) const FULL: u32 = 4;

/// What was learned about so many directions of services is kept while nobody uses it.
const REMEMBERED: usize = 64;

/// The limits of all services that a program talks to.
#[derive(Debug)]
pub(crate) struct Services {
    most: usize,
    known: Mutex<Vec<(Direction, Requests)>>,
}

impl Services {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// The limit of a direction at the service that has this pressure. Those of which none is known are one.
    pub(crate) fn requests(&self, pressure: Option<&Pressure>, direction: Direction) -> Requests {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(way, requests)| *way == direction && requests.is_of(pressure));
        if let Some((_, requests)) = found {
            return requests.clone();
        }
        if known.len() >= REMEMBERED {
            known.retain(|(_, requests)| Arc::strong_count(&requests.0) > 1);
        }
        let requests = Requests::new(self.most, pressure.cloned());
        known.push((direction, requests.clone()));
        requests
    }
}

/// Requests that may run at once.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    pressure: Option<Pressure>,
    /// Refusals that the controller has been told of.
    heeded: AtomicU64,
    /// Bytes of all requests.
    moved: AtomicU64,
    /// How many wait for a permit.
    waiting: AtomicUsize,
    /// Somebody would have sent a request at once, and could not.
    missed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    controller: Controller,
    /// Permits that are to vanish as they come back.
    owed: usize,
}

/// The right to have one request in flight, given back when dropped.
#[derive(Debug)]
pub(crate) struct RequestPermit {
    permit: Option<OwnedSemaphorePermit>,
    begin: Instant,
    requests: Requests,
}

impl Requests {
    fn new(most: usize, pressure: Option<Pressure>) -> Self {
        let controller = Controller::new(most);
        let refusals = pressure.as_ref().map_or(0, Pressure::refusals);
        Self(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(controller.limit() * FULL as usize)),
            pressure,
            heeded: AtomicU64::new(refusals),
            moved: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            missed: AtomicBool::new(false),
            state: Mutex::new(State { controller, owed: 0 }),
        }))
    }

    fn is_of(&self, pressure: Option<&Pressure>) -> bool {
        match (&self.0.pressure, pressure) {
            (Some(ours), Some(other)) => ours.is(other),
            (None, None) => true,
            _ => false,
        }
    }

    /// How many requests may be in flight now.
    pub(crate) fn limit(&self) -> usize {
        // What was refused since the last request began or ended counts already.
        self.heed();
        self.state().controller.limit()
    }

    /// So many bytes went this way.
    pub(crate) fn moved(&self, bytes: u64) {
        self.0.moved.fetch_add(bytes, Relaxed);
    }

    /// Waits for the right to send a request of this weight: 1 for a small object, [`FULL`] otherwise. Also until the
    /// service wants requests again, if it said so.
    pub(crate) async fn permit(&self, weight: u32) -> RequestPermit {
        loop {
            while let Some(until) = self.heed() {
                sleep_until(until).await;
            }
            let permit = self.acquire(weight).await;
            // It may have said so since.
            if self.heed().is_none() {
                return self.granted(permit);
            }
        }
    }

    async fn acquire(&self, weight: u32) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.0.permits).try_acquire_many_owned(weight) {
            return permit;
        }
        let _waiting = Waiting::count(&self.0.waiting);
        let permit = Arc::clone(&self.0.permits).acquire_many_owned(weight).await;
        let Ok(permit) = permit else { unreachable!("the limit is never closed") };
        permit
    }

    /// The right to send a full request, if it is to be had without waiting.
    pub(crate) fn try_permit(&self) -> Option<RequestPermit> {
        if self.heed().is_some() {
            return None;
        }
        let permit = Arc::clone(&self.0.permits).try_acquire_many_owned(FULL).ok();
        if permit.is_none() {
            self.0.missed.store(true, Relaxed);
        }
        permit.map(|permit| self.granted(permit))
    }

    fn granted(&self, permit: OwnedSemaphorePermit) -> RequestPermit {
        RequestPermit { permit: Some(permit), begin: Instant::now(), requests: self.clone() }
    }

    /// Tells the controller what the service refused. Until when to wait, if it asks for that.
    fn heed(&self) -> Option<Instant> {
        let pressure = self.0.pressure.as_ref()?;
        let refusals = pressure.refusals();
        if refusals != self.0.heeded.swap(refusals, Relaxed) {
            self.update(Controller::refused);
        }
        let until = Instant::from_std(pressure.until()?);
        (until > Instant::now()).then_some(until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the controller change the limit, and makes or takes permits accordingly.
    fn update(&self, change: impl FnOnce(&mut Controller, Instant)) {
        let mut state = self.state();
        let before = state.controller.limit();
        change(&mut state.controller, Instant::now());
        let after = state.controller.limit();
        if after == before {
            return;
        }
        let full = FULL as usize;
        if after < before {
            let gone = (before - after) * full;
            state.owed += gone - self.0.permits.forget_permits(gone);
        } else {
            let new = (after - before) * full;
            let kept = new.min(state.owed);
            state.owed -= kept;
            self.0.permits.add_permits(new - kept);
        }
    }
}

/// Somebody who waits, or gave up waiting once it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let Some(mut permit) = mem::take(&mut self.permit) else { return };
        let requests = &self.requests;
        // A refusal explains what follows, so it comes first.
        requests.heed();
        let small = permit.num_permits() < FULL as usize;
        let ended = Ended {
            time: small.then(|| self.begin.elapsed()),
            moved: requests.0.moved.load(Relaxed),
            awaited: requests.0.missed.swap(false, Relaxed) || requests.0.waiting.load(Relaxed) > 0,
        };
        requests.update(|controller, now| controller.ended(now, ended));
        let mut state = requests.state();
        let vanish = state.owed.min(permit.num_permits());
        state.owed -= vanish;
        if let Some(vanishing) = permit.split(vanish) {
            vanishing.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn requests(most: usize) -> (Requests, Pressure) {
        let pressure = Pressure::new();
        (Services::new(most).requests(Some(&pressure), Direction::Upload), pressure)
    }

    #[tokio::test]
    async fn four_small_requests_count_as_one() {
        let (requests, _) = requests(2);
        let full = requests.permit(FULL).await;
        let small = [requests.permit(1).await, requests.permit(1).await];
        assert!(requests.try_permit().is_none());
        drop(small);
        assert!(requests.try_permit().is_some());
        drop(full);
    }

    #[tokio::test]
    async fn each_service_and_direction_has_its_own() {
        let services = Services::new(1);
        let (a, b) = (Pressure::new(), Pressure::new());
        let of = |pressure, direction| services.requests(pressure, direction);
        let held = of(Some(&a), Direction::Upload).try_permit();
        assert!(held.is_some());
        assert!(of(Some(&a), Direction::Upload).try_permit().is_none());
        assert!(of(Some(&a), Direction::Download).try_permit().is_some());
        assert!(of(Some(&b), Direction::Upload).try_permit().is_some());
        assert!(of(None, Direction::Upload).try_permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_takes_permits_as_they_come_back() {
        let (requests, pressure) = requests(8);
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(requests.permit(FULL).await);
        }
        pressure.refused(None);
        assert!(requests.permit(1).now_or_never().is_none());
        assert_eq!(requests.limit(), 5);
        // Three come back and vanish; the fourth is there for others.
        held.truncate(5);
        assert!(requests.try_permit().is_none());
        held.pop();
        assert!(requests.try_permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_starts_while_the_service_wants_none() {
        let (requests, pressure) = requests(8);
        let begin = Instant::now();
        pressure.refused(Some(Duration::from_secs(100)));
        assert!(requests.try_permit().is_none());
        drop(requests.permit(FULL).await);
        let waited = begin.elapsed().as_secs_f64();
        assert!((99.0..101.0).contains(&waited), "{waited}");
        assert_eq!(requests.limit(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_rises_while_requests_are_served() {
        let (requests, _) = requests(64);
        let run = |_| async {
            let permit = requests.permit(FULL).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            requests.moved(1 << 20);
            drop(permit);
        };
        futures_util::future::join_all((0..2000).map(run)).await;
        assert_eq!(requests.limit(), 64);
        // All permits are there again, and not one more.
        let all: Vec<_> = std::iter::from_fn(|| requests.try_permit()).collect();
        assert_eq!(all.len(), 64);
    }
}
