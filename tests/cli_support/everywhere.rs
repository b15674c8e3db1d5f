//! What works in the same way on every platform: `mv`, `du`, `diff`, `sync --delete`, `rm -r`, and their dry runs.

use std::fs;

use super::{Home, Platform, assert_same, cases, platforms::Site, random_file};

cases! { moves sums_and_differences synchronized_with_removal removals_and_dry_runs nothing_is_replaced_unasked
listings_keep_to_the_pace times_of_files_are_kept full_buckets_are_refused }

fn everywhere(test: impl Fn(&Site, &Home)) {
    for platform in Platform::ALL {
        let site = platform.start();
        test(&site, &site.user());
    }
}

/// Three files of a thousand bytes.
fn some_files(home: &Home) {
    for name in ["a", "d/b", "d/e/c"] {
        random_file(home.path("tree").join(name), 1000);
    }
}

fn listed(home: &Home, url: &str) -> Vec<String> {
    home.run(["ls", "-r", url]).ok().lines()
}

fn moves() {
    everywhere(|site, home| {
        some_files(home);
        random_file(home.path("same/a"), 1000);
        random_file(home.path("same/d/b"), 1000);
        random_file(home.path("same/d/e/c"), 1000);
        home.run(["mv", "-n", "-r", "tree", &site.url("t")]).ok();
        assert!(listed(home, &site.url("")).is_empty() && home.path("tree/a").exists());
        home.run(["mv", "-r", "tree", &site.url("t")]).ok().says(&["moved 3 files"]);
        assert!(!home.path("tree/a").exists());
        // Inside the store.
        site.server.journal().clear();
        home.run(["mv", "-r", &site.url("t/d"), &site.url("u")]).ok().says(&["moved 2 files"]);
        home.run(["mv", &site.url("t/a"), &site.url("u/x")]).ok();
        assert_eq!(site.moved("get"), 0, "the server copies");
        assert_eq!(listed(home, &site.url("")), ["u/b", "u/e/c", "u/x"].map(|key| site.url(key)));
        assert_ne!(home.run(["mv", &site.url("u/x"), &site.url("u/x")]).code, Some(0));
        assert_eq!(listed(home, &site.url("")).len(), 3);
        home.run(["mv", "-r", &site.url("u"), "back"]).ok().says(&["moved 3 files"]);
        assert!(listed(home, &site.url("")).is_empty());
        fs::create_dir_all(home.path("back/d/e")).unwrap();
        for (from, to) in [("x", "a"), ("b", "d/b"), ("e/c", "d/e/c")] {
            fs::rename(home.path("back").join(from), home.path("back").join(to)).unwrap();
        }
        fs::remove_dir(home.path("back/e")).unwrap();
        assert_same(&home.path("same"), &home.path("back"));
    });
}

fn sums_and_differences() {
    everywhere(|site, home| {
        some_files(home);
        let there = site.url("t");
        home.run(["cp", "-r", "tree", &there]).ok();
        let sums = home.run(["--json", "du", "--depth", "1", &there]).ok().json();
        let sums: Vec<_> = sums
            .iter()
            .map(|sum| {
                (
                    sum["url"].as_str().unwrap(),
                    sum["objects"].as_u64().unwrap(),
                    sum["bytes"].as_u64().unwrap(),
                )
            })
            .collect();
        let (inner, whole) = (site.url("t/d/"), site.url("t/"));
        assert_eq!(sums, [(&*inner, 2, 2000), (&*whole, 3, 3000)]);
        home.run(["diff", "tree", &there]).ok();
        home.run(["diff", "--checksum", "tree", &there]).ok();
        fs::write(home.path("sums"), "d41d8cd98f00b204e9800998ecf8427e  a\n").unwrap();
        let found = home.run(["diff", "--sumfile", "sums", &there]).exits(1).lines();
        assert_eq!(found[0], "! a");
        home.run(["cp", &site.url("t/a"), &site.url("t/new")]).ok();
        fs::write(home.path("tree/d/b"), b"other").unwrap();
        random_file(home.path("tree/mine"), 5);
        let found = home.run(["diff", "tree", &there]).exits(1).out();
        for name in ["d/b", "mine", "new"] {
            assert!(found.contains(name), "{name} is not in {found}");
        }
        assert!(!found.contains("d/e/c"), "{found}");
    });
}

fn synchronized_with_removal() {
    everywhere(|site, home| {
        some_files(home);
        let there = site.url("t");
        home.run(["sync", "tree", &there]).ok().says(&["synchronized 3 files"]);
        home.run(["sync", "tree", &there]).ok().says(&["3 unchanged"]);
        home.run(["sync", &there, "back"]).ok().says(&["synchronized 3 files"]);
        assert_same(&home.path("tree"), &home.path("back"));
        fs::remove_file(home.path("tree/d/b")).unwrap();
        random_file(home.path("tree/new"), 7);
        let dry = home.run(["sync", "-n", "--delete", "tree", &there]).ok().out();
        // By the store's own name, which can be longer than the one that was typed.
        let removal = |line: &str| line.starts_with("would remove ") && line.ends_with("bucket/t/d/b");
        assert!(dry.lines().any(removal), "{dry}");
        assert_eq!(listed(home, &there).len(), 3);
        home.run(["sync", "--delete", "tree", &there]).ok().says(&["1 removed"]);
        home.run(["sync", "--delete", &there, "back"]).ok().says(&["1 removed"]);
        assert_same(&home.path("tree"), &home.path("back"));
        // Nothing goes for a source in which there is nothing.
        fs::create_dir(home.path("none")).unwrap();
        home.run(["sync", "--delete", "none", &there]).fails(1, &["nothing was removed"], "certain");
        home.run(["sync", "--delete", &site.url("none"), "back"]).exits(1).says(&["nothing was removed"]);
        assert_eq!(listed(home, &there).len(), 3);
        assert_same(&home.path("tree"), &home.path("back"));
    });
}

fn removals_and_dry_runs() {
    everywhere(|site, home| {
        some_files(home);
        home.run(["cp", "-n", "-r", "tree", &site.url("t")]).ok();
        assert!(listed(home, &site.url("")).is_empty());
        home.run(["cp", "-r", "tree", &site.url("t")]).ok();
        home.run(["rm", "-n", "-r", &site.url("t/d")]).ok();
        assert_eq!(listed(home, &site.url("")).len(), 3);
        home.run(["rm", "-r", &site.url("t/d")]).ok();
        assert_eq!(listed(home, &site.url("")), [site.url("t/a")]);
        home.run(["cp", "-n", "-r", &site.url("t"), "down"]).ok();
        assert!(!home.path("down").exists());
    });
}

fn nothing_is_replaced_unasked() {
    everywhere(|site, home| {
        random_file(home.path("old"), 10);
        random_file(home.path("new"), 20);
        home.run(["cp", "old", &site.url("k")]).ok();
        home.run(["cp", "--no-clobber", "new", &site.url("k")]).ok().says(&["1 unchanged"]);
        assert_eq!(home.run(["cat", &site.url("k")]).ok().bytes.len(), 10);
        home.run(["cp", "--update", "old", &site.url("k")]).ok().says(&["1 unchanged"]);
    });
}

/// What is asked for in listings counts as a request.
fn listings_keep_to_the_pace() {
    let site = Platform::Aistore.start();
    let home = site.user();
    for name in 0..30 {
        random_file(home.path(&format!("tree/{name}")), 1);
    }
    home.run(["cp", "-r", "tree", &site.url("t")]).ok();
    site.server.journal().clear();
    home.run(["--limit-requests", "20", "sync", &site.url("t"), "back"]).ok();
    let entries = site.server.journal().filter(|entry| matches!(entry.operation, "get" | "list"));
    let (first, last) = (entries.first().unwrap(), entries.last().unwrap());
    // A lower bound, which no busy machine can break: a tenth of a second may be run ahead of.
    let spread = last.at.saturating_sub(first.at).as_secs_f64();
    let asked = home.path("back").read_dir().unwrap().count();
    assert_eq!(asked, 30);
    assert!(spread >= 1.2, "{} requests within {spread} s", entries.len());
}

/// Whatever command a file moves with.
fn times_of_files_are_kept() {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for platform in Platform::ALL {
        let site = platform.start();
        let home = site.user();
        for (name, size) in [("t/small", 10), ("t/larger", 1 << 20)] {
            random_file(home.path(name), size);
            let file = fs::OpenOptions::new().write(true).open(home.path(name)).unwrap();
            file.set_modified(time).unwrap();
        }
        home.run(["cp", "-r", "t", &site.url("tree")]).ok();
        home.run(["cp", "t/small", &site.url("one/")]).ok();
        home.run(["cp", "-r", "--update", "t", &site.url("new")]).ok();
        for key in ["tree/small", "tree/larger", "one/small", "new/small"] {
            let stat = home.run(["--json", "stat", &site.url(key)]).ok().json().remove(0);
            assert_eq!(stat["metadata"]["mtime"], "1000000000", "{platform:?}: {stat}");
        }
        if platform == Platform::Supabase {
            // It does not show metadata beside the bytes.
            continue;
        }
        home.run(["cp", "-r", &site.url("tree"), "back"]).ok();
        home.run(["cp", &site.url("one/small"), "back/one"]).ok();
        home.run(["cp", "-r", "--no-clobber", &site.url("new"), "back/new"]).ok();
        for name in ["small", "larger", "one", "new/small", "new/larger"] {
            let meta = fs::metadata(home.path("back").join(name)).unwrap();
            assert_eq!(meta.modified().unwrap(), time, "{platform:?}: {name}");
        }
    }
}

fn full_buckets_are_refused() {
    everywhere(|site, home| {
        random_file(home.path("x"), 10);
        let bucket = site.url("");
        home.run(["cp", "x", &site.url("d/x")]).ok();
        home.run(["rb", &bucket]).fails(1, &["is not empty"], "--force");
        home.run(["rb", "--dry-run", "--force", &bucket]).ok();
        assert_eq!(listed(home, &bucket), [site.url("d/x")]);
        home.run(["rb", "--force", &bucket]).ok();
        home.run(["rb", &bucket]).exits(1);
    });
}
