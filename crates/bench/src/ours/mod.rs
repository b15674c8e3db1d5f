//! Small programs over the crates of this workspace, which the runner measures like any other client.

pub(crate) mod apolo;
pub(crate) mod cluster;
pub(crate) mod get;
pub(crate) mod keys;
pub(crate) mod put;
pub(crate) mod small;
pub(crate) mod stack;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use longshore_transfer::{Transfer, TransferBuilder};
use longshore_transport::{PoolConfig, TlsConfig, Transport, TransportConfig};
use tokio::runtime::{Builder, Runtime};

use crate::app::{Failure, at};

/// What all of them take.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Common {
    /// Requests in flight
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// Threads of the runtime; one runs everything on the calling thread
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// The engine, or the least that does the same without its safety
    #[arg(long, value_enum, default_value_t = Through::Engine)]
    through: Through,
    /// Milliseconds after which the engine takes a read or write of a file for slow [default: the engine's own]
    #[arg(long)]
    slow_io_ms: Option<u64>,
    /// Certificate (PEM) to trust besides the system's
    #[arg(long)]
    ca: Option<PathBuf>,
}

/// What moves the bytes.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Through {
    /// `longshore-transfer`
    Engine,
    /// A loop over the store and its transport
    Loop,
}

impl Common {
    /// The engine with its defaults, but for what was asked for.
    fn engine(&self) -> TransferBuilder {
        let builder = Transfer::builder().concurrency(self.concurrency);
        match self.slow_io_ms {
            Some(limit) => builder.slow_io(Duration::from_millis(limit)),
            None => builder,
        }
    }

    fn runtime(&self) -> Result<Runtime, Failure> {
        let mut builder = if self.workers > 1 {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(self.workers);
            builder
        } else {
            Builder::new_current_thread()
        };
        Ok(builder.enable_all().build()?)
    }

    fn config(&self) -> Result<TransportConfig, Failure> {
        let pool = PoolConfig::default();
        let most = pool.max_per_host.max(self.concurrency);
        let mut config = TransportConfig::default().pool(pool.max_per_host(most));
        if let Some(path) = &self.ca {
            config = config.tls(TlsConfig::default().only_root(std::fs::read(path).map_err(at(path))?));
        }
        Ok(config)
    }

    /// The whole default stack.
    fn transport(&self) -> Result<Transport, Failure> {
        Ok(Transport::builder().config(self.config()?).build()?)
    }
}

/// `http://HOST/BUCKET` and the key of `http://HOST/BUCKET/KEY`.
fn split(url: &str) -> Result<(&str, &str), Failure> {
    let host = url.find("://").map(|at| at + 3).ok_or("the URL has no scheme")?;
    let bucket = url[host..].find('/').map(|at| host + at + 1).ok_or("the URL names no bucket")?;
    let key = url[bucket..].find('/').map(|at| bucket + at).ok_or("the URL names no object")?;
    Ok((&url[..key], &url[key + 1..]))
}

/// Says how much of its memory budget the engine had in use at most, for the runner.
fn report(engine: &Transfer) {
    println!("{{\"budget_in_use\": {}}}", engine.usage().memory_peak);
}

#[cfg(test)]
mod tests {
    #[test]
    fn urls_are_split_into_bucket_and_key() {
        assert_eq!(super::split("http://h:1/b/k/l").unwrap(), ("http://h:1/b", "k/l"));
        assert!(super::split("http://h:1/b").is_err());
        assert!(super::split("h/b/k").is_err());
    }
}
