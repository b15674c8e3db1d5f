//! A blocking HTTP/1.1 client that sends what was recorded, however odd, and reports broken connections.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, header names in lower case, repeated headers joined with `, `.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Sends a request on a connection of its own; `None` if the server closes it without an answer.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n").into_bytes();
    for (name, value) in headers {
        match name.as_str() {
            // The body that is really sent decides, unless it was withheld on purpose.
            "host" | "connection" => {}
            "content-length" if !body.is_empty() => {}
            // Several lines of the recording were joined.
            "ais-custom-md" => {
                for pair in value.split(", ") {
                    header(&mut request, name, pair);
                }
            }
            _ => header(&mut request, name, value),
        }
    }
    if !body.is_empty() {
        header(&mut request, "content-length", &body.len().to_string());
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    // A gateway may answer and close while the body is on its way.
    let _ = stream.write_all(&request);
    read(&mut stream, method == "HEAD")
}

/// As [`send`], with the recorded host, and in chunks what was recorded so. Of a request whose body was withheld, the
/// head is all that is sent.
pub(crate) fn send_recorded(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: &[u8],
    withheld: bool,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).expect("a server");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    let chunked = headers.contains_key("transfer-encoding");
    let mut request = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        match name.as_str() {
            "connection" => {}
            "content-length" if !withheld => {}
            _ => header(&mut request, name, value),
        }
    }
    if !withheld && !chunked && (!body.is_empty() || headers.contains_key("content-length")) {
        header(&mut request, "content-length", &body.len().to_string());
    }
    request.extend_from_slice(b"\r\n");
    if chunked {
        request.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        request.extend_from_slice(b"\r\n0\r\n\r\n");
    } else {
        request.extend_from_slice(body);
    }
    let _ = stream.write_all(&request);
    read(&mut stream, method == "HEAD")
}

fn header(request: &mut Vec<u8>, name: &str, value: &str) {
    request.extend_from_slice(name.as_bytes());
    request.extend_from_slice(b": ");
    // Recordings hold header bytes as Latin-1 characters.
    request.extend(value.chars().map(|c| u8::try_from(c as u32).unwrap_or(b'?')));
    request.extend_from_slice(b"\r\n");
}

fn read(stream: &mut TcpStream, head_only: bool) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut answer = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let answer = parse_head(&bytes);
            bytes = rest;
            if answer.status != 100 {
                break answer;
            }
        } else if !more(stream, &mut bytes) {
            return None;
        }
    };
    if head_only {
        return Some(answer);
    }
    if answer.headers.get("transfer-encoding").is_some_and(|t| t == "chunked") {
        while !bytes.ends_with(b"0\r\n\r\n") && more(stream, &mut bytes) {}
        answer.body = unchunk(&bytes);
    } else {
        let length = answer.headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        while bytes.len() < length && more(stream, &mut bytes) {}
        answer.body = bytes;
    }
    Some(answer)
}

fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    let mut chunk = vec![0; 64 * 1024];
    match stream.read(&mut chunk) {
        Ok(0) | Err(_) => false,
        Ok(n) => {
            bytes.extend_from_slice(&chunk[..n]);
            true
        }
    }
}

fn parse_head(head: &[u8]) -> Answer {
    // Latin-1, as recorded.
    let text: String = head.iter().map(|&b| char::from(b)).collect();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).unwrap_or(0);
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in lines.filter_map(|l| l.split_once(": ")) {
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|old| {
                old.push_str(", ");
                old.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    Answer { status, headers, body: Vec::new() }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap_or("0"), 16).unwrap_or(0);
        let data = end + 2;
        if size == 0 || data + size > bytes.len() {
            break;
        }
        body.extend_from_slice(&bytes[data..data + size]);
        bytes = bytes.get(data + size + 2..).unwrap_or_default();
    }
    body
}
