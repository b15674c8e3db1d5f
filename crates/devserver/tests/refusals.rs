//! What a real cluster loses data over, hangs in or dies of: here it is 400, with a text that says why.

#[cfg(test)]
mod support;

use longshore_devserver::Handle;
use support::{Answer, Client, follow, server, tar};

struct Cluster {
    client: Client,
    server: Handle,
}

impl Cluster {
    fn start() -> Self {
        let server = server();
        let mut client = Client::new(server.aistore_addr());
        let created = client.call("POST", "/v1/buckets/b?provider=ais", &[], br#"{"action":"create-bck"}"#);
        assert_eq!(created.status, 200);
        Self { client, server }
    }

    fn object(&mut self, method: &str, rest: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        follow(&mut self.client, method, &format!("/v1/objects/b/{rest}"), headers, body)
    }

    fn bucket(&mut self, method: &str, body: &str) -> Answer {
        self.client.call(method, "/v1/buckets/b?provider=ais", &[], body.as_bytes())
    }

    fn put(&mut self, name: &str, body: &[u8]) {
        assert_eq!(self.object("PUT", name, &[], body).status, 200, "{name}");
    }
}

/// The answer refuses, its connection stands, and the text contains `why`.
fn refused(answer: &Answer, why: &str) {
    let text = answer.header("hdr-error").map_or_else(|| String::from_utf8_lossy(&answer.body), Into::into);
    assert_eq!((answer.status, answer.broken), (400, None), "{text}");
    assert!(text.contains(why), "{text}");
}

#[test]
fn negative_page_size() {
    let mut cluster = Cluster::start();
    let page = cluster.bucket("GET", r#"{"action":"list","value":{"pagesize":-1}}"#);
    refused(&page, "page size -1 is negative");
}

#[test]
fn empty_range() {
    let mut cluster = Cluster::start();
    cluster.put("o", b"hello");
    refused(&cluster.object("GET", "o", &[("Range", "bytes=")], b""), "range");
    cluster.put("o", b"the object is not locked");
}

#[test]
fn pattern_on_a_zip() {
    let mut cluster = Cluster::start();
    cluster.put("s.zip", b"never looked into");
    for mode in ["suffix", "regexp", "wdskey"] {
        refused(&cluster.object("GET", &format!("s.zip?archmode={mode}&archregx=x"), &[], b""), "zip");
    }
    cluster.put("s.zip", b"the object is not locked");
}

#[test]
fn part_sent_twice() {
    let mut cluster = Cluster::start();
    let id = cluster.object("POST", "o", &[], br#"{"action":"mpt-upload"}"#);
    let id = String::from_utf8(id.body).expect("an id");
    let part = format!("o?uploadId={id}&partNumber=1");
    assert_eq!(cluster.object("PUT", &part, &[], b"one").status, 200);
    refused(&cluster.object("PUT", &part, &[], b"two"), "lose the part's data");
}

#[test]
fn padded_tar_grows() {
    let mut cluster = Cluster::start();
    let mut padded = tar(&[("a", "one")]);
    padded.resize(10_240, 0);
    cluster.put("s.tar", &padded);
    let grown = cluster.object("PUT", "s.tar?archpath=b", &[("Ais-Pine", "1")], b"two");
    refused(&grown, "cannot be extended in place");
    assert_eq!(cluster.object("GET", "s.tar?archpath=a", &[], b"").body, b"one");
}

#[test]
fn unknown_checksum_type() {
    let mut cluster = Cluster::start();
    let headers = [("Ais-Checksum-Type", "crc99"), ("Ais-Checksum-Value", "0")];
    refused(&cluster.object("PUT", "o", &headers, b"x"), "invalid checksum type");
}

#[test]
fn latest_version_of_an_own_object() {
    let mut cluster = Cluster::start();
    cluster.put("o", b"x");
    refused(&cluster.object("HEAD", "o?latest-ver=true", &[], b""), "latest-ver needs a remote bucket");
}

#[test]
fn bucket_head_at_a_target() {
    let mut cluster = Cluster::start();
    let moved = cluster.client.call("GET", "/v1/objects/b/o", &[], b"");
    let (target, _) = support::split_url(moved.header("location").expect("a location"));
    let answer = Client::new(target).call("HEAD", "/v1/buckets/b?provider=ais", &[], b"");
    refused(&answer, "requires proxy mediation");
}

#[test]
fn endless_templates() {
    let mut cluster = Cluster::start();
    cluster.put("n-1", b"x");
    for template in ["n-%d", "n-{0..99999999}", "n-@99999999"] {
        let value = format!(r#"{{"template":"{template}"}}"#);
        let deleted =
            cluster.bucket("DELETE", &format!(r#"{{"action":"delete-listrange","value":{value}}}"#));
        refused(&deleted, "too many names");
        let to = format!(r#"{{"template":"{template}","tobck":{{"name":"b","provider":"ais"}}}}"#);
        let copied = cluster.bucket("POST", &format!(r#"{{"action":"copy-listrange","value":{to}}}"#));
        refused(&copied, "too many names");
        let to = to.replacen('{', r#"{"archname":"a.tar","#, 1);
        let packed = cluster.bucket("PUT", &format!(r#"{{"action":"archive","value":{to}}}"#));
        refused(&packed, "too many names");
    }
    assert_eq!(cluster.object("GET", "n-1", &[], b"").status, 200, "nothing was deleted");
}

#[test]
fn batch_range_outside_the_object() {
    let mut cluster = Cluster::start();
    cluster.put("o", b"hello");
    let body = br#"{"in":[{"objname":"o","start":3,"length":9}],"mime":".tar","strm":true}"#;
    let answer = follow(&mut cluster.client, "GET", "/v1/ml/moss/b?provider=ais", &[], body);
    refused(&answer, "range");
}

#[test]
fn keys_that_the_s3_endpoint_would_cut() {
    let mut cluster = Cluster::start();
    for key in ["a%23b", "a%3Fb"] {
        let answer = follow(&mut cluster.client, "PUT", &format!("/s3/b/{key}"), &[], b"x");
        refused(&answer, "loses what follows");
    }
    let answer = follow(&mut cluster.client, "PUT", "/ais/b/dir/o", &[], b"x");
    refused(&answer, "loses the first '/'");
}

#[test]
fn listing_over_an_unreadable_archive() {
    let mut cluster = Cluster::start();
    cluster.put("good.tar", &tar(&[("a", "one")]));
    let list = r#"{"action":"list","value":{"flags":"8"}}"#;
    let page = cluster.bucket("GET", list);
    assert!(String::from_utf8_lossy(&page.body).contains("good.tar/a"));
    cluster.put("bad.tar", &[b'x'; 2048]);
    refused(&cluster.bucket("GET", list), "bad.tar");
    assert_eq!(cluster.bucket("GET", r#"{"action":"list","value":{}}"#).status, 200);
}

#[test]
fn names_that_no_listing_shows() {
    let mut cluster = Cluster::start();
    let why = "lists no object with";
    refused(&cluster.object("PUT", "a//b", &[], b"x"), why);
    refused(&cluster.object("PUT", "a//b?append_type=append", &[], b"x"), why);
    refused(&cluster.object("POST", "a//b", &[], br#"{"action":"mpt-upload"}"#), why);
    cluster.put("o", b"x");
    refused(&cluster.object("POST", "o", &[], br#"{"action":"rename-obj","name":"a//b"}"#), why);
    refused(&cluster.object("PUT", "o?object_to=ais%2F%40%23%2Fb%2Fa%2F%2Fb", &[], b""), why);
    refused(&follow(&mut cluster.client, "PUT", "/s3/b/a//b", &[], b"x"), why);
}

#[test]
fn archive_after_one_that_failed() {
    let mut cluster = Cluster::start();
    cluster.put("o", b"x");
    let archive = |names: &str, to: &str| {
        let bucket = r#"{"name":"b","provider":"ais"}"#;
        format!(
            r#"{{"action":"archive","value":{{"objnames":[{names}],"archname":"{to}","tobck":{bucket}}}}}"#
        )
    };
    assert_eq!(cluster.bucket("PUT", &archive(r#""o","nope""#, "one.tar")).status, 200);
    refused(&cluster.bucket("PUT", &archive(r#""o""#, "two.tar")), "has to wait until it has ended");
    let failed = cluster.server.journal().count(|e| e.status == Some(400));
    assert_eq!(failed, 1);
}
