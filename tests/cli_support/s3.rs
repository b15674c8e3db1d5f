//! `s3://`, on the dev server's endpoint, and the buckets of other clouds.

use std::fs;

use longshore_devserver::{DevServer, Handle};
use longshore_object_store::s3::{AwsCredentials, S3Builder};

use super::{Home, answering, cases, random_file};

cases! {
    the_commands_work buckets_are_made_and_removed buckets_of_google containers_of_azure wrong_keys_say_so
    other_clouds_say_what_they_miss the_endpoint_of_dev
}

fn server() -> Handle {
    DevServer::builder().s3("127.0.0.1:0").start_blocking().expect("the server starts")
}

fn with_key(home: Home, server: &Handle) -> Home {
    let (access_key, secret) = server.s3_key().expect("a key");
    home.with("AWS_ENDPOINT_URL", server.s3_url().expect("an endpoint"))
        .with("AWS_ACCESS_KEY_ID", access_key)
        .with("AWS_SECRET_ACCESS_KEY", secret)
}

fn make_bucket(server: &Handle) {
    let (access_key, secret) = server.s3_key().expect("a key");
    let url = server.s3_url().expect("an endpoint");
    let store = S3Builder::new("photos").endpoint(url).credentials(AwsCredentials::new(access_key, secret));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.build().unwrap().create_bucket()).unwrap();
}

fn the_commands_work() {
    let server = server();
    make_bucket(&server);
    let home = with_key(Home::new(), &server);
    random_file(home.path("big"), 20 << 20);
    fs::write(home.path("note.txt"), "hello").unwrap();
    home.run(["--part-size", "8MiB", "cp", "big", "s3://photos/dir/big"]).ok();
    home.run(["cp", "note.txt", "s3://photos/dir/a b.txt"]).ok();
    assert_eq!(home.run(["cat", "s3://photos/dir/a b.txt"]).ok().out(), "hello");
    let listed = home.run(["ls", "-r", "s3://photos/"]).ok().out();
    assert!(listed.contains("dir/a b.txt") && listed.contains("dir/big"), "{listed}");
    assert!(home.run(["stat", "s3://photos/dir/a b.txt"]).ok().out().contains("text/plain"));
    home.run(["cp", "s3://photos/dir/big", "back"]).ok();
    assert!(fs::read(home.path("big")).unwrap() == fs::read(home.path("back")).unwrap());
    home.run(["rm", "-r", "s3://photos/dir/"]).ok();
    home.run(["cat", "s3://photos/dir/big"]).exits(1).says(&["NoSuchKey"]);
    // Nothing was started for it.
    assert!(!home.dev().exists());
}

fn buckets_are_made_and_removed() {
    let server = server();
    let home = with_key(Home::new(), &server);
    home.run(["mb", "s3://made"]).ok();
    home.run(["mb", "s3://made"]).exits(1).says(&["--exist-ok"]);
    home.run(["mb", "--exist-ok", "s3://made"]).ok();
    home.run(["mb", "s3://also-made"]).ok();
    assert_eq!(home.run(["ls", "s3://"]).ok().lines(), ["s3://also-made", "s3://made"]);
    let (access_key, secret) = server.s3_key().expect("a key");
    let by_profile = Home::new();
    by_profile.configure(&format!(
        "[profile.p]\ns3-endpoint = {:?}\ns3-access-key = {access_key:?}\ns3-secret-key = {secret:?}\n",
        server.s3_url().expect("an endpoint")
    ));
    assert_eq!(by_profile.run(["--profile", "p", "ls", "s3://"]).ok().lines().len(), 2);
    // And nowhere else.
    by_profile.run(["--profile", "p", "mb", "s3://by-profile"]).ok();
    assert_eq!(home.run(["ls", "s3://"]).ok().lines().len(), 3);
    by_profile.run(["--profile", "p", "rb", "s3://by-profile"]).ok();
    home.run(["stat", "s3://made"]).fails(2, &["s3://made is a bucket"], "longshore du s3://made");
    home.run(["rb", "s3://also-made"]).ok();
    fs::write(home.path("note.txt"), "hello").unwrap();
    home.run(["cp", "note.txt", "s3://made/dir/note.txt"]).ok();
    home.run(["rb", "s3://made"]).exits(1).says(&["not empty", "s3://made/dir/note.txt", "--force"]);
    home.run(["rb", "--dry-run", "--force", "s3://made"]).ok();
    assert_eq!(home.run(["cat", "s3://made/dir/note.txt"]).ok().out(), "hello");
    home.run(["rb", "--force", "s3://made"]).ok();
    home.run(["ls", "s3://made"]).exits(1).says(&["NoSuchBucket"]);
}

fn other_clouds_say_what_they_miss() {
    let home = Home::new();
    home.run(["ls", "gs://photos"])
        .exits(2)
        .says(&["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SKIP_SIGNATURE"]);
    let anybody = Home::new().with("GOOGLE_SKIP_SIGNATURE", "true");
    for args in [["ls", "gs://"], ["mb", "gs://photos"]] {
        anybody.run(args).exits(2).says(&["GOOGLE_CLOUD_PROJECT"]);
    }
    let home = home.with("AZURE_TOKEN_CREDENTIALS", "dev");
    home.run(["ls", "az://photos"]).exits(2).says(&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_SAS_TOKEN"]);
}

fn buckets_of_google() {
    let (url, seen) = answering(vec![
        (200, r#"{"items": [{"name": "a"}, {"name": "b"}], "nextPageToken": "n"}"#),
        (200, r#"{"items": [{"name": "c"}]}"#),
        (200, "{}"),
        (409, r#"{"error": {"code": 409, "message": "taken", "errors": [{"reason": "conflict"}]}}"#),
        (200, "<ListBucketResult/>"),
        (204, ""),
        (403, r#"{"error": {"code": 403, "message": "alice may not", "errors": [{"reason": "forbidden"}]}}"#),
    ]);
    let home = Home::new().with("STORAGE_EMULATOR_HOST", url).with("GOOGLE_CLOUD_PROJECT", "p");
    assert_eq!(home.run(["ls", "gs://"]).ok().lines(), ["gs://a", "gs://b", "gs://c"]);
    home.run(["mb", "gs://made"]).ok();
    home.run(["mb", "gs://made"]).exits(1).says(&["taken", "--exist-ok"]);
    home.run(["rb", "gs://made"]).ok();
    home.run(["ls", "gs://"]).exits(1).says(&["cannot list the buckets of gs://", "alice may not"]);
    let asked = seen.join().expect("all were asked");
    let first: Vec<_> = asked.iter().filter_map(|head| head.split(" HTTP").next()).collect();
    let list = "GET /storage/v1/b?project=p&fields=items%2Fname%2CnextPageToken";
    assert_eq!(
        first[..4],
        [
            list,
            &format!("{list}&pageToken=n"),
            "POST /storage/v1/b?project=p",
            "POST /storage/v1/b?project=p"
        ]
    );
    assert!(first[4].starts_with("GET /made?list-type=2"), "{}", first[4]);
    assert_eq!(first[5], "DELETE /storage/v1/b/made");
}

fn containers_of_azure() {
    let page = "<EnumerationResults><Containers><Container><Name>a</Name></Container></Containers><NextMarker>n</NextMarker></EnumerationResults>";
    let last = "<EnumerationResults><Containers><Container><Name>b</Name></Container></Containers><NextMarker/></EnumerationResults>";
    let (url, seen) = answering(vec![(200, page), (200, last)]);
    let home = Home::new().with("AZURE_STORAGE_USE_EMULATOR", "true").with("AZURITE_BLOB_STORAGE_URL", url);
    assert_eq!(home.run(["ls", "az://"]).ok().lines(), ["az://a", "az://b"]);
    let asked = seen.join().expect("all were asked");
    assert!(asked[0].starts_with("GET /devstoreaccount1?comp=list HTTP"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /devstoreaccount1?comp=list&marker=n HTTP"), "{}", asked[1]);
}

fn wrong_keys_say_so() {
    let server = server();
    let home = Home::new();
    home.run(["ls", "s3://photos"]).exits(2).says(&["AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE"]);
    let wrong = with_key(home, &server).with("AWS_SECRET_ACCESS_KEY", "sentinel");
    let refused = wrong.run(["ls", "s3://photos"]).exits(1).says(&["SignatureDoesNotMatch"]);
    assert!(!refused.out().contains("sentinel"));
    assert!(
        refused.err.contains("AWS_SECRET_ACCESS_KEY") && !refused.err.contains("AIS_"),
        "{}",
        refused.err
    );
}

fn the_endpoint_of_dev() {
    let home = Home::new();
    let mut dev = home.start(["--json", "dev", "--s3"]);
    let line: serde_json::Value = serde_json::from_str(&dev.first_line()).unwrap();
    assert!(line["s3"]["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")), "{line}");
    assert!(line["s3"]["access_key"].is_string() && line["s3"]["secret_key"].is_string());
    dev.signal(rustix::process::Signal::INT);
    dev.wait().ok();
}
