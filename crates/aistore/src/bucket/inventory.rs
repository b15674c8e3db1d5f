//! Inventories: listings of remote buckets that the cluster keeps.

use std::{future::IntoFuture, time::SystemTime};

use futures_core::future::BoxFuture;
use longshore_core_types::Result;

use super::{Bucket, ListProp, admin::start_one};
use crate::{
    job::{Job, JobKind},
    wire::inventory::{self as wire, InventoryParams},
};

/// Longest answer about inventories that is read.
const LIMIT: usize = 16 << 20;

/// Inventories are for remote buckets: on a bucket of the cluster itself one would bring every target down, so it is
/// refused. [`ListObjects::inventory`](super::ListObjects::inventory) lists from one.
impl Bucket {
    /// Makes an inventory of it. Awaiting it answers the job.
    pub fn create_inventory(&self) -> CreateInventory {
        CreateInventory { bucket: self.clone(), params: InventoryParams::default() }
    }

    /// Its inventories.
    #[doc(alias = "show_inventory")]
    pub async fn inventories(&self) -> Result<Vec<Inventory>> {
        self.show("").await
    }

    /// One inventory; `None` if there is none of this name.
    pub async fn inventory(&self, name: &str) -> Result<Option<Inventory>> {
        crate::names::invalid_if(name.is_empty(), "an inventory has a name")?;
        Ok(self.show(name).await?.into_iter().find(|inventory| inventory.name == name))
    }

    async fn show(&self, name: &str) -> Result<Vec<Inventory>> {
        let answer = self.client.call(wire::show(&self.reference, name)?).await?;
        let call = answer.call.clone();
        wire::parse(&answer.bytes(LIMIT).await?).map_err(|error| error.with_call(&call))
    }

    /// Removes one inventory.
    #[doc(alias = "destroy_inventory")]
    pub async fn delete_inventory(&self, name: &str) -> Result<()> {
        // To the server, no name is all of them.
        crate::names::invalid_if(name.is_empty(), "an inventory has a name")?;
        self.client.call(wire::destroy(&self.reference, name)?).await?.done().await.map(drop)
    }

    /// Removes all its inventories.
    pub async fn delete_inventories(&self) -> Result<()> {
        self.client.call(wire::destroy(&self.reference, "")?).await?.done().await.map(drop)
    }
}

/// The making of an inventory; see [`Bucket::create_inventory`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until it is awaited"]
pub struct CreateInventory {
    bucket: Bucket,
    params: InventoryParams,
}

impl CreateInventory {
    /// Its name; the cluster makes one up by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.params.name = name.into();
        self
    }

    /// Only names that start with this.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.params.prefix = prefix.into();
        self
    }

    /// What it holds of each object; name, size, and whether the cluster has it by default.
    pub fn props(mut self, props: impl IntoIterator<Item = ListProp>) -> Self {
        self.params.props = props.into_iter().collect();
        self
    }

    /// Names of a chunk, 2 to 640,000; 20,000 by default.
    pub fn names_per_chunk(mut self, names: u32) -> Self {
        self.params.names_per_chunk = Some(names);
        self
    }

    /// Removes all inventories that the bucket has before.
    #[doc(alias = "force")]
    pub fn replace(mut self, replace: bool) -> Self {
        self.params.replace = replace;
        self
    }
}

impl IntoFuture for CreateInventory {
    type Output = Result<Job>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = wire::create(&self.bucket.reference, &self.params)?;
            start_one(&self.bucket.client, request, JobKind::CreateInventory).await
        })
    }
}

/// A listing of a remote bucket that the cluster keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inventory {
    /// Its name.
    pub name: String,
    /// The object of the cluster that holds it.
    pub object: String,
    /// What all its names start with.
    pub prefix: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its names.
    pub names: u64,
    /// Its chunks.
    pub chunks: u64,
    /// When its making began.
    pub started: Option<SystemTime>,
    /// When it was done; `None` while it is being made.
    pub finished: Option<SystemTime>,
}
