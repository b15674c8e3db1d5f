//! The two kinds of connections, and the cheapest way to move bytes over each.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Most bytes handed to one system call, so that one connection cannot keep the others waiting.
const STEP: usize = 2 << 20;
/// Under TLS: bytes read from the file, or received, at once.
const TLS_STEP: usize = 256 << 10;

#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    /// Sends up to `length` bytes of `file` from `offset` and returns how many.
    pub(super) async fn send_file(&mut self, file: &File, offset: u64, length: u64) -> io::Result<u64> {
        match self {
            Self::Plain(socket) => {
                let mut position = offset;
                let length = step(length, STEP);
                let write = || Ok(rustix::fs::sendfile(&*socket, file, Some(&mut position), length)?);
                let sent = socket.async_io(Interest::WRITABLE, write).await?;
                if sent == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(sent as u64)
            }
            Self::Tls(stream) => {
                let mut block = vec![0; step(length, TLS_STEP)];
                file.read_exact_at(&mut block, offset)?;
                stream.write_all(&block).await?;
                stream.flush().await?;
                Ok(block.len() as u64)
            }
        }
    }

    /// Receives up to `length` bytes, throws them away, and returns how many there were. `scratch` is only
    /// written to under TLS: a plain socket's bytes are dropped inside the kernel.
    pub(super) async fn discard(&mut self, length: u64, scratch: &mut Vec<u8>) -> io::Result<u64> {
        let received = match self {
            Self::Plain(socket) => {
                scratch.resize(STEP, 0);
                let buffer = &mut scratch[..step(length, STEP)];
                let receive = || Ok(rustix::net::recv(&*socket, &mut *buffer, RecvFlags::TRUNC)?.1);
                socket.async_io(Interest::READABLE, receive).await?
            }
            Self::Tls(stream) => {
                scratch.resize(TLS_STEP, 0);
                stream.read(&mut scratch[..step(length, TLS_STEP)]).await?
            }
        };
        if received == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(received as u64)
    }
}

fn step(length: u64, most: usize) -> usize {
    usize::try_from(length).map_or(most, |length| length.min(most))
}
