//! `blob:` and `longshore apolo`, on the buckets service of the dev server.

use std::fs;

use longshore_devserver::{DevServer, Handle, NodeKind};

use super::{Home, assert_same, cases, names, random_file};

cases! { objects_of_all_forms trees_and_globs buckets_and_their_rules credentials_are_real signed_urls
encoded_keys what_goes_wrong_is_explained uploads_go_on_where_they_ended the_service_of_dev }

fn platform() -> Handle {
    DevServer::builder()
        .apolo("127.0.0.1:0")
        .journal_capacity(100_000)
        .start_blocking()
        .expect("the server starts")
}

/// Somebody who has logged in.
fn user(platform: &Handle, name: &str) -> Home {
    Home::new()
        .with("APOLO_API_URL", platform.apolo_url().expect("a service"))
        .with("APOLO_TOKEN", platform.apolo_settings().token(name))
        .with("APOLO_ORG", "acme")
        .with("APOLO_PROJECT", "proj1")
}

fn objects_of_all_forms() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["mb", "blob:photos"]).ok();
    random_file(home.path("big"), 20 << 20);
    home.run(["--part-size", "8MiB", "cp", "big", "blob:photos/dir/big"]).ok();
    home.run(["cp", "blob://default-cluster/acme/proj1/photos/dir/big", "back"]).ok();
    assert!(fs::read(home.path("big")).unwrap() == fs::read(home.path("back")).unwrap());
    for key in ["a b.txt", "ü%20?#+", "x&y='()*@:;,$"] {
        home.run_with_input(["cp", "-", &format!("blob:/proj1/photos/{key}")], key.as_bytes()).ok();
        assert_eq!(home.run(["cat", "--no-glob", &format!("blob:photos/{key}")]).ok().out(), key);
    }
    let listed = home.run(["ls", "blob:photos"]).ok().lines();
    assert!(listed.contains(&"blob:photos/ü%20?#+".to_owned()), "{listed:?}");
    assert!(listed.contains(&"blob:photos/dir/".to_owned()), "{listed:?}");
    assert!(home.run(["stat", "blob:photos/a b.txt"]).ok().out().contains("text/plain"));
    home.run(["mv", "blob:photos/a b.txt", "blob:photos/moved/c"]).ok();
    assert_eq!(home.run(["cat", "blob:photos/moved/c"]).ok().out(), "a b.txt");
    home.run(["cat", "blob:photos/a b.txt"]).exits(1).says(&["blob:photos/a b.txt"]);
    home.run(["rm", "blob:photos/moved/c"]).ok();
    // One look for the bucket and one for credentials, however many requests follow.
    platform.journal().clear();
    home.run(["cp", "blob:photos/dir/big", "again"]).ok();
    assert_eq!(platform.journal().count(|e| e.node == NodeKind::Apolo), 3);
    assert!(!home.dev().exists());
}

fn trees_and_globs() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["mb", "blob:data"]).ok();
    home.run(["mb", "blob:other"]).ok();
    for (name, size) in [("a.txt", 10), ("b/c.bin", 2000), ("b/d/e.txt", 0)] {
        random_file(home.path("tree").join(name), size);
    }
    home.run(["cp", "-r", "tree/", "blob:data/t/"]).ok();
    home.run(["cp", "-r", "blob:data/t/", "copy/"]).ok();
    assert_same(&home.path("tree"), &home.path("copy"));
    assert_eq!(
        home.run(["ls", "-q", "blob:data/t/**.txt"]).ok().lines(),
        ["blob:data/t/a.txt", "blob:data/t/b/d/e.txt"]
    );
    home.run(["diff", "tree/", "blob:data/t/"]).ok();
    let sizes = home.run(["--json", "du", "blob:data"]).ok().out();
    assert!(sizes.contains("2010"), "{sizes}");
    fs::write(home.path("tree/a.txt"), "changed").unwrap();
    home.run(["sync", "tree/", "blob:data/t/"]).ok();
    home.run(["sync", "blob:data/t/", "blob:other/t/"]).ok();
    assert_eq!(home.run(["cat", "blob:other/t/a.txt"]).ok().out(), "changed");
    home.run(["rm", "blob:data/t/b/*.bin"]).ok();
    home.run(["rm", "-r", "blob:data/t/"]).ok();
    assert!(home.run(["ls", "-r", "blob:data"]).ok().lines().is_empty());
    assert_eq!(names(&home.path("copy")), ["a.txt", "b"]);
}

fn buckets_and_their_rules() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["apolo", "bucket", "create", "one-one"]).ok();
    home.run(["mb", "blob:/proj2/two-two"]).ok();
    home.run(["mb", "blob:one-one"]).exits(1).says(&["exists", "--exist-ok"]);
    home.run(["mb", "--exist-ok", "blob:one-one"]).ok();
    assert_eq!(home.run(["ls", "blob:"]).ok().lines(), ["blob:one-one"]);
    assert_eq!(home.run(["ls", "blob:/proj2"]).ok().lines(), ["blob:/proj2/two-two"]);
    let unnamed = home.run(["--json", "apolo", "bucket", "create"]).ok().json();
    let id = unnamed[0]["url"].as_str().expect("a URL").to_owned();
    home.run_with_input(["cp", "-", &format!("{id}/k")], b"x").ok();
    assert_eq!(home.run(["cat", &format!("{id}/k")]).ok().out(), "x");
    let facts = home.run(["--json", "stat", "blob:one-one"]).ok().json();
    assert_eq!((&facts[0]["provider"], &facts[0]["public"]), (&"aws".into(), &false.into()));
    assert_eq!(home.run(["--json", "apolo", "bucket", "public", "one-one"]).ok().json()[0]["public"], true);
    assert_eq!(home.run(["--json", "apolo", "bucket", "private", "one-one"]).ok().json()[0]["public"], false);
    let (access_key, secret) = platform.s3_key().expect("a key");
    let import =
        ["apolo", "bucket", "import", "--provider", "aws", "--at", "theirs", "--secret", "secret_access_key"];
    let key = format!("access_key_id={access_key}");
    let imported = home.run_with_input(
        import.into_iter().chain(["--credential", &key, "--json", "blob:mine-here"]),
        format!("{secret}\n").as_bytes(),
    );
    assert_eq!(imported.ok().json()[0]["imported"], true);
    home.run(["apolo", "bucket", "rm", "mine-here"]).ok();
    home.run_with_input(["cp", "-", "blob:one-one/a/k"], b"12345").ok();
    let usage = home.run(["--json", "apolo", "bucket", "usage", "one-one"]).ok().json();
    assert_eq!((&usage[0]["objects"], &usage[0]["bytes"]), (&1.into(), &5.into()));
    home.run(["apolo", "bucket", "rm", "one-one"]).exits(1).says(&["BucketNotEmpty"]);
    home.run(["rb", "blob:one-one"]).exits(1).says(&["not empty", "blob:one-one/a/k"]);
    home.run(["rb", "--force", "blob:one-one"]).ok();
    home.run(["ls", "blob:one-one"]).exits(1).says(&["not found"]);
}

fn credentials_are_real() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["mb", "blob:data"]).ok();
    home.run_with_input(["cp", "-", "blob:data/k"], b"hello").ok();
    let found = home.run(["--json", "apolo", "creds", "get", "data"]).ok().json();
    let get = |name: &str| found[0][name].as_str().expect(name).to_owned();
    let s3 = Home::new()
        .with("AWS_ENDPOINT_URL", get("endpoint_url"))
        .with("AWS_ACCESS_KEY_ID", get("access_key_id"))
        .with("AWS_SECRET_ACCESS_KEY", get("secret_access_key"))
        .with("AWS_SESSION_TOKEN", get("session_token"));
    assert_eq!(s3.run(["cat", &format!("s3://{}/k", get("bucket_name"))]).ok().out(), "hello");
    let create = ["--json", "apolo", "creds", "create", "--name", "backup", "--read-only", "data"];
    let made = home.run(create).ok().json();
    assert_eq!((&made[0]["read_only"], &made[0]["name"]), (&true.into(), &"backup".into()));
    assert!(made[0]["buckets"][0]["secret_access_key"].is_string());
    home.run(create).exits(1).says(&["already exists"]);
    let listed = home.run(["apolo", "creds", "ls"]).ok().out();
    assert!(listed.contains("backup") && !listed.contains("secret"), "{listed}");
    assert!(home.run(["apolo", "creds", "show", "backup"]).ok().out().contains("secret"));
    home.run(["apolo", "creds", "rm", "backup"]).ok();
    home.run(["apolo", "creds", "show", "backup"]).exits(1).says(&["not found"]);
    // Somebody who may only read.
    let bob = user(&platform, "bob");
    assert_eq!(bob.run(["cat", "blob:data/k"]).ok().out(), "hello");
    bob.run_with_input(["cp", "-", "blob:data/no"], b"x").exits(1).says(&["blob:data/no"]);
}

fn signed_urls() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["mb", "blob:data"]).ok();
    home.run_with_input(["cp", "-", "blob:data/dir/a b"], b"hello").ok();
    for (command, expires) in
        [(["presign", "--expires"], "10m"), (["presign", "--expires"], "48h"), (["apolo", "sign"], "")]
    {
        let mut args: Vec<&str> = command.to_vec();
        args.extend(Some(expires).filter(|time| !time.is_empty()));
        args.push("blob:data/dir/a b");
        let signed = home.run(args).ok().out();
        assert_eq!(home.run(["cat", signed.trim()]).ok().out(), "hello", "{signed}");
    }
    home.run(["presign", "--expires", "48h", "--method", "put", "blob:data/k"])
        .exits(1)
        .says(&["credentials"]);
    home.run(["presign", "--expires", "48h", "blob:data/a(b)"]).exits(1).says(&["names"]);
}

fn encoded_keys() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["mb", "blob:data"]).ok();
    home.run_with_input(["--encoded-keys", "cp", "-", "blob:data/sp ace/ü"], b"hello").ok();
    assert_eq!(home.run(["ls", "-r", "blob:data"]).ok().lines(), ["blob:data/sp%20ace/%C3%BC"]);
    assert_eq!(home.run(["--encoded-keys", "ls", "-r", "blob:data"]).ok().lines(), ["blob:data/sp ace/ü"]);
    assert_eq!(home.run(["--encoded-keys", "cat", "blob:data/sp ace/ü"]).ok().out(), "hello");
    assert_eq!(home.run(["cat", "blob:data/sp%20ace/%C3%BC"]).ok().out(), "hello");
}

fn what_goes_wrong_is_explained() {
    let platform = platform();
    Home::new().run(["ls", "blob:"]).exits(2).says(&["APOLO_TOKEN", "apolo login"]);
    let home = user(&platform, "alice");
    home.run(["mb", "blob:Bad"]).exits(2).says(&["lower-case"]);
    home.run(["ls", "blob:nothing"]).fails(
        1,
        &["cannot find blob:nothing", "not found"],
        "`longshore mb blob:nothing`",
    );
    home.run(["cat", "blob:"]).exits(2).says(&["names no bucket"]);
    home.run(["ls", "blob://other/acme/proj1/b"]).exits(2).says(&["other", "cluster"]);
    home.run(["mb", "blob:/nowhere/bucket"]).exits(1).says(&["permission", "write"]);
    let nobody = user(&platform, "nobody").run(["ls", "blob:"]).exits(1);
    assert!(!nobody.err.contains("eyJ"), "{}", nobody.err);
    home.run(["mb", "blob:one"]).ok();
    home.run(["mb", "blob:two"]).ok();
    platform.faults().add_str("list:node=apolo:fail-after=1").unwrap();
    home.run(["ls", "blob:"]).exits(1).says(&["injected fault"]);
}

fn uploads_go_on_where_they_ended() {
    let platform = platform();
    let home = user(&platform, "alice");
    home.run(["mb", "blob:data"]).ok();
    random_file(home.path("big"), 40 << 20);
    let fault = platform.faults().add_str("mpt-part:node=s3:skip=2:status=403").unwrap();
    let copy = ["--part-size", "8MiB", "--concurrency", "1", "cp", "big", "blob:data/big"];
    home.run(copy).exits(1);
    platform.faults().remove(fault);
    platform.journal().clear();
    home.run(copy).ok();
    let parts = platform.journal().count(|e| e.node == NodeKind::S3 && e.operation == "mpt-part");
    assert_eq!(parts, 3, "two of five parts were there");
    home.run(["cp", "blob:data/big", "back"]).ok();
    assert!(fs::read(home.path("big")).unwrap() == fs::read(home.path("back")).unwrap());
}

fn the_service_of_dev() {
    let home = Home::new();
    let mut dev = home.start(["--json", "dev", "--apolo"]);
    let line: serde_json::Value = serde_json::from_str(&dev.first_line()).unwrap();
    let passed = line["apolo"]["passed_config"].as_str().expect("a configuration");
    let user = Home::new().with("APOLO_PASSED_CONFIG", passed);
    user.run(["mb", "blob:data"]).ok();
    assert_eq!(user.run(["ls", "blob:"]).ok().lines(), ["blob:data"]);
    dev.signal(rustix::process::Signal::INT);
    dev.wait().ok();
}
