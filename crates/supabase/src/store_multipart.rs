//! Resumable uploads as uploads in parts.
//!
//! All parts but the last have the client's part size, so the number of a part says where it starts. What the server
//! says of an upload is how many bytes it has; the parts follow from that. The id is the server's own, without host or
//! token, and says of which object it is, so a resumed upload cannot end up elsewhere.

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

/// Follows the id of an upload that must not replace an object. No id of the server has such a character.
const CREATE_ONLY: char = '~';

fn join_id(id: &str, create_only: bool) -> MultipartId {
    MultipartId::new(if create_only { format!("{id}{CREATE_ONLY}") } else { id.to_owned() })
}

/// The upload; `NotFound` if the id is not one of an upload of this object.
fn upload(at: At, id: &MultipartId) -> Result<Upload> {
    let (id, upsert) = match id.as_str().strip_suffix(CREATE_ONLY) {
        Some(id) => (id, false),
        None => (id.as_str(), true),
    };
    let upload = Upload { at, id: id.to_owned(), permit: Permit::Caller { upsert } };
    if upload.is_of_its_object() { Ok(upload) } else { Err(resumable::not_its_upload(&upload)) }
}

/// Its length is said when it is completed, since nobody has to know it before.
pub(crate) async fn create(
    client: &Client,
    at: &At,
    options: &FileOptions,
    create_only: bool,
) -> Result<MultipartId> {
    let permit = Permit::Caller { upsert: !create_only };
    let id = resumable::create(client, at, &permit, None, options).await?;
    Ok(join_id(&id, create_only))
}

pub(crate) async fn put_part(
    client: &Client,
    at: At,
    id: &MultipartId,
    number: PartNumber,
    body: Payload,
) -> Result<PartReceipt> {
    let upload = upload(at, id)?;
    let Some(length) = body.len() else {
        return Err(invalid(format!("part {number} has no known length")));
    };
    let start = u64::from(number.get() - 1) * client.part_size();
    bucket::send(client, &upload, start, body).await?;
    Ok(PartReceipt::new(number, length))
}

/// What the server has, in parts. The last one may be a part of one: whoever goes on compares its size.
pub(crate) async fn list_parts(client: &Client, at: At, id: &MultipartId) -> Result<Vec<PartInfo>> {
    let upload = upload(at, id)?;
    let offset = bucket::offset(client, &upload).await?.offset;
    Ok(parts_of(offset, client.part_size()))
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
    let upload = upload(at, id)?;
    let gap = parts.iter().zip(1..).find(|(part, number)| part.number.get() != *number);
    if let Some((part, number)) = gap {
        let found = part.number;
        return Err(invalid(format!("parts must be 1, 2, ... without a gap: {found} stands for {number}")));
    }
    if let Some(part) = parts[..parts.len() - 1].iter().find(|part| part.size != client.part_size()) {
        let (number, size, whole) = (part.number, part.size, client.part_size());
        return Err(invalid(format!("part {number} has {size} bytes, not {whole} as all but the last")));
    }
    resumable::finish(client, &upload, parts.iter().map(|part| part.size).sum()).await?;
    let mut result = PutResult::default();
    result.version = upload.version();
    Ok(result)
}

pub(crate) async fn abort(client: &Client, at: At, id: &MultipartId) -> Result<()> {
    match upload(at, id) {
        Ok(upload) => resumable::abort(client, &upload).await,
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
    fn ids_say_whether_they_replace_and_belong_to_one_object() {
        let at = |key: &str| At::new(BucketName::new("b").unwrap(), ObjectKey::new(key).unwrap()).unwrap();
        // `b/k/v`
        let id = "Yi9rL3Y";
        for (create_only, upsert) in [(true, false), (false, true)] {
            let found = upload(at("k"), &join_id(id, create_only)).unwrap();
            assert!(matches!(found.permit, Permit::Caller { upsert: found } if found == upsert));
            assert_eq!(found.id, id);
        }
        assert_eq!(upload(at("other"), &join_id(id, false)).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
