//! Files and directories to a bucket of the dev server and back.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test program")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures_util::TryStreamExt;
use longshore_apolo::{Client, FileEvent, Files, Location, Store};
use longshore_blob_api::{BlobStoreExt, ListOptions};
use longshore_core_types::{ErrorKind, ObjectKey};
use longshore_devserver::{DevServer, Handle, NodeKind};
use longshore_transfer::{CancelToken, Transfer};

struct Scene {
    server: Handle,
    store: Store,
    files: Files,
    place: tempfile::TempDir,
    events: Arc<Mutex<Vec<FileEvent>>>,
}

impl Scene {
    async fn new() -> Self {
        let server = DevServer::builder().apolo("127.0.0.1:0").journal_capacity(10_000);
        let server = server.start().await.expect("a server");
        let token = server.apolo_settings().token("alice");
        let builder = Client::builder().api_url(server.apolo_url().expect("a service")).token(token);
        let client = builder.org("acme").project("proj1").connect().await.expect("a client");
        let bucket = client.buckets().create(Some("data")).await.expect("a bucket");
        let store = client.store(&bucket).await.expect("a store");
        let transfer = Transfer::builder().progress_interval(Duration::ZERO).build().expect("settings");
        let files = store.files(&transfer);
        let place = tempfile::tempdir().expect("a directory");
        Self { server, store, files, place, events: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    async fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.store.write(&ObjectKey::new(key).unwrap(), content.into()).await.expect("an object");
    }

    async fn read(&self, key: &str) -> Vec<u8> {
        self.store.read(&ObjectKey::new(key).unwrap()).await.expect("an object").to_vec()
    }

    async fn keys(&self) -> Vec<String> {
        let entries: Vec<_> = self.store.list(ListOptions::default()).try_collect().await.unwrap();
        let mut keys: Vec<_> = entries.iter().map(|entry| entry.name().to_owned()).collect();
        keys.sort();
        keys
    }

    fn listener(&self) -> impl FnMut(&FileEvent) + Send + 'static {
        let events = Arc::clone(&self.events);
        move |event| events.lock().unwrap().push(event.clone())
    }

    fn take(&self) -> Vec<FileEvent> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// What was told, in short and sorted, after its order was looked at.
    fn told(&self) -> Vec<String> {
        let events = self.take();
        check_order(&events);
        let short = |at: &Location| match at {
            Location::Local(path) => {
                path.strip_prefix(self.place.path()).expect("a path below").display().to_string()
            }
            Location::Bucket(url) => format!("blob:{}", url.key()),
        };
        let line = |event: &FileEvent| {
            Some(match event {
                FileEvent::Start { from, to, size } => format!("start {} {} {size}", short(from), short(to)),
                FileEvent::Complete { from, to, size } => {
                    format!("complete {} {} {size}", short(from), short(to))
                }
                FileEvent::Enter { from, to } => format!("enter {} {}", short(from), short(to)),
                FileEvent::Leave { from, to } => format!("leave {} {}", short(from), short(to)),
                FileEvent::Fail { from, message, .. } => format!("fail {}: {message}", short(from)),
                FileEvent::Delete { at, is_dir } => format!("delete {} {is_dir}", short(at)),
                _ => return None,
            })
        };
        let mut lines: Vec<_> = events.iter().filter_map(line).collect();
        lines.sort();
        lines
    }

    /// Bytes that reads of objects brought since the journal was cleared.
    fn fetched(&self) -> u64 {
        let gets = self.server.journal().filter(|e| e.node == NodeKind::S3 && e.operation == "get");
        gets.iter().map(|entry| entry.bytes_out).sum()
    }
}

fn name(at: &Location) -> String {
    match at {
        Location::Local(path) => path.display().to_string(),
        Location::Bucket(url) => url.key().to_owned(),
    }
}

fn is_below(name: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    name != folder && (folder.is_empty() || name.starts_with(&format!("{folder}/")))
}

/// What is promised of the order: a file's start, steps that rise, its completion; a directory is entered before anything
/// in it and left after all of it; what is in a folder is deleted before the folder.
fn check_order(events: &[FileEvent]) {
    let mut files: HashMap<String, Option<u64>> = HashMap::new();
    let mut folders: HashMap<String, bool> = HashMap::new();
    let mut gone: Vec<String> = Vec::new();
    for event in events {
        let at = match event {
            FileEvent::Delete { at, .. } => name(at),
            FileEvent::Start { from, .. }
            | FileEvent::Step { from, .. }
            | FileEvent::Complete { from, .. }
            | FileEvent::Enter { from, .. }
            | FileEvent::Leave { from, .. }
            | FileEvent::Fail { from, .. } => name(from),
            _ => continue,
        };
        for (folder, is_left) in &folders {
            assert!(!*is_left || !is_below(&at, folder), "{folder} was left before {event:?}");
        }
        match event {
            FileEvent::Start { .. } => assert_eq!(files.insert(at, Some(0)), None, "{event:?}"),
            FileEvent::Step { current, size, .. } => {
                let before = files.get_mut(&at).and_then(Option::as_mut).expect("a file that has begun");
                assert!(*before < *current && current <= size, "{event:?} after {before}");
                *before = *current;
            }
            FileEvent::Complete { size, .. } => {
                let before = files.insert(at, None).flatten();
                assert!(before.is_some_and(|before| before == *size), "{event:?} after {before:?}");
            }
            FileEvent::Enter { .. } => {
                let inside = files.keys().chain(folders.keys()).find(|name| is_below(name, &at));
                assert_eq!(inside, None, "{event:?}");
                assert_eq!(folders.insert(at, false), None, "{event:?}");
            }
            FileEvent::Leave { .. } => {
                let open = folders.iter().any(|(name, is_left)| is_below(name, &at) && !is_left);
                let moving = files.iter().any(|(name, state)| is_below(name, &at) && state.is_some());
                assert!(!open && !moving, "{event:?}");
                assert_eq!(folders.insert(at, true), Some(false), "{event:?}");
            }
            FileEvent::Delete { .. } => {
                assert!(!gone.iter().any(|folder| is_below(&at, folder)), "{event:?}");
                gone.push(at);
            }
            _ => {}
        }
    }
}

fn set_age(path: &Path, seconds: i64) {
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { SystemTime::now() + offset } else { SystemTime::now() - offset };
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

#[tokio::test]
async fn directories_go_up_with_markers_and_come_back() {
    let scene = Scene::new().await;
    scene.write("tree/a.txt", "12345");
    scene.write("tree/empty.txt", "");
    scene.write("tree/sub/deep/big", bytes(3 << 20));
    fs::create_dir_all(scene.path("tree/none/at/all")).unwrap();
    let copy = scene.files.upload_dir(scene.path("tree"), "t/").on_event(scene.listener());
    let copied = copy.await.unwrap();
    assert_eq!((copied.files, copied.bytes, copied.failed), (3, 5 + (3 << 20), 0));
    assert_eq!(
        scene.keys().await,
        [
            "t/",
            "t/a.txt",
            "t/empty.txt",
            "t/none/",
            "t/none/at/",
            "t/none/at/all/",
            "t/sub/",
            "t/sub/deep/",
            "t/sub/deep/big"
        ]
    );
    assert_eq!(
        scene.told(),
        [
            "complete tree/a.txt blob:t/a.txt 5",
            "complete tree/empty.txt blob:t/empty.txt 0",
            "complete tree/sub/deep/big blob:t/sub/deep/big 3145728",
            "enter tree blob:t",
            "enter tree/none blob:t/none",
            "enter tree/none/at blob:t/none/at",
            "enter tree/none/at/all blob:t/none/at/all",
            "enter tree/sub blob:t/sub",
            "enter tree/sub/deep blob:t/sub/deep",
            "leave tree blob:t",
            "leave tree/none blob:t/none",
            "leave tree/none/at blob:t/none/at",
            "leave tree/none/at/all blob:t/none/at/all",
            "leave tree/sub blob:t/sub",
            "leave tree/sub/deep blob:t/sub/deep",
            "start tree/a.txt blob:t/a.txt 5",
            "start tree/empty.txt blob:t/empty.txt 0",
            "start tree/sub/deep/big blob:t/sub/deep/big 3145728",
        ]
    );
    let copy = scene.files.download_dir("t", scene.path("back/here")).on_event(scene.listener());
    assert_eq!(copy.await.unwrap().files, 3);
    assert!(scene.path("back/here/none/at/all").is_dir());
    assert_eq!(fs::read(scene.path("back/here/sub/deep/big")).unwrap(), bytes(3 << 20));
    let told = scene.told();
    assert_eq!(told.len(), 18);
    assert_eq!(told[4], "enter blob:t/none back/here/none");
    assert_eq!(told[0], "complete blob:t/a.txt back/here/a.txt 5");
    // The whole bucket, and without markers.
    scene.files.upload_dir(scene.path("tree/sub"), "").markers(false).await.unwrap();
    assert!(scene.keys().await.contains(&"deep/big".to_owned()));
    assert!(!scene.keys().await.contains(&"deep/".to_owned()));
    scene.files.download_dir("", scene.path("all")).await.unwrap();
    assert!(scene.path("all/t/none/at/all").is_dir() && scene.path("all/deep/big").is_file());
}

#[tokio::test]
async fn what_is_left_out() {
    let scene = Scene::new().await;
    for name in ["a.log", "b.txt", "keep.log", "build/x", "sub/c.log", "sub/d.tmp", "sub/skip/e", "x.bak"] {
        scene.write(&format!("tree/{name}"), "1");
    }
    scene.write(".neuroignore", "/tree/sub/skip/\n");
    scene.write("tree/.apoloignore", "*.log\n!keep.log\nbuild/\n");
    scene.write("tree/sub/.apoloignore", "!c.log\n*.tmp\n.apoloignore\n");
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let keep = move |name: &str| {
        seen.lock().unwrap().push(name.to_owned());
        Path::new(name).extension().is_none_or(|extension| extension != "bak")
    };
    let copy = scene.files.upload_dir(scene.path("tree"), "t").markers(false);
    let copy = copy.ignore_files([".apoloignore", ".neuroignore"]).filter(keep).on_event(scene.listener());
    copy.await.unwrap();
    assert_eq!(scene.keys().await, ["t/.apoloignore", "t/b.txt", "t/keep.log", "t/sub/c.log"]);
    let told = scene.told().join("\n");
    assert!(!told.contains("build") && !told.contains("skip"), "{told}");
    // The caller is asked where no file decides.
    let mut asked = std::mem::take(&mut *asked.lock().unwrap());
    asked.sort();
    assert_eq!(asked, [".apoloignore", "b.txt", "sub/", "x.bak"]);
    let copy = scene.files.download_dir("t", scene.path("back")).filter(|name| name != "sub/");
    assert_eq!(copy.await.unwrap().files, 3);
    assert!(!scene.path("back/sub").exists());
}

/// The vectors that the platform's client was asked for, on real files.
#[tokio::test]
async fn ignore_files_decide_as_the_platforms_client() {
    let scene = Scene::new().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/apolo.json");
    let vectors: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut looked_at = 0;
    for (n, case) in vectors["ignore"].as_array().unwrap().iter().enumerate() {
        let tree = format!("tree{n}");
        scene.write(&format!("{tree}/.apoloignore"), case["ignore_file"].as_str().unwrap());
        let keep = case["keep"].as_object().unwrap();
        let mut wanted = Vec::new();
        for (name, kept) in keep {
            if name.ends_with('/') || keep.contains_key(&format!("{name}/")) {
                continue;
            }
            // One that is below a directory that is left out is left out in any case.
            let above: Vec<_> = name.match_indices('/').map(|(at, _)| &name[..=at]).collect();
            if above.iter().any(|folder| keep.get(*folder).is_none()) {
                continue;
            }
            let shadowed = above.iter().any(|folder| keep[*folder] == false);
            scene.write(&format!("{tree}/{name}"), "1");
            looked_at += 1;
            if kept == true && !shadowed {
                wanted.push(format!("{tree}/{name}"));
            }
        }
        let copy = scene.files.upload_dir(scene.path(&tree), &*tree).markers(false);
        copy.ignore_files([".apoloignore"]).filter(|name| name != ".apoloignore").await.unwrap();
        let mut found: Vec<_> = scene.keys().await;
        found.retain(|key| key.starts_with(&format!("{tree}/")) && !key.ends_with(".apoloignore"));
        wanted.sort();
        assert_eq!(found, wanted, "{:?}", case["ignore_file"]);
    }
    assert!(looked_at > 40, "{looked_at}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_fails_alone() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let scene = Scene::new().await;
    let file = scene.write("tree/file", "12");
    scene.write("other/inner", "345");
    symlink("nowhere", scene.path("tree/broken")).unwrap();
    symlink(&file, scene.path("tree/link")).unwrap();
    symlink(scene.path("other"), scene.path("tree/linked")).unwrap();
    symlink(scene.path("tree"), scene.path("other/round")).unwrap();
    let _socket = UnixListener::bind(scene.path("tree/socket")).unwrap();
    scene.write("tree/.x.longshore-part", "unfinished");
    let copy = scene.files.upload_dir(scene.path("tree"), "t").on_event(scene.listener());
    let copied = copy.await.unwrap();
    assert_eq!((copied.files, copied.failed), (3, 3));
    assert_eq!(scene.keys().await, ["t/", "t/file", "t/link", "t/linked/", "t/linked/inner"]);
    let told = scene.told();
    let failed: Vec<_> = told.iter().filter(|line| line.starts_with("fail")).collect();
    assert!(failed[0].contains("tree/broken: Cannot transfer"), "{failed:?}");
    assert!(failed[1].contains("leads back to"), "{failed:?}");
    assert!(failed[2].ends_with("tree/socket, not regular file/directory"), "{failed:?}");
    // Names that are no paths, on the way back.
    for key in ["t/a//b", "t//up", "t/full/"] {
        scene.put(key, "1").await;
    }
    let copy = scene.files.download_dir("t", scene.path("back")).on_event(scene.listener());
    let copied = copy.await.unwrap();
    assert_eq!((copied.files, copied.failed), (3, 3));
    assert!(scene.path("back/full").is_dir());
    assert_eq!(scene.told().iter().filter(|line| line.starts_with("fail")).count(), 3);
}

#[tokio::test]
async fn what_is_newer_there_is_left_alone() {
    let scene = Scene::new().await;
    let (old, new) = (scene.write("tree/old", "old"), scene.write("tree/sub/new", "new"));
    scene.put("t/old", "there").await;
    scene.put("t/sub/new", "there").await;
    set_age(&old, 100);
    set_age(&new, 0);
    let copy = scene.files.upload_dir(scene.path("tree"), "t").update(true).on_event(scene.listener());
    let copied = copy.await.unwrap();
    assert_eq!((copied.files, copied.left), (1, 1));
    assert_eq!((scene.read("t/old").await, scene.read("t/sub/new").await), (b"there".into(), b"new".into()));
    let told = scene.told().join("\n");
    assert!(!told.contains("old") && told.contains("start tree/sub/new"), "{told}");
    // The same for one file.
    assert_eq!(scene.files.upload_file(&old, "t/old").update(true).await.unwrap().left, 1);
    assert_eq!(scene.files.upload_file(&old, "t/old").await.unwrap().files, 1);
    assert_eq!(scene.read("t/old").await, b"old");
    // And back: the local one is older, then newer.
    scene.write("back/old", "here");
    set_age(&scene.path("back/old"), 100);
    scene.write("back/sub/new", "here");
    set_age(&scene.path("back/sub/new"), -100);
    let copied = scene.files.download_dir("t", scene.path("back")).update(true).await.unwrap();
    assert_eq!((copied.files, copied.left), (1, 1));
    assert_eq!(fs::read(scene.path("back/old")).unwrap(), b"old");
    assert_eq!(fs::read(scene.path("back/sub/new")).unwrap(), b"here");
    // Into a directory that is not there.
    let copied = scene.files.download_dir("t", scene.path("fresh")).update(true).await.unwrap();
    assert_eq!((copied.files, copied.left), (2, 0));
}

#[tokio::test]
async fn downloads_go_on_where_a_shorter_newer_file_ends() {
    let scene = Scene::new().await;
    let content = bytes(500_000);
    scene.put("t/f", content.clone()).await;
    let file = scene.write("back/f", &content[..123_456]);
    set_age(&file, -100);
    scene.server.journal().clear();
    let copy = scene.files.download_file("t/f", &file).resume(true).on_event(scene.listener());
    assert_eq!(copy.await.unwrap().files, 1);
    assert_eq!(fs::read(&file).unwrap(), content);
    assert_eq!(scene.fetched(), 500_000 - 123_456);
    let steps: Vec<_> = scene
        .take()
        .into_iter()
        .filter_map(|event| match event {
            FileEvent::Step { current, .. } => Some(current),
            _ => None,
        })
        .collect();
    assert!(steps[0] > 123_456 && steps.last() == Some(&500_000), "{steps:?}");
    // As long: left alone. Longer, or older: all of it.
    set_age(&file, -100);
    assert_eq!(scene.files.download_file("t/f", &file).resume(true).await.unwrap().left, 1);
    for (content_there, age) in [(bytes(600_000), -100), (content[..1000].to_vec(), 100)] {
        fs::write(&file, content_there).unwrap();
        set_age(&file, age);
        scene.server.journal().clear();
        scene.files.download_dir("t", scene.path("back")).resume(true).await.unwrap();
        assert_eq!((fs::read(&file).unwrap(), scene.fetched()), (content.clone(), 500_000));
    }
    fs::write(&file, &content[..400_000]).unwrap();
    set_age(&file, -100);
    scene.server.journal().clear();
    scene.files.download_dir("t", scene.path("back")).resume(true).await.unwrap();
    assert_eq!((fs::read(&file).unwrap(), scene.fetched()), (content, 100_000));
    for error in [
        scene.files.upload_file(&file, "t/f").resume(true).await.unwrap_err(),
        scene.files.upload_dir(scene.path("back"), "t").resume(true).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn ends_that_do_not_fit() {
    let scene = Scene::new().await;
    let file = scene.write("tree/file", "1");
    scene.put("both", "1").await;
    scene.put("both/x", "1").await;
    scene.put("object", "1").await;
    let (files, tree) = (&scene.files, scene.path("tree"));
    let kind = |result: Result<_, longshore_transfer::TransferError>| result.unwrap_err().kind();
    assert_eq!(kind(files.upload_file(scene.path("none"), "k").await), ErrorKind::NotFound);
    assert_eq!(kind(files.upload_file(&tree, "k").await), ErrorKind::Conflict);
    assert_eq!(kind(files.upload_file(&file, "both").await), ErrorKind::Conflict);
    assert_eq!(kind(files.upload_file(&file, "").await), ErrorKind::Conflict);
    assert_eq!(kind(files.download_file("none", scene.path("x")).await), ErrorKind::NotFound);
    assert_eq!(kind(files.download_file("both", scene.path("x")).await), ErrorKind::Conflict);
    assert_eq!(kind(files.download_file("object", &tree).await), ErrorKind::Conflict);
    assert_ne!(kind(files.download_file("object", scene.path("none/x")).await), ErrorKind::Conflict);
    assert_eq!(kind(files.upload_dir(scene.path("none"), "t").await), ErrorKind::NotFound);
    assert_eq!(kind(files.upload_dir(&file, "t").await), ErrorKind::Conflict);
    assert_eq!(kind(files.upload_dir(&tree, "object").await), ErrorKind::Conflict);
    assert_eq!(kind(files.download_dir("none", scene.path("x")).await), ErrorKind::NotFound);
    assert_eq!(kind(files.download_dir("object", scene.path("x")).await), ErrorKind::Conflict);
    assert_eq!(kind(files.download_dir("both", &file).await), ErrorKind::Conflict);
    // A slash at the end names the same.
    files.upload_file(&file, "new/").await.unwrap();
    assert_eq!(scene.keys().await, ["both", "both/x", "new", "object"]);
}

#[tokio::test]
async fn removals_tell_of_folders_last() {
    let scene = Scene::new().await;
    for key in ["d/", "d/e/f", "d/e/g", "d/h", "other"] {
        scene.put(key, "").await;
    }
    let mut listener = scene.listener();
    scene.files.remove("d", true, &mut listener).await.unwrap();
    assert_eq!(
        scene.told(),
        [
            "delete blob:d true",
            "delete blob:d/e true",
            "delete blob:d/e/f false",
            "delete blob:d/e/g false",
            "delete blob:d/h false"
        ]
    );
    scene.files.remove("other", true, &mut listener).await.unwrap();
    assert_eq!(scene.told(), ["delete blob:other false"]);
    assert!(scene.keys().await.is_empty());
    let error = scene.files.remove("other", true, listener).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_first_failure_ends_a_tree() {
    let scene = Scene::new().await;
    for n in 0..20 {
        scene.write(&format!("tree/{n}"), bytes(1000));
    }
    scene.server.faults().add_str("put:node=s3:skip=3:status=403").unwrap();
    let copy = scene.files.upload_dir(scene.path("tree"), "t").markers(false).on_event(scene.listener());
    let error = copy.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let told = scene.told();
    assert!(told.iter().any(|line| line.starts_with("enter")));
    assert!(!told.iter().any(|line| line.starts_with("leave")), "{told:?}");
    let cancel = CancelToken::new();
    cancel.stop();
    let error = scene.files.download_dir("t", scene.path("back")).cancel(cancel).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
