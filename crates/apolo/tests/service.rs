//! The client against a scripted buckets service, and objects on the dev server's S3.

#![expect(clippy::expect_used, reason = "a test program")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt};
use longshore_apolo::{Client, NewImport, Provider};
use longshore_blob_api::{BlobStore, BlobStoreExt};
use longshore_core_types::{ErrorKind, ObjectKey};
use longshore_transport::{
    RetryConfig,
    testing::{Reply, ScriptedService, Seen},
};

const BUCKET: &str = r#"{"id":"bucket-1","name":"data","owner":"alice","org_name":"acme","project_name":"p","provider":"aws",
"created_at":"2026-11-21T12:07:09.576270+00:00","imported":false,"public":false}"#;

async fn client(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Client, ScriptedService) {
    client_with(RetryConfig::off(), answer).await
}

async fn client_with(
    retry: RetryConfig,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Client, ScriptedService) {
    let service = ScriptedService::new(answer);
    let seen = service.clone();
    let client = Client::builder().buckets_url("http://h/api/v1/buckets").token("t").cluster("c").org("acme");
    let client = client.project("p").retry(retry).service(service);
    (client.connect().await.expect("a client"), seen)
}

fn one_line(text: &str) -> String {
    text.replace('\n', "")
}

#[tokio::test]
async fn requests_are_those_of_the_service() {
    let (client, seen) = client(|seen| match (seen.method.as_str(), seen.uri.path()) {
        ("DELETE", _) => Reply::status(204),
        (_, path) if path.ends_with("/sign_blob_url") => Reply::ok(r#"{"url":"http://s3/signed"}"#),
        _ => Reply::ok(BUCKET),
    })
    .await;
    let buckets = client.buckets();
    assert_eq!(buckets.create(Some("data")).await.unwrap().uri(), "blob://c/acme/p/data");
    let import =
        NewImport::new(Provider::Minio, "theirs").with_name("mine").with_credential("access_key_id", "AK");
    buckets.import_external(import).await.unwrap();
    buckets.get("data").await.unwrap();
    buckets.in_project("other", "q").by_path("acme/p/data/a b").await.unwrap();
    buckets.set_public_access("data", true).await.unwrap();
    buckets.of_owner("bob").remove("da_ta").await.unwrap();
    let url = buckets.sign_url("data", "a b", Duration::from_secs(60)).await.unwrap();
    assert_eq!(url.expose(), "http://s3/signed");
    let requests = seen.requests();
    let lines: Vec<_> = requests.iter().map(|r| format!("{} {}", r.method, r.uri)).collect();
    let base = "http://h/api/v1/buckets/buckets";
    assert_eq!(
        lines,
        [
            format!("POST {base}"),
            format!("POST {base}/import/external"),
            format!("GET {base}/data?org_name=acme&project_name=p"),
            format!("GET {base}/find/by_path?path=acme%2Fp%2Fdata%2Fa%20b"),
            format!("PATCH {base}/data?org_name=acme&project_name=p"),
            format!("DELETE {base}/da_ta?org_name=acme&owner=bob"),
            format!("POST {base}/data/sign_blob_url?org_name=acme&project_name=p"),
        ]
    );
    let body = |at: usize| String::from_utf8(requests[at].body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(body(0), r#"{"name":"data","org_name":"acme","project_name":"p"}"#);
    assert!(body(1).contains(r#""credentials":{"access_key_id":"AK"}"#), "{}", body(1));
    assert_eq!(
        (body(4).as_str(), requests[0].header("authorization")),
        (r#"{"public":true}"#, Some("Bearer t"))
    );
}

fn quick() -> RetryConfig {
    RetryConfig::default().waits(Duration::from_millis(1), Duration::from_millis(2)).budget(None)
}

/// The service has status 500 for what is wrong by itself, and for what passes.
#[tokio::test]
async fn only_failures_that_may_pass_are_asked_for_again() {
    let unexpected = |text: &str| {
        let text =
            format!(r#"{{"error": "Unexpected exception: {text}. Path with query: /api/v1/buckets."}}"#);
        Reply::status(500).header("content-type", "application/json").body(text)
    };
    for (text, kind) in [
        ("Bucket for path acme/p/typo not found", ErrorKind::NotFound),
        ("{'path': ['Missing data for required field.']}", ErrorKind::InvalidInput),
    ] {
        let (client, seen) = client_with(quick(), move |_| unexpected(text)).await;
        let error = client.buckets().by_path("acme/p/typo").await.unwrap_err();
        assert_eq!((error.kind(), error.attempts(), seen.requests().len()), (kind, 1, 1), "{error}");
        assert!(error.message() == text && !error.is_retryable(), "{error}");
    }
    let count = Arc::new(AtomicUsize::new(0));
    let (client, seen) = client_with(quick(), move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => unexpected("Connection reset by peer"),
        1 => Reply::status(500).broken_body([r#"{"error": "Unexpected exc"#]),
        2 => Reply::status(502).body("<html>"),
        _ => Reply::ok(BUCKET),
    })
    .await;
    assert_eq!(client.buckets().by_path("acme/p/data").await.unwrap().id, "bucket-1");
    assert_eq!(seen.requests().len(), 4);
    let (client, seen) = client_with(quick(), move |_| unexpected("Connection reset by peer")).await;
    let error = client.buckets().by_path("acme/p/data").await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "Connection reset by peer"));
    assert_eq!((error.attempts(), seen.requests().len()), (5, 5));
}

/// The service answers these with status 500, or takes them for another call.
#[tokio::test]
async fn what_cannot_be_is_not_asked_for() {
    let (client, seen) = client(|_| Reply::ok(BUCKET)).await;
    let (buckets, keys) = (client.buckets(), client.persistent_credentials());
    for name in ["", ".", "..", "a/b", "a b", "-a", "a-", "\u{fc}", "a%2Fb", "a\n", &"a".repeat(64)] {
        assert_eq!(buckets.get(name).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(buckets.remove(name).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(keys.remove(name).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
    }
    let signed = buckets.sign_url("data", "", Duration::from_secs(60)).await;
    assert_eq!(signed.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(keys.create(&[], None, false).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(seen.requests().is_empty());
}

/// What a URI says itself need not be set.
#[tokio::test]
async fn whole_uris_need_no_settings() {
    let service = ScriptedService::new(|_| Reply::ok(BUCKET));
    let client = |org: Option<&str>| {
        let client = Client::builder().buckets_url("http://h/api").token("t").cluster("c");
        let client = client.service(service.clone());
        match org {
            Some(org) => client.org(org),
            None => client,
        }
    };
    let nothing = client(None).connect().await.unwrap();
    let (bucket, key) = nothing.bucket_of("blob://c/acme/p/data/a b").await.unwrap();
    assert_eq!((bucket.id.as_str(), key.as_str()), ("bucket-1", "a b"));
    for short in ["blob:/p/data/k", "blob:data/k"] {
        let error = nothing.bucket_of(short).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidConfig && error.message().contains("organisation"),
            "{error}"
        );
    }
    let org = client(Some("acme")).connect().await.unwrap();
    assert!(org.bucket_of("blob:/p/data/k").await.is_ok());
    let error = org.bucket_of("blob:data/k").await.unwrap_err();
    assert!(error.message().contains("project"), "{error}");
}

#[tokio::test]
async fn lists_are_lines_or_arrays_and_end_with_their_errors() {
    let good = one_line(BUCKET);
    let strange = good.replace("\"aws\"", "\"warp_drive\"");
    let lines = format!("{good}\n{strange}\n");
    let (text, array) = (lines.clone(), format!("[{good},{strange}]"));
    let ndjson = |text: &str| Reply::ok(text.to_owned()).header("content-type", "application/x-ndjson");
    let count = Arc::new(AtomicUsize::new(0));
    let (client, seen) = client(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => ndjson(&text),
        1 => Reply::ok(array.clone()).header("content-type", "application/json"),
        2 => ndjson(&format!("{text}{{\"error\": \"Unexpected exception ValueError: x.\"}}")),
        _ => Reply::status(200)
            .header("content-type", "application/x-ndjson")
            .broken_body(["{\"id\":\"bucket-1\",\"provider\":\"aws\"}\n{\"id\":"]),
    })
    .await;
    for _ in 0..2 {
        let all: Vec<_> = client.buckets().list().await.unwrap().try_collect().await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].provider, Provider::Other("warp_drive".into()));
    }
    assert_eq!(seen.requests()[0].header("accept"), Some("application/x-ndjson"));
    let mut list = client.buckets().list().await.unwrap();
    assert!(list.next().await.unwrap().is_ok() && list.next().await.unwrap().is_ok());
    let error = list.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("ValueError"), "{error}");
    assert!(list.next().await.is_none());
    // The server's fault in the middle of a list breaks the stream of chunks.
    let mut list = client.buckets().list().await.unwrap();
    assert!(list.next().await.unwrap().is_ok());
    assert_eq!(list.next().await.unwrap().unwrap_err().kind(), ErrorKind::Transport);
    assert!(list.next().await.is_none());
}

#[tokio::test]
async fn persistent_credentials() {
    let made = r#"{"id":"bucket-credentials-1","name":"cred","owner":"alice","read_only":true,"credentials":[
        {"bucket_id":"bucket-1","provider":"aws","read_only":true,"credentials":{"bucket_name":"x","access_key_id":"AK"}}]}"#;
    let listed = format!("[{made}]");
    let (client, seen) =
        client(move |seen| match (seen.method.as_str(), seen.uri.path().ends_with("credentials")) {
            ("DELETE", _) => Reply::status(204),
            ("GET", true) => Reply::ok(listed.clone()).header("content-type", "application/json"),
            _ => Reply::ok(made),
        })
        .await;
    let keys = client.persistent_credentials();
    let made = keys.create(&["bucket-1".to_owned()], Some("cred"), true).await.unwrap();
    assert_eq!((made.cluster_name.as_str(), made.credentials[0].credentials.bucket_name()), ("c", Some("x")));
    assert_eq!(keys.get("cred").await.unwrap().id, "bucket-credentials-1");
    let all: Vec<_> = keys.list().await.unwrap().try_collect().await.unwrap();
    assert_eq!(all.len(), 1);
    keys.remove("cred").await.unwrap();
    let body = seen.requests()[0].body.clone().unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(sent, serde_json::json!({"name": "cred", "bucket_ids": ["bucket-1"], "read_only": true}));
    assert_eq!(seen.requests()[3].uri.path(), "/api/v1/buckets/persistent_credentials/cred");
    assert_eq!(keys.create(&[], Some("X"), false).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn objects_with_credentials_that_renew_themselves() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let (client, seen) = client(move |seen| match (seen.uri.host(), seen.method.as_str()) {
        (Some("s3"), "GET") => Reply::ok("hello").header("etag", "\"t\"").header("content-length", "5"),
        (Some("s3"), _) => Reply::ok("").header("etag", "\"t\""),
        _ if !seen.uri.path().ends_with("/make_tmp_credentials") => Reply::ok(BUCKET),
        _ => {
            // The first have ended when they are needed, the others last.
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let end = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(if number == 0 { 0 } else { 60 });
            Reply::ok(format!(
                r#"{{"bucket_id":"bucket-1","provider":"aws","read_only":false,"credentials":{{"bucket_name":"theirs",
                "endpoint_url":"http://s3","region_name":"us-east-1","access_key_id":"AK","secret_access_key":"SK",
                "session_token":"session-{number}","expiration":"{end}"}}}}"#
            ))
        }
    })
    .await;
    let bucket = client.buckets().get("data").await.unwrap();
    let store = client.store(&bucket).await.unwrap();
    assert_eq!(store.url().to_string(), "blob://c/acme/p/data");
    let name = ObjectKey::new("dir/a b").unwrap();
    store.write(&name, "hello").await.unwrap();
    assert_eq!(store.read(&name).await.unwrap(), "hello");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let sent = seen.requests();
    let sent: Vec<_> = sent.iter().filter(|seen| seen.uri.host() == Some("s3")).collect();
    assert!(!sent.is_empty() && sent.iter().all(|seen| seen.uri.path() == "/theirs/dir/a%20b"));
    assert!(sent.iter().all(|seen| seen.header("x-amz-security-token") == Some("session-1")));
    let (opened, key) = client.open("blob:data/dir/a b").await.unwrap();
    assert_eq!((opened.read(&name).await.unwrap(), key.as_str()), ("hello".into(), "dir/a b"));
    let other = client.open("blob://other/acme/p/data").await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InvalidConfig);
    assert_eq!(client.open("blob:").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let mut elsewhere = bucket;
    elsewhere.provider = Provider::Other("warp".into());
    assert_eq!(client.store(&elsewhere).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
