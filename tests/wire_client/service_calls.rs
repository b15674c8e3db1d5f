//! Calls on ETLs, distributed sorts, and downloads.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use longshore_aistore::{
    ArchiveFormat, BucketRef, Collection, Download, DownloadStatus, DsortAlgorithm, DsortInfo, DsortKey,
    DsortSize, DsortSpec, Dsorter, EtlCall, EtlCommunication, EtlSpec, StartDownload,
};
use serde_json::{Map, Value, json};

use crate::{
    calls::{Call, Pairs},
    job_calls::{Fields, bucket},
    object_calls::only_headers,
    recorded::{Request, Response},
    wanted,
};

/// A Go duration that the client writes the same way.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(Duration::from_secs(digits.parse::<u64>().ok()? * factor))
}

pub(crate) fn etl_call(request: &Request, path: &str, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    let rest = path.strip_prefix("/v1/etl")?.trim_start_matches('/').to_owned();
    let parts: Vec<String> = rest.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if path.ends_with('/') {
        return None;
    }
    let job = pairs.take("uuid");
    pairs.end()?;
    // An empty id is not sent.
    (job.as_deref() != Some("")).then_some(())?;
    let body = request.json();
    match (request.method.as_str(), parts.as_slice()) {
        ("PUT", []) => init(&body),
        (_, _) if !body.is_null() => None,
        ("GET", []) => Some(Call::new(wanted::nothing, |client| async move {
            client.cluster().etls().await.map(|_| Value::Null)
        })),
        (method, [name, more @ ..]) => {
            let (method, name, more) = (method.to_owned(), name.clone(), more.to_vec());
            let known = matches!(
                (method.as_str(), more.first().map(String::as_str), more.len()),
                ("GET" | "DELETE", None, 0)
                    | ("POST", Some("start" | "stop"), 1)
                    | ("GET", Some("logs"), 1 | 2)
                    | ("GET", Some("health" | "metrics"), 1)
            );
            known.then_some(())?;
            Some(Call::new(wanted::nothing, |client| async move {
                let etl = client.etl(name)?;
                match (method.as_str(), more.first().map_or("", String::as_str)) {
                    ("DELETE", _) => etl.delete().await?,
                    ("POST", "start") => drop(etl.start().await?),
                    ("POST", _) => etl.stop().await?,
                    (_, "logs") if more.len() == 2 => drop(etl.logs_of(&more[1]).await?),
                    (_, "logs") => drop(etl.logs().await?),
                    (_, "health") => drop(etl.health().await?),
                    (_, "metrics") => drop(etl.metrics().await?),
                    _ => match job {
                        Some(job) => drop(etl.details_of(&client.job(job)).await?),
                        None => drop(etl.details().await?),
                    },
                }
                Ok(Value::Null)
            }))
        }
        _ => None,
    }
}

fn init(body: &Value) -> Option<Call> {
    let mut fields = Fields::of(body)?;
    let (name, communication) = (fields.text("name")?, fields.text("communication")?);
    let (patience, object) = (fields.text("init_timeout")?, fields.text("obj_timeout")?);
    let direct = fields.flag("support_direct_put")?;
    let runtime = fields.0.remove("runtime");
    let pod = fields.text("spec")?;
    fields.end()?;
    let mut spec = match (&runtime, pod.as_str()) {
        (None, "") => EtlSpec::image(""),
        (None, pod) => EtlSpec::pod(String::from_utf8(STANDARD.decode(pod).ok()?).ok()?),
        (Some(runtime), "") => {
            let mut runtime = Fields::of(runtime)?;
            let image = runtime.text("image")?;
            runtime.end()?;
            EtlSpec::image(image)
        }
        _ => return None,
    };
    spec = spec.direct_put(direct).init_timeout(duration(&patience)?).object_timeout(duration(&object)?);
    spec = spec.communication(match communication.as_str() {
        "hpush://" => EtlCommunication::Push,
        "hpull://" => EtlCommunication::Pull,
        "ws://" => EtlCommunication::WebSocket,
        _ => return None,
    });
    Some(Call::new(wanted::text, |client| async move {
        Ok(json!(client.etl(name)?.init(spec).probe(false).await?.id()))
    }))
}

fn time(value: Option<std::time::SystemTime>) -> Value {
    value.map(wanted::nanoseconds).into()
}

fn want_time(value: &Value) -> Value {
    let text = value.as_str().unwrap_or("0001-");
    if text.starts_with("1970-01-01T00:00:00Z") { Value::Null } else { wanted::timestamp(text).into() }
}

fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        value => value.as_u64().unwrap_or_default(),
    }
}

fn want_bucket(value: &Value) -> Value {
    let name = |part: &str| value["namespace"][part].as_str().unwrap_or_default().to_owned();
    let text = |part: &str| value[part].as_str().unwrap_or_default().to_owned();
    json!(format!("{}/@{}#{}/{}/", text("provider"), name("uuid"), name("name"), text("name")))
}

pub(crate) fn dsort_call(request: &Request, path: &str, mut pairs: Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    let id = pairs.take("uuid");
    match (request.method.as_str(), path, id) {
        ("POST", "/v1/sort", None) => {
            pairs.end()?;
            dsort_start(&request.json())
        }
        ("GET", "/v1/sort", Some(id)) => {
            pairs.end()?;
            Some(Call::new(want_dsort, |client| async move {
                let all = client.dsort(id).info().await?;
                Ok(all.iter().map(|(node, info)| (node.clone(), dsort(info))).collect::<Map<_, _>>().into())
            }))
        }
        ("GET", "/v1/sort", None) => {
            let regex = pairs.take("regex").unwrap_or_default();
            let active = pairs.flag("only_active")?;
            pairs.end()?;
            Some(Call::new(want_dsorts, move |client| async move {
                let all = client.dsorts().matching(regex).active(active).await?;
                Ok(all.iter().map(dsort).collect())
            }))
        }
        ("DELETE", "/v1/sort/abort", Some(id)) => {
            pairs.end()?;
            Some(Call::new(wanted::nothing, |client| async move {
                client.dsort(id).abort().await.map(|()| Value::Null)
            }))
        }
        ("DELETE", "/v1/sort", Some(id)) => {
            pairs.end()?;
            Some(Call::new(wanted::nothing, |client| async move {
                client.dsort(id).remove().await.map(|()| Value::Null)
            }))
        }
        _ => None,
    }
}

fn dsort(info: &DsortInfo) -> Value {
    let bucket = |bucket: &Option<BucketRef>| bucket.as_ref().map(BucketRef::uname);
    let phase = |phase: &longshore_aistore::DsortPhase| {
        let elapsed = u64::try_from(phase.elapsed.as_nanos()).unwrap();
        json!([elapsed, phase.running, phase.finished, phase.total, phase.done, phase.bytes, phase.records])
    };
    json!({
        "id": info.id, "buckets": [bucket(&info.source), bucket(&info.destination)],
        "text": info.description, "times": [time(info.started), time(info.finished)],
        "objects": info.objects, "bytes": info.bytes,
        "phases": [phase(&info.extraction), phase(&info.sorting), phase(&info.creation)],
        "said": [info.warnings, info.errors], "over": [info.aborted, info.archived],
    })
}

fn want_info(info: &Value) -> Value {
    let phase = |phase: &Value| {
        let first = |names: [&str; 2]| names.iter().map(|name| number(&phase[name])).max();
        json!([
            phase["elapsed"],
            phase["running"],
            phase["finished"],
            first(["total_count", "to_create"]),
            first(["extracted_count", "created_count"]),
            number(&phase["extracted_size"]),
            number(&phase["extracted_record_count"])
        ])
    };
    let metrics = &info["Metrics"];
    let list = |name: &str| metrics[name].as_array().cloned().unwrap_or_default();
    json!({
        "id": info["id"], "buckets": [want_bucket(&info["src-bck"]), want_bucket(&info["dst-bck"])],
        "text": metrics["description"].as_str().unwrap_or_default(),
        "times": [want_time(&info["started_time"]), want_time(&info["finish_time"])],
        "objects": number(&info["loc-objs"]), "bytes": number(&info["loc-bytes"]),
        "phases": [
            phase(&metrics["local_extraction"]), phase(&metrics["meta_sorting"]),
            phase(&metrics["shard_creation"])
        ],
        "said": [list("warnings"), list("errors")], "over": [info["aborted"], info["archived"]],
    })
}

fn want_dsort(_: &Request, response: &Response) -> Value {
    let all = response.json();
    let all = all.as_object().unwrap().iter().map(|(node, info)| (node.clone(), want_info(info)));
    all.collect::<Map<_, _>>().into()
}

fn want_dsorts(_: &Request, response: &Response) -> Value {
    response.json().as_array().map_or(json!([]), |all| all.iter().map(want_info).collect())
}

fn format(text: &str) -> Option<ArchiveFormat> {
    ArchiveFormat::ALL.into_iter().find(|format| format.as_str() == text)
}

fn dsort_start(body: &Value) -> Option<Call> {
    let mut fields = Fields::of(body)?;
    let from = bucket(&fields.0.remove("input_bck")?)?;
    // The client always names it.
    let to = bucket(&fields.0.remove("output_bck")?)?;
    let mut input = Fields::of(&fields.0.remove("input_format")?)?;
    let (template, names) = (input.text("template")?, input.0.remove("objnames"));
    input.end()?;
    let input = match names {
        Some(Value::Array(names)) => {
            Collection::names_of(names.iter().map(|name| name.as_str().unwrap().to_owned()))
        }
        _ => template.parse::<Collection>(),
    };
    let output = fields.text("output_format")?;
    let (input_ext, output_ext) = (fields.text("input_extension")?, fields.text("output_extension")?);
    let (input_format, output_format) = (format(&input_ext)?, format(&output_ext)?);
    let size = fields.text("output_shard_size")?;
    let algorithm = algorithm(&fields.0.remove("algorithm").unwrap_or(json!({})))?;
    let description = fields.text("description")?;
    let dsorter = match fields.text("dsorter_type")?.as_str() {
        "dsort_general" => Dsorter::General,
        "dsort_mem" => Dsorter::Memory,
        _ => return None,
    };
    let (map, separator) = (fields.text("ekm_file")?, fields.text("ekm_file_sep")?);
    (map.is_empty() || output.is_empty()).then_some(())?;
    fields.end()?;
    Some(Call::new(wanted::text, move |client| async move {
        let mut spec = if map.is_empty() {
            DsortSpec::new(from, input?, output.parse()?)
        } else {
            DsortSpec::by_map_at(from, input?, map, separator)
        };
        if !size.is_empty() {
            spec = spec.shard_size(size.parse::<DsortSize>()?);
        }
        spec = spec.output_bucket(to).input_format(input_format).output_format(output_format);
        spec = spec.algorithm(algorithm).description(description).dsorter(dsorter);
        Ok(json!(client.start_dsort(&spec).await?.id()))
    }))
}

fn algorithm(value: &Value) -> Option<DsortAlgorithm> {
    let mut fields = Fields::of(value).unwrap_or_else(|| Fields(Map::new()));
    let (kind, decreasing) = (fields.text("kind")?, fields.flag("decreasing")?);
    let (seed, extension, key) =
        (fields.text("seed")?, fields.text("extension")?, fields.text("content_key_type")?);
    fields.end()?;
    match (kind.as_str(), seed.as_str(), extension.as_str()) {
        ("alphanumeric", "", "") => Some(DsortAlgorithm::Alphanumeric { decreasing }),
        ("shuffle", "", "") => Some(DsortAlgorithm::Shuffle { seed: None }),
        ("shuffle", seed, "") => Some(DsortAlgorithm::Shuffle { seed: Some(seed.parse().ok()?) }),
        ("md5", "", "") => Some(DsortAlgorithm::Md5),
        ("none", "", "") => Some(DsortAlgorithm::None),
        ("content", "", extension) => Some(DsortAlgorithm::Content {
            extension: extension.to_owned(),
            key: match key.as_str() {
                "int" => DsortKey::Int,
                "float" => DsortKey::Float,
                "string" => DsortKey::Text,
                _ => return None,
            },
            decreasing,
        }),
        _ => None,
    }
}

pub(crate) fn download_call(request: &Request, path: &str, pairs: &Pairs) -> Option<Call> {
    only_headers(request, &[])?;
    pairs.end()?;
    let body = request.json();
    if request.method == "POST" {
        (path == "/v1/download").then_some(())?;
        return download_start(&body);
    }
    let mut fields = Fields::of(&body).or_else(|| body.is_object().then(|| Fields(Map::new())))?;
    let (id, regex) = (fields.text("id")?, fields.text("regex")?);
    let active = fields.flag("only_active_tasks")?;
    fields.end()?;
    match (request.method.as_str(), path) {
        ("GET", "/v1/download") if id.is_empty() => {
            Some(Call::new(want_downloads, move |client| async move {
                let all = client.downloads().matching(regex).active(active).await?;
                Ok(all.iter().map(download).collect())
            }))
        }
        ("GET", "/v1/download") if regex.is_empty() => {
            Some(Call::new(want_download, move |client| async move {
                let of: Download = client.download(id);
                Ok(download(&if active { of.progress().await? } else { of.status().await? }))
            }))
        }
        ("DELETE", "/v1/download/abort") => Some(Call::new(wanted::nothing, |client| async move {
            client.download(id).abort().await.map(|()| Value::Null)
        })),
        ("DELETE", "/v1/download/remove") => Some(Call::new(wanted::nothing, |client| async move {
            client.download(id).remove().await.map(|()| Value::Null)
        })),
        _ => None,
    }
}

fn download_start(body: &Value) -> Option<Call> {
    let mut fields = Fields::of(body)?;
    let kind = fields.text("type")?;
    let bucket = bucket(&fields.0.remove("bucket")?)?;
    let description = fields.text("description")?;
    let (timeout, interval) = (fields.text("timeout")?, fields.text("progress_interval")?);
    let limits = fields.0.remove("limits").unwrap_or(json!({}));
    let (connections, bytes) =
        (limits["connections"].as_i64().unwrap_or(0), limits["bytes_per_hour"].as_i64().unwrap_or(0));
    let (connections, bytes) = (u32::try_from(connections).ok()?, u64::try_from(bytes).ok()?);
    let headers = fields.0.remove("headers").unwrap_or(json!({}));
    let headers: BTreeMap<String, Vec<String>> = serde_json::from_value(headers).ok()?;
    let (etl, args) = (fields.text("etl_name")?, fields.text("etl_args")?);
    let (link, name) = (fields.text("link")?, fields.text("object_name")?);
    let (template, dir) = (fields.text("template")?, fields.text("subdir")?);
    let (prefix, suffix) = (fields.text("prefix")?, fields.text("suffix")?);
    let sync = fields.flag("synchronize")?;
    let objects = fields.0.remove("objects").unwrap_or(Value::Null);
    fields.end()?;
    let timeout = if timeout.is_empty() { None } else { Some(duration(&timeout)?) };
    let interval = if interval.is_empty() { None } else { Some(duration(&interval)?) };
    let texts = |value: &Value| value.as_str().map(str::to_owned);
    let named: Option<Vec<(String, String)>> = match &objects {
        Value::Object(map) => {
            Some(map.iter().map(|(n, l)| Some((n.clone(), texts(l)?))).collect::<Option<_>>()?)
        }
        _ => None,
    };
    let links: Vec<String> = match &objects {
        Value::Array(links) => links.iter().map(texts).collect::<Option<_>>()?,
        Value::Object(_) | Value::Null => Vec::new(),
        _ => return None,
    };
    ["single", "range", "multi", "backend"].contains(&kind.as_str()).then_some(())?;
    Some(Call::new(want_started, move |client| async move {
        let bucket = client.bucket_ref(bucket);
        let mut call: StartDownload = match (kind.as_str(), named) {
            ("single", _) if name.is_empty() => bucket.download(link),
            ("single", _) => bucket.download_as(name, link),
            ("range", _) => bucket.download_range(template, dir),
            ("backend", _) => bucket.download_backend(prefix, suffix, sync),
            (_, Some(named)) => bucket.download_named(named),
            (_, None) => bucket.download_links(links),
        };
        call = call.description(description).connections(connections).bytes_per_hour(bytes);
        if let Some(timeout) = timeout {
            call = call.timeout(timeout);
        }
        if let Some(interval) = interval {
            call = call.progress_interval(interval);
        }
        for (name, values) in headers {
            for value in values {
                call = call.header(&name, value);
            }
        }
        if !etl.is_empty() {
            let etl = EtlCall::new(etl);
            call = call.etl(if args.is_empty() { etl } else { etl.with_args(args) });
        }
        Ok(json!(call.await?.id()))
    }))
}

fn want_started(_: &Request, response: &Response) -> Value {
    response.json()["id"].clone()
}

fn download(status: &DownloadStatus) -> Value {
    let tasks = |tasks: &[longshore_aistore::DownloadTask]| -> Value {
        tasks
            .iter()
            .map(|t| {
                json!([t.name, t.downloaded, t.total.unwrap_or_default(), time(t.started), time(t.ended)])
            })
            .collect()
    };
    let errors: Value = status.errors.iter().map(|error| json!([error.name, error.message])).collect();
    json!({
        "id": [status.id, status.job], "text": status.description,
        "times": [time(status.started), time(status.finished)],
        "counts": [status.done, status.scheduled, status.skipped, status.failed], "total": status.total,
        "flags": [status.all_dispatched, status.aborted], "running": tasks(&status.running),
        "ended": tasks(&status.ended), "errors": errors,
    })
}

fn want_status(status: &Value) -> Value {
    let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
    let tasks = |name: &str| -> Value {
        let one = |t: &Value| {
            let times = [want_time(&t["start_time"]), want_time(&t["end_time"])];
            json!([t["name"], number(&t["downloaded"]), number(&t["total"]), times[0], times[1]])
        };
        list(name).iter().map(one).collect()
    };
    let errors: Value = list("download_errors").iter().map(|e| json!([e["name"], e["error"]])).collect();
    json!({
        "id": [status["id"], status["xaction_id"]], "text": status["description"],
        "times": [want_time(&status["started_time"]), want_time(&status["finished_time"])],
        "counts": [
            status["finished_cnt"], status["scheduled_cnt"], status["skipped_cnt"], status["error_cnt"]
        ],
        "total": status["total"].as_u64(), "flags": [status["all_dispatched"], status["aborted"]],
        "running": tasks("current_tasks"), "ended": tasks("finished_tasks"), "errors": errors,
    })
}

fn want_download(_: &Request, response: &Response) -> Value {
    want_status(&response.json())
}

fn want_downloads(_: &Request, response: &Response) -> Value {
    response.json().as_array().map_or(json!([]), |all| all.iter().map(want_status).collect())
}
