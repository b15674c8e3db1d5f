//! The little of S3 that tools ask for beside objects: listings, and uploads in parts that are pretended.

use std::fmt::Write;

use super::request::Request;
use super::site::Listed;

/// Time of change of everything; nothing here ever changes.
pub(super) const MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const MODIFIED_XML: &str = "2026-01-01T00:00:00.000Z";
const XMLNS: &str = r#"xmlns="http://s3.amazonaws.com/doc/2006-03-01/""#;

/// One page of a listing, of either version of the call. Names in the test content are letters, digits, `-`,
/// `_` and `/`, which need no escaping in XML or URLs.
pub(super) fn list(bucket: &str, all: &[Listed], request: &Request) -> String {
    let decoded =
        |name: &str| request.parameter(name).map(|value| value.replace("%2F", "/")).unwrap_or_default();
    let prefix = decoded("prefix");
    let delimiter = decoded("delimiter");
    let after =
        ["continuation-token", "start-after", "marker"].map(decoded).into_iter().max().unwrap_or_default();
    let most = request.parameter("max-keys").and_then(|n| n.parse().ok()).unwrap_or(1000_usize);

    let mut entries = String::new();
    let (mut count, mut last, mut more) = (0, String::new(), false);
    // Names are sorted; to look at all of them for each page would take time as the square of their number.
    let begin = all.partition_point(|object| object.key < prefix || object.key < after);
    for object in all[begin..].iter().take_while(|object| object.key.starts_with(&prefix)) {
        let rest = &object.key[prefix.len()..];
        let end = if delimiter.is_empty() { None } else { rest.find(&delimiter) };
        let name = end.map_or(&*object.key, |at| &object.key[..prefix.len() + at + delimiter.len()]);
        if name <= &*after || name == last {
            continue;
        }
        if count == most {
            more = true;
            break;
        }
        count += 1;
        name.clone_into(&mut last);
        let _ = match end {
            Some(_) => write!(entries, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
            None => write!(
                entries,
                "<Contents><Key>{name}</Key><LastModified>{MODIFIED_XML}</LastModified>\
                 <ETag>&quot;bench-{:x}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                object.size, object.size
            ),
        };
    }
    let next = if more {
        format!("<NextContinuationToken>{last}</NextContinuationToken><NextMarker>{last}</NextMarker>")
    } else {
        String::new()
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult {XMLNS}><Name>{bucket}</Name>\
         <Prefix>{prefix}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys>\
         <IsTruncated>{more}</IsTruncated>{next}{entries}</ListBucketResult>"
    )
}

/// The answer to a POST that begins or completes an upload in parts; `None` for any other.
pub(super) fn multipart(request: &Request) -> Option<String> {
    let (bucket, key) = request.object().split_once('/')?;
    if request.parameter("uploads").is_some() {
        Some(format!(
            "<InitiateMultipartUploadResult {XMLNS}><Bucket>{bucket}</Bucket><Key>{key}</Key>\
             <UploadId>sink</UploadId></InitiateMultipartUploadResult>"
        ))
    } else if request.parameter("uploadId").is_some() {
        Some(format!(
            "<CompleteMultipartUploadResult {XMLNS}><Bucket>{bucket}</Bucket><Key>{key}</Key>\
             <ETag>&quot;sink-1&quot;</ETag></CompleteMultipartUploadResult>"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> String {
        let keys = ["a/1", "a/2", "b/1", "c"];
        let all: Vec<_> = keys.map(|key| Listed { key: key.to_owned(), size: 4096 }).into();
        let head = format!("GET /bucket?{query} HTTP/1.1\r\n\r\n");
        list("bucket", &all, &Request::parse(head.as_bytes()).unwrap().unwrap().0)
    }

    fn names(page: &str) -> Vec<&str> {
        page.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).collect()
    }

    #[test]
    fn listings_have_pages_prefixes_and_levels() {
        assert_eq!(names(&page("list-type=2")), ["a/1", "a/2", "b/1", "c"]);
        assert_eq!(names(&page("list-type=2&prefix=a%2F")), ["a/1", "a/2"]);
        let first = page("list-type=2&max-keys=3");
        assert!(first.contains("<NextContinuationToken>b/1</NextContinuationToken>"), "{first}");
        assert_eq!(names(&page("list-type=2&max-keys=3&continuation-token=b/1")), ["c"]);
        let level = page("delimiter=%2F&max-keys=2");
        assert!(
            level.contains("<Prefix>a/</Prefix>") && level.contains("<NextMarker>b/</NextMarker>"),
            "{level}"
        );
        assert_eq!(names(&page("delimiter=%2F&marker=b/")), ["c"]);
    }
}
