#![doc = include_str!("../README.md")]

mod analytics;
mod bucket;
mod buckets;
mod client;
mod config;
mod endpoint;
mod error;
mod keys;
mod model;
mod names;
#[cfg(feature = "s3")]
mod s3;
mod store;
mod store_list;
mod store_multipart;
#[cfg(test)]
mod testing;
mod transform;
mod vectors;
mod wire;

pub use analytics::{Analytics, AnalyticsBucket, ListAnalytics};
pub use bucket::{
    Bucket, CopyFile, Download, FileReader, ListFiles, ListFolder, MoveFile, PublicUrl, Resumable,
    ResumableUpload, SignUrl, SignedEntry, SignedUpload, UploadFile, UploadProgress,
};
pub use buckets::{BucketColumn, Buckets, CreateBucket, ListBuckets, UpdateBucket};
pub use client::Client;
pub use config::{ClientBuilder, HOSTED_PART_SIZE};
#[cfg(feature = "s3")]
pub use longshore_object_store::s3::AwsCredentials;
pub use model::{BucketInfo, BucketSettings, FileInfo, FileMetadata, FileObject, SizeLimit, Uploaded};
pub use names::{decode_key, encode_key, key_fault};
pub use store::Store;
pub use transform::{Format, Resize, Transform};
pub use vectors::{
    CreateIndex, DistanceMetric, FoundVector, GetVectors, IndexInfo, IndexPage, ListIndexes,
    ListVectorBuckets, ListVectors, QueryVectors, Vector, VectorBucket, VectorBucketInfo, VectorBucketPage,
    VectorIndex, VectorPage, Vectors,
};
pub use wire::{
    list::{FilePage, SortColumn, SortOrder},
    object::Access,
};
