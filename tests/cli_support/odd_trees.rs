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
    random_file(home.path("tree/a"), 5);
    random_file(home.path("tree/secret"), 5);
    random_file(home.path("tree/closed/x"), 5);
    let mode = |name: &str, mode| {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to root; a link that leads nowhere cannot be read by anybody.
        fs::remove_dir_all(home.path("tree/closed")).unwrap();
        fs::remove_file(home.path("tree/secret")).unwrap();
        for name in ["tree/closed", "tree/secret"] {
            std::os::unix::fs::symlink("nowhere", home.path(name)).unwrap();
        }
    } else {
        mode("tree/secret", 0);
        mode("tree/closed", 0);
    }
    for (command, place) in [(&["cp", "-r"][..], "one"), (&["sync", "--delete"], "two")] {
        let ran = home.run(command.iter().chain(&["tree", &*site.url(place)])).exits(3);
        ran.says(&["secret", "closed", "1 file", "2 failed"]);
        assert_eq!(listed(&home, &site.url(place)), [site.url(&format!("{place}/a"))]);
    }
    if !rustix::process::geteuid().is_root() {
        mode("tree/closed", 0o700);
        // And down, into a folder that takes nothing.
        fs::create_dir(home.path("full")).unwrap();
        mode("full", 0o500);
        home.run(["cp", "-r", &site.url("one"), "full"]).exits(1).says(&["full"]);
        mode("full", 0o700);
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
