#![doc = include_str!("../README.md")]

mod batch;
mod bucket;
mod client;
mod cluster;
mod collection;
mod config;
mod direct;
mod download;
mod dsort;
mod error;
mod etl;
mod facts;
mod group;
mod job;
mod names;
mod object;
mod shards;
mod smap;
mod store;
mod store_list;
mod store_multipart;
mod tar;
mod uploads;
mod verify;
mod wait;
mod wildcard;
mod wire;

pub use batch::{BatchBuilder, BatchItem, BatchStream};
pub use bucket::{
    Bucket, BucketPatch, BucketProps, BucketSummary, CopyBucket, CreateBucket, CreateInventory, DeleteBucket,
    Info, Inventory, ListArchive, ListEntry, ListFlags, ListObjects, ListPage, ListProp, PutFiles, Summary,
    UploadedFile,
};
pub use client::Client;
pub use cluster::{
    Capacity, Cluster, ClusterStats, Counters, LoadAverage, LogSeverity, Mountpath, NodeLog, NodeState,
    NodeStats, NodeStatus, RemoteCluster, Stability, SystemInfo, SystemOverview,
};
pub use collection::Collection;
pub use config::ClientBuilder;
pub use download::{
    Download, DownloadError, DownloadStatus, DownloadTask, ListDownloads, StartDownload, WaitDownload,
};
pub use dsort::{
    Dsort, DsortAlgorithm, DsortInfo, DsortKey, DsortOutcome, DsortPhase, DsortSize, DsortSpec, Dsorter,
    ListDsorts, WaitDsort,
};
pub use etl::{
    Etl, EtlCommunication, EtlDetails, EtlHealth, EtlInfo, EtlLog, EtlMetrics, EtlObjectError, EtlSpec,
    EtlStage, InitEtl, PythonVersion,
};
pub use group::{ArchiveGroup, CopyGroup, GroupCall, ObjectGroup, Prefetch};
pub use job::{Job, JobKind, JobOutcome, JobSnapshot, JobStats, JobStatus, StartJob, WaitJob};
pub use names::{BucketRef, Provider};
pub use object::{
    AppendSession, ArchiveFormat, ArchiveMode, ArchiveSelect, BlobDownload, BlobRead, ChunkProps, CopyObject,
    EcProps, EtlCall, GetObject, HeadObject, HeadProp, LockState, MultipartUpload, Object, ObjectFile,
    ObjectProps, ObjectReader, ObjectWriter, OpenObject, Presence, Promote, PutObject, ReadBuffer,
    StartUpload, WriteObject,
};
pub use shards::{Member, Sample, Samples, ShardInfo, ShardReader, ShardWriter, WriteDataset};
pub use smap::{ClusterMap, Node, NodeAddress};
pub use store::Store;
pub use wait::Wait;

/// The guide for users, whose example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/aistore.md")]
struct Guide;
