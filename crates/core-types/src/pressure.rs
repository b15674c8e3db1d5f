//! What a service lets its clients know about the load that it bears.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How often a service refused requests because there were too many, and until when it wants none.
///
/// Whoever sends requests notes it here, once for each attempt, so a refusal that a retry cured counts as well. Whoever
/// decides how many to send looks here. Clones share the account: two stores with the same one are behind the same
/// service.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<State>);

#[derive(Debug, Default)]
struct State {
    refusals: AtomicU64,
    until: Mutex<Option<Instant>>,
}

impl Pressure {
    /// Of a service that has refused nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The service refused a request, and asked for this much time before the next one, if it said so.
    pub fn refused(&self, wait: Option<Duration>) {
        if let Some(asked) = wait.and_then(|wait| Instant::now().checked_add(wait)) {
            let mut until = self.0.until.lock().unwrap_or_else(PoisonError::into_inner);
            *until = Some(until.map_or(asked, |until| until.max(asked)));
        }
        self.0.refusals.fetch_add(1, Relaxed);
    }

    /// How many requests were refused so far.
    pub fn refusals(&self) -> u64 {
        self.0.refusals.load(Relaxed)
    }

    /// Until when the service wants no requests; may be in the past.
    pub fn until(&self) -> Option<Instant> {
        *self.0.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are the same account.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_account_and_the_longest_wait_holds() {
        let pressure = Pressure::new();
        let shared = pressure.clone();
        assert!(pressure.is(&shared) && !pressure.is(&Pressure::new()));
        shared.refused(None);
        assert_eq!((pressure.refusals(), pressure.until()), (1, None));
        shared.refused(Some(Duration::from_secs(1000)));
        let until = pressure.until().unwrap();
        pressure.refused(Some(Duration::from_secs(1)));
        assert_eq!((shared.refusals(), shared.until()), (3, Some(until)));
        // A wait that no clock can hold is no reason to panic.
        pressure.refused(Some(Duration::MAX));
        assert_eq!(pressure.until(), Some(until));
    }
}
