//! How often something is asked again while it is waited for.

use std::time::{Duration, Instant};

use longshore_core_types::{Error, ErrorKind, Resource};

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
    pub(crate) async fn pause(&mut self, kind: &'static str, name: &str) -> Result<(), Error> {
        let left = self.deadline.saturating_sub(self.elapsed());
        if left.is_zero() {
            let message = format!("the {kind} is not done after {:?}", self.deadline);
            let resource = Resource::Named { kind, name: name.to_owned().into() };
            return Err(Error::new(ErrorKind::Timeout, message).with_resource(resource));
        }
        tokio::time::sleep(self.interval.min(left)).await;
        self.interval = (self.interval + self.interval / 2).min(LONGEST.max(self.interval));
        Ok(())
    }
}

/// The settings that every wait has.
macro_rules! pace_options {
    ($pace:ident) => {
        /// How long to wait at most; 300 s by default. Then the wait fails (`Timeout`) and the job goes on.
        #[doc(alias = "timeout")]
        pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
            self.$pace.deadline = deadline;
            self
        }

        /// How long to wait before asking again; 100 ms at first by default, half as long again each time, up to 5 s.
        pub fn interval(mut self, interval: std::time::Duration) -> Self {
            self.$pace.interval = interval;
            self
        }

        /// How long the job may be unknown before the wait fails (`NotFound`); 10 s by default.
        pub fn grace(mut self, grace: std::time::Duration) -> Self {
            self.$pace.grace = grace;
            self
        }
    };
}
pub(crate) use pace_options;
