//! Resumable uploads as uploads in parts.
//!
//! All parts but the last have the client's part size, so the number of a part says where it starts. What the server
//! says of an upload is how many bytes it has; the parts follow from that. The id is the server's own, without host or
//! token, and says of which object it is, so a resumed upload cannot end up elsewhere; behind it stands the size of the
//! parts, for clients that are set up otherwise when the upload goes on.

use longshore_blob_api::{MultipartId, PartInfo, PartNumber, PartReceipt, PutResult};
use longshore_core_types::{ErrorKind, Payload, Result};

use crate::{
    bucket::{self, resumable},
    client::Client,
    names::invalid,
    wire::{
        object::{At, FileOptions},
        tus::{Permit, Upload},
    },
};

/// Stands between the server's id and the size of the parts. No id of the server has such a character.
const MARK: char = '~';

/// An upload that was begun, and the size of its parts, which the client may be set up otherwise by now.
struct Begun {
    upload: Upload,
    part_size: u64,
}

/// `NotFound` if the id is not one of an upload of this object.
fn begun(at: At, id: &MultipartId) -> Result<Begun> {
    let (id, size) = id.as_str().rsplit_once(MARK).unwrap_or((id.as_str(), ""));
    let upload = Upload { at, id: id.to_owned(), permit: Permit::Caller { upsert: true } };
    match size.parse() {
        Ok(part_size @ 1..) if upload.is_of_its_object() => Ok(Begun { upload, part_size }),
        _ => Err(resumable::not_its_upload(&upload)),
    }
}

/// Its length is said when it is completed, since nobody has to know it before.
pub(crate) async fn create(client: &Client, at: &At, options: &FileOptions) -> Result<MultipartId> {
    let permit = Permit::Caller { upsert: true };
    let id = resumable::create(client, at, &permit, None, options).await?;
    Ok(MultipartId::new(format!("{id}{MARK}{}", client.part_size())))
}

pub(crate) async fn put_part(
    client: &Client,
    at: At,
    id: &MultipartId,
    number: PartNumber,
    body: Payload,
) -> Result<PartReceipt> {
    let Begun { upload, part_size } = begun(at, id)?;
    match body.len() {
        None => Err(invalid(format!("part {number} has no known length"))),
        Some(length) if length > part_size => {
            Err(invalid(format!("part {number} has {length} bytes, over the {part_size} of this upload")))
        }
        Some(length) => {
            let start = u64::from(number.get() - 1) * part_size;
            bucket::send(client, &upload, start, body).await?;
            Ok(PartReceipt::new(number, length))
        }
    }
}

/// What the server has, in parts. The last one may be a part of one: whoever goes on compares its size.
pub(crate) async fn list_parts(client: &Client, at: At, id: &MultipartId) -> Result<Vec<PartInfo>> {
    let Begun { upload, part_size } = begun(at, id)?;
    let offset = bucket::offset(client, &upload).await?.offset;
    Ok(parts_of(offset, part_size))
}

fn parts_of(offset: u64, part_size: u64) -> Vec<PartInfo> {
    let parts = u32::try_from(offset.div_ceil(part_size)).unwrap_or(u32::MAX);
    let part = |index: u32| {
        let mut part = PartInfo::new(PartNumber::from_index(index));
        part.size = Some(part_size.min(offset - u64::from(index) * part_size));
        part
    };
    (0..parts).map(part).collect()
}

pub(crate) async fn complete(
    client: &Client,
    at: At,
    id: &MultipartId,
    parts: &[PartReceipt],
) -> Result<PutResult> {
    let Begun { upload, part_size } = begun(at, id)?;
    check(parts, part_size)?;
    resumable::finish(client, &upload, parts.iter().map(|part| part.size).sum()).await?;
    let mut result = PutResult::default();
    result.version = upload.version();
    Ok(result)
}

/// Parts are 1, 2, ... and of one size but the last.
fn check(parts: &[PartReceipt], part_size: u64) -> Result<()> {
    let Some((last, rest)) = parts.split_last() else {
        return Err(invalid("an upload cannot be completed without parts"));
    };
    let gap = parts.iter().zip(1..).find(|(part, number)| part.number.get() != *number);
    if let Some((part, number)) = gap {
        let found = part.number;
        return Err(invalid(format!("parts must be 1, 2, ... without a gap: {found} stands for {number}")));
    }
    let uneven = rest.iter().find(|part| part.size != part_size);
    match uneven.or((last.size > part_size).then_some(last)) {
        Some(part) => {
            let (number, size) = (part.number, part.size);
            Err(invalid(format!("part {number} has {size} bytes, not {part_size} as all but the last")))
        }
        None => Ok(()),
    }
}

pub(crate) async fn abort(client: &Client, at: At, id: &MultipartId) -> Result<()> {
    match begun(at, id) {
        Ok(begun) => resumable::abort(client, &begun.upload).await,
        // An upload that is none is as good as aborted.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::{BucketName, ObjectKey};

    use super::*;

    #[test]
    fn an_offset_as_parts() {
        let sizes = |offset| parts_of(offset, 10).iter().map(|part| part.size.unwrap()).collect::<Vec<_>>();
        assert_eq!(sizes(0), Vec::<u64>::new());
        assert_eq!(sizes(10), [10]);
        assert_eq!(sizes(23), [10, 10, 3]);
        let numbers: Vec<u32> = parts_of(23, 10).iter().map(|part| part.number.get()).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn ids_belong_to_one_object_and_know_the_size_of_its_parts() {
        let at = |key: &str| At::new(BucketName::new("b").unwrap(), ObjectKey::new(key).unwrap()).unwrap();
        // `b/k/v`
        let found = begun(at("k"), &MultipartId::new("Yi9rL3Y~8192")).unwrap();
        assert_eq!((found.upload.id.as_str(), found.part_size), ("Yi9rL3Y", 8192));
        for (key, id) in [("other", "Yi9rL3Y~8192"), ("k", "Yi9rL3Y"), ("k", "Yi9rL3Y~0"), ("k", "~1")] {
            let error = begun(at(key), &MultipartId::new(id)).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{id}");
        }
    }

    #[test]
    fn parts_that_do_not_fit_together() {
        let parts = |sizes: &[(u32, u64)]| {
            let receipt =
                |(number, size): &(u32, u64)| PartReceipt::new(PartNumber::new(*number).unwrap(), *size);
            check(&sizes.iter().map(receipt).collect::<Vec<_>>(), 10)
        };
        assert!(parts(&[(1, 10), (2, 10), (3, 4)]).is_ok() && parts(&[(1, 3)]).is_ok());
        for wrong in
            [&[][..], &[(2, 10)], &[(1, 10), (3, 1)], &[(1, 9), (2, 9)], &[(1, 11)], &[(2, 10), (1, 10)]]
        {
            assert_eq!(parts(wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong:?}");
        }
    }
}
