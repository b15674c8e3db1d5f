//! The cluster map, and which target holds an object.

use std::collections::BTreeMap;

use http::Method;
use longshore_core_types::{Error, ErrorKind, Idempotency, Result};
use longshore_transport::BaseUrl;
use serde::{Deserialize, Deserializer};
use twox_hash::XxHash64;

use crate::wire::{Request, from_json};

/// Seed of every hash that places objects.
const SEED: u64 = 1_103_515_245;

/// The nodes of a cluster, at one moment.
#[doc(alias = "Smap")]
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ClusterMap {
    /// Gateways by id.
    #[serde(rename = "pmap", default)]
    pub gateways: BTreeMap<String, Node>,
    /// Targets by id.
    #[serde(rename = "tmap", default)]
    pub targets: BTreeMap<String, Node>,
    /// The gateway that decides.
    #[serde(rename = "proxy_si")]
    pub primary: Node,
    /// Id of the cluster.
    #[serde(default)]
    pub uuid: String,
    /// When the cluster was made, in UTC.
    #[serde(default)]
    pub creation_time: String,
    /// Grows with every change.
    #[serde(default, deserialize_with = "loose_u64")]
    pub version: u64,
}

/// One gateway or target.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Node {
    /// Its id.
    #[serde(rename = "daemon_id")]
    pub id: String,
    /// Where clients reach it.
    #[serde(default)]
    pub public_net: NodeAddress,
    /// Where nodes reach it for control messages.
    #[serde(default)]
    pub intra_control_net: NodeAddress,
    /// Where nodes reach it for data.
    #[serde(default)]
    pub intra_data_net: NodeAddress,
    /// Bit set of states; see [`in_service`](Self::in_service).
    #[serde(default)]
    pub flags: u64,
    /// Hash of the id, which places objects.
    #[serde(default, deserialize_with = "loose_u64")]
    pub id_digest: u64,
}

/// Address of a node in one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct NodeAddress {
    /// Host name or IP address.
    #[serde(rename = "node_ip_addr", default)]
    pub host: String,
    /// Port in decimal digits.
    #[serde(rename = "daemon_port", default)]
    pub port: String,
    /// Base URL.
    #[serde(rename = "direct_url", default)]
    pub url: String,
}

/// Large numbers come quoted from some versions and bare from others.
pub(crate) fn loose_u64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose {
        Number(u64),
        Text(String),
    }
    match Loose::deserialize(deserializer)? {
        Loose::Number(number) => Ok(number),
        Loose::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

impl Node {
    const MAINTENANCE: u64 = 1 << 2;
    const DECOMMISSION: u64 = 1 << 3;

    /// Whether it takes part in placing objects: not under maintenance and not being decommissioned.
    pub fn in_service(&self) -> bool {
        self.flags & (Self::MAINTENANCE | Self::DECOMMISSION) == 0
    }

    fn digest(&self) -> u64 {
        // Some versions leave the digest out; it is the hash of the id in any case.
        if self.id_digest == 0 { XxHash64::oneshot(SEED, self.id.as_bytes()) } else { self.id_digest }
    }
}

impl ClusterMap {
    pub(crate) fn request() -> Request {
        Request::new(Method::GET, "/v1/daemon", "aistore.cluster.map", Idempotency::Idempotent)
            .query("what", "smap")
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        from_json(body, "a cluster map")
    }

    /// The target that holds the object of this uname (`provider/@uuid#namespace/bucket/object`), which is
    /// the one with the highest random weight. An error if no target is in service.
    pub fn target_of(&self, uname: &str) -> Result<&Node> {
        let digest = XxHash64::oneshot(SEED, uname.as_bytes());
        let in_service = self.targets.values().filter(|node| node.in_service());
        in_service
            .max_by_key(|node| mix(node.digest() ^ digest))
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the cluster has no target in service"))
    }

    /// Base URLs of all nodes, as clients reach them.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = BaseUrl> {
        let nodes = self.gateways.values().chain(self.targets.values());
        nodes.filter_map(|node| BaseUrl::parse(&node.public_net.url, "a node").ok())
    }
}

/// Spreads a hash evenly: two rounds of `SplitMix64` and a final of `xoshiro256**`.
fn mix(seed: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let round = |z: u64| {
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let first = round(seed.wrapping_add(GOLDEN)).wrapping_add(GOLDEN);
    round(first).wrapping_mul(5).rotate_left(7).wrapping_mul(9)
}

/// The marks that a target wants on a request that a gateway redirected: which gateway, and when, in
/// nanoseconds since 1970 and base 36.
pub(crate) fn redirect_marks(map: &ClusterMap, now: std::time::SystemTime) -> [(&'static str, String); 2] {
    let nanos = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    [("pid", map.primary.id.clone()), ("utm", base36(nanos))]
}

fn base36(mut number: u128) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixing_matches_the_published_vectors() {
        for (seed, expected) in [
            (0, 1_905_207_664_160_064_169),
            (1, 14_233_695_028_433_725_123),
            (4_573_842, 5_026_071_747_115_404_967),
            (u64::MAX, 10_227_601_306_713_020_730),
        ] {
            assert_eq!(mix(seed), expected);
        }
        assert_eq!(XxHash64::oneshot(SEED, b"ais/@#/bck/obj"), 7_636_710_260_493_408_699);
    }

    #[test]
    fn recorded_placements() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/wire/aistore/hrw-vectors.json");
        let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut checked = 0;
        for set in vectors["sets"].as_array().unwrap() {
            let map = map_of(&set["smap"]);
            for vector in set["vectors"].as_array().unwrap() {
                let text = |name: &str| vector[name].as_str().unwrap();
                let uname = format!("{}/{}", text("bucket"), text("name"));
                assert_eq!(map.target_of(&uname).unwrap().id, text("target"), "{uname}");
                checked += 1;
            }
        }
        assert_eq!(checked, 410);
    }

    fn map_of(smap: &serde_json::Value) -> ClusterMap {
        let targets = smap["targets"].as_array().unwrap().iter();
        let targets: serde_json::Map<_, _> =
            targets.map(|t| (t["daemon_id"].as_str().unwrap().to_owned(), t.clone())).collect();
        let map = serde_json::json!({
            "tmap": targets, "proxy_si": {"daemon_id": "p"}, "version": smap["version"]
        });
        ClusterMap::parse(map.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_missing_digest_is_computed() {
        let with = r#"{"tmap":{"t1":{"daemon_id":"t1","id_digest":14214570646889990061}},"proxy_si":{"daemon_id":"p"}}"#;
        let without = r#"{"tmap":{"t1":{"daemon_id":"t1"}},"proxy_si":{"daemon_id":"p"}}"#;
        let digest = |text: &str| ClusterMap::parse(text.as_bytes()).unwrap().targets["t1"].digest();
        assert_eq!(digest(with), digest(without));
    }

    #[test]
    fn nobody_in_service() {
        let map = r#"{"tmap":{"t1":{"daemon_id":"t1","flags":4}},"proxy_si":{"daemon_id":"p"}}"#;
        let error = ClusterMap::parse(map.as_bytes()).unwrap().target_of("ais/@#/b/o").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn base_36() {
        assert_eq!(base36(0), "0");
        assert_eq!(base36(1_795_275_127_348_293_102), "dn0zx3v4zze6");
    }
}
