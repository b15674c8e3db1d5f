//! What answers say, read from the recording without the client's help, and what the client says, in the same form.

use std::fmt::Write;

use longshore_supabase::{
    AnalyticsBucket, BucketInfo, FileInfo, FileMetadata, FileObject, FoundVector, IndexInfo, VectorBucketInfo,
};
use serde_json::{Value, json};

use crate::recorded::{Request, Response};

fn time(time: Option<std::time::SystemTime>) -> Value {
    let Some(time) = time.and_then(|time| jiff::Timestamp::try_from(time).ok()) else { return Value::Null };
    json!(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn pick(row: &Value, names: &[&str]) -> Value {
    names.iter().map(|name| row[*name].clone()).collect()
}

pub(crate) fn nothing(_: &Request, _: &Response) -> Value {
    Value::Null
}

pub(crate) fn text(_: &Request, response: &Response) -> Value {
    json!(String::from_utf8(response.body().bytes()).unwrap())
}

pub(crate) fn healthy(_: &Request, response: &Response) -> Value {
    response.json()["healthy"].clone()
}

fn bucket_row(row: &Value) -> Value {
    let names = [
        "id",
        "name",
        "owner",
        "public",
        "file_size_limit",
        "allowed_mime_types",
        "created_at",
        "updated_at",
        "type",
    ];
    pick(row, &names)
}

pub(crate) fn of_bucket(bucket: &BucketInfo) -> Value {
    json!([
        bucket.id,
        bucket.name,
        bucket.owner,
        bucket.public,
        bucket.file_size_limit,
        bucket.allowed_mime_types,
        time(bucket.created_at),
        time(bucket.updated_at),
        bucket.kind,
    ])
}

pub(crate) fn bucket(_: &Request, response: &Response) -> Value {
    bucket_row(&response.json())
}

pub(crate) fn buckets(_: &Request, response: &Response) -> Value {
    response.json().as_array().unwrap().iter().map(bucket_row).collect()
}

fn file_row(row: &Value) -> Value {
    let names =
        ["name", "id", "bucket_id", "owner_id", "version", "created_at", "updated_at", "last_accessed_at"];
    let about = match &row["metadata"] {
        Value::Null => Value::Null,
        about => {
            let names =
                ["eTag", "size", "mimetype", "cacheControl", "lastModified", "contentLength", "xRobotsTag"];
            pick(about, &names)
        }
    };
    json!([pick(row, &names), about, row["user_metadata"]])
}

pub(crate) fn of_file(file: &FileObject) -> Value {
    let about = |about: &FileMetadata| {
        json!([
            about.e_tag,
            about.size,
            about.mimetype,
            about.cache_control,
            time(about.last_modified),
            about.content_length,
            about.x_robots_tag,
        ])
    };
    json!([
        [
            json!(file.name),
            json!(file.id),
            json!(file.bucket_id),
            json!(file.owner_id),
            json!(file.version),
            time(file.created_at),
            time(file.updated_at),
            time(file.last_accessed_at),
        ],
        file.metadata.as_ref().map(about),
        file.user_metadata,
    ])
}

pub(crate) fn file(_: &Request, response: &Response) -> Value {
    file_row(&response.json())
}

pub(crate) fn files(_: &Request, response: &Response) -> Value {
    response.json().as_array().unwrap().iter().map(file_row).collect()
}

pub(crate) fn page(_: &Request, response: &Response) -> Value {
    let page = response.json();
    let objects: Value = page["objects"].as_array().unwrap().iter().map(file_row).collect();
    let folders: Value = page["folders"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    json!([objects, folders, page["hasNext"], page["nextCursor"]])
}

pub(crate) fn info(_: &Request, response: &Response) -> Value {
    let names = [
        "id",
        "name",
        "version",
        "bucket_id",
        "size",
        "content_type",
        "cache_control",
        "etag",
        "metadata",
        "last_modified",
        "created_at",
    ];
    pick(&response.json(), &names)
}

pub(crate) fn of_info(info: &FileInfo) -> Value {
    json!([
        info.id,
        info.name,
        info.version,
        info.bucket_id,
        info.size,
        info.content_type,
        info.cache_control,
        info.etag,
        info.metadata,
        time(info.last_modified),
        time(info.created_at),
    ])
}

pub(crate) fn uploaded(_: &Request, response: &Response) -> Value {
    pick(&response.json(), &["Key", "Id"])
}

pub(crate) fn content(_: &Request, response: &Response) -> Value {
    let bytes = response.body().bytes();
    let length = bytes.len() as u64;
    let range = match response.header("content-range") {
        None => [0, length, length],
        Some(text) => {
            let numbers: Vec<u64> =
                text["bytes ".len()..].split(['-', '/']).map(|number| number.parse().unwrap()).collect();
            [numbers[0], numbers[1] + 1, numbers[2]]
        }
    };
    json!([
        bytes,
        range,
        response.header("etag"),
        response.header("content-type"),
        response.header("cache-control"),
    ])
}

/// The base URL, and the reference with what a URL cannot hold escaped.
fn url(reference: &Value) -> Value {
    let Some(reference) = reference.as_str() else { return Value::Null };
    let (path, token) = reference.split_once("?token=").unwrap();
    let mut escaped = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                escaped.push(char::from(byte));
            }
            other => write!(escaped, "%{other:02X}").unwrap(),
        }
    }
    json!(format!("http://localhost{escaped}?token={token}"))
}

pub(crate) fn signed(_: &Request, response: &Response) -> Value {
    url(&response.json()["signedURL"])
}

pub(crate) fn signed_many(_: &Request, response: &Response) -> Value {
    let row = |row: &Value| json!([row["path"], url(&row["signedURL"]), row["error"]]);
    response.json().as_array().unwrap().iter().map(row).collect()
}

pub(crate) fn signed_upload(_: &Request, response: &Response) -> Value {
    let signed = response.json();
    json!([url(&signed["url"]), signed["token"]])
}

pub(crate) fn begun(_: &Request, response: &Response) -> Value {
    json!(response.header("location").unwrap().rsplit('/').next())
}

fn number(response: &Response, name: &str) -> Option<u64> {
    response.header(name).map(|text| text.parse().unwrap())
}

pub(crate) fn progress(_: &Request, response: &Response) -> Value {
    json!([number(response, "upload-offset"), number(response, "upload-length")])
}

pub(crate) fn reached(_: &Request, response: &Response) -> Value {
    json!(number(response, "upload-offset"))
}

pub(crate) fn of_warehouse(bucket: &AnalyticsBucket) -> Value {
    json!([bucket.id, bucket.name, time(bucket.created_at), time(bucket.updated_at)])
}

fn warehouse_row(row: &Value) -> Value {
    pick(row, &["id", "name", "created_at", "updated_at"])
}

pub(crate) fn warehouse(_: &Request, response: &Response) -> Value {
    warehouse_row(&response.json())
}

pub(crate) fn warehouses(_: &Request, response: &Response) -> Value {
    response.json().as_array().unwrap().iter().map(warehouse_row).collect()
}

fn seconds(time: Option<std::time::SystemTime>) -> Value {
    json!(time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map(|since| since.as_secs()))
}

pub(crate) fn of_vector_bucket(bucket: &VectorBucketInfo) -> Value {
    json!([bucket.name, seconds(bucket.created_at)])
}

fn vector_bucket_row(row: &Value) -> Value {
    pick(row, &["vectorBucketName", "creationTime"])
}

pub(crate) fn vector_bucket(_: &Request, response: &Response) -> Value {
    vector_bucket_row(&response.json()["vectorBucket"])
}

pub(crate) fn vector_buckets(_: &Request, response: &Response) -> Value {
    let page = response.json();
    let rows: Value = page["vectorBuckets"].as_array().unwrap().iter().map(vector_bucket_row).collect();
    json!([rows, page["nextToken"]])
}

pub(crate) fn of_index(index: &IndexInfo) -> Value {
    let metric = index.distance_metric.map(|metric| format!("{metric:?}").to_lowercase());
    json!([
        index.name,
        index.bucket,
        seconds(index.created_at),
        index.dimension,
        metric,
        index.non_filterable
    ])
}

fn index_row(row: &Value) -> Value {
    let names = ["indexName", "vectorBucketName", "creationTime", "dimension", "distanceMetric"];
    let Value::Array(mut fields) = pick(row, &names) else { return Value::Null };
    let unfiltered = &row["metadataConfiguration"]["nonFilterableMetadataKeys"];
    fields.push(if unfiltered.is_null() { json!([]) } else { unfiltered.clone() });
    fields.into()
}

pub(crate) fn index(_: &Request, response: &Response) -> Value {
    index_row(&response.json()["index"])
}

pub(crate) fn indexes(_: &Request, response: &Response) -> Value {
    let page = response.json();
    let rows: Value = page["indexes"].as_array().unwrap().iter().map(index_row).collect();
    json!([rows, page["nextToken"]])
}

/// Numbers as the client holds them.
pub(crate) fn of_vector(vector: &FoundVector) -> Value {
    json!([vector.key, vector.data, vector.metadata, vector.distance])
}

fn vector_row(row: &Value) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "the service's numbers are of single precision")]
    let single = |number: &Value| number.as_f64().unwrap() as f32;
    let data = row["data"]["float32"].as_array().map(|all| all.iter().map(single).collect::<Vec<_>>());
    json!([row["key"], data, row["metadata"], row["distance"].as_f64()])
}

pub(crate) fn vectors(_: &Request, response: &Response) -> Value {
    response.json()["vectors"].as_array().unwrap().iter().map(vector_row).collect()
}

pub(crate) fn vector_page(request: &Request, response: &Response) -> Value {
    json!([vectors(request, response), response.json()["nextToken"]])
}
