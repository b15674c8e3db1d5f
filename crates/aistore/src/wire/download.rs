//! Downloads from the web into buckets.

use std::{collections::BTreeMap, time::Duration, time::SystemTime};

use http::Method;
use longshore_core_types::{Idempotency, ObjectKey, Resource, Result};
use serde::{Deserialize, Serialize};

use super::{
    Request,
    bucket::{WireBucket, null_default},
    from_json,
};
use crate::{
    collection::Collection,
    download::{DownloadError, DownloadStatus, DownloadTask},
    names::{BucketRef, check_length, check_object_name, check_prefix, invalid},
    object::options::{EtlCall, go_duration},
    smap::loose_u64,
};

use Idempotency::{Idempotent, NotIdempotent};

/// What is downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// One link; the object is named by the last part of its path unless it has a name.
    Single { link: String, name: Option<String> },
    /// Links that a template stands for.
    Range { template: String, dir: String },
    /// Links by object name.
    Named(BTreeMap<String, String>),
    /// Links whose objects are named by the last parts of their paths.
    Links(Vec<String>),
    /// Objects of the bucket's own backend.
    Backend { prefix: String, suffix: String, sync: bool },
}

/// Options of a download.
#[derive(Clone, Debug, Default)]
pub(crate) struct DownloadParams {
    pub(crate) description: String,
    pub(crate) timeout: Option<Duration>,
    pub(crate) progress_interval: Option<Duration>,
    pub(crate) connections: u32,
    pub(crate) bytes_per_hour: u64,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) etl: Option<EtlCall>,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    bucket: WireBucket,
    description: &'a str,
    timeout: String,
    progress_interval: String,
    limits: Limits,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etl_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etl_args: Option<&'a str>,
    #[serde(flatten)]
    what: WireWhat<'a>,
}

#[derive(Serialize)]
struct Limits {
    connections: u32,
    bytes_per_hour: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireWhat<'a> {
    Single {
        link: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        object_name: Option<&'a str>,
    },
    Range {
        template: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        subdir: &'a str,
    },
    Named {
        objects: &'a BTreeMap<String, String>,
    },
    Links {
        objects: &'a [String],
    },
    Backend {
        prefix: &'a str,
        suffix: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        synchronize: bool,
    },
}

fn check_name(name: &str) -> Result<()> {
    let name = ObjectKey::new(name)?;
    check_object_name(&name, false)?;
    check_length(&name)
}

/// Refuses a folder below which no object can be listed.
fn check_dir(dir: &str) -> Result<()> {
    check_prefix(dir)?;
    if dir.is_empty() {
        return Ok(());
    }
    // All names begin with it, so the shortest one stands for them.
    check_name(&format!("{}/x", dir.strip_suffix('/').unwrap_or(dir)))
}

/// Refuses what is no link, and a link that does not name the object to be.
fn check_link(link: &str, named: bool) -> Result<()> {
    let fault = |why: &str| Err(invalid(format!("{link:?} is not a link to download: {why}")));
    let Some((scheme, rest)) = link.split_once("://") else { return fault("it has no scheme") };
    if !["http", "https", "gs", "s3", "az", "ais"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return fault("its scheme is neither http nor https");
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || link.contains(char::is_whitespace) {
        return fault("it has no host, or blanks");
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if !named && last.is_empty() {
        return fault("its path does not name the object; name it");
    }
    Ok(())
}

fn check(bucket: &BucketRef, what: &What) -> Result<()> {
    match what {
        What::Single { link, name } => {
            check_link(link, name.is_some())?;
            name.as_deref().map_or(Ok(()), check_name)
        }
        What::Range { template, dir } => {
            check_dir(dir)?;
            // The path is what the server counts through; the link may hold characters that no object name has.
            let path = template.split_once("://").map_or(template.as_str(), |(_, rest)| rest);
            if !path.replace("//", "/").parse::<Collection>()?.is_braces() {
                return Err(invalid(format!("the template {template:?} has no range such as {{1..9}}")));
            }
            check_link(template, false)
        }
        What::Named(links) if links.is_empty() => Err(invalid("there is nothing to download")),
        What::Named(links) => links.iter().try_for_each(|(name, link)| {
            check_link(link, true)?;
            check_name(name)
        }),
        What::Links(links) if links.is_empty() => Err(invalid("there is nothing to download")),
        What::Links(links) => links.iter().try_for_each(|link| check_link(link, false)),
        // On a bucket of the cluster itself this brings a target down.
        What::Backend { .. } if !bucket.is_remote() => {
            Err(invalid(format!("{bucket} lives in the cluster: there is no backend to download it from")))
        }
        What::Backend { prefix, .. } => check_prefix(prefix),
    }
}

pub(crate) fn start(bucket: &BucketRef, what: &What, params: &DownloadParams) -> Result<Request> {
    check(bucket, what)?;
    if let Some(etl) = &params.etl {
        etl.check()?;
        if !etl.pipeline.is_empty() {
            return Err(invalid("a download goes through one ETL at most"));
        }
    }
    for (name, values) in &params.headers {
        let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && values.iter().all(|value| http::HeaderValue::from_str(value).is_ok());
        if !good {
            return Err(invalid(format!("{name:?} cannot be sent as a header")));
        }
    }
    let (kind, what) = match what {
        What::Single { link, name } => ("single", WireWhat::Single { link, object_name: name.as_deref() }),
        What::Range { template, dir } => ("range", WireWhat::Range { template, subdir: dir }),
        What::Named(objects) => ("multi", WireWhat::Named { objects }),
        What::Links(objects) => ("multi", WireWhat::Links { objects }),
        What::Backend { prefix, suffix, sync } => {
            ("backend", WireWhat::Backend { prefix, suffix, synchronize: *sync })
        }
    };
    let duration = |duration: Option<Duration>| duration.map(go_duration).unwrap_or_default();
    let message = Message {
        kind,
        bucket: bucket.into(),
        description: &params.description,
        timeout: duration(params.timeout),
        progress_interval: duration(params.progress_interval),
        limits: Limits { connections: params.connections, bytes_per_hour: params.bytes_per_hour },
        headers: &params.headers,
        etl_name: params.etl.as_ref().map(|etl| etl.name.as_str()),
        etl_args: params.etl.as_ref().and_then(|etl| etl.args.as_deref()),
        what,
    };
    let request = Request::new(Method::POST, "/v1/download", "aistore.download.start", NotIdempotent);
    request.on(bucket.resource()).json(&message)
}

#[derive(Serialize)]
struct Query<'a> {
    id: &'a str,
    regex: &'a str,
    only_active_tasks: bool,
}

fn on_job(method: Method, path: &str, id: &str, active: bool, operation: &'static str) -> Result<Request> {
    // Without an id it would be a question about all downloads.
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err(invalid(format!("{id:?} is not the id of a download")));
    }
    let name = id.to_owned().into();
    Request::new(method, path, operation, Idempotent)
        .on(Resource::Named { kind: "download", name })
        .json(&Query { id, regex: "", only_active_tasks: active })
}

pub(crate) fn status(id: &str, active: bool) -> Result<Request> {
    on_job(Method::GET, "/v1/download", id, active, "aistore.download.status")
}

pub(crate) fn abort(id: &str) -> Result<Request> {
    on_job(Method::DELETE, "/v1/download/abort", id, false, "aistore.download.abort")
}

pub(crate) fn remove(id: &str) -> Result<Request> {
    on_job(Method::DELETE, "/v1/download/remove", id, false, "aistore.download.remove")
}

pub(crate) fn list(matching: &str, active: bool) -> Result<Request> {
    Request::new(Method::GET, "/v1/download", "aistore.download.list", Idempotent).json(&Query {
        id: "",
        regex: matching,
        only_active_tasks: active,
    })
}

pub(crate) fn parse_start(body: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    struct Started {
        id: String,
    }
    Ok(from_json::<Started>(body, "the id of a download")?.id)
}

#[derive(Deserialize)]
struct WireStatus {
    #[serde(default)]
    id: String,
    #[serde(default)]
    xaction_id: String,
    #[serde(default)]
    description: String,
    #[serde(default, rename = "started_time", deserialize_with = "super::time::deserialize")]
    started: Option<SystemTime>,
    #[serde(default, rename = "finished_time", deserialize_with = "super::time::deserialize")]
    finished: Option<SystemTime>,
    #[serde(default, rename = "finished_cnt")]
    done: u64,
    #[serde(default, rename = "scheduled_cnt")]
    scheduled: u64,
    #[serde(default, rename = "skipped_cnt")]
    skipped: u64,
    #[serde(default, rename = "error_cnt")]
    failed: u64,
    #[serde(default)]
    total: i64,
    #[serde(default)]
    all_dispatched: bool,
    #[serde(default)]
    aborted: bool,
    #[serde(default, deserialize_with = "null_default")]
    current_tasks: Vec<WireTask>,
    #[serde(default, deserialize_with = "null_default")]
    finished_tasks: Vec<WireTask>,
    #[serde(default, deserialize_with = "null_default")]
    download_errors: Vec<WireError>,
}

#[derive(Deserialize)]
struct WireTask {
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "loose_u64")]
    downloaded: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    total: u64,
    #[serde(default, rename = "start_time", deserialize_with = "super::time::deserialize")]
    started: Option<SystemTime>,
    #[serde(default, rename = "end_time", deserialize_with = "super::time::deserialize")]
    ended: Option<SystemTime>,
}

#[derive(Deserialize)]
struct WireError {
    #[serde(default)]
    name: String,
    #[serde(default)]
    error: String,
}

impl From<WireTask> for DownloadTask {
    fn from(wire: WireTask) -> Self {
        Self {
            name: wire.name,
            downloaded: wire.downloaded,
            total: (wire.total > 0).then_some(wire.total),
            started: wire.started,
            ended: wire.ended,
        }
    }
}

impl From<WireStatus> for DownloadStatus {
    fn from(wire: WireStatus) -> Self {
        let tasks = |tasks: Vec<WireTask>| tasks.into_iter().map(Into::into).collect();
        let errors = wire.download_errors.into_iter();
        Self {
            id: wire.id,
            job: wire.xaction_id,
            description: wire.description,
            started: wire.started,
            finished: wire.finished,
            done: wire.done,
            scheduled: wire.scheduled,
            skipped: wire.skipped,
            failed: wire.failed,
            total: u64::try_from(wire.total).ok(),
            all_dispatched: wire.all_dispatched,
            aborted: wire.aborted,
            running: tasks(wire.current_tasks),
            ended: tasks(wire.finished_tasks),
            errors: errors.map(|error| DownloadError { name: error.name, message: error.error }).collect(),
        }
    }
}

pub(crate) fn parse_status(body: &[u8]) -> Result<DownloadStatus> {
    Ok(from_json::<WireStatus>(body, "the status of a download")?.into())
}

pub(crate) fn parse_list(body: &[u8]) -> Result<Vec<DownloadStatus>> {
    let all: Option<Vec<WireStatus>> = from_json(body, "a list of downloads")?;
    Ok(all.unwrap_or_default().into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bucket: &str, what: &What) -> bool {
        start(&bucket.parse().unwrap(), what, &DownloadParams::default()).is_err()
    }

    fn single(link: &str, name: Option<&str>) -> What {
        What::Single { link: link.into(), name: name.map(Into::into) }
    }

    #[test]
    fn what_the_server_misreads_or_dies_of_is_refused() {
        assert!(!refused("b", &single("http://host/dir/file.bin?x=/", None)));
        assert!(!refused("b", &single("https://host", Some("file"))));
        for (link, name) in [
            ("not a url", Some("x")),
            ("host/file", Some("x")),
            ("ftp://host/file", None),
            ("http://host", None),
            ("http://host/", None),
            ("http://host/a b", None),
            ("http:///file", None),
            ("http://host/f", Some("../x")),
            ("http://host/f", Some("")),
        ] {
            assert!(refused("b", &single(link, name)), "{link} {name:?}");
        }
        assert!(refused("b", &single("http://host/f", Some(&"x".repeat(256)))));
        let range = |template: &str| What::Range { template: template.into(), dir: String::new() };
        assert!(!refused("b", &range("http://host/f-{0..9}.bin")));
        for template in ["http://host/plain", "http://host/{0..", "http://host/{0..99999999}", "host/{0..2}"]
        {
            assert!(refused("b", &range(template)), "{template}");
        }
        assert!(refused("b", &What::Named(BTreeMap::new())));
        assert!(refused("b", &What::Links(Vec::new())));
        assert!(refused("b", &What::Links(vec!["http://host/".into()])));
        let backend = What::Backend { prefix: String::new(), suffix: String::new(), sync: false };
        assert!(refused("b", &backend));
        assert!(!refused("gcp://b", &backend));
        for bad in ["", "x y", "a/b"] {
            assert!(status(bad, false).is_err() && abort(bad).is_err() && remove(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn options_are_checked() {
        let what = single("http://host/f", None);
        let bucket = "b".parse().unwrap();
        let mut params = DownloadParams::default();
        params.headers.insert("bad name".into(), vec!["x".into()]);
        assert!(start(&bucket, &what, &params).is_err());
        params.headers = BTreeMap::from([("authorization".into(), vec!["Bearer x".into()])]);
        assert!(start(&bucket, &what, &params).is_ok());
        params.etl = Some(EtlCall::new("etl-one").then("etl-two"));
        assert!(start(&bucket, &what, &params).is_err());
    }

    #[test]
    fn answers() {
        let body = br#"{"id":"dnl-1","finished_time":"1970-01-01T00:00:00Z","total":-1,"error_cnt":1,
            "finished_tasks":[{"name":"a","downloaded":"5"}],"download_errors":[{"name":"a","error":"no"}]}"#;
        let status = parse_status(body).unwrap();
        assert_eq!((status.finished, status.total, status.failed), (None, None, 1));
        assert_eq!((status.ended[0].downloaded, status.errors[0].message.as_str()), (5, "no"));
        assert!(parse_list(b"null").unwrap().is_empty());
    }
}
