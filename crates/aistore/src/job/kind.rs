//! What jobs do.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $display:literal, $start:literal, $idle:literal, $bucket:literal;)*) => {
        /// What a job does.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum JobKind {
            $($(#[$doc])* $name,)*
            /// A kind that this client does not know.
            Other(String),
        }

        impl JobKind {
            /// The cluster's name of the kind.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(name) => name,
                }
            }

            /// Whether [`Job::start`](super::Job::start) starts it; the others begin with a call of their own.
            pub fn is_startable(&self) -> bool {
                match self { $(Self::$name => $start,)* Self::Other(_) => false }
            }

            /// Whether it idles when its work is done, and ends some time later.
            pub fn idles(&self) -> bool {
                match self { $(Self::$name => $idle,)* Self::Other(_) => false }
            }

            pub(crate) fn needs_bucket(&self) -> bool {
                match self { $(Self::$name => $bucket,)* Self::Other(_) => false }
            }
        }

        impl From<&str> for JobKind {
            /// Takes the cluster's name of a kind, or the name that its tools show.
            fn from(name: &str) -> Self {
                let known = [$(($text, $display, Self::$name)),*];
                let found = known.into_iter().find(|(text, shown, _)| *text == name || *shown == name);
                found.map_or_else(|| Self::Other(name.to_owned()), |(_, _, kind)| kind)
            }
        }
    };
}

kinds! {
    /// Election of a primary gateway.
    Election = "election", "elect-primary", false, false, false;
    /// Moving objects to where they belong.
    Rebalance = "rebalance", "rebalance", true, false, false;
    /// Transforming objects while they are read.
    EtlInline = "etl-inline", "etl-inline", false, false, false;
    /// Evicting what was not used for long.
    Lru = "lru", "lru-eviction", true, false, false;
    /// Removing what is left over.
    Cleanup = "cleanup-store", "cleanup", true, false, false;
    /// Summing a bucket up.
    Summary = "summary-bck", "summary", false, false, true;
    /// Summing the archives of a bucket up.
    ShardSummary = "summary-shard", "shard-summary", false, false, true;
    /// Moving objects between the disks of one target.
    Resilver = "resilver", "resilver", true, false, false;
    /// Storing objects in chunks of another size.
    Rechunk = "rechunk", "rechunk", true, false, true;
    /// Indexing archives.
    IndexShard = "index-shard", "shard-index", false, false, true;
    /// Reading erasure-coded objects.
    EcGet = "ec-get", "ec-get", false, true, true;
    /// Writing erasure-coded objects.
    EcPut = "ec-put", "ec-put", false, true, true;
    /// Answering other targets about erasure-coded objects.
    EcRespond = "ec-resp", "ec-resp", false, true, true;
    /// Writing copies.
    PutCopies = "put-copies", "put-copies", false, true, true;
    /// Archiving objects.
    Archive = "archive", "archive", false, true, true;
    /// Copying selected objects.
    CopyObjects = "copy-listrange", "copy-objects", false, true, true;
    /// Transforming selected objects.
    EtlObjects = "etl-listrange", "etl-objects", false, true, true;
    /// Fetching one large remote object.
    BlobDownload = "blob-download", "blob-download", false, false, true;
    /// Downloading from the web.
    Download = "download", "download", false, true, false;
    /// Sorting archives.
    Dsort = "dsort", "dsort", false, false, true;
    /// Taking files of the targets in as objects.
    Promote = "promote", "promote-files", false, false, true;
    /// Evicting selected objects.
    EvictObjects = "evict-listrange", "evict-objects", false, false, true;
    /// Evicting a remote bucket.
    EvictBucket = "evict-remote-bck", "evict-remote-bucket", false, false, true;
    /// Deleting selected objects.
    DeleteObjects = "delete-listrange", "delete-objects", false, false, true;
    /// Fetching selected remote objects.
    PrefetchObjects = "prefetch-listrange", "prefetch-objects", true, false, true;
    /// Erasure-coding a bucket.
    EcEncode = "ec-encode", "ec-bucket", false, false, true;
    /// Making copies of all objects of a bucket.
    MakeCopies = "make-n-copies", "mirror", false, false, true;
    /// Renaming a bucket.
    RenameBucket = "move-bck", "rename-bucket", false, false, true;
    /// Copying a bucket.
    CopyBucket = "copy-bck", "copy-bucket", false, false, true;
    /// Transforming a bucket.
    EtlBucket = "etl-bck", "etl-bucket", false, false, true;
    /// Listing objects.
    List = "list", "list", false, true, true;
    /// Reading many objects at once.
    GetBatch = "get-batch", "get-batch", false, true, false;
    /// Making an inventory of a remote bucket.
    CreateInventory = "create-inventory", "create-inventory", false, false, true;
    /// Loading metadata into memory.
    LoadMetadata = "load-lom-cache", "warm-up-metadata", true, false, true;
}

impl JobKind {
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether it runs on one target.
    pub(super) fn is_single_node(&self) -> bool {
        matches!(self, Self::BlobDownload | Self::Resilver)
    }
}

impl From<&Self> for JobKind {
    fn from(kind: &Self) -> Self {
        kind.clone()
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
