//! Values that object calls take.

use std::{num::NonZeroU64, time::Duration};

use longshore_core_types::{ObjectKey, Result};

use crate::names::{BucketRef, check_length, check_object_name, invalid};

/// One object: bucket and a name that AIStore accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectAt {
    bucket: BucketRef,
    key: ObjectKey,
    /// Whether the caller wants it although no listing may show it.
    forced: bool,
}

impl ObjectAt {
    pub(crate) fn new(bucket: BucketRef, key: ObjectKey) -> Result<Self> {
        check_object_name(&key, false)?;
        Ok(Self { bucket, key, forced: false })
    }

    /// Allows names with `//`, which no listing shows.
    pub(crate) fn unlisted(bucket: BucketRef, key: ObjectKey) -> Result<Self> {
        check_object_name(&key, true)?;
        Ok(Self { bucket, key, forced: true })
    }

    /// Fails if an object that is made under this name would be listed as something else, unless that is wanted.
    pub(crate) fn check_new(&self) -> Result<()> {
        if self.forced { Ok(()) } else { check_length(&self.key) }
    }

    pub(crate) fn bucket(&self) -> &BucketRef {
        &self.bucket
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// What the cluster hashes to place the object.
    pub(crate) fn uname(&self) -> String {
        format!("{}{}", self.bucket.uname(), self.key)
    }
}

/// Where a HEAD looks for the object or bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Anywhere, the backend included.
    #[default]
    Exists,
    /// Anywhere; only whether, not what.
    ExistsNoProps,
    /// In the cluster, in its proper place.
    Present,
    /// The same; only whether, not what.
    PresentNoProps,
    /// Anywhere in the cluster, copies and slices included.
    PresentInCluster,
    /// In the backend and not in the cluster; for listing buckets only.
    Outside,
}

impl Presence {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "0",
            Self::ExistsNoProps => "1",
            Self::Present => "2",
            Self::PresentNoProps => "3",
            Self::PresentInCluster => "4",
            Self::Outside => "5",
        }
    }
}

macro_rules! head_props {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a HEAD of an object asks for; size and presence always come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum HeadProp {
            $($(#[$doc])* $name,)*
        }

        impl HeadProp {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The server's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

head_props! {
    /// Name; adds nothing.
    Name = "name";
    /// Size; comes anyway.
    Size = "size";
    /// Checksum.
    Checksum = "checksum";
    /// Access time.
    AccessTime = "atime";
    /// Version.
    Version = "version";
    /// Custom metadata.
    Custom = "custom";
    /// Target and disk.
    Location = "location";
    /// Copies.
    Copies = "copies";
    /// Erasure coding.
    Ec = "ec";
    /// Chunks.
    Chunked = "chunked";
    /// Time of the last change.
    LastModified = "last-modified";
    /// Entity tag.
    Etag = "etag";
}

/// Format of an archive, which AIStore also calls a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// `.tar`
    Tar,
    /// `.tgz`
    Tgz,
    /// `.tar.gz`
    TarGz,
    /// `.zip`
    Zip,
    /// `.tar.lz4`
    TarLz4,
}

impl ArchiveFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Tar, Self::Tgz, Self::TarGz, Self::Zip, Self::TarLz4];

    /// The extension, which is also the server's name of the format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tar => ".tar",
            Self::Tgz => ".tgz",
            Self::TarGz => ".tar.gz",
            Self::Zip => ".zip",
            Self::TarLz4 => ".tar.lz4",
        }
    }

    /// The format that an object's name says.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| name.ends_with(format.as_str()))
    }
}

/// How a pattern picks members of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveMode {
    /// A regular expression (RE2), found anywhere in the member's path.
    Regexp,
    /// The path begins with it.
    Prefix,
    /// The path ends with it.
    Suffix,
    /// The path contains it.
    Substring,
    /// The path without its extension is it: all files of one sample of a `webdataset`.
    WdsKey,
}

impl ArchiveMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Regexp => "regexp",
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
            Self::Substring => "substr",
            Self::WdsKey => "wdskey",
        }
    }
}

/// Which part of a shard to read.
#[doc(alias = "ArchiveConfig")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveSelect {
    /// One member, by its path in the archive.
    Member(String),
    /// All members that match, as a TAR. The shard must be of the TAR family: a pattern on a ZIP locks the
    /// object for good, so it is refused.
    Matching {
        /// How to compare.
        mode: ArchiveMode,
        /// What to compare with.
        pattern: String,
    },
}

/// A transformation to run while reading or copying an object.
#[doc(alias = "ETLConfig")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EtlCall {
    /// Name of the ETL.
    pub name: String,
    /// Names of further ETLs, applied one after the other.
    pub pipeline: Vec<String>,
    /// Argument of the transformation, usually JSON.
    pub args: Option<String>,
}

impl EtlCall {
    /// Runs the ETL of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Passes an argument to it.
    #[must_use]
    pub fn with_args(mut self, args: impl Into<String>) -> Self {
        self.args = Some(args.into());
        self
    }

    /// Runs a further ETL on its result.
    #[must_use]
    pub fn then(mut self, name: impl Into<String>) -> Self {
        self.pipeline.push(name.into());
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        for name in std::iter::once(&self.name).chain(&self.pipeline) {
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
                return Err(invalid(format!("{name:?} is not the name of an ETL")));
            }
        }
        Ok(())
    }
}

/// Reading a large remote object through the blob downloader: in parallel chunks, on the cluster's side.
///
/// An object smaller than the threshold, and one that the cluster holds already, is read the plain way.
#[doc(alias = "BlobDownloadConfig")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobRead {
    /// Size of a chunk in bytes; the cluster's own by default.
    pub chunk_size: Option<NonZeroU64>,
    /// Number of readers, up to 128; chosen by the cluster by default.
    pub workers: Option<u8>,
    /// Longest wait for one chunk; the cluster's own by default.
    pub chunk_timeout: Option<Duration>,
    /// Smallest object that is read this way, in bytes; 1 by default.
    ///
    /// There is always one: without it a read of an object that the cluster holds already returns nothing.
    pub threshold: NonZeroU64,
}

impl Default for BlobRead {
    fn default() -> Self {
        Self { chunk_size: None, workers: None, chunk_timeout: None, threshold: NonZeroU64::MIN }
    }
}

impl BlobRead {
    /// Sets the size of a chunk.
    #[must_use]
    pub fn with_chunk_size(mut self, bytes: NonZeroU64) -> Self {
        self.chunk_size = Some(bytes);
        self
    }

    /// Sets the number of readers.
    #[must_use]
    pub fn with_workers(mut self, workers: u8) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the smallest object that is read this way.
    #[must_use]
    pub fn with_threshold(mut self, bytes: NonZeroU64) -> Self {
        self.threshold = bytes;
        self
    }
}

/// A Go duration such as `5m` or `90s`.
pub(crate) fn go_duration(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_nanos()) {
        (seconds, 0) if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ns", duration.as_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_name() {
        assert_eq!(ArchiveFormat::from_name("a.tar.gz"), Some(ArchiveFormat::TarGz));
        assert_eq!(ArchiveFormat::from_name("a.tar"), Some(ArchiveFormat::Tar));
        assert_eq!(ArchiveFormat::from_name("a.txt"), None);
    }

    #[test]
    fn durations_and_etl_names() {
        for (seconds, text) in [(0, "0s"), (90, "90s"), (300, "5m"), (7200, "2h")] {
            assert_eq!(go_duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(go_duration(Duration::from_millis(1500)), "1500000000ns");
        assert!(EtlCall::new("my-etl").then("b").check().is_ok());
        assert!(EtlCall::new("a,b").check().is_err());
        assert!(EtlCall::new("").check().is_err());
    }
}
