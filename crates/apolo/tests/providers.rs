//! Buckets on Azure and Google Cloud Storage: scripted services, which hand out credentials and take them.

#![expect(clippy::expect_used, reason = "a test program")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::TryStreamExt;
use longshore_apolo::{Client, Store};
use longshore_blob_api::{
    BlobStore, BlobStoreExt, Capability, DeleteOptions, Entry, GetOptions, HeadOptions, ListOptions,
    MultipartRef, PartNumber, PutOptions, SignMethod, SignRequest,
};
use longshore_core_types::{ErrorKind, ObjectKey};
use longshore_transport::{
    RetryConfig,
    testing::{Reply, ScriptedService, Seen},
};

/// Where the buckets service is; whatever else is asked is a provider.
const SERVICE: &str = "apolo";

/// Credentials that the service gives, the number of the call put in for `{n}`; `{end}` is an hour from now, but at the
/// first call as many minutes as `first`.
#[derive(Clone, Copy)]
struct Given {
    provider: &'static str,
    imported: bool,
    credentials: &'static str,
    first: i64,
}

async fn open(
    given: Given,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Store, ScriptedService, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let service = ScriptedService::new(move |seen| {
        let path = seen.uri.path();
        if seen.uri.host() != Some(SERVICE) {
            return answer(seen);
        }
        if path.ends_with("/sign_blob_url") {
            return Reply::ok(r#"{"url":"http://provider/signed-by-the-service"}"#);
        }
        if !path.ends_with("/make_tmp_credentials") {
            let (provider, imported) = (given.provider, given.imported);
            return Reply::ok(format!(
                r#"{{"id":"bucket-1","name":"data","org_name":"acme","project_name":"p","provider":"{provider}","imported":{imported}}}"#
            ));
        }
        let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
        let minutes = if n == 1 { given.first } else { 60 };
        let end = (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes)).to_string();
        let credentials = given.credentials.replace("{n}", &n.to_string()).replace("{end}", &end);
        let provider = given.provider;
        Reply::ok(format!(
            r#"{{"bucket_id":"bucket-1","provider":"{provider}","read_only":false,"credentials":{credentials}}}"#
        ))
    });
    let url = format!("http://{SERVICE}/api/v1/buckets");
    let client = Client::builder().buckets_url(url).token("t").cluster("c").org("acme").project("p");
    let client = client.retry(RetryConfig::off()).service(service.clone()).connect().await.expect("a client");
    let bucket = client.buckets().get("data").await.expect("a bucket");
    let store = client.store(&bucket).await.expect("a store");
    (store, service, asked)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).expect("a key")
}

/// What was asked of the provider.
fn at_provider(service: &ScriptedService) -> Vec<Seen> {
    service.requests().into_iter().filter(|seen| seen.uri.host() != Some(SERVICE)).collect()
}

fn can(store: &Store) -> &Capability {
    store.capability()
}

fn get_url(name: &str, seconds: u64) -> SignRequest {
    SignRequest::new(SignMethod::Get, key(name), Duration::from_secs(seconds))
}

const SAS: &str = r#"{"bucket_name":"theirs","storage_endpoint":"https://acct.blob.core.windows.net/",
    "sas_token":"sp=rwdl&sv=2026-06-06&sr=c&sig=sentinel{n}%3D","expiry":"{end}"}"#;

fn blob(seen: &Seen) -> Reply {
    let query = seen.uri.query().unwrap_or_default();
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    match (seen.method.as_str(), seen.uri.path()) {
        ("GET", "/theirs") => Reply::ok(
            "<EnumerationResults><Blobs><BlobPrefix><Name>dir/</Name></BlobPrefix><Blob><Name>a b</Name><Properties>\
             <Content-Length>5</Content-Length><Creation-Time>Wed, 21 Oct 2015 07:28:00 GMT</Creation-Time>\
             </Properties></Blob></Blobs><NextMarker/></EnumerationResults>",
        ),
        (_, path) if path.ends_with("/missing") => {
            Reply::status(404).header("x-ms-error-code", "BlobNotFound")
        }
        ("GET", _) => Reply::ok("hello").header("content-length", "5").header("etag", "\"0x8\""),
        ("HEAD", _) => Reply::ok("").header("content-length", "5").header("x-ms-creation-time", date),
        ("DELETE", _) => Reply::status(202),
        _ if query.contains("comp=") => Reply::status(201),
        _ => Reply::status(201).header("etag", "\"0x8\""),
    }
}

#[tokio::test]
async fn azure_by_signatures_that_are_renewed() {
    let given = Given { provider: "azure", imported: false, credentials: SAS, first: 0 };
    let (store, service, asked) = open(given, blob).await;
    assert_eq!(store.url().to_string(), "blob://c/acme/p/data");
    store.write(&key("sp ace/ü"), "hello").await.unwrap();
    assert_eq!(store.read(&key("a b")).await.unwrap(), "hello");
    let meta = store.head(&key("a b"), HeadOptions::default()).await.unwrap();
    assert!(meta.size == 5 && meta.created.is_some());
    let missing = store.head(&key("missing"), HeadOptions::default()).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("data/missing"), "{missing}");
    store.delete(&key("missing"), DeleteOptions::default()).await.unwrap();
    let page = store.list_page(&ListOptions::default().with_delimiter(), None).await.unwrap();
    let names: Vec<_> = page.entries.iter().map(Entry::name).collect();
    assert_eq!(names, ["a b", "dir/"]);
    // Credentials that had ended already were renewed before the first request, and never again.
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let seen = at_provider(&service);
    assert_eq!(seen[0].uri.host(), Some("acct.blob.core.windows.net"));
    assert_eq!(seen[0].uri.path(), "/theirs/sp%20ace/%C3%BC");
    for seen in &seen {
        let query = seen.uri.query().unwrap_or_default();
        assert!(query.ends_with("sp=rwdl&sv=2026-06-06&sr=c&sig=sentinel2%3D"), "{query}");
        assert!(seen.header("authorization").is_none(), "the platform's token goes to the platform only");
    }
    assert!(!format!("{store:?}").contains("sentinel"));
}

#[tokio::test]
async fn azure_renews_in_the_middle_of_an_upload() {
    let given = Given { provider: "azure", imported: false, credentials: SAS, first: 60 };
    let (store, service, asked) = open(given, |seen| {
        // From the second block on, the first signature is not taken any more.
        let query = seen.uri.query().unwrap_or_default();
        if query.contains("sig=sentinel1") && seen.body.as_deref() != Some(b"part 1") {
            return Reply::status(403).header("x-ms-error-code", "AuthenticationFailed");
        }
        blob(seen)
    })
    .await;
    let id = store.create_multipart(&key("k"), PutOptions::default()).await.unwrap();
    let upload = MultipartRef { key: key("k"), id };
    let mut parts = Vec::new();
    for number in 1..=3 {
        let part = PartNumber::new(number).unwrap();
        parts.push(store.upload_part(&upload, part, format!("part {number}").into()).await.unwrap());
    }
    store.complete_multipart(&upload, parts).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Three blocks and the commit, and the block that was refused.
    assert_eq!(at_provider(&service).len(), 5);
}

#[tokio::test]
async fn azure_signs_by_the_service_where_credentials_sign_nothing() {
    let given = Given { provider: "azure", imported: false, credentials: SAS, first: 60 };
    let (store, service, _) = open(given, blob).await;
    assert!(can(&store).sign_get && !can(&store).sign_put);
    // What is signed is the name, so all names will do.
    let signed = store.sign(get_url("a b&c", 60)).await.unwrap();
    assert_eq!(signed.url.expose(), "http://provider/signed-by-the-service");
    let put = SignRequest::new(SignMethod::Put, key("k"), Duration::from_secs(60));
    assert_eq!(store.sign(put).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(at_provider(&service).is_empty());
    // The service cannot sign with a signature that it was given.
    let (store, ..) = open(Given { imported: true, ..given }, blob).await;
    assert!(!can(&store).sign_get);
    assert_eq!(store.sign(get_url("k", 60)).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn azure_by_the_key_of_an_account() {
    let credentials = r#"{"bucket_name":"theirs","storage_endpoint":"http://127.0.0.1:10000/acct","credential":"c2VudGluZWw="}"#;
    let given = Given { provider: "azure", imported: true, credentials, first: 60 };
    let (store, service, asked) = open(given, blob).await;
    store.write(&key("k"), "hello").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let seen = at_provider(&service);
    assert_eq!(seen[0].uri.to_string(), "http://127.0.0.1:10000/acct/theirs/k");
    assert!(seen[0].header("authorization").is_some_and(|value| value.starts_with("SharedKey acct:")));
    let signed = store.sign(get_url("k", 60)).await.unwrap();
    assert!(signed.url.expose().starts_with("http://127.0.0.1:10000/acct/theirs/k?"));
    // Names with escapes it does not sign, but the service does.
    let signed = store.sign(get_url("a b", 60)).await.unwrap();
    assert_eq!(signed.url.expose(), "http://provider/signed-by-the-service");
    assert!(!format!("{store:?}").contains("c2VudGluZWw"));
}

const TOKEN: &str =
    r#"{"bucket_name":"theirs","project":"pr","access_token":"sentinel{n}","expire_time":"{end}"}"#;

fn object(seen: &Seen) -> Reply {
    let query = seen.uri.query().unwrap_or_default();
    match (seen.method.as_str(), seen.uri.path()) {
        ("GET", "/theirs" | "/theirs/") => Reply::ok(
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a b</Key><Size>5</Size>\
             <LastModified>2026-11-21T12:07:09.576Z</LastModified></Contents></ListBucketResult>",
        ),
        (_, path) if path.ends_with("/missing") => {
            Reply::status(404).body("<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        }
        ("GET", _) if seen.header("range") == Some("bytes=3-") => {
            Reply::status(206).body("lo").header("content-range", "bytes 3-4/5").header("content-length", "2")
        }
        ("GET", _) => Reply::ok("hello").header("content-length", "5").header("etag", "\"t\""),
        ("HEAD", _) => Reply::ok("")
            .header("content-length", "5")
            .header("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("DELETE", _) => Reply::status(204),
        ("POST", _) if query.contains("uploads") => {
            Reply::ok("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        }
        ("POST", _) => {
            Reply::ok("<CompleteMultipartUploadResult><ETag>\"w\"</ETag></CompleteMultipartUploadResult>")
        }
        _ => Reply::ok("").header("etag", "\"t\""),
    }
}

#[tokio::test]
async fn google_by_tokens_that_are_renewed() {
    let given = Given { provider: "gcp", imported: false, credentials: TOKEN, first: 0 };
    let (store, service, asked) = open(given, object).await;
    store.write(&key("a b"), "hello").await.unwrap();
    let from = GetOptions::default().with_range(longshore_core_types::ByteRange::From(3));
    assert_eq!(store.get(&key("a b"), from).await.unwrap().bytes().await.unwrap(), Bytes::from("lo"));
    let meta = store.head(&key("a b"), HeadOptions::default()).await.unwrap();
    assert!(meta.created.is_some() && meta.created == meta.last_modified);
    let missing = store.read(&key("missing")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    store.delete(&key("missing"), DeleteOptions::default()).await.unwrap();
    let names: Vec<_> = store.list(ListOptions::default()).try_collect().await.unwrap();
    assert_eq!(names.len(), 1);
    let id = store.create_multipart(&key("big"), PutOptions::default()).await.unwrap();
    let upload = MultipartRef { key: key("big"), id };
    let part = store.upload_part(&upload, PartNumber::from_index(0), "abc".into()).await.unwrap();
    store.complete_multipart(&upload, vec![part]).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    for seen in at_provider(&service) {
        assert_eq!(seen.uri.host(), Some("storage.googleapis.com"));
        assert_eq!(seen.header("authorization"), Some("Bearer sentinel2"));
    }
    assert!(can(&store).sign_get && !can(&store).sign_put);
    let signed = store.sign(get_url("k", 60)).await.unwrap();
    assert_eq!(signed.url.expose(), "http://provider/signed-by-the-service");
    assert_eq!(store.sign(get_url("a&b", 60)).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(!format!("{store:?}").contains("sentinel"));
}

#[tokio::test]
async fn google_takes_a_new_token_when_one_is_refused() {
    let given = Given { provider: "gcp", imported: false, credentials: TOKEN, first: 60 };
    let (store, _, asked) = open(given, |seen| {
        if seen.header("authorization") == Some("Bearer sentinel1") {
            return Reply::status(401).body("<Error><Code>AuthenticationRequired</Code></Error>");
        }
        object(seen)
    })
    .await;
    assert_eq!(store.read(&key("k")).await.unwrap(), "hello");
    assert_eq!(store.read(&key("k")).await.unwrap(), "hello");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_said_when_the_bucket_is_opened() {
    for (provider, credentials, part) in [
        ("azure", r#"{"bucket_name":"x","sas_token":"sig=sentinel"}"#, "storage_endpoint"),
        ("azure", r#"{"bucket_name":"x","storage_endpoint":"http://h/a"}"#, "sas_token"),
        (
            "azure",
            r#"{"bucket_name":"x","storage_endpoint":"http://h/a","credential":"sentinel!"}"#,
            "base64",
        ),
        ("gcp", r#"{"bucket_name":"x"}"#, "access_token"),
        ("gcp", r#"{"bucket_name":"x","key_data":"sentinel!"}"#, "key_data"),
        ("gcp", r#"{"access_token":"sentinel"}"#, "bucket_name"),
    ] {
        let service = ScriptedService::new(move |seen| {
            Reply::ok(if seen.uri.path().ends_with("/make_tmp_credentials") {
                format!(r#"{{"bucket_id":"bucket-1","provider":"{provider}","credentials":{credentials}}}"#)
            } else {
                format!(r#"{{"id":"bucket-1","name":"data","provider":"{provider}"}}"#)
            })
        });
        let client = Client::builder().buckets_url("http://apolo/b").token("t").service(service);
        let client = client.connect().await.unwrap();
        let bucket = client.buckets().get("data").await.unwrap();
        let error = client.store(&bucket).await.unwrap_err();
        assert!(error.chain().contains(part), "{}", error.chain());
        assert!(!error.chain().contains("sentinel"), "{}", error.chain());
    }
}

#[tokio::test]
async fn google_by_the_key_of_a_service_account() {
    // Not a key: what is wrong with it is said, and not what it says.
    let data = STANDARD.encode(
        r#"{"type":"service_account","private_key":"sentinel","client_email":"a@b","private_key_id":"1"}"#,
    );
    let credentials: &'static str = format!(r#"{{"bucket_name":"x","key_data":"{data}"}}"#).leak();
    let service = ScriptedService::new(move |seen| {
        Reply::ok(if seen.uri.path().ends_with("/make_tmp_credentials") {
            format!(r#"{{"bucket_id":"bucket-1","provider":"gcp","credentials":{credentials}}}"#)
        } else {
            r#"{"id":"bucket-1","name":"data","provider":"gcp","imported":true}"#.to_owned()
        })
    });
    let client = Client::builder().buckets_url("http://apolo/b").token("t").service(service);
    let client = client.connect().await.unwrap();
    let bucket = client.buckets().get("data").await.unwrap();
    let error = client.store(&bucket).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(!error.chain().contains("sentinel"), "{}", error.chain());
}
