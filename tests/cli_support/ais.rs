//! `ais`: jobs, groups, archives and state of a cluster.

use super::{Home, cases, cluster, random_file};

cases! { buckets_are_copied_and_watched waits_show_progress groups objects_and_archives jobs_and_state batches
what_a_cluster_has_not usage }

fn filled(home: &Home) {
    for name in ["a-1", "a-2", "a-3", "b/x"] {
        home.run_with_input(["cp", "-", &format!("ais://b/{name}")], name.as_bytes()).ok();
    }
}

fn buckets_are_copied_and_watched() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    filled(&home);
    let copied = home.run(["--json", "ais", "bucket", "copy", "ais://b", "ais://c", "--wait"]).ok();
    let job = &copied.json()[0];
    assert_eq!((job["type"].as_str(), job["kind"].as_str()), (Some("ais"), Some("copy-bck")), "{job}");
    assert_eq!(home.run(["cat", "ais://c/a-1"]).ok().bytes, b"a-1");
    let summary = home.run(["--json", "ais", "bucket", "summary", "ais://c"]).ok().json();
    assert_eq!((&summary[0]["objects"], &summary[0]["bytes"]), (&4.into(), &12.into()));
    home.run(["ais", "bucket", "rename", "ais://c", "ais://d", "--wait"]).ok();
    assert_eq!(home.run(["cat", "ais://d/b/x"]).ok().bytes, b"b/x");
    let props =
        home.run(["--json", "ais", "bucket", "props", "ais://d", "--set", "versioning.enabled=false"]);
    assert_eq!(props.ok().json()[0]["versioning"]["enabled"], false);
    // What would delete instead is refused.
    home.run(["ais", "bucket", "evict", "ais://d"]).exits(2).says(&["ais://d"]);
}

fn waits_show_progress() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    filled(&home);
    // Without a terminal it is a line now and then, the first one at once.
    let lines = home.run(["ais", "bucket", "copy", "ais://b", "ais://c", "--wait"]).ok();
    assert!(lines.err.contains("objects") && lines.err.contains("targets"), "{}", lines.err);
    let started = home.run(["--json", "ais", "job", "start", "lru", "ais://b"]).ok().json();
    let id = started[0]["name"].as_str().unwrap().to_owned();
    for (how, shown) in [("auto", true), ("always", true), ("never", false)] {
        let ran = home.run(["--progress", how, "ais", "job", "wait", &id]).ok();
        assert_eq!(ran.err.contains(&id), shown, "{how}: {}", ran.err);
    }
    let json = home.run(["--json", "--progress", "always", "ais", "job", "wait", &id]).ok();
    let line: serde_json::Value = serde_json::from_str(json.err.lines().next().unwrap()).unwrap();
    assert!(line["message"].as_str().unwrap().starts_with(&id), "{line}");
    let quiet = home.run(["-q", "ais", "job", "wait", &id]).ok();
    assert_eq!(quiet.err, "");
    let start = home.run(["ais", "job", "start", "lru", "ais://b", "--wait"]).ok();
    assert!(start.err.contains("targets"), "{}", start.err);
}

fn groups() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    filled(&home);
    home.run(["ais", "group", "copy", "ais://b", "--names", "a-1,b/x", "--to", "ais://c", "--wait"]).ok();
    assert_eq!(home.run(["ls", "-r", "ais://c"]).ok().out().lines().count(), 2);
    home.run(["ais", "group", "delete", "ais://b", "--template", "a-{1..3}", "--wait"]).ok();
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().out().lines().count(), 1);
    // An empty selection would be the whole bucket.
    home.run(["ais", "group", "delete", "ais://b"]).exits(2);
    home.run(["ais", "group", "delete", "ais://b", "--prefix", ""]).exits(2).says(&["whole bucket"]);
    home.run(["ais", "group", "delete", "ais://b", "--template", "a-%04d"]).exits(2).says(&["a-%04d"]);
    home.run(["cat", "ais://b/b/x"]).ok();
}

fn objects_and_archives() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    filled(&home);
    home.run(["ais", "object", "set", "ais://b/a-1", "color=blue", "shape=round"]).ok();
    let props = home.run(["--json", "ais", "object", "props", "ais://b/a-1"]).ok().json();
    assert_eq!((&props[0]["size"], &props[0]["custom"]["color"]), (&3.into(), &"blue".into()));
    home.run(["ais", "group", "archive", "ais://b", "--names", "a-1,a-2", "--into", "s.tar", "--wait"]).ok();
    let members = home.run(["--json", "ais", "object", "members", "ais://b/s.tar"]).ok().json();
    let names: Vec<_> = members.iter().map(|member| member["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a-1", "a-2"]);
    let member = home.run(["ais", "object", "get", "ais://b/s.tar", "--member", "a-2"]).ok();
    assert_eq!(member.bytes, b"a-2");
    home.run(["ais", "object", "rename", "ais://b/a-3", "z"]).ok().says(&["ais://b/z"]);
    assert_eq!(home.run(["cat", "ais://b/z"]).ok().bytes, b"a-3");
}

fn jobs_and_state() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    let map = home.run(["--json", "ais", "cluster", "map"]).ok().json();
    assert_eq!(map.iter().filter(|node| node["kind"] == "target").count(), 2);
    let status = home.run(["--json", "ais", "cluster", "status"]).ok().json();
    assert_eq!((&status[0]["ready"], &status[0]["settled"]), (&true.into(), &true.into()));
    let started = home.run(["--json", "ais", "job", "start", "lru", "ais://b"]).ok().json();
    let id = started[0]["name"].as_str().unwrap().to_owned();
    let done = home.run(["--json", "ais", "job", "wait", &id]).ok().json();
    assert_eq!(done[0]["name"], id.as_str());
    home.run(["ais", "job", "show", &id]).ok();
    assert!(home.run(["ais", "job", "ls", "--all"]).ok().out().contains(&id));
    home.run(["ais", "job", "stop", &id]).ok();
    home.run(["ais", "job", "show", "nosuchjob1"]).exits(1).says(&["nosuchjob1"]);
}

fn batches() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("large"), 300_000);
    home.run(["cp", "large", "ais://b/large"]).ok();
    filled(&home);
    for form in [&[][..], &["--described"]] {
        let mut args = vec!["ais", "batch", "ais://b", "large", "b/x", "--to", "out"];
        args.extend(form);
        home.run(args).ok();
        assert_eq!(std::fs::read(home.path("out/b/x")).unwrap(), b"b/x");
        assert_eq!(
            std::fs::read(home.path("out/large")).unwrap(),
            std::fs::read(home.path("large")).unwrap()
        );
        std::fs::remove_dir_all(home.path("out")).unwrap();
    }
    home.run(["ais", "batch", "ais://b", "nope", "b/x", "--to", "out"]).exits(3).says(&["1 object", "nope"]);
    assert!(!home.path("out/nope").exists() && home.path("out/b/x").exists());
    home.run(["ais", "batch", "ais://b", "../x", "--to", "out"]).exits(2).says(&["../x"]);
}

fn what_a_cluster_has_not() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    assert_eq!(home.run(["ais", "download", "ls"]).ok().out(), "");
    assert_eq!(home.run(["ais", "dsort", "ls"]).ok().out(), "");
    let sort = ["ais", "dsort", "start", "ais://b", "in-{0..1}", "out-{0..9}", "--size", "1MiB"];
    home.run(sort).exits(1).says(&["cannot sort ais://b"]);
    home.run(["ais", "etl", "init", "etl-hello", "--image", "img"]).exits(1).says(&["etl-hello"]);
    home.run(["ais", "download", "start", "ais://b", "http://host.example/f"]).exits(1);
}

fn usage() {
    let cluster = cluster();
    let home = Home::on(&cluster);
    home.run(["ais", "--help"]).ok();
    for command in ["bucket", "object", "group", "job", "cluster", "etl", "dsort", "batch", "download"] {
        home.run(["ais", command, "--help"]).ok();
    }
    home.run(["ais", "bucket", "copy", "ais://b/key", "ais://c"]).exits(2).says(&["names an object"]);
    home.run(["ais", "etl", "init", "x", "--image", "i"]).exits(2).says(&["\"x\""]);
    home.run(["ais", "download", "start", "ais://b", "nonsense"]).exits(2).says(&["nonsense"]);
    home.run(["ais", "download", "start", "ais://b", "--backend"]).exits(2).says(&["ais://b"]);
}
