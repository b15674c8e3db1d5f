#![doc = include_str!("../README.md")]

mod access;
mod client;
mod clusters;
mod credentials;
mod error;
mod login;
mod names;
mod roles;
mod token;
mod tokens;
mod users;
mod wire;

pub use access::AccessFlags;
pub use client::{AuthnClient, AuthnClientBuilder};
pub use clusters::Clusters;
pub use credentials::{EnvToken, LoginCredentials, TokenFile};
pub use login::{Login, TokenLifetime};
pub use roles::{CreateRole, Roles, UpdateRole};
pub use token::{Claims, Token};
pub use tokens::Tokens;
pub use users::{CreateUser, UpdateUser, Users};
pub use wire::{BucketAcl, BucketId, Cluster, ClusterAcl, NamespaceId, Role, User};
