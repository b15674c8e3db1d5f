//! How a case says what it found.

use std::{fmt, panic::Location};

use bytes::Bytes;
use longshore_core_types::{Error, ErrorKind, ObjectKey, Result};

use crate::{AnyStore, BlobStoreExt};

/// What a case found instead of what it expected.
pub struct Failure {
    case: &'static str,
    message: String,
    at: &'static Location<'static>,
    source: Option<Error>,
}

/// How a case ends.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    #[track_caller]
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { case: "", message: message.into(), at: Location::caller(), source: None }
    }

    pub(super) fn of(mut self, case: &'static str) -> Self {
        self.case = case;
        self
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self { source: Some(error), ..Self::new("a call failed that should succeed") }
    }
}

impl From<std::io::Error> for Failure {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("a call failed that should succeed: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}: {}", self.case, self.at.file(), self.at.line(), self.message)?;
        match &self.source {
            Some(error) => write!(f, ": {} [{:?}]", error.chain(), error.kind()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Ends the case unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Failure::new(format!($($message)+)));
        }
    };
}

/// Ends the case unless the two are equal.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($message:tt)+) => {{
        let (found, expected) = (&$found, &$expected);
        if found != expected {
            let message = format!($($message)+);
            return Err($crate::conformance::Failure::new(format!(
                "{message}: found {found:?}, expected {expected:?}"
            )));
        }
    }};
}

/// Declares the cases of a group: those that need all the abilities named behind the group, and behind the case.
macro_rules! cases {
    ($group:literal [$($common:ident),*]: $($case:ident $([$($need:ident),+])?;)+) => {
        fn group_needs(store: &$crate::AnyStore) -> Result<(), &'static str> {
            $($crate::conformance::need::$common(store)?;)*
            let _ = store;
            Ok(())
        }

        pub(super) const CASES: &[$crate::conformance::Case] = &[$(
            $crate::conformance::Case {
                name: concat!($group, "::", stringify!($case)),
                needs: |store| {
                    group_needs(store)?;
                    $($($crate::conformance::need::$need(store)?;)+)?
                    Ok(())
                },
                body: |store, space| Box::pin($case(store, space)),
            }
        ),+];
    };
}

/// The error of a call that must fail with one of these kinds.
#[track_caller]
pub(super) fn refused<T: fmt::Debug>(result: Result<T>, kinds: &[ErrorKind], what: &str) -> Outcome<Error> {
    match result {
        Ok(value) => {
            Err(Failure::new(format!("{what} succeeded with {value:?}, expected an error of kind {kinds:?}")))
        }
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => {
            let message = format!("{what} failed with {:?}, expected {kinds:?}", error.kind());
            Err(Failure { source: Some(error), ..Failure::new(message) })
        }
    }
}

/// What is refused before it is sent is `InvalidInput`, and nothing was answered.
#[track_caller]
pub(super) fn refused_unsent<T: fmt::Debug>(result: Result<T>, what: &str) -> Outcome {
    let error = refused(result, &[ErrorKind::InvalidInput], what)?;
    if error.attempts() == 0 && error.status().is_none() {
        return Ok(());
    }
    Err(Failure { source: Some(error), ..Failure::new(format!("{what} was refused only after it was sent")) })
}

/// Compares bytes without printing them all.
#[track_caller]
pub(super) fn same(found: &[u8], expected: &[u8], what: &str) -> Outcome {
    if found == expected {
        return Ok(());
    }
    let differs = found.iter().zip(expected).position(|(a, b)| a != b);
    Err(Failure::new(format!(
        "{what} is not what was stored: {} bytes instead of {}, first difference at {}",
        found.len(),
        expected.len(),
        differs.unwrap_or(found.len().min(expected.len()))
    )))
}

/// The object holds exactly these bytes.
pub(super) async fn holds(store: &AnyStore, key: &ObjectKey, expected: &[u8]) -> Outcome {
    let found = store.read(key).await?;
    same(&found, expected, key.as_str())
}

/// The object is not there.
pub(super) async fn absent(store: &AnyStore, key: &ObjectKey) -> Outcome {
    ensure!(!store.exists(key).await?, "{key:?} exists, and should not");
    Ok(())
}

/// Bytes that differ from place to place and from seed to seed.
pub(super) fn content(length: usize, seed: u8) -> Bytes {
    let mut state = u32::from(seed) + 1;
    let next = || {
        // A linear congruential generator: cheap, and the same on every machine.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
