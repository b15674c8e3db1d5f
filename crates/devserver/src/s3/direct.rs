//! Typed calls in process, for a service of this server that keeps what it stores in S3 buckets.
//!
//! They do what the same calls over the listener do, without signatures, faults, and entries in the journal; whoever
//! makes them may have faults of their own.

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri};
use s3s::dto::{
    CompleteMultipartUploadInput, CompletedMultipartUpload, CompletedPart, CreateMultipartUploadInput, ETag,
    ListObjectsV2Input, PutObjectInput, StreamingBlob, UploadPartInput,
};
use s3s::{S3Request, S3Result};

use super::conditions::WriteConditions;
use super::meta::{self, Meta};
use super::objects::{self, Chunks, no_such_key, object_key};
use super::{Catalog, Shop};
use crate::storage::{BodyReader, ObjectRecord, Storage};

/// User metadata of an object.
pub(crate) type Metadata = Vec<(String, String)>;

/// Calls without a listener.
#[derive(Debug)]
pub(crate) struct Direct {
    shop: Shop,
}

/// What S3 says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) content_type: String,
    /// Nanoseconds since the epoch.
    pub(crate) modified: i64,
    pub(crate) metadata: Metadata,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// Nanoseconds since the epoch, in whole seconds.
    pub(crate) modified: i64,
}

/// What a listing asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    /// One level only.
    pub(crate) level: bool,
    /// Only names behind this one; where it is one of the prefixes, behind all that it stands for.
    pub(crate) after: &'a str,
    pub(crate) max: usize,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) prefixes: Vec<String>,
    /// There is more behind the last of all these.
    pub(crate) more: bool,
}

impl Page {
    /// The last name, be it an object's or a prefix.
    pub(crate) fn last(&self) -> Option<&str> {
        self.entries.last().map(|e| e.name.as_str()).max(self.prefixes.last().map(String::as_str))
    }
}

fn request<T>(method: Method, input: T) -> S3Request<T> {
    S3Request {
        input,
        method,
        uri: Uri::default(),
        headers: HeaderMap::new(),
        extensions: Extensions::new(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

fn blob(reader: BodyReader) -> StreamingBlob {
    StreamingBlob::wrap(futures_util::stream::iter(Chunks(reader)))
}

impl Found {
    fn of(record: &ObjectRecord) -> Self {
        let meta = Meta::of(&record.custom);
        Self {
            size: record.size,
            etag: meta::etag_text(record),
            content_type: meta.content_type.unwrap_or_else(objects::untyped),
            modified: record.mtime,
            metadata: meta.user,
        }
    }
}

impl Direct {
    pub(crate) fn new(storage: Arc<Storage>, catalog: Arc<dyn Catalog>) -> Self {
        Self { shop: Shop { storage, catalog } }
    }

    /// Names of all buckets, in order.
    pub(crate) fn buckets(&self) -> Vec<String> {
        self.shop.catalog.list().into_iter().map(|b| b.name).collect()
    }

    pub(crate) fn has(&self, bucket: &str) -> bool {
        self.shop.catalog.find(bucket).is_some()
    }

    pub(crate) fn head(&self, bucket: &str, key: &str) -> S3Result<Found> {
        let key = object_key(&self.shop.bucket(bucket)?, key)?;
        let record = self.shop.storage.object(&key)?.ok_or_else(no_such_key)?;
        Ok(Found::of(&record))
    }

    pub(crate) fn get(&self, bucket: &str, key: &str) -> S3Result<(Found, BodyReader)> {
        let key = object_key(&self.shop.bucket(bucket)?, key)?;
        let opened = self.shop.storage.open_object(&key, |record| Ok::<_, s3s::S3Error>((0, record.size)))?;
        let (record, reader) = opened.ok_or_else(no_such_key)??;
        Ok((Found::of(&record), reader))
    }

    /// Stores an object; returns its entity tag.
    pub(crate) async fn put(
        &self,
        bucket: &str,
        key: &str,
        body: BodyReader,
        metadata: Metadata,
    ) -> S3Result<String> {
        let input = PutObjectInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: Some(blob(body)),
            metadata: Some(metadata.into_iter().collect()),
            ..PutObjectInput::default()
        };
        let stored = self.shop.put_object(request(Method::PUT, input)).await?.output;
        Ok(text_of(stored.e_tag))
    }

    /// Removes an object; one that is not there is as good as removed.
    pub(crate) async fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let bucket = self.shop.bucket(bucket)?;
        self.shop.remove(&bucket, key, WriteConditions { if_match: None, if_none_match: None }).await
    }

    pub(crate) fn list(&self, bucket: &str, query: Query<'_>) -> S3Result<Page> {
        let input = ListObjectsV2Input {
            bucket: bucket.to_owned(),
            prefix: Some(query.prefix.to_owned()),
            delimiter: query.level.then(|| "/".to_owned()),
            start_after: Some(query.after.to_owned()),
            max_keys: i32::try_from(query.max).ok(),
            ..ListObjectsV2Input::default()
        };
        let page = self.shop.list_objects_v2(request(Method::GET, input))?.output;
        let entry = |object: s3s::dto::Object| Entry {
            name: object.key.unwrap_or_default(),
            size: object.size.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            etag: text_of(object.e_tag),
            modified: object.last_modified.map_or(0, |time| meta::seconds(&time) * 1_000_000_000),
        };
        Ok(Page {
            entries: page.contents.unwrap_or_default().into_iter().map(entry).collect(),
            prefixes: page.common_prefixes.unwrap_or_default().into_iter().filter_map(|p| p.prefix).collect(),
            more: page.is_truncated.unwrap_or(false),
        })
    }

    /// Begins an upload in parts; returns its id.
    pub(crate) async fn begin(&self, bucket: &str, key: &str) -> S3Result<String> {
        let input = CreateMultipartUploadInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            ..CreateMultipartUploadInput::default()
        };
        let begun = self.shop.create_multipart_upload(request(Method::POST, input)).await?.output;
        Ok(begun.upload_id.unwrap_or_default())
    }

    pub(crate) async fn put_part(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        number: u32,
        body: BodyReader,
    ) -> S3Result<()> {
        let input = UploadPartInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload_id: upload.to_owned(),
            part_number: i32::try_from(number).unwrap_or(i32::MAX),
            body: Some(blob(body)),
            ..UploadPartInput::default()
        };
        self.shop.upload_part(request(Method::PUT, input)).await?;
        Ok(())
    }

    /// Makes parts, given by number and entity tag, the object; returns its entity tag.
    pub(crate) async fn complete(
        &self,
        bucket: &str,
        key: &str,
        upload: &str,
        parts: impl IntoIterator<Item = (u32, String)>,
    ) -> S3Result<String> {
        let part = |(number, etag): (u32, String)| CompletedPart {
            part_number: i32::try_from(number).ok(),
            e_tag: Some(ETag::Strong(etag)),
            ..CompletedPart::default()
        };
        let input = CompleteMultipartUploadInput {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload_id: upload.to_owned(),
            multipart_upload: Some(CompletedMultipartUpload {
                parts: Some(parts.into_iter().map(part).collect()),
            }),
            ..CompleteMultipartUploadInput::default()
        };
        let done = self.shop.complete_multipart_upload(request(Method::POST, input)).await?.output;
        Ok(text_of(done.e_tag))
    }

    pub(crate) async fn abort(&self, bucket: &str, key: &str, upload: &str) -> S3Result<()> {
        self.shop.abort(bucket, key, upload.to_owned()).await
    }
}

fn text_of(etag: Option<ETag>) -> String {
    etag.map(|tag| tag.value().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::OwnBuckets;

    #[tokio::test]
    async fn what_is_put_is_listed_and_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let storage = Arc::new(Storage::open(dir.path(), false).expect("storage"));
        let catalog = OwnBuckets::open(Arc::clone(&storage)).await.expect("buckets");
        catalog.create("bucket").await.expect("created");
        let direct = Direct::new(Arc::clone(&storage), Arc::new(catalog));
        assert!(direct.has("bucket") && !direct.has("other"));
        for name in ["a", "dir/b", "dir/c"] {
            let mut body = storage.create_body().expect("a file");
            body.write(b"hello").expect("written");
            body.finish().expect("written");
            let metadata = vec![("k".to_owned(), "v".to_owned())];
            let etag = direct
                .put("bucket", name, storage.read_back(std::slice::from_ref(&body)), metadata)
                .await
                .expect("stored");
            assert_eq!(etag, "5d41402abc4b2a76b9719d911017c592");
        }
        let (found, mut reader) = direct.get("bucket", "dir/b").expect("found");
        assert_eq!(found.metadata, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(reader.read(10).expect("read").as_deref(), Some(b"hello".as_slice()));
        let page = direct.list("bucket", Query { level: true, max: 10, ..Query::default() }).expect("a page");
        assert_eq!((page.entries.len(), page.prefixes), (1, vec!["dir/".to_owned()]));
        let page = direct.list("bucket", Query { max: 2, ..Query::default() }).expect("a page");
        assert!(page.more);
        let rest = Query { max: 2, after: &page.entries[1].name, ..Query::default() };
        let rest = direct.list("bucket", rest).expect("a page");
        assert_eq!((rest.entries[0].name.as_str(), rest.more), ("dir/c", false));
        direct.delete("bucket", "a").await.expect("removed");
        assert_eq!(direct.head("bucket", "a").expect_err("gone").code().as_str(), "NoSuchKey");
    }
}
