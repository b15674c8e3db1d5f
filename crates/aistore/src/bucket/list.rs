//! Listing the objects of a bucket.

use std::{collections::VecDeque, future::IntoFuture, ops::BitOr};

use futures_core::{Stream, future::BoxFuture};
use futures_util::stream;
use longshore_core_types::{Checksum, Error, ErrorKind, Result};

use crate::{
    bucket::Bucket,
    client::Client,
    names::BucketRef,
    wire::list::{self as wire, ListParams},
};

/// Longest page that is read: ten thousand entries with names and locations of a kilobyte each.
const PAGE_LIMIT: usize = 64 << 20;

macro_rules! list_props {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a listing says about each object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ListProp {
            $($(#[$doc])* $name,)*
        }

        impl ListProp {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The server's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

list_props! {
    /// Name.
    Name = "name";
    /// Size.
    Size = "size";
    /// Version.
    Version = "version";
    /// Checksum, without the name of the algorithm.
    Checksum = "checksum";
    /// Access time.
    AccessTime = "atime";
    /// Whether the cluster holds a copy.
    Cached = "cached";
    /// Whether the object is where it belongs.
    Status = "status";
    /// Number of copies.
    Copies = "copies";
    /// Erasure coding.
    Ec = "ec";
    /// Custom metadata.
    Custom = "custom";
    /// Target and disk.
    Location = "location";
}

/// What a listing includes and how it goes about it. Combine with `|`.
#[doc(alias = "ListObjectFlag")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListFlags(u32);

impl ListFlags {
    /// Only objects that the cluster holds.
    pub const CACHED: Self = Self(1);
    /// Also objects whose original is missing.
    pub const MISSING: Self = Self(1 << 1);
    /// Reserved by the server.
    pub const DELETED: Self = Self(1 << 2);
    /// Also the members of archives. If one of them cannot be read, the cluster leaves objects out of the page and says
    /// nothing: for one archive, [`Bucket::list_archive`] does.
    pub const ARCHIVES: Self = Self(1 << 3);
    /// Names only.
    pub const NAME_ONLY: Self = Self(1 << 4);
    /// Names and sizes only.
    pub const NAME_SIZE: Self = Self(1 << 5);
    /// Only if the cluster knows the remote bucket already.
    pub const BUCKET_PRESENT: Self = Self(1 << 6);
    /// Without asking the backend whether the bucket exists.
    pub const NO_REMOTE_HEAD: Self = Self(1 << 7);
    /// Without making the remote bucket known to the cluster.
    pub const NO_REMOTE_ADD: Self = Self(1 << 8);
    /// Only objects that the cluster does not hold.
    pub const NOT_CACHED: Self = Self(1 << 9);
    /// One level; what is deeper shows as directories.
    pub const NO_RECURSION: Self = Self(1 << 11);
    /// Compared with the backend.
    pub const DIFF: Self = Self(1 << 12);
    /// Without directories, where the provider obeys.
    pub const NO_DIRS: Self = Self(1 << 13);
    /// From the bucket's inventory.
    pub const INVENTORY: Self = Self(1 << 15);

    /// The flags as one number.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether all flags of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ListFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One line of a listing.
#[doc(alias = "BucketEntry")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListEntry {
    /// Name; of a directory, with its final `/`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Checksum of the content, where the text of the listing is one.
    pub checksum: Option<Checksum>,
    /// The checksum as the listing has it; the entity tag of some remote objects.
    pub checksum_text: Option<String>,
    /// Access time as the cluster formats it.
    pub access_time: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Target and disk.
    pub location: Option<String>,
    /// Custom metadata as the cluster formats it.
    pub custom: Option<String>,
    /// Number of copies, the original included.
    pub copies: u32,
    /// Bit set of states.
    pub flags: u16,
}

impl ListEntry {
    const STATUS: u16 = 0x1f;

    /// Whether the cluster holds the object.
    pub fn is_cached(&self) -> bool {
        self.flags & (1 << 6) != 0
    }

    /// Whether the object is where it belongs, and is no stray copy.
    pub fn is_ok(&self) -> bool {
        self.flags & Self::STATUS == 0
    }

    /// Whether it is a member of an archive.
    pub fn is_inside_archive(&self) -> bool {
        self.flags & (1 << 7) != 0
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.flags & (1 << 8) != 0
    }

    /// Whether it is an archive.
    pub fn is_archive(&self) -> bool {
        self.flags & (1 << 9) != 0
    }

    /// Whether the backend has another version.
    pub fn is_version_changed(&self) -> bool {
        self.flags & (1 << 10) != 0
    }

    /// Whether the backend has it no more.
    pub fn is_removed_remotely(&self) -> bool {
        self.flags & (1 << 11) != 0
    }

    /// Whether it is stored in chunks.
    pub fn is_chunked(&self) -> bool {
        self.flags & (1 << 13) != 0
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListPage {
    /// Entries, in byte order of the names where the bucket lives in the cluster.
    pub entries: Vec<ListEntry>,
    /// The cluster's id of the listing.
    pub uuid: String,
    /// Where the next page goes on; empty at the end.
    pub token: String,
    /// State of the listing; not zero if it may be incomplete.
    pub flags: u32,
}

/// One page, as the server has it but for a prefix that ends in `*`.
pub(crate) async fn page(client: &Client, bucket: &BucketRef, params: &ListParams) -> Result<ListPage> {
    let answer = client.call(wire::list(bucket, params)?).await?;
    let call = answer.call.clone();
    let (parts, body) = answer.read(PAGE_LIMIT).await?;
    let mut page = wire::parse(&parts, &body).map_err(|error| error.with_call(&call))?;
    if !page.token.is_empty() && page.token == params.token {
        let message = "the listing goes on where this page began, and so would never end";
        return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
    }
    if params.prefix.ends_with('*') {
        page.entries.retain(|entry| entry.name.starts_with(&params.prefix));
    }
    Ok(page)
}

/// A listing of objects; see [`Bucket::list`]. Awaiting it fetches one page.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited or streamed"]
pub struct ListObjects {
    bucket: Bucket,
    params: ListParams,
}

impl ListObjects {
    pub(crate) fn new(bucket: Bucket) -> Self {
        let params = ListParams { props: vec![ListProp::Name, ListProp::Size], ..ListParams::default() };
        Self { bucket, params }
    }

    /// Only names that start with this, literally.
    ///
    /// A name that is an object and a directory at once (`a` beside `a/b`) can hide what lies below it from a
    /// listing by prefix.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.params.prefix = prefix.into();
        self
    }

    /// What to say about each object; name and size by default.
    pub fn props(mut self, props: impl IntoIterator<Item = ListProp>) -> Self {
        self.params.props = props.into_iter().collect();
        self
    }

    /// What to include.
    pub fn flags(mut self, flags: ListFlags) -> Self {
        self.params.flags = flags;
        self
    }

    /// Most entries of a page, at least one. The provider's own maximum, which is also the default, cuts it.
    pub fn page_size(mut self, entries: u32) -> Self {
        self.params.page_size = Some(entries);
        self
    }

    /// Only names after this one. For buckets that live in the cluster.
    pub fn start_after(mut self, name: impl Into<String>) -> Self {
        self.params.start_after = Some(name.into());
        self
    }

    /// Asks this target. It does not restrict the listing of a bucket that lives in the cluster.
    pub fn target(mut self, id: impl Into<String>) -> Self {
        self.params.target = Some(id.into());
        self
    }

    /// How access times are formatted, as a layout of the Go language.
    pub fn time_format(mut self, layout: impl Into<String>) -> Self {
        self.params.time_format = Some(layout.into());
        self
    }

    /// Lists from this inventory of the bucket instead of the backend.
    pub fn inventory(mut self, name: impl Into<String>) -> Self {
        self.params.inventory = Some(name.into());
        self.params.flags = self.params.flags | ListFlags::INVENTORY;
        self
    }

    /// Goes on behind this page.
    pub fn after(mut self, page: &ListPage) -> Self {
        self.params.uuid.clone_from(&page.uuid);
        self.params.token.clone_from(&page.token);
        self
    }

    /// Goes on where a page of an earlier listing ended: its id and its token.
    pub fn resume(mut self, uuid: impl Into<String>, token: impl Into<String>) -> Self {
        (self.params.uuid, self.params.token) = (uuid.into(), token.into());
        self
    }

    /// All pages, fetched one after the other as they are read. Ends after the first error.
    pub fn pages(self) -> impl Stream<Item = Result<ListPage>> + Send + Unpin {
        let Self { bucket, params } = self;
        Box::pin(stream::unfold(Some((bucket, params)), |state| async move {
            let (bucket, mut params) = state?;
            let result = page(bucket.client(), bucket.reference(), &params).await;
            let next = match &result {
                Ok(page) if !page.token.is_empty() => {
                    params.uuid.clone_from(&page.uuid);
                    params.token.clone_from(&page.token);
                    Some((bucket, params))
                }
                _ => None,
            };
            Some((result, next))
        }))
    }

    /// All entries, with one page in memory. Ends after the first error.
    #[doc(alias = "list_objects_iter")]
    pub fn stream(self) -> impl Stream<Item = Result<ListEntry>> + Send + Unpin {
        let state = (self.pages(), VecDeque::new());
        Box::pin(stream::try_unfold(state, |(mut pages, mut entries)| async move {
            use futures_util::TryStreamExt;
            loop {
                if let Some(entry) = entries.pop_front() {
                    return Ok(Some((entry, (pages, entries))));
                }
                match pages.try_next().await? {
                    Some(page) => entries = page.entries.into(),
                    None => return Ok(None),
                }
            }
        }))
    }

    /// All entries in memory. For listings that surely fit.
    #[doc(alias = "list_all_objects")]
    pub async fn all(self) -> Result<Vec<ListEntry>> {
        use futures_util::TryStreamExt;
        self.stream().try_collect().await
    }
}

impl IntoFuture for ListObjects {
    type Output = Result<ListPage>;
    type IntoFuture = BoxFuture<'static, Result<ListPage>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { page(self.bucket.client(), self.bucket.reference(), &self.params).await })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::*;

    #[tokio::test]
    async fn a_listing_that_does_not_move_on_ends() {
        let page = r#"{"uuid":"x","continuation_token":"a","entries":[{"name":"a"}],"flags":0}"#;
        let server =
            ScriptedService::new(move |_| Reply::ok(page).header("content-type", "application/json"));
        let client = Client::builder("http://gateway:1").service(server.clone()).build().unwrap();
        let listing = client.bucket("aws://b").unwrap().list();
        let error = listing.stream().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (ErrorKind::Protocol, 2));
    }
}
