//! Bucket properties.

use http::StatusCode;
use serde_json::{Value, json};

use super::error::{Fail, Result};
use super::gojson::{self, Schema, Struct, parse_duration, parse_size};
use crate::checksum::ChecksumKind;

/// Properties of a new bucket, without what is its own (`bid`, `created`).
pub(crate) fn defaults() -> Value {
    json!({
        "backend_bck": {"name": "", "provider": "", "namespace": {"uuid": "", "name": ""}},
        "write_policy": {"data": "immediate", "md": "immediate"},
        "provider": "ais",
        "Renamed": "",
        "checksum": {
            "type": "xxhash2", "validate_cold_get": false, "validate_warm_get": false,
            "validate_obj_move": false, "enable_read_range": false
        },
        "extra": {"aws": {}, "gcp": {}, "oci": {}},
        "rate_limit": {
            "backend": {"interval": "1m", "max_tokens": 1000, "enabled": false, "num_retries": 3},
            "frontend": {"interval": "1m", "max_tokens": 1000, "enabled": false, "burst_size": 375}
        },
        "ec": {
            "compression": "never", "bundle_multiplier": 2, "burst_buffer": 512, "objsize_limit": 262_144,
            "data_slices": 2, "parity_slices": 2, "enabled": false, "disk_only": false
        },
        "chunks": {"objsize_limit": "0B", "max_monolithic_size": "1TiB", "chunk_size": "1GiB"},
        "mirror": {"copies": 2, "burst_buffer": 512, "enabled": false},
        "lru": {"dont_evict_time": "2h0m", "capacity_upd_time": "10m", "batch_size": 32_768, "enabled": false},
        "access": u64::MAX.to_string(),
        "features": "0",
        "versioning": {"enabled": true, "validate_warm_get": false, "synchronize": false},
    })
}

macro_rules! fields {
    ($name:literal: $($json:literal $go:literal $schema:expr),* $(,)?) => {
        Struct { name: $name, fields: &[$(($json, $go, $schema)),*], strict: true }
    };
}

use Schema::{Bool, Duration, Integer, QuotedInteger, Size, Text};

static NAMESPACE: Struct = fields!("cmn.Ns": "uuid" "UUID" Text, "name" "Name" Text);
static BUCKET: Struct = fields!("cmn.BackendBckToSet":
    "name" "Name" Text, "provider" "Provider" Text, "namespace" "Ns" Schema::Struct(&NAMESPACE));
static WRITE_POLICY: Struct = fields!("cmn.WritePolicyConfToSet": "data" "Data" Text, "md" "MD" Text);
static CHECKSUM: Struct = fields!("cmn.CksumConfToSet":
    "type" "Type" Text, "validate_cold_get" "ValidateColdGet" Bool, "validate_warm_get" "ValidateWarmGet" Bool,
    "validate_obj_move" "ValidateObjMove" Bool, "enable_read_range" "EnableReadRange" Bool);
static VERSIONING: Struct = fields!("cmn.VersionConfToSet":
    "enabled" "Enabled" Bool, "validate_warm_get" "ValidateWarmGet" Bool, "synchronize" "Sync" Bool);
static MIRROR: Struct = fields!("cmn.MirrorConfToSet":
    "copies" "Copies" Integer, "burst_buffer" "Burst" Integer, "enabled" "Enabled" Bool);
static EC: Struct = fields!("cmn.ECConfToSet":
    "objsize_limit" "ObjSizeLimit" Integer, "compression" "Compression" Text, "bundle_multiplier" "SbundleMult" Integer,
    "burst_buffer" "Burst" Integer, "data_slices" "DataSlices" Integer, "parity_slices" "ParitySlices" Integer,
    "enabled" "Enabled" Bool, "disk_only" "DiskOnly" Bool);
static CHUNKS: Struct = fields!("cmn.ChunksConfToSet":
    "objsize_limit" "ObjSizeLimit" Size, "max_monolithic_size" "MaxMonolithicSize" Size,
    "chunk_size" "ChunkSize" Size, "checkpoint_every" "CheckpointEvery" Integer, "flags" "Flags" QuotedInteger);
static LRU: Struct = fields!("cmn.LRUConfToSet":
    "dont_evict_time" "DontEvictTime" Duration, "capacity_upd_time" "CapacityUpdTime" Duration,
    "batch_size" "BatchSize" Integer, "enabled" "Enabled" Bool);
static RATE: Struct = fields!("cmn.RateLimitConfToSet":
    "interval" "Interval" Duration, "max_tokens" "MaxTokens" Integer, "enabled" "Enabled" Bool,
    "num_retries" "NumRetries" Integer, "per_op_max_tokens" "PerOp" Text, "burst_size" "Burst" Integer);
static RATES: Struct = fields!("cmn.RateLimitConfToSet":
    "backend" "Backend" Schema::Struct(&RATE), "frontend" "Frontend" Schema::Struct(&RATE));
static EXTRA_AWS: Struct = fields!("cmn.ExtraPropsAWSToSet":
    "cloud_region" "CloudRegion" Text, "endpoint" "Endpoint" Text, "profile" "Profile" Text,
    "max_pagesize" "MaxPageSize" Integer, "multipart_size" "MultiPartSize" Size);
static EXTRA_GCP: Struct = fields!("cmn.ExtraPropsGCPToSet": "application_creds" "ApplicationCreds" Text);
static EXTRA_OCI: Struct = fields!("cmn.ExtraPropsOCIToSet": "region" "Region" Text);
static EXTRA: Struct = fields!("cmn.ExtraToSet":
    "aws" "AWS" Schema::Struct(&EXTRA_AWS), "gcp" "GCP" Schema::Struct(&EXTRA_GCP),
    "oci" "OCI" Schema::Struct(&EXTRA_OCI), "custom" "Custom" Text);
static PROPS: Struct = fields!("cmn.BpropsToSet":
    "backend_bck" "BackendBck" Schema::Struct(&BUCKET), "versioning" "Versioning" Schema::Struct(&VERSIONING),
    "checksum" "Cksum" Schema::Struct(&CHECKSUM), "lru" "LRU" Schema::Struct(&LRU),
    "mirror" "Mirror" Schema::Struct(&MIRROR), "ec" "EC" Schema::Struct(&EC), "chunks" "Chunks" Schema::Struct(&CHUNKS),
    "access" "Access" QuotedInteger, "features" "Features" QuotedInteger,
    "write_policy" "WritePolicy" Schema::Struct(&WRITE_POLICY), "extra" "Extra" Schema::Struct(&EXTRA),
    "rate_limit" "RateLimit" Schema::Struct(&RATES), "force" "Force" Bool);

/// Checks the form of a set of properties to be changed; the error is the decoder's text.
pub(crate) fn check_form(value: &Value) -> std::result::Result<(), String> {
    gojson::check(gojson::encode_sorted(value).as_bytes(), Schema::Struct(&PROPS))
}

/// Lays `change` over `props`; `display` is the bucket's name in messages.
pub(crate) fn apply(props: &Value, change: &Value, display: &str) -> Result<Value> {
    let mut merged = props.clone();
    merge(&mut merged, change);
    if let Some(map) = merged.as_object_mut() {
        map.remove("force");
    }
    for name in ["objsize_limit", "max_monolithic_size", "chunk_size"] {
        if let Some(size) = merged["chunks"][name].as_str().and_then(parse_size) {
            merged["chunks"][name] = gojson::format_size(size).into();
        }
    }
    check_values(props, &merged, change, display)?;
    Ok(merged)
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (_, Value::Null) => {}
        (Value::Object(into), Value::Object(change)) => {
            for (name, value) in change {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn flag(props: &Value, section: &str, name: &str) -> bool {
    props[section][name].as_bool().unwrap_or(false)
}

fn check_values(old: &Value, new: &Value, change: &Value, display: &str) -> Result<()> {
    let kind = new["checksum"]["type"].as_str().unwrap_or_default();
    if ChecksumKind::parse(kind).is_none() {
        return Err(Fail::bad(format!(
            "invalid checksum type {kind:?} (expecting [crc32c md5 sha256 sha512 xxhash xxhash2 none])"
        )));
    }
    for name in ["data", "md"] {
        let policy = new["write_policy"][name].as_str().unwrap_or_default();
        if !matches!(policy, "" | "immediate" | "delayed" | "never") {
            return Err(Fail::bad(format!(
                "invalid write policy {policy:?} (expecting one of [immediate delayed never])"
            )));
        }
    }
    let lru = &new["lru"];
    if change["lru"].is_object()
        && lru["dont_evict_time"].as_str().and_then(parse_duration).is_some_and(|t| t < 3_600_000_000_000)
    {
        let text = |name: &str| lru[name].as_str().unwrap_or_default().to_owned();
        return Err(Fail::bad(format!(
            "invalid lru: dont_evict_time={}, capacity_upd_time={}, batch_size={} (expecting: lru.dont_evict_time >= \
             1h0m0s)",
            text("dont_evict_time"),
            text("capacity_upd_time"),
            lru["batch_size"],
        )));
    }
    let auto_chunks = new["chunks"]["objsize_limit"].as_str().and_then(parse_size).is_some_and(|n| n > 0);
    if auto_chunks && flag(new, "mirror", "enabled") {
        return Err(Fail::bad(
            "n-way mirroring and chunking cannot be enabled at the same time on the same bucket (MPU chunking is still \
             allowed)",
        ));
    }
    check_backend(change)?;
    check_ec(old, new, display)
}

fn check_backend(change: &Value) -> Result<()> {
    let backend = &change["backend_bck"];
    let name = backend["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Ok(());
    }
    match backend["provider"].as_str().unwrap_or_default() {
        "" | "ais" => Err(Fail::bad(format!("backend bucket \"ais://{name}\" must be remote"))),
        _ => Ok(()),
    }
}

fn check_ec(old: &Value, new: &Value, display: &str) -> Result<()> {
    let slices = |props: &Value| (props["ec"]["data_slices"].clone(), props["ec"]["parity_slices"].clone());
    let ((old_data, old_parity), (data, parity)) = (slices(old), slices(new));
    if flag(old, "ec", "enabled")
        && flag(new, "ec", "enabled")
        && (&old_data, &old_parity) != (&data, &parity)
    {
        return Err(Fail::bad(format!(
            "{display}: once enabled, EC data/parity slices cannot change (old D={old_data}, P={old_parity}; new \
             D={data}, P={parity})"
        )));
    }
    if flag(new, "ec", "enabled") && !flag(old, "ec", "enabled") {
        let need = data.as_u64().unwrap_or(0) + parity.as_u64().unwrap_or(0) + 1;
        let have = super::TARGETS as u64;
        if need > have {
            return Err(Fail::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "not enough target nodes: EC configuration (D = {data}, P = {parity}) requires at least {need} \
                     targets (have {have})"
                ),
            )
            .tcode("ErrNotEnoughTargets"));
        }
    }
    Ok(())
}

/// True if the change moves data, so that the answer names a job.
pub(crate) fn starts_job(old: &Value, new: &Value) -> Option<&'static str> {
    if flag(new, "mirror", "enabled") && !flag(old, "mirror", "enabled") {
        return Some("make-n-copies");
    }
    (flag(new, "ec", "enabled") && !flag(old, "ec", "enabled")).then_some("ec-encode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_laid_over() {
        let change = json!({"checksum": {"type": "md5"}, "access": "771", "force": true});
        assert_eq!(check_form(&change), Ok(()));
        let props = apply(&defaults(), &change, "ais://b").expect("valid");
        assert_eq!(props["checksum"]["type"], "md5");
        assert_eq!(props["checksum"]["validate_warm_get"], false);
        assert_eq!(props["access"], "771");
        assert!(props.get("force").is_none());
    }

    #[test]
    fn bad_values() {
        for (change, part) in [
            (json!({"checksum": {"type": "nope"}}), "invalid checksum type \"nope\""),
            (json!({"write_policy": {"md": "sometimes"}}), "invalid write policy"),
            (json!({"lru": {"dont_evict_time": "30m"}}), "dont_evict_time >= 1h0m0s"),
            (json!({"chunks": {"objsize_limit": "2MiB"}, "mirror": {"enabled": true}}), "n-way mirroring"),
            (json!({"backend_bck": {"name": "b2", "provider": "ais"}}), "must be remote"),
            (json!({"ec": {"enabled": true}}), "not enough target nodes"),
        ] {
            let error = apply(&defaults(), &change, "ais://b").expect_err(part);
            assert!(error.message.contains(part), "{}", error.message);
        }
    }
}
