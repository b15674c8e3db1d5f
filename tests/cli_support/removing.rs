//! `rm`.

use super::{Home, cases, cluster};

cases! { single_objects folders_need_consent wildcards missing_objects one_of_several_is_missing partial_failures }

fn filled() -> (longshore_devserver::Handle, Home) {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for key in ["a.txt", "d/b.txt", "d/c.bin", "d/e/f.txt"] {
        home.run_with_input(["cp", "-", &format!("ais://b/{key}")], key.as_bytes()).ok();
    }
    (cluster, home)
}

fn left(home: &Home) -> String {
    home.run(["ls", "-r", "ais://b"]).ok().out().replace("ais://b/", "").replace('\n', " ")
}

fn single_objects() {
    let (_cluster, home) = filled();
    home.run(["rm", "ais://b/a.txt", "ais://b/d/c.bin"]).ok().says(&["removed 2 objects"]);
    assert_eq!(left(&home), "d/b.txt d/e/f.txt ");
    let lines = home.run(["--json", "rm", "ais://b/d/b.txt"]).ok().json();
    assert_eq!(
        (lines[0]["type"].as_str(), lines[0]["url"].as_str()),
        (Some("removed"), Some("ais://b/d/b.txt"))
    );
    assert_eq!((lines[1]["type"].as_str(), lines[1]["succeeded"].as_u64()), (Some("summary"), Some(1)));
}

fn folders_need_consent() {
    let (_cluster, home) = filled();
    for (url, what) in
        [("ais://b", "is a bucket"), ("ais://b/d/", "is a folder"), ("ais://b/d/**", "all folders")]
    {
        home.run(["rm", url]).fails(2, &[what], "-r");
    }
    assert_eq!(left(&home), "a.txt d/b.txt d/c.bin d/e/f.txt ");
    let removed = home.run(["rm", "-r", "-v", "ais://b/d/"]).ok();
    assert_eq!(removed.lines().len(), 3);
    assert_eq!(left(&home), "a.txt ");
    home.run(["rm", "-r", "ais://b"]).ok();
    assert_eq!(left(&home), "");
}

fn wildcards() {
    let (_cluster, home) = filled();
    home.run(["rm", "ais://b/d/*.txt"]).ok();
    assert_eq!(left(&home), "a.txt d/c.bin d/e/f.txt ");
    home.run(["rm", "-r", "ais://b/**/*.txt"]).ok();
    assert_eq!(left(&home), "d/c.bin ");
    home.run(["rm", "ais://b/*.txt"]).fails(1, &["no object matches"], "--no-glob");
}

fn missing_objects() {
    let (_cluster, home) = filled();
    home.run(["rm", "ais://b/d/typo.txt"]).fails(
        1,
        &["cannot remove ais://b/d/typo.txt"],
        "longshore ls ais://b/d/",
    );
    home.run(["rm", "--force", "ais://b/d/typo.txt"]).ok();
}

fn one_of_several_is_missing() {
    let (_cluster, home) = filled();
    let args = ["rm", "ais://b/a.txt", "ais://b/typo", "ais://b/x*", "ais://b/d/b.txt"];
    let shown: Vec<_> = ["rm", "-n"].into_iter().chain(args[1..].iter().copied()).collect();
    assert_eq!(home.run(shown).exits(1).lines().len(), 2);
    let ran = home.run(args).exits(3);
    ran.says(&[
        "cannot remove ais://b/typo",
        "no object matches ais://b/x*",
        "removed 2 objects",
        "2 failed",
    ]);
    assert_eq!(left(&home), "d/c.bin d/e/f.txt ");
}

fn partial_failures() {
    let (cluster, home) = filled();
    cluster.faults().add_str("delete:key=d/c.bin:status=403").unwrap();
    let ran = home.run(["rm", "-r", "ais://b"]).exits(3);
    let ran = ran.says(&["cannot remove ais://b/d/c.bin", "removed 3 objects", "1 failed"]);
    assert!(ran.err.contains("403"), "{}", ran.err);
    assert_eq!(left(&home), "d/c.bin ");
    home.run(["rm", "-r", "ais://b"]).exits(1).says(&["403"]);
}
