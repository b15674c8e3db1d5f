//! Listeners and connections.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::body::{Abort, ResBody};
use super::io::{ConnControl, FaultIo};
use crate::fault::{FaultKind, Plan};

/// How long connections get to finish their request at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Carries out the requests of one listener.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers a request; `Err` closes the connection without an answer.
    fn handle(
        self: Arc<Self>,
        conn: Conn,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResBody>, Abort>> + Send;
}

/// The connection that a request came on.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) peer: SocketAddr,
    pub(crate) control: Arc<ConnControl>,
}

/// Closes the listener and all connections, and opens the listener again after the pause.
#[derive(Debug)]
pub(crate) struct Restart(pub(crate) Duration);

/// Serves `listener` until `stop` turns true.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    mut restarts: mpsc::Receiver<Restart>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = listener;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, Arc::clone(&handler), stop.clone()));
                }
                // Out of descriptors, or a connection that died in the queue: neither ends the server.
                Err(error) => {
                    tracing::warn!(%error, %address, "accept failed");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            Some(Restart(pause)) = restarts.recv() => {
                drop(listener);
                connections.shutdown().await;
                tokio::time::sleep(pause).await;
                listener = reopen(address, &mut stop).await?;
            }
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
    Ok(())
}

/// Binds the address again; another process may hold its port for a moment.
async fn reopen(address: SocketAddr, stop: &mut watch::Receiver<bool>) -> io::Result<TcpListener> {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && !*stop.borrow_and_update() => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(e) => return Err(e),
        }
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: Arc<H>,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let control = Arc::new(ConnControl::default());
    let conn = Conn { peer, control: Arc::clone(&control) };
    let io = TokioIo::new(FaultIo::new(stream, control));
    let service = service_fn(move |request| {
        let (handler, conn) = (Arc::clone(&handler), conn.clone());
        async move { handler.handle(conn, request).await }
    });
    let serving = http1::Builder::new().title_case_headers(true).serve_connection(io, service);
    let mut serving = pin!(serving);
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Returns once the server is to stop, or its owner is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|s| *s).await;
}

/// Faults that act before, or instead of, carrying a request out. Returns the status that it is to be refused with, and
/// after how many seconds it may come again.
pub(crate) async fn misbehave(
    plan: &Plan,
    conn: &Conn,
    restarts: &mpsc::Sender<Restart>,
) -> Result<Option<(u16, Option<u64>)>, Abort> {
    match plan.kind() {
        Some(FaultKind::Close) => return Err(Abort),
        Some(FaultKind::StallHead) => {
            hang().await;
        }
        Some(FaultKind::Delay(pause)) => tokio::time::sleep(*pause).await,
        Some(FaultKind::ByteWrites) => conn.control.write_bytewise(),
        Some(FaultKind::Restart(pause)) => {
            let _ = restarts.send(Restart(*pause)).await;
            hang().await;
        }
        Some(FaultKind::Status { code, retry_after }) => return Ok(Some((*code, *retry_after))),
        _ => {}
    }
    Ok(None)
}

/// Never returns; for requests that must hang.
pub(crate) async fn hang() -> Infallible {
    std::future::pending().await
}
