//! Credentials of one bucket, asked for once and renewed before they expire.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use longshore_core_types::Result;
use longshore_object_store::credentials::{self, CredentialSource, Issued, Issuer};

use crate::{
    client::Client,
    model::{BucketCredentials, CredentialMap},
};

/// The buckets service, as far as it issues credentials of one bucket.
#[derive(Debug)]
struct Service {
    client: Client,
    bucket: String,
}

fn issued(map: CredentialMap) -> Issued<CredentialMap> {
    match map.expires_at() {
        Some(end) => Issued::new(map).until(end.into()),
        None => Issued::new(map),
    }
}

impl Issuer for Service {
    type Credentials = CredentialMap;

    async fn issue(&self) -> Result<Issued<CredentialMap>> {
        let found = self.client.buckets().temporary_credentials(&self.bucket).await?;
        Ok(issued(found.credentials))
    }
}

/// Credentials that stay good. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Renewing(Arc<credentials::Renewing<Service>>);

impl Renewing {
    pub(crate) fn new(client: Client, found: BucketCredentials) -> Self {
        let service = Service { client, bucket: found.bucket_id };
        let renewing = credentials::Renewing::new(service).starting_with(issued(found.credentials));
        Self(Arc::new(renewing))
    }

    /// Credentials that are good for a while.
    pub(crate) async fn get(&self) -> Result<CredentialMap> {
        self.0.credentials().await
    }

    /// Whether what is signed with them is good for so long.
    pub(crate) async fn last(&self, time: Duration) -> Result<bool> {
        let Some(end) = self.get().await?.expires_at() else { return Ok(true) };
        let left = Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default();
        Ok(left > time)
    }

    /// Says that a store refused them.
    pub(crate) fn invalidate(&self) {
        self.0.invalidate();
    }
}
