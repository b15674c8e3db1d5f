//! Uploads in parts to remote buckets: each part goes through, and the origin decides whether they make an object.

use super::object::{origin, target_of};
use super::refused;
use crate::aistore::error::Result;
use crate::aistore::node::Cx;
use crate::aistore::objects::Object;
use crate::storage::{BodyWriter, PartRecord, UploadRecord};

/// Name in an upload's metadata: its id at the origin.
const ORIGIN: &str = "origin";

/// Length of the cluster's ids, of which the first characters are the origin's.
const ID: usize = 58;

/// The upload's id at the origin, if it goes through.
fn origin_id(upload: &UploadRecord) -> Option<&str> {
    upload.custom.iter().find(|(name, _)| name == ORIGIN).map(|(_, id)| id.as_str())
}

/// Begins an upload at the origin of a remote bucket; returns the id for clients and the upload's metadata.
pub(in crate::aistore) async fn begin(
    cx: &Cx,
    object: &Object,
) -> Result<Option<(String, (String, String))>> {
    let Some((cloud, bucket)) = target_of(cx, object) else { return Ok(None) };
    let begun = cloud.s3.begin(bucket, &object.key.name).await;
    let upload = begun.map_err(|e| refused(&e, Some(&object.display())))?;
    let rest = ID.saturating_sub(upload.len());
    let id = upload.chars().chain(std::iter::repeat_with(fastrand::alphanumeric).take(rest)).collect();
    Ok(Some((id, (ORIGIN.to_owned(), upload))))
}

/// Sends a part to the origin.
pub(in crate::aistore) async fn part(
    cx: &Cx,
    object: &Object,
    upload: &UploadRecord,
    number: u32,
    body: &BodyWriter,
) -> Result<()> {
    let Some(((cloud, bucket), id)) = target_of(cx, object).zip(origin_id(upload)) else { return Ok(()) };
    let reader = cx.cluster.storage.read_back(std::slice::from_ref(body));
    let stored = cloud.s3.put_part(bucket, &object.key.name, id, number, reader).await;
    stored.map_err(|e| refused(&e, Some(&object.display())))
}

/// Makes the parts the object at the origin; returns what the cluster's copy has to tell of it.
pub(in crate::aistore) async fn complete(
    cx: &Cx,
    object: &Object,
    upload: &UploadRecord,
    parts: &[(u32, PartRecord)],
) -> Result<Vec<(String, String)>> {
    let Some(((cloud, bucket), id)) = target_of(cx, object).zip(origin_id(upload)) else {
        return Ok(Vec::new());
    };
    let tags = parts.iter().map(|(number, part)| (*number, crate::checksum::hex(&part.md5)));
    let etag = cloud.s3.complete(bucket, &object.key.name, id, tags).await;
    Ok(origin(&etag.map_err(|e| refused(&e, Some(&object.display())))?))
}

/// Forgets the upload at the origin, if it is still there.
pub(in crate::aistore) async fn abort(cx: &Cx, object: &Object, upload: &UploadRecord) -> Result<()> {
    let Some(((cloud, bucket), id)) = target_of(cx, object).zip(origin_id(upload)) else { return Ok(()) };
    match cloud.s3.abort(bucket, &object.key.name, id).await {
        Err(error) if error.code().as_str() != "NoSuchUpload" => {
            Err(refused(&error, Some(&object.display())))
        }
        _ => Ok(()),
    }
}
