//! `authn`, and what it changes for the other commands.

use std::{fs, os::unix::fs::PermissionsExt};

use longshore_devserver::{DevServer, Handle};

use super::{Home, cases, random_file};

cases! { login_and_logout a_guarded_cluster_from_the_first_login users_roles_and_clusters
changes_merge_and_replace clusters_come_and_go tokens_are_shown_and_ended passwords_are_never_arguments the_guarded_embedded_server }

fn guarded() -> Handle {
    DevServer::builder().guarded(true).start_blocking().expect("the server starts")
}

fn home(cluster: &Handle) -> Home {
    Home::on(cluster).with("AIS_AUTHN_URL", cluster.authn_url().expect("an AuthN service"))
}

fn login(home: &Home, user: &str, password: &str) {
    home.run_with_input(["authn", "login", user, "--password-stdin"], format!("{password}\n").as_bytes())
        .ok();
}

fn login_and_logout() {
    let cluster = guarded();
    let home = home(&cluster);
    home.run(["authn", "whoami"]).fails(1, &["nobody is logged in"], "authn login");
    home.run(["authn", "logout"]).fails(2, &["nobody is logged in"], "authn login");
    home.run_with_input(["authn", "login", "admin", "--password-stdin"], b"wrong\n").fails(
        1,
        &["invalid credentials", "401"],
        "password",
    );
    home.run_with_input(["authn", "login", "admin", "--password-stdin", "--expires", "10s"], b"admin\n")
        .exits(2)
        .says(&["a minute"]);

    login(&home, "admin", "admin");
    let file = home.work().parent().unwrap().join(".config/ais/cli/auth.token");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let token = fs::read_to_string(&file).unwrap();
    let token = token.split('"').nth(3).unwrap();

    let who = home.run(["--json", "authn", "whoami"]).ok();
    assert_eq!(who.json()[0]["name"], "admin");
    assert_eq!(who.json()[0]["administrator"], true);
    assert!(!who.out().contains(token));
    home.run(["authn", "logout"]).ok().says(&["revoked and forgotten"]);
    assert!(!file.exists());
    // A refused token is not shown, although the server repeats it.
    let refused =
        home.with("AIS_AUTHN_TOKEN", token).run(["authn", "user", "ls"]).exits(1).says(&["revoked", "***"]);
    assert!(!refused.out().contains(token));
}

fn a_guarded_cluster_from_the_first_login() {
    let cluster = guarded();
    let admin = home(&cluster);
    let endpoint = cluster.aistore_url();
    admin.run(["ls", "ais://"]).fails(1, &["token required", "401", endpoint], "authn login");
    login(&admin, "admin", "admin");
    admin.run(["mb", "ais://b"]).ok();
    random_file(admin.path("small"), 100);
    random_file(admin.path("large"), 1_000_000);
    admin.run(["cp", "small", "large", "ais://b/"]).ok();

    admin.run(["authn", "role", "add", "readers", "--cluster", "dev", "ro,cluster_ro"]).ok();
    let add = ["authn", "user", "add", "bob", "--role", "readers", "--password-stdin"];
    admin.run_with_input(add, b"a long password\n").ok();

    let bob = home(&cluster);
    login(&bob, "bob", "a long password");
    assert_eq!(bob.run(["ls", "ais://b"]).ok().out(), "ais://b/large\nais://b/small\n");
    bob.run(["cp", "ais://b/large", "copy"]).ok();
    assert_eq!(fs::read(bob.path("copy")).unwrap(), fs::read(admin.path("large")).unwrap());
    // Neither a small upload nor one that could go past the gateway.
    random_file(bob.path("small"), 1);
    for file in ["small", "copy"] {
        bob.run(["cp", file, "ais://b/new"]).fails(1, &["insufficient permissions", "403"], "token");
    }
    bob.run(["authn", "user", "ls"]).fails(1, &["requires admin"], "token");
    bob.run(["authn", "user", "show", "bob"]).ok();
}

fn users_roles_and_clusters() {
    let cluster = guarded();
    let home = home(&cluster);
    login(&home, "admin", "admin");
    let clusters = home.run(["--json", "authn", "cluster", "ls"]).ok().json();
    assert_eq!(clusters[0]["alias"], "dev");
    home.run(["authn", "role", "add", "w", "--bucket", "dev", "photos", "rw", "--description", "writes"])
        .ok();
    let role = home.run(["--json", "authn", "role", "show", "w"]).ok().json();
    assert_eq!(role[0]["description"], "writes");
    assert!(
        role[0]["buckets"]
            .as_object()
            .unwrap()
            .values()
            .any(|access| access.as_str().unwrap().contains("PUT"))
    );

    // A role that does not exist would be dropped without a word by the service.
    let add = |roles: &[&str]| {
        let args = ["authn", "user", "add", "eve", "--password-stdin"];
        home.run_with_input(args.iter().chain(roles).copied().collect::<Vec<_>>(), b"password\n")
    };
    add(&["--role", "nosuch"]).exits(1).says(&["nosuch"]);
    home.run(["authn", "user", "show", "eve"]).exits(1).says(&["404"]);
    add(&["--role", "w"]).ok();
    add(&[]).exits(1).says(&["already exists"]);
    let cleared = home.run(["--json", "authn", "user", "set", "eve", "--no-roles"]).ok().json();
    assert_eq!(cleared[0]["roles"], serde_json::json!([]));
    home.run(["authn", "user", "rm", "eve"]).ok();
    home.run(["authn", "role", "rm", "w"]).ok();
    home.run(["authn", "role", "add", "x", "--cluster", "nowhere", "ro"]).exits(1).says(&["nowhere"]);
    home.run(["authn", "role", "add", "x", "--cluster", "dev", "fly"]).exits(2).says(&["unknown access"]);
}

fn changes_merge_and_replace() {
    let cluster = guarded();
    let home = home(&cluster);
    login(&home, "admin", "admin");
    home.run(["authn", "role", "add", "r", "--cluster", "dev", "all", "--bucket", "dev", "one", "rw"]).ok();
    // Entries of the same bucket are replaced, others stay.
    let set = ["authn", "role", "set", "r", "--bucket", "dev", "one", "none", "--bucket", "dev", "two", "ro"];
    home.run(set).ok();
    let role = home.run(["--json", "authn", "role", "show", "r"]).ok().json();
    let accesses = |kind: &str| -> Vec<String> {
        let entries = role[0][kind].as_object().unwrap().iter();
        entries.map(|(name, access)| format!("{name} {}", access.as_str().unwrap())).collect()
    };
    assert_eq!(accesses("clusters"), ["dev all"]);
    let buckets = accesses("buckets");
    assert!(buckets.len() == 2 && buckets[0].starts_with("ais://one "), "{buckets:?}");
    assert!(buckets[0].ends_with(" none") && buckets[1].contains("OBJ_LIST"), "{buckets:?}");
    home.run(["authn", "role", "set", "Admin", "--description", "x"]).exits(1).says(&["403"]);

    let add = ["authn", "user", "add", "bob", "--role", "r", "--password-stdin"];
    home.run_with_input(add, b"old password\n").ok();
    let set = ["authn", "user", "set", "bob", "--role", "Guest-dev", "--password-stdin"];
    home.run_with_input(set, b"new password\n").ok();
    let users = home.run(["--json", "authn", "user", "ls"]).ok().json();
    assert_eq!(users.len(), 2, "{users:?}");
    let bob = home.run(["--json", "authn", "user", "show", "bob"]).ok().json();
    assert_eq!(bob[0]["roles"], serde_json::json!(["Guest-dev"]));
    let old = ["authn", "login", "bob", "--password-stdin"];
    home.run_with_input(old, b"old password\n").fails(1, &["invalid credentials"], "password");
    login(&home, "bob", "new password");
}

fn clusters_come_and_go() {
    let cluster = guarded();
    let home = home(&cluster);
    login(&home, "admin", "admin");
    let shown = home.run(["--json", "authn", "cluster", "show", "dev"]).ok().json();
    let id = shown[0]["name"].as_str().unwrap();
    assert_eq!(shown[0]["urls"][0], cluster.aistore_url());
    let add = |alias: &str| home.run(["authn", "cluster", "add", alias, cluster.aistore_url()]);
    add("again").exits(1).says(&["already registered"]);
    home.run(["authn", "cluster", "rm", "dev"]).ok();
    home.run(["authn", "cluster", "show", "dev"]).exits(1).says(&["404"]);

    // The service makes a role whose name is longer than it lets anybody choose.
    let alias = "a-cluster-with-a-very-long-alias";
    add(alias).ok();
    let owner = format!("ClusterOwner-{alias}");
    home.run(["authn", "role", "show", &owner]).ok();
    home.run(["authn", "role", "rm", &owner]).ok();
    home.run(["authn", "cluster", "set", id, "--alias", "short"]).ok();
    let renamed = home.run(["--json", "authn", "cluster", "show", "short"]).ok().json();
    assert_eq!(renamed[0]["name"], id);
    home.run(["authn", "cluster", "set", id]).exits(2).says(&["neither an alias nor a URL"]);
}

fn tokens_are_shown_and_ended() {
    let cluster = guarded();
    let home = home(&cluster);
    home.run(["authn", "token", "show"]).fails(1, &["nobody is logged in"], "authn login");
    login(&home, "admin", "admin");
    let shown = home.run(["--json", "authn", "token", "show"]).ok();
    assert_eq!(shown.json()[0]["administrator"], true);
    let file = home.work().parent().unwrap().join(".config/ais/cli/auth.token");
    let token = fs::read_to_string(file).unwrap().split('"').nth(3).unwrap().to_owned();
    home.run_with_input(["authn", "token", "revoke"], format!("{token}\n").as_bytes()).ok();
    let refused = home.run(["ls", "ais://"]);
    let refused = refused.fails(1, &["revoked", "401", cluster.aistore_url()], "authn login");
    assert!(!refused.out().contains(&token));
    home.run_with_input(["authn", "token", "revoke"], b"nonsense\n").exits(1).says(&["401"]);
}

fn passwords_are_never_arguments() {
    let cluster = guarded();
    let home = home(&cluster);
    // No terminal to ask on, and nothing on standard input to read.
    home.run(["authn", "login", "admin"]).fails(2, &["no terminal"], "--password-stdin");
    home.run(["authn", "login", "admin", "admin"]).exits(2);
    home.run_with_input(["authn", "login", "admin", "--password-stdin"], b"\n").exits(2).says(&["empty"]);
    login(&home, "admin", "admin");
    // The service would hang up.
    let long = format!("{}\n", "p".repeat(73));
    let refused = home.run_with_input(["authn", "user", "add", "bob", "--password-stdin"], long.as_bytes());
    refused.exits(2).says(&["73 bytes"]);
}

fn the_guarded_embedded_server() {
    let home = Home::new();
    let mut server = home.start(["dev", "--guarded", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&server.first_line()).unwrap();
    let (aistore, authn) = (line["aistore"].as_str().unwrap(), line["authn"].as_str().unwrap());
    let user = Home::new().with("AIS_ENDPOINT", aistore).with("AIS_AUTHN_URL", authn);
    user.run(["mb", "ais://b"]).exits(1).says(&["token required"]);
    login(&user, "admin", "admin");
    user.run(["mb", "ais://b"]).ok();
    server.signal(rustix::process::Signal::INT);
    server.wait().ok();
}
