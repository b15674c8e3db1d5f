//! Flags, environment, profiles, help.

use super::{Home, cases, cluster};

cases! { the_order_of_settings wrong_settings help_has_examples versions }

fn the_order_of_settings() {
    let (one, two, three) = (cluster(), cluster(), cluster());
    for (cluster, bucket) in [(&one, "ais://one"), (&two, "ais://two"), (&three, "ais://three")] {
        Home::with_bucket(cluster, bucket);
    }
    let home = Home::new();
    home.configure(&format!(
        "[profile.default]\nendpoint = {:?}\n[profile.work]\nendpoint = {:?}\nconcurrency = 2\npart-size = \"8MiB\"\n",
        one.aistore_url(),
        two.aistore_url()
    ));
    let buckets = |home: &Home, args: &[&str]| home.run(args.iter().chain(&["ls"])).ok().out();
    assert_eq!(buckets(&home, &[]), "ais://one\n");
    assert_eq!(buckets(&home, &["--profile", "work"]), "ais://two\n");
    let home = home.with("LONGSHORE_PROFILE", "work");
    assert_eq!(buckets(&home, &[]), "ais://two\n");
    let home = home.with("AIS_ENDPOINT", three.aistore_url());
    assert_eq!(buckets(&home, &[]), "ais://three\n");
    assert_eq!(buckets(&home, &["--endpoint", one.aistore_url()]), "ais://one\n");
}

fn wrong_settings() {
    let home = Home::new();
    home.run(["--profile", "nope", "ls"]).fails(2, &["no profile `nope`"], "[profile.nope]");
    home.configure("[profile.default]\ntoken = \"sentinel\"\nendpont = 3\n");
    let ran = home.run(["ls"]).exits(2);
    let ran = ran.says(&["config.toml, line 3", "endpont"]);
    assert!(!ran.err.contains("sentinel"), "{}", ran.err);
    home.configure("");
    home.with("LONGSHORE_MEMORY", "lots").run(["ls"]).exits(2).says(&["LONGSHORE_MEMORY", "is not a size"]);
}

fn help_has_examples() {
    let home = Home::new();
    for command in ["cp", "ls", "cat", "rm", "mb", "rb", "stat", "dev"] {
        let help = home.run([command, "--help"]).ok().out();
        let examples =
            help.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{command} has no examples"));
        assert!(
            examples.contains("  1. ") && examples.contains(&format!("longshore {command}")),
            "{examples}"
        );
        assert!(help.contains("--json"), "{command}");
    }
    let help = home.run(["--help"]).ok().out();
    assert!(help.contains("Exit codes: 0 done, 1 failed, 2 usage"), "{help}");
}

fn versions() {
    let home = Home::new();
    assert_eq!(home.run(["--version"]).ok().out(), format!("longshore {}\n", env!("CARGO_PKG_VERSION")));
}
