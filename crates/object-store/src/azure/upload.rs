//! Uploads in parts, which the service knows nothing of: it has blocks, and a commit that says which of them are the
//! blob. So everything that the commit needs is in the id of the upload.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use longshore_blob_api::{MultipartId, MultipartRef, PartNumber, PutOptions};
use longshore_core_types::{Attributes, ChecksumKind, Error, ErrorKind, ObjectKey, Result, checksum::Hasher};
use serde::{Deserialize, Serialize};

/// Length of a block's id before it is encoded. All blocks of a blob must have ids of one length.
const PREFIX: usize = 16;

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upload {
    /// Tells the blocks of this upload from those of others.
    prefix: String,
    /// Of the name, so that no part goes to another blob.
    key: String,
    #[serde(flatten)]
    commit: Commit,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Commit {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    create_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_match: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_language: Option<String>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    metadata: std::collections::BTreeMap<String, String>,
}

fn mark(key: &ObjectKey) -> String {
    let mut hasher = Hasher::new(ChecksumKind::Crc32c);
    hasher.update(key.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(hasher.finish().as_bytes())
}

impl Upload {
    pub(super) fn begin(key: &ObjectKey, opts: &PutOptions) -> Result<Self> {
        if opts.checksum.is_some() {
            let message = "Azure does not compare the checksum of a blob that is sent in parts";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let own = opts.attributes.clone();
        let commit = Commit {
            create_only: opts.create_only,
            if_match: opts.if_match.clone(),
            content_type: own.content_type,
            cache_control: own.cache_control,
            content_encoding: own.content_encoding,
            content_disposition: own.content_disposition,
            content_language: own.content_language,
            metadata: own.metadata.into_iter().collect(),
        };
        Ok(Self { prefix: format!("{:0PREFIX$x}", fastrand::u64(..)), key: mark(key), commit })
    }

    pub(super) fn id(&self) -> MultipartId {
        // Texts and booleans are always JSON.
        let document = serde_json::to_vec(self).unwrap_or_default();
        MultipartId::new(URL_SAFE_NO_PAD.encode(document))
    }

    /// [`ErrorKind::NotFound`] for an id that is none, and for one of another blob.
    pub(super) fn parse(upload: &MultipartRef) -> Result<Self> {
        let document = URL_SAFE_NO_PAD.decode(upload.id.as_str()).ok();
        let parsed = document.and_then(|document| serde_json::from_slice::<Self>(&document).ok());
        let parsed = parsed.filter(|parsed| parsed.prefix.len() == PREFIX && parsed.key == mark(&upload.key));
        parsed.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such upload of this blob"))
    }

    pub(super) fn options(&self) -> PutOptions {
        let own = self.commit.clone();
        let mut attributes = Attributes::default();
        attributes.content_type = own.content_type;
        attributes.cache_control = own.cache_control;
        attributes.content_encoding = own.content_encoding;
        attributes.content_disposition = own.content_disposition;
        attributes.content_language = own.content_language;
        attributes.metadata = own.metadata.into_iter().collect();
        let mut opts = PutOptions::default().with_attributes(attributes);
        opts.create_only = own.create_only;
        opts.if_match = own.if_match;
        opts
    }

    /// The id of a block.
    pub(super) fn block(&self, number: PartNumber) -> String {
        STANDARD.encode(format!("{}-{:05}", self.prefix, number.get()))
    }

    /// The number of a block, if it is one of this upload.
    pub(super) fn number(&self, block: &str) -> Option<PartNumber> {
        let id = String::from_utf8(STANDARD.decode(block).ok()?).ok()?;
        let number = id.strip_prefix(self.prefix.as_str())?.strip_prefix('-')?;
        PartNumber::new(number.parse().ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_what_the_commit_needs() {
        let key = ObjectKey::new("k").unwrap();
        let attributes = Attributes::default().with_content_type("a/b").with_metadata("n", "v");
        let opts = PutOptions::default().with_attributes(attributes).with_create_only();
        let upload = Upload::begin(&key, &opts).unwrap();
        let at = MultipartRef { key, id: upload.id() };
        let again = Upload::parse(&at).unwrap();
        assert_eq!((&again, again.options()), (&upload, opts));
        let other = MultipartRef { key: ObjectKey::new("other").unwrap(), id: upload.id() };
        for bad in [other, MultipartRef { id: MultipartId::new("no/such?id"), ..at }] {
            assert_eq!(Upload::parse(&bad).unwrap_err().kind(), ErrorKind::NotFound);
        }
    }

    #[test]
    fn blocks_belong_to_one_upload_and_have_ids_of_one_length() {
        let key = ObjectKey::new("k").unwrap();
        let begin = || Upload::begin(&key, &PutOptions::default()).unwrap();
        let (one, other) = (begin(), begin());
        let numbers = [1, 9, 50_000].map(|n| PartNumber::new(n).unwrap());
        let ids = numbers.map(|number| one.block(number));
        assert!(ids.iter().all(|id| id.len() == ids[0].len()));
        for (id, number) in ids.iter().zip(numbers) {
            assert_eq!((one.number(id), other.number(id)), (Some(number), None));
        }
        assert_eq!(one.number("AAAA"), None);
    }
}
