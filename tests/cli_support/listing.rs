//! `ls`, `stat` and `cat`.

use super::{Home, Ran, cases, cluster, noise};

cases! { one_level everything_below wildcards long_and_json nothing_there stat_shows_everything
cat_joins_and_cuts closed_pipes_end_quietly }

fn filled() -> (longshore_devserver::Handle, Home) {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for key in ["a.txt", "d/b.txt", "d/c.bin", "d/e/f.txt", "d1.txt"] {
        home.run_with_input(["cp", "-", &format!("ais://b/{key}")], key.as_bytes()).ok();
    }
    (cluster, home)
}

fn urls(ran: &Ran) -> Vec<String> {
    ran.lines().iter().map(|line| line.strip_prefix("ais://b/").unwrap_or(line).to_owned()).collect()
}

fn one_level() {
    let (_cluster, home) = filled();
    let listed = home.run(["ls", "ais://b"]).ok();
    let mut found = urls(&listed);
    found.sort();
    assert_eq!(found, ["a.txt", "d/", "d1.txt"]);
    listed.says(&["total: 2 objects, 11 B, and 1 prefix"]);
    let mut found = urls(&home.run(["ls", "ais://b/d/"]).ok());
    found.sort();
    assert_eq!(found, ["d/b.txt", "d/c.bin", "d/e/"]);
    let mut found = urls(&home.run(["ls", "ais://b/d"]).ok());
    found.sort();
    assert_eq!(found, ["d/", "d1.txt"]);
}

fn everything_below() {
    let (_cluster, home) = filled();
    let listed = home.run(["ls", "-r", "ais://b"]).ok();
    assert_eq!(urls(&listed), ["a.txt", "d/b.txt", "d/c.bin", "d/e/f.txt", "d1.txt"]);
    listed.says(&["total: 5 objects, 34 B"]);
    assert_eq!(urls(&home.run(["ls", "-r", "ais://b/d/"]).ok()), ["d/b.txt", "d/c.bin", "d/e/f.txt"]);
    assert_eq!(home.run(["ls", "-q", "-r", "ais://b/d/"]).ok().err, "");
}

fn wildcards() {
    let (_cluster, home) = filled();
    assert_eq!(urls(&home.run(["ls", "ais://b/d/*.txt"]).ok()), ["d/b.txt"]);
    assert_eq!(urls(&home.run(["ls", "ais://b/**.txt"]).ok()), ["a.txt", "d/b.txt", "d/e/f.txt", "d1.txt"]);
    assert_eq!(urls(&home.run(["ls", "ais://b/**/[ef].txt"]).ok()), ["d/e/f.txt"]);
    let mut found = urls(&home.run(["ls", "ais://b/d*"]).ok());
    found.sort();
    assert_eq!(found, ["d/", "d1.txt"]);
    home.run(["ls", "ais://b/*.nope"]).fails(1, &["no object matches ais://b/*.nope"], "--no-glob");
    home.run_with_input(["cp", "--no-glob", "-", "ais://b/what*.txt"], b"x").ok();
    assert_eq!(urls(&home.run(["ls", "--no-glob", "ais://b/what*"]).ok()), ["what*.txt"]);
    assert_eq!(home.run(["cat", "ais://b/what[*].txt"]).ok().bytes, b"x");
}

fn long_and_json() {
    let (_cluster, home) = filled();
    let long = home.run(["ls", "-l", "ais://b/d/b.txt"]).ok();
    let words: Vec<String> = long.out().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words[1..], ["7", "B", "ais://b/d/b.txt"]);
    let listed = home.run(["--json", "ls", "ais://b/d"]).ok();
    assert_eq!(listed.err, "");
    let lines = listed.json();
    let total = lines.last().unwrap();
    assert_eq!(
        (total["type"].as_str(), total["objects"].as_u64(), total["prefixes"].as_u64()),
        (Some("total"), Some(1), Some(1))
    );
    assert!(lines.iter().any(|line| line["type"] == "prefix" && line["url"] == "ais://b/d/"));
    assert!(lines.iter().any(|line| line["type"] == "object" && line["size"] == 6));
}

fn nothing_there() {
    let (_cluster, home) = filled();
    home.run(["ls", "ais://b/nope"]).fails(1, &["ais://b/nope"], "longshore ls");
    home.run(["mb", "ais://empty"]).ok();
    let empty = home.run(["ls", "ais://empty"]).ok();
    assert_eq!(empty.out(), "");
    empty.says(&["total: 0 objects"]);
}

fn stat_shows_everything() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    let path = home.path("page.html");
    std::fs::write(&path, "<p>").unwrap();
    home.run(["cp", "--metadata", "owner=anna", "--cache-control", "no-cache", "page.html", "ais://b/"]).ok();
    let stat = home.run(["--json", "stat", "ais://b/page.html"]).ok().json().remove(0);
    assert_eq!((stat["url"].as_str(), stat["size"].as_u64()), (Some("ais://b/page.html"), Some(3)));
    assert_eq!(
        (stat["content_type"].as_str(), stat["cache_control"].as_str()),
        (Some("text/html"), Some("no-cache"))
    );
    assert_eq!(stat["metadata"]["owner"], "anna");
    let text = home.run(["stat", "ais://b/page.html"]).ok().out();
    for word in ["ais://b/page.html", "size:", "3", "content type:", "text/html", "owner: anna"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

fn cat_joins_and_cuts() {
    let (_cluster, home) = filled();
    let joined = home.run(["cat", "ais://b/a.txt", "ais://b/d/*.txt"]).ok();
    assert_eq!(joined.out(), "a.txtd/b.txt");
    assert_eq!(home.run(["cat", "--range", "2-3", "ais://b/a.txt"]).ok().out(), "tx");
    assert_eq!(home.run(["cat", "--range", "2-", "ais://b/a.txt"]).ok().out(), "txt");
    assert_eq!(home.run(["cat", "--range=-3", "ais://b/a.txt"]).ok().out(), "txt");
    home.run(["cat", "--range", "9-", "ais://b/a.txt"]).exits(1).says(&["ais://b/a.txt"]);
    home.run(["cat", "--range", "3-2", "ais://b/a.txt"]).exits(2);
}

fn closed_pipes_end_quietly() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    let big = noise(1, 4 << 20);
    home.run_with_input(["cp", "-", "ais://b/big"], &big).ok();
    for args in [&["cat", "ais://b/big"][..], &["cp", "ais://b/big", "-"]] {
        let mut running = home.start(args);
        // More than a pipe holds is never read.
        drop(running.child.stdout.take());
        let ran = running.wait().ok();
        assert_eq!(ran.err, "", "{args:?}");
    }
}
