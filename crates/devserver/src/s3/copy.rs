//! Copies within the server: of whole objects, and of ranges into parts.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, MetadataDirective,
    Range, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Shop;
use super::checksum;
use super::conditions::{Conditions, WriteConditions};
use super::meta::{self, meta_of};
use super::multipart::part_number;
use super::objects::{FullAt, Slice, Wanted, new_record, object_key};
use crate::checksum::hex;
use crate::storage::{BodyReader, BodyWriter, ObjectRecord, PartRecord, StorageError};

/// Bytes that are copied at once.
const CHUNK: usize = 256 * 1024;

struct Copied {
    body: BodyWriter,
    md5: [u8; 16],
    crc32c: u32,
}

impl Shop {
    fn open_source(
        &self,
        source: &CopySource,
        conditions: &Conditions,
        range: Option<Range>,
    ) -> S3Result<(ObjectRecord, BodyReader, Slice)> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "a copy's source is /BUCKET/KEY here"));
        };
        let wanted = Wanted { range, part: None };
        let none = Conditions::default();
        let (record, reader, slice) = self.open(bucket, key, version_id.as_deref(), &none, &wanted)?;
        conditions.check_source(&record)?;
        Ok((record, reader, slice))
    }

    async fn copy_bytes(&self, mut reader: BodyReader, full_at: Option<FullAt>) -> S3Result<Copied> {
        let mut body = self.storage.create_body()?;
        body.fail_at(full_at.map(|f| f.0));
        let work = move || -> Result<Copied, StorageError> {
            use md5::Digest as _;
            let mut md5 = md5::Md5::new();
            let mut crc = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
            while let Some(bytes) = reader.read(CHUNK)? {
                md5.update(&bytes);
                crc.update(&bytes);
                body.write(&bytes)?;
            }
            body.finish()?;
            let crc32c = u32::try_from(crc.finalize()).unwrap_or_default();
            Ok(Copied { body, md5: md5.finalize().into(), crc32c })
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(copied) => Ok(copied?),
            Err(error) => Err(s3s::S3Error::internal_error(error)),
        }
    }

    pub(super) async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let full_at = request.extensions.get::<FullAt>().copied();
        let write = write_conditions(&request.headers)?;
        let mut input = request.input;
        let conditions = Conditions {
            matches: input.copy_source_if_match.take(),
            none_match: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        let bucket = self.bucket(&input.bucket)?;
        let key = object_key(&bucket, &input.key)?;
        let (source, reader, _) = self.open_source(&input.copy_source, &conditions, None)?;
        let replace =
            input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        let same = matches!(
            &input.copy_source,
            CopySource::Bucket { bucket, key, .. } if **bucket == *input.bucket && **key == *input.key
        );
        if same && !replace {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata"
            ));
        }
        let copied = self.copy_bytes(reader, full_at).await?;
        let mut custom = if replace {
            meta_of!(input).into_custom()
        } else {
            meta::Meta::of(&source.custom).into_custom()
        };
        let tag = hex(&copied.md5);
        meta::set_etag(&mut custom, tag);
        if let Some((kind, value, how)) = checksum::kept(&source.custom)
            && how == checksum::FULL_OBJECT
        {
            checksum::keep(&mut custom, kind, value, checksum::FULL_OBJECT);
        }
        let record = new_record(std::slice::from_ref(&copied.body), custom);
        let result = CopyObjectResult {
            e_tag: Some(meta::etag(&record)),
            last_modified: Some(meta::time(record.mtime)),
            ..CopyObjectResult::default()
        };
        self.store(&bucket, key, record, vec![copied.body], write).await?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    pub(super) async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let full_at = request.extensions.get::<FullAt>().copied();
        let mut input = request.input;
        let number = part_number(input.part_number)?;
        let bucket = self.bucket(&input.bucket)?;
        let key = object_key(&bucket, &input.key)?;
        let conditions = Conditions {
            matches: input.copy_source_if_match.take(),
            none_match: input.copy_source_if_none_match.take(),
            modified_since: input.copy_source_if_modified_since.take(),
            unmodified_since: input.copy_source_if_unmodified_since.take(),
        };
        let range = input.copy_source_range.as_deref().map(|text| {
            Range::parse(text).map_err(|_| {
                s3_error!(InvalidArgument, "The x-amz-copy-source-range value must be bytes=first-last")
            })
        });
        let (_, reader, _) = self.open_source(&input.copy_source, &conditions, range.transpose()?)?;
        let copied = self.copy_bytes(reader, full_at).await?;
        let (md5, crc32c) = (copied.md5, copied.crc32c);
        let part = PartRecord { piece: copied.body.piece(), crc32c, md5, chosen: None };
        self.store_part(input.upload_id, key, number, part, copied.body).await?;
        let result = CopyPartResult {
            e_tag: Some(ETag::Strong(hex(&md5))),
            last_modified: Some(meta::time(super::now())),
            ..CopyPartResult::default()
        };
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            ..UploadPartCopyOutput::default()
        }))
    }
}

/// `If-Match` and `If-None-Match` of a copy are about its destination; the `s3s` crate does not read them.
fn write_conditions(headers: &http::HeaderMap) -> S3Result<WriteConditions> {
    use s3s::dto::ETagCondition;
    let parse = |name: http::HeaderName| {
        let Some(value) = headers.get(&name) else { return Ok(None) };
        ETagCondition::parse_http_header(value.as_bytes())
            .map(Some)
            .map_err(|_| s3_error!(InvalidArgument, "bad value of {name}"))
    };
    Ok(WriteConditions {
        if_match: parse(http::header::IF_MATCH)?,
        if_none_match: parse(http::header::IF_NONE_MATCH)?,
    })
}
