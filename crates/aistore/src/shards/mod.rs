//! Shards: archives whose members form samples, as training loops read them.
//!
//! Members that follow each other and share a key, which is their name up to the first `.` behind the last `/`, are one
//! sample: `n01/img7.jpg` and `n01/img7.cls` are the sample `n01/img7` with the members `jpg` and `cls`.

mod read;
mod samples;
mod write;

use bytes::Bytes;

pub use read::{Member, ShardReader};
pub use samples::Samples;
pub use write::{ShardInfo, ShardWriter, WriteDataset};

/// What belongs together in a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// What the names of its members begin with.
    pub key: String,
    /// Its members by extension, without the dot, in the order of the shard.
    pub members: Vec<(String, Bytes)>,
    /// Name of the shard that it was read from; empty of one that is to be written.
    pub shard: String,
}

impl Sample {
    /// A sample without members.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, extension: impl Into<String>, content: impl Into<Bytes>) -> Self {
        self.members.push((extension.into(), content.into()));
        self
    }

    /// The member with this extension.
    pub fn get(&self, extension: &str) -> Option<&Bytes> {
        self.members.iter().find(|(name, _)| name == extension).map(|(_, content)| content)
    }

    /// Bytes of all members.
    pub fn size(&self) -> u64 {
        self.members.iter().map(|(_, content)| content.len() as u64).sum()
    }
}

/// Key and extension of a member's name.
fn split_name(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].find('.') {
        Some(dot) => (&name[..base + dot], &name[base + dot + 1..]),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (name, key, extension) in [
            ("n01/img7.jpg", "n01/img7", "jpg"),
            ("a.seg.png", "a", "seg.png"),
            ("v1.2/a.cls", "v1.2/a", "cls"),
            ("plain", "plain", ""),
            (".hidden", "", "hidden"),
        ] {
            assert_eq!(split_name(name), (key, extension), "{name}");
        }
    }
}
