//! Copies from every platform to every other one, and between two services of one kind.

use super::{Home, Platform, assert_same, cases, names, platforms::Site, random_file};

cases! { everything_travels_between_all_platforms what_cannot_be_held_is_counted a_profile_without_the_service_says_so }

/// A user who knows both by profile.
fn knows(source: &Site, target: &Site) -> Home {
    let home = Home::new();
    home.configure(&format!("{}{}", source.profile("src"), target.profile("dst")));
    home
}

fn everything_travels_between_all_platforms() {
    for from in Platform::ALL {
        for to in Platform::ALL {
            travels(&from.start(), &to.start(), &format!("{from:?} to {to:?}"));
        }
    }
}

fn travels(source: &Site, target: &Site, pair: &str) {
    let home = knows(source, target);
    for (name, size) in [("a.txt", 10), ("empty", 0), ("sub/deep/c.bin", 300_000), ("with space.json", 100)] {
        random_file(home.path("tree").join(name), size);
    }
    let (at, there) = (source.url("in"), target.url("out"));
    home.run(["--profile", "src", "cp", "-r", "--update", "--metadata", "owner=anna", "tree", &at]).ok();
    let profiles = ["--src-profile", "src", "--dst-profile", "dst"];
    let between = |command: &[&str]| home.run(command.iter().chain(&profiles).chain(&[&*at, &*there]));
    between(&["cp", "-r"]).ok().says(&["copied 4 files"]);
    between(&["diff"]).ok();
    between(&["sync"]).ok().says(&["4 unchanged"]);

    let stat = |profile: &str, url: String| {
        home.run(["--profile", profile, "--json", "stat", &url]).ok().json().remove(0)
    };
    let (before, after) = (stat("src", source.url("in/a.txt")), stat("dst", target.url("out/a.txt")));
    assert_eq!(after["metadata"]["owner"], "anna", "{pair}: {after}");
    assert_eq!(after["content_type"], "text/plain", "{pair}: {after}");
    // When the file changed last, which no store knows by itself.
    assert!(after["metadata"]["mtime"].is_string(), "{pair}: {after}");
    assert_eq!(after["metadata"], before["metadata"], "{pair}");

    home.run(["--profile", "dst", "sync", &there, "back"]).ok();
    assert_same(&home.path("tree"), &home.path("back"));
    // And away again, so that nothing is left there.
    let home_again = [&*there, &source.url("moved")];
    let back = ["mv", "-r", "--src-profile", "dst", "--dst-profile", "src"];
    home.run(back.iter().chain(&home_again)).ok().says(&["moved 4 files"]);
    assert_eq!(home.run(["--profile", "dst", "ls", "-r", &target.url("")]).ok().out(), "", "{pair}");
    assert_eq!(names(&home.work()), ["back", "tree"], "{pair}: no temporary file");
}

/// Keys with capital letters cannot be headers, so no S3 service holds them.
fn what_cannot_be_held_is_counted() {
    for to in Platform::ALL {
        let lost = matches!(to, Platform::S3 | Platform::Apolo).then_some(1);
        let (source, target) = (Platform::Aistore.start(), to.start());
        let home = knows(&source, &target);
        random_file(home.path("x.txt"), 10);
        let (at, there) = (source.url("x.txt"), target.url("x.txt"));
        let metadata = ["--metadata", "Owner=anna", "--metadata", "color=red", "x.txt", &at];
        home.run(["--profile", "src", "cp"].iter().chain(&metadata)).ok();
        let ran =
            home.run(["--json", "cp", "--src-profile", "src", "--dst-profile", "dst", &at, &there]).ok();
        let summary = ran.json().pop().unwrap();
        assert_eq!(summary["succeeded"], 1, "{summary}");
        assert_eq!(summary["lost"].as_u64().filter(|lost| *lost > 0), lost, "{to:?}: {summary}");
        let stat = home.run(["--profile", "dst", "--json", "stat", &there]).ok().json().remove(0);
        assert_eq!(stat["metadata"]["color"], "red", "{to:?}: {stat}");
    }
}

fn a_profile_without_the_service_says_so() {
    let home = Home::new();
    home.configure("[profile.none]\nconcurrency = 2\n[profile.half]\ns3-access-key = \"k\"\n");
    for (url, setting) in [
        ("ais://b/x", "`endpoint`"),
        ("supabase://b/x", "`supabase-url`"),
        ("s3://b/x", "`s3-endpoint`"),
        ("blob:b/x", "`apolo-token`"),
    ] {
        let ran = home.run(["cp", "--src-profile", "none", url, "here"]).exits(2);
        ran.says(&["profile `none`", "says no", setting]);
    }
    home.run(["cp", "--src-profile", "half", "s3://b/x", "here"]).exits(2).says(&["`s3-secret-key`"]);
    assert!(names(&home.work()).is_empty());
}
