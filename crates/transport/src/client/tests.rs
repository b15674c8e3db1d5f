//! The client against sockets on loopback.

mod exchange;
mod expect;
mod faults;
#[cfg(all(feature = "http2", feature = "ring"))]
mod http2;
mod pool;
mod proxy;
#[cfg(all(feature = "rustls", feature = "ring"))]
mod tls;

use std::{future::Future, time::Duration};

use bytes::Bytes;
use http::Response;
use longshore_core_types::Payload;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tower::ServiceExt;

use super::{ClientBody, HttpClient as Client};
use crate::{HttpRequest, TransportConfig, TransportError, body};

/// A server whose connections are played by a function; the first has number 0.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start<F, P>(play: F) -> Self
    where
        F: Fn(usize, Peer) -> P + Send + 'static,
        P: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                connections.spawn(play(number, Peer(socket)));
            }
        });
        Self { url, tasks }
    }
}

/// The server's end of a connection.
pub(super) struct Peer<S = TcpStream>(pub(super) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads up to the end of a head; `None` if the client closes first.
    pub(super) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap().to_ascii_lowercase())
    }

    /// Reads as many bytes as the head announced.
    pub(super) async fn body(&mut self, head: &str) -> Vec<u8> {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body).await.unwrap();
        body
    }

    /// Whatever comes until the client closes.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        rest
    }

    pub(super) async fn say(&mut self, text: &str) {
        let _ = self.0.write_all(text.as_bytes()).await;
    }

    pub(super) async fn ok(&mut self, body: &str) {
        self.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    }

    /// Answers every request with the number of the connection.
    pub(super) async fn answer_all(mut self, number: usize) {
        while let Some(head) = self.head().await {
            self.body(&head).await;
            self.ok(&number.to_string()).await;
        }
    }
}

pub(super) fn client(config: &TransportConfig) -> Client {
    Client::new(config).unwrap()
}

pub(super) fn request(method: &str, url: &str, body: impl Into<Payload>) -> HttpRequest {
    http::Request::builder().method(method).uri(url).body(body.into()).unwrap()
}

pub(super) async fn send(
    client: &Client,
    request: HttpRequest,
) -> Result<Response<ClientBody>, TransportError> {
    client.clone().oneshot(request).await
}

pub(super) async fn text(answer: Response<ClientBody>) -> Result<Bytes, TransportError> {
    body::collect(answer.into_body(), 1 << 20).await
}

pub(super) async fn get(client: &Client, url: &str) -> Result<Bytes, TransportError> {
    text(send(client, request("GET", url, Payload::empty())).await?).await
}

pub(super) const SOON: Duration = Duration::from_millis(20);
