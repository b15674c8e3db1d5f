//! Ctrl-C and SIGTERM.
//!
//! The first one asks: nothing new starts, what runs gets [`GRACE`] to end, the command says how to go on. The
//! second one ends the process at once.

use std::{fmt, io, time::Duration};

use tokio::{runtime::Builder, sync::watch};

/// How long running work may go on after the first signal.
pub(crate) const GRACE: Duration = Duration::from_secs(3);

/// What ended the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGINT, which is Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// 128 and the number of the signal, as shells report it.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        })
    }
}

/// Tells whether the command was asked to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<Option<Signal>>);

impl Interrupt {
    /// Starts to listen, for the rest of the process.
    ///
    /// On a thread and runtime of its own: the second signal must end the process even when every worker of
    /// the main runtime is stuck, in a write to a pipe that nobody reads, say.
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        let (sender, receiver) = watch::channel(None);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                let first = signals.next().await;
                sender.send_replace(Some(first));
                let second = signals.next().await;
                std::process::exit(second.exit_code().into());
            });
        })?;
        Ok(Self(receiver))
    }

    /// What was asked, if anything was.
    pub(crate) fn asked(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Waits until the command is asked to stop, which may be never.
    pub(crate) async fn wait(&self) -> Signal {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(signal)) => *signal,
            // The listener ended, so nobody will ever ask.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            else => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
