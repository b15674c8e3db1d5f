//! Waiting for work of the cluster: how often it is asked, and what comes of it.

use std::{
    borrow::Borrow,
    fmt,
    future::IntoFuture,
    time::{Duration, Instant},
};

use futures_core::future::BoxFuture;
use longshore_core_types::{Error, ErrorKind, Resource, Result};

/// Pauses grow to this.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses between questions, each half as long again as the one before, up to a deadline.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) deadline: Duration,
    pub(crate) interval: Duration,
    /// How long what is waited for may be unknown.
    pub(crate) grace: Duration,
    began: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(300),
            interval: Duration::from_millis(100),
            grace: Duration::from_secs(10),
            began: None,
        }
    }
}

impl Pace {
    /// The default with another first pause.
    pub(crate) fn starting_with(interval: Duration) -> Self {
        Self { interval, ..Self::default() }
    }

    /// Time counts from here.
    pub(crate) fn begin(&mut self) {
        self.began = Some(Instant::now());
    }

    fn elapsed(&self) -> Duration {
        self.began.map(|began| began.elapsed()).unwrap_or_default()
    }

    /// Whether it is too early to believe that there is no such thing.
    pub(crate) fn is_early(&self) -> bool {
        self.elapsed() < self.grace
    }

    /// Waits before the next question. An error (`Timeout`) that names what was waited for if time is up.
    pub(crate) async fn pause(&mut self, kind: &'static str, name: &str) -> Result<()> {
        let left = self.deadline.saturating_sub(self.elapsed());
        if left.is_zero() {
            let message = format!("the {kind} is not done after {:?}", self.deadline);
            let resource = Resource::Named { kind, name: name.to_owned().into() };
            return Err(Error::new(ErrorKind::Timeout, message).with_resource(resource));
        }
        tokio::time::sleep(self.interval.min(left)).await;
        self.interval = self.interval.saturating_add(self.interval / 2).min(LONGEST.max(self.interval));
        Ok(())
    }
}

/// What can be waited for.
///
/// It is public only because the types of waits name it.
pub trait Watched: fmt::Debug + Send + Sync + 'static {
    /// What the cluster says of it.
    type Said: ?Sized;
    /// The same, as it is kept.
    type Answer: Borrow<Self::Said> + Send;
    /// How it ended.
    type Outcome: Send + 'static;
    /// What it is, for errors.
    const KIND: &'static str;

    /// Its name, for errors.
    fn name(&self) -> &str;

    /// Asks how far it is; `None` if the cluster has nothing to say yet. `NotFound` if it is not known.
    fn ask(&self) -> impl Future<Output = Result<Option<Self::Answer>>> + Send;

    /// How it ended, if that is what the cluster says.
    fn outcome(&mut self, answer: Self::Answer)
    -> impl Future<Output = Result<Option<Self::Outcome>>> + Send;

    /// How it ended, if it is not known any more.
    fn forgotten(&self, error: Error) -> impl Future<Output = Result<Self::Outcome>> + Send {
        std::future::ready(Err(error))
    }
}

type Show<S> = Box<dyn FnMut(&S) + Send>;

/// A wait for work of the cluster. Awaiting it waits; dropping it stops the waiting, not the work.
#[must_use = "nothing is waited for until it is awaited"]
pub struct Wait<T: Watched> {
    what: T,
    pace: Pace,
    progress: Option<Show<T::Said>>,
}

impl<T: Watched> Wait<T> {
    pub(crate) fn new(what: T) -> Self {
        Self { what, pace: Pace::default(), progress: None }
    }

    /// How long to wait at most; 300 s by default. Then the wait fails (`Timeout`) and the work goes on.
    #[doc(alias = "timeout")]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.pace.deadline = deadline;
        self
    }

    /// How long to wait before asking again; 100 ms at first by default, half as long again each time, up to 5 s.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.pace.interval = interval;
        self
    }

    /// How long the work may be unknown before the wait fails (`NotFound`); 10 s by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.pace.grace = grace;
        self
    }

    /// Shows what the cluster says, each time it was asked.
    pub fn progress(mut self, show: impl FnMut(&T::Said) + Send + 'static) -> Self {
        self.progress = Some(Box::new(show));
        self
    }

    async fn run(mut self) -> Result<T::Outcome> {
        self.pace.begin();
        loop {
            match self.what.ask().await {
                Ok(Some(answer)) => {
                    if let Some(show) = &mut self.progress {
                        show(answer.borrow());
                    }
                    if let Some(outcome) = self.what.outcome(answer).await? {
                        return Ok(outcome);
                    }
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound && self.pace.is_early() => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return self.what.forgotten(error).await,
                Err(error) => return Err(error),
            }
            self.pace.pause(T::KIND, self.what.name()).await?;
        }
    }
}

impl<T: Watched> IntoFuture for Wait<T> {
    type Output = Result<T::Outcome>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T: Watched> fmt::Debug for Wait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("what", &self.what).field("pace", &self.pace).finish_non_exhaustive()
    }
}
