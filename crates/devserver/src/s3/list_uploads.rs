//! Listings of multipart uploads and of their parts.

use s3s::dto::{
    ChecksumAlgorithm, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::Shop;
use super::checksum;
use super::list::{Encoding, max_keys, owner};
use super::meta;
use super::objects::object_key;
use crate::checksum::hex;

fn standard() -> StorageClass {
    StorageClass::from_static(StorageClass::STANDARD)
}

impl Shop {
    pub(super) fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let key = object_key(&self.bucket(&input.bucket)?, &input.key)?;
        let upload = self.upload(&input.upload_id, &key)?;
        let max = max_keys(input.max_parts)?;
        let marker = u32::try_from(input.part_number_marker.unwrap_or_default()).unwrap_or_default();
        let mut parts = self.storage.snapshot()?.parts(&input.upload_id)?;
        parts.retain(|(number, _)| *number > marker);
        let limit = usize::try_from(max).unwrap_or_default();
        let more = parts.len() > limit;
        parts.truncate(limit);
        let mut algorithm = None;
        let mut list = Vec::with_capacity(parts.len());
        for (number, part) in &parts {
            let mut item = Part {
                e_tag: Some(ETag::Strong(hex(&part.md5))),
                last_modified: Some(meta::time(upload.started)),
                part_number: i32::try_from(*number).ok(),
                size: i64::try_from(part.piece.len).ok(),
                ..Part::default()
            };
            if let Some((kind, value)) = checksum::unpack(part.chosen) {
                algorithm = Some(ChecksumAlgorithm::from_static(kind.name()));
                let sums = kind.set(Some(value));
                item.checksum_crc32 = sums.checksum_crc32;
                item.checksum_crc32c = sums.checksum_crc32c;
                item.checksum_crc64nvme = sums.checksum_crc64nvme;
                item.checksum_sha1 = sums.checksum_sha1;
                item.checksum_sha256 = sums.checksum_sha256;
            }
            list.push(item);
        }
        let highest = parts.last().and_then(|(number, _)| i32::try_from(*number).ok());
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(max),
            is_truncated: Some(more),
            part_number_marker: input.part_number_marker,
            next_part_number_marker: highest.filter(|_| more),
            parts: Some(list),
            checksum_algorithm: algorithm,
            owner: Some(owner()),
            storage_class: Some(standard()),
            ..ListPartsOutput::default()
        }))
    }

    pub(super) fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let max = max_keys(input.max_uploads)?;
        let (prefix, delimiter) =
            (input.prefix.clone().unwrap_or_default(), input.delimiter.clone().unwrap_or_default());
        let marker = input.key_marker.clone().unwrap_or_default();
        let id_marker = input.upload_id_marker.clone().unwrap_or_default();
        let mut found: Vec<_> = self
            .storage
            .snapshot()?
            .uploads()?
            .into_iter()
            .filter(|(_, u)| u.key.bucket == bucket.id && u.key.name.starts_with(&prefix))
            .map(|(id, u)| (u.key.name, id, u.started))
            .filter(|(key, id, _)| {
                // Without an upload's id the marker stands for all uploads of its key.
                let behind_key = key.as_str() > marker.as_str();
                behind_key || (*key == marker && !id_marker.is_empty() && id.as_str() > id_marker.as_str())
            })
            .collect();
        found.sort();
        let encode = Encoding::of(input.encoding_type.as_ref());
        let limit = usize::try_from(max).unwrap_or_default();
        let (mut uploads, mut prefixes, mut next) = (Vec::new(), Vec::<String>::new(), None);
        let mut more = false;
        for (key, id, started) in found {
            let rest = &key[prefix.len()..];
            let common = rest.find(&delimiter).filter(|_| !delimiter.is_empty());
            let common = common.map(|at| key[..prefix.len() + at + delimiter.len()].to_owned());
            if common.as_ref().is_some_and(|c| prefixes.last() == Some(c) || marker.starts_with(c.as_str())) {
                continue;
            }
            if uploads.len() + prefixes.len() == limit {
                more = true;
                break;
            }
            if let Some(common) = common {
                next = Some((common.clone(), String::new()));
                prefixes.push(common);
                continue;
            }
            next = Some((key.clone(), id.clone()));
            uploads.push(MultipartUpload {
                initiated: Some(meta::time(started)),
                key: Some(encode.text(key)),
                owner: Some(owner()),
                storage_class: Some(standard()),
                upload_id: Some(id),
                ..MultipartUpload::default()
            });
        }
        let next = next.filter(|_| more);
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            max_uploads: Some(max),
            is_truncated: Some(more),
            next_key_marker: next.as_ref().map(|(key, _)| encode.text(key.clone())),
            next_upload_id_marker: next.map(|(_, id)| id),
            uploads: Some(uploads),
            common_prefixes: Some(encode.prefixes(prefixes)),
            prefix: input.prefix.map(|p| encode.text(p)),
            delimiter: input.delimiter.map(|d| encode.text(d)),
            key_marker: input.key_marker.map(|k| encode.text(k)),
            upload_id_marker: input.upload_id_marker,
            encoding_type: input.encoding_type,
            ..ListMultipartUploadsOutput::default()
        }))
    }
}
