//! The AuthN service and a cluster that requires its tokens, asked over raw sockets.

#![expect(clippy::expect_used, reason = "a test program")]

#[cfg(test)]
mod support;

use longshore_devserver::{DevServer, Fault, FaultKind, Handle, NodeKind};
use support::kill::{Victim, serve_if_child};
use support::{Answer, Client};

fn guarded() -> Handle {
    DevServer::builder().guarded(true).start_blocking().expect("a server")
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// The text between two others.
fn between(text: &str, before: &str, after: &str) -> String {
    let start = text.find(before).expect(before) + before.len();
    let end = text[start..].find(after).expect(after);
    text[start..start + end].to_owned()
}

/// A client of the AuthN service that is logged in.
struct Admin {
    client: Client,
    token: String,
}

impl Admin {
    fn new(address: std::net::SocketAddr) -> Self {
        let mut client = Client::new(address);
        let token = login(&mut client, "admin", "admin");
        Self { client, token }
    }

    fn of(server: &Handle) -> Self {
        Self::new(server.authn_addr().expect("an AuthN service"))
    }

    fn call(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let token = bearer(&self.token);
        self.client.call(method, path, &[("Authorization", &token)], body.as_bytes())
    }

    /// Makes a user with one role.
    fn user(&mut self, name: &str, clusters: &str, buckets: &str) -> String {
        let role = format!(r#"{{"name":"r-{name}","clusters":[{clusters}],"buckets":[{buckets}]}}"#);
        assert_eq!(self.call("POST", "/v1/roles", &role).status, 200);
        let user = format!(r#"{{"id":"{name}","pass":"pw","roles":[{{"name":"r-{name}"}}]}}"#);
        assert_eq!(self.call("POST", "/v1/users", &user).status, 200);
        login(&mut self.client, name, "pw")
    }
}

fn login(client: &mut Client, user: &str, password: &str) -> String {
    let body = format!(r#"{{"password":"{password}"}}"#);
    let answer = client.call("POST", &format!("/v1/users/{user}"), &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    between(&text(&answer), "\"token\": \"", "\"")
}

fn cluster_id(client: &mut Client, token: &str) -> String {
    let answer = client.call("GET", "/v1/daemon?what=smap", &[("Authorization", &bearer(token))], b"");
    assert_eq!(answer.status, 200, "{}", text(&answer));
    between(&text(&answer), "\"uuid\":\"", "\"")
}

/// One call on the bucket `b`: method, path, body, the bits that it needs.
type Operation = (&'static str, &'static str, &'static str, u64);

const OPERATIONS: &[Operation] = &[
    ("GET", "/v1/objects/b/o?provider=ais", "", 1),
    ("HEAD", "/v1/objects/b/o?provider=ais", "", 1 << 1),
    ("PUT", "/v1/objects/b/o?provider=ais", "x", 1 << 2),
    ("PUT", "/v1/objects/b/o?provider=ais&append_type=append", "x", 1 << 3),
    ("DELETE", "/v1/objects/b/o?provider=ais", "", 1 << 4),
    ("POST", "/v1/objects/b/o?provider=ais", r#"{"action":"rename-obj","name":"p"}"#, 1 << 5),
    ("POST", "/v1/objects/b?provider=ais", r#"{"action":"promote","value":{"src":"/nowhere"}}"#, 1 << 6),
    ("PATCH", "/v1/objects/b/o?provider=ais", r#"{"value":{"k":"v"}}"#, 1 << 7),
    ("HEAD", "/v1/buckets/b?provider=ais", "", 1 << 8),
    ("GET", "/v1/buckets/b?provider=ais", r#"{"action":"list","value":{}}"#, 1 << 9),
    (
        "PATCH",
        "/v1/buckets/b?provider=ais",
        r#"{"action":"set-bprops","value":{"versioning":{"enabled":true}}}"#,
        1 << 10,
    ),
    (
        "PATCH",
        "/v1/buckets/b?provider=ais",
        r#"{"action":"set-bprops","value":{"access":"18446744073709551615"}}"#,
        3 << 10,
    ),
    ("GET", "/v1/buckets?provider=ais", r#"{"action":"list"}"#, 1 << 12),
    ("GET", "/v1/daemon?what=smap", "", 1 << 13),
    ("GET", "/v1/cluster?what=smap", "", 1 << 13),
    ("POST", "/v1/buckets/new?provider=ais", r#"{"action":"create-bck"}"#, 1 << 14),
    ("DELETE", "/v1/buckets/gone?provider=ais", r#"{"action":"destroy-bck"}"#, 1 << 15),
    ("POST", "/v1/buckets/moved?provider=ais&bck_to=ais/@%23/moved2", r#"{"action":"move-bck"}"#, 1 << 16),
    ("PUT", "/v1/cluster", r#"{"action":"start","value":{"kind":"lru"}}"#, 1 << 17),
    ("DELETE", "/v1/tokens", r#"{"tokens":[]}"#, 1 << 17),
    ("GET", "/v1/sort", "", 1 << 17),
    ("PUT", "/s3/b/o", "", 1 << 2),
    ("GET", "/s3/b/o", "", 1),
];

#[test]
fn each_bit_alone_opens_what_it_should_and_nothing_else() {
    let server = guarded();
    let mut admin = Admin::of(&server);
    let mut client = Client::new(server.aistore_addr());
    let id = cluster_id(&mut client, &admin.token);
    let token = bearer(&admin.token);
    for bucket in ["b", "gone", "moved"] {
        let path = format!("/v1/buckets/{bucket}?provider=ais");
        let answer = client.call("POST", &path, &[("Authorization", &token)], br#"{"action":"create-bck"}"#);
        assert_eq!(answer.status, 200);
    }
    let mut users = Vec::new();
    for bits in (0..18).map(|bit| 1_u64 << bit).chain([3 << 10]) {
        let list = format!(r#"{{"id":"{id}","perm":"{bits}"}}"#);
        users.push((bits, admin.user(&format!("u{bits}"), &list, "")));
    }
    for (method, path, body, needed) in OPERATIONS {
        let s3 = path.starts_with("/s3");
        let nobody = client.call(method, path, &[], body.as_bytes());
        assert_eq!(nobody.status, if s3 { 403 } else { 401 }, "{method} {path}");
        // Whoever may not comes first: the call has an effect.
        for (granted, token) in users.iter().filter(|(granted, _)| needed & !granted != 0) {
            let answer = client.call(method, path, &[("Authorization", &bearer(token))], body.as_bytes());
            assert_eq!(answer.status, 403, "{method} {path} with {granted}");
        }
        let (granted, token) =
            users.iter().find(|(granted, _)| needed & !granted == 0).expect("somebody who may");
        let answer = client.call(method, path, &[("Authorization", &bearer(token))], body.as_bytes());
        assert!(![401, 403].contains(&answer.status), "{method} {path} with {granted}: {}", text(&answer));
    }
}

#[test]
fn a_list_for_the_bucket_decides_alone() {
    let server = guarded();
    let mut admin = Admin::of(&server);
    let mut client = Client::new(server.aistore_addr());
    let id = cluster_id(&mut client, &admin.token);
    let create = |client: &mut Client, token: &str| {
        let path = "/v1/buckets/b?provider=ais";
        client.call("POST", path, &[("Authorization", &bearer(token))], br#"{"action":"create-bck"}"#).status
    };
    assert_eq!(create(&mut client, &admin.token), 200);
    let bucket = |perm: u64| {
        format!(
            r#"{{"bck":{{"name":"b","provider":"ais","namespace":{{"uuid":"{id}","name":""}}}},"perm":"{perm}"}}"#
        )
    };
    let cluster = |perm: u64| format!(r#"{{"id":"{id}","perm":"{perm}"}}"#);
    let get = |client: &mut Client, token: &str| {
        client.call("GET", "/v1/objects/b/o?provider=ais", &[("Authorization", &bearer(token))], b"")
    };
    let narrowed = admin.user("narrowed", &cluster(771), &bucket(0));
    let answer = get(&mut client, &narrowed);
    assert_eq!(answer.status, 403);
    assert!(text(&answer).contains("bucket ais://b, granted(none)"), "{}", text(&answer));
    let widened = admin.user("widened", &cluster(0), &bucket(1));
    assert_eq!(get(&mut client, &widened).status, 301);
}

#[test]
fn the_journal_holds_no_secret() {
    let server = DevServer::builder()
        .guarded(true)
        .superuser("root", "sesame-open")
        .start_blocking()
        .expect("a server");
    let mut client = Client::new(server.authn_addr().expect("an AuthN service"));
    let token = login(&mut client, "root", "sesame-open");
    let mut cluster = Client::new(server.aistore_addr());
    cluster_id(&mut cluster, &token);
    cluster.call("GET", "/v1/daemon?what=smap", &[("X-Amz-Security-Token", &token)], b"");
    cluster.call("GET", "/v1/daemon?what=smap", &[("Authorization", "Bearer sesame-wrong")], b"");
    let entries = server.journal().entries();
    let text = format!("{entries:?} {:?} {server:?}", server.journal());
    assert!(entries.len() >= 4, "{text}");
    for secret in [token.as_str(), "sesame"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn what_is_checked_before_the_token() {
    let server = guarded();
    let admin = Admin::of(&server);
    let mut client = Client::new(server.aistore_addr());
    let token = bearer(&admin.token);
    let create = br#"{"action":"create-bck"}"#;
    client.call("POST", "/v1/buckets/b?provider=ais", &[("Authorization", &token)], create);
    let mut status = |method, path, body: &[u8]| client.call(method, path, &[], body).status;
    assert_eq!(status("GET", "/v1/objects/missing/o?provider=ais", b""), 404);
    assert_eq!(status("GET", "/v1/objects/b/missing?provider=ais", b""), 401);
    assert_eq!(status("POST", "/v1/buckets/b?provider=ais", create), 401);
    assert_eq!(status("POST", "/v1/buckets/bad%20name?provider=ais", create), 400);
    assert_eq!(status("POST", "/v1/buckets/b?provider=ais", br#"{"action":"nonsense"}"#), 400);
    assert_eq!(status("POST", "/v1/buckets/b?provider=ais", br#"{"action":"#), 400);
    assert_eq!(status("GET", "/v1/daemon?what=nonsense", b""), 401);
    assert_eq!(status("GET", "/v1/nonsense", b""), 400);
    assert_eq!(status("PATCH", "/v1/daemon", b""), 405);
    assert_eq!(status("GET", "/v1/health", b""), 200);
}

#[test]
fn a_revoked_token_is_refused_by_the_very_next_call() {
    let server = guarded();
    let mut admin = Admin::of(&server);
    let mut client = Client::new(server.aistore_addr());
    for _ in 0..50 {
        let token = login(&mut admin.client, "admin", "admin");
        assert_ne!(token, admin.token, "tokens of the same second differ");
        cluster_id(&mut client, &token);
        let body = format!(r#"{{"token":"{token}"}}"#);
        assert_eq!(admin.client.call("DELETE", "/v1/tokens", &[], body.as_bytes()).status, 200);
        let answer = client.call("GET", "/v1/daemon?what=smap", &[("Authorization", &bearer(&token))], b"");
        assert_eq!(answer.status, 401);
        assert!(text(&answer).contains("token revoked"), "{}", text(&answer));
    }
    cluster_id(&mut client, &admin.token);
}

#[test]
fn tokens_expire() {
    let server =
        DevServer::builder().guarded(true).token_lifetime(std::time::Duration::from_secs(1)).start_blocking();
    let server = server.expect("a server");
    let admin = Admin::of(&server);
    let mut client = Client::new(server.aistore_addr());
    let expired = loop {
        let headers = [("Authorization", &*bearer(&admin.token))];
        let answer = client.call("GET", "/v1/daemon?what=smap", &headers, b"");
        if answer.status != 200 {
            break answer;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    };
    assert_eq!(expired.status, 401);
    assert!(text(&expired).contains("token expired"), "{}", text(&expired));
}

#[test]
fn targets_refuse_calls_that_no_gateway_sent() {
    let server = guarded();
    let admin = Admin::of(&server);
    let mut client = Client::new(server.aistore_addr());
    let token = bearer(&admin.token);
    let headers = [("Authorization", token.as_str())];
    client.call("POST", "/v1/buckets/b?provider=ais", &headers, br#"{"action":"create-bck"}"#);
    let answer = client.call("GET", "/v1/objects/b/o?provider=ais", &headers, b"");
    let location = answer.header("location").expect("a redirect").to_owned();
    let (host, path) = location.trim_start_matches("http://").split_once('/').expect("a path");
    let mut target = Client::new(host.parse().expect("an address"));
    assert_eq!(target.call("GET", &format!("/{path}"), &[], b"").status, 404);
    let unmarked = target.call("GET", "/v1/objects/b/o?provider=ais", &headers, b"");
    assert_eq!(unmarked.status, 403);
    assert!(text(&unmarked).contains("direct target access denied"));
}

#[test]
fn a_password_that_is_too_long_ends_the_connection() {
    let server = guarded();
    let admin = Admin::of(&server);
    let body = format!(r#"{{"id":"bob","pass":"{}"}}"#, "p".repeat(73));
    let request = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{body}",
        bearer(&admin.token),
        body.len()
    );
    assert!(admin.client.raw(request.as_bytes()).is_err());
}

#[test]
fn authn_misbehaves_on_request() {
    let server = guarded();
    let mut client = Client::new(server.authn_addr().expect("an AuthN service"));
    let fault = Fault::new(FaultKind::Status { code: 503, retry_after: None }).node(NodeKind::Authn);
    server.faults().add(fault.operation("login").count(1));
    let login =
        |client: &mut Client| client.call("POST", "/v1/users/admin", &[], br#"{"password":"admin"}"#).status;
    assert_eq!((login(&mut client), login(&mut client)), (503, 200));
    let logins = server.journal().filter(|e| e.node == NodeKind::Authn && e.operation == "login");
    assert_eq!(logins.iter().map(|e| e.status).collect::<Vec<_>>(), [Some(503), Some(200)]);
}

#[test]
fn users_roles_and_revocations_survive_a_kill() {
    serve_if_child();
    let dir = tempfile::tempdir().expect("a directory");
    let victim = Victim::start_guarded(dir.path(), "users_roles_and_revocations_survive_a_kill");
    let mut admin = Admin::new(victim.authn.expect("an AuthN service"));
    let mut client = Client::new(victim.address);
    let id = cluster_id(&mut client, &admin.token);
    let bob = admin.user("bob", &format!(r#"{{"id":"{id}","perm":"8192"}}"#), "");
    let revoked = login(&mut admin.client, "bob", "pw");
    let body = format!(r#"{{"token":"{revoked}"}}"#);
    assert_eq!(admin.client.call("DELETE", "/v1/tokens", &[], body.as_bytes()).status, 200);
    victim.kill();

    let victim = Victim::start_guarded(dir.path(), "users_roles_and_revocations_survive_a_kill");
    let mut client = Client::new(victim.address);
    assert_eq!(cluster_id(&mut client, &bob), id, "the cluster and its secret stay the same");
    let answer = client.call("GET", "/v1/daemon?what=smap", &[("Authorization", &bearer(&revoked))], b"");
    assert_eq!(answer.status, 401);
    let mut admin = Admin::new(victim.authn.expect("an AuthN service"));
    cluster_id(&mut client, &login(&mut admin.client, "bob", "pw"));
    let role = admin.call("GET", "/v1/roles/r-bob", "");
    assert!(text(&role).contains(r#""alias":"dev","perm":"8192""#), "{}", text(&role));
    let clusters = text(&admin.call("GET", "/v1/clusters", ""));
    assert!(clusters.contains(&victim.address.to_string()), "registered where it is now: {clusters}");
}

#[test]
fn another_cluster_hears_of_a_revocation() {
    let with_secret = || DevServer::builder().guarded(true).authn_secret("shared").start_blocking();
    let (server, other) = (with_secret().expect("a server"), with_secret().expect("a server"));
    let mut admin = Admin::of(&server);
    let mut client = Client::new(other.aistore_addr());
    let id = cluster_id(&mut client, &admin.token);
    let register = |url: &str| format!(r#"{{"id":"{id}","alias":"other","urls":["{url}/nowhere","{url}"]}}"#);
    assert_eq!(admin.call("POST", "/v1/clusters", &register(other.aistore_url())).status, 200);
    let token = login(&mut admin.client, "admin", "admin");
    cluster_id(&mut client, &token);
    let body = format!(r#"{{"token":"{token}"}}"#);
    assert_eq!(admin.client.call("DELETE", "/v1/tokens", &[], body.as_bytes()).status, 200);
    let refused = (0..1000).any(|_| {
        std::thread::park_timeout(std::time::Duration::from_millis(5));
        client.call("GET", "/v1/daemon?what=smap", &[("Authorization", &bearer(&token))], b"").status == 401
    });
    assert!(refused, "told within five seconds");
}

#[test]
fn a_cluster_with_another_secret_is_not_registered() {
    let (server, stranger) = (guarded(), guarded());
    let mut admin = Admin::of(&server);
    let body = format!(r#"{{"id":"x","alias":"stranger","urls":["{}"]}}"#, stranger.aistore_url());
    let answer = admin.call("POST", "/v1/clusters", &body);
    assert_eq!(answer.status, 400);
    assert!(text(&answer).contains("token signature is invalid"), "{}", text(&answer));
    assert_eq!(admin.call("GET", "/v1/clusters/stranger", "").status, 404);
}
