//! The store against servers of every sort, without network.

use longshore_blob_api::{BlobStore, BlobStoreExt, GetOptions, HeadOptions, Pin};
use longshore_core_types::{ByteRange, Error, ErrorKind, ObjectKey, ObjectMeta};
use longshore_transport::{
    RetryConfig, Transport, TransportConfig,
    testing::{Reply, ScriptedService},
};

use crate::HttpStore;

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

fn store_at(url: &str, server: &ScriptedService) -> HttpStore {
    let config = TransportConfig::default().retry(RetryConfig::off());
    let transport = Transport::builder().config(config).service(server.clone()).build().unwrap();
    HttpStore::builder(url).transport(transport).max_unsized(20).build().unwrap()
}

fn store(server: &ScriptedService) -> HttpStore {
    store_at("https://h/d/", server)
}

fn whole(text: &'static str) -> Reply {
    Reply::ok(text).header("content-length", &text.len().to_string())
}

fn part(range: &str, text: &'static str) -> Reply {
    Reply::status(206).header("content-range", range).body(text)
}

fn pin(etag: &str, size: u64) -> Pin {
    let mut meta = ObjectMeta::new(key("k"), size);
    meta.etag = Some(etag.to_owned());
    Pin::from(&meta)
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test]
async fn a_whole_object_and_what_the_server_says_about_it() {
    let server = ScriptedService::replies([whole("hello")
        .header("etag", "\"e1\"")
        .header("content-type", "text/plain")
        .header("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    let got = store(&server).get(&key("a b"), GetOptions::default()).await.unwrap();
    assert_eq!((got.range.clone(), got.meta.size), (0..5, 5));
    assert_eq!(got.meta.etag.as_deref(), Some("\"e1\""));
    assert_eq!(got.meta.attributes.content_type.as_deref(), Some("text/plain"));
    assert!(got.meta.last_modified.is_some() && got.meta.version.is_none());
    assert_eq!(got.bytes().await.unwrap(), "hello");
    let seen = &server.requests()[0];
    assert_eq!(seen.uri.to_string(), "https://h/d/a%20b");
    assert_eq!((seen.header("range"), seen.header("accept-encoding")), (None, Some("identity")));
}

#[tokio::test]
async fn parts_are_those_that_were_asked_for() {
    let cases = [
        (ByteRange::from(2..5), "bytes=2-4", part("bytes 2-4/11", "llo"), Ok("llo")),
        (ByteRange::from(8..99), "bytes=8-98", part("bytes 8-10/11", "rld"), Ok("rld")),
        (ByteRange::Suffix(3), "bytes=-3", part("bytes 8-10/11", "rld"), Ok("rld")),
        (ByteRange::from(2..5), "bytes=2-4", part("bytes 3-5/11", "lo "), Err(ErrorKind::Protocol)),
        (ByteRange::from(2..5), "bytes=2-4", Reply::status(206).body("llo"), Err(ErrorKind::Protocol)),
        (ByteRange::from(2..5), "bytes=2-4", part("bytes 2-4/*", "llo"), Err(ErrorKind::Unsupported)),
        (ByteRange::From(99), "bytes=99-", Reply::status(416), Err(ErrorKind::RangeNotSatisfiable)),
    ];
    for (range, header, reply, expected) in cases {
        let server = ScriptedService::replies([reply]);
        let read = async {
            store(&server).get(&key("k"), GetOptions::default().with_range(range)).await?.bytes().await
        };
        match (read.await, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(expected)) => assert_eq!(error.kind(), expected, "{error}"),
            (found, expected) => panic!("{header}: {found:?} instead of {expected:?}"),
        }
        assert_eq!(server.requests()[0].header("range"), Some(header));
    }
}

#[tokio::test]
async fn a_server_without_ranges_is_cut_at_the_start_and_refused_behind_it() {
    let server = ScriptedService::new(|_| whole("hello world"));
    let store = store(&server);
    let got = store.get(&key("k"), GetOptions::default().with_range(0..5)).await.unwrap();
    assert_eq!((got.range.clone(), got.meta.size), (0..5, 11));
    assert_eq!(got.bytes().await.unwrap(), "hello");
    let error = store.get(&key("k"), GetOptions::default().with_range(6..11)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("http.object.get object https://h/d/k: "), "{error}");
    let behind = store.get(&key("k"), GetOptions::default().with_range(11..12)).await;
    assert_eq!(kind(behind), ErrorKind::RangeNotSatisfiable);
}

#[tokio::test]
async fn probing_finds_out_about_ranges() {
    for (reply, ranges) in
        [(part("bytes 0-0/9", "x"), true), (whole("all of it"), false), (Reply::status(416), true)]
    {
        let server = ScriptedService::replies([reply]);
        let store = store(&server).probe(&key("k")).await.unwrap();
        assert_eq!(store.capability().ranged_get, ranges);
        assert_eq!(server.requests()[0].header("range"), Some("bytes=0-0"));
        let got = store.get(&key("k"), GetOptions::default().with_range(ByteRange::Suffix(1))).await;
        assert_eq!(kind(got) == ErrorKind::Unsupported, !ranges);
    }
    let server = ScriptedService::replies([Reply::status(404)]);
    assert_eq!(kind(store(&server).probe(&key("k")).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_unstated_length_is_learned_up_to_the_limit() {
    let server = ScriptedService::replies([
        Reply::ok("hello world"),
        Reply::ok("hello world"),
        Reply::ok("more than the twenty bytes that are allowed"),
        Reply::status(200),
        Reply::ok("hello world"),
    ]);
    let store = store(&server);
    let got = store.get(&key("k"), GetOptions::default()).await.unwrap();
    assert_eq!((got.meta.size, got.bytes().await.unwrap()), (11, "hello world".into()));
    let got = store.get(&key("k"), GetOptions::default().with_range(6..8)).await.unwrap();
    assert_eq!((got.range.clone(), got.bytes().await.unwrap()), (6..8, "wo".into()));
    assert_eq!(kind(store.get(&key("k"), GetOptions::default()).await), ErrorKind::Unsupported);
    // HEAD without a length is followed by a GET.
    assert_eq!(store.head(&key("k"), HeadOptions::default()).await.unwrap().size, 11);
}

#[tokio::test]
async fn head_falls_back_to_the_first_byte() {
    for refusal in [403, 405, 501] {
        let server = ScriptedService::replies([Reply::status(refusal), part("bytes 0-0/42", "x")]);
        assert_eq!(store(&server).head(&key("k"), HeadOptions::default()).await.unwrap().size, 42);
    }
    let server = ScriptedService::replies([Reply::status(405), Reply::status(416), whole("")]);
    assert_eq!(store(&server).head(&key("k"), HeadOptions::default()).await.unwrap().size, 0);
    let server = ScriptedService::replies([Reply::status(403), Reply::status(403)]);
    let head = store(&server).head(&key("k"), HeadOptions::default()).await;
    assert_eq!(kind(head), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_signed_url_is_never_shown_and_never_asked_with_head() {
    let server = ScriptedService::replies([
        part("bytes 0-0/5", "h"),
        Reply::status(403).body("no: ?sig=sentinel"),
        Reply::close(),
    ]);
    let store = store_at("https://h/d?sig=sentinel", &server);
    assert_eq!(store.head(&key("k"), HeadOptions::default()).await.unwrap().size, 5);
    let mut text = format!("{store:?} {}", store.url());
    for _ in 0..2 {
        let error = store.read(&key("k")).await.unwrap_err();
        text = [text, format!("{error:?} {}", error.chain())].concat();
    }
    assert!(!text.contains("sentinel"), "{text}");
    let builder = HttpStore::builder("https://user:sentinel@h/x");
    assert!(!format!("{builder:?}").contains("sentinel"));
    for seen in server.requests() {
        assert_eq!((seen.method.as_str(), seen.uri.query()), ("GET", Some("sig=sentinel")));
        assert!(seen.call.is_some_and(|call| call.sensitive));
    }
}

#[tokio::test]
async fn pins_are_sent_and_compared() {
    // A server that checks, one that does not, and one with weak tags.
    let server = ScriptedService::replies([
        Reply::status(412),
        whole("hello").header("etag", "\"other\""),
        whole("hello").header("etag", "\"e1\""),
        whole("hello").header("etag", "W/\"w\""),
        whole("longer").header("etag", "\"e1\""),
    ]);
    let store = store(&server);
    let read = async |etag: &str| {
        store.get(&key("k"), GetOptions::default().with_pin(pin(etag, 5))).await?.bytes().await
    };
    assert_eq!(kind(read("\"e1\"").await), ErrorKind::PreconditionFailed);
    assert_eq!(kind(read("\"e1\"").await), ErrorKind::PreconditionFailed);
    assert_eq!(read("\"e1\"").await.unwrap(), "hello");
    assert_eq!(read("W/\"w\"").await.unwrap(), "hello");
    assert_eq!(kind(read("\"e1\"").await), ErrorKind::PreconditionFailed, "of another size");
    let sent: Vec<_> =
        server.requests().iter().map(|seen| seen.header("if-match").map(str::to_owned)).collect();
    let strong = Some("\"e1\"".to_owned());
    assert_eq!(sent, [strong.clone(), strong.clone(), strong.clone(), None, strong]);
}

#[tokio::test]
async fn the_date_stands_in_where_there_is_no_tag() {
    let at = |second: u32| format!("Sun, 06 Nov 1994 08:49:{second:02} GMT");
    let server = ScriptedService::replies([
        whole("hello").header("last-modified", &at(1)),
        whole("jello").header("last-modified", &at(2)),
    ]);
    let store = store(&server);
    let seen = Pin::from(&store.head(&key("k"), HeadOptions::default()).await.unwrap());
    let got = store.get(&key("k"), GetOptions::default().with_pin(seen)).await;
    assert_eq!(kind(got), ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn conditions_hold_also_at_servers_that_ignore_them() {
    let server = ScriptedService::new(|seen| match seen.header("if-none-match") {
        Some("\"known\"") => Reply::status(304),
        _ => whole("hello").header("etag", "\"e1\""),
    });
    let store = store(&server);
    let get = async |opts: GetOptions| store.get(&key("k"), opts).await.map(drop);
    assert_eq!(
        kind(get(GetOptions::default().with_if_none_match("\"known\"")).await),
        ErrorKind::NotModified
    );
    assert_eq!(kind(get(GetOptions::default().with_if_none_match("\"e1\"")).await), ErrorKind::NotModified);
    assert_eq!(kind(get(GetOptions::default().with_if_match("\"e2\"")).await), ErrorKind::PreconditionFailed);
    get(GetOptions::default().with_if_match("\"e1\"").with_if_none_match("\"e2\"")).await.unwrap();
    let bad = get(GetOptions::default().with_if_none_match("a\nb")).await;
    assert_eq!(kind(bad), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn bodies_that_break_or_end_early_are_errors() {
    let broken = Reply::status(200).header("content-length", "9").broken_body(["abc"]);
    let server =
        ScriptedService::replies([broken, whole("hello").body("hell"), whole("hello").body("hello!")]);
    let store = store(&server);
    let mut kinds = Vec::new();
    for _ in 0..3 {
        kinds.push(kind(store.read(&key("k")).await));
    }
    assert_eq!(kinds, [ErrorKind::Transport, ErrorKind::Transport, ErrorKind::Protocol]);
}

#[tokio::test]
async fn redirects_are_followed_without_credentials_and_not_out_of_https() {
    let server = ScriptedService::new(|seen| match (seen.uri.host(), seen.uri.path()) {
        (Some("h"), "/d/moved") => Reply::redirect(302, "https://cdn/x?sig=1"),
        (Some("h"), _) => Reply::redirect(301, "http://cdn/x"),
        _ => whole("hello"),
    });
    let config = TransportConfig::default().retry(RetryConfig::off());
    let token = longshore_transport::BearerToken::new(&"sentinel".to_owned().into()).unwrap();
    let transport =
        Transport::builder().config(config).credentials(token).service(server.clone()).build().unwrap();
    let store = HttpStore::builder("https://h/d/").transport(transport).build().unwrap();
    assert_eq!(store.read(&key("moved")).await.unwrap(), "hello");
    assert_eq!(kind(store.read(&key("down")).await), ErrorKind::Protocol);
    for seen in server.requests() {
        let told = seen.header("authorization").is_some();
        assert_eq!(told, seen.uri.host() == Some("h"), "{}", seen.uri);
    }
}

#[tokio::test]
async fn errors_say_what_the_server_answered() {
    let server = ScriptedService::replies([Reply::status(503).header("retry-after", "7").body("come back")]);
    let error = store(&server).read(&key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(7));
    assert_eq!(error.response_excerpt(), Some("come back"));
    let text = "http.object.get object https://h/d/k: the server answered 503 Service Unavailable (HTTP 503)";
    assert_eq!(error.to_string(), text);
}
