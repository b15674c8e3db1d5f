//! Inventories of remote buckets.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use http::Method;
use longshore_core_types::{Idempotency, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Request, bucket::on_bucket, from_json};
use crate::{
    bucket::{ListProp, inventory::Inventory},
    names::{BucketRef, check_prefix, invalid},
    smap::loose_u64,
    wire::object::check_remote,
};

use Idempotency::{Idempotent, NotIdempotent};

/// What an inventory holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct InventoryParams {
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) props: Vec<ListProp>,
    pub(crate) names_per_chunk: Option<u32>,
    pub(crate) replace: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    prefix: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    props: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    names_per_chunk: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    force: bool,
}

fn check_name(name: &str) -> Result<()> {
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Ok(());
    }
    Err(invalid(format!("{name:?} is not the name of an inventory")))
}

/// On a bucket of the cluster itself this brings every target down.
pub(crate) fn create(bucket: &BucketRef, params: &InventoryParams) -> Result<Request> {
    check_remote(bucket, "an inventory")?;
    check_name(&params.name)?;
    check_prefix(&params.prefix)?;
    if params.names_per_chunk.is_some_and(|names| !(2..=640_000).contains(&names)) {
        return Err(invalid("a chunk of an inventory has 2 to 640,000 names"));
    }
    let props: Vec<&str> = params.props.iter().map(|prop| prop.as_str()).collect();
    let message = Message {
        name: &params.name,
        prefix: &params.prefix,
        props: props.join(","),
        names_per_chunk: params.names_per_chunk,
        force: params.replace,
    };
    on_bucket(Method::POST, bucket, "aistore.inventory.create", NotIdempotent).action(
        "create-inventory",
        "",
        &message,
    )
}

/// An empty name means all of them.
pub(crate) fn destroy(bucket: &BucketRef, name: &str) -> Result<Request> {
    check_remote(bucket, "an inventory")?;
    check_name(name)?;
    on_bucket(Method::DELETE, bucket, "aistore.inventory.delete", Idempotent).action(
        "destroy-inventory",
        name,
        &Value::Null,
    )
}

/// An empty name means all of them.
pub(crate) fn show(bucket: &BucketRef, name: &str) -> Result<Request> {
    check_remote(bucket, "an inventory")?;
    check_name(name)?;
    on_bucket(Method::GET, bucket, "aistore.inventory.show", Idempotent).action(
        "show-inventory",
        name,
        &Value::Null,
    )
}

#[derive(Deserialize)]
struct WireInventory {
    #[serde(default)]
    name: String,
    #[serde(default)]
    obj_name: String,
    #[serde(default, deserialize_with = "loose_u64")]
    size: u64,
    #[serde(default)]
    prefix: String,
    #[serde(default, deserialize_with = "loose_u64")]
    started: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    finished: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    ntotal: u64,
    #[serde(default, deserialize_with = "loose_u64")]
    chunks: u64,
}

pub(crate) fn parse(body: &[u8]) -> Result<Vec<Inventory>> {
    let time = |nanos: u64| (nanos > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos));
    let all: Option<BTreeMap<String, WireInventory>> = from_json(body, "a list of inventories")?;
    let all = all.unwrap_or_default().into_iter().map(|(key, wire)| Inventory {
        name: wire.name,
        object: if wire.obj_name.is_empty() { key } else { wire.obj_name },
        prefix: wire.prefix,
        bytes: wire.size,
        names: wire.ntotal,
        chunks: wire.chunks,
        started: time(wire.started),
        finished: time(wire.finished),
    });
    Ok(all.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_targets_down_is_refused() {
        let here: BucketRef = "b".parse().unwrap();
        let cloud: BucketRef = "aws://b".parse().unwrap();
        let params = InventoryParams::default();
        assert!(create(&here, &params).is_err() && destroy(&here, "").is_err() && show(&here, "").is_err());
        assert!(create(&cloud, &params).is_ok());
        let refused = |params: InventoryParams| create(&cloud, &params).is_err();
        assert!(refused(InventoryParams { name: "a/b".into(), ..params.clone() }));
        assert!(refused(InventoryParams { names_per_chunk: Some(1), ..params.clone() }));
        assert!(refused(InventoryParams { prefix: "../x".into(), ..params }));
    }

    #[test]
    fn answers() {
        let body =
            br#"{".inv/b/x":{"bucket":"aws://b","name":"x","obj_name":".inv/b/x","size":7,"prefix":"p/",
            "started":1755812345678901234,"finished":0,"ntotal":3,"smap_ver":1,"chunks":1,"nat":2}}"#;
        let all = parse(body).unwrap();
        assert_eq!((all[0].name.as_str(), all[0].names, all[0].finished), ("x", 3, None));
        assert!(all[0].started.is_some());
        assert!(parse(b"null").unwrap().is_empty());
    }
}
