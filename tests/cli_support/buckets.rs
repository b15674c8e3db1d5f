//! `mb`, `rb`, and buckets in `ls` and `stat`.

use super::{Home, answering, cases, cluster};

cases! { life_of_a_bucket several_at_once exist_ok full_buckets_are_refused lists_that_may_lack_objects json_forms }

fn life_of_a_bucket() {
    let cluster = cluster();
    let home = Home::on(&cluster);
    let made = home.run(["mb", "ais://photos"]).ok();
    assert_eq!(made.out(), "created ais://photos\n");
    let listed = home.run(["ls", "ais://"]).ok();
    assert_eq!(listed.out(), "ais://photos\n");
    listed.says(&["total: 1 bucket"]);
    let stat = home.run(["stat", "ais://photos"]).ok();
    assert!(stat.out().contains("versioning:") && stat.out().contains("checksum:"), "{}", stat.out());
    assert_eq!(home.run(["rb", "ais://photos"]).ok().out(), "removed bucket ais://photos\n");
    assert_eq!(home.run(["ls"]).ok().out(), "");
}

fn several_at_once() {
    let cluster = cluster();
    let home = Home::on(&cluster);
    home.run(["mb", "ais://a", "ais://b"]).ok();
    assert_eq!(home.run(["ls", "ais://"]).ok().out(), "ais://a\nais://b\n");
    home.run(["rb", "ais://a", "ais://b"]).ok();
    // Everything is looked at before anything is done.
    home.run(["mb", "ais://c", "ais://d/key"]).exits(2);
    assert_eq!(home.run(["ls", "ais://"]).ok().out(), "");
}

fn exist_ok() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run(["mb", "ais://b"]).fails(1, &["cannot make ais://b", "already exists", "409"], "--exist-ok");
    let ran = home.run(["mb", "--exist-ok", "ais://b", "ais://c"]).ok();
    assert_eq!(ran.out(), "created ais://c\n");
    ran.says(&["ais://b is there already"]);
}

fn full_buckets_are_refused() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run_with_input(["cp", "-", "ais://b/dir/k"], b"x").ok();
    home.run(["rb", "ais://b"]).fails(1, &["ais://b is not empty", "ais://b/dir/k"], "--force");
    assert_eq!(home.run(["cat", "ais://b/dir/k"]).ok().bytes, b"x");
    home.run(["rb", "--force", "ais://b"]).ok();
    home.run(["rb", "ais://b"]).fails(1, &["ais://b", "404"], "longshore mb ais://b");
}

fn lists_that_may_lack_objects() {
    // As a cluster answers while it moves objects to other targets.
    let page = r#"{"uuid": "x", "continuation_token": "", "entries": [], "flags": 1}"#;
    let (url, asked) = answering(vec![(200, page), (200, page)]);
    let home = Home::new();
    let url = url.as_str();
    home.run(["--endpoint", url, "rb", "ais://b"]).fails(1, &["whether ais://b is empty"], "try again later");
    home.run(["--endpoint", url, "ls", "-r", "ais://b/d/"]).fails(
        1,
        &["may be more below ais://b/d/"],
        "try again",
    );
    let asked = asked.join().expect("both were asked");
    assert!(asked.iter().all(|head| head.starts_with("GET /v1/buckets/b")), "{asked:?}");
}

fn json_forms() {
    let cluster = cluster();
    let home = Home::on(&cluster);
    let made = home.run(["--json", "mb", "ais://b"]).ok().json();
    assert_eq!(
        (made[0]["type"].as_str(), made[0]["url"].as_str()),
        (Some("bucket-created"), Some("ais://b"))
    );
    let listed = home.run(["--json", "ls", "ais://"]).ok().json();
    assert_eq!((listed[0]["type"].as_str(), listed[0]["url"].as_str()), (Some("bucket"), Some("ais://b")));
    assert_eq!(listed[1]["buckets"], 1);
    let stat = home.run(["--json", "stat", "ais://b"]).ok().json();
    assert_eq!((stat[0]["type"].as_str(), stat[0]["url"].as_str()), (Some("stat"), Some("ais://b")));
    assert!(stat[0]["versioning"].is_boolean());
    let removed = home.run(["--json", "rb", "ais://b"]).ok().json();
    assert_eq!(removed[0]["type"], "bucket-removed");
    let error = home.run(["--json", "rb", "ais://b"]).exits(1).json_error();
    assert_eq!((error["type"].as_str(), error["status"].as_u64()), (Some("error"), Some(404)));
    assert!(error["hint"].as_str().unwrap().contains("longshore mb"));
}
