//! What AuthN and the cluster agree on: access bits, access lists, signed tokens.

mod acl;
pub(crate) mod bits;
mod jwt;

pub(crate) use acl::{BucketAcl, BucketRef, ClusterAcl, NamespaceRef};
pub(crate) use bits::{Bits, CLUSTER_BITS, describe};
pub(crate) use jwt::{Claims, now_seconds, presented, remaining, sign, verify};
