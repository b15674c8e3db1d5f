//! `supabase://`, `presign` and `supabase bucket`, on a project of the dev server.

use std::fs;

use longshore_devserver::{DevServer, Handle, JournalEntry, SupabaseSettings};

use super::{Home, assert_same, cases, noise, random_file};

cases! { life_of_a_bucket objects_and_trees presigned_urls rules_of_buckets what_goes_wrong_is_explained
names_that_the_service_does_not_take killed_uploads_go_on }

/// A project with no data, which ends with its handle, for objects of up to 1 GiB.
fn project() -> Handle {
    DevServer::builder()
        .supabase("127.0.0.1:0")
        .supabase_settings(SupabaseSettings::default().file_size_limit(1 << 30))
        .journal_capacity(100_000)
        .start_blocking()
        .expect("the server starts")
}

/// Somebody who has the key with every right.
fn owner(project: &Handle) -> Home {
    Home::new()
        .with("SUPABASE_URL", project.supabase_url().expect("a service"))
        .with("SUPABASE_SERVICE_ROLE_KEY", project.supabase_settings().service_key())
}

fn with_bucket(project: &Handle) -> Home {
    let home = owner(project);
    home.run(["mb", "supabase://b"]).ok();
    home
}

fn life_of_a_bucket() {
    let project = project();
    let home = owner(&project);
    assert_eq!(home.run(["mb", "supabase://photos"]).ok().out(), "created supabase://photos\n");
    home.run(["mb", "supabase://photos"]).fails(1, &["already exists"], "--exist-ok");
    home.run(["mb", "--exist-ok", "supabase://photos"]).ok();
    assert_eq!(home.run(["ls", "supabase://"]).ok().out(), "supabase://photos\n");
    assert!(home.run(["stat", "supabase://photos"]).ok().out().contains("public:"));
    home.run_with_input(["cp", "-", "supabase://photos/dir/k"], b"x").ok();
    home.run(["rb", "supabase://photos"]).fails(1, &["is not empty", "supabase://photos/dir/k"], "--force");
    let removed = home.run(["rb", "--force", "supabase://photos"]).ok();
    assert_eq!(removed.out(), "removed bucket supabase://photos\n");
    assert_eq!(home.run(["ls", "supabase://"]).ok().out(), "");
}

fn objects_and_trees() {
    let project = project();
    let home = with_bucket(&project);
    for (name, size) in
        [("a.txt", 10), ("empty", 0), ("with space.txt", 100), ("sub/deep/c", 1), ("big.bin", 9 << 20)]
    {
        random_file(home.path("tree").join(name), size);
    }
    home.run(["cp", "-r", "tree", "supabase://b/in/"]).ok();
    assert_eq!(
        home.run(["ls", "supabase://b/in/"]).ok().lines(),
        [
            "supabase://b/in/a.txt",
            "supabase://b/in/big.bin",
            "supabase://b/in/empty",
            "supabase://b/in/sub/",
            "supabase://b/in/with space.txt"
        ]
    );
    home.run(["cp", "-r", "supabase://b/in/", "back"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
    let stat = home.run(["--json", "stat", "supabase://b/in/a.txt"]).ok().json();
    assert_eq!((stat[0]["size"].as_u64(), stat[0]["content_type"].as_str()), (Some(10), Some("text/plain")));
    assert_eq!(home.run(["cat", "supabase://b/in/a.txt"]).ok().bytes, noise(11, 10));
    home.run(["rm", "-r", "supabase://b/in/"]).ok();
    assert_eq!(home.run(["ls", "-r", "supabase://b"]).ok().out(), "");
}

fn presigned_urls() {
    let project = project();
    let home = with_bucket(&project);
    home.run_with_input(["cp", "-", "supabase://b/a b.txt"], b"by a link").ok();
    let url = home.run(["presign", "--expires", "2m", "supabase://b/a b.txt"]).ok().out();
    assert!(url.contains("/object/sign/b/a%20b.txt?token="), "{url}");
    // Whoever has it can read, without any key.
    assert_eq!(Home::new().run(["cat", url.trim()]).ok().bytes, b"by a link");
    let json = home.run(["--json", "presign", "supabase://b/a b.txt"]).ok().json();
    assert_eq!(
        (json[0]["type"].as_str(), json[0]["expires_in_seconds"].as_u64()),
        (Some("signed"), Some(3600))
    );
    let put = home.run(["presign", "--method", "put", "supabase://b/new.txt"]).ok().out();
    assert!(put.contains("/object/upload/sign/b/new.txt?token="), "{put}");
    home.run(["presign", "--method", "put", "--expires", "1h", "supabase://b/x"])
        .exits(2)
        .says(&["the server decides"]);
    home.run(["presign", "supabase://b/missing"]).exits(1);
}

fn rules_of_buckets() {
    let project = project();
    let home = owner(&project);
    home.run([
        "supabase",
        "bucket",
        "create",
        "--public",
        "--size-limit",
        "1KB",
        "--mime",
        "text/*",
        "supabase://r",
    ])
    .ok();
    let got = home.run(["--json", "supabase", "bucket", "get", "r"]).ok().json();
    assert_eq!(
        (got[0]["public"].as_bool(), got[0]["size_limit"].as_u64(), got[0]["content_types"].as_str()),
        (Some(true), Some(1000), Some("text/*"))
    );
    random_file(home.path("large.txt"), 2000);
    home.run(["cp", "large.txt", "supabase://r/"]).exits(1).says(&["exceeded", "--size-limit"]);
    home.run(["supabase", "bucket", "update", "--private", "--no-size-limit", "--any-mime", "r"]).ok();
    home.run(["cp", "large.txt", "supabase://r/"]).ok();
    home.run(["supabase", "bucket", "update", "r"]).exits(2);
    assert!(home.run(["supabase", "bucket", "list"]).ok().out().contains("supabase://r"));
    home.run(["supabase", "bucket", "delete", "r"]).exits(1).says(&["not empty"]);
    home.run(["supabase", "bucket", "empty", "r"]).ok();
    home.run(["supabase", "bucket", "delete", "r"]).ok();
}

fn what_goes_wrong_is_explained() {
    let project = project();
    let home = with_bucket(&project);
    home.run(["ls", "supabase://nope/"]).exits(0);
    home.run(["cat", "supabase://b/missing"]).fails(
        1,
        &["supabase://b/missing", "Object not found"],
        "longshore ls",
    );
    let url = project.supabase_url().expect("a service");
    let nobody = Home::new().with("SUPABASE_URL", url).with("SUPABASE_KEY", "not a token");
    nobody.run(["ls", "supabase://"]).fails(1, &["Invalid Compact JWS"], "SUPABASE_SERVICE_ROLE_KEY");
    let anon = project.supabase_settings().anon_key();
    let guest = Home::new().with("SUPABASE_URL", url).with("SUPABASE_KEY", anon);
    guest.run_with_input(["cp", "-", "supabase://b/k"], b"x").fails(1, &["row-level security"], "policies");
    Home::new().run(["ls", "supabase://b/"]).fails(2, &["no address of a Supabase project"], "SUPABASE_URL");
}

fn names_that_the_service_does_not_take() {
    let project = project();
    let home = with_bucket(&project);
    let names = ["plain.txt", "größe.txt", "sub/a#b.txt", "sub/100%.txt", "sub/x=y.txt"];
    for name in names {
        random_file(home.path("tree").join(name), 100);
    }
    // Nothing is sent before all names were looked at.
    for command in [&["cp", "-r"][..], &["cp", "-r", "--exclude", "none"], &["sync"], &["mv", "-r"]] {
        let refused = home.run(command.iter().chain(&["tree", "supabase://b/"]));
        refused.fails(2, &["größe.txt", "a#b.txt", "100%.txt"], "--encode-keys");
    }
    // What is left out may be named as it likes.
    home.run(["sync", "--dry-run", "--exclude", "**/*#*", "--exclude", "*ö*", "tree", "supabase://b/"])
        .fails(2, &["100%.txt"], "--encode-keys");
    assert_eq!(home.run(["ls", "-r", "supabase://b"]).ok().out(), "");
    home.run(["--encode-keys", "cp", "-r", "tree", "supabase://b/"]).ok();
    let stored = home.run(["ls", "-r", "supabase://b"]).ok().out();
    assert!(stored.contains("supabase://b/sub/a=23b.txt") && stored.contains("x=3Dy.txt"), "{stored}");
    let listed = home.run(["--encode-keys", "ls", "supabase://b/sub/"]).ok().out();
    assert!(listed.contains("supabase://b/sub/a#b.txt"), "{listed}");
    home.run(["--encode-keys", "cp", "-r", "supabase://b/", "back"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
    let again = home.run(["--encode-keys", "sync", "tree", "supabase://b/"]).ok();
    again.says(&["5 unchanged"]);
    home.run(["--encode-keys", "sync", "supabase://b/", "synced"]).ok();
    assert_same(&home.path("tree"), &home.path("synced"));
    home.run(["--encode-keys", "mv", "-r", "synced", "supabase://b/moved/"]).ok();
    assert!(!home.path("synced/plain.txt").exists());
    home.run(["--encode-keys", "mv", "-r", "supabase://b/moved/", "synced"]).ok();
    assert_same(&home.path("tree"), &home.path("synced"));
    home.run(["ls", "-r", "supabase://b/moved/"]).exits(1).says(&["there is no object below"]);
}

/// What the server was asked about resumable uploads by this method.
fn asked(project: &Handle, method: &str) -> Vec<JournalEntry> {
    let uploads = |entry: &JournalEntry| entry.method == method && entry.path.contains("/upload/resumable");
    project.journal().filter(uploads)
}

/// The process is killed at seeded points of one upload, each time in the middle of a piece.
fn killed_uploads_go_on() {
    let heavy = std::env::var_os("LONGSHORE_HEAVY").is_some_and(|value| value == "1");
    let (size, kills) = if heavy { (200 << 20, 20) } else { (32 << 20, 5) };
    let (part, command) = (6 << 20, ["cp", "killed.bin", "supabase://b/dir/"]);
    let project = project();
    let home = with_bucket(&project);
    random_file(home.path("killed.bin"), size);
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for _ in 0..kills {
        // The next piece, or the one behind it.
        let (skip, at) = (random.usize(0..2), random.usize(0..part / 2));
        let fault = project.faults().add_str(&format!("mpt-part:stall-at={at}:skip={skip}")).unwrap();
        let running = home.start(command);
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while project.faults().applied(fault) == 0 {
            assert!(std::time::Instant::now() < deadline, "the piece was not sent");
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        running.signal(rustix::process::Signal::KILL);
        assert_eq!(running.wait().code, None);
        project.faults().clear();
        // Nothing is half there.
        assert_eq!(home.run(["ls", "-r", "supabase://b"]).ok().out(), "");
    }
    home.run(command).ok();
    assert_eq!(asked(&project, "POST").len(), 1, "one upload was begun, and gone on with");
    let sent: u64 = asked(&project, "PATCH").iter().map(|entry| entry.bytes_in).sum();
    let most = (size + kills * part) as u64;
    assert!(sent <= most, "{sent} bytes were sent of {size}, in {kills} attempts");
    home.run(["cp", "supabase://b/dir/killed.bin", "back.bin"]).ok();
    assert!(
        fs::read(home.path("killed.bin")).expect("file") == fs::read(home.path("back.bin")).expect("file")
    );
}
