//! What the retry layer knows of each endpoint: whether it ever answered, and how many retries are left.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use crate::{BudgetConfig, endpoint::Endpoint};

/// Endpoints beyond this number share one record; a client talks to a cluster, not to the world.
const MOST: usize = 4096;

/// Which endpoints have answered anybody in this process: what one client learned helps the next.
static ANSWERED: LazyLock<RwLock<HashMap<Endpoint, Arc<AtomicBool>>>> = LazyLock::new(RwLock::default);

/// The mark of one endpoint; one of its own for an endpoint beyond the most that are known.
fn answered_mark(endpoint: &Endpoint) -> Arc<AtomicBool> {
    let mut known = ANSWERED.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MOST && !known.contains_key(endpoint) {
        return Arc::default();
    }
    Arc::clone(known.entry(endpoint.clone()).or_default())
}

/// All endpoints of one transport.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    known: RwLock<HashMap<Endpoint, Arc<Record>>>,
    others: Arc<Record>,
}

impl Endpoints {
    pub(super) fn get(&self, endpoint: Option<&Endpoint>) -> Arc<Record> {
        let Some(endpoint) = endpoint else { return Arc::clone(&self.others) };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = known.get(endpoint) {
            return Arc::clone(record);
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            return Arc::clone(&self.others);
        }
        let record = || Arc::new(Record { answered: answered_mark(endpoint), tokens: Mutex::default() });
        Arc::clone(known.entry(endpoint.clone()).or_insert_with(record))
    }
}

/// One endpoint.
#[derive(Debug, Default)]
pub(super) struct Record {
    answered: Arc<AtomicBool>,
    tokens: Mutex<Option<Tokens>>,
}

#[derive(Clone, Copy, Debug)]
struct Tokens {
    left: f64,
    at: Instant,
}

impl Record {
    /// Whether any answer ever came from here, in this process.
    pub(super) fn answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    pub(super) fn set_answered(&self) {
        // A store would take the cache line from all other cores each time.
        if !self.answered() {
            self.answered.store(true, Relaxed);
        }
    }

    /// A request starts.
    pub(super) fn deposit(&self, budget: &BudgetConfig) {
        // Nothing goes into a full bucket, and most are full: no need to look at the clock.
        let tokens = *self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.is_some_and(|tokens| tokens.left < budget.capacity) {
            self.with_tokens(budget, |left| *left = (*left + budget.ratio).min(budget.capacity));
        }
    }

    /// A retry wants to start; `false` if the bucket is empty.
    pub(super) fn withdraw(&self, budget: &BudgetConfig) -> bool {
        self.with_tokens(budget, |left| {
            let enough = *left >= 1.0;
            if enough {
                *left -= 1.0;
            }
            enough
        })
    }

    fn with_tokens<T>(&self, budget: &BudgetConfig, change: impl FnOnce(&mut f64) -> T) -> T {
        let now = Instant::now();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = tokens.get_or_insert(Tokens { left: budget.capacity, at: now });
        let since = now.saturating_duration_since(tokens.at).as_secs_f64();
        tokens.left = (tokens.left + since * budget.per_second).min(budget.capacity);
        tokens.at = now;
        change(&mut tokens.left)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Uri;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_share_of_requests() {
        let budget = BudgetConfig::new(0.5, 2.0, 0.0);
        let record = Record::default();
        assert!(record.withdraw(&budget) && record.withdraw(&budget));
        assert!(!record.withdraw(&budget));
        record.deposit(&budget);
        assert!(!record.withdraw(&budget));
        record.deposit(&budget);
        assert!(record.withdraw(&budget));
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_come_back_with_time_up_to_the_capacity() {
        let budget = BudgetConfig::new(0.0, 1.0, 0.5);
        let record = Record::default();
        assert!(record.withdraw(&budget) && !record.withdraw(&budget));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(record.withdraw(&budget) && !record.withdraw(&budget));
    }

    #[test]
    fn endpoints_are_told_apart() {
        let (one, other) = (Endpoints::default(), Endpoints::default());
        let of = |uri: &'static str| Endpoint::of(&Uri::from_static(uri));
        one.get(of("http://told-apart:1/x").as_ref()).set_answered();
        assert!(one.get(of("http://told-apart:1/y").as_ref()).answered());
        assert!(!one.get(of("http://told-apart:2/x").as_ref()).answered());
        // What one transport of the process has seen, the others know.
        assert!(other.get(of("http://told-apart:1/x").as_ref()).answered());
        assert!(!other.get(None).answered());
    }
}
