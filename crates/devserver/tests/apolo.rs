//! The Apolo buckets service over plain HTTP, and its credentials on S3.

#![expect(clippy::expect_used, reason = "a test program")]

#[cfg(test)]
mod support;

use std::time::Duration;

use longshore_devserver::{ApoloSettings, DevServer, Handle};
use serde_json::{Value, json};
use support::{Answer, Client, s3, split_url};

const BUCKETS: &str = "/api/v1/buckets/buckets";
const CREDENTIALS: &str = "/api/v1/buckets/persistent_credentials";
const PROJECT: &str = "?org_name=acme&project_name=proj1";

fn server(settings: ApoloSettings) -> Handle {
    DevServer::builder().apolo("127.0.0.1:0").apolo_settings(settings).start_blocking().expect("a server")
}

/// A request of a user; `body` is null for none.
fn call(server: &Handle, user: &str, method: &str, path: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", server.apolo_settings().token(user));
    let accept = if user == "bob" { "application/x-ndjson" } else { "*/*" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [("authorization", token.as_str()), ("accept", accept)];
    Client::new(server.apolo_addr().expect("a service")).call(method, path, &headers, body.as_bytes())
}

fn document(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("a document")
}

fn create(server: &Handle, name: &str) -> Value {
    let body = json!({"name": name, "org_name": "acme", "project_name": "proj1"});
    let made = call(server, "alice", "POST", BUCKETS, &body);
    assert_eq!(made.status, 201);
    document(&made)
}

/// S3 with the credentials that a user gets, and the path of the bucket.
fn open(server: &Handle, user: &str, id: &str) -> (s3::Client, String, Option<String>) {
    let answer = call(server, user, "POST", &format!("{BUCKETS}/{id}/make_tmp_credentials"), &Value::Null);
    assert_eq!(answer.status, 200);
    entrance(&document(&answer)["credentials"])
}

fn entrance(map: &Value) -> (s3::Client, String, Option<String>) {
    let get = |name: &str| map[name].as_str().map(str::to_owned);
    let (endpoint, _) = split_url(&format!("{}/", get("endpoint_url").expect("an endpoint")));
    let client = s3::Client::new(
        endpoint,
        &get("access_key_id").expect("a key"),
        &get("secret_access_key").expect("a secret"),
    );
    (client, format!("/{}", get("bucket_name").expect("a name")), get("session_token"))
}

fn put(door: &(s3::Client, String, Option<String>), key: &str) -> u16 {
    let headers: Vec<_> = door.2.iter().map(|token| ("x-amz-security-token", token.as_str())).collect();
    door.0.send("PUT", &format!("{}/{key}", door.1), "", &headers, b"hello").status
}

#[test]
fn credentials_open_what_they_say() {
    let server = server(ApoloSettings::default());
    let bucket = create(&server, "data");
    let id = bucket["id"].as_str().expect("an id");
    let (alice, bob) = (open(&server, "alice", id), open(&server, "bob", id));
    assert_eq!((put(&alice, "k"), put(&bob, "k")), (200, 403));
    let token = bob.2.as_deref().expect("a token");
    let path = format!("{}/k", bob.1);
    assert_eq!(bob.0.send("GET", &path, "", &[("x-amz-security-token", token)], b"").body, b"hello");
    // Without the token that belongs to it the key opens nothing.
    assert_ne!(put(&(alice.0, alice.1, None), "k"), 200);

    let other = create(&server, "other");
    let ids = json!([id, other["id"]]);
    let made = call(&server, "alice", "POST", CREDENTIALS, &json!({"name": "both", "bucket_ids": ids}));
    let made = document(&made);
    for entry in made["credentials"].as_array().expect("entries") {
        assert_eq!(put(&entrance(&entry["credentials"]), "p"), 200);
    }
    let door = entrance(&made["credentials"][1]["credentials"]);
    // A bucket that is not empty stays, but leaves the credentials.
    let gone = call(&server, "alice", "DELETE", &format!("{BUCKETS}/other{PROJECT}"), &Value::Null);
    assert_eq!(gone.status, 500);
    assert!(String::from_utf8_lossy(&gone.body).contains("BucketNotEmpty"));
    assert_eq!(put(&door, "p"), 403);
    let removed = call(&server, "alice", "DELETE", &format!("{CREDENTIALS}/both"), &Value::Null);
    assert_eq!((removed.status, put(&entrance(&made["credentials"][0]["credentials"]), "p")), (204, 403));
}

#[test]
fn credentials_expire() {
    let server = server(ApoloSettings::default().credentials_lifetime(Duration::ZERO));
    let bucket = create(&server, "data");
    let door = open(&server, "alice", bucket["id"].as_str().expect("an id"));
    let headers = [("x-amz-security-token", door.2.as_deref().expect("a token"))];
    let answer = door.0.send("PUT", &format!("{}/k", door.1), "", &headers, b"x");
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("ExpiredToken"));
}

#[test]
fn signed_urls_and_public_buckets() {
    for region in ["us-east-1", "eu-central-1"] {
        let server = server(ApoloSettings::default().region(region));
        let bucket = create(&server, "data");
        let door = open(&server, "alice", bucket["id"].as_str().expect("an id"));
        assert_eq!(put(&door, "dir/a%20b"), 200);
        let path = format!("{BUCKETS}/data");
        let signed = call(
            &server,
            "alice",
            "POST",
            &format!("{path}/sign_blob_url{PROJECT}"),
            &json!({"key": "dir/a b", "expires_in_sec": 60}),
        );
        let url = document(&signed)["url"].as_str().expect("a URL").to_owned();
        let (address, target) = split_url(&url);
        assert_eq!(Client::new(address).call("GET", &target, &[], b"").body, b"hello", "{url}");
        let plain = format!("{}/dir/a%20b", door.1);
        assert_eq!(Client::new(address).call("GET", &plain, &[], b"").status, 403);
        let public = call(&server, "alice", "PATCH", &format!("{path}{PROJECT}"), &json!({"public": true}));
        assert_eq!(document(&public)["public"], true);
        assert_eq!(Client::new(address).call("GET", &plain, &[], b"").body, b"hello");
    }
}

#[test]
fn lists_and_their_faults() {
    let server = server(ApoloSettings::default());
    create(&server, "one-one");
    create(&server, "two-two");
    let path = format!("{BUCKETS}{PROJECT}");
    let names = |answer: &Answer| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).collect::<Vec<_>>()
    };
    assert_eq!(
        document(&call(&server, "alice", "GET", &path, &Value::Null)).as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(names(&call(&server, "bob", "GET", &path, &Value::Null)).len(), 2);
    assert_eq!(call(&server, "carol", "GET", &path, &Value::Null).body, b"[]");
    let fault = server.faults().add_str("list:node=apolo:fail-after=1").expect("a fault");
    let broken = names(&call(&server, "bob", "GET", &path, &Value::Null));
    assert_eq!((broken.len(), broken[0]["name"].as_str()), (2, Some("one-one")));
    assert!(broken[1]["error"].as_str().is_some_and(|e| e.contains("injected")));
    assert_eq!(call(&server, "alice", "GET", &path, &Value::Null).status, 500);
    server.faults().remove(fault);
    server.faults().add_str("list:node=apolo:truncate-at=100").expect("a fault");
    assert!(call(&server, "bob", "GET", &path, &Value::Null).broken.is_some());
}

#[test]
fn records_outlive_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut door = None;
    for round in 0..2 {
        let server = DevServer::builder().apolo("127.0.0.1:0").data_dir(dir.path());
        let server = server.start_blocking().expect("a server");
        if round == 0 {
            let bucket = create(&server, "data");
            let body = json!({"name": "keys", "bucket_ids": [bucket["id"]]});
            let made = call(&server, "alice", "POST", CREDENTIALS, &body);
            door = Some(entrance(&document(&made)["credentials"][0]["credentials"]));
            assert_eq!(put(door.as_ref().expect("a door"), "k"), 200);
        } else {
            let got = call(&server, "alice", "GET", &format!("{CREDENTIALS}/keys"), &Value::Null);
            let again = entrance(&document(&got)["credentials"][0]["credentials"]);
            assert_eq!((put(&again, "k2"), Some(&again.1)), (200, door.as_ref().map(|d| &d.1)));
        }
    }
}

#[test]
fn the_seed_era() {
    let server = server(ApoloSettings::default().seed_era(true));
    let made = call(&server, "alice", "POST", BUCKETS, &json!({"name": "data"}));
    assert_eq!(made.status, 201);
    let bucket = document(&made);
    assert!(bucket.get("project_name").is_none() && bucket["org_name"].is_null());
    let get =
        |user: &str, path: &str| call(&server, user, "GET", &format!("{BUCKETS}{path}"), &Value::Null).status;
    assert_eq!(
        (get("alice", "/data"), get("alice", "/data?owner=alice"), get("bob", "/data")),
        (200, 200, 404)
    );
    assert_eq!(
        (get("bob", "/data?owner=alice"), get("alice", "/find/by_path?path=alice/data/k")),
        (403, 200)
    );
    assert_eq!(
        document(&call(&server, "alice", "GET", BUCKETS, &Value::Null)).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn the_platform() {
    let server = server(ApoloSettings::default());
    let config = document(&call(&server, "alice", "GET", "/api/v1/config", &Value::Null));
    let url = format!("{}/buckets", server.apolo_url().expect("a URL"));
    assert_eq!(config["clusters"][0]["buckets_url"], url.as_str());
    assert_eq!((&config["authorized"], &config["projects"][0]["name"]), (&true.into(), &"proj1".into()));
    let renew = |token: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={token}&client_id=x");
        Client::new(server.apolo_addr().expect("a service")).call(
            "POST",
            "/oauth/token",
            &[],
            form.as_bytes(),
        )
    };
    let renewed = renew(&server.apolo_settings().refresh_token("alice"));
    assert_eq!((renewed.status, document(&renewed)["expires_in"].as_u64()), (200, Some(3600)));
    assert_eq!(renew("bad").status, 403);
}
