//! The command is killed at any moment and run again: nothing is lost, and little moves twice.
//!
//! `LONGSHORE_HEAVY=1` kills it fifty times in each case instead of five.

use std::{fs, path::Path, time::Duration};

use longshore_devserver::JournalEntry;

use super::{Home, Platform, assert_same, cases, names, noise, platforms::Site, random_file};

cases! { aistore_upload aistore_download aistore_sync supabase_upload supabase_download supabase_sync s3_upload
s3_download s3_sync apolo_upload apolo_download apolo_sync stale_transfers changed_sources changed_objects }

const MIB: usize = 1 << 20;
/// Part size and number of workers of the runs.
const PART: usize = 2 * MIB;
const WORKERS: usize = 2;
/// What is on its way over the connection of a worker when the command is killed.
const ON_THE_WAY: usize = MIB;
/// Uploads are slowed down by the command, downloads by the server: so what it has sent is what has arrived, and nothing
/// waits in between.
const SLOW_UPLOAD: [&str; 2] = ["--limit-rate", "20MiB"];
const SLOW_DOWNLOAD: &str = "get:rate=8MiB";

/// The parts of an upload that are under way at once, one for each worker. Services have smallest parts; those of
/// Supabase follow one another.
fn under_way(platform: Platform) -> usize {
    match platform {
        Platform::Aistore => WORKERS * PART,
        Platform::Supabase => 6 * MIB,
        Platform::S3 | Platform::Apolo => WORKERS * 5 * MIB,
    }
}

fn kills() -> u64 {
    if std::env::var_os("LONGSHORE_HEAVY").is_some() { 50 } else { 5 }
}

/// Moments after the start, the same in every run of the test.
fn moment(seed: u64, kill: u64) -> Duration {
    let random = noise(seed * 1000 + kill, 8);
    let number = u64::from_le_bytes(random.try_into().unwrap());
    Duration::from_millis(120 + number % 700)
}

/// Of the file that moves. A project takes no more than 50 MiB.
fn size(platform: Platform) -> usize {
    if platform == Platform::Supabase { 40 * MIB + 17 } else { 60 * MIB + 17 }
}

fn user(site: &Site) -> Home {
    site.user().with("LONGSHORE_PART_LOOKUP", "5s")
}

const SETTINGS: [&str; 6] = ["--part-size", "2MiB", "--concurrency", "2", "--progress", "never"];

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Run {
    Killed,
    /// It began anew, since nobody knew whether a part had arrived that must not be sent twice.
    Restarted,
    Ended,
}

/// Starts the command, kills it after a while, and says how far it came.
fn run_and_kill(home: &Home, args: &[&str], after: Duration) -> Run {
    let mut running = home.start(SETTINGS.iter().chain(args));
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no runtime here: the command is another process"
    )]
    std::thread::sleep(after);
    let ended = running.child.try_wait().unwrap().is_some();
    if !ended {
        running.child.kill().unwrap();
    }
    let ran = running.wait();
    if ended {
        ran.ok();
        Run::Ended
    } else if ran.err.contains("starts again") {
        Run::Restarted
    } else {
        Run::Killed
    }
}

/// What the checkpoints say has moved.
fn done(home: &Home) -> usize {
    let lines = home.run(["--json", "resume"]).ok().json();
    lines.iter().map(|line| usize::try_from(line["done"].as_u64().unwrap()).unwrap()).sum()
}

/// One file that goes from one place to the other.
struct Case<'a> {
    home: &'a Home,
    site: &'a Site,
    args: &'a [&'a str],
    /// What the server calls the requests that bring the bytes.
    operation: &'a str,
    length: usize,
    /// Most bytes that a kill may cost.
    allowed: usize,
    /// Whether something has the final name.
    arrived: &'a dyn Fn() -> bool,
    /// Makes sure that what has the final name is whole, and takes it away.
    whole: &'a dyn Fn(),
}

impl Case<'_> {
    /// Runs the command until it has been killed often enough, then to its end.
    fn run(&self) {
        let Self { home, site, args, operation, length, allowed, .. } = *self;
        let (mut before, mut kill, mut moments) = (0, 0, 0);
        while kill < kills() {
            site.server.journal().clear();
            moments += 1;
            let run = run_and_kill(home, args, moment(length as u64, moments));
            if run == Run::Ended || (self.arrived)() {
                // It was quicker: the next one begins with nothing.
                (self.whole)();
                before = 0;
                continue;
            }
            kill += 1;
            let now = done(home);
            if run == Run::Restarted {
                before = now;
                continue;
            }
            assert!(now >= before, "kill {kill}: {now} bytes are left of {before}");
            let twice = site.moved(operation).saturating_sub(now - before);
            assert!(
                twice <= allowed,
                "kill {kill}: {twice} bytes have to move again, more than {allowed}; {now} are done:\n{:#?}",
                self.requests()
            );
            before = now;
        }
        site.server.journal().clear();
        let ran = home.run(SETTINGS.iter().chain(args)).ok();
        if before > 0 {
            let ran = ran.says(&["goes on"]);
            let restarted = ran.err.contains("starts again");
            assert!(
                restarted || site.moved(operation) <= length - before + allowed,
                "{} bytes moved of {length}, though {before} were there:\n{:#?}",
                site.moved(operation),
                self.requests()
            );
        }
        assert_eq!(done(home), 0);
        (self.whole)();
    }

    fn requests(&self) -> Vec<JournalEntry> {
        self.site.server.journal().filter(|entry| entry.operation == self.operation)
    }
}

fn state(home: &Home) -> Vec<String> {
    let folder = home.work().parent().unwrap().join("state/longshore");
    ["uploads", "downloads"]
        .iter()
        .map(|name| folder.join(name))
        .filter(|folder| folder.exists())
        .flat_map(|folder| names(&folder))
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "json"))
        .collect()
}

fn aistore_upload() {
    upload(Platform::Aistore);
}

fn supabase_upload() {
    upload(Platform::Supabase);
}

fn s3_upload() {
    upload(Platform::S3);
}

fn apolo_upload() {
    upload(Platform::Apolo);
}

fn upload(platform: Platform) {
    let site = platform.start();
    let home = user(&site);
    let length = size(platform);
    let (bucket, url) = (site.url(""), site.url("big"));
    random_file(home.path("big"), length);
    let allowed = under_way(platform);
    let arrived = || !home.run(["ls", &bucket]).ok().out().is_empty();
    let whole = || {
        assert!(home.run(["cat", &url]).ok().bytes == noise(length as u64 + 1, length));
        home.run(["rm", &url]).ok();
    };
    let args = [SLOW_UPLOAD.as_slice(), &["cp", "big", &url]].concat();
    let args = &*args;
    Case {
        home: &home,
        site: &site,
        args,
        operation: "mpt-part",
        length,
        allowed,
        arrived: &arrived,
        whole: &whole,
    }
    .run();
    assert!(state(&home).is_empty());
}

fn aistore_download() {
    download(Platform::Aistore);
}

fn supabase_download() {
    download(Platform::Supabase);
}

fn s3_download() {
    download(Platform::S3);
}

fn apolo_download() {
    download(Platform::Apolo);
}

fn download(platform: Platform) {
    let site = platform.start();
    let home = user(&site);
    let length = size(platform);
    let url = site.url("big");
    random_file(home.path("big"), length);
    home.run(["cp", "big", &url]).ok();
    fs::remove_file(home.path("big")).unwrap();
    site.server.faults().add_str(SLOW_DOWNLOAD).unwrap();
    // A part for each worker, and what is fetched twice because it was late.
    let allowed = WORKERS * (PART + ON_THE_WAY) + length * 3 / 100;
    let arrived = || home.path("big").exists();
    let whole = || {
        assert!(fs::read(home.path("big")).unwrap() == noise(length as u64 + 1, length));
        fs::remove_file(home.path("big")).unwrap();
    };
    let args: &[&str] = &["cp", &url, "big"];
    Case {
        home: &home,
        site: &site,
        args,
        operation: "get",
        length,
        allowed,
        arrived: &arrived,
        whole: &whole,
    }
    .run();
    assert!(names(&home.work()).is_empty());
    assert!(state(&home).is_empty());
}

fn aistore_sync() {
    sync(Platform::Aistore);
}

fn supabase_sync() {
    sync(Platform::Supabase);
}

fn s3_sync() {
    sync(Platform::S3);
}

fn apolo_sync() {
    sync(Platform::Apolo);
}

fn sync(platform: Platform) {
    let site = platform.start();
    let home = user(&site);
    for n in 0..40 {
        random_file(home.path(&format!("tree/{}/{n}", n % 7)), 100_000 + n);
    }
    random_file(home.path("tree/big"), 40 * MIB);
    let there = site.url("t");
    for args in [["sync", "tree", &there], ["sync", &there, "back"]] {
        let slow = [SLOW_UPLOAD.as_slice(), &args].concat();
        let (mut kill, mut moments) = (0, 0);
        while kill < kills() {
            moments += 1;
            if run_and_kill(&home, &slow, moment(args[1].len() as u64, moments)) == Run::Ended {
                // It was quicker: the next one begins with nothing.
                if args[1] == "tree" {
                    home.run(["rm", "-r", &there]).ok();
                } else {
                    fs::remove_dir_all(home.path("back")).unwrap();
                }
                continue;
            }
            kill += 1;
            // Whatever has its name is whole.
            for name in ["big", "0/0", "3/3"] {
                if let Ok(bytes) = fs::read(home.path("back").join(name)) {
                    assert!(bytes == fs::read(home.path("tree").join(name)).unwrap(), "{name}");
                }
            }
            for name in ["0/0", "3/3"] {
                let found = home.run(["cat", &format!("{there}/{name}")]);
                if found.code == Some(0) {
                    assert!(found.bytes == fs::read(home.path("tree").join(name)).unwrap(), "{name}");
                }
            }
        }
        home.run(args).ok();
        home.run(args).ok().says(&["41 unchanged"]);
    }
    assert_same(&home.path("tree"), &home.path("back"));
    assert!(state(&home).is_empty());
}

/// A transfer that is killed when some of it has been noted.
fn killed(home: &Home, args: &[&str]) {
    for wait in 1..10 {
        let run = run_and_kill(home, args, Duration::from_millis(300 * wait));
        if run != Run::Ended && done(home) > 0 {
            return;
        }
    }
    panic!("no transfer was killed in the middle: {args:?}");
}

/// An upload of the file `big` that was killed in the middle: where it went, whose it was, and the object's URL.
fn killed_upload(platform: Platform) -> (Site, Home, String) {
    let site = platform.start();
    let home = user(&site);
    let url = site.url("big");
    random_file(home.path("big"), size(platform));
    killed(&home, &[SLOW_UPLOAD.as_slice(), &["cp", "big", &url]].concat());
    (site, home, url)
}

fn stale_transfers() {
    for platform in Platform::ALL {
        let (site, home, url) = killed_upload(platform);
        let listed = home.run(["resume"]).ok();
        assert!(listed.out().starts_with("upload of "), "{}", listed.out());
        assert!(listed.out().contains("/big: "), "{}", listed.out());
        assert_eq!(home.run(["resume", "--clean", "--older-than", "1d"]).ok().out(), "");
        assert!(home.run(["resume", "--clean"]).ok().out().starts_with("gave up the transfer of "));
        assert!(site.server.journal().count(|entry| entry.operation == "mpt-abort") > 0, "{platform:?}");
        assert_eq!(home.run(["resume"]).ok().out(), "");
        assert!(state(&home).is_empty());
        // Nothing of it is left to go on with.
        let ran = home.run(["cp", "big", &url]).ok();
        assert!(!ran.err.contains("goes on"), "{}", ran.err);
    }
}

fn changed_sources() {
    for platform in Platform::ALL {
        let (_site, home, url) = killed_upload(platform);
        random_file(home.path("big"), size(platform) + 5);
        home.run(["cp", "big", &url]).ok().says(&["starts again", "has changed since the upload began"]);
        assert!(home.run(["cat", &url]).ok().bytes == fs::read(home.path("big")).unwrap());
        assert!(state(&home).is_empty());
    }
}

fn changed_objects() {
    for platform in Platform::ALL {
        let site = platform.start();
        let home = user(&site);
        let url = site.url("big");
        for (name, length) in [("one", size(platform)), ("two", size(platform) + 5)] {
            random_file(home.path(name), length);
        }
        home.run(["cp", "one", &url]).ok();
        let slow = site.server.faults().add_str(SLOW_DOWNLOAD).unwrap();
        killed(&home, &["cp", &url, "big"]);
        site.server.faults().remove(slow);
        home.run(["cp", "two", &url]).ok();
        let ran = home.run(["cp", &url, "big"]).ok();
        ran.says(&["starts again", "another object, or of another state of it"]);
        assert!(fs::read(home.path("big")).unwrap() == fs::read(home.path("two")).unwrap());
        assert_eq!(names(&home.work()), ["big", "one", "two"]);
        assert!(state(&home).is_empty());
    }
}
