//! Roles.

use std::{future::IntoFuture, pin::Pin};

use longshore_core_types::{Error, ErrorKind, Result};

use crate::{AccessFlags, AuthnClient, BucketAcl, BucketId, ClusterAcl, NamespaceId, Role, wire};

/// Calls on roles, of [`AuthnClient::roles`]. Reading needs no rights, changing an administrator.
#[derive(Clone, Debug)]
#[doc(alias = "RoleManager")]
pub struct Roles {
    client: AuthnClient,
}

impl Roles {
    pub(crate) fn new(client: AuthnClient) -> Self {
        Self { client }
    }

    /// The client that makes the calls.
    pub fn client(&self) -> &AuthnClient {
        &self.client
    }

    /// All roles, in the order of their names. Retried.
    pub async fn list(&self) -> Result<Vec<Role>> {
        let mut roles: Vec<Role> = self.client.json(wire::list_roles()).await?;
        roles.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(roles)
    }

    /// One role. `NotFound` if there is none. Retried.
    pub async fn get(&self, name: &str) -> Result<Role> {
        self.client.json(wire::get_role(name)?).await
    }

    /// Creates a role; see [`CreateRole`].
    pub fn create(&self, name: impl Into<String>) -> CreateRole {
        CreateRole(Change::new(self.clone(), name.into()))
    }

    /// Changes a role; see [`UpdateRole`].
    pub fn update(&self, name: impl Into<String>) -> UpdateRole {
        UpdateRole(Change::new(self.clone(), name.into()))
    }

    /// Deletes a role and takes it from all users. `NotFound` if there is none, `PermissionDenied` for the
    /// built-in `Admin`. Retried.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.client.delete(wire::delete_role(name)?).await
    }
}

/// What a role shall be: clusters are named by id or alias until the service has been asked.
#[derive(Debug)]
struct Change {
    roles: Roles,
    name: String,
    description: String,
    clusters: Vec<(String, AccessFlags)>,
    buckets: Vec<(String, BucketId, AccessFlags)>,
}

impl Change {
    fn new(roles: Roles, name: String) -> Self {
        Self { roles, name, description: String::new(), clusters: Vec::new(), buckets: Vec::new() }
    }

    fn bucket(&mut self, cluster: String, provider: String, name: String, access: AccessFlags) {
        let bucket = BucketId { name, provider, namespace: NamespaceId::default() };
        self.buckets.push((cluster, bucket, access));
    }

    fn is_empty(&self) -> bool {
        self.description.is_empty() && self.clusters.is_empty() && self.buckets.is_empty()
    }

    /// The role with the ids of its clusters. `NotFound` if one is not registered.
    async fn resolve(&self) -> Result<Role> {
        let mut role =
            Role { name: self.name.clone(), description: self.description.clone(), ..Role::default() };
        let clusters = self.roles.client.clusters();
        for (cluster, access) in &self.clusters {
            let id = clusters.get(cluster).await?.id;
            role.clusters.push(ClusterAcl { id, alias: String::new(), access: *access });
        }
        for (cluster, bucket, access) in &self.buckets {
            let mut bucket = bucket.clone();
            bucket.namespace.uuid = clusters.get(cluster).await?.id;
            role.buckets.push(BucketAcl { bucket, access: *access });
        }
        Ok(role)
    }
}

macro_rules! setters {
    ($type:ident) => {
        impl $type {
            /// Says what the role is for.
            pub fn description(mut self, text: impl Into<String>) -> Self {
                self.0.description = text.into();
                self
            }

            /// Grants access to a cluster, named by id or alias, and to all buckets in it.
            pub fn cluster(mut self, cluster: impl Into<String>, access: AccessFlags) -> Self {
                self.0.clusters.push((cluster.into(), access));
                self
            }

            /// Grants access to one `ais` bucket of a cluster, named by id or alias.
            ///
            /// It replaces what the cluster's own entry says about this bucket, also downwards. Rights on
            /// the cluster, such as listing buckets, have no effect here.
            pub fn bucket(
                self,
                cluster: impl Into<String>,
                bucket: impl Into<String>,
                access: AccessFlags,
            ) -> Self {
                self.bucket_of(cluster, "ais", bucket, access)
            }

            /// The same for a bucket of another provider: `aws`, `azure`, `gcp`, `oci`.
            pub fn bucket_of(
                mut self,
                cluster: impl Into<String>,
                provider: impl Into<String>,
                bucket: impl Into<String>,
                access: AccessFlags,
            ) -> Self {
                self.0.bucket(cluster.into(), provider.into(), bucket.into(), access);
                self
            }
        }
    };
}

/// A role that is about to be created; `.await` creates it and returns it as it is stored.
///
/// Clusters are looked up first, so that an unknown one is `NotFound` and nothing is created. `AlreadyExists`
/// if the name is taken. Not retried once the service may have seen it.
#[must_use = "nothing is sent until it is awaited"]
#[derive(Debug)]
pub struct CreateRole(Change);

/// A change of a role that is about to be made; `.await` makes it and returns the role.
///
/// It is a merge: entries of the same cluster or bucket are overwritten, others stay. An entry cannot be
/// removed; give it [`AccessFlags::NONE`]. All users who have the role get the change at their next login. The
/// built-in `Admin` is `PermissionDenied`.
#[must_use = "nothing is sent until it is awaited"]
#[derive(Debug)]
pub struct UpdateRole(Change);

setters!(CreateRole);
setters!(UpdateRole);

type Pending = Pin<Box<dyn Future<Output = Result<Role>> + Send>>;

impl IntoFuture for CreateRole {
    type Output = Result<Role>;
    type IntoFuture = Pending;

    fn into_future(self) -> Pending {
        Box::pin(async move {
            let roles = self.0.roles.clone();
            crate::names::check("role", &self.0.name)?;
            let role = self.0.resolve().await?;
            roles.client.done(wire::create_role(&role)?).await?;
            roles.get(&role.name).await
        })
    }
}

impl IntoFuture for UpdateRole {
    type Output = Result<Role>;
    type IntoFuture = Pending;

    fn into_future(self) -> Pending {
        Box::pin(async move {
            let roles = self.0.roles.clone();
            crate::names::check_known("role", &self.0.name)?;
            if self.0.is_empty() {
                let message = "neither a description nor access to change";
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            let role = self.0.resolve().await?;
            roles.client.done(wire::update_role(&role)?).await?;
            roles.get(&role.name).await
        })
    }
}
