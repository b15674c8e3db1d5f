//! What one connection with plain blocking sockets costs: the floor under every client.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::{Failure, at};

/// Bytes moved by one call, and the size of the one buffer.
const BLOCK: usize = 1 << 20;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum Args {
    /// read(2) from the socket, pwrite(2) to the file, 1 MiB at most at a time, as it comes
    Download {
        /// `http://HOST:PORT/PATH`
        url: String,
        /// File to write; without it the bytes are dropped
        file: Option<PathBuf>,
    },
    /// pread(2) from the file, write(2) to the socket, 1 MiB at a time
    Upload {
        /// File to read
        file: PathBuf,
        /// `http://HOST:PORT/PATH`
        url: String,
    },
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match args {
        Args::Download { url, file } => {
            let file = file.as_ref().map(|path| File::create(path).map_err(at(path))).transpose()?;
            download(url, file.as_ref())?;
        }
        Args::Upload { file, url } => upload(&File::open(file).map_err(at(file))?, url)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn download(url: &str, file: Option<&File>) -> Result<(), Failure> {
    let mut socket = request(url, "GET", 0)?;
    let mut block = vec![0; BLOCK];
    let (length, start, mut filled) = head(&mut socket, &mut block)?;
    // The first bytes of the body came with the head.
    block.copy_within(start..filled, 0);
    filled -= start;
    let mut offset = 0;
    loop {
        if let Some(file) = file {
            file.write_all_at(&block[..filled], offset)?;
        }
        offset += filled as u64;
        if offset >= length {
            break;
        }
        filled = socket.read(&mut block)?;
        if filled == 0 {
            break;
        }
    }
    expect(length, offset)
}

fn upload(file: &File, url: &str) -> Result<(), Failure> {
    let length = file.metadata()?.len();
    let mut socket = request(url, "PUT", length)?;
    let mut block = vec![0; BLOCK];
    let mut offset = 0;
    while offset < length {
        let n = file.read_at(&mut block, offset)?;
        if n == 0 {
            break;
        }
        socket.write_all(&block[..n])?;
        offset += n as u64;
    }
    expect(length, offset)?;
    head(&mut socket, &mut block)?;
    Ok(())
}

fn expect(length: u64, moved: u64) -> Result<(), Failure> {
    if moved == length {
        return Ok(());
    }
    Err(format!("{moved} bytes moved instead of {length}").into())
}

fn request(url: &str, method: &str, length: u64) -> Result<TcpStream, Failure> {
    let rest = url.strip_prefix("http://").ok_or("the floor speaks plain http only")?;
    let (host, path) = rest.split_once('/').ok_or("the URL has no path")?;
    let mut socket = TcpStream::connect(host)?;
    socket.set_nodelay(true)?;
    write!(socket, "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")?;
    Ok(socket)
}

/// Reads the head of an answer into `block`. Returns the stated length of the body, where in the block it
/// starts, and how much of the block is filled. Anything but success is an error.
fn head(socket: &mut TcpStream, block: &mut [u8]) -> Result<(u64, usize, usize), Failure> {
    let mut filled = 0;
    loop {
        match socket.read(&mut block[filled..])? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            n => filled += n,
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut answer = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(start) = answer.parse(&block[..filled])? else { continue };
        if answer.code != Some(200) {
            return Err(format!("the server answered {}", answer.code.unwrap_or_default()).into());
        }
        let length = answer.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|h| std::str::from_utf8(h.value).ok()?.parse().ok());
        return Ok((length.ok_or("the server states no length")?, start, filled));
    }
}
