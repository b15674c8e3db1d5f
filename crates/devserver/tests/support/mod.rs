//! A blocking HTTP/1.1 client that shows what a proper one hides: broken connections, excess bytes, redirects.

#![allow(dead_code, reason = "every test program uses a part of this")]

pub(crate) mod kill;
pub(crate) mod s3;

use std::fmt::Write as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use longshore_devserver::{DevServer, Handle};

/// How long a client waits for a server that says nothing. Long enough for a busy machine, short enough for tests of
/// stalls.
const PATIENCE: Duration = Duration::from_millis(400);

/// A server with nothing in it.
pub(crate) fn server() -> Handle {
    DevServer::builder().start_blocking().expect("a server")
}

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Why the connection ended before the answer did.
    pub(crate) broken: Option<ErrorKind>,
    excess: usize,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Bytes that came behind the announced end.
    pub(crate) fn excess(&self) -> usize {
        self.excess
    }

    fn broken(kind: ErrorKind) -> Self {
        Self { broken: Some(kind), ..Self::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Waits for the address to accept connections.
    pub(crate) fn patient(address: SocketAddr) -> Self {
        for _ in 0..500 {
            if let Ok(stream) = TcpStream::connect(address) {
                return Self { address, stream: Some(prepare(stream)) };
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("nobody listens on {address}");
    }

    fn stream(&mut self) -> std::io::Result<&mut TcpStream> {
        if self.stream.is_none() {
            self.stream = Some(prepare(TcpStream::connect(self.address)?));
        }
        self.stream.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// One request on the kept connection.
    pub(crate) fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        let result = self.stream().and_then(|stream| {
            // The server may have answered and closed already: its answer is what counts.
            let _ = stream.write_all(&bytes);
            read_answer(stream, method == "HEAD")
        });
        let answer = result.unwrap_or_else(|e| Answer::broken(e.kind()));
        if answer.broken.is_some() || answer.excess > 0 || answer.header("connection") == Some("close") {
            self.stream = None;
        }
        answer
    }

    /// Sends bytes as they are on a new connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> std::io::Result<Answer> {
        let mut stream = prepare(TcpStream::connect(self.address)?);
        stream.write_all(bytes)?;
        read_answer(&mut stream, false)
    }

    /// Sends a head, waits for `100 Continue`, then sends the body.
    pub(crate) fn raw_continue(&self, head: &[u8], body: &[u8]) -> Answer {
        let mut stream = prepare(TcpStream::connect(self.address).expect("a connection"));
        stream.write_all(head).expect("a head that is taken");
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).expect("an interim answer");
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(body).expect("a body that is taken");
        read_answer(&mut stream, false).expect("an answer")
    }

    /// True if the server has closed the kept connection.
    pub(crate) fn is_closed(&mut self) -> bool {
        let stream = self.stream.as_mut().expect("a connection");
        matches!(stream.read(&mut [0; 1]), Ok(0))
    }
}

fn prepare(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn read_answer(stream: &mut TcpStream, head_only: bool) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut chunk)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).unwrap_or(0);
    let headers =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let mut answer = Answer { status, headers, body: bytes.split_off(end), ..Answer::default() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = read_chunks(stream, answer.body)?;
        return Ok(answer);
    }
    let length: usize = answer.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let length = if head_only { 0 } else { length };
    while answer.body.len() < length {
        match stream.read(&mut chunk) {
            Ok(0) => answer.broken = Some(ErrorKind::UnexpectedEof),
            Ok(n) => answer.body.extend_from_slice(&chunk[..n]),
            Err(e) => answer.broken = Some(e.kind()),
        }
        if answer.broken.is_some() {
            return Ok(answer);
        }
    }
    // What a faulty server sends behind the end arrives with it or right after.
    if length >= 100_000 && answer.body.len() == length {
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        if let Ok(n) = stream.read(&mut chunk) {
            answer.body.extend_from_slice(&chunk[..n]);
        }
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    answer.excess = answer.body.len() - length;
    answer.body.truncate(length);
    Ok(answer)
}

/// Reads a body in chunks, the beginning of which is `wire`.
fn read_chunks(stream: &mut TcpStream, mut wire: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let (mut body, mut at) = (Vec::new(), 0);
    let mut more = vec![0; 64 * 1024];
    loop {
        if let Some(line) = wire[at..].windows(2).position(|w| w == b"\r\n") {
            let digits = String::from_utf8_lossy(&wire[at..at + line]).into_owned();
            let size = usize::from_str_radix(&digits, 16).map_err(|_| ErrorKind::InvalidData)?;
            let start = at + line + 2;
            if wire.len() >= start + size + 2 {
                body.extend_from_slice(&wire[start..start + size]);
                at = start + size + 2;
                if size == 0 {
                    return Ok(body);
                }
                continue;
            }
        }
        match stream.read(&mut more)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => wire.extend_from_slice(&more[..n]),
        }
    }
}

/// Address and path of an absolute URL.
pub(crate) fn split_url(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (address, path) = rest.split_once('/').expect("a path");
    (address.parse().expect("an address"), format!("/{path}"))
}

/// A TAR of small files.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut block = vec![0_u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        block[148..156].fill(b' ');
        block[156] = b'0';
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        block.extend_from_slice(content.as_bytes());
        block.resize(block.len().next_multiple_of(512), 0);
        archive.extend(block);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// A request that follows one redirect.
pub(crate) fn follow(
    client: &mut Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let answer = client.call(method, path, headers, body);
    if answer.status != 301 && answer.status != 307 {
        return answer;
    }
    let (address, path) = split_url(answer.header("location").expect("a location"));
    Client::new(address).call(method, &path, headers, body)
}

/// Waits for the bodies to be removed: that of an object whose reader is just letting go stays a moment longer.
/// Returns how many files are left.
pub(crate) fn body_files_left(dir: &Path) -> usize {
    for _ in 0..200 {
        if body_files(dir) == 0 {
            return 0;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    body_files(dir)
}

/// Number of body files in a data directory.
pub(crate) fn body_files(dir: &Path) -> usize {
    let Ok(subs) = std::fs::read_dir(dir.join("bodies")) else { return 0 };
    subs.flatten().filter_map(|s| std::fs::read_dir(s.path()).ok()).map(Iterator::count).sum()
}
