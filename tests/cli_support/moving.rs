//! `mv`, and `cp` when it is choosy.

use std::fs;

use super::{Home, assert_same, cases, cluster, names, random_file, tree};

cases! { objects_get_other_names trees_move_up_and_down a_move_that_fails_leaves_the_source nothing_is_replaced
one_folder_for_all reports_lead_to_the_next_run only_what_is_newer dry_runs }

fn objects_get_other_names() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run(["mb", "ais://c"]).ok();
    random_file(home.path("x"), 100);
    home.run(["mv", "x", "ais://b/d/x"]).ok().says(&["moved 1 file, 100 B"]);
    assert!(!home.path("x").exists());
    home.run(["mv", "ais://b/d/x", "ais://b/y"]).ok();
    home.run(["mv", "ais://b/y", "ais://c/"]).ok();
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().out(), "");
    home.run(["mv", "ais://c/y", "."]).ok();
    assert_eq!(home.run(["ls", "-r", "ais://c"]).ok().out(), "");
    assert_eq!(names(&home.work()), ["y"]);
    home.run(["mv", "ais://c/nope", "z"]).fails(1, &["ais://c/nope", "404"], "longshore ls");
    home.run(["mv", "-", "ais://c/z"]).exits(2);
    Home::new().run(["mv", "ais://b/x", "ais://b/y"]).fails(
        2,
        &["nobody said on which cluster"],
        "--endpoint",
    );
}

fn trees_move_up_and_down() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    tree(&home.path("same"));
    home.run(["mv", "-r", "tree", "ais://b/t/"]).ok().says(&["moved 8 files"]);
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().lines().len(), 8);
    home.run(["mv", "ais://b/t/*.txt", "ais://b/texts/"]).ok().says(&["moved 2 files"]);
    home.run(["mv", "ais://b/texts/*", "ais://b/t/"]).ok();
    home.run(["mv", "-r", "ais://b/t", "back"]).ok().says(&["moved 8 files"]);
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().out(), "");
    assert_same(&home.path("same"), &home.path("back"));
}

fn a_move_that_fails_leaves_the_source() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("d/x"), 100);
    cluster.faults().add_str("put:status=403").unwrap();
    home.run(["mv", "d/x", "ais://b/"]).exits(1);
    home.run(["mv", "-r", "d", "ais://b/"]).exits(1);
    assert_eq!(names(&home.path("d")), ["x"]);
}

fn nothing_is_replaced() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("d/x"), 100);
    random_file(home.path("d/y"), 50);
    random_file(home.path("other"), 7);
    home.run(["cp", "other", "ais://b/x"]).ok();
    home.run(["cp", "--no-clobber", "d/x", "ais://b/x"]).ok().says(&["copied 0 files", "1 unchanged"]);
    home.run(["cp", "-r", "--no-clobber", "d", "ais://b/"]).ok().says(&["copied 1 file", "1 unchanged"]);
    assert_eq!(home.run(["cat", "ais://b/x"]).ok().bytes.len(), 7);
    home.run(["cp", "--no-clobber", "ais://b/x", "d/x"]).ok();
    assert_eq!(fs::read(home.path("d/x")).unwrap().len(), 100);
    home.run(["mv", "--no-clobber", "d/x", "ais://b/x"]).ok();
    assert!(home.path("d/x").exists(), "what was not moved stays");
}

fn one_folder_for_all() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for name in ["a/x", "b/y", "b/x"] {
        random_file(home.path(&format!("d/{name}")), 10);
    }
    let ran = home.run(["cp", "-r", "--flatten", "d", "ais://b/f"]).exits(3);
    ran.says(&["has become \"x\" already"]);
    assert_eq!(home.run(["ls", "ais://b/f/"]).ok().lines(), ["ais://b/f/x", "ais://b/f/y"]);
}

fn reports_lead_to_the_next_run() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for name in ["a", "b", "d/c", "d/e"] {
        random_file(home.path(&format!("t/{name}")), 10);
    }
    cluster.faults().add_str("put:key=d/*:status=403").unwrap();
    home.run(["cp", "-r", "--report", "r1", "t", "ais://b/"]).exits(3).says(&["copied 2 files", "2 failed"]);
    cluster.faults().clear();
    let report = fs::read_to_string(home.path("r1")).unwrap();
    let mut lines: Vec<serde_json::Value> =
        report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["name"].to_string());
    let said = |line: &serde_json::Value| {
        (line["name"].as_str().unwrap().to_owned(), line["outcome"].as_str().unwrap().to_owned())
    };
    let expected = [("a", "copied"), ("b", "copied"), ("d/c", "failed"), ("d/e", "failed")];
    assert_eq!(lines.iter().map(said).collect::<Vec<_>>(), expected.map(|(a, b)| (a.into(), b.into())));
    assert!(lines[3]["reason"].as_str().unwrap().contains("403"));
    home.run(["cp", "-r", "--files-from", "r1", "t", "ais://b/"]).ok().says(&["copied 2 files"]);
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().lines().len(), 4);
    let ran = home.run_with_input(["cp", "-r", "--files-from", "-", "ais://b", "down"], b"d/e\n");
    ran.ok().says(&["copied 1 file"]);
    assert_eq!(names(&home.path("down")), ["d"]);
}

fn only_what_is_newer() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("t/old"), 10);
    random_file(home.path("t/new"), 20);
    let file = fs::OpenOptions::new().write(true).open(home.path("t/old")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    home.run(["cp", "-r", "--newer-than", "7d", "t", "ais://b/"]).ok().says(&["copied 1 file", "1 skipped"]);
    home.run(["cp", "-r", "--larger-than", "15", "t", "ais://b/l/"]).ok().says(&["copied 1 file"]);
    home.run(["cp", "-r", "--update", "t", "ais://b/"]).ok().says(&["copied 1 file", "1 unchanged"]);
    home.run(["cp", "-r", "--update", "t", "ais://b/"]).ok().says(&["copied 0 files", "2 unchanged"]);
    home.run(["cp", "--update", "t/new", "ais://b/new"]).ok().says(&["copied 0 files"]);
}

fn dry_runs() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("t/x"), 10);
    assert_eq!(home.run(["cp", "-n", "-r", "t", "ais://b/"]).ok().out(), "would copy t/x to ais://b/x\n");
    assert_eq!(home.run(["mv", "-n", "t/x", "ais://b/"]).ok().out(), "would move t/x to ais://b/x\n");
    assert_eq!(home.run(["ls", "ais://b"]).ok().out(), "");
    home.run(["cp", "-r", "t", "ais://b/"]).ok();
    assert_eq!(home.run(["rm", "-n", "-r", "ais://b"]).ok().out(), "would remove ais://b/x\n");
    home.run(["rb", "-n", "ais://b"]).exits(1).says(&["is not empty"]);
    assert_eq!(home.run(["rb", "-n", "--force", "ais://b"]).ok().out(), "would remove ais://b\n");
    assert_eq!(home.run(["ls", "ais://b"]).ok().out(), "ais://b/x\n");
    assert_eq!(names(&home.path("t")), ["x"]);
}
