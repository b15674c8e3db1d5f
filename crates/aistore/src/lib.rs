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
mod endpoint;
mod error;
mod etl;
mod facts;
mod group;
mod job;
mod names;
mod object;
mod pace;
mod smap;
mod store;
mod store_list;
mod store_multipart;
mod verify;
mod wire;

pub use batch::{BatchBuilder, BatchItem, BatchStream};
pub use bucket::{
    Bucket, BucketPatch, BucketProps, BucketSummary, CopyBucket, CreateBucket, DeleteBucket, Info, ListEntry,
    ListFlags, ListObjects, ListPage, ListProp, Summary,
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
    EcProps, EtlCall, GetObject, HeadObject, HeadProp, LockState, Object, ObjectProps, ObjectReader,
    Presence, Promote, PutObject,
};
pub use smap::{ClusterMap, Node, NodeAddress};
pub use store::Store;
