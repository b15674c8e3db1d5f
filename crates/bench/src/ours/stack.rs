//! One small object, again and again, through more or less of the stack: what each layer costs.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use longshore_core_types::{CallInfo, Idempotency, Payload};
use longshore_transport::{Transport, body};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Common;
use crate::app::Failure;
use crate::content::SMALL_SIZE;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// `http://HOST:PORT/BUCKET/KEY` of one object of the small set
    url: String,
    /// How much of the stack
    #[arg(long, value_enum)]
    layers: Layers,
    /// Requests in all
    #[arg(long)]
    requests: u64,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layers {
    /// hyper's connection alone, one for each request in flight
    Hyper,
    /// Our pool with the layers of every transport, without retry, credentials and redirects
    Bare,
    /// The whole default stack
    Full,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.common.runtime()?.block_on(measure(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> Result<(), Failure> {
    let left = Arc::new(AtomicU64::new(args.requests));
    let uri: Uri = args.url.parse()?;
    let builder = Transport::builder().config(args.common.config()?);
    let transport = match args.layers {
        Layers::Hyper => None,
        Layers::Bare => Some(builder.build_bare()?),
        Layers::Full => Some(builder.build()?),
    };
    let mut workers = JoinSet::new();
    for _ in 0..args.common.concurrency {
        match &transport {
            Some(transport) => {
                workers.spawn(through_transport(transport.clone(), uri.clone(), Arc::clone(&left)))
            }
            None => workers.spawn(through_hyper(uri.clone(), Arc::clone(&left))),
        };
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

async fn through_transport(transport: Transport, uri: Uri, left: Arc<AtomicU64>) -> Result<(), Failure> {
    while take(&left) {
        let mut request = Request::get(uri.clone()).body(Payload::empty())?;
        request.extensions_mut().insert(CallInfo::new("bench.object.get", Idempotency::Idempotent));
        let answer = transport.send(request).await?;
        let status = answer.status();
        check(status, &body::collect(answer.into_body(), 1 << 20).await?)?;
    }
    Ok(())
}

async fn through_hyper(uri: Uri, left: Arc<AtomicU64>) -> Result<(), Failure> {
    let host = uri.authority().ok_or("the URL names no host")?.as_str();
    let socket = TcpStream::connect(host).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let host = HeaderValue::from_str(host)?;
    let target: Uri = uri.path_and_query().map_or("/", |target| target.as_str()).parse()?;
    while take(&left) {
        sender.ready().await?;
        let request = Request::get(target.clone())
            .header(HOST, host.clone())
            .header(USER_AGENT, HeaderValue::from_static("longshore-bench"))
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        check(status, &answer.into_body().collect().await?.to_bytes())?;
    }
    drop(sender);
    closed(driver).await
}

/// Waits for the connection's own task, which ends once there is no sender any more.
async fn closed(mut driver: JoinSet<hyper::Result<()>>) -> Result<(), Failure> {
    while let Some(ended) = driver.join_next().await {
        ended??;
    }
    Ok(())
}

fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

fn check(status: StatusCode, body: &Bytes) -> Result<(), Failure> {
    if status == StatusCode::OK && body.len() as u64 == SMALL_SIZE {
        return Ok(());
    }
    Err(format!("{status} with {} bytes", body.len()).into())
}
