//! Listings: of objects, of uploads, of parts.

use futures_core::stream::BoxStream;
use http::Method;
use longshore_blob_api::{
    Entry, ListOptions, ListPage, MultipartId, MultipartRef, PageToken, PartInfo, PartNumber, UploadInfo,
    UploadPage,
};
use longshore_core_types::{
    CallInfo, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Resource, Result,
};
use percent_encoding::percent_decode_str;

use super::{
    store::{S3Store, call_on, server_id},
    wire::xml::{
        Contents, ListAllMyBucketsResult, ListBucketResult, ListMultipartUploadsResult, ListPartsResult, Part,
    },
};
use crate::wire::{answer::iso_date, pages, request::Request};

pub(super) const OPERATION: &str = "s3.bucket.list";
const BUCKETS: &str = "s3.bucket.list_all";
/// Buckets on a page.
const MOST_BUCKETS: &str = "1000";
const UPLOADS: &str = "s3.multipart.list_uploads";
const PARTS: &str = "s3.multipart.list_parts";

/// A name as the answer writes it.
fn decode(name: &str, encoding: Option<&str>) -> Result<String> {
    if encoding != Some("url") {
        return Ok(name.to_owned());
    }
    // Some servers write a space as a plus sign; a real one is escaped in this encoding.
    let name = name.replace('+', " ");
    percent_decode_str(&name).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|error| {
        Error::new(ErrorKind::Protocol, format!("the name {name:?} of a listing is not UTF-8"))
            .with_source(error)
    })
}

fn object(contents: Contents, encoding: Option<&str>) -> Result<ObjectMeta> {
    let mut meta = ObjectMeta::new(ObjectKey::new(decode(&contents.key, encoding)?)?, contents.size);
    meta.etag = contents.etag;
    meta.version = contents.generation;
    meta.last_modified = contents.last_modified.as_deref().and_then(iso_date);
    Ok(meta)
}

pub(super) async fn page(store: &S3Store, opts: &ListOptions, page: Option<PageToken>) -> Result<ListPage> {
    let request = store
        .request(Method::GET, OPERATION, Idempotency::Idempotent)
        .query("list-type", "2")
        .query("encoding-type", "url")
        .query("prefix", &opts.prefix)
        .query_opt("delimiter", opts.delimited.then_some("/"))
        .query_opt("max-keys", opts.page_size)
        .query_opt("start-after", opts.start_after.as_deref().filter(|_| page.is_none()))
        .query_opt("continuation-token", page.as_ref().map(PageToken::as_str));
    let answer = store.send(Ok(request), OPERATION, None).await?;
    let found: ListBucketResult = answer.document("a listing").await?;
    let fault = |error: Error| error.with_call(&call_on(store, OPERATION, None));
    let next = next(found.is_truncated, found.next_continuation_token.clone()).map_err(fault)?;
    let next = next.map(PageToken::new);
    if next.is_some() && next == page {
        return Err(fault(Error::new(ErrorKind::Protocol, "the listing repeats itself")));
    }
    Ok(ListPage::new(entries(found, opts).map_err(fault)?, next))
}

/// Where a list that is not at its end goes on. Without such a place, the rest of it would be lost.
fn next<T>(truncated: bool, place: Option<T>) -> Result<Option<T>> {
    if truncated && place.is_none() {
        let message = "the server says that there is more, and not where it begins";
        return Err(Error::new(ErrorKind::Protocol, message));
    }
    Ok(place.filter(|_| truncated))
}

fn entries(found: ListBucketResult, opts: &ListOptions) -> Result<Vec<Entry>> {
    let encoding = found.encoding_type.as_deref();
    let mut entries = Vec::with_capacity(found.contents.len() + found.common_prefixes.len());
    for contents in found.contents {
        entries.push(Entry::Object(object(contents, encoding)?));
    }
    for prefix in found.common_prefixes {
        entries.push(Entry::Prefix(decode(&prefix.prefix, encoding)?));
    }
    // A group that begins before the name still has names behind it.
    if let Some(after) = &opts.start_after {
        entries.retain(|entry| match entry {
            Entry::Prefix(prefix) => prefix > after || after.starts_with(prefix.as_str()),
            _ => true,
        });
    }
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(entries)
}

pub(super) fn buckets(store: &S3Store) -> BoxStream<'static, Result<String>> {
    let service = store.client().service();
    let page = move |place: Option<String>| {
        let service = service.clone();
        async move {
            let request = Request::new(Method::GET, BUCKETS, Idempotency::Idempotent, Resource::Endpoint)
                // Without it, accounts that may have more than 10,000 buckets are refused.
                .query("max-buckets", MOST_BUCKETS)
                .query_opt("continuation-token", place);
            let found: ListAllMyBucketsResult =
                service.call(request).await?.document("a list of buckets").await?;
            let names = found.buckets.bucket.into_iter().map(|bucket| bucket.name).collect();
            Ok((names, found.continuation_token))
        }
    };
    pages::names(CallInfo::new(BUCKETS, Idempotency::Idempotent), page)
}

pub(super) async fn parts(store: &S3Store, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
    let key = &upload.key;
    store.can().check_list_parts().map_err(|e| store.refuse(e, PARTS, Some(key)))?;
    let mut parts: Vec<Part> = Vec::new();
    let mut marker = None;
    loop {
        let request = store
            .on(key, Method::GET, PARTS, Idempotency::Idempotent)?
            .query("uploadId", server_id(upload))
            .query_opt("part-number-marker", marker);
        let answer = store.send(Ok(request), PARTS, Some(key)).await?;
        let call = answer.call.clone();
        let found: ListPartsResult = answer.document("a list of parts").await?;
        parts.extend(found.part);
        match found.next_part_number_marker.filter(|_| found.is_truncated) {
            // A marker that stays where it is would never end.
            Some(next) if marker.is_none_or(|marker| next > marker) => marker = Some(next),
            _ => return newest(parts).map_err(|error| error.with_call(&call)),
        }
    }
}

/// Each part once. There are servers that list a part as often as it was sent; the last one is what they have.
fn newest(mut parts: Vec<Part>) -> Result<Vec<PartInfo>> {
    // Stable: where no times are told, the one that is listed last counts.
    parts.sort_by_cached_key(|part| (part.number, part.last_modified.as_deref().and_then(iso_date)));
    let mut found: Vec<PartInfo> = Vec::with_capacity(parts.len());
    for part in parts {
        let number = PartNumber::new(part.number).map_err(|error| error.with_kind(ErrorKind::Protocol))?;
        let mut info = PartInfo::new(number);
        info.size = part.size;
        info.etag = part.etag;
        match found.last_mut() {
            Some(last) if last.number == number => *last = info,
            _ => found.push(info),
        }
    }
    Ok(found)
}

/// A place in a list of uploads: the id first, because names may hold anything.
fn token(id: &str, key: &str) -> PageToken {
    PageToken::new(format!("{id}\n{key}"))
}

pub(super) async fn uploads(store: &S3Store, prefix: &str, page: Option<PageToken>) -> Result<UploadPage> {
    store.can().check_list_uploads().map_err(|e| store.refuse(e, UPLOADS, None))?;
    let place = page.as_ref().map(|page| page.as_str().split_once('\n').unwrap_or(("", page.as_str())));
    let request = store
        .request(Method::GET, UPLOADS, Idempotency::Idempotent)
        .query("uploads", "")
        .query("encoding-type", "url")
        .query("prefix", prefix)
        .query_opt("key-marker", place.map(|(_, key)| key))
        .query_opt("upload-id-marker", place.map(|(id, _)| id).filter(|id| !id.is_empty()));
    let answer = store.send(Ok(request), UPLOADS, None).await?;
    let call = answer.call.clone();
    let found: ListMultipartUploadsResult = answer.document("a list of uploads").await?;
    let encoding = found.encoding_type.as_deref();
    let mut uploads = Vec::with_capacity(found.upload.len());
    for upload in found.upload {
        let key = decode(&upload.key, encoding).and_then(ObjectKey::new).map_err(|e| e.with_call(&call))?;
        let id = MultipartId::new(upload.id);
        let mut info = UploadInfo::new(MultipartRef { key, id });
        info.started = upload.initiated.as_deref().and_then(iso_date);
        uploads.push(info);
    }
    let next = next(found.is_truncated, found.next_key_marker).map_err(|error| error.with_call(&call))?;
    let next = match next {
        Some(key) => {
            let key = decode(&key, encoding).map_err(|e| e.with_call(&call))?;
            Some(token(&found.next_upload_id_marker.unwrap_or_default(), &key))
        }
        None => None,
    };
    Ok(UploadPage::new(uploads, next))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[test]
    fn names() {
        assert_eq!(decode("a%20b%2Bc+d", Some("url")).unwrap(), "a b+c d");
        assert_eq!(decode("a%20b+", None).unwrap(), "a%20b+");
        assert_eq!(decode("%ff", Some("url")).unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn a_part_that_was_sent_twice_is_listed_once() {
        let part = |number, etag: &str, at: &str| Part {
            number,
            size: None,
            etag: Some(etag.into()),
            last_modified: (!at.is_empty()).then(|| at.into()),
        };
        let listed = vec![
            part(1, "new", "2026-11-21T12:14:13.429Z"),
            part(1, "old", "2026-11-21T12:14:13.428Z"),
            part(2, "first", ""),
            part(2, "last", ""),
        ];
        let found = newest(listed).unwrap();
        let found: Vec<_> = found.iter().map(|p| (p.number.get(), p.etag.as_deref().unwrap())).collect();
        assert_eq!(found, [(1, "new"), (2, "last")]);
        assert_eq!(newest(vec![part(0, "e", "")]).unwrap_err().kind(), ErrorKind::Protocol);
    }

    /// Nothing of a listing is lost, and none goes on for ever.
    #[tokio::test]
    async fn pages_without_a_next_one_or_with_the_same_are_faults() {
        use longshore_blob_api::{BlobStore, BlobStoreExt};
        use longshore_transport::testing::{Reply, ScriptedService};

        const MORE: &str = "<IsTruncated>true</IsTruncated>";
        let lost = format!("<ListBucketResult>{MORE}</ListBucketResult>");
        let again = format!(
            "<ListBucketResult>{MORE}<NextContinuationToken>t</NextContinuationToken></ListBucketResult>"
        );
        for (document, message) in [(lost, "not where it begins"), (again, "repeats itself")] {
            let server = ScriptedService::new(move |seen| {
                if seen.uri.query().is_some_and(|query| query.starts_with("uploads")) {
                    Reply::ok(format!("<ListMultipartUploadsResult>{MORE}</ListMultipartUploadsResult>"))
                } else {
                    Reply::ok(document.clone())
                }
            });
            let builder = super::super::S3Builder::new("b").endpoint("http://h").anonymous();
            let store = builder.service(server.clone()).build().unwrap();
            let listed: Result<Vec<_>> = store.list(ListOptions::default()).try_collect().await;
            let error = listed.unwrap_err();
            assert!(error.kind() == ErrorKind::Protocol && error.to_string().contains(message), "{error}");
            assert!(server.requests().len() <= 2, "it ends");
            let error = store.list_uploads("", None).await.unwrap_err();
            assert!(error.to_string().contains("not where it begins"), "{error}");
        }
    }

    #[tokio::test]
    async fn buckets_are_listed_a_page_at_a_time() {
        use longshore_transport::testing::{Reply, ScriptedService};

        let page = |name: &str, next: &str| {
            let next = if next.is_empty() {
                String::new()
            } else {
                format!("<ContinuationToken>{next}</ContinuationToken>")
            };
            Reply::ok(format!(
                "<ListAllMyBucketsResult><Buckets><Bucket><Name>{name}</Name></Bucket></Buckets>{next}</ListAllMyBucketsResult>"
            ))
        };
        let server = ScriptedService::replies([page("a", "n"), page("b", ""), Reply::status(403)]);
        let builder = super::super::S3Builder::new("none").endpoint("http://h").anonymous();
        let store = builder.service(server.clone()).build().unwrap();
        let names: Vec<_> = store.list_buckets().try_collect().await.unwrap();
        assert_eq!(names, ["a", "b"]);
        let error = store.list_buckets().try_collect::<Vec<_>>().await.unwrap_err();
        assert!(!error.to_string().contains("none"), "nobody asked for that bucket: {error}");
        let asked: Vec<_> = server.requests().iter().map(|seen| seen.uri.to_string()).collect();
        assert_eq!(
            asked[..2],
            ["http://h/?max-buckets=1000", "http://h/?max-buckets=1000&continuation-token=n"]
        );
    }

    #[test]
    fn entries_are_in_order_whatever_the_server_sends_first() {
        let contents = |key: &str| Contents { key: key.into(), ..Contents::default() };
        let found = ListBucketResult {
            contents: vec![contents("a"), contents("z")],
            common_prefixes: vec![super::super::wire::xml::CommonPrefix { prefix: "m/".into() }],
            ..ListBucketResult::default()
        };
        let entries = entries(found, &ListOptions::default()).unwrap();
        let names: Vec<_> = entries.iter().map(Entry::name).collect();
        assert_eq!(names, ["a", "m/", "z"]);
    }
}
