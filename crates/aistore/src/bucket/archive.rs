//! Listing what archives hold, and addresses.

use std::future::IntoFuture;

use futures_core::{Stream, future::BoxFuture};
use futures_util::{StreamExt, TryStreamExt};
use longshore_core_types::{Error, ErrorKind, Result};

use super::{Bucket, ListEntry, ListFlags, ListProp};
use crate::object::{EtlCall, HeadProp};

const OPERATION: &str = "aistore.bucket.list_archive";

impl Bucket {
    /// The members of an archive of the bucket, each named by the archive's name, `/`, and its own.
    pub fn list_archive(&self, archive: impl Into<String>) -> ListArchive {
        let props = vec![ListProp::Name, ListProp::Size];
        ListArchive { bucket: self.clone(), archive: archive.into(), props, include: false, page_size: None }
    }

    /// The addresses at the gateway of the objects whose names start with a prefix, or of what an ETL makes of them.
    /// Objects that have no proper address, because no listing should show them, are left out.
    #[doc(alias = "list_urls")]
    pub fn http_urls(
        &self,
        prefix: &str,
        etl: Option<EtlCall>,
    ) -> impl Stream<Item = Result<String>> + Send + Unpin + use<> {
        let bucket = self.clone();
        let entries = self.list().prefix(prefix).props([ListProp::Name]).stream();
        let urls = entries.try_filter_map(move |entry| {
            let object = bucket.object(&entry.name).ok().filter(|_| !entry.is_dir());
            let url = object.map(|object| object.http_url_with(None, etl.as_ref())).transpose();
            std::future::ready(url)
        });
        urls.boxed()
    }
}

/// A listing of an archive; see [`Bucket::list_archive`]. Awaiting it answers all members, in memory.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited or streamed"]
pub struct ListArchive {
    bucket: Bucket,
    archive: String,
    props: Vec<ListProp>,
    include: bool,
    page_size: Option<u32>,
}

impl ListArchive {
    /// Whether the archive itself comes first.
    #[doc(alias = "include_archive_obj")]
    pub fn include_archive(mut self, include: bool) -> Self {
        self.include = include;
        self
    }

    /// What to say about each member; name and size by default.
    pub fn props(mut self, props: impl IntoIterator<Item = ListProp>) -> Self {
        self.props = props.into_iter().collect();
        self
    }

    /// Most entries of a page, at least one.
    pub fn page_size(mut self, entries: u32) -> Self {
        self.page_size = Some(entries);
        self
    }

    /// The members, with one page in memory. Ends after the first error: `NotFound` if there is no such object,
    /// `Unsupported` if the cluster does not list its members: it cannot be read as an archive, or it was written in parts
    /// and is stored in chunks, of which the cluster looks into the first only. [`Object::open_shard`](crate::Object::open_shard) reads the members of the latter.
    pub fn stream(self) -> impl Stream<Item = Result<ListEntry>> + Send + Unpin {
        let Self { bucket, archive, props, include, page_size } = self;
        // No name would be all archives of the bucket.
        let named = bucket.object(&archive).map(drop);
        if let Err(error) = named {
            return futures_util::stream::iter([Err(error.with_operation(OPERATION))]).boxed();
        }
        let mut list = bucket.list().prefix(&archive).props(props).flags(ListFlags::ARCHIVES);
        if let Some(size) = page_size {
            list = list.page_size(size);
        }
        let mut found = false;
        // Without an end of its own, a listing that has nothing would be no error.
        let entries = list.stream().map_ok(Some).chain(futures_util::stream::iter([Ok(None)]));
        let entries = entries.try_filter_map(move |entry| {
            let itself = entry.as_ref().is_some_and(|entry| entry.name == archive);
            found |= itself;
            let (bucket, archive, missing) = (bucket.clone(), archive.clone(), !found);
            async move {
                match entry {
                    Some(entry) if itself => {
                        check(&bucket, &entry).await?;
                        Ok(include.then_some(entry))
                    }
                    Some(entry) => {
                        // The prefix also meets neighbours such as `a.tar.gz` of `a.tar`.
                        let rest = entry.name.strip_prefix(&archive);
                        let inside = rest.is_some_and(|rest| rest.starts_with('/'));
                        Ok((inside && entry.is_inside_archive()).then_some(entry))
                    }
                    None if missing => Err(fault(&bucket, ErrorKind::NotFound, &archive, "does not exist")),
                    None => Ok(None),
                }
            }
        });
        entries.boxed()
    }
}

fn fault(bucket: &Bucket, kind: ErrorKind, archive: &str, what: &str) -> Error {
    Error::new(kind, format!("{archive} {what}"))
        .with_operation(OPERATION)
        .with_resource(bucket.reference().resource())
}

/// Fails unless the listing has all members of the archive: of one in several chunks it has those of the first, or none.
async fn check(bucket: &Bucket, archive: &ListEntry) -> Result<()> {
    if archive.is_chunked() {
        let props = bucket.object(&archive.name)?.head_with().props([HeadProp::Chunked]).await?;
        if props.chunks.is_none_or(|chunks| chunks.count != 1) {
            let what = "is stored in chunks, and the cluster lists the members of the first one only";
            return Err(fault(bucket, ErrorKind::Unsupported, &archive.name, what));
        }
    }
    if !archive.is_archive() {
        let what = "is no archive, or one that the cluster cannot read";
        return Err(fault(bucket, ErrorKind::Unsupported, &archive.name, what));
    }
    Ok(())
}

impl IntoFuture for ListArchive {
    type Output = Result<Vec<ListEntry>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.stream().try_collect())
    }
}
