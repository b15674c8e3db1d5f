//! The Supabase Storage service: what recorded exchanges do not show.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test program")]

mod support;

use longshore_devserver::{DevServer, Handle, NodeKind, RowSecurity, SupabaseSettings};
use support::Client;

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
