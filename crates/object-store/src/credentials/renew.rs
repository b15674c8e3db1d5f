//! Credentials that are issued for a limited time.

use std::{
    fmt::Debug,
    future::Future,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, SystemTime},
};

use longshore_core_types::Result;
use tokio::sync::Mutex;
use tracing::warn;

use super::CredentialSource;

/// How long before their end credentials are renewed.
const MARGIN: Duration = Duration::from_secs(15 * 60);

/// How long a failed renewal is not tried again while the old credentials are good.
const PAUSE: Duration = Duration::from_secs(10);

/// A service that issues credentials for a limited time; see [`Renewing`].
pub trait Issuer: Debug + Send + Sync + 'static {
    /// What it issues, such as [`AwsCredentials`](crate::s3::AwsCredentials).
    type Credentials: Clone + Debug + Send + Sync + 'static;

    /// Asks for new credentials. Called by one request at a time; the others wait for its result.
    fn issue(&self) -> impl Future<Output = Result<Issued<Self::Credentials>>> + Send;
}

/// Credentials, and when they end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued<C> {
    /// The credentials.
    pub credentials: C,
    /// When the server stops accepting them; `None` if they do not expire.
    pub expires: Option<SystemTime>,
    /// From when on they are to be renewed, where the issuer says so; `None` to leave that to [`Renewing`].
    pub renew_from: Option<SystemTime>,
}

impl<C> Issued<C> {
    /// Credentials that last until the server refuses them.
    pub fn new(credentials: C) -> Self {
        Self { credentials, expires: None, renew_from: None }
    }

    /// When they end.
    #[must_use]
    pub fn until(mut self, end: SystemTime) -> Self {
        self.expires = Some(end);
        self
    }

    /// From when on they are to be renewed.
    #[must_use]
    pub fn renewed_from(mut self, time: SystemTime) -> Self {
        self.renew_from = Some(time);
        self
    }
}

/// Keeps what an [`Issuer`] issues, and renews it before it ends.
///
/// - The first request asks for credentials, unless some are given by [`starting_with`](Self::starting_with).
/// - They are renewed 15 minutes before their end ([`with_margin`](Self::with_margin)), or when a fifth of their time
///   is left if that is later: an issuer whose credentials live shorter than the margin is not asked for each request.
///   [`Issued::renewed_from`] sets another time.
/// - One request renews, and the others wait for it. If that fails while the old credentials are good, these serve on,
///   and the next try is 10 s later; else the error fails the requests.
/// - Credentials that the server refuses are renewed whatever their end.
#[derive(Debug)]
pub struct Renewing<I: Issuer> {
    issuer: I,
    margin: Duration,
    current: Mutex<Option<Current<I::Credentials>>>,
    refused: AtomicBool,
}

#[derive(Debug)]
struct Current<C> {
    issued: Issued<C>,
    /// When to renew; `None` for never.
    fresh_until: Option<SystemTime>,
}

impl<C> Current<C> {
    fn new(issued: Issued<C>, margin: Duration) -> Self {
        let by_margin = |end: SystemTime| {
            let left = end.duration_since(SystemTime::now()).unwrap_or_default();
            end.checked_sub(margin.min(left / 5)).unwrap_or(end)
        };
        let fresh_until = issued.renew_from.or(issued.expires.map(by_margin));
        Self { issued, fresh_until }
    }
}

fn passed(end: Option<SystemTime>) -> bool {
    end.is_some_and(|end| end <= SystemTime::now())
}

impl<I: Issuer> Renewing<I> {
    /// Nothing is asked for yet.
    pub fn new(issuer: I) -> Self {
        Self { issuer, margin: MARGIN, current: Mutex::new(None), refused: AtomicBool::new(false) }
    }

    /// How long before their end credentials are renewed. Default 15 minutes.
    #[must_use]
    pub fn with_margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        if let Some(current) = self.current.get_mut().take() {
            *self.current.get_mut() = Some(Current::new(current.issued, margin));
        }
        self
    }

    /// Uses these first.
    #[must_use]
    pub fn starting_with(mut self, issued: Issued<I::Credentials>) -> Self {
        *self.current.get_mut() = Some(Current::new(issued, self.margin));
        self
    }

    /// Who issues.
    pub fn issuer(&self) -> &I {
        &self.issuer
    }
}

impl<I: Issuer> CredentialSource<I::Credentials> for Renewing<I> {
    async fn credentials(&self) -> Result<I::Credentials> {
        let mut current = self.current.lock().await;
        let refused = self.refused.swap(false, SeqCst);
        if let Some(current) = current.as_ref().filter(|current| !refused && !passed(current.fresh_until)) {
            return Ok(current.issued.credentials.clone());
        }
        match (self.issuer.issue().await, current.as_mut()) {
            (Ok(issued), _) => {
                let credentials = issued.credentials.clone();
                *current = Some(Current::new(issued, self.margin));
                Ok(credentials)
            }
            (Err(error), Some(old)) if !refused && !passed(old.issued.expires) => {
                warn!(error = %error.chain(), "credentials could not be renewed; the old ones serve on");
                old.fresh_until = SystemTime::now().checked_add(PAUSE);
                Ok(old.issued.credentials.clone())
            }
            (Err(error), _) => {
                // Whoever asks next must not get what was refused.
                self.refused.fetch_or(refused, SeqCst);
                Err(error)
            }
        }
    }

    fn invalidate(&self) {
        self.refused.store(true, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use longshore_core_types::{Error, ErrorKind};

    use super::*;

    #[derive(Debug)]
    struct Counting {
        calls: AtomicU32,
        lasts: Option<Duration>,
        fails_from: u32,
    }

    fn issuer(lasts: Option<Duration>, fails_from: u32) -> Counting {
        Counting { calls: AtomicU32::new(0), lasts, fails_from }
    }

    impl Issuer for Counting {
        type Credentials = u32;

        async fn issue(&self) -> Result<Issued<u32>> {
            let call = self.calls.fetch_add(1, SeqCst) + 1;
            if call >= self.fails_from {
                return Err(Error::new(ErrorKind::Unavailable, "no service"));
            }
            let issued = Issued::new(call);
            Ok(match self.lasts {
                Some(time) => issued.until(SystemTime::now() + time),
                None => issued,
            })
        }
    }

    #[tokio::test]
    async fn they_are_kept_while_fresh_and_renewed_when_refused() {
        let source = Renewing::new(issuer(Some(Duration::from_hours(1)), 9));
        let (a, b) = tokio::join!(source.credentials(), source.credentials());
        assert_eq!((a.unwrap(), b.unwrap()), (1, 1));
        source.invalidate();
        assert_eq!(source.credentials().await.unwrap(), 2);
        assert_eq!(source.credentials().await.unwrap(), 2);
        let forever = Renewing::new(issuer(None, 9)).starting_with(Issued::new(77));
        assert_eq!(forever.credentials().await.unwrap(), 77);
    }

    #[tokio::test]
    async fn short_lives_do_not_lead_to_a_renewal_for_each_request() {
        // Less than the margin is left from the beginning.
        let source = Renewing::new(issuer(Some(Duration::from_secs(300)), 9));
        assert_eq!(source.credentials().await.unwrap(), 1);
        assert_eq!(source.credentials().await.unwrap(), 1);
        let past = Issued::new(77).until(SystemTime::now() + Duration::from_hours(9));
        let due = Renewing::new(issuer(None, 9)).starting_with(past.renewed_from(SystemTime::UNIX_EPOCH));
        assert_eq!(due.credentials().await.unwrap(), 1);
        let over =
            Renewing::new(issuer(None, 9)).starting_with(Issued::new(77).until(SystemTime::UNIX_EPOCH));
        assert_eq!(over.credentials().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn old_ones_serve_on_if_they_are_good_and_were_not_refused() {
        let late = SystemTime::now() + Duration::from_secs(600);
        let mut source = Renewing::new(issuer(None, 1)).starting_with(Issued::new(77).until(late));
        source.current.get_mut().as_mut().unwrap().fresh_until = Some(SystemTime::UNIX_EPOCH);
        assert_eq!(source.credentials().await.unwrap(), 77);
        // The next try is not at once.
        assert_eq!(source.credentials().await.unwrap(), 77);
        assert_eq!(source.issuer().calls.load(SeqCst), 1);
        source.invalidate();
        assert_eq!(source.credentials().await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(source.credentials().await.is_err(), "what was refused is not used again");
    }
}
