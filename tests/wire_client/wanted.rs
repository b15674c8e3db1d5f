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

fn nanoseconds(time: SystemTime) -> String {
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
        map.insert("paths".into(), json!(paths));
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
    let page: Value = match rmp_serde::from_slice(&bytes) {
        Ok(page) => page,
        Err(_) => serde_json::from_slice(&bytes).unwrap(),
    };
    let none: Vec<Value> = Vec::new();
    let entries = page["Entries"].as_array().unwrap_or(&none).iter().map(|entry| {
        let number = |name: &str| entry[name].as_u64().unwrap_or_default();
        json!([
            entry["n"],
            number("s"),
            entry["cs"],
            entry["a"],
            entry["v"],
            entry["t"],
            entry["m"],
            number("c"),
            number("f")
        ])
    });
    json!({
        "uuid": page["UUID"], "token": page["ContinuationToken"], "flags": page["Flags"],
        "entries": entries.collect::<Value>(),
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
