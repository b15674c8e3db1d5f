//! Buckets of the own S3 endpoint, seen by the cluster as the cloud behind it.

#![expect(clippy::expect_used, reason = "a test program")]

#[cfg(test)]
mod support;

use std::collections::BTreeMap;

use longshore_devserver::{DevServer, Handle};
use support::{Answer, Client, follow, s3};

/// `aws://cloud`, from both sides.
struct Sides {
    cluster: Client,
    s3: s3::Client,
    server: Handle,
}

impl Sides {
    fn start() -> Self {
        let server = DevServer::builder().s3("127.0.0.1:0").start_blocking().expect("a server");
        let (access_key, secret) = server.s3_key().expect("a key");
        let s3 = s3::Client::new(server.s3_addr().expect("an address"), access_key, secret);
        assert_eq!(s3.put("/cloud", b"").status, 200);
        let cluster = Client::new(server.aistore_addr());
        Self { cluster, s3, server }
    }

    fn object(&mut self, method: &str, name: &str, query: &str, body: &[u8]) -> Answer {
        let path = format!("/v1/objects/cloud/{name}?provider=aws{query}");
        follow(&mut self.cluster, method, &path, &[], body)
    }

    fn bucket(&mut self, method: &str, query: &str, body: &str) -> Answer {
        let path = format!("/v1/buckets/cloud?provider=aws{query}");
        self.cluster.call(method, &path, &[], body.as_bytes())
    }

    /// Names and flags of a listing.
    fn list(&mut self, value: &str) -> BTreeMap<String, u64> {
        let answer = self.bucket("GET", "", &format!(r#"{{"action":"list","value":{value}}}"#));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{text}");
        let mut entries = BTreeMap::new();
        for entry in text.split(r#"{"name":""#).skip(1) {
            let name = entry.split('"').next().unwrap_or_default();
            let flags = entry.split_once(r#""flags":"#).map_or("0", |(_, rest)| rest);
            let flags = flags.split(['}', ',']).next().and_then(|f| f.parse().ok()).unwrap_or(0);
            entries.insert(name.to_owned(), flags);
        }
        entries
    }
}

const CACHED: u64 = 64;
const CHANGED: u64 = 1024;
const GONE: u64 = 2048;

#[test]
fn reads_are_kept_until_evicted() {
    let mut sides = Sides::start();
    sides.s3.put("/cloud/dir/a", b"one");
    sides.s3.put("/cloud/b", b"two");
    assert_eq!(
        sides.list(r#"{"props":"name,cached"}"#),
        BTreeMap::from([("b".into(), 0), ("dir/a".into(), 0)])
    );
    assert_eq!(sides.object("GET", "dir/a", "", b"").body, b"one");
    assert_eq!(sides.list(r#"{"flags":"1"}"#), BTreeMap::from([("dir/a".into(), CACHED)]));
    assert_eq!(sides.list(r#"{"flags":"512"}"#), BTreeMap::from([("b".into(), 0)]));
    // Changed behind the cluster's back.
    sides.s3.put("/cloud/dir/a", b"three");
    assert_eq!(sides.object("GET", "dir/a", "", b"").body, b"one");
    let differing = sides.list(r#"{"props":"name,cached,custom","flags":"4096"}"#);
    assert_eq!(differing["dir/a"], CACHED | CHANGED);
    assert_eq!(sides.object("HEAD", "dir/a", "&latest-ver=true", b"").status, 409);
    assert_eq!(sides.object("GET", "dir/a", "&latest-ver=true", b"").body, b"three");
    assert_eq!(sides.object("DELETE", "dir/a", "", br#"{"action":"evict-listrange"}"#).status, 200);
    assert_eq!(sides.s3.get("/cloud/dir/a", "").body, b"three", "evicting is the cluster's own matter");
    assert_eq!(sides.object("HEAD", "dir/a", "&presence=2", b"").status, 404);
}

#[test]
fn what_is_gone_goes_with_synchronize() {
    let mut sides = Sides::start();
    sides.s3.put("/cloud/a", b"one");
    assert_eq!(sides.object("GET", "a", "", b"").status, 200);
    sides.s3.send("DELETE", "/cloud/a", "", &[], b"");
    sides.s3.put("/cloud/b", b"two");
    let differing = sides.list(r#"{"props":"name,custom","flags":"4096"}"#);
    assert_eq!(differing, BTreeMap::from([("a".into(), CACHED | GONE), ("b".into(), 0)]));
    assert_eq!(
        sides.bucket("GET", "", r#"{"action":"list","value":{"props":"custom","flags":"4097"}}"#).status,
        400
    );
    assert_eq!(sides.object("GET", "a", "&latest-ver=true", b"").status, 404);
    assert_eq!(sides.object("GET", "a", "", b"").body, b"one");
    // Alone: reads are compared with the origin by this too.
    let props = r#"{"action":"set-bprops","value":{"versioning":{"synchronize":true}}}"#;
    assert_eq!(sides.bucket("PATCH", "", props).status, 200);
    assert_eq!(sides.object("GET", "a", "", b"").status, 404);
    assert_eq!(sides.object("HEAD", "a", "&presence=2", b"").status, 404, "the copy is gone too");
    assert_eq!(sides.object("GET", "b", "", b"").body, b"two");
    sides.s3.put("/cloud/b", b"three");
    assert_eq!(sides.object("GET", "b", "", b"").body, b"three");
}

#[test]
fn names_alone_come_from_the_origin() {
    let mut sides = Sides::start();
    sides.s3.put("/cloud/a", b"one");
    assert_eq!(sides.object("GET", "a", "", b"").status, 200);
    for value in
        ["{}", r#"{"props":"name"}"#, r#"{"props":"name,size"}"#, r#"{"props":"custom","flags":"16"}"#]
    {
        assert_eq!(sides.list(value)["a"], 0, "{value}");
    }
    for value in [r#"{"props":"name,cached"}"#, r#"{"props":"name,checksum"}"#, r#"{"flags":"1"}"#] {
        assert_eq!(sides.list(value)["a"], CACHED, "{value}");
    }
}

#[test]
fn an_inventory_is_what_there_was() {
    let mut sides = Sides::start();
    for name in ["a", "dir/b", "dir/c", "dir/sub/d", "e"] {
        sides.s3.put(&format!("/cloud/{name}"), name.as_bytes());
    }
    let call = |sides: &mut Sides, method: &str, action: &str, name: &str, value: &str| {
        let body = format!(r#"{{"action":"{action}","name":"{name}","value":{value}}}"#);
        let answer = sides.bucket(method, "", &body);
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    };
    let list = r#"{"props":"name","flags":"32768"}"#;
    let (status, text) = call(&mut sides, "GET", "list", "", list);
    assert_eq!(status, 400);
    assert!(text.contains("has no inventories"), "{text}");
    assert_eq!(call(&mut sides, "GET", "show-inventory", "", "null"), (200, "{}\n".into()));
    let made = |sides: &mut Sides, value: &str| call(sides, "POST", "create-inventory", "", value);
    let (status, id) =
        made(&mut sides, r#"{"name":"first","props":"name,size,checksum","names_per_chunk":2}"#);
    assert_eq!(status, 200);
    assert!(id.starts_with("inv-"), "{id}");
    let (_, text) = call(&mut sides, "GET", "show-inventory", "", "null");
    assert!(text.contains(r#""aws/@#/cloud/first":"#) && text.contains(r#""ntotal":5"#), "{text}");
    assert_eq!(call(&mut sides, "GET", "show-inventory", "other", "null").1, "{}\n");
    // It stays as it is.
    sides.s3.send("DELETE", "/cloud/a", "", &[], b"");
    sides.s3.put("/cloud/new", b"new");
    let names = |found: BTreeMap<String, u64>| found.into_keys().collect::<Vec<_>>();
    assert_eq!(names(sides.list(r#"{"props":"name"}"#)), ["dir/b", "dir/c", "dir/sub/d", "e", "new"]);
    let page = |token: &str| format!(r#"{{"flags":"32768","pagesize":3,"continuation_token":"{token}"}}"#);
    assert_eq!(names(sides.list(&page(""))), ["a", "dir/b", "dir/c"]);
    assert_eq!(names(sides.list(&page("dir/c"))), ["dir/sub/d", "e"]);
    assert_eq!(names(sides.list(r#"{"flags":"34816","pagesize":9}"#)), ["a", "dir/", "e"]);
    assert_eq!(names(sides.list(r#"{"flags":"32768","prefix":"dir/s","pagesize":9}"#)), ["dir/sub/d"]);
    let (status, text) = call(&mut sides, "GET", "list", "", r#"{"flags":"36864","props":"custom"}"#);
    assert_eq!(status, 400, "{text}");
    // One at most, unless by force.
    let (status, text) = made(&mut sides, r#"{"name":"second"}"#);
    assert_eq!(status, 400);
    assert!(text.contains("already exists: [aws/@#/cloud/first]"), "{text}");
    assert_eq!(made(&mut sides, r#"{"name":"second","prefix":"dir/","force":true}"#).0, 200);
    assert_eq!(names(sides.list(r#"{"flags":"32768"}"#)), ["dir/b", "dir/c", "dir/sub/d"]);
    let path = "/v1/buckets/cloud?provider=aws";
    let body = format!(r#"{{"action":"list","value":{list}}}"#);
    let other = sides.cluster.call("GET", path, &[("ais-inv-name", "first")], body.as_bytes());
    assert_eq!(other.status, 404);
    // It goes by its name, or with its bucket.
    assert_eq!(call(&mut sides, "DELETE", "destroy-inventory", "first", "null").0, 200);
    assert!(call(&mut sides, "GET", "show-inventory", "", "null").1.contains("second"));
    assert_eq!(call(&mut sides, "DELETE", "evict-remote-bck", "", "null").0, 200);
    assert_eq!(call(&mut sides, "GET", "show-inventory", "", "null").1, "{}\n");
}

#[test]
fn writes_and_deletions_go_through() {
    let mut sides = Sides::start();
    let stored = sides.object("PUT", "a", "", b"hello");
    assert_eq!((stored.status, stored.header("etag")), (200, Some("5d41402abc4b2a76b9719d911017c592")));
    assert_eq!(sides.s3.get("/cloud/a", "").body, b"hello");
    let checksum = stored.header("ais-checksum-value").map(str::to_owned);
    // The cluster finds its own checksum again.
    sides.object("DELETE", "a", "", br#"{"action":"evict-listrange"}"#);
    let again = sides.object("GET", "a", "", b"");
    assert_eq!(again.header("ais-checksum-value").map(str::to_owned), checksum);
    assert_eq!(sides.object("DELETE", "a", "", b"").status, 200);
    assert_eq!(sides.s3.get("/cloud/a", "").status, 404);
    // In pieces: appended, and in parts.
    let begun = sides.object("PUT", "log", "&append_type=append&append_handle=", b"one, ");
    let handle = begun.header("ais-append-handle").expect("a handle").to_owned();
    let handle: String =
        handle.replace('|', "%7C").replace('+', "%2B").replace('=', "%3D").replace('%', "%25");
    let handle = handle.replace("%257C", "%7C").replace("%252B", "%2B").replace("%253D", "%3D");
    let flush = format!("&append_type=flush&append_handle={handle}");
    assert_eq!(sides.object("PUT", "log", &flush, b"").status, 200);
    assert_eq!(sides.s3.get("/cloud/log", "").body, b"one, ");
    let id = sides.object("POST", "big", "", br#"{"action":"mpt-upload"}"#).body;
    let id = String::from_utf8(id).expect("an id");
    let first = vec![7; 5 << 20];
    for (number, part) in [("1", first.as_slice()), ("2", b"end")] {
        let query = format!("&uploadId={id}&partNumber={number}");
        assert_eq!(sides.object("PUT", "big", &query, part).status, 200);
    }
    let parts = br#"{"action":"mpt-complete","value":[{"part-number":1},{"part-number":2}]}"#;
    assert_eq!(sides.object("POST", "big", &format!("&uploadId={id}"), parts).status, 200);
    let there = sides.s3.send("HEAD", "/cloud/big", "", &[], b"");
    assert_eq!(there.header("content-length"), Some("5242883"));
    assert!(there.header("etag").is_some_and(|tag| tag.ends_with("-2\"")));
}

#[test]
fn listings_go_on_over_pages() {
    let mut sides = Sides::start();
    for name in ["a", "d/1", "d/2", "e/1", "z"] {
        sides.s3.put(&format!("/cloud/{name}"), b"x");
    }
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let value = format!(r#"{{"pagesize":2,"flags":"2048","continuation_token":"{token}"}}"#);
        names.extend(sides.list(&value).into_keys());
        let page = sides.bucket("GET", "", &format!(r#"{{"action":"list","value":{value}}}"#));
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let next = page.split_once(r#""continuation_token":""#).and_then(|(_, rest)| rest.split('"').next());
        token = next.unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "d/", "e/", "z"]);
}

#[test]
fn jobs_fetch_and_forget() {
    let mut sides = Sides::start();
    for name in ["p/1", "p/2", "q/1"] {
        sides.s3.put(&format!("/cloud/{name}"), b"x");
    }
    let prefetch = r#"{"action":"prefetch-listrange","value":{"template":"p/"}}"#;
    assert_eq!(sides.bucket("POST", "", prefetch).status, 200);
    let cached = |sides: &mut Sides| sides.list(r#"{"flags":"1"}"#).into_keys().collect::<Vec<_>>();
    assert_eq!(cached(&mut sides), ["p/1", "p/2"]);
    let evict = r#"{"action":"evict-listrange","value":{"objnames":["p/1"]}}"#;
    assert_eq!(sides.bucket("DELETE", "", evict).status, 200);
    assert_eq!(cached(&mut sides), ["p/2"]);
    let forget = r#"{"action":"evict-remote-bck"}"#;
    assert_eq!(sides.bucket("DELETE", "&keep_bck_md=true", forget).status, 200);
    assert_eq!(sides.bucket("HEAD", "&presence=2", "").status, 200);
    assert!(cached(&mut sides).is_empty());
    assert_eq!(sides.bucket("DELETE", "", forget).status, 200);
    assert_eq!(sides.bucket("HEAD", "&presence=2", "").status, 404);
    assert_eq!(sides.s3.get("/cloud/p/1", "").status, 200);
}

#[test]
fn other_calls_fetch_what_they_need() {
    let mut sides = Sides::start();
    sides.s3.put("/cloud/a", b"one");
    sides.s3.put("/cloud/dir/b", b"two");
    // A batch.
    let batch = br#"{"in":[{"objname":"a"},{"objname":"dir/b"}],"mime":".tar","strm":true}"#;
    let answer = follow(&mut sides.cluster, "GET", "/v1/ml/moss/cloud?provider=aws", &[], batch);
    assert!(answer.status == 200 && String::from_utf8_lossy(&answer.body).contains("two"));
    // A copy of everything, into a bucket of the cluster.
    let to = "&presence=0&bck_to=ais%2F%40%23%2Fown%2F";
    assert_eq!(sides.bucket("POST", to, r#"{"action":"copy-bck","value":{}}"#).status, 200);
    let copied = follow(&mut sides.cluster, "GET", "/v1/objects/own/dir/b?provider=ais", &[], b"");
    assert_eq!(copied.body, b"two");
    // An archive, which goes through.
    let archive = r#"{"objnames":["a"],"archname":"x.tar","tobck":{"name":"cloud","provider":"aws"}}"#;
    assert_eq!(sides.bucket("PUT", "", &format!(r#"{{"action":"archive","value":{archive}}}"#)).status, 200);
    assert!(sides.s3.get("/cloud/x.tar", "").body.starts_with(b"a\0"));
    // And the cluster's own S3 dialect.
    let read = follow(&mut sides.cluster, "GET", "/s3/cloud/dir/b", &[], b"");
    assert_eq!((read.status, read.body.as_slice()), (200, b"two".as_slice()));
}

#[test]
fn copying_leaves_the_cached_source_alone() {
    let mut sides = Sides::start();
    assert_eq!(sides.cluster.call("POST", "/v1/buckets/own", &[], br#"{"action":"create-bck"}"#).status, 200);
    let to = "&object_to=ais%2F%40%23%2Fown%2Fa";
    let copied = |sides: &mut Sides| {
        follow(&mut sides.cluster, "GET", "/v1/objects/own/a?provider=ais", &[], b"").body
    };
    let cached = |sides: &mut Sides| sides.list(r#"{"flags":"1"}"#).into_keys().collect::<Vec<_>>();
    // What the cluster lacks is copied from where it is, and not kept.
    sides.s3.put("/cloud/a", b"one");
    assert_eq!(sides.object("PUT", "a", to, b"").status, 200);
    assert_eq!(copied(&mut sides), b"one");
    assert!(cached(&mut sides).is_empty());
    // An outdated copy is good enough unless the latest is asked for, and stays what it is.
    assert_eq!(sides.object("GET", "a", "", b"").body, b"one");
    sides.s3.put("/cloud/a", b"two, behind the cluster's back");
    assert_eq!(sides.object("PUT", "a", to, b"").status, 200);
    assert_eq!(copied(&mut sides), b"one");
    for flag in ["latest-ver", "synchronize"] {
        let content = format!("content for {flag}");
        sides.s3.put("/cloud/a", content.as_bytes());
        assert_eq!(sides.object("PUT", "a", &format!("{to}&{flag}=true"), b"").status, 200);
        assert_eq!(copied(&mut sides), content.as_bytes());
        assert_eq!(sides.object("GET", "a", "", b"").body, b"one", "{flag}");
    }
    // One without an original is not copied, and goes only if told to.
    sides.s3.send("DELETE", "/cloud/a", "", &[], b"");
    assert_eq!(sides.object("PUT", "a", &format!("{to}&latest-ver=true"), b"").status, 404);
    assert_eq!(cached(&mut sides), ["a"]);
    assert_eq!(sides.object("PUT", "a", &format!("{to}&synchronize=true"), b"").status, 404);
    assert!(cached(&mut sides).is_empty());
    assert_eq!(copied(&mut sides), b"content for synchronize");
}

#[test]
fn jobs_copy_the_newest_and_remove_what_is_gone() {
    let mut sides = Sides::start();
    for name in ["kept", "gone"] {
        sides.s3.put(&format!("/cloud/{name}"), b"one");
        assert_eq!(sides.object("GET", name, "", b"").body, b"one");
    }
    sides.s3.put("/cloud/cold", b"never read");
    let own = |sides: &mut Sides, name: &str| {
        let path = format!("/v1/objects/own/{name}?provider=ais");
        let answer = follow(&mut sides.cluster, "GET", &path, &[], b"");
        (answer.status == 200).then_some(answer.body)
    };
    let cached = |sides: &mut Sides| sides.list(r#"{"flags":"1"}"#).into_keys().collect::<Vec<_>>();
    let copy = |sides: &mut Sides, value: &str| {
        let body = format!(r#"{{"action":"copy-bck","value":{value}}}"#);
        assert_eq!(sides.bucket("POST", "&presence=0&bck_to=ais%2F%40%23%2Fown%2F", &body).status, 200);
    };
    copy(&mut sides, "{}");
    assert_eq!(own(&mut sides, "cold").as_deref(), Some(b"never read".as_slice()));
    assert_eq!(own(&mut sides, "gone").as_deref(), Some(b"one".as_slice()));
    assert_eq!(cached(&mut sides), ["gone", "kept"]);
    sides.s3.put("/cloud/kept", b"two");
    sides.s3.send("DELETE", "/cloud/gone", "", &[], b"");
    copy(&mut sides, r#"{"synchronize":true}"#);
    assert_eq!(own(&mut sides, "kept").as_deref(), Some(b"two".as_slice()));
    assert_eq!(
        own(&mut sides, "cold").as_deref(),
        Some(b"never read".as_slice()),
        "it is where it came from"
    );
    assert_eq!(own(&mut sides, "gone"), None);
    assert_eq!(sides.object("GET", "kept", "", b"").body, b"one");
    // A selection.
    let some =
        r#"{"objnames":["kept"],"prepend":"s/","latest-ver":true,"tobck":{"name":"own","provider":"ais"}}"#;
    let body = format!(r#"{{"action":"copy-listrange","value":{some}}}"#);
    assert_eq!(sides.bucket("POST", "", &body).status, 200);
    assert_eq!(own(&mut sides, "s/kept").as_deref(), Some(b"two".as_slice()));
    assert_eq!(sides.object("GET", "kept", "", b"").body, b"one");
    // Likewise by a template: what is gone goes on both sides, where the template matches.
    let to = r#""tobck":{"name":"own","provider":"ais"}"#;
    let some = |more: &str| {
        format!(r#"{{"action":"copy-listrange","value":{{"template":"n-{{1..2}}",{to}{more}}}}}"#)
    };
    for name in ["n-1", "n-2", "n-3"] {
        sides.s3.put(&format!("/cloud/{name}"), b"one");
        assert_eq!(sides.object("GET", name, "", b"").body, b"one");
        let path = format!("/v1/objects/own/{name}?provider=ais");
        assert_eq!(follow(&mut sides.cluster, "PUT", &path, &[], b"one").status, 200);
        sides.s3.send("DELETE", &format!("/cloud/{name}"), "", &[], b"");
    }
    assert_eq!(sides.bucket("POST", "", &some("")).status, 200);
    assert_eq!(own(&mut sides, "n-1").as_deref(), Some(b"one".as_slice()));
    assert_eq!(sides.bucket("POST", "", &some(r#","synchronize":true"#)).status, 200);
    assert_eq!((own(&mut sides, "n-1"), own(&mut sides, "n-2")), (None, None));
    assert!(own(&mut sides, "n-3").is_some());
    assert_eq!(cached(&mut sides), ["gone", "kept", "n-3"], "others stay");
}

#[test]
fn faults_of_the_cloud_reach_the_cluster() {
    let mut sides = Sides::start();
    sides.s3.put("/cloud/a", b"hello");
    let fault = |sides: &Sides, text: &str| {
        sides.server.faults().add_str(text).expect("a fault");
    };
    fault(&sides, "get:node=s3:status=503:count=1");
    let refused = sides.object("GET", "a", "", b"");
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.status, 503, "{text}");
    assert!(text.contains("aws-error[SlowDown"), "{text}");
    for kind in ["reset-at=4", "truncate-at=0", "close", "stall"] {
        fault(&sides, &format!("get:node=s3:key=a:{kind}:count=1"));
        assert_eq!(sides.object("GET", "a", "", b"").status, 500, "{kind}");
    }
    assert!(sides.list(r#"{"flags":"1"}"#).is_empty(), "nothing is kept of what broke off");
    fault(&sides, "get:node=s3:delay=1ms:count=1");
    assert_eq!(sides.object("GET", "a", "", b"").body, b"hello");
    // What is cached needs no cloud.
    fault(&sides, "any:node=s3:status=500");
    assert_eq!(sides.object("GET", "a", "", b"").body, b"hello");
    assert_eq!(sides.bucket("GET", "", r#"{"action":"list","value":{"props":"name,cached"}}"#).status, 500);
    assert_eq!(sides.object("HEAD", "b", "", b"").status, 500);
    assert_eq!(sides.object("PUT", "b", "", b"new").status, 500);
    sides.server.faults().clear();
    assert_eq!(sides.s3.get("/cloud/b", "").status, 404);
    assert_eq!(sides.object("GET", "b", "", b"").status, 404, "a write that does not go through is none");
    fault(&sides, "put:node=s3:no-space-at=2:count=1");
    assert_eq!(sides.object("PUT", "b", "", b"new").status, 507);
    assert_eq!(sides.object("PUT", "b", "", b"new").status, 200);
}

#[test]
fn copies_survive_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let start =
        || DevServer::builder().s3("127.0.0.1:0").data_dir(dir.path()).start_blocking().expect("a server");
    let path = "/v1/objects/cloud/a?provider=aws";
    {
        let server = start();
        let (access_key, secret) = server.s3_key().expect("a key");
        let s3 = s3::Client::new(server.s3_addr().expect("an address"), access_key, secret);
        s3.put("/cloud", b"");
        s3.put("/cloud/a", b"one");
        assert_eq!(follow(&mut Client::new(server.aistore_addr()), "GET", path, &[], b"").body, b"one");
        s3.send("DELETE", "/cloud/a", "", &[], b"");
    }
    let server = start();
    let mut client = Client::new(server.aistore_addr());
    assert_eq!(follow(&mut client, "GET", path, &[], b"").body, b"one");
    assert_eq!(support::body_files_left(dir.path()), 1);
}

#[test]
fn without_an_endpoint_there_is_no_cloud() {
    let server = support::server();
    let mut client = Client::new(server.aistore_addr());
    let answer = client.call("HEAD", "/v1/buckets/cloud?provider=aws", &[], b"");
    assert_eq!(answer.status, 404);
    assert!(answer.header("hdr-error").is_some_and(|text| text.contains("AWS backend is missing")));
}
