//! What may differ between a recording and a replay: ids, dates, ports, node ids, disk paths, capacities.
//!
//! This is the one list of volatile fields.

use std::collections::BTreeMap;

use serde_json::Value;

/// Headers whose presence is compared, but not their value.
const HEADERS: &[&str] = &[
    "ais-append-handle",
    "ais-atime",
    "ais-cluster-uptime",
    "ais-node-uptime",
    "ais-xaction-id",
    "last-modified",
];

/// Headers that are not compared at all: the date, and the framing of bodies that are compared themselves.
const IGNORED: &[&str] = &["date", "content-length", "transfer-encoding"];

/// JSON members whose value is not compared, in bodies and in headers that hold JSON: counters and capacities are
/// statistics of a machine. How soon after its work a job
/// calls itself idle is a matter of time.
const MEMBERS: &[&str] = &[
    "UUID",
    "tracker",
    "total_used",
    "total_avail",
    "proc",
    "pct_min",
    "pct_mem_used",
    "pct_max",
    "pct_fs_used",
    "pct_cpu_used",
    "pct_avg",
    "mountpaths",
    "mem_used",
    "mem_avail",
    "mem",
    "load_avg",
    "fs_used",
    "fs_capacity",
    "cpu_util",
    "available",
    "AllDiskStats",
    "atime",
    "a",
    "bid",
    "created",
    "creation_time",
    "daemon_port",
    "direct_url",
    "end-time",
    "end_time",
    "glob.id",
    "id_digest",
    "is_idle",
    "node_ip_addr",
    "port",
    "remote_addr",
    "start-time",
    "stats",
    "size_on_disk",
    "total_disks_size",
    "uuid",
];

/// Those of them that are documents.
const MACHINE: &[&str] = &["AllDiskStats", "load_avg", "mem", "mountpaths", "proc", "stats", "tracker"];

/// JSON members that may be missing.
const OPTIONAL: &[&str] = &["ctlmsg", "verifying_key"];

/// Members that hold the version of a cluster document.
const VERSIONED: &[&str] = &["config_version", "smap_version"];

pub(crate) fn is_ignored(header: &str, method: &str) -> bool {
    // The length in the answer to HEAD is all that tells the size.
    IGNORED.contains(&header) && !(header == "content-length" && method == "HEAD")
}

/// A header's value in the form in which it is compared.
pub(crate) fn header(name: &str, value: &str) -> String {
    if HEADERS.contains(&name) {
        return "*".into();
    }
    match name {
        "etag" => match value.rsplit_once('-') {
            Some((head, _)) if value.starts_with("\"v1-") => format!("{head}-*"),
            _ => value.to_owned(),
        },
        // Pairs come in any order; names too long for a disk leave an extra one.
        "ais-custom-md" => {
            let value = text(value);
            let mut pairs: Vec<_> = value.split(", ").filter(|p| !p.starts_with("orig_fntl=")).collect();
            pairs.sort_unstable();
            pairs.join(", ")
        }
        "hdr-error" | "ais-bucket-props" | "ais-bucket-summ" => {
            let value = text(value);
            serde_json::from_str(&value).map_or(value, |v| json(v).to_string())
        }
        _ => text(value),
    }
}

/// A document without what varies, its members sorted: their order says nothing, and whether `serde_json` keeps it
/// depends on what else is built.
pub(crate) fn json(value: Value) -> Value {
    match value {
        // Any change of the cluster is a new version.
        Value::Object(mut map)
            if map.get("pmap").is_some_and(Value::is_object)
                || map.get("providers").is_some_and(Value::is_object)
                || (map.len() <= 3 && map.contains_key("uuid") && map.contains_key("version"))
                || (map.len() == 1 && map.contains_key("version")) =>
        {
            map.remove("version");
            members(map)
        }
        Value::Object(map) => members(map),
        Value::Array(mut items) => {
            // So do running jobs.
            if items
                .iter()
                .all(|item| item.as_str().is_some_and(|name| name.ends_with(']') && name.contains('[')))
            {
                items.sort_by_key(ToString::to_string);
            }
            // Roles come in any order.
            if items.iter().all(|item| item["admin"].is_boolean()) {
                items.sort_by_key(|item| item["name"].to_string());
            }
            Value::Array(items.into_iter().map(json).collect())
        }
        // User metadata in a listing comes in any order.
        Value::String(string) if string.starts_with('[') && string.ends_with(']') && string.contains(':') => {
            let mut pairs: Vec<_> = string[1..string.len() - 1].split(' ').collect();
            pairs.sort_unstable();
            Value::String(text(&pairs.join(" ")))
        }
        Value::String(string) => Value::String(text(&string)),
        other => other,
    }
}

fn members(map: serde_json::Map<String, Value>) -> Value {
    let member = |(name, value): (String, Value)| {
        let varies = MEMBERS.contains(&name.as_str()) || VERSIONED.contains(&name.as_str());
        let blank = match &value {
            Value::String(text) => text.is_empty(),
            Value::Object(_) => !MACHINE.contains(&name.as_str()),
            Value::Array(_) if name == "available" => false,
            Value::Array(_) | Value::Null => true,
            _ => false,
        };
        let value = if varies && !blank { Value::from("*") } else { json(value) };
        (text(&name), value)
    };
    let members = map.into_iter().map(member);
    let sorted: BTreeMap<_, _> = members.filter(|(name, _)| !OPTIONAL.contains(&name.as_str())).collect();
    Value::Object(sorted.into_iter().collect())
}

/// Text without what varies.
pub(crate) fn text(input: &str) -> String {
    let input = nodes(input);
    let input = after(&input, "127.0.0.1:", |c| c.is_ascii_digit(), "PORT");
    let input = after(&input, "localhost:", |c| c.is_ascii_digit(), "PORT");
    let input = after(&input, "token expires in ", |c| c.is_ascii_alphanumeric(), "TIME");
    let input = after(&input, "utm=", |c| c.is_ascii_alphanumeric(), "TIME");
    let input = after(&input, "boundary=", |c| c.is_ascii_hexdigit(), "TEXT");
    let input = after(&input, "/noxid/", |c| c.is_ascii_alphanumeric() || "-_/".contains(c), "ID");
    let date = |c: char| c.is_ascii_digit() || "-:.TZ".contains(c);
    let input = ["<LastModified>", "<CreationDate>", "<Initiated>"]
        .into_iter()
        .fold(input, |input, element| after(&input, element, date, "TIME"));
    let input = after(&input, "LastModified=", date, "TIME");
    let input = after(&input, "LastModified:", date, "TIME");
    let input = http_dates(&input);
    let input = unstarted_jobs(&input);
    let input = sorted_buckets(&input);
    let input = after(&input, "(0x", |c| c.is_ascii_hexdigit(), "ID");
    let input = after(&input, "Smap v", |c| c.is_ascii_digit(), "N");
    let input = after(&input, "/ais/mp", |c| c.is_ascii_alphanumeric(), "N");
    after(&input, "/ais/mpN/", |c| c.is_ascii_alphanumeric(), "DISK")
}

/// Replaces dates of the form that headers have, which hold the comma that otherwise separates pairs.
fn http_dates(input: &str) -> String {
    const MARKER: &str = "Last-Modified=";
    const LENGTH: usize = "Sat, 21 Nov 2026 15:50:33 GMT".len();
    let mut parts = input.split(MARKER);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(MARKER);
        match part.get(LENGTH..) {
            Some(rest) => out.extend(["TIME", rest]),
            None => out.push_str(part),
        }
    }
    out
}

/// Replaces the run of characters that follows each `marker`.
fn after(input: &str, marker: &str, belongs: impl Fn(char) -> bool, by: &str) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find(marker) {
        let start = at + marker.len();
        out.push_str(&rest[..start]);
        let run = rest[start..].find(|c| !belongs(c)).unwrap_or(rest.len() - start);
        if run > 0 {
            out.push_str(by);
        }
        rest = &rest[start + run..];
    }
    out.push_str(rest);
    out
}

/// Puts the buckets of an S3 listing, which come in any order, in one.
fn sorted_buckets(input: &str) -> String {
    const END: &str = "</Bucket>";
    let list =
        input.split_once("<Buckets>").and_then(|(head, rest)| Some((head, rest.split_once("</Buckets>")?)));
    let Some((head, (list, tail))) = list else { return input.to_owned() };
    let mut buckets: Vec<_> = list.split_inclusive(END).collect();
    buckets.sort_unstable();
    format!("{head}<Buckets>{}</Buckets>{tail}", buckets.concat())
}

/// Replaces ids of jobs that were refused: `xa-kind[id]`.
fn unstarted_jobs(input: &str) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find("xa-") {
        let Some(open) = rest[at..].find('[').map(|n| at + n + 1) else { break };
        let Some(close) = rest[open..].find(']').map(|n| open + n) else { break };
        out.push_str(&rest[..open]);
        out.push_str("ID");
        rest = &rest[close..];
    }
    out.push_str(rest);
    out
}

/// Replaces node ids.
fn nodes(input: &str) -> String {
    let mut out = String::with_capacity(input.len());
    let mut done = 0;
    for start in id_starts(input) {
        out.push_str(&input[done..start]);
        out.push_str("NODE");
        done = start + ID_LENGTH;
    }
    out.push_str(&input[done..]);
    out
}

/// The node ids in a text.
pub(crate) fn node_ids(input: &str) -> Vec<String> {
    id_starts(input).into_iter().map(|s| input[s..s + ID_LENGTH].to_owned()).collect()
}

/// Three letters, `p` or `t`, five digits.
const ID_LENGTH: usize = 9;

fn id_starts(input: &str) -> Vec<usize> {
    let bytes = input.as_bytes();
    let word = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let is_id = |at: usize| {
        let id = &bytes[at..at + ID_LENGTH];
        id[..3].iter().all(u8::is_ascii_alphabetic)
            && matches!(id[3], b'p' | b't')
            && id[4..].iter().all(u8::is_ascii_digit)
            && !(at > 0 && word(bytes.get(at - 1)))
            && !word(bytes.get(at + ID_LENGTH))
    };
    (0..(bytes.len() + 1).saturating_sub(ID_LENGTH)).filter(|&at| is_id(at)).collect()
}
