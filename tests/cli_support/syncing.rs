//! `sync`: places become the same, and nothing is removed that the source may have.

use std::fs;

use super::{Home, assert_same, cases, cluster, names, random_file, tree};

cases! { places_become_the_same_both_ways nothing_is_removed_unless_it_is_certain
nothing_is_removed_while_a_cluster_moves_objects dry_runs_change_nothing filters_hold_on_both_sides
files_that_say_what_is_left_out two_clusters_by_profile }

fn places_become_the_same_both_ways() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    home.run(["sync", "tree", "ais://b/p"]).ok().says(&["synchronized 8 files, 2.9 MiB"]);
    home.run(["sync", "tree", "ais://b/p"]).ok().says(&["synchronized 0 files", "8 unchanged"]);
    home.run(["sync", "--compare", "both", "tree", "ais://b/p"]).ok().says(&["8 unchanged"]);
    home.run(["sync", "ais://b/p/", "back"]).ok().says(&["synchronized 8 files"]);
    assert_same(&home.path("tree"), &home.path("back"));
    home.run(["sync", "ais://b/p/", "back"]).ok().says(&["8 unchanged"]);

    random_file(home.path("tree/a.txt"), 11);
    random_file(home.path("tree/new"), 5);
    fs::remove_file(home.path("tree/sub/deep/er/c")).unwrap();
    let ran = home.run(["--json", "sync", "--delete", "tree", "ais://b/p"]).ok();
    let summary = ran.json().pop().unwrap();
    assert_eq!(summary["succeeded"], 2);
    assert_eq!((summary["unchanged"].as_u64(), summary["removed"].as_u64()), (Some(6), Some(1)));
    home.run(["sync", "--delete", "ais://b/p", "back"]).ok().says(&["1 removed"]);
    assert_same(&home.path("tree"), &home.path("back"));
    assert!(!home.path("back/sub/deep").exists(), "folders that are left empty go");
}

fn files_that_say_what_is_left_out() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for (name, text) in [
        ("src/.gitignore", "*.log\n/build/\n"),
        ("src/a.txt", "a"),
        ("src/a.log", "a"),
        ("src/build/out", "a"),
        ("src/sub/.gitignore", "!keep.log\n"),
        ("src/sub/keep.log", "a"),
        ("src/sub/b.log", "a"),
    ] {
        fs::create_dir_all(home.path(name).parent().unwrap()).unwrap();
        fs::write(home.path(name), text).unwrap();
    }
    let listed = |prefix: &str| {
        let url = format!("ais://b/{prefix}/");
        home.run(["ls", "-r", &url]).ok().out().replace(&url, "").replace('\n', " ")
    };
    let what = ["--exclude-from-files", ".gitignore"];
    let run = |args: &[&str]| home.run(args.iter().chain(&what));
    run(&["cp", "-r", "src", "ais://b/copy"]).ok().says(&["copied 4 files"]);
    assert_eq!(listed("copy"), ".gitignore a.txt sub/.gitignore sub/keep.log ");
    assert_eq!(run(&["cp", "-n", "-r", "src", "ais://b/other"]).ok().lines().len(), 4);
    // The files of the folders above are about it too.
    run(&["cp", "-r", "src/sub/", "ais://b/sub"]).ok().says(&["copied 2 files"]);

    // What is left out is not removed, but what is not left out and not there is.
    home.run(["cp", "-r", "src", "ais://b/sync"]).ok();
    home.run_with_input(["cp", "-", "ais://b/sync/gone.txt"], b"x").ok();
    home.run_with_input(["cp", "-", "ais://b/sync/gone/gone.log"], b"x").ok();
    run(&["sync", "--delete", "src", "ais://b/sync"]).ok().says(&["1 removed"]);
    assert_eq!(
        listed("sync"),
        ".gitignore a.log a.txt build/out gone/gone.log sub/.gitignore sub/b.log sub/keep.log "
    );

    // Nothing is let through, and nothing removed, for a file that cannot be read.
    fs::write(home.path("src/sub/.gitignore"), [0xff]).unwrap();
    home.run_with_input(["cp", "-", "ais://b/sync/gone.txt"], b"x").ok();
    fs::write(home.path("src/sub/new.txt"), "a").unwrap();
    run(&["sync", "--delete", "src", "ais://b/sync"]).exits(3).says(&[
        "sub/ is left out",
        "not UTF-8",
        "nothing was removed",
    ]);
    assert!(listed("sync").contains("gone.txt") && !listed("sync").contains("new.txt"));

    for args in [
        &["sync", "ais://b/sync", "back"][..],
        &["cp", "src/a.txt", "ais://b/"],
        &["cp", "-r", "ais://b", "back"],
    ] {
        run(args).fails(2, &["is no local folder"], "--exclude");
    }
    home.run(["cp", "-r", "--exclude-from-files", "a/b", "src", "ais://b"])
        .exits(2)
        .says(&["not the name of a file"]);
}

fn nothing_is_removed_unless_it_is_certain() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for n in 0..4 {
        random_file(home.path(&format!("tree/{n}")), 10 + n);
    }
    home.run(["cp", "-r", "tree", "ais://b/"]).ok();
    fs::create_dir(home.path("empty")).unwrap();
    let kept = |ran: super::Ran, why: &str| {
        ran.fails(1, &["nothing was removed", why], "only if it is certain");
        assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 4);
    };
    kept(home.run(["sync", "--delete", "empty", "ais://b"]), "nothing was found in empty");

    fs::create_dir(home.path("one")).unwrap();
    fs::copy(home.path("tree/0"), home.path("one/0")).unwrap();
    let ran = home.run(["sync", "--delete", "--max-delete", "2", "one", "ais://b"]);
    ran.fails(3, &["3 items would be removed, more than 2"], "certain");
    assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 4);

    // A listing that breaks off, on either side.
    cluster.faults().add_str("list:status=404").unwrap();
    let ran = home.run(["sync", "--delete", "one", "ais://b"]);
    assert_ne!(ran.code, Some(0));
    cluster.faults().clear();
    assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 4);

    // An item that cannot be copied.
    random_file(home.path("one/new"), 5);
    cluster.faults().add_str("put:status=403").unwrap();
    let ran = home.run(["sync", "--delete", "one", "ais://b"]).exits(3);
    ran.says(&["nothing was removed", "an item failed"]);
    cluster.faults().clear();
    assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 4);

    // Nobody said which cluster is meant.
    let nobody = Home::new();
    fs::create_dir(nobody.path("d")).unwrap();
    nobody.run(["sync", "--delete", "d", "ais://b"]).fails(2, &["nobody said"], "--endpoint");
    home.run(["sync", "--delete", "one", "ais://b"]).ok().says(&["3 removed"]);
}

/// Asked before the listings and again before the first removal, wherever the cluster stands.
fn nothing_is_removed_while_a_cluster_moves_objects() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run(["mb", "ais://c"]).ok();
    random_file(home.path("tree/0"), 10);
    for name in ["0", "1"] {
        home.run(["cp", "tree/0", &format!("ais://b/{name}")]).ok();
    }
    home.run(["cp", "tree/0", "ais://c/0"]).ok();
    home.run(["sync", "ais://b", "down"]).ok();
    let asked = |args: [&str; 4]| {
        cluster.journal().clear();
        home.run(args).ok();
        cluster.journal().count(|entry| entry.operation == "cluster")
    };
    let directions = [
        (["sync", "--delete", "tree", "ais://b"], ["sync", "--delete", "tree", "ais://c"]),
        (["sync", "--delete", "ais://c", "down"], ["sync", "--delete", "ais://b", "down"]),
    ];
    for (removing, nothing_to_remove) in directions {
        // What is asked where there is nothing to remove comes before the listings.
        let before = asked(nothing_to_remove);
        for (state, said) in [
            ("unsettled=rebalancing", "is rebalancing"),
            ("unsettled=interrupted", "has an interrupted rebalance"),
            ("unsettled=maintenance", "is under maintenance"),
            // Who does not answer may be moving objects.
            ("status=403", "it is not known whether the listings can be trusted"),
        ] {
            for skip in [0, before] {
                if state == "status=403" && skip == 0 {
                    // Nothing works at all then.
                    continue;
                }
                cluster.faults().add_str(&format!("cluster:{state}:skip={skip}")).unwrap();
                home.run(removing).exits(3).says(&["nothing was removed", said]);
                cluster.faults().clear();
                assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 2, "{removing:?}: {state}");
                assert_eq!(names(&home.path("down")), ["0", "1"], "{removing:?}: {state}");
            }
        }
    }
    for (removing, _) in directions {
        home.run(["cp", "tree/0", "ais://b/1"]).ok();
        home.run(removing).ok().says(&["1 removed"]);
    }
}

fn dry_runs_change_nothing() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    tree(&home.path("tree"));
    random_file(home.path("old"), 3);
    home.run(["cp", "old", "ais://b/old"]).ok();
    let ran = home.run(["sync", "-n", "--delete", "tree", "ais://b"]).ok();
    assert_eq!(ran.lines().len(), 9, "{}", ran.out());
    assert!(ran.out().contains("would copy tree/a.txt to ais://b/a.txt\n"), "{}", ran.out());
    assert!(ran.out().ends_with("would remove ais://b/old\n"), "{}", ran.out());
    assert_eq!(home.run(["ls", "-r", "ais://b"]).ok().out(), "ais://b/old\n");
    home.run(["sync", "-n", "ais://b", "down"]).ok();
    assert!(!home.path("down").exists());
}

fn filters_hold_on_both_sides() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for name in ["a.txt", "a.log", "d/b.log", "d/c.txt", "target/x"] {
        random_file(home.path(&format!("tree/{name}")), 10);
    }
    random_file(home.path("x"), 1);
    home.run(["cp", "x", "ais://b/old.log"]).ok();
    home.run(["cp", "x", "ais://b/old.txt"]).ok();
    let filter = ["--exclude", "*.log", "--exclude", "target/", "--delete", "tree", "ais://b"];
    home.run(["sync"].iter().chain(&filter)).ok().says(&["synchronized 2 files", "1 removed", "3 skipped"]);
    assert_eq!(
        home.run(["ls", "-r", "ais://b"]).ok().lines(),
        ["ais://b/a.txt", "ais://b/d/c.txt", "ais://b/old.log"]
    );
    home.run(["sync", "--include", "d/", "tree", "ais://b"]).ok().says(&["synchronized 1 file,"]);
}

fn two_clusters_by_profile() {
    let (one, other) = (cluster(), cluster());
    let home = Home::new();
    home.configure(&format!(
        "[profile.one]\nendpoint = \"{}\"\n[profile.other]\nendpoint = \"{}\"\n",
        one.aistore_url(),
        other.aistore_url()
    ));
    for profile in ["one", "other"] {
        home.run(["--profile", profile, "mb", "ais://b"]).ok();
    }
    tree(&home.path("tree"));
    home.run(["--profile", "one", "cp", "-r", "--metadata", "owner=anna", "tree", "ais://b/"]).ok();
    let between = ["--src-profile", "one", "--dst-profile", "other", "ais://b", "ais://b"];
    home.run(["sync"].iter().chain(&between)).ok().says(&["synchronized 8 files"]);
    home.run(["sync"].iter().chain(&between)).ok().says(&["8 unchanged"]);
    home.run(["diff", "--checksum"].iter().chain(&between)).ok();
    home.run(["--profile", "other", "sync", "ais://b", "back"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
    let stat = home.run(["--profile", "other", "--json", "stat", "ais://b/a.txt"]).ok().json().remove(0);
    assert!(stat.to_string().contains("anna") && stat.to_string().contains("text/plain"), "{stat}");
    home.run(["--profile", "one", "rm", "-r", "ais://b"]).ok();
    home.run(["cp", "-r", "--src-profile", "other", "--dst-profile", "one", "ais://b", "ais://b"]).ok();
    home.run(["diff", "--checksum"].iter().chain(&between)).ok();
    let moving =
        ["mv", "-r", "--src-profile", "other", "--dst-profile", "one", "ais://b/sub/", "ais://b/moved"];
    home.run(moving).ok().says(&["moved 3 files"]);
    assert_eq!(home.run(["--profile", "other", "ls", "-r", "ais://b/sub"]).lines().len(), 0);
    assert_eq!(home.run(["--profile", "one", "ls", "-r", "ais://b/moved/"]).ok().lines().len(), 3);
    home.run(["sync", "--src-profile", "nope", "ais://b", "x"]).fails(
        2,
        &["no profile `nope`"],
        "[profile.nope]",
    );
    assert_eq!(names(&home.work()), ["back", "tree"]);
}
