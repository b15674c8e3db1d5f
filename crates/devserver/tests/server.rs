//! The running server, asked over raw sockets so that every byte and every broken connection shows.

#[cfg(test)]
mod support;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_devserver::{DevServer, Fault, FaultKind, Handle, NodeKind, StartError};
use support::kill::{Victim, serve_if_child};
use support::{Answer, Client, follow, server, tar};

fn with_bucket(server: &Handle) -> Client {
    let mut client = Client::new(server.aistore_addr());
    let answer = client.call("POST", "/v1/buckets/b?provider=ais", &[], br#"{"action":"create-bck"}"#);
    assert_eq!(answer.status, 200);
    client
}

fn put(client: &mut Client, name: &str, body: &[u8]) -> Answer {
    follow(client, "PUT", &format!("/v1/objects/b/{name}?provider=ais"), &[], body)
}

fn get(client: &mut Client, name: &str, headers: &[(&str, &str)]) -> Answer {
    follow(client, "GET", &format!("/v1/objects/b/{name}?provider=ais"), headers, b"")
}

#[test]
fn stores_and_serves() {
    let server = server();
    let mut client = with_bucket(&server);
    let body: Vec<u8> = (0..=255_u8).cycle().take(700_000).collect();
    assert_eq!(put(&mut client, "dir/o", &body).status, 200);
    let answer = get(&mut client, "dir/o", &[]);
    assert_eq!((answer.status, &answer.body), (200, &body));
    let answer = get(&mut client, "dir/o", &[("Range", "bytes=300000-300003")]);
    assert_eq!((answer.status, answer.body.as_slice()), (206, &body[300_000..300_004]));
    assert_eq!(answer.header("content-range"), Some("bytes 300000-300003/700000"));
}

#[test]
fn a_large_body_is_redirected_before_it_is_read() {
    let server = server();
    let client = with_bucket(&server);
    let head = "PUT /v1/objects/b/o?provider=ais HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n";
    let answer = client.raw(head.as_bytes()).expect("an answer without a body");
    assert_eq!((answer.status, answer.header("connection")), (307, Some("close")));
    // Below the limit the body is read first, and the connection stays.
    let mut client = Client::new(server.aistore_addr());
    let answer = client.call("PUT", "/v1/objects/b/o?provider=ais", &[], &vec![0; 262_143]);
    assert_eq!((answer.status, answer.header("connection")), (307, None));
    assert_eq!(client.call("GET", "/v1/health", &[], b"").status, 200);
}

#[test]
fn expect_continue() {
    let server = server();
    let mut client = with_bucket(&server);
    let head = |path: &str| {
        format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    };
    let path = "/v1/objects/b/o?provider=ais";
    let answer = client.raw(head(path).as_bytes()).expect("a redirect");
    assert_eq!((answer.status, answer.header("connection")), (307, Some("close")));
    let location = answer.header("location").expect("a location").to_owned();
    let (address, path) = support::split_url(&location);
    let answer = Client::new(address).raw_continue(head(&path).as_bytes(), b"body");
    assert_eq!(answer.status, 200);
    assert_eq!(get(&mut client, "o", &[]).body, b"body");
    let entry = server.journal().filter(|e| e.node == NodeKind::Target && e.method == "PUT");
    assert!(entry[0].expects_continue && entry[0].bytes_in == 4 && entry[0].status == Some(200));
}

#[test]
fn body_faults() {
    let server = server();
    let mut client = with_bucket(&server);
    let body = vec![7_u8; 100_000];
    put(&mut client, "o", &body);
    let faulty = |text: &str| {
        server.faults().clear();
        server.faults().add_str(text).expect("a fault");
    };

    faulty("get:reset-at=1000:count=1");
    let broken = get(&mut client, "o", &[]);
    assert_eq!((broken.body.len(), broken.broken), (1000, Some(ErrorKind::ConnectionReset)));
    assert_eq!(get(&mut client, "o", &[]).body.len(), 100_000, "the fault is used up");

    faulty("get:truncate-at=1000");
    let broken = get(&mut client, "o", &[]);
    assert_eq!((broken.body.len(), broken.broken), (1000, Some(ErrorKind::UnexpectedEof)));

    faulty("get:short-by=1");
    let short = get(&mut client, "o", &[]);
    assert_eq!((short.body.len(), short.header("content-length")), (99_999, Some("99999")));

    faulty("get:rate=10MiB");
    assert_eq!(get(&mut client, "o", &[]).body, body);

    faulty("get:byte-writes");
    assert_eq!(get(&mut client, "o", &[("Range", "bytes=0-99")]).body.len(), 100);

    faulty("get:extra=5");
    let answer = get(&mut client, "o", &[]);
    assert_eq!((answer.body.len(), answer.excess()), (100_000, 5));

    faulty("get:wrong-checksum");
    let right = get(&mut client, "missing", &[]);
    assert_eq!(right.status, 404);
    let wrong = get(&mut client, "o", &[]).header("ais-checksum-value").map(str::to_owned);
    server.faults().clear();
    let right = get(&mut client, "o", &[]).header("ais-checksum-value").map(str::to_owned);
    assert_ne!(wrong, right);

    faulty("get:stall-at=10");
    assert_eq!(get(&mut client, "o", &[]).broken, Some(ErrorKind::WouldBlock));
    faulty("get:stall");
    assert_eq!(get(&mut client, "o", &[]).broken, Some(ErrorKind::WouldBlock));
}

#[test]
fn range_faults() {
    let server = server();
    let mut client = with_bucket(&server);
    put(&mut client, "o", b"0123456789");
    let range = [("Range", "bytes=2-4")];
    let faulty = |text: &str| {
        server.faults().clear();
        server.faults().add_str(text).expect("a fault");
    };
    faulty("get:ignore-range");
    let answer = get(&mut client, "o", &range);
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"0123456789"[..]));
    faulty("get:wrong-range=3");
    let answer = get(&mut client, "o", &range);
    assert_eq!((answer.body.as_slice(), answer.header("content-range")), (&b"567"[..], Some("bytes 5-7/10")));
    faulty("get:wrong-range-body=3");
    let answer = get(&mut client, "o", &range);
    assert_eq!((answer.body.as_slice(), answer.header("content-range")), (&b"567"[..], Some("bytes 2-4/10")));
    faulty("get:replace:skip=1:count=1");
    assert_eq!(get(&mut client, "o", &range).header("ais-version"), Some("1"));
    let answer = get(&mut client, "o", &range);
    assert_eq!(answer.header("ais-version"), Some("2"));
    assert_eq!(answer.body, b"234".map(|b| !b));
}

#[test]
fn refusals_and_redirects() {
    let server = server();
    let mut client = with_bucket(&server);
    put(&mut client, "o", b"x");
    let faulty = |text: &str| {
        server.faults().clear();
        server.faults().add_str(text).expect("a fault");
    };
    faulty("get:status=503/2");
    let answer = get(&mut client, "o", &[]);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    faulty("get:status=429:node=gateway");
    let answer = client.call("GET", "/v1/objects/b/o", &[], b"");
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));

    let redirect = |client: &mut Client| {
        client
            .call("GET", "/v1/objects/b/o", &[], b"")
            .header("location")
            .map(str::to_owned)
            .expect("a location")
    };
    faulty("get:redirect-dead");
    assert!(redirect(&mut client).starts_with("http://127.0.0.1:1/"));
    faulty("get:redirect-to=http://example.invalid:80");
    assert!(redirect(&mut client).starts_with("http://example.invalid:80/v1/objects/b/o?"));
    faulty("get:redirect-loop");
    assert!(redirect(&mut client).starts_with(server.aistore_url()));

    faulty("get:close");
    assert_eq!(get(&mut client, "o", &[]).broken, Some(ErrorKind::UnexpectedEof));
    faulty("cluster:close-idle");
    assert_eq!(client.call("GET", "/v1/health", &[], b"").status, 200);
    assert!(client.is_closed());
}

#[test]
fn no_space_leaves_nothing_behind() {
    let server = server();
    let mut client = with_bucket(&server);
    put(&mut client, "o", b"old");
    server.faults().add(Fault::new(FaultKind::NoSpaceAt(2)).operation("put").count(1));
    let answer = put(&mut client, "o", b"new bytes");
    assert_eq!(answer.status, 507);
    assert!(String::from_utf8_lossy(&answer.body).contains("ErrCapExceeded"));
    assert_eq!(get(&mut client, "o", &[]).body, b"old");
    assert_eq!(support::body_files(server.data_dir()), 1);
}

#[test]
fn a_restart_cuts_connections_and_comes_back() {
    let server = server();
    let mut client = with_bucket(&server);
    server
        .faults()
        .add(Fault::new(FaultKind::Restart(Duration::from_millis(20))).operation("cluster").count(1));
    assert!(client.call("GET", "/v1/health", &[], b"").broken.is_some());
    assert_eq!(Client::patient(server.aistore_addr()).call("GET", "/v1/health", &[], b"").status, 200);
}

#[test]
fn data_survives_a_restart_of_the_server() {
    let dir = tempfile::tempdir().expect("a directory");
    {
        let server = DevServer::builder().data_dir(dir.path()).start_blocking().expect("a server");
        let mut client = with_bucket(&server);
        put(&mut client, "kept", b"bytes");
        let second = DevServer::builder().data_dir(dir.path()).start_blocking();
        assert!(matches!(second, Err(StartError::Storage { .. })), "the directory is locked");
    }
    let server = DevServer::builder().data_dir(dir.path()).start_blocking().expect("a server");
    let mut client = Client::new(server.aistore_addr());
    assert_eq!(get(&mut client, "kept", &[]).body, b"bytes");
    assert_eq!(client.call("DELETE", "/v1/buckets/b", &[], br#"{"action":"destroy-bck"}"#).status, 200);
    assert_eq!(support::body_files_left(server.data_dir()), 0);
}

#[test]
fn listens_on_loopback_only() {
    let refused = DevServer::builder().aistore("0.0.0.0:0").start_blocking();
    assert!(matches!(refused, Err(StartError::NotLoopback(_))));
    let bad = DevServer::builder().aistore("nonsense").start_blocking();
    assert!(matches!(bad, Err(StartError::Address { .. })));
    assert!(DevServer::builder().aistore("0.0.0.0:0").allow_non_loopback(true).start_blocking().is_ok());
}

#[test]
fn the_journal_keeps_no_credentials() {
    let server = server();
    let mut client = with_bucket(&server);
    client.call("GET", "/v1/health", &[("Authorization", "Bearer s3cr3t")], b"");
    let entries = server.journal().filter(|e| e.authorized);
    assert_eq!(entries.len(), 1);
    assert!(!format!("{:?}", server.journal()).contains("s3cr3t"));
}

#[test]
fn a_part_number_sent_twice_is_refused() {
    let server = server();
    let mut client = with_bucket(&server);
    let path = "/v1/objects/b/big?provider=ais";
    let created = follow(&mut client, "POST", path, &[], br#"{"action":"mpt-upload"}"#);
    let id = String::from_utf8(created.body).expect("an id");
    let part = |client: &mut Client, n: u32, body: &[u8]| {
        follow(client, "PUT", &format!("{path}&uploadId={id}&partNumber={n}"), &[], body)
    };
    assert_eq!(part(&mut client, 1, b"one").status, 200);
    let again = part(&mut client, 1, b"one");
    assert_eq!(again.status, 400);
    assert!(String::from_utf8_lossy(&again.body).contains("was sent already"));
    assert_eq!(part(&mut client, 2, b"two").status, 200);
    let list = follow(&mut client, "GET", &format!("/s3/b/big?uploadId={id}"), &[], b"");
    assert!(String::from_utf8_lossy(&list.body).contains("<PartNumber>2</PartNumber>"));
    let complete = br#"{"action":"mpt-complete","value":[{"part-number":2},{"part-number":1}]}"#;
    assert_eq!(follow(&mut client, "POST", &format!("{path}&uploadId={id}"), &[], complete).status, 200);
    assert_eq!(get(&mut client, "big", &[("Range", "bytes=2-4")]).body, b"etw");
}

#[test]
fn a_bucket_keeps_its_name_while_a_job_copies() {
    let server = DevServer::builder().job_idle(Duration::from_millis(400)).start_blocking().unwrap();
    let mut client = with_bucket(&server);
    put(&mut client, "o", b"x");
    let ask = |client: &mut Client, path: &str, body: &str| client.call("POST", path, &[], body.as_bytes());
    let copy =
        r#"{"action":"copy-listrange","value":{"objnames":["o"],"tobck":{"name":"c","provider":"ais"}}}"#;
    assert_eq!(ask(&mut client, "/v1/buckets/c?provider=ais", r#"{"action":"create-bck"}"#).status, 200);
    assert_eq!(ask(&mut client, "/v1/buckets/b?provider=ais", copy).status, 200);
    let rename = |client: &mut Client, from: &str| {
        let path = format!("/v1/buckets/{from}?provider=ais&bck_to=ais/@%23/{from}2/");
        ask(client, &path, r#"{"action":"move-bck"}"#)
    };
    for bucket in ["b", "c"] {
        let refused = rename(&mut client, bucket);
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert_eq!(refused.status, 409, "{text}");
        assert!(text.contains("ErrLimitedCoexistence") && text.contains("copy-listrange[tco-"), "{text}");
    }
    // The job waits for more to copy, and ends when none comes.
    while rename(&mut client, "b").status == 409 {
        std::thread::yield_now();
    }
    assert_eq!(client.call("HEAD", "/v1/buckets/b2?provider=ais", &[], b"").status, 200);
}

#[test]
fn many_objects_at_once() {
    let server = server();
    let mut client = with_bucket(&server);
    for name in ["a-1", "a-2", "a-3", "b"] {
        put(&mut client, name, name.as_bytes());
    }
    let copy = r#"{"action":"copy-listrange","value":{"tobck":{"name":"b"},"prepend":"c/","template":""}}"#;
    let first = client.call("POST", "/v1/buckets/b?provider=ais", &[], copy.as_bytes());
    assert_eq!(first.status, 200);
    let again = client.call("POST", "/v1/buckets/b?provider=ais", &[], copy.as_bytes());
    assert_eq!(again.body, first.body, "the job idles and takes more work");
    for name in ["c/a-1", "c/b", "c/c/a-1"] {
        assert_eq!(get(&mut client, name, &[]).status, 200, "{name}");
    }
    assert_eq!(get(&mut client, "c/c/c/a-1", &[]).status, 404, "a job does not copy its own copies");
    let delete = br#"{"action":"delete-listrange","value":{"template":"a-{2..9}"}}"#;
    assert_eq!(client.call("DELETE", "/v1/buckets/b?provider=ais", &[], delete).status, 200);
    let left = ["a-1", "a-2", "a-3", "b"].map(|name| get(&mut client, name, &[]).status);
    assert_eq!(left, [200, 404, 404, 200]);
    let delete = br#"{"action":"delete-listrange","value":{"objnames":["b","b","../x"]}}"#;
    assert_eq!(client.call("DELETE", "/v1/buckets/b?provider=ais", &[], delete).status, 400);
    assert_eq!(get(&mut client, "b", &[]).status, 200, "nothing is done by halves");
}

#[test]
fn looks_into_archives() {
    let server = server();
    let mut client = with_bucket(&server);
    let archive = tar(&[("a/1.txt", "one"), ("a/2.json", "two"), ("b.txt", "three")]);
    put(&mut client, "s.tar", &archive);
    put(&mut client, "plain", b"plain");
    let mut get = |name: &str, query: &str| {
        follow(&mut client, "GET", &format!("/v1/objects/b/{name}?{query}"), &[], b"")
    };
    let member = get("s.tar", "archpath=a%2F2.json&archregx=");
    assert_eq!((member.status, member.body.as_slice()), (200, b"two".as_slice()));
    assert_eq!(member.header("content-length"), Some("3"));
    assert_eq!(get("s.tar", "archpath=s.tar/b.txt").body, b"three");
    assert_eq!(get("s.tar", "archpath=nope").status, 404);
    assert_eq!(get("plain", "archpath=x").status, 400);
    assert_eq!(
        get("s.tar", "archmode=suffix&archregx=.txt").body,
        tar(&[("a/1.txt", "one"), ("b.txt", "three")])
    );
    assert_eq!(get("s.tar", "archmode=prefix&archregx=c").status, 404);
    let list = br#"{"action":"list","value":{"props":"name,size","flags":"8"}}"#;
    let page = client.call("GET", "/v1/buckets/b", &[], list).body;
    let page = String::from_utf8_lossy(&page).into_owned();
    assert!(page.contains(r#"{"name":"s.tar/a/1.txt","size":"3","flags":192}"#), "{page}");
}

#[test]
fn the_child_of_the_kill_test() {
    serve_if_child();
}

/// The body of write number `n`: its own number, then bytes that follow from it.
fn body_of(n: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(n);
    let len = random.usize(8..200_000);
    let mut body = n.to_le_bytes().to_vec();
    body.resize(len, random.u8(..));
    body
}

/// Overwrites `keys` in turn with ever higher numbers until the server is gone; returns the last that was
/// acknowledged for each.
fn overwrite(mut client: Client, keys: &[String], mut n: u64, stop: &AtomicBool) -> HashMap<String, u64> {
    let mut acknowledged = HashMap::new();
    for key in keys.iter().cycle() {
        n += 1;
        let answer = put(&mut client, key, &body_of(n));
        if answer.broken.is_some() || stop.load(Ordering::Relaxed) {
            break;
        }
        if answer.status == 200 {
            acknowledged.insert(key.clone(), n);
        }
    }
    acknowledged
}

/// Kills the server at seeded moments while two clients overwrite objects. After each restart every object is whole,
/// as new as acknowledged or newer, and no file is left that no object owns. 5 times, 100 times with `--heavy`, or as
/// often as `LONGSHORE_KILLS` says.
#[test]
fn killed_at_any_moment() {
    let usual = if std::env::var_os("LONGSHORE_HEAVY").is_some() { 100 } else { 5 };
    let kills = std::env::var("LONGSHORE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
    let dir = tempfile::tempdir().expect("a directory");
    let keys: [Vec<String>; 2] = ["a", "b"].map(|c| (0..3).map(|i| format!("{c}/{i}")).collect());
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    let mut victim = Victim::start(dir.path(), "the_child_of_the_kill_test");
    let mut client = Client::new(victim.address);
    assert_eq!(client.call("POST", "/v1/buckets/b", &[], br#"{"action":"create-bck"}"#).status, 200);
    for kill in 0..kills {
        let address = victim.address;
        let stop = AtomicBool::new(false);
        let pause = Duration::from_millis(fastrand::Rng::with_seed(kill).u64(5..60));
        let writers: Vec<_> = std::thread::scope(|scope| {
            let write = |keys, first| {
                scope.spawn({
                    let stop = &stop;
                    move || overwrite(Client::new(address), keys, first, stop)
                })
            };
            let writers = [write(&keys[0], kill * 1_000_000), write(&keys[1], kill * 1_000_000 + 500_000)];
            std::thread::park_timeout(pause);
            victim.kill();
            stop.store(true, Ordering::Relaxed);
            writers.map(|w| w.join().expect("a writer")).into_iter().collect()
        });
        acknowledged.extend(writers.into_iter().flatten());
        victim = Victim::start(dir.path(), "the_child_of_the_kill_test");
        let mut client = Client::new(victim.address);
        let mut objects = 0;
        for key in keys.iter().flatten() {
            let answer = get(&mut client, key, &[]);
            if answer.status == 404 {
                assert!(!acknowledged.contains_key(key), "{key} is lost");
                continue;
            }
            objects += 1;
            let n = u64::from_le_bytes(answer.body[..8].try_into().expect("a number"));
            assert!(n >= acknowledged.get(key).copied().unwrap_or(0), "{key} is older than acknowledged");
            assert!(answer.body == body_of(n), "{key} is not whole");
        }
        assert_eq!(support::body_files(dir.path()), objects, "files that nobody owns");
    }
    victim.kill();
}
