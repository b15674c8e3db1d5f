//! PUT of an object's bytes.

use std::sync::Arc;

use http::StatusCode;

use super::{Object, Overwrite, custom};
use crate::aistore::Cluster;
use crate::aistore::cloud::object::write_through;
use crate::aistore::error::{Fail, Result};
use crate::aistore::ids::now;
use crate::aistore::node::Cx;
use crate::aistore::reply::{CHECKSUM_TYPE, CHECKSUM_VALUE, Reply, VERSION};
use crate::checksum::{Checksum, ChecksumKind, Hasher};
use crate::http::ReqBody;
use crate::storage::{BodyWriter, ObjectRecord, Storage};

/// Answers PUT.
pub(crate) async fn put(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let overwrite = Overwrite {
        custom: custom::from_headers(&cx.headers)?,
        version: cx.header(VERSION.as_str()).and_then(|v| v.parse::<u64>().ok()).map(|v| v + 1),
        fresh: cx.query.flag("skip_vc"),
        ..Overwrite::default()
    };
    custom::check(&overwrite.custom, &object.display())?;
    let expected = expected_checksum(cx)?;
    let storage = &cx.cluster.storage;
    if !overwrite.fresh
        && let Some(expected) = &expected
        && storage.object(&object.key)?.is_some_and(|old| old.checksum.as_ref() == Some(expected))
    {
        // The header alone decides: the body is thrown away and nothing changes, metadata included.
        cx.body.discard().await?;
        return Ok(Reply::ok());
    }
    let kind = object.bucket.checksum();
    let expected = expected.filter(|_| kind != ChecksumKind::None);
    let mut body = storage.create_body()?;
    body.fail_at(cx.plan.no_space_at());
    let mut hashers = vec![Hasher::new(kind)];
    hashers.extend(expected.as_ref().filter(|e| e.kind != kind).map(|e| Hasher::new(e.kind)));
    receive(&mut cx.body, &mut body, &mut hashers).await?;
    if let Some(expected) = &expected {
        let actual = hashers.iter().filter_map(Hasher::finish).find(|c| c.kind == expected.kind);
        verify(expected, actual.as_ref(), &object.display())?;
    }
    let checksum = hashers[0].finish();
    let record = store(&cx.cluster, object, vec![body], checksum, overwrite, false).await?;
    let mut reply = Reply::ok();
    reply.object(&record);
    Ok(reply)
}

/// Streams a request's body to disk.
pub(crate) async fn receive(from: &mut ReqBody, to: &mut BodyWriter, hashers: &mut [Hasher]) -> Result<()> {
    while let Some(bytes) = from.next().await? {
        for hasher in hashers.iter_mut() {
            hasher.update(&bytes);
        }
        to.write(&bytes)?;
    }
    to.finish()?;
    Ok(())
}

/// Makes `bodies` the object, of a remote bucket first where that lives; returns what is now stored.
pub(crate) async fn store(
    cluster: &Cluster,
    object: &Object,
    bodies: Vec<BodyWriter>,
    checksum: Option<Checksum>,
    mut overwrite: Overwrite,
    chunked: bool,
) -> Result<ObjectRecord> {
    let body = cluster.storage.read_back(&bodies);
    let written = write_through(cluster, object, body, checksum.as_ref()).await?;
    overwrite.custom.extend(written.custom);
    overwrite.forget = written.forget;
    keep(&cluster.storage, object, bodies, checksum, overwrite, chunked).await
}

/// As [`store`], in the cluster alone.
pub(crate) async fn keep(
    storage: &Storage,
    object: &Object,
    bodies: Vec<BodyWriter>,
    checksum: Option<Checksum>,
    overwrite: Overwrite,
    chunked: bool,
) -> Result<ObjectRecord> {
    let time = now();
    let mut record = ObjectRecord {
        size: bodies.iter().map(BodyWriter::len).sum(),
        checksum,
        version: None,
        atime: time,
        mtime: time,
        custom: Vec::new(),
        pieces: bodies.iter().map(BodyWriter::piece).filter(|p| p.len > 0).collect(),
        chunked,
    };
    let (key, bucket) = (object.key.clone(), Arc::clone(&object.bucket));
    Ok(storage
        .write(move |tables| {
            let old = tables.object(&key)?;
            overwrite.apply(&bucket, &mut record, old.as_ref());
            tables.put_object(&key, &record)?;
            for body in bodies {
                if body.len() > 0 {
                    body.keep();
                }
            }
            Ok(record)
        })
        .await?)
}

/// The checksum that the client announced; incomplete or `none` counts as no announcement.
fn expected_checksum(cx: &Cx) -> Result<Option<Checksum>> {
    let (Some(kind), Some(value)) = (cx.header(CHECKSUM_TYPE.as_str()), cx.header(CHECKSUM_VALUE.as_str()))
    else {
        return Ok(None);
    };
    if kind.is_empty() || value.is_empty() {
        return Ok(None);
    }
    match ChecksumKind::parse(kind) {
        Some(ChecksumKind::None) => Ok(None),
        Some(kind) => Ok(Some(Checksum { kind, value: value.to_owned() })),
        // The original closes the connection.
        None => Err(Fail::bad(format!(
            "invalid checksum type {kind:?} (expecting [crc32c md5 sha256 sha512 xxhash xxhash2 none])"
        ))),
    }
}

fn verify(expected: &Checksum, actual: Option<&Checksum>, display: &str) -> Result<()> {
    let Some(actual) = actual.filter(|a| *a != expected) else { return Ok(()) };
    let (kind, given, found) = (expected.kind.as_str(), &expected.value, &actual.value);
    let message = format!("BAD DATA CHECKSUM: {kind}({given} != {found}) (context: {display})");
    Err(Fail::new(StatusCode::INTERNAL_SERVER_ERROR, message).tcode("ErrBadCksum"))
}
