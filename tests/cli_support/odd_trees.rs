//! Trees that are not what one expects: empty folders, names in several forms, names that are files and folders, links,
//! pipes, and what cannot be read.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::{Home, Platform, assert_same, cases, names, platforms::Site, random_file};

cases! { empty_folders_come_back_as_placeholders_only forms_of_a_name_stay_apart names_of_objects_and_folders
links_pipes_and_sockets what_cannot_be_read_fails_alone names_that_are_no_text }

fn everywhere(test: impl Fn(&Site, &Home)) {
    for platform in Platform::ALL {
        let site = platform.start();
        test(&site, &site.user());
    }
}

fn listed(home: &Home, url: &str) -> Vec<String> {
    home.run(["ls", "-r", url]).ok().lines()
}

fn empty_folders_come_back_as_placeholders_only() {
    let site = Platform::S3.start();
    let home = site.user();
    random_file(home.path("tree/a"), 5);
    fs::create_dir_all(home.path("tree/none/below")).unwrap();
    // A store has objects and nothing else, so an empty folder leaves no trace.
    for command in [&["cp", "-r"][..], &["sync"]] {
        home.run(command.iter().chain(&["tree", &site.url("t")])).ok();
        assert_eq!(listed(&home, &site.url("t")), [site.url("t/a")]);
    }
    // What other tools put there for a folder becomes one.
    site.put_to_s3("t/folder/", b"");
    home.run(["cp", "-r", &site.url("t"), "one"]).ok();
    home.run(["sync", &site.url("t"), "two"]).ok();
    for place in ["one", "two"] {
        assert!(home.path(place).join("folder").is_dir(), "{place}");
        assert!(home.path(place).join("a").is_file(), "{place}");
    }
    // It is no reason to remove a folder that is empty here as well, nor the placeholder there.
    home.run(["sync", "--delete", "two", &site.url("t")]).ok();
    assert_eq!(listed(&home, &site.url("t/folder/")), [site.url("t/folder/")]);
}

/// A letter with its mark and a letter followed by its mark are two names, and so are `A` and `a`.
fn forms_of_a_name_stay_apart() {
    for platform in [Platform::Aistore, Platform::S3] {
        let site = platform.start();
        let home = site.user();
        for (size, name) in ["caf\u{e9}", "cafe\u{301}", "Read", "read"].iter().enumerate() {
            random_file(home.path("tree").join(name), size + 1);
        }
        for command in [&["cp", "-r"][..], &["sync"]] {
            home.run(command.iter().chain(&["tree", &site.url("t")])).ok();
            home.run(command.iter().chain(&[&*site.url("t"), "back"])).ok();
            assert_eq!(listed(&home, &site.url("t")).len(), 4);
            assert_same(&home.path("tree"), &home.path("back"));
            fs::remove_dir_all(home.path("back")).unwrap();
        }
    }
}

/// `a` and `a/b` are two objects, of which a disk can hold one.
fn names_of_objects_and_folders() {
    let site = Platform::S3.start();
    let home = site.user();
    for key in ["t/a", "t/a/b", "t/c"] {
        home.run_with_input(["cp", "-", &site.url(key)], key.as_bytes()).ok();
    }
    home.run(["cp", "-r", &site.url("t"), &site.url("copy")]).ok().says(&["copied 3 files"]);
    for (command, place) in [(&["cp", "-r"][..], "one"), (&["sync"], "two")] {
        let ran = home.run(command.iter().chain(&[&*site.url("t"), place])).exits(3);
        ran.says(&["1 failed"]);
        assert_eq!(fs::read(home.path(place).join("c")).unwrap(), b"t/c");
    }
    home.run(["rm", "-r", &site.url("t/a/")]).ok();
    assert_eq!(listed(&home, &site.url("t")), [site.url("t/a"), site.url("t/c")]);
}

fn links_pipes_and_sockets() {
    everywhere(|site, home| {
        random_file(home.path("tree/a"), 5);
        random_file(home.path("elsewhere/x"), 6);
        std::os::unix::fs::symlink("../elsewhere/x", home.path("tree/file")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", home.path("tree/folder")).unwrap();
        assert!(Command::new("mkfifo").arg(home.path("tree/pipe")).status().unwrap().success());
        let socket = std::os::unix::net::UnixListener::bind(home.path("tree/socket")).unwrap();
        for (command, place) in [(&["-v", "cp", "-r"][..], "one"), (&["-v", "sync"], "two")] {
            let ran = home.run(command.iter().chain(&["tree", &*site.url(place)])).ok();
            // A link to a file is the file; what else there is, is named.
            assert_eq!(listed(home, &site.url(place)).len(), 2, "{}", ran.err);
            ran.says(&["3 skipped", "folder", "pipe", "socket"]);
        }
        assert_eq!(home.run(["cat", &site.url("one/file")]).ok().bytes.len(), 6);
        drop(socket);
    });
}

fn what_cannot_be_read_fails_alone() {
    let site = Platform::Aistore.start();
    let home = site.user();
    for name in ["tree/a", "tree/secret", "tree/closed/x", "tree/dark/y", "old"] {
        random_file(home.path(name), 5);
    }
    let mode = |name: &str, mode| {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("tree/secret", 0);
    mode("tree/closed", 0);
    // It says which names it has, and nothing of what they are.
    mode("tree/dark", 0o400);
    let commands: [&[&str]; 3] = [&["cp", "-r"], &["sync", "--delete"], &["cp", "-r", "--update"]];
    for (command, place) in commands.into_iter().zip(["one", "two", "three"]) {
        home.run(["cp", "old", &site.url(&format!("{place}/old"))]).ok();
        let ran = home.run_unprivileged(command.iter().chain(&["tree", &*site.url(place)])).exits(3);
        ran.says(&["secret", "closed", "dark/y", "1 file,", "3 failed"]);
        // What did arrive is there, and what only the destination has stays.
        let expected = ["a", "old"].map(|name| site.url(&format!("{place}/{name}")));
        assert_eq!(listed(&home, &site.url(place)), expected);
    }
    let ran = home.run_unprivileged(["mv", "-r", "tree", &site.url("four")]).exits(3);
    ran.says(&["moved 1 file,", "3 failed"]);
    assert_eq!(names(&home.path("tree")), ["closed", "dark", "secret"]);
    // And down, into a folder that takes nothing, and one that cannot be compared with.
    fs::create_dir(home.path("full")).unwrap();
    mode("full", 0o500);
    home.run_unprivileged(["cp", "-r", &site.url("one"), "full"]).exits(1).says(&["full"]);
    let ran = home.run_unprivileged(["sync", "--delete", &site.url("three"), "tree"]).exits(3);
    ran.says(&["closed", "dark", "nothing was removed"]);
    assert_eq!(names(&home.path("tree")), ["a", "closed", "dark", "old", "secret"]);
    for name in ["full", "tree/closed", "tree/dark"] {
        mode(name, 0o700);
    }
}

fn names_that_are_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let site = Platform::Aistore.start();
    let home = site.user();
    random_file(home.path("tree/a"), 5);
    fs::write(home.path("tree").join(std::ffi::OsStr::from_bytes(b"\xff")), "x").unwrap();
    home.run(["cp", "-r", "tree", &site.url("t")]).exits(3).says(&["not UTF-8", "copied 1 file", "1 failed"]);
    assert_eq!(names(&home.path("tree")).len(), 2);
}
