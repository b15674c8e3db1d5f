//! What a store can do.

mod check;
mod metadata;
mod names;

use longshore_core_types::ChecksumKind;

pub use metadata::MetadataRule;
pub use names::NameRules;

/// What a store can do, for callers that choose their way by it.
///
/// A store that lacks something answers [`ErrorKind::Unsupported`](longshore_core_types::ErrorKind) and
/// says so here; the conformance suite checks that the two agree. Start from `Capability::default()`
/// (nothing but put, get, head, delete and list) and set the fields that hold; its `check_*` methods refuse what
/// they leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "a list of independent abilities")]
pub struct Capability {
    /// Only `get` and `head` (and `list_page`, unless [`unlisted`](Self::unlisted)) work.
    pub read_only: bool,
    /// `list_page` does not work.
    pub unlisted: bool,
    /// Names are paths of a file system: an object may be refused whose name is the directory of others (`a` beside
    /// `a/b`), or lies below another object.
    pub path_conflicts: bool,
    /// Which names it takes; `None` where that is not known, or is any name.
    pub names: Option<NameRules>,
    /// `get` with a range.
    pub ranged_get: bool,
    /// `get` of the last N bytes.
    pub suffix_range: bool,
    /// Conditions on the current entity tag (`if_match`) of `get`, `head`, `put` and `delete`.
    pub if_match: bool,
    /// `get` and `head` only if the entity tag is another one.
    pub if_none_match: bool,
    /// `put` and `copy` that fail if the object exists. Never emulated.
    pub create_only: bool,
    /// How later requests can insist on the version that an earlier one saw.
    pub pin: PinKind,
    /// Server-side `copy` within the bucket.
    pub copy: bool,
    /// `get_many`: many small objects in one request.
    pub get_many: bool,
    /// Listing one level, with common prefixes.
    pub list_delimiter: bool,
    /// Listing from after a given name.
    pub list_start_after: bool,
    /// Listings come in byte order of the names.
    pub list_ordered: bool,
    /// Most entries of a page; `None` if unknown.
    pub list_max_page: Option<u32>,
    /// Most names of one `delete_many` request; `None` if each name is a request of its own.
    pub delete_batch: Option<u32>,
    /// Content type and cache control are stored.
    pub content_headers: bool,
    /// Content encoding, disposition and language are stored too.
    pub more_headers: bool,
    /// The user's own keys and values are stored.
    pub user_metadata: bool,
    /// A `get` of a part does not state them; `head` does.
    pub metadata_apart: bool,
    /// Which of them.
    pub metadata: MetadataRule,
    /// `sign` of a GET.
    pub sign_get: bool,
    /// `sign` of a PUT.
    pub sign_put: bool,
    /// Uploads in parts; `None` if there are none.
    pub multipart: Option<MultipartLimits>,
    /// `put` needs to know the length of its body.
    pub put_requires_length: bool,
    /// Largest object of a single `put`, in bytes.
    pub max_put: Option<u64>,
    /// Largest object, in bytes.
    pub max_object: Option<u64>,
    /// Checksums that the store states or verifies, the one it prefers first.
    pub checksums: Vec<ChecksumKind>,
}

/// Rules of uploads in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "a list of independent rules")]
pub struct MultipartLimits {
    /// Smallest part but the last, in bytes.
    pub min_part: u64,
    /// Largest part, in bytes.
    pub max_part: u64,
    /// Most parts of one upload.
    pub max_parts: u32,
    /// All parts but the last must have one size.
    pub equal_parts: bool,
    /// Whether parts may arrive in any order and at once.
    pub part_order: PartOrder,
    /// What to do about a part whose outcome is unknown.
    pub part_retry: PartRetry,
    /// `list_parts` works.
    pub list_parts: bool,
    /// `list_uploads` works.
    pub list_uploads: bool,
    /// The service knows each upload: one that was aborted or completed takes no more parts, and uploads of one name do
    /// not end each other. Where it only knows parts that wait for a commit, an aborted upload may leave them behind.
    pub tracked: bool,
}

impl Default for MultipartLimits {
    /// The rules of S3, which most stores share.
    fn default() -> Self {
        Self {
            min_part: 5 << 20,
            max_part: 5 << 30,
            max_parts: 10_000,
            equal_parts: false,
            part_order: PartOrder::Any,
            part_retry: PartRetry::Safe,
            list_parts: true,
            list_uploads: true,
            tracked: true,
        }
    }
}

/// In which order the parts of an upload may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartOrder {
    /// Any, several at once.
    Any,
    /// One after the other, from the first.
    InOrder,
}

/// What may be done about a part whose upload failed without a clear answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartRetry {
    /// Send it again: the last one counts.
    Safe,
    /// Ask [`list_parts`](crate::BlobStore::list_parts) first: a part sent twice is lost. If that cannot be
    /// settled, abort and start a new upload.
    LookFirst,
    /// Abort and start a new upload.
    Never,
}

/// How a store holds on to one version of an object over several requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinKind {
    /// The server checks the entity tag (`If-Match`).
    IfMatch,
    /// The store compares the version and size that each answer states.
    VersionHeader,
    /// Not at all: compare [`head`](crate::BlobStore::head) before and after.
    #[default]
    None,
}
