//! The objects of a bucket.

mod download;
mod list;
mod relocate;
pub(crate) mod resumable;
mod signed;
mod upload;

use longshore_core_types::{BucketName, ErrorKind, ObjectKey, Payload, Result};

pub(crate) use self::{
    download::get,
    list::page,
    relocate::copy,
    resumable::{offset, send},
};
pub use self::{
    download::{Download, FileReader},
    list::{ListFiles, ListFolder},
    relocate::{CopyFile, MoveFile},
    resumable::{Resumable, ResumableUpload, UploadProgress},
    signed::{PublicUrl, SignUrl, SignedEntry, SignedUpload},
    upload::UploadFile,
};
use crate::{
    client::Client,
    error::is_bucket_missing,
    model::{FileInfo, FileObject},
    names::is_route,
    store::Store,
    wire::object::{self as wire, Access, At, Over},
};

/// Most names of one call that removes objects: servers may refuse more.
pub(crate) const MOST_REMOVED: usize = 1000;

/// Most bytes of names in one such call: servers read bodies of 1 MiB.
const MOST_NAMES: usize = 900 << 10;

/// A bucket and its objects; made by [`Client::bucket`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: BucketName,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: BucketName) -> Self {
        Self { client, name }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.name.as_str()
    }

    /// The client that it came from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn name(&self) -> &BucketName {
        &self.name
    }

    /// The bucket as a neutral store, for transfers and other code that knows no Supabase.
    pub fn store(&self) -> Store {
        Store::new(self.clone())
    }

    pub(crate) fn at(&self, key: impl AsRef<str>) -> Result<At> {
        At::new(self.name.clone(), ObjectKey::new(key)?)
    }

    /// How objects are read where the caller does not say.
    pub(crate) fn access(&self) -> Access {
        match self.client.has_credentials() {
            true => Access::Authenticated,
            // Nobody asks, so this is the same.
            false if is_route(&self.name) => Access::Public,
            false => Access::Tolerant,
        }
    }

    /// Stores an object. `AlreadyExists` if there is one of this name, unless
    /// [`upsert`](UploadFile::upsert) is on.
    pub fn upload(&self, key: impl AsRef<str>, body: impl Into<Payload>) -> UploadFile {
        UploadFile::new(&self.client, self.at(key), body.into(), Over::Refuse)
    }

    /// Replaces an object, or makes it if there is none.
    pub fn update(&self, key: impl AsRef<str>, body: impl Into<Payload>) -> UploadFile {
        UploadFile::new(&self.client, self.at(key), body.into(), Over::Update)
    }

    /// Stores an object by the token of a signed upload, without credentials; see
    /// [`create_signed_upload_url`](Self::create_signed_upload_url).
    #[doc(alias = "uploadToSignedUrl")]
    pub fn upload_to_signed_url(
        &self,
        key: impl AsRef<str>,
        token: impl Into<longshore_core_types::Secret>,
        body: impl Into<Payload>,
    ) -> UploadFile {
        UploadFile::new(&self.client, self.at(key), body.into(), Over::Refuse).token(token.into())
    }

    /// An upload in pieces, which can go on after a failure; see [`Resumable`].
    #[doc(alias = "tus")]
    pub fn resumable(&self, key: impl AsRef<str>) -> Resumable {
        Resumable::new(&self.client, self.at(key))
    }

    /// Reads an object.
    pub fn download(&self, key: impl AsRef<str>) -> Download {
        Download::new(&self.client, self.at(key), self.access())
    }

    /// Everything that the service knows about an object.
    pub async fn info(&self, key: impl AsRef<str>) -> Result<FileInfo> {
        self.info_by(key, self.access()).await
    }

    /// The same by a route of the caller's choice.
    pub async fn info_by(&self, key: impl AsRef<str>, access: Access) -> Result<FileInfo> {
        self.client
            .call(wire::info(&self.at(key)?, access)?)
            .await?
            .json("the description of an object")
            .await
    }

    /// Whether there is an object of this name that the caller may see. A missing bucket and a token that does not
    /// count are errors.
    pub async fn exists(&self, key: impl AsRef<str>) -> Result<bool> {
        match self.info(key).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound && !is_bucket_missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The children of a folder; the empty text is the top of the bucket. A missing folder or bucket has none.
    pub fn list(&self, folder: impl Into<String>) -> ListFolder {
        ListFolder::new(self.clone(), folder.into())
    }

    /// All objects, or those whose names start with a prefix, in pages.
    #[doc(alias = "listV2")]
    pub fn list_v2(&self) -> ListFiles {
        ListFiles::new(self.clone())
    }

    /// Gives an object another name. `AlreadyExists` if there is one of that name.
    #[doc(alias = "move")]
    pub fn rename(&self, from: impl AsRef<str>, to: impl AsRef<str>) -> MoveFile {
        MoveFile::new(self, from.as_ref(), to.as_ref())
    }

    /// Copies an object at the server. `AlreadyExists` if there is one of that name, unless
    /// [`upsert`](CopyFile::upsert) is on.
    pub fn copy(&self, from: impl AsRef<str>, to: impl AsRef<str>) -> CopyFile {
        CopyFile::new(self, from.as_ref(), to.as_ref())
    }

    /// Deletes an object. `NotFound` if there is none.
    pub async fn delete(&self, key: impl AsRef<str>) -> Result<()> {
        self.client.delete(wire::delete(&self.at(key)?)).await
    }

    /// Deletes objects by their exact names, 1000 at a time, and answers those that were deleted. Names without an
    /// object, and objects that the caller may not delete, are left out of the answer.
    pub async fn remove(&self, keys: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Vec<FileObject>> {
        let keys: Vec<ObjectKey> =
            keys.into_iter().map(|key| Ok(self.at(key)?.key)).collect::<Result<_>>()?;
        let mut removed = Vec::new();
        for batch in batches(&keys) {
            removed.extend(self.remove_batch(batch).await?);
        }
        Ok(removed)
    }

    pub(crate) async fn remove_batch(&self, keys: &[ObjectKey]) -> Result<Vec<FileObject>> {
        let request = wire::remove(&self.name, keys.iter().map(ObjectKey::as_str))?;
        self.client.call(request).await?.json("a list of removed objects").await
    }

    /// Makes the caches in front of the service forget an object, or only its transformed images.
    #[doc(alias = "purgeCache")]
    pub async fn purge_cache(&self, key: impl AsRef<str>, transformed_only: bool) -> Result<()> {
        let at = self.at(key)?;
        self.client.purge(Some((&self.name, Some(&at.key))), transformed_only).await
    }

    /// Makes the caches in front of the service forget all objects of the bucket, or only their transformed images.
    #[doc(alias = "purgeBucketCache")]
    pub async fn purge_bucket_cache(&self, transformed_only: bool) -> Result<()> {
        self.client.purge(Some((&self.name, None)), transformed_only).await
    }
}

/// Names in groups that one call can take.
pub(crate) fn batches(keys: &[ObjectKey]) -> impl Iterator<Item = &[ObjectKey]> {
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |key: &&ObjectKey| {
            bytes += key.as_str().len() + 3;
            bytes <= MOST_NAMES
        };
        let count = rest.iter().take(MOST_REMOVED).take_while(fits).count();
        let (batch, left) = rest.split_at(count);
        rest = left;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use longshore_transport::RetryConfig;

    use super::*;
    use crate::testing::{reply, server};

    /// The answer to the first attempt was lost, and it did what it should.
    #[tokio::test]
    async fn what_a_repetition_finds_deleted_is() {
        let count = Arc::new(AtomicUsize::new(0));
        let server = server(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
            0 | 2 => None,
            _ => reply(400, &[], r#"{"statusCode":"404","message":"Object not found","code":"NoSuchKey"}"#),
        });
        let wait = Duration::from_millis(1);
        let client =
            Client::builder("http://h").retry(RetryConfig::default().waits(wait, wait)).service(server);
        let client = client.build().unwrap();
        let bucket = client.bucket("b").unwrap();
        bucket.delete("k").await.unwrap();
        client.buckets().delete("b").await.unwrap();
        assert_eq!(bucket.delete("k").await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn names_in_groups() {
        let keys: Vec<ObjectKey> =
            (0..2500).map(|n| ObjectKey::new(format!("{n:0>1000}")).unwrap()).collect();
        let sizes: Vec<usize> = batches(&keys).map(<[_]>::len).collect();
        assert_eq!(sizes.iter().sum::<usize>(), 2500);
        assert!(sizes.iter().all(|size| size * 1003 <= MOST_NAMES), "{sizes:?}");
        let short = vec![ObjectKey::new("k").unwrap(); 2001];
        assert_eq!(batches(&short).map(<[_]>::len).collect::<Vec<_>>(), [1000, 1000, 1]);
    }
}
