//! Analytics buckets: warehouses of Iceberg tables.

use std::time::SystemTime;

use longshore_core_types::{Result, Secret};
use serde::Deserialize;

use crate::{
    buckets::bucket_list,
    client::Client,
    model::time,
    wire::{analytics as wire, bucket::ListParams},
};

/// The analytics buckets of a project; made by [`Client::analytics`]. All calls need the service role.
///
/// A bucket is the warehouse of an Iceberg catalog. What is in it is for an Iceberg client, which is set up with
/// [`catalog`](Self::catalog).
#[derive(Clone, Debug)]
pub struct Analytics {
    client: Client,
}

/// An analytics bucket, as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct AnalyticsBucket {
    /// Its id.
    pub id: String,
    /// Its name, which is its id.
    pub name: String,
    /// When it was made.
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<SystemTime>,
    /// When its description changed.
    #[serde(default, deserialize_with = "time")]
    pub updated_at: Option<SystemTime>,
}

impl Analytics {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes a bucket. `AlreadyExists` if there is one of this name. Not repeated after a failure.
    pub async fn create(&self, name: impl AsRef<str>) -> Result<AnalyticsBucket> {
        self.client.call(wire::create(name.as_ref())?).await?.json("an analytics bucket").await
    }

    /// All analytics buckets, by name unless it is said otherwise.
    pub fn list(&self) -> ListAnalytics {
        ListAnalytics { client: self.client.clone(), params: ListParams::default() }
    }

    /// Deletes a bucket. `NotFound` if there is none.
    pub async fn delete(&self, name: impl AsRef<str>) -> Result<()> {
        self.client.delete(wire::delete(name.as_ref())?).await
    }

    /// The properties by which an Iceberg client finds the catalog of a bucket, under the names that such clients agree
    /// on (`uri`, `warehouse`, `token`, `s3.endpoint`, ...). No I/O.
    ///
    /// Data files are read and written through the S3 endpoint of the project, so it takes a key of its S3 settings.
    pub fn catalog(
        &self,
        name: impl Into<String>,
        s3_access_key: impl Into<Secret>,
        s3_secret_key: impl Into<Secret>,
    ) -> Vec<(&'static str, Secret)> {
        let base = self.client.endpoint();
        let mut properties = vec![
            ("type", Secret::from("rest")),
            ("uri", Secret::from(format!("{base}/iceberg"))),
            ("warehouse", Secret::from(name.into())),
            ("s3.endpoint", Secret::from(format!("{base}/s3"))),
            ("s3.access-key-id", s3_access_key.into()),
            ("s3.secret-access-key", s3_secret_key.into()),
            ("s3.force-virtual-addressing", Secret::from("False")),
        ];
        properties.extend(self.client.api_key().map(|key| ("token", key)));
        properties
    }
}

/// A list of analytics buckets; see [`Analytics::list`]. By name unless it is sorted otherwise; a search tells upper and lower
/// case apart.
#[derive(Clone, Debug)]
#[must_use = "nothing is listed until it is awaited"]
pub struct ListAnalytics {
    client: Client,
    params: ListParams,
}

bucket_list!(ListAnalytics of AnalyticsBucket, wire::list, "a list of analytics buckets");

#[cfg(test)]
mod tests {
    use longshore_core_types::ErrorKind;

    use super::*;

    #[test]
    fn an_iceberg_client_is_told_all_it_needs() {
        let client = Client::builder("https://ref.supabase.co").key("sesame-key").build().unwrap();
        let properties = client.analytics().catalog("lake", "id", "sesame-secret");
        assert!(!format!("{properties:?}").contains("sesame"));
        let get = |name: &str| {
            properties.iter().find(|(found, _)| *found == name).map(|(_, value)| value.expose().to_owned())
        };
        assert_eq!(get("uri").unwrap(), "https://ref.supabase.co/storage/v1/iceberg");
        assert_eq!(get("s3.endpoint").unwrap(), "https://ref.supabase.co/storage/v1/s3");
        assert_eq!((get("warehouse").unwrap(), get("token").unwrap()), ("lake".into(), "sesame-key".into()));
    }

    #[tokio::test]
    async fn nameless_buckets_are_refused() {
        let buckets = Client::builder("http://h").build().unwrap().analytics();
        assert_eq!(buckets.create("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(buckets.delete("").await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(buckets.list().limit(0).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
