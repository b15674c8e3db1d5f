//! Ctrl-C and SIGTERM in the middle of things.

use super::{Home, cases, cluster, names, random_file};

cases! { an_interrupted_download_leaves_nothing_half_done an_interrupted_upload_leaves_nothing_half_done
termination_has_its_own_code the_second_signal_ends_at_once listings_and_waits_end_at_once
a_tree_says_how_to_go_on }

#[cfg(unix)]
use rustix::process::Signal;

/// Waits until the server is in the middle of a request of this kind.
fn wait_for(cluster: &longshore_devserver::Handle, fault: longshore_devserver::FaultId) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while cluster.faults().applied(fault) == 0 {
        assert!(std::time::Instant::now() < deadline, "the request did not come");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

fn an_interrupted_download_leaves_nothing_half_done() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 2 << 20);
    home.run(["cp", "x", "ais://b/"]).ok();
    std::fs::remove_file(home.path("x")).unwrap();
    let fault = cluster.faults().add_str("get:stall-at=1MiB").unwrap();
    let running = home.start(["cp", "ais://b/x", "."]);
    wait_for(&cluster, fault);
    running.signal(Signal::INT);
    let ran = running.wait().exits(130);
    ran.says(&["interrupted", "hint: ", "run the same command again"]);
    assert_eq!(names(&home.work()), [] as [&str; 0]);
}

fn an_interrupted_upload_leaves_nothing_half_done() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 40 << 20);
    let fault = cluster.faults().add_str("mpt-part:stall-at=1MiB").unwrap();
    let running = home.start(["cp", "x", "ais://b/"]);
    wait_for(&cluster, fault);
    running.signal(Signal::INT);
    running.wait().exits(130).says(&["interrupted", "hint: "]);
    cluster.faults().clear();
    assert_eq!(home.run(["ls", "ais://b"]).ok().out(), "");
}

fn termination_has_its_own_code() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run_with_input(["cp", "-", "ais://b/k"], b"x").ok();
    let fault = cluster.faults().add_str("get:stall").unwrap();
    let running = home.start(["--json", "cat", "ais://b/k"]);
    wait_for(&cluster, fault);
    running.signal(Signal::TERM);
    let ran = running.wait().exits(143);
    assert_eq!(ran.json_error()["exit"], 143);
}

fn the_second_signal_ends_at_once() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 100);
    home.run(["cp", "x", "ais://b/"]).ok();
    let fault = cluster.faults().add_str("get:stall").unwrap();
    let running = home.start(["cp", "ais://b/x", "y"]);
    wait_for(&cluster, fault);
    let start = std::time::Instant::now();
    running.signal(Signal::INT);
    // The second must be another one, not the same seen twice.
    std::thread::park_timeout(std::time::Duration::from_millis(300));
    running.signal(Signal::INT);
    running.wait().exits(130);
    assert!(start.elapsed().as_secs() < 3, "it waited for the grace to end");
    assert!(!home.path("y").exists());
}

fn listings_and_waits_end_at_once() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    let fault = cluster.faults().add_str("list:stall").unwrap();
    let running = home.start(["ls", "ais://b"]);
    wait_for(&cluster, fault);
    let start = std::time::Instant::now();
    running.signal(Signal::INT);
    running.wait().exits(130).says(&["interrupted"]);
    assert!(start.elapsed().as_secs() < 3);
}

fn a_tree_says_how_to_go_on() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for n in 0..20 {
        random_file(home.path(&format!("t/{n:02}")), 1000);
    }
    // Half of them pass.
    let fault = cluster.faults().add_str("put:skip=10:stall").unwrap();
    let running = home.start(["cp", "-r", "t", "ais://b/"]);
    wait_for(&cluster, fault);
    running.signal(Signal::INT);
    let ran = running.wait().exits(130);
    let ran = ran.says(&["interrupted", "run the same command again", "copied "]);
    assert!(!ran.err.contains("failed"), "{}", ran.err);
    cluster.faults().clear();
    let arrived = home.run(["ls", "ais://b"]).ok().lines().len();
    assert!((1..20).contains(&arrived), "{arrived} arrived");
    home.run(["cp", "-r", "t", "ais://b/"]).ok();
    assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 20);
}
