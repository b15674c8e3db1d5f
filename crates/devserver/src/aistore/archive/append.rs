//! PUT of a file into an archive: a new archive, or one more member of an existing one.

use std::io;
use std::sync::Arc;

use http::StatusCode;

use super::grow::{Growing, Old, Versions};
use super::shard::{Format, Shard};
use crate::aistore::cloud::object::{Freshness, warm};
use crate::aistore::error::{Fail, Result};
use crate::aistore::ids::now;
use crate::aistore::node::Cx;
use crate::aistore::objects::{Object, mount_path, receive};
use crate::aistore::reply::Reply;

/// Bits of `Ais-Pine`: append, and append if there is something to append to.
const APPEND: u64 = 1;
const APPEND_IF_EXISTS: u64 = 2;

/// Answers PUT with `archpath`.
pub(crate) async fn append(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let display = object.display();
    let refuse = |why: String| Fail::bad(format!("failed to archive {display}: {why} in the request"));
    let flags = cx.header("ais-pine").unwrap_or("0").to_owned();
    let flags: u64 = flags.parse().map_err(|_| refuse(format!("invalid flags {flags:?}")))?;
    let size = cx.body.known_len().filter(|n| *n > 0);
    let size = size.ok_or_else(|| refuse("missing \"Content-Length\"".into()))?;
    match warm(cx, object, Freshness::Any).await {
        Err(fail) if fail.status != StatusCode::NOT_FOUND => return Err(fail),
        _ => {}
    }
    let shard = Shard::find(&cx.cluster.storage, &object.key)?;
    if shard.is_none() && flags & (APPEND | APPEND_IF_EXISTS) == APPEND {
        return Err(object.missing(cx));
    }
    let format = format(cx, object, shard.as_ref())?;
    let path = cx.query.value("archpath").trim_start_matches('/').to_owned();
    let old = if flags & (APPEND | APPEND_IF_EXISTS) == 0 { Old::Goes } else { Old::Grows };
    let time = now();
    let mut content = cx.cluster.storage.create_body()?;
    content.fail_at(cx.plan.no_space_at());
    receive(&mut cx.body, &mut content, &mut []).await?;
    loop {
        let (storage, object) = (Arc::clone(&cx.cluster.storage), object.clone());
        let (path, mut reader) = (path.clone(), storage.read_back(std::slice::from_ref(&content)));
        // Scans and copies: not for a thread that serves connections.
        let grown = tokio::task::spawn_blocking(move || {
            let mut archive = Growing::begin(&storage, object, format, old)?;
            archive.append(&path, size, time, &mut reader)?;
            archive.finish(&storage)
        });
        let grown = grown.await.map_err(io::Error::other)??;
        if grown.commit(&cx.cluster, Versions::Keep).await? {
            return Ok(Reply::ok());
        }
    }
}

fn format(cx: &Cx, object: &Object, shard: Option<&Shard>) -> Result<Format> {
    let (mime, name) = (cx.query.value("archmime"), object.key.name.as_str());
    if !mime.is_empty() {
        return Format::from_request(mime);
    }
    if let Some(format) = Format::by_extension(name) {
        return Ok(format);
    }
    let Some(shard) = shard else {
        let message = format!("[fs-path] {}: object does not exist", object.display());
        return Err(Fail::not_found(message).tcode("PathError"));
    };
    shard.format("", name).map_err(|fail| {
        let disk = mount_path(&cx.cluster.targets[object.target], name);
        let path = format!("{disk}/@ais/{}/%ob/{name}", object.bucket.name.name);
        Fail { message: format!("unrecognized or unsupported file format: {path:?}"), ..fail }
    })
}
