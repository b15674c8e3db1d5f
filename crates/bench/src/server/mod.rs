//! A static HTTP/1.1 server that is never the bottleneck: plain sockets, `sendfile` for bodies, small objects
//! from memory, uploads discarded inside the kernel.
//!
//! It serves `ROOT/BUCKET/KEY` at `/BUCKET/KEY` (the form of S3) and at `/v1/objects/BUCKET/KEY` (the form
//! of AIStore), without any credentials, on loopback only. `GET /-/stats` tells what it did and what CPU time
//! that took. It can also be made slow on purpose, see [`shape`].

mod connection;
mod request;
mod s3;
mod shape;
mod site;
mod tls;
mod wire;

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::app::Failure;
use connection::Connection;
use shape::Shape;
use site::Site;
pub(crate) use tls::create_identity;
use wire::Wire;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Directory with one directory per bucket
    #[arg(long)]
    root: PathBuf,
    /// Port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Threads that serve
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Serve https with this certificate (PEM)
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A bucket with so many keys that can be listed and nothing else; any number of times
    #[arg(long, value_name = "BUCKET=COUNT", value_parser = keys)]
    keys: Vec<(String, u64)>,
    #[command(flatten)]
    shape: Shape,
}

/// What the server prints, as one line of JSON, once it accepts connections.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Ready {
    /// Such as `http://127.0.0.1:8080`.
    pub(crate) url: String,
    /// `HOST:PORT` that answers `GET /-/stats` without TLS.
    pub(crate) control: String,
}

/// What the server has done so far: the answer to `GET /-/stats`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Stats {
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Requests answered, other than for this.
    pub(crate) requests: u64,
    /// Requests answered with a status of 400 or above.
    pub(crate) refused: u64,
    /// Bytes of request bodies that arrived.
    pub(crate) received: u64,
    /// Bytes of object content handed to sockets, including those that nobody read any more.
    pub(crate) sent: u64,
    /// Requests that were made slow on purpose.
    pub(crate) slowed: u64,
    /// CPU time of the server in user mode, in seconds.
    pub(crate) user: f64,
    /// CPU time of the server in the kernel, in seconds.
    pub(crate) system: f64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut runtime = if args.threads > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(args.threads);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    runtime.enable_all().build()?.block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &Args) -> Result<(), Failure> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
        _ => None,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    let ready = Ready { url, control: control.local_addr()?.to_string() };
    println!("{}", serde_json::to_string(&ready)?);
    std::io::stdout().flush()?;

    let site = Arc::new(Site::new(args.root.clone(), args.shape.clone(), &args.keys));
    let mut connections = JoinSet::new();
    let mut ended = stdin_closed();
    loop {
        tokio::select! {
            _ = &mut ended => return Ok(()),
            // Finished connections are taken out, or the set would grow with every one.
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => {
                let (socket, _) = accepted?;
                socket.set_nodelay(true)?;
                site.count.connections.add(1);
                connections.spawn(converse(socket, tls.clone(), Arc::clone(&site)));
            }
            accepted = control.accept() => {
                let (socket, _) = accepted?;
                connections.spawn(converse(socket, None, Arc::clone(&site)));
            }
        }
    }
}

async fn converse(socket: tokio::net::TcpStream, tls: Option<TlsAcceptor>, site: Arc<Site>) {
    let wire = match tls {
        None => Wire::Plain(socket),
        Some(tls) => match tls.accept(socket).await {
            Ok(stream) => Wire::Tls(Box::new(stream)),
            // A client that does not trust the certificate reports that itself.
            Err(_) => return,
        },
    };
    // Clients close connections in the middle of a body, and may: every error of a socket ends it, no more.
    let _ = Connection::new(wire, site).run().await;
}

/// `BUCKET=COUNT`.
fn keys(text: &str) -> Result<(String, u64), String> {
    let (bucket, count) = text.split_once('=').ok_or("it is not of the form BUCKET=COUNT")?;
    let count = count.parse().map_err(|error| format!("the number of keys: {error}"))?;
    Ok((bucket.to_owned(), count))
}

/// Resolves when whoever started the server is gone or wants it to end.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 64];
        while matches!(stdin.read(&mut buffer), Ok(1..)) {}
        let _ = sender.send(());
    });
    receiver
}
