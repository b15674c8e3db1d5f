//! `diff` and `du`.

use std::fs;

use super::{Home, cases, cluster, random_file, tree};

cases! { differences_between_places lists_of_checksums usage_by_folder }

fn differences_between_places() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    home.run(["cp", "-r", "tree", "ais://b/"]).ok();
    for how in [&["diff"][..], &["diff", "--checksum"], &["diff", "--compare", "size"]] {
        assert_eq!(home.run(how.iter().chain(&["tree", "ais://b"])).ok().out(), "");
    }
    random_file(home.path("tree/new"), 1);
    fs::remove_file(home.path("tree/empty")).unwrap();
    let mut same_size = fs::read(home.path("tree/a.txt")).unwrap();
    same_size[0] ^= 1;
    fs::write(home.path("tree/a.txt"), same_size).unwrap();
    let ran = home.run(["diff", "--checksum", "tree", "ais://b"]).exits(1);
    let mut lines = ran.lines();
    lines.sort();
    assert_eq!(lines, ["! a.txt", "+ new", "- empty"]);
    ran.says(&["3 differences"]);
    let turned = home.run(["--json", "diff", "--compare", "size", "ais://b", "tree"]).exits(1).json();
    assert_eq!(turned.len(), 2, "{turned:?}");
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().lines().len(), 8);
}

fn lists_of_checksums() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    fs::write(home.path("a"), "hello").unwrap();
    fs::create_dir(home.path("d")).unwrap();
    fs::write(home.path("d/b"), "").unwrap();
    home.run(["cp", "a", "ais://b/r/a"]).ok();
    home.run(["cp", "d/b", "ais://b/r/d/b"]).ok();
    let md5 = "5d41402abc4b2a76b9719d911017c592  a\nd41d8cd98f00b204e9800998ecf8427e *./d/b\n";
    fs::write(home.path("sums"), md5).unwrap();
    for place in ["ais://b/r", "."] {
        assert_eq!(home.run(["diff", "--sumfile", "sums", place]).ok().out(), "");
    }
    fs::write(
        home.path("sums"),
        format!("# list\n{}\n{}", md5.replace("5d41", "0000"), md5.replace(" a", " c")),
    )
    .unwrap();
    let ran = home.run(["diff", "--sumfile", "sums", "ais://b/r"]).exits(1);
    assert_eq!(ran.lines(), ["! a", "- c"]);
    fs::write(home.path("sums"), "nothing\n").unwrap();
    home.run(["diff", "--sumfile", "sums", "ais://b/r"]).exits(2).says(&["sums, line 1"]);
}

fn usage_by_folder() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for (name, size) in [("a", 1000), ("d/b", 100), ("d/e/c", 10), ("f/g", 5)] {
        random_file(home.path(&format!("t/{name}")), size);
    }
    home.run(["cp", "-r", "t", "ais://b/"]).ok();
    let usage = |args: &[&str]| {
        let lines = home.run(["--json", "du"].iter().chain(args)).ok().json();
        let line = |line: &serde_json::Value| {
            format!("{} {} {}", line["url"].as_str().unwrap(), line["objects"], line["bytes"])
        };
        lines.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(usage(&["ais://b"]), ["ais://b 4 1115"]);
    assert_eq!(usage(&["ais://b/d"]), ["ais://b/d/ 2 110"]);
    let deep = usage(&["--depth", "2", "ais://b"]);
    assert_eq!(deep, ["ais://b/d/e/ 1 10", "ais://b/d/ 2 110", "ais://b/f/ 1 5", "ais://b 4 1115"]);
    assert_eq!(home.run(["du", "ais://b/d"]).ok().out(), "     110 B         2 objects  ais://b/d/\n");
}
