//! What stood in for a cluster when AuthN's handshake was recorded: a listener with a script.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

/// Answers to handshakes, in order; all later ones are agreed to.
const SCRIPT: [&str; 5] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 40\r\n\r\n{\"message\":\"invalid token\",\"status\":401}\n",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nnot here",
    "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
];

/// Starts the listener; its thread ends with the process.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut script = SCRIPT.iter();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = vec![0; 64 << 10];
            let n = stream.read(&mut request).expect("a request");
            let answer = if request[..n].starts_with(b"POST") { script.next() } else { None };
            let _ = stream.write_all(answer.unwrap_or(&SCRIPT[0]).as_bytes());
        }
    });
    address
}
