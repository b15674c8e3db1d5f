//! What is wrong is said clearly, with the right exit code, and nothing is half done.

use std::{
    fs,
    io::{BufRead as _, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    time::{Duration, Instant},
};

use super::{Home, cases, cluster, names, random_file};

cases! { unknown_schemes unsupported_schemes bad_bucket_names missing_buckets missing_objects forbidden_by_the_mask
unreachable_endpoints endpoints_that_are_none missing_sources unwritable_destinations full_disks
folders_without_consent keys_that_escape wrong_words }

fn unknown_schemes() {
    let home = Home::new();
    for args in
        [&["ls", "foo://b"][..], &["cp", "foo://b/k", "x"], &["cp", "x", "foo://b/k"], &["mb", "foo://b"]]
    {
        home.run(args).fails(2, &["unknown scheme \"foo\"", "ais://"], "./");
    }
    // Nothing was started for them.
    assert!(!home.dev().exists());
}

fn unsupported_schemes() {
    let home = Home::new();
    for args in [&["ls", "memory://b"][..], &["cp", "memory://b/k", "x"], &["rb", "memory://b"]] {
        home.run(args).exits(2).says(&["error: ", "cannot be opened by URL"]);
    }
    for args in [
        &["ls", "https://h/k"][..],
        &["cp", "x", "https://h/k"],
        &["rm", "http://h/k"],
        &["cp", "-r", "https://h/d/", "x"],
    ] {
        home.run(args).fails(2, &["can be read, nothing else"], "`cat`");
    }
    assert!(!home.dev().exists());
}

fn bad_bucket_names() {
    let home = Home::new();
    for bucket in ["ais://a b", "ais://.hidden", "ais://a..b", &format!("ais://{}", "x".repeat(65))] {
        home.run(["mb", bucket]).exits(2).says(&["error: ", "not a bucket name"]);
        home.run(["cp", "-r", ".", bucket]).exits(2).says(&["not a bucket name"]);
    }
    home.run(["mb", "ais://b/key"]).fails(2, &["names an object"], "ais://b");
    home.run(["mb", "ais://"]).fails(2, &["names no bucket"], "ais://BUCKET");
    assert!(!home.dev().exists());
}

fn missing_buckets() {
    let cluster = cluster();
    let home = Home::on(&cluster);
    random_file(home.path("x"), 10);
    random_file(home.path("large"), 1 << 20);
    let make = "longshore mb ais://nope";
    home.run(["cp", "x", "ais://nope/"]).fails(1, &["x", "ais://nope/x", "does not exist", "404"], make);
    home.run(["cp", "large", "ais://nope/"]).fails(
        1,
        &["ais://nope/large", "does not exist", "ErrBckNotFound"],
        make,
    );
    home.run(["cp", "ais://nope/x", "y"]).fails(1, &["ais://nope/x", "404"], make);
    home.run(["cp", "-r", "ais://nope/x/", "y/"]).fails(1, &["ais://nope", "404"], make);
    home.run(["ls", "ais://nope"]).fails(1, &["cannot list ais://nope", "404"], make);
    home.run(["cat", "ais://nope/x"]).fails(1, &["ais://nope/x", "404"], make);
    home.run(["rb", "ais://nope"]).fails(1, &["ais://nope", "404"], make);
    home.run(["rm", "-r", "ais://nope"]).fails(1, &["ais://nope", "404"], make);
    assert_eq!(names(&home.work()), ["large", "x"]);
    let all = home.run(["cp", "-r", ".", "ais://nope/"]).exits(1);
    all.says(&["does not exist", "hint: create the bucket", "none of 2 files arrived"]);
}

fn missing_objects() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    let look = "longshore ls ais://b/d/";
    home.run(["cp", "ais://b/d/nope", "y"]).fails(1, &["ais://b/d/nope", "404"], look);
    home.run(["cat", "ais://b/d/nope"]).fails(1, &["ais://b/d/nope", "404"], look);
    home.run(["stat", "ais://b/d/nope"]).fails(1, &["ais://b/d/nope", "404"], look);
    home.run(["cp", "-r", "ais://b/d/", "y"]).fails(1, &["no object below ais://b/d/"], "longshore ls");
    home.run(["cp", "ais://b/d/nope", "new/folder/"]).fails(1, &["ais://b/d/nope", "404"], look);
    home.run(["cp", "ais://b/d/*", "y"]).fails(1, &["no object matches"], "--no-glob");
    let error = home.run(["--json", "cp", "ais://b/d/nope", "y"]).exits(1).json_error();
    assert_eq!((error["kind"].as_str(), error["status"].as_u64()), (Some("not found"), Some(404)));
    assert_eq!(names(&home.work()), [] as [&str; 0]);
}

/// GET and HEAD of objects, HEAD and LIST of buckets.
const READ_ONLY: u64 = 0x303;

/// Sets the access mask of a bucket, as an administrator would.
fn allow_only_reading(endpoint: &str, bucket: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let client = longshore::aistore::Client::builder(endpoint).build().expect("client");
        let patch = longshore::aistore::BucketPatch::new().access(READ_ONLY);
        client.bucket(bucket).expect("name").set_props(&patch).await.expect("patched");
    });
}

fn forbidden_by_the_mask() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 10);
    home.run(["cp", "x", "ais://b/"]).ok();
    allow_only_reading(cluster.aistore_url(), "b");
    for args in [
        &["cp", "x", "ais://b/"][..],
        &["cp", "-", "ais://b/y"],
        &["rm", "ais://b/x"],
        &["rb", "--force", "ais://b"],
    ] {
        home.run(args).fails(
            1,
            &["ais://b", "access denied", "403", "ErrBucketAccessDenied"],
            "access mask of ais://b",
        );
    }
    home.run(["ls", "ais://b"]).ok();
    assert_eq!(home.run(["cat", "ais://b/x"]).ok().bytes.len(), 10);
}

fn unreachable_endpoints() {
    // A port that was free a moment ago: refused at once.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let refused = format!("http://127.0.0.1:{port}");
    // One that takes no connection, since its queue is full: only the time-out ends that.
    let (_silent, silent) = silent_endpoint();
    for endpoint in [refused, silent] {
        let home = Home::new().with("AIS_CONNECT_TIMEOUT", "0.3");
        random_file(home.path("x"), 10);
        let address = endpoint.trim_start_matches("http://").to_owned();
        for args in [&["ls", "ais://"][..], &["cp", "x", "ais://b/"], &["cat", "ais://b/x"]] {
            let args: Vec<&str> = ["--endpoint", &endpoint].iter().chain(args).copied().collect();
            let start = Instant::now();
            home.run(args).fails(1, &[&address], "AIS_ENDPOINT");
            // Far below what retries of a connection would take.
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        }
    }
}

/// A listener whose queue of connections is full, so that further ones are not answered (on Linux).
fn silent_endpoint() -> (Vec<std::net::TcpStream>, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    // The listener is leaked: it must neither accept nor close.
    std::mem::forget(listener);
    while held.len() < 5000 {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(stream) => held.push(stream),
            Err(_) => break,
        }
    }
    (held, format!("http://{address}"))
}

fn endpoints_that_are_none() {
    let home = Home::new();
    for endpoint in ["ftp://h", "http://", "http://h:99999", "not an address"] {
        home.run(["--endpoint", endpoint, "ls"])
            .exits(2)
            .says(&["error: ", "is not the address of a gateway"]);
    }
    let secret = home.run(["--endpoint", "http://user:sesame@h", "ls"]).exits(2);
    assert!(!secret.err.contains("sesame"), "{}", secret.err);
}

fn missing_sources() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run(["cp", "nope", "ais://b/"]).fails(1, &["nope"], "spelling");
    home.run(["cp", "-r", "nope/", "ais://b/"]).fails(1, &["nope"], "spelling");
    assert_eq!(home.run(["ls", "ais://b"]).ok().out(), "");
}

fn unwritable_destinations() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run_with_input(["cp", "-", "ais://b/d/k"], b"x").ok();
    fs::write(home.path("file"), "old").unwrap();
    fs::create_dir(home.path("folder")).unwrap();
    home.run(["cp", "ais://b/d/k", "file/k"]).fails(1, &["file"], "a file stands where a folder is needed");
    home.run(["cp", "-r", "ais://b/", "file"]).fails(1, &["file"], "a file stands where a folder is needed");
    assert_eq!(fs::read(home.path("file")).unwrap(), b"old");
    if let Some(locked) = locked_folder(&home) {
        let target = locked.join("k");
        home.run(["cp", "ais://b/d/k", target.to_str().unwrap()]).fails(
            1,
            &["locked", "ermission denied"],
            "permissions",
        );
        assert_eq!(names(&locked), [] as [&str; 0]);
    }
    home.run(["cp", "ais://b/d/k", "/proc/nope/k"]).exits(1).says(&["error: ", "/proc/nope", "hint: "]);
}

/// A folder that cannot be written, unless this user can write everything.
fn locked_folder(home: &Home) -> Option<std::path::PathBuf> {
    let folder = home.path("locked");
    fs::create_dir(&folder).unwrap();
    let mut permissions = fs::metadata(&folder).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&folder, permissions).unwrap();
    match fs::write(folder.join("probe"), "") {
        Ok(()) => {
            fs::remove_file(folder.join("probe")).unwrap();
            None
        }
        Err(_) => Some(folder),
    }
}

fn full_disks() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    for (name, size) in [("small", 200_000), ("large", 20 << 20)] {
        random_file(home.path(name), size);
        home.run(["cp", name, "ais://b/"]).ok();
        fs::remove_file(home.path(name)).unwrap();
        // The device that is always full, and so says what a full disk says.
        #[cfg(target_os = "linux")]
        home.run(["cp", &format!("ais://b/{name}"), "/dev/full"]).fails(
            1,
            &["/dev/full", "No space left on device"],
            "free space",
        );
        full_file_system(&home, name);
    }
    #[cfg(target_os = "linux")]
    {
        let mut command = home.command(["cat", "ais://b/small"]);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = command.stdout(full).output().unwrap();
        let err = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{err}");
        assert!(err.contains("cannot write to standard output: No space left"), "{err}");
    }
}

/// Files of this process may not grow beyond 100 kB: the system refuses the write in the middle.
fn full_file_system(home: &Home, name: &str) {
    let command = home.command(["cp", &format!("ais://b/{name}"), "."]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 100 && trap '' XFSZ && exec \"$@\"", "sh"]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(home.work()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = limited.env("PATH", "/usr/bin:/bin").output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    for word in ["error: ", name, "hint: free space"] {
        assert!(err.contains(word), "{word} is not in {err}");
    }
    assert_eq!(names(&home.work()), [] as [&str; 0], "nothing half-written stays");
}

fn folders_without_consent() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    fs::create_dir(home.path("folder")).unwrap();
    home.run(["cp", "folder", "ais://b/"]).fails(2, &["folder is a folder"], "-r");
    home.run(["cp", "ais://b/d/", "folder"]).fails(2, &["ais://b/d/ is a folder"], "-r");
    home.run(["cp", "ais://b", "folder"]).fails(2, &["ais://b is a bucket"], "-r");
}

fn keys_that_escape() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    home.run(["cp", "-", "ais://b/../x"]).exits(2).says(&["ais://b/../x", "`..`"]);
    home.run(["cp", "ais://b/d/..", "."]).exits(2).says(&["error: "]);
    home.run(["cp", "ais://b//etc/x", "."]).exits(2).says(&["error: "]);
    assert_eq!(names(&home.work()), [] as [&str; 0]);

    // No AIStore stores such names, but a hostile server can list them.
    let hostile = hostile_server(&["../evil", "a/../../evil", "/tmp/longshore-evil", "a//b", "good"]);
    let ran = home.run(["--endpoint", &hostile, "cp", "-r", "ais://b", "back"]).exits(3);
    ran.says(&["../evil", "/tmp/longshore-evil", "copied 1 file", "4 failed"]);
    assert_eq!(
        (names(&home.work()), names(&home.path("back"))),
        (vec!["back".to_owned()], vec!["good".to_owned()])
    );
    let ran = home.run(["--endpoint", &hostile, "cp", "ais://b/**", "back"]).exits(3);
    ran.says(&["../evil"]);
    assert_eq!(names(&home.work()), ["back"]);
    assert!(!std::path::Path::new("/tmp/longshore-evil").exists());
}

/// A server whose every bucket holds these names, each with the content `x`. It ends with the test program.
fn hostile_server(names: &[&str]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let entries: Vec<_> = names.iter().map(|name| serde_json::json!({ "name": name, "size": "1" })).collect();
    let listing =
        serde_json::json!({ "uuid": "u", "continuation_token": "", "entries": entries, "flags": 0 });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(&mut stream.unwrap(), &listing.to_string());
        }
    });
    format!("http://{address}")
}

fn answer(stream: &mut std::net::TcpStream, listing: &str) -> std::io::Result<()> {
    let mut reader = std::io::BufReader::new(stream.try_clone()?);
    let (mut request, mut line, mut length) = (String::new(), String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if request.is_empty() {
            request.clone_from(&line);
        }
        line.clear();
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let body = if request.contains("/v1/buckets/") { listing } else { "x" };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn wrong_words() {
    let cluster = cluster();
    let home = Home::with_bucket(&cluster, "ais://b");
    random_file(home.path("x"), 1);
    random_file(home.path("y"), 1);
    home.run(["cp", "x", "y"]).fails(2, &["neither x nor y is in a store"], "ais://bucket/key");
    home.run(["cp", "x", "y", "ais://b/z"]).fails(2, &["several sources"], "ais://b/z/");
    home.run(["cp", "-", "ais://b/d/"]).fails(2, &["no name"], "ais://b/d/NAME");
    home.run(["cp", "ais://b/k", "ais://b/k"]).exits(2).says(&["at once"]);
    home.run(["cp", "--memory", "1MiB", "x", "ais://b/"]).fails(2, &["too little"], "--memory");
    home.run(["cp", "--part-size", "lots", "x", "ais://b/"]).exits(2).says(&["is not a size"]);
    home.run(["cp", "--metadata", "novalue", "x", "ais://b/"]).exits(2).says(&["KEY=VALUE"]);
    home.run(["ls", "photos"]).fails(2, &["is not a store URL"], "ais://bucket/photos");
    home.run(["frobnicate"]).exits(2);
    home.run(["cp", "x"]).exits(2).says(&["Usage"]);
}
