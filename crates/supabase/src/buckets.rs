//! Calls that make, describe and delete buckets.

use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use longshore_core_types::{BucketName, Result};

use crate::{
    client::Client,
    model::{BucketInfo, BucketSettings, SizeLimit},
    names::bucket_name,
    wire::bucket::{self as wire, ListParams},
};

/// The buckets of a project; made by [`Client::buckets`].
#[derive(Clone, Debug)]
pub struct Buckets {
    client: Client,
}

impl Buckets {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// All buckets that the caller may see.
    #[doc(alias = "list_buckets")]
    pub fn list(&self) -> ListBuckets {
        ListBuckets { client: self.client.clone(), params: ListParams::default() }
    }

    /// A bucket by its id. `NotFound` if there is none that the caller may see.
    #[doc(alias = "get_bucket")]
    pub async fn get(&self, id: impl AsRef<str>) -> Result<BucketInfo> {
        let bucket = bucket_name(id.as_ref())?;
        self.client.call(wire::get(&bucket)).await?.json("a bucket").await
    }

    /// Makes a bucket. `AlreadyExists` if there is one of this id or name.
    #[doc(alias = "create_bucket")]
    pub fn create(&self, id: impl AsRef<str>) -> CreateBucket {
        let client = self.client.clone();
        CreateBucket { client, id: bucket_name(id.as_ref()), name: None, settings: BucketSettings::default() }
    }

    /// Changes the rules of a bucket.
    #[doc(alias = "update_bucket")]
    pub fn update(&self, id: impl AsRef<str>) -> UpdateBucket {
        let client = self.client.clone();
        UpdateBucket { client, id: bucket_name(id.as_ref()), settings: BucketSettings::default() }
    }

    /// Deletes all objects of a bucket. The service may go on with it after it has answered. Needs the service role.
    #[doc(alias = "empty_bucket")]
    pub async fn empty(&self, id: impl AsRef<str>) -> Result<()> {
        self.client.call(wire::empty(&bucket_name(id.as_ref())?)?).await?.done().await.map(drop)
    }

    /// Deletes a bucket that is empty; `Conflict` if it is not.
    #[doc(alias = "delete_bucket")]
    pub async fn delete(&self, id: impl AsRef<str>) -> Result<()> {
        self.client.delete(wire::delete(&bucket_name(id.as_ref())?)?).await
    }
}

/// A list of buckets; see [`Buckets::list`]. Without an order unless it is sorted; a search takes upper and lower case for
/// the same.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListBuckets {
    client: Client,
    params: ListParams,
}

/// By what a list of buckets is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketColumn {
    /// By id.
    Id,
    /// By name.
    Name,
    /// By the time they were made.
    CreatedAt,
    /// By the time of their last change.
    UpdatedAt,
}

impl BucketColumn {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }
}

/// What a list of buckets, which has `client` and `params`, offers; it is fetched by `request`.
macro_rules! bucket_list {
    ($list:ident of $item:ty, $request:path, $what:literal) => {
        impl $list {
            /// So many at most; all by default.
            pub fn limit(mut self, most: u32) -> Self {
                self.params.limit = Some(most);
                self
            }

            /// Leaves out the first so many.
            pub fn offset(mut self, first: u64) -> Self {
                self.params.offset = Some(first);
                self
            }

            /// Only those whose names contain this.
            pub fn search(mut self, text: impl Into<String>) -> Self {
                self.params.search = Some(text.into());
                self
            }

            /// Sorts them.
            pub fn sort_by(mut self, column: $crate::BucketColumn, order: $crate::SortOrder) -> Self {
                self.params.sort = Some((column.as_str(), order.as_str()));
                self
            }
        }

        impl std::future::IntoFuture for $list {
            type Output = Result<Vec<$item>>;
            type IntoFuture = futures_core::future::BoxFuture<'static, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move { self.client.call($request(&self.params)?).await?.json($what).await })
            }
        }
    };
}

pub(crate) use bucket_list;

bucket_list!(ListBuckets of BucketInfo, wire::list, "a list of buckets");

macro_rules! settings {
    () => {
        /// Whether everybody can read its objects. A new bucket is private.
        pub fn public(mut self, public: bool) -> Self {
            self.settings.public = Some(public);
            self
        }

        /// Refuses objects over this size: bytes, or [`SizeLimit::Text`] with a unit.
        pub fn file_size_limit(mut self, limit: impl Into<SizeLimit>) -> Self {
            self.settings.file_size_limit = Some(Some(limit.into()));
            self
        }

        /// Takes objects of any size that the service allows.
        pub fn no_file_size_limit(mut self) -> Self {
            self.settings.file_size_limit = Some(None);
            self
        }

        /// Takes these content types only, such as `image/png` or `image/*`. The server compares them letter by
        /// letter, parameters included.
        pub fn allowed_mime_types(mut self, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
            let types = types.into_iter().map(Into::into).collect();
            self.settings.allowed_mime_types = Some(Some(types));
            self
        }

        /// Takes all content types.
        pub fn any_mime_type(mut self) -> Self {
            self.settings.allowed_mime_types = Some(None);
            self
        }

        /// Replaces all of these rules.
        pub fn settings(mut self, settings: BucketSettings) -> Self {
            self.settings = settings;
            self
        }
    };
}

/// A bucket that is to be made; see [`Buckets::create`].
#[derive(Debug)]
#[must_use = "nothing is made until it is awaited"]
pub struct CreateBucket {
    client: Client,
    id: Result<BucketName>,
    name: Option<String>,
    settings: BucketSettings,
}

impl CreateBucket {
    /// A name that is not its id. Calls go by the id.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    settings!();
}

impl IntoFuture for CreateBucket {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::create(&self.id?, self.name.as_deref(), &self.settings)?;
            self.client.call(request).await?.done().await.map(drop)
        })
    }
}

/// A change of a bucket's rules; see [`Buckets::update`]. What is not set stays as it is.
#[derive(Debug)]
#[must_use = "nothing is changed until it is awaited"]
pub struct UpdateBucket {
    client: Client,
    id: Result<BucketName>,
    settings: BucketSettings,
}

impl UpdateBucket {
    settings!();
}

impl IntoFuture for UpdateBucket {
    type Output = Result<()>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::update(&self.id?, &self.settings)?;
            self.client.call(request).await?.done().await.map(drop)
        })
    }
}
