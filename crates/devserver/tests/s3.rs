//! The S3 endpoint, asked by hand-signed requests.

#![expect(clippy::expect_used, reason = "a test program")]

#[cfg(test)]
mod support;

use base64::Engine as _;
use longshore_devserver::{DevServer, Handle, NodeKind};
use support::s3::Client;

fn server() -> (Handle, Client) {
    let server = DevServer::builder().s3("127.0.0.1:0").start_blocking().expect("a server");
    let (access_key, secret) = server.s3_key().expect("a key");
    let client = Client::new(server.s3_addr().expect("an address"), access_key, secret);
    (server, client)
}

/// What stands between the first pair of these tags.
fn tagged<'a>(xml: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(text, _)| text)
}

fn all<'a>(xml: &'a str, tag: &str) -> Vec<&'a str> {
    let open = format!("<{tag}>");
    xml.split(&open).skip(1).filter_map(|rest| rest.split('<').next()).collect()
}

#[test]
fn objects_come_back_with_what_they_were_given() {
    let (server, s3) = server();
    assert_eq!(s3.put("/bucket", b"").status, 200);
    let stored = s3.send(
        "PUT",
        "/bucket/dir/a%20b",
        "",
        &[("x-amz-meta-color", "red"), ("content-type", "text/x")],
        b"hello",
    );
    assert_eq!((stored.status, stored.header("etag")), (200, Some("\"5d41402abc4b2a76b9719d911017c592\"")));
    let read = s3.get("/bucket/dir/a%20b", "");
    assert_eq!(read.body, b"hello");
    assert_eq!(read.header("x-amz-meta-color"), Some("red"));
    assert_eq!(read.header("content-type"), Some("text/x"));
    let range = s3.send("GET", "/bucket/dir/a%20b", "", &[("range", "bytes=-2")], b"");
    assert_eq!((range.status, range.header("content-range")), (206, Some("bytes 3-4/5")));
    assert_eq!(range.body, b"lo");
    let beyond = s3.send("GET", "/bucket/dir/a%20b", "", &[("range", "bytes=5-")], b"");
    assert_eq!(beyond.status, 416);
    s3.put("/bucket/empty", b"");
    assert_eq!(s3.send("GET", "/bucket/empty", "", &[("range", "bytes=-2")], b"").status, 416);
    s3.send("DELETE", "/bucket/empty", "", &[], b"");
    // Some clients send and sign an empty range.
    let empty = s3.send("GET", "/bucket/dir/a%20b", "", &[("range", "")], b"");
    assert_eq!((empty.status, empty.body.as_slice()), (200, &b"hello"[..]));
    let head = s3.send("HEAD", "/bucket/dir/a%20b", "", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
    assert_eq!(s3.send("HEAD", "/bucket/none", "", &[], b"").status, 404);
    assert_eq!(s3.send("DELETE", "/bucket/none", "", &[], b"").status, 204);
    assert_eq!(s3.send("DELETE", "/bucket", "", &[], b"").status, 409);
    assert_eq!(s3.send("DELETE", "/bucket/dir/a%20b", "", &[], b"").status, 204);
    assert_eq!(s3.send("DELETE", "/bucket", "", &[], b"").status, 204);
    let seen = server.journal().filter(|e| e.node == NodeKind::S3 && e.operation == "put");
    assert_eq!(seen[0].key.as_deref(), Some("dir/a b"));
    assert!(seen[0].authorized && seen[0].bytes_in == 5);
}

#[test]
fn unusual_keys_stay_as_they_are() {
    let (_server, s3) = server();
    s3.put("/bucket", b"");
    for path in
        ["/bucket//lead", "/bucket/a//b", "/bucket/dir/", "/bucket/../x", "/bucket/%01", "/bucket/%3Cx%26"]
    {
        assert_eq!(s3.put(path, b"x").status, 200, "{path}");
        assert_eq!(s3.get(path, "").body, b"x", "{path}");
    }
    let listed = String::from_utf8(s3.get("/bucket", "encoding-type=url&list-type=2").body).expect("text");
    assert_eq!(all(&listed, "Key"), ["%01", "../x", "/lead", "%3Cx%26", "a//b", "dir/"]);
}

#[test]
fn signatures_are_checked() {
    let (server, s3) = server();
    s3.put("/bucket", b"");
    let wrong = Client::new(server.s3_addr().expect("an address"), "longshore", "other");
    let answer = wrong.get("/bucket", "list-type=2");
    assert_eq!(answer.status, 403);
    assert!(String::from_utf8_lossy(&answer.body).contains("SignatureDoesNotMatch"));
    let unknown =
        Client::new(server.s3_addr().expect("an address"), "who", "x").get("/bucket", "list-type=2");
    assert!(String::from_utf8_lossy(&unknown.body).contains("InvalidAccessKeyId"));
    assert_eq!(s3.unsigned("GET", "/bucket").status, 403);
    // Signed for other bytes.
    let bent = s3.send_bent("/bucket/k", b"abc", b"abd");
    assert_eq!(bent.status, 400, "{}", String::from_utf8_lossy(&bent.body));
    assert_eq!(s3.get("/bucket/k", "").status, 404);
}

#[test]
fn conditions_hold_or_not() {
    let (_server, s3) = server();
    s3.put("/bucket", b"");
    let create = [("if-none-match", "*")];
    assert_eq!(s3.send("PUT", "/bucket/k", "", &create, b"1").status, 200);
    assert_eq!(s3.send("PUT", "/bucket/k", "", &create, b"2").status, 412);
    let tag = s3.get("/bucket/k", "").header("etag").expect("a tag").to_owned();
    assert_eq!(s3.send("GET", "/bucket/k", "", &[("if-none-match", &tag)], b"").status, 304);
    assert_eq!(s3.send("GET", "/bucket/k", "", &[("if-match", "\"x\"")], b"").status, 412);
    assert_eq!(s3.send("PUT", "/bucket/k", "", &[("if-match", "\"x\"")], b"3").status, 412);
    assert_eq!(s3.send("PUT", "/bucket/k", "", &[("if-match", &tag)], b"4").status, 200);
    assert_eq!(s3.send("PUT", "/bucket/none", "", &[("if-match", &tag)], b"5").status, 404);
    assert_eq!(s3.get("/bucket/k", "").body, b"4");
}

#[test]
fn listings_page_and_roll_up() {
    let (_server, s3) = server();
    s3.put("/bucket", b"");
    for key in ["a", "b/1", "b/2", "b/c/3", "d"] {
        s3.put(&format!("/bucket/{key}"), b"x");
    }
    let list = |query: &str| String::from_utf8(s3.get("/bucket", query).body).expect("XML");
    let page = list("delimiter=%2F&list-type=2&max-keys=2");
    assert_eq!((all(&page, "Key"), tagged(&page, "IsTruncated")), (vec!["a"], Some("true")));
    assert_eq!(tagged(&page, "CommonPrefixes"), Some("<Prefix>b/</Prefix>"));
    let token = tagged(&page, "NextContinuationToken").expect("a token");
    let rest = list(&format!("continuation-token={token}&delimiter=%2F&list-type=2"));
    assert_eq!((all(&rest, "Key"), tagged(&rest, "IsTruncated")), (vec!["d"], Some("false")));
    assert_eq!(all(&list("list-type=2&prefix=b%2F&start-after=b%2F1"), "Key"), ["b/2", "b/c/3"]);
    let old = list("delimiter=%2F&marker=b%2F");
    assert_eq!(all(&old, "Key"), ["d"]);
}

#[test]
fn uploads_in_parts() {
    let (_server, s3) = server();
    s3.put("/bucket", b"");
    let begun = s3.send("POST", "/bucket/big", "uploads=", &[("content-type", "x/y")], b"");
    let begun = String::from_utf8(begun.body).expect("text");
    let id = tagged(&begun, "UploadId").expect("an id");
    let first = vec![7; 5 << 20];
    let put = |n: u32, bytes: &[u8]| {
        let answer = s3.send("PUT", "/bucket/big", &format!("partNumber={n}&uploadId={id}"), &[], bytes);
        answer.header("etag").map(str::to_owned).expect("a tag")
    };
    put(1, b"replaced below");
    let tags = [put(1, &first), put(2, b"end")];
    let parts = String::from_utf8(s3.get("/bucket/big", &format!("uploadId={id}")).body).expect("text");
    assert_eq!(all(&parts, "PartNumber"), ["1", "2"]);
    assert_eq!(all(&parts, "Size"), ["5242880", "3"]);
    let uploads = String::from_utf8(s3.get("/bucket", "uploads=").body).expect("text");
    assert_eq!(all(&uploads, "UploadId"), [id]);
    let part = |n: u32, tag: &str| format!("<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>");
    let list = [part(1, &tags[0]), part(2, &tags[1])].concat();
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let done = s3.send("POST", "/bucket/big", &format!("uploadId={id}"), &[], list.as_bytes());
    assert_eq!(done.status, 200, "{}", String::from_utf8_lossy(&done.body));
    let read = s3.get("/bucket/big", "");
    assert_eq!((read.body.len(), &read.body[read.body.len() - 3..]), ((5 << 20) + 3, &b"end"[..]));
    assert_eq!(read.header("content-type"), Some("x/y"));
    assert!(read.header("etag").is_some_and(|t| t.ends_with("-2\"")));
    let part = s3.get("/bucket/big", "partNumber=2");
    assert_eq!((part.status, part.body.as_slice()), (206, &b"end"[..]));
    // A copy of a range as a part, then a change of mind.
    let begun = String::from_utf8(s3.send("POST", "/bucket/two", "uploads=", &[], b"").body).expect("text");
    let id = tagged(&begun, "UploadId").expect("an id");
    let source = [("x-amz-copy-source", "/bucket/big"), ("x-amz-copy-source-range", "bytes=5242880-5242882")];
    let copied = s3.send("PUT", "/bucket/two", &format!("partNumber=1&uploadId={id}"), &source, b"");
    assert_eq!(copied.status, 200, "{}", String::from_utf8_lossy(&copied.body));
    assert_eq!(s3.send("DELETE", "/bucket/two", &format!("uploadId={id}"), &[], b"").status, 204);
    assert_eq!(s3.get("/bucket/two", &format!("uploadId={id}")).status, 404);
}

#[test]
fn copies_checksums_and_deleting_many() {
    let (_server, s3) = server();
    s3.put("/bucket", b"");
    let crc = "NhCmhg==";
    let given = [("x-amz-checksum-crc32", crc), ("x-amz-meta-a", "1")];
    assert_eq!(s3.send("PUT", "/bucket/k", "", &given, b"hello").status, 200);
    let bad = s3.send("PUT", "/bucket/bad", "", &[("x-amz-checksum-crc32", "AAAAAA==")], b"hello");
    assert_eq!(bad.status, 400);
    let copied = s3.send("PUT", "/bucket/copy", "", &[("x-amz-copy-source", "/bucket/k")], b"");
    assert_eq!(copied.status, 200);
    let exists = s3.send(
        "PUT",
        "/bucket/copy",
        "",
        &[("x-amz-copy-source", "/bucket/k"), ("if-none-match", "*")],
        b"",
    );
    assert_eq!(exists.status, 412);
    let read = s3.get("/bucket/copy", "");
    assert_eq!((read.header("x-amz-meta-a"), read.header("x-amz-checksum-crc32")), (Some("1"), Some(crc)));
    let list = "<Delete><Object><Key>k</Key></Object><Object><Key>none</Key></Object></Delete>";
    let digest = base64::prelude::BASE64_STANDARD.encode(<md5::Md5 as md5::Digest>::digest(list));
    let deleted = s3.send("POST", "/bucket", "delete=", &[("content-md5", &digest)], list.as_bytes());
    assert_eq!(all(&String::from_utf8(deleted.body).expect("text"), "Key"), ["k", "none"]);
    assert_eq!(s3.get("/bucket/k", "").status, 404);
}

#[test]
fn faults() {
    let (server, s3) = server();
    s3.put("/bucket", b"");
    s3.put("/bucket/k", b"0123456789");
    let add = |text: &str| server.faults().add_str(text).expect("a fault");
    add("get:node=s3:status=503/1:count=1");
    let refused = s3.get("/bucket/k", "");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(String::from_utf8_lossy(&refused.body).contains("<Code>SlowDown</Code>"));
    add("get:ignore-range:count=1");
    let range = [("range", "bytes=2-3")];
    assert_eq!(s3.send("GET", "/bucket/k", "", &range, b"").status, 200);
    add("get:wrong-range=1:count=1");
    let shifted = s3.send("GET", "/bucket/k", "", &range, b"");
    assert_eq!(
        (shifted.body.as_slice(), shifted.header("content-range")),
        (&b"34"[..], Some("bytes 3-4/10"))
    );
    add("get:truncate-at=4:count=1");
    assert!(s3.get("/bucket/k", "").broken.is_some());
    add("put:no-space-at=3:count=1");
    assert_eq!(s3.put("/bucket/full", b"12345").status, 507);
    add("get:replace:count=1");
    let replaced = s3.get("/bucket/k", "");
    assert_eq!(replaced.body.len(), 10);
    assert_ne!(replaced.body, b"0123456789");
}

#[test]
fn objects_outlive_the_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let start =
        || DevServer::builder().s3("127.0.0.1:0").data_dir(dir.path()).start_blocking().expect("a server");
    let client =
        |server: &Handle| Client::new(server.s3_addr().expect("an address"), "longshore", "longshore-secret");
    let server = start();
    let s3 = client(&server);
    s3.put("/bucket", b"");
    s3.put("/bucket/k", b"kept");
    drop(server);
    let server = start();
    assert_eq!(client(&server).get("/bucket/k", "").body, b"kept");
}
