//! Multipart uploads.

use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use super::checksum::{self, FULL_OBJECT, Kind};
use super::conditions::WriteConditions;
use super::meta::{self, meta_of, multipart_etag};
use super::objects::{Claims, FullAt, object_key};
use super::{Shop, now};
use crate::checksum::hex;
use crate::storage::{BodyWriter, ObjectKey, ObjectRecord, PartRecord, UploadRecord};

/// Smallest part that is not the last.
const MIN_PART: u64 = 5 << 20;

/// Names in an upload's `custom` list, taken out when it becomes an object.
const ALGORITHM: &str = ":upload-algorithm";
const TYPE: &str = ":upload-checksum-type";

pub(super) fn no_such_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
         completed."
    )
}

pub(super) fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number).ok().filter(|n| (1..=10_000).contains(n)).ok_or_else(|| {
        s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
    })
}

impl Shop {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let key = object_key(&bucket, &input.key)?;
        let mut custom = meta_of!(input).into_custom();
        let kind = input.checksum_algorithm.as_ref().and_then(|a| Kind::parse(a.as_str()));
        if let Some(kind) = kind {
            custom.push((ALGORITHM.to_owned(), kind.name().to_owned()));
            if let Some(how) = &input.checksum_type {
                custom.push((TYPE.to_owned(), how.as_str().to_owned()));
            }
        }
        let id: String = std::iter::repeat_with(fastrand::alphanumeric).take(32).collect();
        let (upload, record) = (id.clone(), UploadRecord { key, started: now(), custom });
        self.storage.write(move |tables| tables.put_upload(&upload, &record)).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: kind.map(|k| ChecksumAlgorithm::from_static(k.name())),
            checksum_type: input.checksum_type,
            ..CreateMultipartUploadOutput::default()
        }))
    }

    /// The upload, if it is one of this object.
    pub(super) fn upload(&self, id: &str, key: &ObjectKey) -> S3Result<UploadRecord> {
        let upload = self.storage.snapshot()?.upload(id)?;
        upload.filter(|u| u.key == *key).ok_or_else(no_such_upload)
    }

    pub(super) async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let full_at = request.extensions.get::<FullAt>().copied();
        let mut input = request.input;
        let number = part_number(input.part_number)?;
        let bucket = self.bucket(&input.bucket)?;
        let key = object_key(&bucket, &input.key)?;
        self.upload(&input.upload_id, &key)?;
        let claims = Claims {
            headers: &request.headers,
            trailer: request.trailing_headers.as_ref(),
            md5: input.content_md5.as_deref(),
            length: None,
            full_at,
        };
        let received = self.receive(input.body.take(), claims).await?;
        let mut output =
            UploadPartOutput { e_tag: Some(ETag::Strong(hex(&received.md5))), ..UploadPartOutput::default() };
        let mut chosen = None;
        if let Some((kind, value)) = received.chosen {
            chosen = checksum::pack(kind, &value);
            let sums = kind.set(Some(value));
            output.checksum_crc32 = sums.checksum_crc32;
            output.checksum_crc32c = sums.checksum_crc32c;
            output.checksum_crc64nvme = sums.checksum_crc64nvme;
            output.checksum_sha1 = sums.checksum_sha1;
            output.checksum_sha256 = sums.checksum_sha256;
        }
        let part =
            PartRecord { piece: received.body.piece(), crc32c: received.crc32c, md5: received.md5, chosen };
        self.store_part(input.upload_id, key, number, part, received.body).await?;
        Ok(S3Response::new(output))
    }

    /// Makes a file a part, in place of an earlier one with its number.
    pub(super) async fn store_part(
        &self,
        id: String,
        key: ObjectKey,
        number: u32,
        part: PartRecord,
        body: BodyWriter,
    ) -> S3Result<()> {
        let stored = self
            .storage
            .write(move |tables| {
                // The upload may have ended while the bytes were on their way.
                if tables.upload(&id)?.is_none_or(|u| u.key != key) {
                    return Ok(false);
                }
                tables.replace_part(&id, number, &part)?;
                body.keep();
                Ok(true)
            })
            .await?;
        if stored { Ok(()) } else { Err(no_such_upload()) }
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let key = object_key(&bucket, &input.key)?;
        let wanted = input.multipart_upload.and_then(|m| m.parts).unwrap_or_default();
        let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
        let size = input.mpu_object_size;
        let (id, catalog, of) = (input.upload_id, std::sync::Arc::clone(&self.catalog), bucket.clone());
        let record = self
            .storage
            .write(move |tables| {
                let Some(upload) = tables.upload(&id)?.filter(|u| u.key == key) else {
                    return Ok(Err(no_such_upload()));
                };
                let old = tables.object(&key)?;
                let made = conditions
                    .check(old.as_ref())
                    .and_then(|()| select(&wanted, &tables.parts(&id)?))
                    .and_then(|parts| assemble(upload, &parts, size));
                let mut record = match made {
                    Ok(record) => record,
                    Err(refused) => return Ok(Err(refused)),
                };
                catalog.stamp(&of, &mut record, old.as_ref());
                tables.put_object(&key, &record)?;
                tables.finish_upload(&id, &record.pieces)?;
                Ok(Ok(record))
            })
            .await??;
        let kept = checksum::kept(&record.custom);
        let sums = kept.as_ref().map(|(kind, value, _)| kind.set(Some(value.clone()))).unwrap_or_default();
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(meta::etag(&record)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: kept.map(|(_, _, how)| ChecksumType::from(how)),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    pub(super) async fn abort(&self, bucket: &str, key: &str, id: String) -> S3Result<()> {
        let key = object_key(&self.bucket(bucket)?, key)?;
        let found = self
            .storage
            .write(move |tables| {
                if tables.upload(&id)?.is_none_or(|u| u.key != key) {
                    return Ok(false);
                }
                tables.remove_upload(&id, false)?;
                Ok(true)
            })
            .await?;
        if found { Ok(()) } else { Err(no_such_upload()) }
    }
}

/// The parts that the client names, checked against those that are there.
fn select(wanted: &[CompletedPart], have: &[(u32, PartRecord)]) -> S3Result<Vec<PartRecord>> {
    let invalid = || {
        s3_error!(
            InvalidPart,
            "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
             specified entity tag may not match the part's entity tag."
        )
    };
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "an upload is completed with at least one part"));
    }
    let mut parts = Vec::with_capacity(wanted.len());
    let mut last = 0;
    for part in wanted {
        let number = part_number(part.part_number.unwrap_or_default())?;
        if number <= last {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order. The parts list must be specified in order by part number."
            ));
        }
        last = number;
        let (_, found) = have.iter().find(|(n, _)| *n == number).ok_or_else(invalid)?;
        if part.e_tag.as_ref().is_none_or(|tag| tag.value() != hex(&found.md5)) {
            return Err(invalid());
        }
        if let Some((kind, value)) = checksum::unpack(found.chosen) {
            let given = kind.pick(s3s::dto::Checksum {
                checksum_crc32: part.checksum_crc32.clone(),
                checksum_crc32c: part.checksum_crc32c.clone(),
                checksum_crc64nvme: part.checksum_crc64nvme.clone(),
                checksum_sha1: part.checksum_sha1.clone(),
                checksum_sha256: part.checksum_sha256.clone(),
                ..s3s::dto::Checksum::default()
            });
            if given.is_some_and(|given| given != value) {
                return Err(invalid());
            }
        }
        parts.push(*found);
    }
    let (_, others) = parts.split_last().unwrap_or((&parts[0], &[]));
    if others.iter().any(|p| p.piece.len < MIN_PART) {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed object size."
        ));
    }
    Ok(parts)
}

/// The object that the parts make.
fn assemble(upload: UploadRecord, parts: &[PartRecord], size: Option<i64>) -> S3Result<ObjectRecord> {
    let mut custom = upload.custom;
    let mut take = |name: &str| {
        let at = custom.iter().position(|(n, _)| n == name)?;
        Some(custom.remove(at).1)
    };
    let algorithm = take(ALGORITHM).and_then(|name| Kind::parse(&name));
    let full = take(TYPE).as_deref() == Some(FULL_OBJECT);
    meta::set_etag(&mut custom, multipart_etag(parts.iter().map(|p| p.md5)));
    if let Some(kind) = algorithm
        && let Some((value, how)) = checksum::of_parts(kind, full, parts)
    {
        checksum::keep(&mut custom, kind, value, how);
    }
    let time = now();
    let total = parts.iter().map(|p| p.piece.len).sum();
    if size.is_some_and(|n| u64::try_from(n).ok() != Some(total)) {
        return Err(s3_error!(InvalidRequest, "x-amz-mp-object-size is not the size of the parts: {total}"));
    }
    Ok(ObjectRecord {
        size: total,
        checksum: None,
        version: None,
        atime: time,
        mtime: time,
        custom,
        pieces: parts.iter().map(|p| p.piece).collect(),
        chunked: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Piece;

    fn part(len: u64) -> PartRecord {
        PartRecord { piece: Piece { id: len, len }, crc32c: 0, md5: [1; 16], chosen: None }
    }

    fn named(number: i32, tag: &str) -> CompletedPart {
        CompletedPart {
            part_number: Some(number),
            e_tag: Some(ETag::Strong(tag.into())),
            ..CompletedPart::default()
        }
    }

    #[test]
    fn lists_of_parts() {
        let tag = hex(&[1; 16]);
        let have = [(1, part(MIN_PART)), (2, part(1)), (3, part(2))];
        let code = |wanted: &[CompletedPart]| match select(wanted, &have) {
            Ok(parts) => parts.len().to_string(),
            Err(e) => e.code().as_str().to_owned(),
        };
        assert_eq!(code(&[named(1, &tag), named(3, &tag)]), "2");
        assert_eq!(code(&[]), "MalformedXML");
        assert_eq!(code(&[named(2, &tag), named(1, &tag)]), "InvalidPartOrder");
        assert_eq!(code(&[named(4, &tag)]), "InvalidPart");
        assert_eq!(code(&[named(1, "other")]), "InvalidPart");
        assert_eq!(code(&[named(2, &tag), named(3, &tag)]), "EntityTooSmall");
    }
}
