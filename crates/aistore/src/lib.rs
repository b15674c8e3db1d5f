#![doc = include_str!("../README.md")]

mod bucket;
mod checksums;
mod client;
mod cluster;
mod config;
mod direct;
mod endpoint;
mod error;
mod names;
mod object;
mod smap;
mod store;
mod store_list;
mod store_multipart;
mod verify;
mod wire;

pub use bucket::{
    Bucket, BucketPatch, BucketProps, CreateBucket, DeleteBucket, ListEntry, ListFlags, ListObjects,
    ListPage, ListProp,
};
pub use client::Client;
pub use cluster::Cluster;
pub use config::ClientBuilder;
pub use names::{BucketRef, Provider};
pub use object::{
    ArchiveFormat, ArchiveMode, ArchiveSelect, BlobRead, ChunkProps, CopyObject, EcProps, EtlCall, GetObject,
    HeadObject, HeadProp, LockState, Object, ObjectProps, ObjectReader, Presence, PutObject,
};
pub use smap::{ClusterMap, Node, NodeAddress};
pub use store::Store;
