//! Backends, and how their cases become trials.

pub(crate) mod aistore;
pub(crate) mod apolo;
pub(crate) mod azure;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod memory;
pub(crate) mod redirects;
pub(crate) mod s3;
pub(crate) mod shelf;
pub(crate) mod supabase;
pub(crate) mod transfers;

use std::{
    future::Future,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use libtest_mimic::{Completion, Failed, Trial};
use longshore_blob_api::{
    AnyStore,
    conformance::{self, Case},
};
use tokio::runtime::{Builder, Runtime};

/// A case that takes longer hangs. The slowest take a second on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a case may fail with.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What all cases share.
pub(crate) struct Context {
    runtime: Runtime,
}

impl Context {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { runtime: Builder::new_multi_thread().worker_threads(2).enable_all().build()? })
    }

    /// Runs a future to its end, which must come.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, Fault> {
        let limited = async { tokio::time::timeout(PATIENCE, future).await };
        self.runtime.block_on(limited).map_err(|_| format!("no end after {PATIENCE:?}").into())
    }
}

/// A store on which the suite runs.
pub(crate) struct Backend {
    /// First part of the names of its trials.
    pub(crate) name: &'static str,
    /// Makes the store, when its first case runs.
    pub(crate) open: fn(&Context) -> Result<Opened, Fault>,
    /// Cases that it does not pass yet, and why.
    pub(crate) except: &'static [(&'static str, &'static str)],
}

/// A store that is open.
pub(crate) struct Opened {
    pub(crate) store: AnyStore,
    /// What to print when a case fails on names that start with this.
    pub(crate) trace: Box<dyn Fn(&str) -> String + Send + Sync>,
}

impl Opened {
    /// A store that has nothing more to say about failures.
    pub(crate) fn new(store: AnyStore) -> Self {
        Self { store, trace: Box::new(|_| String::new()) }
    }
}

type Shared = Arc<OnceLock<Result<Opened, String>>>;

impl Backend {
    /// One trial for each case of the suite.
    pub(crate) fn trials(self, context: &Arc<Context>) -> Vec<Trial> {
        let (backend, shared) = (Arc::new(self), Shared::default());
        let trial = |case: &'static Case| {
            let (backend, shared, context) = (Arc::clone(&backend), Arc::clone(&shared), Arc::clone(context));
            let name = format!("{}::{}", backend.name, case.name());
            Trial::ignorable_test(name, move || backend.run(case, &shared, &context))
        };
        conformance::cases().iter().map(trial).collect()
    }

    fn run(&self, case: &Case, shared: &Shared, context: &Context) -> Result<Completion, Failed> {
        let open = || (self.open)(context).map_err(|error| error.to_string());
        let opened = shared.get_or_init(open).as_ref().map_err(Failed::from)?;
        if let Err(reason) = case.needs(&opened.store) {
            return Ok(Completion::ignored_with(format!("unsupported: {reason}")));
        }
        let root = "suite/";
        let result = match context.run(case.run(&opened.store, root)) {
            Ok(result) => result.map_err(|failure| failure.to_string()),
            Err(hang) => Err(hang.to_string()),
        };
        let prefix = format!("{root}{}", case.name().replace("::", "-"));
        known(self.except, case.name(), result.map_err(|text| format!("{text}\n{}", (opened.trace)(&prefix))))
    }
}

/// How a trial ends: a failure that is known is skipped with its reason, and shows up as passed once it is mended.
pub(crate) fn known(
    except: &[(&str, &str)],
    name: &str,
    result: Result<(), String>,
) -> Result<Completion, Failed> {
    let known = except.iter().find(|(known, _)| *known == name);
    match (result, known) {
        (Ok(()), _) => Ok(Completion::Completed),
        (Err(_), Some((_, reason))) => Ok(Completion::ignored_with(format!("known: {reason}"))),
        (Err(failure), None) => Err(failure.into()),
    }
}
