//! The embedded server: started when needed, shared, taken over, and in the foreground as `longshore dev`.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{Home, Running, cases, random_file};

cases! { started_when_no_endpoint_is_known data_survives_kill_and_the_next_takes_over a_second_process_attaches
the_first_waits_for_the_second many_at_once dev_prints_what_to_paste dev_refuses_data_in_use dev_on_bad_addresses
dev_with_faults dev_ends_with_who_started_it
dev_with_supabase }

/// Waits for something that another process does.
fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happens() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        thread::park_timeout(Duration::from_millis(5));
    }
}

fn dev(home: &Home, args: &[&str]) -> (Running, String) {
    let mut running = home.start(["dev", "--json"].iter().chain(args));
    let line: serde_json::Value = serde_json::from_str(&running.first_line()).expect("one line of JSON");
    let address = line["aistore"].as_str().expect("an address").to_owned();
    assert_eq!(line, serde_json::json!({ "aistore": address }));
    (running, address)
}

#[cfg(unix)]
fn end(running: Running) {
    running.signal(rustix::process::Signal::INT);
    running.wait().ok();
}

fn started_when_no_endpoint_is_known() {
    let home = Home::new();
    let made = home.run(["mb", "ais://b"]).ok();
    made.says(&["using the embedded server at http://127.0.0.1:", "AIS_ENDPOINT"]);
    home.run_with_input(["cp", "-", "ais://b/k"], b"kept").ok();
    assert_eq!(home.run(["cat", "ais://b/k"]).ok().bytes, b"kept");
    assert!(!home.dev().join("server.json").exists(), "nobody serves now");
    let json = home.run(["--json", "ls", "ais://b"]).ok();
    assert!(json.err.contains("\"type\":\"notice\""), "{}", json.err);
    assert_eq!(json.json()[0]["url"], "ais://b/k");
}

fn data_survives_kill_and_the_next_takes_over() {
    let home = Home::new();
    let (mut server, _) = dev(&home, &[]);
    assert!(home.dev().join("server.json").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(home.dev().join("server.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    home.run(["mb", "ais://b"]).ok();
    home.run_with_input(["cp", "-", "ais://b/k"], b"kept").ok();
    server.child.kill().unwrap();
    server.wait();
    assert!(home.dev().join("server.json").exists(), "left behind by the killed process");
    assert_eq!(home.run(["cat", "ais://b/k"]).ok().bytes, b"kept");
}

fn a_second_process_attaches() {
    let home = Home::new();
    let (server, address) = dev(&home, &[]);
    let made = home.run(["mb", "ais://b"]).ok();
    made.says(&[&format!("using the embedded server at {address}")]);
    assert_eq!(home.run(["ls", "ais://"]).ok().out(), "ais://b\n");
    #[cfg(unix)]
    end(server);
    assert!(!home.dev().join("server.json").exists());
    let after = home.run(["ls", "ais://"]).ok();
    assert!(!after.err.contains(&address), "{}", after.err);
    assert_eq!(after.out(), "ais://b\n");
}

/// Two short commands share a server; the one that runs it must not end it under the other.
fn the_first_waits_for_the_second() {
    let home = Home::new();
    home.run(["mb", "ais://b"]).ok();
    let mut first = home.command(["cp", "-", "ais://b/first"]);
    let mut second = home.command(["cp", "-", "ais://b/second"]);
    let mut first = first.stdin(std::process::Stdio::piped()).spawn().unwrap();
    eventually("the first serves", || home.dev().join("server.json").exists());
    let mut second = second.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut told = std::io::BufReader::new(second.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert!(line.contains("using the embedded server"), "{line}");
    // The first is done, the second still has something to send.
    drop(first.stdin.take());
    let mut said = std::io::BufReader::new(first.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("goes on for other") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut said, &mut line).unwrap(), 0, "it ended without a word");
    }
    assert!(first.try_wait().unwrap().is_none());
    std::io::Write::write_all(second.stdin.as_mut().unwrap(), b"late").unwrap();
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    assert!(first.wait().unwrap().success());
    assert_eq!(home.run(["cat", "ais://b/second"]).ok().bytes, b"late");
}

fn many_at_once() {
    let home = Home::new();
    home.run(["mb", "ais://b"]).ok();
    random_file(home.path("x"), 1000);
    let started: Vec<Running> = (0..6).map(|n| home.start(["cp", "x", &format!("ais://b/{n}")])).collect();
    for running in started {
        running.wait().ok();
    }
    assert_eq!(home.run(["ls", "ais://b"]).ok().lines().len(), 6);
}

fn dev_prints_what_to_paste() {
    let home = Home::new();
    let data = home.path("data");
    let mut server = home.start(["dev", "--data", data.to_str().unwrap()]);
    let line = server.first_line();
    let address = line.strip_prefix("export AIS_ENDPOINT=").unwrap_or_else(|| panic!("{line}"));
    home.run(["--endpoint", address, "mb", "ais://b"]).ok();
    assert_eq!(home.run(["--endpoint", address, "ls"]).ok().out(), "ais://b\n");
    #[cfg(unix)]
    end(server);
    assert!(!home.dev().exists(), "--data is all that it touches");
    let (server, address) = dev(&home, &["--data", data.to_str().unwrap()]);
    assert_eq!(home.run(["--endpoint", &address, "ls"]).ok().out(), "ais://b\n");
    #[cfg(unix)]
    {
        server.signal(rustix::process::Signal::TERM);
        server.wait().ok();
    }
}

fn dev_refuses_data_in_use() {
    let home = Home::new();
    let (server, address) = dev(&home, &[]);
    home.run(["dev"]).fails(1, &["served already", &address], "--data DIR");
    #[cfg(unix)]
    end(server);
}

fn dev_on_bad_addresses() {
    let home = Home::new();
    home.run(["dev", "--aistore", "nonsense"]).fails(2, &["nonsense"], "127.0.0.1:");
    home.run(["dev", "--aistore", "0.0.0.0:0"]).fails(2, &["loopback"], "--allow-remote");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    home.run(["dev", "--aistore", &address]).fails(1, &[&address], "another port");
    home.run(["dev", "--fault", "nonsense"]).exits(2).says(&["nonsense"]);
    // Nothing keeps the data of a server that did not start.
    let (server, _) = dev(&home, &[]);
    #[cfg(unix)]
    end(server);
}

fn dev_with_faults() {
    let home = Home::new();
    let (server, _) = dev(&home, &["--fault", "bucket:status=403", "--fault", "list:status=401"]);
    home.run(["mb", "ais://b"]).exits(1).says(&["403"]);
    #[cfg(unix)]
    end(server);
}

fn dev_ends_with_who_started_it() {
    let home = Home::new();
    // What is written there means nothing; that it is closed then ends the server.
    let ran = home.run_with_input(["dev", "--json", "--end-with-stdin"], b"quit?\n").ok();
    assert!(
        ran.json()[0]["aistore"].as_str().is_some_and(|address| address.starts_with("http://127.0.0.1:"))
    );
    assert!(!home.dev().join("server.json").exists());
}

fn dev_with_supabase() {
    let home = Home::new();
    let mut server = home.start(["dev", "--json", "--supabase"]);
    let line: serde_json::Value = serde_json::from_str(&server.first_line()).expect("one line of JSON");
    let supabase = &line["supabase"];
    assert!(supabase["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{line}");
    for key in ["anon_key", "service_role_key"] {
        assert!(supabase[key].as_str().is_some_and(|key| key.starts_with("eyJ")), "{line}");
    }
    assert_eq!(supabase["publishable_key"], "sb_publishable_longshore_dev");
    #[cfg(unix)]
    end(server);
}
