//! Uploads in parts.

use std::{collections::BTreeMap, ops::Bound, time::SystemTime};

use bytes::{Bytes, BytesMut};
use longshore_core_types::{Checksum, ChecksumKind, Error, ErrorKind, ObjectKey, Result};

use super::bucket::{Bucket, checksum};
use crate::{
    MultipartId, MultipartLimits, MultipartRef, PageToken, PartInfo, PartNumber, PartOrder, PartReceipt,
    PartRetry, PutOptions, PutResult, UploadInfo, UploadPage,
};

pub(super) struct Upload {
    key: ObjectKey,
    opts: PutOptions,
    started: SystemTime,
    parts: BTreeMap<PartNumber, Part>,
    in_order: bool,
    /// A part that came twice at a store where that loses data.
    damaged: Option<PartNumber>,
}

struct Part {
    data: Bytes,
    etag: String,
    checksum: Checksum,
}

impl Bucket {
    pub(super) fn create_upload(&mut self, key: &ObjectKey, opts: PutOptions, id: u64) -> MultipartId {
        let upload = Upload {
            key: key.clone(),
            opts,
            started: SystemTime::now(),
            parts: BTreeMap::new(),
            in_order: false,
            damaged: None,
        };
        self.uploads.insert(id, upload);
        MultipartId::new(format!("upload-{id}"))
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.uploads.len()
    }

    pub(super) fn put_part(
        &mut self,
        upload: &MultipartRef,
        number: PartNumber,
        data: Bytes,
        limits: &MultipartLimits,
    ) -> Result<PartReceipt> {
        let (_, upload) = self.upload(upload)?;
        let size = data.len() as u64;
        if size > limits.max_part {
            let most = limits.max_part;
            let message = format!("part {number} has {size} bytes, over the limit of {most} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        upload.in_order = limits.part_order == PartOrder::InOrder;
        let next = PartNumber::from_index(u32::try_from(upload.parts.len()).unwrap_or(u32::MAX));
        if upload.in_order && number != next {
            let message = format!("part {number} came where part {next} was expected");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if limits.part_retry != PartRetry::Safe && upload.parts.contains_key(&number) {
            upload.damaged = Some(number);
        }
        let checksum = checksum(ChecksumKind::Crc32c, &data);
        let etag = format!("\"{}\"", checksum.to_hex());
        let receipt = PartReceipt::new(number, size).with_etag(&etag).with_checksum(checksum.clone());
        upload.parts.insert(number, Part { data, etag, checksum });
        Ok(receipt)
    }

    pub(super) fn list_parts(&mut self, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
        let (_, upload) = self.upload(upload)?;
        let info = |(number, part): (&PartNumber, &Part)| PartInfo {
            number: *number,
            size: Some(part.data.len() as u64),
            etag: Some(part.etag.clone()),
        };
        Ok(upload.parts.iter().map(info).collect())
    }

    pub(super) fn list_uploads(
        &self,
        prefix: &str,
        page: Option<&PageToken>,
        most: Option<u32>,
    ) -> Result<UploadPage> {
        let start = match page.map(|token| token.as_str().parse::<u64>()) {
            None => Bound::Unbounded,
            Some(Ok(id)) => Bound::Excluded(id),
            Some(Err(_)) => {
                return Err(Error::new(ErrorKind::InvalidInput, "this is no token of this list of uploads"));
            }
        };
        let most = most.unwrap_or(u32::MAX) as usize;
        let mut found = self
            .uploads
            .range((start, Bound::Unbounded))
            .filter(|(_, upload)| upload.key.as_str().starts_with(prefix));
        let page: Vec<_> = found.by_ref().take(most).collect();
        let next = found.next().and(page.last()).map(|(id, _)| PageToken::new(id.to_string()));
        let info = |(id, upload): (&u64, &Upload)| UploadInfo {
            upload: MultipartRef { key: upload.key.clone(), id: MultipartId::new(format!("upload-{id}")) },
            started: Some(upload.started),
        };
        Ok(UploadPage::new(page.into_iter().map(info).collect(), next))
    }

    pub(super) fn complete_upload(
        &mut self,
        upload: &MultipartRef,
        receipts: &[PartReceipt],
        version: u64,
    ) -> Result<PutResult> {
        let (id, found) = self.upload(upload)?;
        let data = found.join(receipts)?;
        let opts = found.opts.clone();
        let done = self.put(&upload.key, data, &opts, version)?;
        self.uploads.remove(&id);
        Ok(done)
    }

    pub(super) fn abort_upload(&mut self, upload: &MultipartRef) {
        if let Ok((id, _)) = self.upload(upload) {
            self.uploads.remove(&id);
        }
    }

    fn upload(&mut self, upload: &MultipartRef) -> Result<(u64, &mut Upload)> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no upload {} of it", upload.id));
        let id = upload.id.as_str().strip_prefix("upload-").and_then(|id| id.parse().ok());
        let id = id.ok_or_else(missing)?;
        let found = self.uploads.get_mut(&id).filter(|found| found.key == upload.key);
        found.map(|found| (id, found)).ok_or_else(missing)
    }
}

impl Upload {
    /// The content that the receipts name, in their order.
    fn join(&self, receipts: &[PartReceipt]) -> Result<Bytes> {
        let refuse = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if let Some(number) = self.damaged {
            let message = format!("part {number} was sent twice, which lost its data");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        if self.in_order && receipts.len() != self.parts.len() {
            return refuse(format!("{} of {} parts are named", receipts.len(), self.parts.len()));
        }
        let mut data = BytesMut::new();
        for receipt in receipts {
            let number = receipt.number;
            let Some(part) = self.parts.get(&number) else {
                return refuse(format!("part {number} was not uploaded"));
            };
            let other_etag = receipt.etag.as_ref().is_some_and(|etag| *etag != part.etag);
            let other_sum = receipt.checksum.as_ref().is_some_and(|sum| *sum != part.checksum);
            if other_etag || other_sum || receipt.size != part.data.len() as u64 {
                return refuse(format!("the receipt of part {number} is not that of the part that is there"));
            }
            data.extend_from_slice(&part.data);
        }
        Ok(data.freeze())
    }
}
