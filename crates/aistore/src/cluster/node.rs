//! What single nodes say about themselves.

use std::collections::BTreeMap;

use longshore_core_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::smap::{Node, loose_u64};

/// State, counters and capacity of one node.
#[doc(alias = "NodeStats")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The node.
    pub node: Node,
    /// `None` while it takes part; else what is done with it, `maintenance` or `decommission`.
    pub out_of_service: Option<String>,
    /// Version of its software.
    pub version: String,
    /// How it was set up, such as `K8s`, `linux` or `dev`.
    pub deployment: String,
    /// What it counted.
    pub counters: Counters,
    /// Its disks.
    pub capacity: Capacity,
    /// What it is busy with, and what is wrong with it.
    pub state: NodeState,
    /// The machine it runs on.
    pub system: SystemInfo,
    raw: Value,
}

impl NodeStatus {
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Wire {
            snode: Node,
            #[serde(default)]
            status: String,
            #[serde(default)]
            ais_version: String,
            #[serde(default)]
            deployment: String,
            #[serde(default)]
            tracker: Counters,
            #[serde(default)]
            capacity: Capacity,
            #[serde(default)]
            cluster: WireCluster,
            #[serde(default)]
            sys_info: SystemInfo,
        }
        #[derive(Default, Deserialize)]
        struct WireCluster {
            #[serde(default)]
            flags: u64,
        }
        let raw: Value = crate::wire::from_json(body, "the state of a node")?;
        let wire = Wire::deserialize(&raw).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the answer is not the state of a node")
                .with_response_excerpt(body)
                .with_source(error)
        })?;
        Ok(Self {
            node: wire.snode,
            out_of_service: (!wire.status.is_empty()).then_some(wire.status),
            version: wire.ais_version,
            deployment: wire.deployment,
            counters: wire.tracker,
            capacity: wire.capacity,
            state: NodeState(wire.cluster.flags),
            system: wire.sys_info,
            raw,
        })
    }

    /// Everything that it said, in the layout of its version.
    pub fn raw(&self) -> &Value {
        &self.raw
    }
}

/// What a node has counted since it started, by the server's names such as `get.n` and `put.size`.
///
/// Names that end in `.n` count operations, `.size` bytes, `.ns` nanoseconds. A counter that was never moved is
/// missing and counts as 0. A node renews them every ten seconds or so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// One of them.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// How much each has grown since an earlier look at the same node. Of a node that was restarted in between, what it
    /// has counted since.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let restarted = self.get("up.ns.time") < earlier.get("up.ns.time");
        let growth = |(name, value): (&String, &i64)| {
            let before = if restarted { 0 } else { earlier.get(name) };
            (name.clone(), value.saturating_sub(before))
        };
        Self(self.0.iter().map(growth).collect())
    }
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Loose {
            Number(i64),
            Text(String),
            Other(serde::de::IgnoredAny),
        }
        let all: Option<BTreeMap<String, Loose>> = Deserialize::deserialize(deserializer)?;
        let number = |(name, value)| match value {
            Loose::Number(number) => Some((name, number)),
            Loose::Text(text) => Some((name, text.parse().ok()?)),
            Loose::Other(_) => None,
        };
        Ok(Self(all.unwrap_or_default().into_iter().filter_map(number).collect()))
    }
}

/// What a node is busy with, and what is wrong with it. Bits; combine and test with [`contains`](Self::contains).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeState(pub(crate) u64);

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl NodeState {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// The names of the bits that are set.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((Self::$name, $text)),*].into_iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| name)
            }
        }
    };
}

states! {
    /// Gateways elect a primary.
    VOTING = 0, "voting";
    /// The cluster has started.
    CLUSTER_STARTED = 1, "cluster-started";
    /// The node has started.
    NODE_STARTED = 2, "node-started";
    /// It moves objects to where they belong.
    REBALANCING = 3, "rebalancing";
    /// A rebalance was stopped, or ended by a crash: objects are not where they belong.
    REBALANCE_INTERRUPTED = 4, "rebalance-interrupted";
    /// It moves objects between its disks.
    RESILVERING = 5, "resilvering";
    /// Moving objects between disks was stopped.
    RESILVER_INTERRUPTED = 6, "resilver-interrupted";
    /// It was restarted after a crash.
    RESTARTED = 7, "restarted";
    /// Out of disk space.
    OUT_OF_SPACE = 8, "out-of-space";
    /// Out of memory.
    OUT_OF_MEMORY = 9, "out-of-memory";
    /// Under maintenance.
    MAINTENANCE = 10, "maintenance";
    /// Little disk space.
    LOW_CAPACITY = 11, "low-capacity";
    /// Little memory.
    LOW_MEMORY = 12, "low-memory";
    /// A disk fails.
    DISK_FAULT = 13, "disk-fault";
    /// Its certificate expires soon.
    CERTIFICATE_EXPIRES = 16, "certificate-expires";
    /// Its certificate has expired.
    CERTIFICATE_EXPIRED = 17, "certificate-expired";
    /// Its certificate is not valid.
    CERTIFICATE_INVALID = 18, "certificate-invalid";
    /// Other nodes fail to reach it.
    KEEP_ALIVE_ERRORS = 19, "keep-alive-errors";
    /// Out of processor time.
    OUT_OF_CPU = 20, "out-of-cpu";
    /// Little processor time.
    LOW_CPU = 21, "low-cpu";
    /// A disk is full.
    DISK_FULL = 22, "disk-full";
    /// A disk is nearly full.
    DISK_LOW = 23, "disk-low";
}

impl NodeState {
    /// The bits as one number.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Disk space of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Capacity {
    /// Bytes in use, of all its disks.
    #[serde(rename = "total_used", default, deserialize_with = "loose_u64")]
    pub used: u64,
    /// Bytes that are free.
    #[serde(rename = "total_avail", default, deserialize_with = "loose_u64")]
    pub available: u64,
    /// Percentage in use of the fullest disk.
    #[serde(rename = "pct_max", default)]
    pub fullest_percent: u64,
    /// What is wrong, if anything is.
    #[serde(rename = "cs_err", default, deserialize_with = "text_or_none")]
    pub error: Option<String>,
    /// Its disks, by the path they are mounted at.
    #[serde(default, alias = "MountPaths", deserialize_with = "crate::wire::bucket::null_default")]
    pub mountpaths: BTreeMap<String, Mountpath>,
}

/// One disk, or several that are one file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Mountpath {
    /// Its disks.
    #[serde(default, deserialize_with = "crate::wire::bucket::null_default")]
    pub disks: Vec<String>,
    /// Bytes in use.
    #[serde(default, deserialize_with = "loose_u64")]
    pub used: u64,
    /// Bytes that are free.
    #[serde(rename = "avail", default, deserialize_with = "loose_u64")]
    pub available: u64,
    /// Percentage in use.
    #[serde(rename = "pct_used", default)]
    pub used_percent: u64,
}

/// The machine that a node runs on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct SystemInfo {
    /// Memory that the node uses, in bytes.
    #[serde(rename = "mem_used", default)]
    pub memory_used: u64,
    /// Memory that is free on the machine, in bytes.
    #[serde(rename = "mem_avail", default)]
    pub memory_available: u64,
    /// Percentage of the processors that the node uses.
    #[serde(rename = "pct_cpu_used", default)]
    pub cpu_percent: f64,
    /// Load of the machine.
    #[serde(rename = "load_avg", default)]
    pub load: LoadAverage,
    /// Bytes in use on the disks of a target; 0 where nothing is said.
    #[serde(rename = "fs_used", default, deserialize_with = "loose_u64")]
    pub disk_used: u64,
    /// Size of the disks of a target in bytes; 0 where nothing is said.
    #[serde(rename = "fs_capacity", default, deserialize_with = "loose_u64")]
    pub disk_size: u64,
}

/// Processes that run or wait, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LoadAverage {
    /// Over one minute.
    #[serde(rename = "One", default)]
    pub one: f64,
    /// Over five minutes.
    #[serde(rename = "Five", default)]
    pub five: f64,
    /// Over fifteen minutes.
    #[serde(rename = "Fifteen", default)]
    pub fifteen: f64,
}

/// Counters and capacity of one node.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct NodeStats {
    /// The node.
    #[serde(rename = "snode")]
    pub node: Node,
    /// What it counted.
    #[serde(rename = "tracker", default)]
    pub counters: Counters,
    /// Its disks.
    #[serde(default)]
    pub capacity: Capacity,
}

/// Counters and capacity of the nodes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterStats {
    /// The gateway that was asked.
    pub gateway: NodeStats,
    /// All targets that are in service, by id.
    pub targets: BTreeMap<String, NodeStats>,
}

/// The machines of a cluster.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SystemOverview {
    /// Those of gateways, by id.
    pub gateways: BTreeMap<String, SystemInfo>,
    /// Those of targets, by id.
    pub targets: BTreeMap<String, SystemInfo>,
}

fn text_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(pairs: &[(&str, i64)]) -> Counters {
        Counters(pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    #[test]
    fn layouts_of_several_versions() {
        let body = br#"{"snode":{"daemon_id":"t1"},"status":"maintenance","tracker":null,
            "capacity":{"mountpaths":null,"cs_err":"","total_used":"7"},"cluster":{"flags":2097162}}"#;
        let status = NodeStatus::parse(body).unwrap();
        assert_eq!(status.out_of_service.as_deref(), Some("maintenance"));
        assert_eq!((status.counters.get("get.n"), status.capacity.used), (0, 7));
        assert!(status.state.contains(NodeState::REBALANCING));
        assert!(!status.state.contains(NodeState::REBALANCE_INTERRUPTED));
        let names: Vec<_> = status.state.names().collect();
        assert_eq!(names, ["cluster-started", "rebalancing", "low-cpu"]);
        let body = br#"{"snode":{"daemon_id":"t1"},"tracker":{"get.n":3,"put.n":"4","odd":{}},
            "capacity":{"MountPaths":{"/mp":{"fs":"/dev/sda1","used":"1","avail":"2","pct_used":33}}}}"#;
        let status = NodeStatus::parse(body).unwrap();
        assert_eq!((status.counters.get("get.n"), status.counters.get("put.n")), (3, 4));
        assert_eq!(status.capacity.mountpaths["/mp"].available, 2);
        assert_eq!(NodeStatus::parse(b"{}").unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn growth_of_counters() {
        let before = counters(&[("get.n", 10), ("up.ns.time", 100)]);
        let after = counters(&[("get.n", 13), ("put.n", 2), ("up.ns.time", 200)]);
        assert_eq!(after.since(&before), counters(&[("get.n", 3), ("put.n", 2), ("up.ns.time", 100)]));
        let restarted = counters(&[("get.n", 4), ("up.ns.time", 50)]);
        assert_eq!(restarted.since(&before), restarted);
    }
}
