//! Waiting for jobs, over scripted answers.

use std::time::Duration;

use longshore_aistore::{Client, WaitJob};
use longshore_core_types::ErrorKind;
use longshore_transport::{
    RetryConfig,
    testing::{Reply, ScriptedService},
};

const UNENDED: &str = "0001-01-01T00:00:00Z";
const ENDED: &str = "2026-08-21T10:00:01Z";

fn snapshots(kind: &str, nodes: &[(&str, &str, bool)], error: &str) -> Reply {
    let nodes = nodes.iter().map(|(node, end, idle)| {
        let snapshot = serde_json::json!({
            "id": "abc123xyz", "kind": kind, "start-time": "2026-08-21T10:00:00Z", "end-time": end,
            "is_idle": idle, "aborted": error == "user abort", "err": error, "glob.id": "0",
            "stats": {"loc-objs": "5", "loc-bytes": "50"},
        });
        ((*node).to_owned(), serde_json::json!([snapshot]))
    });
    Reply::ok(serde_json::Value::Object(nodes.collect()).to_string())
}

fn unknown() -> Reply {
    Reply::status(404).body(r#"{"message":"\"x-[abc123xyz]\" not found","status":404}"#)
}

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn client(replies: Vec<Reply>) -> (Client, ScriptedService) {
    let script = ScriptedService::replies(replies);
    let client = Client::builder("http://gateway").service(script.clone()).retry(RetryConfig::off());
    (client.build().unwrap(), script)
}

/// Waits without pauses worth mentioning.
fn quick(wait: WaitJob) -> WaitJob {
    wait.interval(Duration::from_millis(1)).grace(Duration::from_secs(60))
}

#[tokio::test]
async fn a_job_is_done_when_it_has_ended_everywhere() {
    let running = [("t1", ENDED, true), ("t2", UNENDED, false)];
    let (client, script) = client(vec![
        unknown(),
        snapshots("copy-bck", &running, ""),
        snapshots("copy-bck", &[("t1", ENDED, true), ("t2", ENDED, true)], ""),
    ]);
    let outcome = quick(client.job("abc123xyz").wait()).await.unwrap();
    assert!(outcome.is_success() && outcome.ended.is_some());
    assert_eq!((outcome.objects, outcome.bytes, script.requests().len()), (10, 100, 3));
}

#[tokio::test]
async fn a_kind_that_idles_is_done_after_two_idle_looks() {
    let idle = || snapshots("copy-listrange", &[("t1", UNENDED, true)], "");
    let busy = || snapshots("copy-listrange", &[("t1", UNENDED, false)], "");
    let (client, script) = client(vec![busy(), idle(), busy(), idle(), idle()]);
    let outcome = quick(client.job("abc123xyz").wait()).await.unwrap();
    assert!(outcome.is_success() && outcome.ended.is_none());
    assert_eq!(script.requests().len(), 5);
}

#[tokio::test]
async fn what_went_wrong_is_in_the_outcome() {
    let (client, _) = client(vec![snapshots("delete-listrange", &[("t1", ENDED, true)], "user abort")]);
    let outcome = quick(client.job("abc123xyz").wait()).await.unwrap();
    assert!(outcome.aborted);
    let error = outcome.into_result().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.to_string().contains("user abort"), "{error}");
}

#[tokio::test]
async fn waiting_ends_at_its_deadline() {
    let running = (0..1000).map(|_| snapshots("lru", &[("t1", UNENDED, false)], "")).collect();
    let (client, _) = client(running);
    let wait = quick(client.job("abc123xyz").wait()).deadline(Duration::from_millis(20));
    assert_eq!(wait.await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_start_that_was_absorbed_is_not_waited_for() {
    let record = r#"{"kind":"cleanup-store","uuid":"abc123xyz","err":"","end_time":0,"aborted":false}"#;
    let (client, _) = client(vec![unknown(), Reply::ok(record)]);
    let wait = client.job("abc123xyz").wait().grace(Duration::ZERO);
    assert_eq!(wait.await.unwrap_err().kind(), ErrorKind::NotFound);
}
