//! How far the clock of a bucket's provider is from the one here.
#![cfg_attr(not(any(feature = "transfer", test)), expect(dead_code, reason = "copies of files alone ask"))]

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Request, Response, header};
use tower_layer::Layer;
use tower_service::Service;

/// What has to be added to a time of the provider to get the same moment by the clock here, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) least: i128,
    pub(crate) most: i128,
}

/// Learns the offset from the `Date` of every answer. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<Mutex<Option<Offset>>>);

const SECOND: i128 = 1_000_000_000;

/// Nanoseconds since 1970.
pub(crate) fn nanos(time: SystemTime) -> i128 {
    let count = |time: Duration| i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
    time.duration_since(UNIX_EPOCH).map_or_else(|before| -count(before.duration()), count)
}

impl Clock {
    /// What is known; `None` before the first answer that has a date.
    pub(crate) fn offset(&self) -> Option<Offset> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that was written at `date`, in whole seconds of the provider's clock, to a request of this time.
    fn note(&self, asked: SystemTime, answered: SystemTime, date: SystemTime) {
        let date = nanos(date);
        let new = Offset { least: nanos(asked) - date - SECOND, most: nanos(answered) - date };
        if new.least > new.most {
            // The clock here was set while the answer was on its way.
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let both = known
            .map(|old| Offset { least: old.least.max(new.least), most: old.most.min(new.most) })
            // Otherwise one of the clocks was set since.
            .filter(|both| both.least <= both.most);
        *known = Some(both.unwrap_or(new));
    }

    fn look(&self, asked: SystemTime, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(|text| httpdate::parse_http_date(text).ok()) {
            self.note(asked, SystemTime::now(), date);
        }
    }
}

/// Reads the dates of a client's answers.
impl<S> Layer<S> for Clock {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner, clock: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Timed<S> {
    inner: S,
    clock: Clock,
}

impl<S, A, B> Service<Request<A>> for Timed<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (clock, asked) = (self.clock.clone(), SystemTime::now());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            clock.look(asked, answer.headers());
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn millis(clock: &Clock) -> (i128, i128) {
        let offset = clock.offset().unwrap();
        (offset.least / 1_000_000, offset.most / 1_000_000)
    }

    #[test]
    fn answers_narrow_it_down() {
        let clock = Clock::default();
        assert_eq!(clock.offset(), None);
        // The provider is 100 s ahead: it says 110 when it is 10 here.
        clock.note(at(10_300), at(10_500), at(110_000));
        assert_eq!(millis(&clock), (-100_700, -99_500));
        clock.note(at(10_900), at(11_100), at(111_000));
        assert_eq!(millis(&clock), (-100_700, -99_900));
        clock.note(at(11_900), at(11_950), at(111_000));
        assert_eq!(millis(&clock), (-100_100, -99_900));
        // Its clock was set.
        clock.note(at(12_000), at(12_100), at(12_000));
        assert_eq!(millis(&clock), (-1000, 100));
    }

    #[test]
    fn dates_are_read_as_http_writes_them() {
        let clock = Clock::default();
        let mut headers = HeaderMap::new();
        clock.look(SystemTime::now(), &headers);
        headers.insert(header::DATE, "yesterday".parse().unwrap());
        clock.look(SystemTime::now(), &headers);
        assert_eq!(clock.offset(), None);
        headers.insert(header::DATE, "Thu, 01 Jan 1970 00:01:40 GMT".parse().unwrap());
        let now = SystemTime::now();
        clock.look(now, &headers);
        let offset = clock.offset().unwrap();
        assert_eq!(offset.least, nanos(now) - 101 * SECOND);
        assert!(offset.most >= offset.least + SECOND);
    }
}
