//! Requests with a Signature Version 4, one connection each.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Answer, read_answer};

/// A client that signs with one key.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    access_key: String,
    secret: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Now, as `20260101T000000Z`.
fn timestamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

impl Client {
    pub(crate) fn new(address: SocketAddr, access_key: &str, secret: &str) -> Self {
        Self { address, access_key: access_key.to_owned(), secret: secret.to_owned() }
    }

    pub(crate) fn get(&self, path: &str, query: &str) -> Answer {
        self.send("GET", path, query, &[], b"")
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send("PUT", path, "", &[], body)
    }

    /// `path` is escaped as it is to be signed; the pairs of `query` are in order and have an equals sign each.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.transmit(&self.sign(method, path, query, headers, body), method, body)
    }

    /// PUT signed for other bytes than are sent.
    pub(crate) fn send_bent(&self, path: &str, signed: &[u8], sent: &[u8]) -> Answer {
        self.transmit(&self.sign("PUT", path, "", &[], signed), "PUT", sent)
    }

    pub(crate) fn unsigned(&self, method: &str, target: &str) -> Answer {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        self.transmit(&head, method, b"")
    }

    fn sign(&self, method: &str, path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let (time, digest) = (timestamp(), hex(&Sha256::digest(body)));
        let date = &time[..8];
        let host = self.address.to_string();
        let mut all = vec![("host", host.as_str()), ("x-amz-content-sha256", &digest), ("x-amz-date", &time)];
        all.extend_from_slice(headers);
        all.sort_unstable();
        let mut canonical = format!("{method}\n{path}\n{query}\n");
        for (name, value) in &all {
            let _ = writeln!(canonical, "{name}:{value}");
        }
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let _ = write!(canonical, "\n{names}\n{digest}");
        let scope = format!("{date}/us-east-1/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let mut key = mac(format!("AWS4{}", self.secret).as_bytes(), date);
        for part in ["us-east-1", "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in &all {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(
            head,
            "authorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}\r\n",
            self.access_key,
            hex(&mac(&key, &text))
        );
        head
    }

    fn transmit(&self, head: &str, method: &str, body: &[u8]) -> Answer {
        let exchange = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let mut bytes = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend_from_slice(body);
            stream.write_all(&bytes)?;
            read_answer(&mut stream, method == "HEAD")
        };
        exchange().unwrap_or_else(|e: std::io::Error| Answer::broken(e.kind()))
    }
}
