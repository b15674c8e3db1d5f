//! The Supabase Storage service: what recorded exchanges do not show.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test program")]

mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use longshore_devserver::{DevServer, Handle, NodeKind, RowSecurity, SupabaseSettings};
use support::Client;
use support::kill::{Victim, serve_if_child};

fn start() -> Handle {
    DevServer::builder().supabase("127.0.0.1:0").start_blocking().expect("a server")
}

/// A client, and the header that lets it do everything.
fn client(server: &Handle) -> (Client, String) {
    let address = server.supabase_addr().expect("a service");
    (Client::new(address), format!("Bearer {}", server.supabase_settings().service_key()))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

#[test]
fn objects_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || DevServer::builder().data_dir(dir.path()).supabase("127.0.0.1:0").start_blocking();
    let server = open().expect("a server");
    let (mut http, token) = client(&server);
    let auth = ("authorization", token.as_str());
    let json = ("content-type", "application/json");
    let made = http.call("POST", "/storage/v1/bucket", &[auth, json], br#"{"name":"b"}"#);
    assert_eq!((made.status, text(&made.body).as_str()), (200, r#"{"name":"b"}"#));
    let put = http.call("POST", "/object/b/k", &[auth, ("content-type", "text/x")], b"hello");
    assert_eq!(put.status, 200, "{}", text(&put.body));
    drop(server);
    let server = open().expect("a server");
    let (mut http, _) = client(&server);
    let got = http.call("GET", "/object/b/k", &[auth], b"");
    assert_eq!((got.status, text(&got.body).as_str()), (200, "hello"));
    assert_eq!(got.header("content-type"), Some("text/x"));
}

#[test]
fn opaque_keys_are_good_behind_the_gateway_only() {
    let server = start();
    let (mut http, _) = client(&server);
    let secret = ("apikey", server.supabase_settings().secret_key());
    assert_eq!(http.call("GET", "/storage/v1/bucket", &[secret], b"").status, 200);
    let bare = http.call("GET", "/bucket", &[secret], b"");
    assert!(text(&bare.body).contains("authorization"), "{}", text(&bare.body));
    let bearer = format!("Bearer {}", secret.1);
    let bare = http.call("GET", "/bucket", &[("authorization", &bearer)], b"");
    assert!(text(&bare.body).contains("Invalid Compact JWS"), "{}", text(&bare.body));
    assert_eq!(http.call("GET", "/storage/v1/bucket", &[("apikey", "sb_secret_no")], b"").status, 401);
}

#[test]
fn users_may_write_if_the_rules_say_so() {
    let settings = SupabaseSettings::default().row_security(RowSecurity::Users);
    let server = DevServer::builder().supabase("127.0.0.1:0").supabase_settings(settings);
    let server = server.start_blocking().expect("a server");
    let (mut http, service) = client(&server);
    let json = ("content-type", "application/json");
    http.call("POST", "/bucket", &[("authorization", &service), json], br#"{"name":"b"}"#);
    let token = server.supabase_settings().user_token("me", std::time::Duration::from_mins(1));
    let user = format!("Bearer {token}");
    assert_eq!(http.call("POST", "/object/b/k", &[("authorization", &user)], b"x").status, 200);
    let anon = format!("Bearer {}", server.supabase_settings().anon_key());
    let refused = http.call("POST", "/object/b/l", &[("authorization", &anon)], b"x");
    assert!(text(&refused.body).contains("row-level security"), "{}", text(&refused.body));
    let removed =
        http.call("DELETE", "/object/b", &[("authorization", &user), json], br#"{"prefixes":["k"]}"#);
    assert!(text(&removed.body).contains(r#""owner_id":"me""#), "{}", text(&removed.body));
}

#[test]
fn limits_hold_for_chunked_bodies_too() {
    let server = start();
    let (mut http, token) = client(&server);
    let auth = ("authorization", token.as_str());
    let json = ("content-type", "application/json");
    http.call("POST", "/bucket", &[auth, json], br#"{"name":"b","file_size_limit":4}"#);
    let request = format!(
        "POST /object/b/k HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\nabcdef\r\n0\r\n\r\n"
    );
    let answer = http.raw(request.as_bytes()).expect("an answer");
    assert!(text(&answer.body).contains("EntityTooLarge"), "{}", text(&answer.body));
    assert_eq!(http.call("HEAD", "/object/b/k", &[auth], b"").status, 400);
}

#[test]
fn the_journal_holds_no_secret() {
    let server = start();
    let (mut http, token) = client(&server);
    let secret = server.supabase_settings().service_key();
    http.call("GET", &format!("/object/sign/b/k?token={secret}"), &[("authorization", &token)], b"");
    http.call("GET", &format!("/storage/v1/bucket?apikey={secret}"), &[("apikey", &secret)], b"");
    let entries = server.journal().filter(|e| e.node == NodeKind::Supabase);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].path, "/object/sign/b/k?token=***");
    assert!(!format!("{entries:?}").contains(&secret));
}

#[test]
fn faults_reach_the_service() {
    let server = start();
    let (mut http, token) = client(&server);
    let auth = ("authorization", token.as_str());
    let json = ("content-type", "application/json");
    http.call("POST", "/bucket", &[auth, json], br#"{"name":"b"}"#);
    http.call("POST", "/object/b/k", &[auth], &[b'x'; 1000]);
    let faults = server.faults();
    let fault = faults.add_str("get:node=supabase:key=k:status=503/7:count=1").expect("a fault");
    let answer = http.call("GET", "/object/b/k", &[auth], b"");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
    assert_eq!(faults.applied(fault), 1);
    faults.add_str("get:reset-at=100:count=1").expect("a fault");
    assert!(http.call("GET", "/object/b/k", &[auth], b"").broken.is_some());
    faults.add_str("get:replace:count=1").expect("a fault");
    let other = http.call("GET", "/object/b/k", &[auth], b"");
    assert!(other.body.len() == 1000 && other.body[0] != b'x');
}

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const STREAM: (&str, &str) = ("content-type", "application/offset+octet-stream");
/// `bucketName b,objectName k`.
const NAMES: (&str, &str) = ("upload-metadata", "bucketName Yg==,objectName aw==");

/// Makes the bucket `b` and an upload of that many bytes to `k`; returns the upload's path.
fn make_upload(http: &mut Client, token: &str, length: usize) -> String {
    let auth = ("authorization", token);
    http.call("POST", "/bucket", &[auth, ("content-type", "application/json")], br#"{"name":"b"}"#);
    let length = length.to_string();
    let made = http.call("POST", "/upload/resumable", &[auth, TUS, NAMES, ("upload-length", &length)], b"");
    let location = made.header("location").expect("a location");
    location[location.find("/upload").expect("a path")..].to_owned()
}

fn offset(http: &mut Client, token: &str, path: &str) -> usize {
    let answer = http.call("HEAD", path, &[("authorization", token), TUS], b"");
    assert_eq!(answer.status, 200);
    answer.header("upload-offset").and_then(|o| o.parse().ok()).expect("an offset")
}

fn append(http: &mut Client, token: &str, path: &str, at: usize, bytes: &[u8]) -> support::Answer {
    let at = at.to_string();
    http.call("PATCH", path, &[("authorization", token), TUS, STREAM, ("upload-offset", &at)], bytes)
}

/// Sends the head of a PATCH that announces all the rest, and `bytes`, which are only a part of it.
fn begin_patch(address: SocketAddr, token: &str, path: &str, announced: usize, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nTus-Resumable: 1.0.0\r\n\
         Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a head that is taken");
    let _ = stream.write_all(bytes);
    stream
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(8);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

#[test]
fn the_child_of_the_upload_that_is_killed() {
    serve_if_child();
}

#[test]
fn an_upload_goes_on_after_its_server_was_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let token = format!("Bearer {}", SupabaseSettings::default().service_key());
    let bytes = noise(5 << 20);
    let start = || Victim::start(dir.path(), "the_child_of_the_upload_that_is_killed");
    let mut victim = start();
    let path = make_upload(&mut Client::new(victim.supabase), &token, bytes.len());
    let stream = begin_patch(victim.supabase, &token, &path, bytes.len(), &bytes[..3 << 20]);
    victim.kill();
    drop(stream);
    victim = start();
    let mut http = Client::new(victim.supabase);
    let at = offset(&mut http, &token, &path);
    assert!(at <= 3 << 20, "{at}");
    let done = append(&mut http, &token, &path, at, &bytes[at..]);
    assert_eq!((done.status, done.header("tus-complete")), (204, Some("1")));
    let got = http.call("GET", "/object/b/k", &[("authorization", &token)], b"");
    assert!(got.body == bytes, "other bytes");
    let sum = http.call("PUT", "/object/b/again", &[("authorization", &token)], &bytes);
    assert_eq!(sum.status, 200);
    let again = http.call("HEAD", "/object/b/again", &[("authorization", &token)], b"");
    assert_eq!(got.header("etag"), again.header("etag"), "the hash of two processes");
}

#[test]
fn a_writer_that_hangs_lets_go_of_its_upload() {
    let server = start();
    let (mut http, token) = client(&server);
    let path = make_upload(&mut http, &token, 3000);
    let address = server.supabase_addr().expect("a service");
    let stalled = begin_patch(address, &token, &path, 3000, &[b'x'; 1000]);
    while server.journal().count(|e| e.operation == "mpt-part" && e.bytes_in == 1000) == 0 {
        std::thread::yield_now();
    }
    assert_eq!(offset(&mut http, &token, &path), 1000);
    assert_eq!(append(&mut http, &token, &path, 1000, &[b'y'; 2000]).status, 204);
    drop(stalled);
    assert_eq!(http.call("GET", "/object/b/k", &[("authorization", &token)], b"").body.len(), 3000);
}

#[test]
fn a_connection_that_breaks_keeps_what_was_committed() {
    let server = start();
    let (mut http, token) = client(&server);
    let bytes = noise(3 << 20);
    let path = make_upload(&mut http, &token, bytes.len());
    server.faults().add_str("mpt-part:reset-at=2621440:count=1").expect("a fault");
    assert!(append(&mut http, &token, &path, 0, &bytes).broken.is_some());
    let at = offset(&mut http, &token, &path);
    assert!((1 << 20..=2_621_440).contains(&at), "{at}");
    assert_eq!(append(&mut http, &token, &path, at, &bytes[at..]).status, 204);
    assert!(http.call("GET", "/object/b/k", &[("authorization", &token)], b"").body == bytes);
}

#[test]
fn uploads_expire() {
    let settings = SupabaseSettings::default().upload_lifetime(Some(std::time::Duration::ZERO));
    let server = DevServer::builder().supabase("127.0.0.1:0").supabase_settings(settings);
    let server = server.start_blocking().expect("a server");
    let (mut http, token) = client(&server);
    let path = make_upload(&mut http, &token, 10);
    assert_eq!(append(&mut http, &token, &path, 0, b"0123456789").status, 410);
}
