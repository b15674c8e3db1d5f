//! What answers must be read as: read here by other means than the client's.

use std::time::{SystemTime, UNIX_EPOCH};

use longshore_aistore::{BucketProps, ListPage, ObjectProps};
use longshore_core_types::Checksum;
use serde_json::{Map, Value, json};

use crate::recorded::{Request, Response};

/// The value that the client must make of an answer to a request. Both in one notation.
pub(crate) type Want = fn(&Request, &Response) -> Value;

/// Length and a checksum of bytes, to keep failures readable.
pub(crate) fn digest(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() < 200 => json!(text),
        _ => {
            let sum =
                bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            json!([bytes.len(), sum])
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap().as_nanos().to_string()
}

/// What the client says about an object; absent things are left out.
pub(crate) fn props(props: &ObjectProps) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            map.insert(name.to_owned(), value);
        }
    };
    put("size", Some(json!(props.size)));
    put("checksum", props.checksum.as_ref().map(|sum: &Checksum| json!(sum.to_hex())));
    put("checksum_type", props.checksum_type.as_ref().map(|kind| json!(kind)));
    put("atime", props.access_time.map(|time| json!(nanoseconds(time))));
    put("version", props.version.as_ref().map(|version| json!(version)));
    put("custom", (!props.custom.is_empty()).then(|| json!(props.custom)));
    put("present", props.present.map(|present| json!(present)));
    put("location", props.location.as_ref().map(|location| json!(location)));
    put("copies", props.mirror_copies.map(|copies| json!(copies.to_string())));
    put("paths", (!props.mirror_paths.is_empty()).then(|| json!(props.mirror_paths.join(","))));
    put("ec", props.ec.as_ref().map(|ec| json!(ec.generation.to_string())));
    put(
        "chunks",
        props
            .chunks
            .as_ref()
            .map(|chunks| json!([chunks.count.to_string(), chunks.max_chunk_size.to_string()])),
    );
    put("modified", props.last_modified.map(|time| json!(seconds(time))));
    put("etag", props.etag.as_ref().map(|etag| json!(etag)));
    map.into()
}

/// What the headers of an answer say about an object, but for its size.
fn headers(response: &Response) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |name: &str, header: &str| {
        if let Some(value) = response.header(header) {
            map.insert(name.to_owned(), json!(value));
        }
    };
    put("checksum", "ais-checksum-value");
    put("checksum_type", "ais-checksum-type");
    put("atime", "ais-atime");
    put("version", "ais-version");
    put("location", "ais-location");
    put("copies", "ais-mirror-copies");
    put("ec", "ais-ec-generation");
    put("etag", "etag");
    if let Some(paths) = response.header("ais-mirror-paths") {
        let paths = paths.trim_matches(['[', ']']).replace(", ", ",").replace(' ', ",");
        if !paths.is_empty() {
            map.insert("paths".into(), json!(paths));
        }
    }
    if let Some(present) = response.header("ais-present") {
        map.insert("present".into(), json!(present == "true"));
    }
    if let Some(count) = response.header("ais-chunks-count") {
        let size = response.header("ais-chunks-max-chunk-size").unwrap_or("0");
        map.insert("chunks".into(), json!([count, size]));
    }
    if let Some(date) = response.header("last-modified") {
        map.insert("modified".into(), json!(http_date(date)));
    }
    if let Some(joined) = response.header("ais-custom-md") {
        let pairs = crate::network::custom_lines(joined);
        let pairs = pairs.iter().filter_map(|line| line.split_once('='));
        let custom: Map<String, Value> = pairs
            .filter(|(key, _)| *key != "orig_fntl")
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect();
        if !custom.is_empty() {
            map.insert("custom".into(), custom.into());
        }
    }
    map
}

/// Seconds since 1970 of an HTTP date, counted by hand: `Sat, 21 Nov 2026 15:32:07 GMT`.
fn http_date(text: &str) -> u64 {
    let words: Vec<&str> = text.split([' ', ':']).collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == words[2]).unwrap();
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let year = number(3);
    let mut days: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += lengths[..month].iter().sum::<u64>() + number(1) - 1;
    ((days * 24 + number(4)) * 60 + number(5)) * 60 + number(6)
}

fn length(response: &Response) -> u64 {
    response.header("content-length").map_or(0, |length| length.parse().unwrap())
}

pub(crate) fn nothing(_: &Request, _: &Response) -> Value {
    Value::Null
}

/// The answer as it is.
pub(crate) fn json(_: &Request, response: &Response) -> Value {
    response.json()
}

pub(crate) fn text(_: &Request, response: &Response) -> Value {
    json!(String::from_utf8(response.body().bytes()).unwrap())
}

/// The id of a job, or nothing.
pub(crate) fn job(_: &Request, response: &Response) -> Value {
    match response.body().bytes() {
        bytes if bytes.is_empty() => Value::Null,
        bytes => json!(String::from_utf8(bytes).unwrap()),
    }
}

pub(crate) fn object_head(_: &Request, response: &Response) -> Value {
    let mut map = headers(response);
    map.insert("size".into(), json!(length(response)));
    map.into()
}

pub(crate) fn object_put(request: &Request, response: &Response) -> Value {
    let mut map = headers(response);
    map.insert("size".into(), json!(request.body().bytes().len()));
    map.into()
}

pub(crate) fn object_get(_: &Request, response: &Response) -> Value {
    let mut map = headers(response);
    let body = response.body().bytes();
    let range = if let Some(text) = response.header("content-range") {
        let (range, total) = text.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
        map.insert("size".into(), json!(total.parse::<u64>().unwrap()));
        let start = range.split('-').next().unwrap().parse::<u64>().unwrap();
        Some([start, start + body.len() as u64])
    } else {
        let length = response.header("content-length").map(|_| length(response));
        map.insert("size".into(), json!(length.unwrap_or_default()));
        length.map(|length| [0, length])
    };
    json!({"head": map, "range": range, "body": digest(&body)})
}

pub(crate) fn part(request: &Request, _: &Response) -> Value {
    let (_, pairs) = request.target();
    let number = pairs.iter().find(|(name, _)| name == "partNumber").unwrap();
    json!({"number": number.1.parse::<u32>().unwrap()})
}

/// That an upload is not there any more is no error of aborting it.
pub(crate) fn abort(_: &Request, _: &Response) -> Value {
    Value::Null
}

pub(crate) fn lock(_: &Request, response: &Response) -> Value {
    json!(match response.status {
        200 => "Free",
        202 => "Read",
        _ => "Write",
    })
}

pub(crate) fn exists(_: &Request, response: &Response) -> Value {
    json!(response.status == 200)
}

/// Text between tags, for the few flat documents of the S3 endpoint.
fn tagged(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let pieces = xml.split(&open).skip(1);
    pieces.map(|piece| piece.split(&close).next().unwrap().replace("&#34;", "\"")).collect()
}

pub(crate) fn parts(_: &Request, response: &Response) -> Value {
    let xml = String::from_utf8(response.body().bytes()).unwrap();
    let parts = tagged(&xml, "Part").into_iter().map(|part| {
        let number: u32 = tagged(&part, "PartNumber")[0].parse().unwrap();
        let etag = tagged(&part, "ETag").into_iter().next().filter(|etag| !etag.trim_matches('"').is_empty());
        json!([number, etag])
    });
    parts.collect()
}

pub(crate) fn uploads(_: &Request, response: &Response) -> Value {
    let xml = String::from_utf8(response.body().bytes()).unwrap();
    let uploads = tagged(&xml, "Upload").into_iter();
    uploads.map(|upload| json!([tagged(&upload, "Key")[0], tagged(&upload, "UploadId")[0], true])).collect()
}

pub(crate) fn buckets(_: &Request, response: &Response) -> Value {
    let Value::Array(buckets) = response.json() else { return json!([]) };
    let buckets = buckets.iter().map(|bucket| {
        let (name, provider) = (bucket["name"].as_str().unwrap(), bucket["provider"].as_str().unwrap());
        let of = |field: &str| bucket["namespace"][field].as_str().unwrap_or_default().to_owned();
        json!(format!("{provider}/@{}#{}/{name}/", of("uuid"), of("name")))
    });
    buckets.collect()
}

/// What the client says about a bucket.
pub(crate) fn bucket(props: &BucketProps) -> Value {
    json!({
        "checksum": props.checksum_type, "versioning": props.versioning, "copies": props.mirror_copies,
        "ec": props.ec_enabled, "access": props.access.to_string(), "id": props.id, "all": props.raw(),
    })
}

pub(crate) fn bucket_props(_: &Request, response: &Response) -> Value {
    let all: Value = serde_json::from_str(response.header("ais-bucket-props").unwrap()).unwrap();
    let copies = (all["mirror"]["enabled"] == true).then(|| all["mirror"]["copies"].clone());
    json!({
        "checksum": all["checksum"]["type"], "versioning": all["versioning"]["enabled"], "copies": copies,
        "ec": all["ec"]["enabled"], "access": all["access"], "id": all["bid"], "all": all.clone(),
    })
}

/// What the client says about a page of a listing.
pub(crate) fn listed(page: &ListPage) -> Value {
    let entries = page.entries.iter().map(|entry| {
        json!([
            entry.name,
            entry.size,
            entry.checksum_text,
            entry.access_time,
            entry.version,
            entry.location,
            entry.custom,
            entry.copies,
            entry.flags
        ])
    });
    json!({"uuid": page.uuid, "token": page.token, "flags": page.flags, "entries": entries.collect::<Value>()})
}

pub(crate) fn page(_: &Request, response: &Response) -> Value {
    let bytes = response.body().bytes();
    let packed = response.header("content-type") == Some("application/msgpack");
    let page: Value =
        if packed { rmp_serde::from_slice(&bytes).unwrap() } else { serde_json::from_slice(&bytes).unwrap() };
    // Each field has a short name in MessagePack and a long one in JSON.
    let of = |value: &Value, short: &str, long: &str| value[if packed { short } else { long }].clone();
    let number = |value: Value| match value {
        Value::String(text) => json!(text.parse::<u64>().unwrap()),
        value => json!(value.as_u64().unwrap_or_default()),
    };
    let none: Vec<Value> = Vec::new();
    let entries = of(&page, "Entries", "entries");
    let entries = entries.as_array().unwrap_or(&none).iter().map(|e| {
        json!([
            of(e, "n", "name"),
            number(of(e, "s", "size")),
            of(e, "cs", "checksum"),
            of(e, "a", "atime"),
            of(e, "v", "version"),
            of(e, "t", "location"),
            of(e, "m", "custom-md"),
            number(of(e, "c", "copies")),
            number(of(e, "f", "flags"))
        ])
    });
    json!({
        "uuid": of(&page, "UUID", "uuid"), "token": of(&page, "ContinuationToken", "continuation_token"),
        "flags": of(&page, "Flags", "flags"), "entries": entries.collect::<Value>(),
    })
}

pub(crate) fn map(_: &Request, response: &Response) -> Value {
    let map = response.json();
    let nodes = |field: &str| -> Value {
        let nodes = map[field].as_object().unwrap().iter();
        let nodes = nodes.map(|(id, node)| {
            (id.clone(), json!([node["public_net"]["direct_url"], node["flags"], node["id_digest"]]))
        });
        nodes.collect::<Map<_, _>>().into()
    };
    json!({
        "uuid": map["uuid"], "version": map["version"].as_str().unwrap().parse::<u64>().unwrap(),
        "primary": map["proxy_si"]["daemon_id"], "gateways": nodes("pmap"), "targets": nodes("tmap"),
    })
}

/// A value without the fields that say nothing: a missing field means the zero of its type.
pub(crate) fn without_zeros(value: &Value) -> Value {
    let is_zero = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    };
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| (key.clone(), without_zeros(value)));
            fields.filter(|(_, value)| !is_zero(value)).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.iter().map(without_zeros).collect(),
        other => other.clone(),
    }
}

fn text_or_null(value: &Value) -> Value {
    if value.as_str().is_none_or(str::is_empty) { Value::Null } else { value.clone() }
}

fn one_status(status: &Value) -> Value {
    let ended = status["end_time"].as_u64().filter(|nanos| *nanos > 0).map(|nanos| nanos.to_string());
    json!([status["uuid"], status["kind"], text_or_null(&status["err"]), ended, status["aborted"]])
}

pub(crate) fn job_status(_: &Request, response: &Response) -> Value {
    one_status(&response.json())
}

pub(crate) fn job_statuses(_: &Request, response: &Response) -> Value {
    response.json().as_array().map_or(json!([]), |all| all.iter().map(one_status).collect())
}

pub(crate) fn running(_: &Request, response: &Response) -> Value {
    response.json()
}

/// Nanoseconds since 1970 of `2026-08-21T10:00:00.123456789Z`; `None` for the year 1.
pub(crate) fn timestamp(text: &str) -> Option<String> {
    if text.starts_with("0001-") {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970 by the civil calendar, counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    let seconds = ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19);
    let fraction = text[19..].trim_start_matches('.').trim_end_matches('Z');
    Some(format!("{seconds}{fraction:0<9}"))
}

pub(crate) fn job_snapshots(request: &Request, response: &Response) -> Value {
    let asked = request.json();
    let kind = ["Kind", "kind"].iter().find_map(|key| asked[*key].as_str()).unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let bucket = |bucket: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (!text(&bucket["name"]).is_empty()).then(|| {
            let (uuid, name) = (text(&bucket["namespace"]["uuid"]), text(&bucket["namespace"]["name"]));
            format!("{}/@{uuid}#{name}/{}/", text(&bucket["provider"]), text(&bucket["name"]))
        })
    };
    let nodes = response.json();
    let mut nodes: Vec<(&String, &Value)> = nodes.as_object().unwrap().iter().collect();
    nodes.sort_by_key(|(node, _)| *node);
    let mut all = Vec::new();
    for (node, snapshots) in nodes {
        for snap in snapshots.as_array().unwrap() {
            if !kind.is_empty() && snap["kind"] != kind.as_str() {
                continue;
            }
            let stats = &snap["stats"];
            all.push(json!({
                "node": node, "id": snap["id"], "kind": snap["kind"],
                "ended": timestamp(snap["end-time"].as_str().unwrap()).is_some(),
                "started": timestamp(snap["start-time"].as_str().unwrap()),
                "buckets": [bucket(&snap["bck"]), bucket(&snap["src-bck"]), bucket(&snap["dst-bck"])],
                "message": text_or_null(&snap["ctlmsg"]), "abort": text_or_null(&snap["abort-err"]),
                "error": text_or_null(&snap["err"]), "packed": number(&snap["glob.id"]) & 0xf_ffff,
                "objects": number(&stats["loc-objs"]), "bytes": number(&stats["loc-bytes"]),
                "sent": [number(&stats["out-objs"]), number(&stats["out-bytes"])],
                "received": [number(&stats["in-objs"]), number(&stats["in-bytes"])],
                "aborted": snap["aborted"], "idle": snap["is_idle"],
            }));
        }
    }
    all.into()
}

/// The handle of an append, by whether there is one: the session keeps it.
pub(crate) fn appended(_: &Request, response: &Response) -> Value {
    json!(response.header("ais-append-handle").is_some())
}

fn one_summary(s: &Value) -> Value {
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (uuid, namespace) = (text(&s["namespace"]["uuid"]), text(&s["namespace"]["name"]));
    let uname = format!("{}/@{uuid}#{namespace}/{}/", text(&s["provider"]), text(&s["name"]));
    let (count, size, total) = (&s["ObjCount"], &s["ObjSize"], &s["TotalSize"]);
    let none = number(&count["obj_count_present"]) + number(&count["obj_count_remote"]) == 0;
    let of = |name: &str| if none { json!(0) } else { size[name].clone() };
    json!([
        uname,
        number(&count["obj_count_present"]),
        number(&count["obj_count_remote"]),
        of("obj_min_size"),
        of("obj_avg_size"),
        of("obj_max_size"),
        number(&total["size_on_disk"]),
        number(&total["size_all_present_objs"]),
        number(&total["size_all_remote_objs"]),
        number(&total["total_disks_size"]),
        s["used_pct"],
        s["is_present"]
    ])
}

pub(crate) fn summary(_: &Request, response: &Response) -> Value {
    one_summary(&response.json()[0])
}

pub(crate) fn info(request: &Request, response: &Response) -> Value {
    let summary: Value = serde_json::from_str(response.header("ais-bucket-summ").unwrap()).unwrap();
    json!([bucket_props(request, response), one_summary(&summary)])
}

/// An archive as it came.
pub(crate) fn archive(_: &Request, response: &Response) -> Value {
    digest(&response.body().bytes())
}

/// Files of a TAR whose headers are of the plain sort, and what is missing of what was asked for.
pub(crate) fn batch(request: &Request, response: &Response) -> Value {
    files(request, &response.body().bytes())
}

/// The archive of an answer that describes itself: what stands between the second blank line and the final mark.
fn archive_part(response: &Response) -> Vec<u8> {
    let bytes = response.body().bytes();
    let find = |from: usize, mark: &[u8]| {
        from + bytes[from..].windows(mark.len()).position(|window| window == mark).unwrap()
    };
    let boundary = response.header("content-type").unwrap().split_once("boundary=").unwrap().1;
    let description = find(0, b"\r\n\r\n") + 4;
    let archive = find(description, b"\r\n\r\n") + 4;
    bytes[archive..find(archive, format!("\r\n--{boundary}--").as_bytes())].to_vec()
}

pub(crate) fn described_batch(request: &Request, response: &Response) -> Value {
    files(request, &archive_part(response))
}

pub(crate) fn described_archive(_: &Request, response: &Response) -> Value {
    digest(&archive_part(response))
}

fn files(request: &Request, bytes: &[u8]) -> Value {
    let (mut at, mut files) = (0, Vec::new());
    while bytes.len() >= at + 512 && bytes[at] != 0 {
        let field = |from: usize, length: usize| {
            let text = String::from_utf8_lossy(&bytes[at + from..at + from + length]).into_owned();
            text.trim_end_matches('\0').trim().to_owned()
        };
        let size = usize::from_str_radix(&field(124, 12), 8).unwrap();
        let kind = bytes[at + 156];
        if kind == b'0' || kind == 0 {
            files.push((field(0, 100), bytes[at + 512..at + 512 + size].to_vec()));
        }
        at += 512 + size.next_multiple_of(512);
    }
    let asked = request.json();
    let asked = asked["in"].as_array().unwrap();
    let mut all = Vec::new();
    for (at, input) in asked.iter().enumerate() {
        let Some((name, content)) = files.get(at) else {
            all.push(json!(["stopped"]));
            break;
        };
        let length = input["length"].as_i64().filter(|length| *length > 0);
        all.push(if name.starts_with("__404__/") {
            json!(["missing"])
        } else if length.is_some_and(|length| usize::try_from(length).unwrap() != content.len()) {
            json!(["other length"])
        } else {
            digest(content)
        });
    }
    all.into()
}
