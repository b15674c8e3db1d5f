//! GET of an object.

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderValue, StatusCode};

use super::Object;
use crate::aistore::archive::{self, Wanted};
use crate::aistore::cloud::jobs;
use crate::aistore::cloud::object::{Freshness, warm};
use crate::aistore::error::{Fail, Result};
use crate::aistore::node::Cx;
use crate::aistore::range::{self, Span};
use crate::aistore::reply::{CHECKSUM_TYPE, CHECKSUM_VALUE, Reply};
use crate::checksum::{Checksum, Hasher};
use crate::http::Source;
use crate::storage::{BodyReader, ObjectRecord};

/// Bytes of one read while a checksum is computed.
const HASH_CHUNK: usize = 256 * 1024;

/// Answers GET.
pub(crate) async fn get(cx: &Cx, object: &Object) -> Result<Reply> {
    refuse_unsupported(cx)?;
    let blob = match jobs::blob_headers(cx)? {
        Some(headers) => jobs::blob_get(cx, object, &headers).await?,
        None => false,
    };
    warm(cx, object, Freshness::of(cx, &object.bucket)).await?;
    if let Some(wanted) = Wanted::from_query(&cx.query) {
        return archive::get(cx, object, wanted).await;
    }
    let range = if cx.plan.ignores_range() { None } else { cx.header(RANGE.as_str()) };
    let span_of = |record: &ObjectRecord| -> Result<Option<Span>> {
        range.map(|r| range::parse(r, record.size, &object.display())).transpose()
    };
    let opened = open(cx, object, &span_of)?;
    let Some((record, asked, span, reader)) = opened else { return Err(object.missing(cx)) };
    let mut reply = Reply::ok().with(CONTENT_TYPE, "application/octet-stream");
    reply.object(&record);
    if blob {
        jobs::strip_blob(&mut reply);
    }
    if let Some(span) = span {
        reply.status = StatusCode::PARTIAL_CONTENT;
        reply.set(ACCEPT_RANGES, "bytes");
        let admitted = match cx.plan.range_shift() {
            Some((_, false)) => asked.unwrap_or(span),
            _ => span,
        };
        reply.set(CONTENT_RANGE, &admitted.content_range(record.size));
        if object.bucket.range_checksums()
            && let Some(own) = &record.checksum
        {
            let again = open(cx, object, &span_of)?;
            let own = own.kind;
            if let Some((_, _, _, reader)) = again {
                let sum = hash(Hasher::new(own), reader).await?;
                set_checksum(&mut reply, sum);
            }
        }
    }
    Ok(reply.source(Source::File(reader)))
}

type Opened = (ObjectRecord, Option<Span>, Option<Span>, BodyReader);

/// Opens what is asked for: the record, the span that was asked, the one that is served, and its bytes.
fn open(
    cx: &Cx,
    object: &Object,
    span_of: &impl Fn(&ObjectRecord) -> Result<Option<Span>>,
) -> Result<Option<Opened>> {
    let served = |record: &ObjectRecord| -> Result<Option<Span>> {
        let span = span_of(record)?;
        Ok(match cx.plan.range_shift() {
            Some((shift, _)) => span.map(|s| s.displaced(shift, record.size)),
            None => span,
        })
    };
    let opened = cx.cluster.storage.open_object(&object.key, |record| {
        served(record).map(|span| span.map_or((0, record.size), |s| (s.start, s.len)))
    })?;
    let Some(opened) = opened else { return Ok(None) };
    let (record, reader) = opened?;
    let (asked, span) = (span_of(&record)?, served(&record)?);
    Ok(Some((record, asked, span, reader)))
}

fn refuse_unsupported(cx: &Cx) -> Result<()> {
    let etl = cx.query.value("etl_name");
    if !etl.is_empty() {
        let (node, gateway) = (cx.node_name(), cx.cluster.gateway.url());
        return Err(Fail::new(
            StatusCode::NOT_FOUND,
            format!(
                "{node}: {etl} does not exist - try starting new ETL with \"{gateway}/v1/etl/init\" endpoint"
            ),
        ));
    }
    Ok(())
}

/// Computes a checksum of what `reader` yields, off the connection's thread.
async fn hash(mut hasher: Hasher, mut reader: BodyReader) -> Result<Option<Checksum>> {
    let sum = tokio::task::spawn_blocking(move || -> std::io::Result<_> {
        while let Some(bytes) = reader.read(HASH_CHUNK)? {
            hasher.update(&bytes);
        }
        Ok(hasher.finish())
    });
    Ok(sum.await.map_err(std::io::Error::other)??)
}

fn set_checksum(reply: &mut Reply, sum: Option<Checksum>) {
    let Some(sum) = sum else { return };
    reply.headers.insert(CHECKSUM_TYPE, HeaderValue::from_static(sum.kind.as_str()));
    if let Ok(value) = HeaderValue::from_str(&sum.value) {
        reply.headers.insert(CHECKSUM_VALUE, value);
    }
}
