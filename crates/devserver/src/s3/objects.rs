//! Single objects: put, get, head, delete.

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::HeaderMap;
use md5::Digest as _;
use s3s::dto::{
    AbortMultipartUploadOutput, ChecksumType, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectIdentifier, PutObjectInput, PutObjectOutput, Range, StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::catalog::BucketInfo;
use super::checksum::{self, FULL_OBJECT, Kind};
use super::conditions::{Conditions, WriteConditions};
use super::meta::{self, Meta, meta_of};
use super::{Shop, now};
use crate::checksum::hex;
use crate::storage::{BodyReader, BodyWriter, ObjectKey, ObjectRecord};

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// Deals with a read's range as a fault wants it; travels as an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Skew {
    /// The whole object, and 200.
    Ignore,
    /// Other bytes; `Content-Range` says so, or not.
    Shift { by: u64, admitted: bool },
}

/// Longest key, in bytes.
const MAX_KEY: usize = 1024;

/// Makes writes of one request fail as if the disk were full; travels as an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct FullAt(pub(super) u64);

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub(super) fn object_key(bucket: &BucketInfo, key: &str) -> S3Result<ObjectKey> {
    if key.len() > MAX_KEY {
        return Err(s3_error!(KeyTooLongError, "Your key is too long"));
    }
    Ok(ObjectKey::new(bucket.id, 0, key))
}

/// A body that was received, with what was computed on the way.
pub(super) struct Received {
    pub(super) body: BodyWriter,
    pub(super) md5: [u8; 16],
    pub(super) crc32c: u32,
    pub(super) chosen: Option<(Kind, String)>,
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Received").field("body", &self.body).finish_non_exhaustive()
    }
}

/// What a request with a body says about it.
pub(super) struct Claims<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) trailer: Option<&'a TrailingHeaders>,
    pub(super) md5: Option<&'a str>,
    pub(super) length: Option<i64>,
    pub(super) full_at: Option<FullAt>,
}

impl Shop {
    /// Stores a body as a file and compares it with what the client says about it.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        claims: Claims<'_>,
    ) -> S3Result<Received> {
        let mut file = self.storage.create_body()?;
        file.fail_at(claims.full_at.map(|f| f.0));
        let kind = checksum::asked(claims.headers);
        let mut chosen = kind.map(Kind::hasher);
        let mut md5 = md5::Md5::new();
        let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        let mut body = body;
        while let Some(bytes) = match &mut body {
            Some(body) => body.next().await,
            None => None,
        } {
            let bytes = bytes.map_err(unreadable)?;
            md5.update(&bytes);
            crc.update(&bytes);
            if let Some(hasher) = &mut chosen {
                hasher.update(&bytes);
            }
            file.write(&bytes).map_err(crate::storage::StorageError::from)?;
        }
        if claims.length.is_some_and(|n| u64::try_from(n).ok() != Some(file.len())) {
            return Err(s3_error!(IncompleteBody, "the body is not as long as Content-Length says"));
        }
        file.finish().map_err(crate::storage::StorageError::from)?;
        let md5: [u8; 16] = md5.finalize().into();
        if claims.md5.is_some_and(|text| text != base64(&md5)) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let mut sum = None;
        if let (Some(kind), Some(hasher)) = (kind, chosen) {
            let found = kind.pick(hasher.finalize()).unwrap_or_default();
            let trailer = claims.trailer.and_then(|t| t.read(HeaderMap::clone));
            let given = checksum::given(kind, claims.headers, trailer.as_ref());
            checksum::compare(kind, given.as_deref(), &found)?;
            sum = Some((kind, found));
        }
        let crc32c = u32::try_from(crc.finalize()).unwrap_or_default();
        Ok(Received { body: file, md5, crc32c, chosen: sum })
    }

    /// Makes `record` the object, if the conditions hold when it does. `files` are the new files among its pieces.
    pub(super) async fn store(
        &self,
        bucket: &BucketInfo,
        key: ObjectKey,
        mut record: ObjectRecord,
        files: Vec<BodyWriter>,
        conditions: WriteConditions,
    ) -> S3Result<()> {
        let (catalog, bucket) = (std::sync::Arc::clone(&self.catalog), bucket.clone());
        self.storage
            .write(move |tables| {
                let old = tables.object(&key)?;
                if let Err(refused) = conditions.check(old.as_ref()) {
                    return Ok(Err(refused));
                }
                catalog.stamp(&bucket, &mut record, old.as_ref());
                tables.put_object(&key, &record)?;
                for file in files {
                    file.keep();
                }
                Ok(Ok(()))
            })
            .await?
    }

    pub(super) async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let full_at = request.extensions.get::<FullAt>().copied();
        let mut input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let key = object_key(&bucket, &input.key)?;
        let claims = Claims {
            headers: &request.headers,
            trailer: request.trailing_headers.as_ref(),
            md5: input.content_md5.as_deref(),
            length: None,
            full_at,
        };
        let received = self.receive(input.body.take(), claims).await?;
        let mut custom = meta_of!(input).into_custom();
        let tag = hex(&received.md5);
        meta::set_etag(&mut custom, tag);
        let mut output = PutObjectOutput::default();
        if let Some((kind, value)) = received.chosen {
            let sums = kind.set(Some(value.clone()));
            output.checksum_crc32 = sums.checksum_crc32;
            output.checksum_crc32c = sums.checksum_crc32c;
            output.checksum_crc64nvme = sums.checksum_crc64nvme;
            output.checksum_sha1 = sums.checksum_sha1;
            output.checksum_sha256 = sums.checksum_sha256;
            output.checksum_type = Some(ChecksumType::from_static(FULL_OBJECT));
            checksum::keep(&mut custom, kind, value, FULL_OBJECT);
        }
        let record = new_record(std::slice::from_ref(&received.body), custom);
        output.e_tag = Some(meta::etag(&record));
        let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
        self.store(&bucket, key, record, vec![received.body], conditions).await?;
        Ok(S3Response::new(output))
    }

    pub(super) fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let skew = request.extensions.get::<Skew>().copied();
        let input = request.input;
        let conditions = Conditions {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let range = input.range.filter(|_| !matches!(skew, Some(Skew::Ignore)));
        let wanted = Wanted { range, part: input.part_number };
        let (record, mut reader, mut slice) =
            self.open(&input.bucket, &input.key, input.version_id.as_deref(), &conditions, &wanted)?;
        let told = slice;
        if let Some(Skew::Shift { by, .. }) = skew.filter(|_| slice.partial) {
            slice.start = (slice.start + by).min(record.size.saturating_sub(slice.len));
            reader = reader.reopen(slice.start, slice.len);
        }
        if matches!(skew, Some(Skew::Shift { admitted: false, .. })) {
            slice = told;
        }
        let facts = Facts::of(&record, &slice);
        let meta = Meta::of(&record.custom);
        let expires = meta.expires_time();
        let metadata = meta.user_map();
        let sums = facts.sums(&slice);
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::wrap(futures_util::stream::iter(Chunks(reader)))),
            cache_control: input.response_cache_control.or(meta.cache_control),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: facts.checksum_type(&slice),
            content_disposition: input.response_content_disposition.or(meta.content_disposition),
            content_encoding: input.response_content_encoding.or(meta.content_encoding),
            content_language: input.response_content_language.or(meta.content_language),
            content_length: Some(facts.length),
            content_range: facts.content_range,
            content_type: Some(input.response_content_type.or(meta.content_type).unwrap_or_else(untyped)),
            e_tag: Some(facts.etag),
            expires: input.response_expires.or(expires),
            last_modified: Some(facts.modified),
            metadata,
            parts_count: facts.parts,
            ..GetObjectOutput::default()
        };
        let status = if slice.partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
        Ok(S3Response::with_status(output, status))
    }

    pub(super) fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let conditions = Conditions {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        let wanted = Wanted { range: input.range, part: input.part_number };
        let (record, _, slice) =
            self.open(&input.bucket, &input.key, input.version_id.as_deref(), &conditions, &wanted)?;
        let facts = Facts::of(&record, &slice);
        let meta = Meta::of(&record.custom);
        let expires = meta.expires_time();
        let metadata = meta.user_map();
        let sums = facts.sums(&slice);
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            cache_control: meta.cache_control,
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: facts.checksum_type(&slice),
            content_disposition: meta.content_disposition,
            content_encoding: meta.content_encoding,
            content_language: meta.content_language,
            content_length: Some(facts.length),
            content_range: facts.content_range,
            content_type: Some(meta.content_type.unwrap_or_else(untyped)),
            e_tag: Some(facts.etag),
            expires,
            last_modified: Some(facts.modified),
            metadata,
            parts_count: facts.parts,
            ..HeadObjectOutput::default()
        };
        let status = if slice.partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
        Ok(S3Response::with_status(output, status))
    }

    /// The object, and the bytes of it that are wanted.
    pub(super) fn open(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        conditions: &Conditions,
        wanted: &Wanted,
    ) -> S3Result<(ObjectRecord, BodyReader, Slice)> {
        let bucket = self.bucket(bucket)?;
        if version.is_some_and(|v| v != "null") {
            return Err(s3_error!(NoSuchVersion, "The specified version does not exist."));
        }
        let key = object_key(&bucket, key)?;
        let slice = |record: &ObjectRecord| {
            conditions.check(record)?;
            wanted.slice(record)
        };
        let opened = self.storage.open_object(&key, |record| slice(record).map(|s| (s.start, s.len)))?;
        let (record, reader) = opened.ok_or_else(no_such_key)??;
        let slice = wanted.slice(&record)?;
        Ok((record, reader, slice))
    }

    pub(super) async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let conditions = WriteConditions { if_match: input.if_match, if_none_match: None };
        self.remove(&bucket, &input.key, conditions).await?;
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    /// Removes an object; one that is not there is as good as removed.
    pub(super) async fn remove(
        &self,
        bucket: &BucketInfo,
        key: &str,
        conditions: WriteConditions,
    ) -> S3Result<()> {
        let key = object_key(bucket, key)?;
        self.storage
            .write(move |tables| {
                let old = tables.object(&key)?;
                if let Err(refused) = conditions.check(old.as_ref()) {
                    return Ok(Err(refused));
                }
                tables.remove_object(&key)?;
                Ok(Ok(()))
            })
            .await?
    }

    pub(super) async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        const MOST: usize = 1000;
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        if input.delete.objects.is_empty() || input.delete.objects.len() > MOST {
            return Err(s3_error!(MalformedXML, "a request deletes 1 to {MOST} objects"));
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        let mut output = DeleteObjectsOutput::default();
        for ObjectIdentifier { key, e_tag, .. } in input.delete.objects {
            let if_match = e_tag.map(s3s::dto::ETagCondition::ETag);
            match self.remove(&bucket, &key, WriteConditions { if_match, if_none_match: None }).await {
                Ok(()) if quiet => {}
                Ok(()) => {
                    let deleted = DeletedObject { key: Some(key), ..DeletedObject::default() };
                    output.deleted.get_or_insert_default().push(deleted);
                }
                Err(error) => output.errors.get_or_insert_default().push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(key),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        Ok(S3Response::new(output))
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<s3s::dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.abort(&input.bucket, &input.key, input.upload_id).await?;
        Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
    }
}

/// The record of an object that is new and in these files.
pub(super) fn new_record(files: &[BodyWriter], custom: Vec<(String, String)>) -> ObjectRecord {
    let time = now();
    let pieces: Vec<_> = files.iter().filter(|f| f.len() > 0).map(BodyWriter::piece).collect();
    ObjectRecord {
        size: pieces.iter().map(|p| p.len).sum(),
        checksum: None,
        version: None,
        atime: time,
        mtime: time,
        custom,
        pieces,
        chunked: false,
    }
}

/// The type of objects that were stored without one.
pub(super) fn untyped() -> String {
    "binary/octet-stream".to_owned()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

/// A body that broke off, or whose signed digest is another.
fn unreadable(error: s3s::StdError) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let mut mismatch = S3Error::with_message(
            S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        );
        mismatch.set_status_code(http::StatusCode::BAD_REQUEST);
        return mismatch;
    }
    let mut broken = s3_error!(IncompleteBody, "the body could not be read: {text}");
    broken.set_source(error);
    broken
}

/// Which bytes a read asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub(super) range: Option<Range>,
    pub(super) part: Option<i32>,
}

/// Which bytes it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) partial: bool,
}

impl Wanted {
    fn slice(&self, record: &ObjectRecord) -> S3Result<Slice> {
        let beyond = || s3_error!(InvalidRange, "The requested range is not satisfiable");
        if let Some(number) = self.part {
            let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).ok_or_else(beyond)?;
            if index == 0 && record.pieces.is_empty() {
                return Ok(Slice { start: 0, len: 0, partial: false });
            }
            let piece = record.pieces.get(index).ok_or_else(beyond)?;
            let start = record.pieces[..index].iter().map(|p| p.len).sum();
            return Ok(Slice { start, len: piece.len, partial: true });
        }
        let Some(range) = self.range else {
            return Ok(Slice { start: 0, len: record.size, partial: false });
        };
        // The last bytes of an empty object are none, and there is no way to say that.
        let checked = range.check(record.size).ok().filter(|bytes| !bytes.is_empty());
        let bytes = checked.ok_or_else(|| {
            let mut error = beyond();
            if let Ok(value) = format!("bytes */{}", record.size).parse() {
                error.set_headers(HeaderMap::from_iter([(http::header::CONTENT_RANGE, value)]));
            }
            error
        })?;
        Ok(Slice { start: bytes.start, len: bytes.end - bytes.start, partial: true })
    }
}

/// What GET and HEAD both say.
struct Facts {
    length: i64,
    content_range: Option<String>,
    etag: s3s::dto::ETag,
    modified: s3s::dto::Timestamp,
    parts: Option<i32>,
    checksum: Option<(Kind, String, String)>,
}

impl Facts {
    fn of(record: &ObjectRecord, slice: &Slice) -> Self {
        let last = (slice.start + slice.len).saturating_sub(1);
        Self {
            length: i64::try_from(slice.len).unwrap_or(i64::MAX),
            content_range: slice.partial.then(|| format!("bytes {}-{last}/{}", slice.start, record.size)),
            etag: meta::etag(record),
            modified: meta::time(record.mtime),
            parts: record.chunked.then(|| i32::try_from(record.pieces.len()).unwrap_or(i32::MAX)),
            checksum: checksum::kept(&record.custom),
        }
    }

    /// Checksums of the object; not of a part of it, which they do not describe.
    fn sums(&self, slice: &Slice) -> s3s::dto::Checksum {
        match &self.checksum {
            Some((kind, value, _)) if !slice.partial => kind.set(Some(value.clone())),
            _ => s3s::dto::Checksum::default(),
        }
    }

    fn checksum_type(&self, slice: &Slice) -> Option<ChecksumType> {
        let (_, _, how) = self.checksum.as_ref().filter(|_| !slice.partial)?;
        Some(ChecksumType::from(how.clone()))
    }
}

/// The bytes of a reader, piece by piece. Reads come from the page cache nearly always.
pub(super) struct Chunks(pub(super) BodyReader);

impl Iterator for Chunks {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.read(CHUNK).transpose()
    }
}
