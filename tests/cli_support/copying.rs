//! `cp` when all is well, and when some is not.

use std::fs;

use super::{Home, assert_same, cases, cluster, names, noise, random_file, tree};

cases! { trees_there_and_back single_files several_sources between_buckets pipes wildcards_keep_their_folders
large_objects_in_parts json_events quiet_and_verbose content_types partial_failures damaged_downloads
broken_connections_are_repaired limits the_demonstration recursion_on_a_single_object web_servers_as_sources }

fn trees_there_and_back() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    let up = home.run(["cp", "-r", "tree", "ais://b/copy/"]).ok();
    assert_eq!(up.out(), "");
    up.says(&["copied 8 files, 2.9 MiB in "]);
    let listed = home.run(["ls", "-r", "ais://b/copy/"]).ok().out();
    for key in ["a.txt", "empty", "with space and ümläut.txt", "sub/#?%25.txt", ".hidden", "sub/deep/er/c"]
    {
        assert!(listed.contains(&format!("ais://b/copy/{key}\n")), "{key} is not in {listed}");
    }
    home.run(["cp", "-r", "ais://b/copy/", "back/"]).ok().says(&["copied 8 files"]);
    assert_same(&home.path("tree"), &home.path("back"));
    // Once more, over what is there; without the slash it means the same.
    home.run(["cp", "-r", "ais://b/copy", "back"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
}

fn single_files() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x.bin"), 1000);
    home.run(["cp", "x.bin", "ais://b/d/"]).ok();
    home.run(["cp", "x.bin", "ais://b/d/y.bin"]).ok();
    home.run(["cp", "x.bin", "ais://b"]).ok();
    assert_eq!(
        home.run(["ls", "-r", "ais://b"]).ok().out(),
        "ais://b/d/x.bin\nais://b/d/y.bin\nais://b/x.bin\n"
    );
    fs::create_dir(home.path("in")).unwrap();
    home.run(["cp", "ais://b/d/y.bin", "in"]).ok();
    home.run(["cp", "ais://b/d/y.bin", "in/z.bin"]).ok();
    home.run(["cp", "ais://b/d/y.bin", "new/folder/"]).ok();
    assert_eq!(names(&home.path("in")), ["y.bin", "z.bin"]);
    for copy in ["in/y.bin", "in/z.bin", "new/folder/y.bin"] {
        assert_eq!(fs::read(home.path(copy)).unwrap(), noise(1001, 1000), "{copy}");
    }
    // A key is taken as it is.
    home.run(["cp", "x.bin", "ais://b/a?b#c%20d"]).ok();
    assert_eq!(home.run(["cat", "--no-glob", "ais://b/a?b#c%20d"]).ok().bytes, noise(1001, 1000));
}

fn several_sources() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for (name, size) in [("a", 1), ("b", 2), ("c", 3)] {
        random_file(home.path(name), size);
    }
    random_file(home.path("dir/d"), 4);
    home.run(["cp", "-r", "a", "b", "c", "dir", "ais://b/p/"]).ok().says(&["copied 4 files, 10 B"]);
    home.run(["cp", "ais://b/p/a", "ais://b/p/[bd]", "back/"]).ok();
    assert_eq!(names(&home.path("back")), ["a", "b", "d"]);
    let mixed = home.run(["cp", "a", "nope", "ais://b/q/"]).exits(3);
    mixed.says(&["nope", "copied 1 file", "1 failed"]);
    assert_eq!(home.run(["ls", "ais://b/q/"]).ok().out(), "ais://b/q/a\n");
}

fn between_buckets() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://one");
    home.run(["mb", "ais://two"]).ok();
    tree(&home.path("tree"));
    random_file(home.path("tree/large.bin"), 40 << 20);
    home.run(["cp", "-r", "--metadata", "owner=anna", "tree", "ais://one/t/"]).ok();
    home.run(["cp", "-r", "ais://one/t/", "ais://two/u/"]).ok().says(&["copied 9 files"]);
    home.run(["cp", "ais://one/t/a.txt", "ais://two/"]).ok();
    home.run(["cp", "ais://one/t/*.bin", "ais://one/bins/"]).ok().says(&["copied 2 files"]);
    let stat = home.run(["--json", "stat", "ais://two/u/a.txt"]).ok().json().remove(0);
    assert_eq!(
        (stat["metadata"]["owner"].as_str(), stat["content_type"].as_str()),
        (Some("anna"), Some("text/plain"))
    );
    home.run(["cp", "-r", "ais://two/u/", "back/"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
    // With the least that is possible, nothing may wait for itself.
    let tight = ["cp", "--concurrency", "1", "--memory", "8MiB", "ais://one/t/large.bin", "ais://two/large"];
    home.run(tight).ok();
    assert!(home.run(["cat", "ais://two/large"]).ok().bytes == noise((40 << 20) + 1, 40 << 20));
    home.run(["cp", "-r", "ais://one/nope/", "ais://two/"]).fails(1, &["no object below"], "longshore ls");
    home.run(["cp", "ais://one/nope", "ais://two/"]).fails(1, &["ais://one/nope", "404"], "longshore ls");
}

fn pipes() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for size in [0, 1, 300_000, 20 << 20] {
        let bytes = noise(7, size);
        home.run_with_input(["cp", "-", "ais://b/piped"], &bytes).ok();
        let back = home.run(["--json", "cp", "ais://b/piped", "-"]).ok();
        assert!(back.bytes == bytes, "{size}");
        assert_eq!(back.json_error()["bytes"], size);
        assert!(home.run(["cat", "ais://b/piped"]).ok().bytes == bytes, "{size}");
    }
}

fn wildcards_keep_their_folders() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for key in ["logs/jan/a.txt", "logs/jan/b.bin", "logs/feb/a.txt", "logs/x.txt", "other/a.txt"] {
        home.run_with_input(["cp", "-", &format!("ais://b/{key}")], key.as_bytes()).ok();
    }
    home.run(["cp", "ais://b/logs/*/a.txt", "one/"]).ok().says(&["copied 2 files"]);
    assert_eq!(names(&home.path("one")), ["feb", "jan"]);
    assert_eq!(fs::read(home.path("one/jan/a.txt")).unwrap(), b"logs/jan/a.txt");
    home.run(["cp", "ais://b/logs/*", "two"]).ok().says(&["copied 1 file,"]);
    assert_eq!(names(&home.path("two")), ["x.txt"]);
    home.run(["cp", "-r", "ais://b/logs/j*", "three"]).ok().says(&["copied 2 files"]);
    assert_eq!(names(&home.path("three/jan")), ["a.txt", "b.bin"]);
    home.run(["cp", "ais://b/**.txt", "four/"]).ok().says(&["copied 4 files"]);
}

fn large_objects_in_parts() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("large"), 48 << 20);
    home.run(["cp", "--part-size", "8MiB", "--concurrency", "3", "large", "ais://b/"]).ok();
    home.run(["cp", "--part-size", "8MiB", "--memory", "8MiB", "ais://b/large", "back"]).ok();
    assert!(fs::read(home.path("back")).unwrap() == noise((48 << 20) + 1, 48 << 20));
    assert!(
        home.run(["cat", "--part-size", "8MiB", "ais://b/large"]).ok().bytes
            == noise((48 << 20) + 1, 48 << 20)
    );
    let cut = home.run(["cat", "--range", "10000000-29999999", "ais://b/large"]).ok().bytes;
    assert!(cut == noise((48 << 20) + 1, 48 << 20)[10_000_000..30_000_000]);
}

fn json_events() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("t/a"), 5);
    random_file(home.path("t/b"), 6);
    let mut events = home.run(["--json", "cp", "-r", "t", "ais://b/p/"]).ok().json();
    let summary = events.pop().unwrap();
    assert_eq!((summary["type"].as_str(), summary["action"].as_str()), (Some("summary"), Some("copied")));
    assert_eq!((summary["succeeded"].as_u64(), summary["bytes"].as_u64()), (Some(2), Some(11)));
    assert_eq!(summary["failed"], 0);
    events.sort_by_key(|event| event["bytes"].as_u64());
    assert_eq!(events.len(), 2);
    for (event, (name, bytes)) in events.iter().zip([("a", 5), ("b", 6)]) {
        assert_eq!((event["type"].as_str(), event["bytes"].as_u64()), (Some("copied"), Some(bytes)));
        assert_eq!(event["destination"], format!("ais://b/p/{name}"));
        assert!(event["source"].as_str().unwrap().ends_with(name));
    }
    let down = home.run(["--json", "cp", "ais://b/p/a", "x"]).ok().json();
    assert_eq!(
        (down[0]["source"].as_str(), down[0]["destination"].as_str()),
        (Some("ais://b/p/a"), Some("x"))
    );
}

fn quiet_and_verbose() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 5);
    let quiet = home.run(["-q", "cp", "x", "ais://b/"]).ok();
    assert_eq!((quiet.out(), quiet.err.as_str()), (String::new(), ""));
    let verbose = home.run(["-v", "cp", "x", "ais://b/"]).ok();
    assert_eq!(verbose.out(), "copied x to ais://b/x\n");
    // The log of requests shows no token.
    let home = home.with("AIS_AUTHN_TOKEN", "sentinel-token");
    let logged = home.run(["-vv", "cp", "x", "ais://b/"]).ok();
    assert!(logged.err.len() > 100 && !logged.err.contains("sentinel"), "{}", logged.err);
    let bars = home.run(["--progress", "always", "cp", "x", "ais://b/"]).ok();
    assert!(bars.err.contains("of 5 B") || bars.err.contains("5 B"), "{}", bars.err);
}

fn content_types() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    fs::create_dir(home.path("t")).unwrap();
    for (name, bytes) in [
        ("a.json", &b"{}"[..]),
        ("picture", b"\x89PNG\r\n\x1a\n...."),
        ("text", b"hello\n"),
        ("unknown", b"\x00\x01\x02"),
    ] {
        fs::write(home.path("t").join(name), bytes).unwrap();
    }
    home.run(["cp", "-r", "t", "ais://b/"]).ok();
    for (name, kind) in [
        ("a.json", Some("application/json")),
        ("picture", Some("image/png")),
        ("text", Some("text/plain")),
        ("unknown", None),
    ] {
        let stat = home.run(["--json", "stat", &format!("ais://b/{name}")]).ok().json().remove(0);
        assert_eq!(stat["content_type"].as_str(), kind, "{name}");
    }
    home.run(["cp", "--content-type", "x/y", "t/text", "ais://b/"]).ok();
    assert!(home.run(["stat", "ais://b/text"]).ok().out().contains("x/y"));
}

fn partial_failures() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    let fault = cluster.faults().add_str("put:key=p/sub/b.bin:status=403").unwrap();
    let up = home.run(["cp", "-r", "tree", "ais://b/p/"]).exits(3);
    up.says(&["sub/b.bin", "403", "copied 7 files", "1 failed", "1 file did not arrive", "hint: "]);
    cluster.faults().remove(fault);
    home.run(["cp", "-r", "tree", "ais://b/p/"]).ok();
    cluster.faults().add_str("get:key=p/a.txt:status=403").unwrap();
    let down = home.run(["--json", "cp", "-r", "ais://b/p/", "back"]).exits(3);
    let summary = down.json().pop().unwrap();
    assert_eq!((summary["succeeded"].as_u64(), summary["failed"].as_u64()), (Some(7), Some(1)));
    let error: serde_json::Value = serde_json::from_str(down.err.lines().next().unwrap()).unwrap();
    assert_eq!((error["type"].as_str(), error["status"].as_u64()), (Some("error"), Some(403)));
    assert!(!home.path("back/a.txt").exists());
}

fn damaged_downloads() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 100_000);
    home.run(["cp", "x", "ais://b/"]).ok();
    fs::remove_file(home.path("x")).unwrap();
    cluster.faults().add_str("get:wrong-checksum").unwrap();
    home.run(["cp", "ais://b/x", "."]).fails(1, &["ais://b/x", "the store states xxhash64:"], "damaged");
    assert_eq!(names(&home.work()), [] as [&str; 0]);
    home.run(["cp", "--verify", "never", "ais://b/x", "."]).ok();
    assert_eq!(fs::read(home.path("x")).unwrap(), noise(100_001, 100_000));
}

fn broken_connections_are_repaired() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    for fault in ["put:reset-at=1000:count=2", "put:status=503/0:count=2"] {
        cluster.faults().add_str(fault).unwrap();
    }
    home.run(["cp", "-r", "tree", "ais://b/"]).ok();
    for fault in ["get:reset-at=50000:count=2", "get:truncate-at=5:count=2", "list:status=503/0:count=1"] {
        cluster.faults().add_str(fault).unwrap();
    }
    home.run(["cp", "-r", "ais://b/", "back"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
}

fn limits() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 600_000);
    let start = std::time::Instant::now();
    home.run(["cp", "--limit-rate", "400KiB", "x", "ais://b/"]).ok();
    // A limit is a lower bound of the time; a burst at the start is part of it.
    assert!(start.elapsed().as_millis() > 300, "{:?}", start.elapsed());
}

fn the_demonstration() {
    let home = Home::new();
    tree(&home.path("NAME"));
    home.run(["mb", "ais://demo"]).ok();
    home.run(["cp", "-r", "NAME", "ais://demo/NAME/"]).ok();
    assert_eq!(home.run(["ls", "-r", "ais://demo/NAME/"]).ok().lines().len(), 8);
    home.run(["cp", "-r", "ais://demo/NAME/", "TMP/"]).ok();
    assert_same(&home.path("NAME"), &home.path("TMP"));
}

fn recursion_on_a_single_object() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run(["mb", "ais://c"]).ok();
    random_file(home.path("x"), 5);
    home.run(["cp", "-r", "x", "ais://b/d/"]).ok();
    home.run(["cp", "-r", "ais://b/d/x", "back/"]).ok();
    assert_eq!(names(&home.path("back")), ["x"]);
    home.run(["cp", "-r", "ais://b/d/x", "ais://c/"]).ok();
    assert_eq!(home.run(["ls", "-r", "ais://c"]).ok().out(), "ais://c/x\n");
}

fn web_servers_as_sources() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    let size = 20 << 20;
    random_file(home.path("x y.bin"), size);
    home.run(["cp", "x y.bin", "ais://b/d/"]).ok();
    // A gateway is a web server that redirects each GET.
    let url = format!("{}/v1/objects/b/d/x%20y.bin?provider=ais", cluster.aistore_url());
    home.run(["cp", &url, "in/"]).ok().says(&["copied 1 file"]);
    assert_eq!(fs::read(home.path("in/x y.bin")).unwrap(), noise(size as u64 + 1, size));
    home.run(["cp", &url, "ais://b/copy/"]).ok();
    assert_eq!(home.run(["cat", "ais://b/copy/x y.bin"]).ok().bytes.len(), size);
    assert_eq!(home.run(["cat", "--range", "0-9", &url]).ok().bytes.len(), 10);
    home.run(["stat", &url]).ok();
    home.run(["cp", &url.replace("y.bin", "z.bin"), "."]).exits(1).says(&["x%20z.bin"]);
}
