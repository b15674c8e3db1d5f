//! An upload that is, or was, under way.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::UPLOAD_EXPIRES;
use super::{gone, not_found};
use crate::aistore::reply::Reply;
use crate::storage::{Row, StorageError, Tables};
use crate::supabase::cx::Cx;
use crate::supabase::error::{Fail, Result};
use crate::supabase::route::Place;
use crate::supabase::rows::Bucket;
use crate::supabase::store::About;
use crate::supabase::time::{Micros, http_date, is_uuid, now};

const UPLOADS: &[u8] = b"supabase/u/";

/// What is stored of an upload, beside its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) bucket: String,
    /// Number of that bucket: one that is made anew under its name is another.
    pub(super) number: u64,
    pub(super) key: String,
    /// The version that the object will have; it identifies the upload.
    pub(super) version: String,
    /// `None` as long as it is not known.
    pub(super) length: Option<u64>,
    /// Bytes that are committed.
    pub(super) offset: u64,
    /// The header as `HEAD` tells it.
    pub(super) metadata: String,
    pub(super) mimetype: String,
    pub(super) cache_control: String,
    pub(super) user_metadata: Option<Value>,
    pub(super) owner: Option<String>,
    pub(super) created_at: Micros,
    /// The object exists.
    pub(super) complete: bool,
}

/// The id in URLs.
pub(super) fn encode_id(place: &Place, version: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{}/{version}", place.bucket, place.key))
}

/// Reads an id: bucket, key, version.
pub(super) fn decode_id(id: &str) -> Result<(Place, String)> {
    let parsed = || {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
        let (bucket, rest) = text.split_once('/')?;
        let (key, version) = rest.rsplit_once('/')?;
        let place = Place { bucket: bucket.to_owned(), key: key.to_owned() };
        is_uuid(version).then(|| (place, version.to_owned()))
    };
    parsed().ok_or_else(|| Fail::request("Invalid upload id"))
}

impl Upload {
    pub(super) fn row_key(version: &str) -> Vec<u8> {
        [UPLOADS, version.as_bytes()].concat()
    }

    /// Looks an upload up, and whether it can still be spoken of.
    pub(super) fn find(cx: &Cx, place: &Place, version: &str) -> Result<Self> {
        let snapshot = cx.service.storage.snapshot()?;
        let row: Option<Row<Self>> = snapshot.row(&Self::row_key(version))?;
        let upload = row.map(|row| row.value).filter(|u| u.bucket == place.bucket && u.key == place.key);
        let upload = upload.ok_or_else(not_found)?;
        if upload.complete {
            // Its bytes may have been replaced or deleted since.
            let bucket = Bucket::find(&snapshot, &place.bucket)?;
            let object = match bucket {
                Some(bucket) => bucket.object(&snapshot, &place.key)?,
                None => None,
            };
            if object.is_none_or(|row| row.value.version != version) {
                return Err(gone());
            }
        } else if upload.expires(cx).is_some_and(|at| at <= now()) {
            return Err(gone());
        }
        Ok(upload)
    }

    fn expires(&self, cx: &Cx) -> Option<Micros> {
        let lifetime = i64::try_from(cx.service.settings.upload_lifetime?.as_micros()).unwrap_or(i64::MAX);
        Some(self.created_at.saturating_add(lifetime))
    }

    /// Tells until when the upload can be continued.
    pub(super) fn set_expiry(&self, cx: &Cx, reply: &mut Reply) {
        if let Some(at) = self.expires(cx).filter(|_| !self.complete) {
            reply.set(UPLOAD_EXPIRES, &http_date(at));
        }
    }

    /// What the object will say of itself.
    pub(super) fn about(&self) -> About {
        About {
            mimetype: self.mimetype.clone(),
            cache_control: Some(self.cache_control.clone()),
            robots: None,
            user_metadata: self.user_metadata.clone(),
            owner: self.owner.clone(),
        }
    }
}

/// Forgets the uploads to a bucket that is deleted.
pub(in crate::supabase) fn drop_uploads(
    tables: &mut Tables<'_>,
    number: u64,
) -> std::result::Result<(), StorageError> {
    for (key, row) in tables.rows::<Upload>(UPLOADS, UPLOADS, usize::MAX)? {
        if row.value.number == number {
            tables.remove_row::<Upload>(&key)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let place = Place { bucket: "b".into(), key: "dir/k".into() };
        let version = "18f86885-bf0b-4779-b860-0a535241cda0";
        assert_eq!(decode_id(&encode_id(&place, version)).unwrap(), (place, version.to_owned()));
        for bad in ["garbage", "", "dHVz"] {
            assert_eq!(decode_id(bad).unwrap_err().message, "Invalid upload id");
        }
    }
}
