//! Object calls of a target.

mod change;
mod custom;
mod get;
mod head;
mod put;
mod stream;

use std::sync::Arc;

pub(crate) use change::{copy, copy_object, copy_source, delete, invert, patch, rename};
pub(crate) use get::get;
pub(crate) use head::{describe, etag, head};
pub(crate) use put::{keep, put, receive, store};
pub(crate) use stream::{copy_body, copy_from, rechunk};

use super::NodeInfo;
use super::buckets::Bucket;
use super::error::Fail;
use super::hrw::digest;
use super::node::Cx;
use crate::storage::{ObjectKey, ObjectRecord};

/// An object that a call is about, existing or not.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) key: ObjectKey,
    /// Index of the target that was asked.
    pub(crate) target: usize,
}

impl Object {
    /// Display form, `ais://bucket/name`.
    pub(crate) fn display(&self) -> String {
        self.bucket.name.object(&self.key.name)
    }

    /// 404 in the words of GET and HEAD.
    pub(crate) fn missing(&self, cx: &Cx) -> Fail {
        Fail::not_found(format!("{}: {} does not exist", cx.node_name(), self.display()))
    }
}

/// The mount path that an object would have on a target with two disks.
pub(crate) fn mount_path(target: &NodeInfo, name: &str) -> String {
    format!("/ais/mp{}/{}", digest(name) % 2 + 1, target.id)
}

/// `t[id]:mp[...]`.
pub(crate) fn location(target: &NodeInfo, name: &str) -> String {
    format!("{}:mp[{}, vda, hdd]", target.name(), mount_path(target, name))
}

/// The next version of an object that replaces `old`; versions of copies are their origin's matter.
pub(crate) fn next_version(bucket: &Bucket, old: Option<&ObjectRecord>) -> Option<u64> {
    (bucket.versioned() && bucket.remote().is_none()).then(|| old.and_then(|o| o.version).unwrap_or(0) + 1)
}

/// What an overwrite changes beside the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overwrite {
    /// Metadata to be merged into what is there.
    pub(crate) custom: Vec<(String, String)>,
    /// The new version, if the client chose it.
    pub(crate) version: Option<u64>,
    /// Nothing of the old object is kept.
    pub(crate) fresh: bool,
    /// Metadata of the old object that does not hold for the new one.
    pub(crate) forget: &'static [&'static str],
}

impl Overwrite {
    /// Fills in what the new record takes over from the old one.
    pub(crate) fn apply(self, bucket: &Bucket, record: &mut ObjectRecord, old: Option<&ObjectRecord>) {
        let old = old.filter(|_| !self.fresh);
        record.version = if bucket.versioned() && self.version.is_some() {
            self.version
        } else {
            next_version(bucket, old)
        };
        record.custom = self.custom_over(old);
    }

    /// The metadata of an object that replaces `old`.
    pub(crate) fn custom_over(self, old: Option<&ObjectRecord>) -> Vec<(String, String)> {
        let mut custom = old.map(|o| o.custom.clone()).unwrap_or_default();
        custom.retain(|(name, _)| !self.forget.contains(&name.as_str()));
        custom::merge(&mut custom, self.custom);
        custom
    }
}
