//! A server that says what it was told to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
};

/// Answers each request with the next of these, whatever it asks; the heads of the requests.
pub(crate) fn answering(answers: Vec<(u16, &'static str)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let serve = move |(status, body): (u16, &str)| {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut reader = BufReader::new(stream.try_clone().expect("the connection"));
        let mut head = String::new();
        let mut length = 0;
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            assert!(reader.read_line(&mut head).expect("a line") > 0, "{head}");
            if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
        }
        let mut sent = vec![0; length];
        reader.read_exact(&mut sent).expect("the body");
        let (kind, length) = (if body.starts_with('{') { "json" } else { "xml" }, body.len());
        let begin = format!(
            "HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-type: application/{kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream
            .write_all(begin.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .expect("it listens");
        head
    };
    (url, std::thread::spawn(move || answers.into_iter().map(serve).collect()))
}
