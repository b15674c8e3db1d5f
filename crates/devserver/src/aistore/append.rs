//! Appending to an object: bytes gather in a work file until a flush makes them the object.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use http::header::HeaderName;

use super::error::{Fail, Result};
use super::node::Cx;
use super::objects::{self, Object, Overwrite};
use super::reply::{CHECKSUM_TYPE, CHECKSUM_VALUE, Reply};
use crate::checksum::{ChecksumKind, Hasher};
use crate::storage::BodyWriter;
use crate::sync::lock;

const HANDLE: HeaderName = HeaderName::from_static("ais-append-handle");

/// Bytes of a handle's checksum state.
const STATE: usize = 64;

/// Work files of appends that were not flushed yet. They do not outlive the server.
#[derive(Debug, Default)]
pub(crate) struct WorkFiles {
    map: Mutex<HashMap<String, WorkFile>>,
}

#[derive(Debug)]
struct WorkFile {
    body: BodyWriter,
    /// Checksum states by the text that handles carry. A handle that is not the newest still appends, but goes on
    /// from its own state, so that the flushed object's checksum is wrong: as in the original.
    states: HashMap<String, Hasher>,
}

/// A client's handle: target id, path of the work file, checksum type, checksum state.
#[derive(Debug)]
struct Handle<'a> {
    path: &'a str,
    state: &'a str,
}

fn parse(text: &str) -> Option<Handle<'_>> {
    let mut items = text.split('|');
    let handle = (items.next()?, items.next()?, items.next()?, items.next()?);
    items.next().is_none().then_some(Handle { path: handle.1, state: handle.3 })
}

/// Answers PUT with `append_type`.
pub(crate) async fn append(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let operation = cx.query.value("append_type").to_owned();
    match operation.as_str() {
        "append" => write(cx, object).await,
        "flush" => flush(cx, object).await,
        _ => Err(Fail::bad(format!(
            "invalid operation {operation:?} (expecting either \"append\" or \"flush\") - check \"append_type\" query"
        ))),
    }
}

async fn write(cx: &mut Cx, object: &Object) -> Result<Reply> {
    let text = cx.query.value("append_handle").to_owned();
    let (path, mut file, mut hasher) =
        if text.is_empty() { begin(cx, object).await? } else { resume(cx, &text)? };
    file.body.fail_at(cx.plan.no_space_at());
    let received = objects::receive(&mut cx.body, &mut file.body, std::slice::from_mut(&mut hasher)).await;
    file.body.fail_at(None);
    let state: Vec<u8> = (0..STATE).map(|_| fastrand::u8(..)).collect();
    let state = BASE64_STANDARD.encode(state);
    let kind = hasher.kind();
    if received.is_ok() {
        file.states.insert(state.clone(), hasher);
    }
    lock(&cx.cluster.appends.map).insert(path.clone(), file);
    received?;
    let id = cx.node().id;
    Ok(Reply::ok().with(HANDLE, &format!("{id}|{path}|{}|{state}", kind.as_str())))
}

/// A new work file that begins with what the object holds.
async fn begin(cx: &Cx, object: &Object) -> Result<(String, WorkFile, Hasher)> {
    let storage = &cx.cluster.storage;
    let mut body = storage.create_body()?;
    let mut hasher = Hasher::new(object.bucket.checksum());
    if let Some(opened) = storage.open_object(&object.key, |record| Ok::<_, Fail>((0, record.size)))? {
        let (_, reader) = opened?;
        (body, hasher) = objects::copy_body(reader, body, hasher).await?;
    }
    let (bucket, name) = (&object.bucket.name.name, &object.key.name);
    let tag: String = std::iter::repeat_with(fastrand::alphanumeric).take(6).collect();
    let path = format!("/ais/mp1/{}/@ais/{bucket}/%wk/append.{name}.{tag}", cx.node().id);
    Ok((path, WorkFile { body, states: HashMap::new() }, hasher))
}

/// The work file and checksum state that a handle names.
fn resume(cx: &Cx, text: &str) -> Result<(String, WorkFile, Hasher)> {
    let handle = parse(text).ok_or_else(|| Fail::bad(format!("invalid APPEND handle: {text:?}")))?;
    if BASE64_STANDARD.decode(handle.state).is_err() {
        let at = handle
            .state
            .bytes()
            .position(|b| !b.is_ascii_alphanumeric() && !b"+/=".contains(&b))
            .unwrap_or(0);
        return Err(Fail::bad(format!("illegal base64 data at input byte {at}")).tcode("CorruptInputError"));
    }
    let mut map = lock(&cx.cluster.appends.map);
    let known = map.get(handle.path).and_then(|f| f.states.get(handle.state)).cloned();
    let (Some(hasher), Some((path, file))) = (known, map.remove_entry(handle.path)) else {
        return Err(gone(handle.path));
    };
    Ok((path, file, hasher))
}

fn gone(path: &str) -> Fail {
    // `/ais/mpN/.../@ais/bucket/%wk/file`
    let message = match path.split_once("/%wk/") {
        Some((head, file)) => {
            let bucket = head.rsplit('/').next().unwrap_or_default();
            format!("[fs-path] ais://{bucket}/{file}: work file does not exist")
        }
        None => format!("open {path}: no such file or directory"),
    };
    Fail::not_found(message).tcode("PathError")
}

async fn flush(cx: &mut Cx, object: &Object) -> Result<Reply> {
    cx.body.discard().await?;
    let text = cx.query.value("append_handle").to_owned();
    if text.is_empty() {
        return Err(Fail::bad(
            "failed to finalize append-file operation: empty source in the {partialCksum:<nil> nodeID: workFQN:} handle",
        ));
    }
    // A second flush finds nothing and is content.
    let Ok((_, file, hasher)) = resume(cx, &text) else { return Ok(Reply::ok()) };
    let checksum = hasher.finish();
    if let (Some(kind), Some(given)) = (cx.header(CHECKSUM_TYPE.as_str()), cx.header(CHECKSUM_VALUE.as_str()))
        && let Some(found) = checksum.as_ref().filter(|c| ChecksumKind::parse(kind) == Some(c.kind))
        && found.value != given
    {
        let message = format!("BAD DATA CHECKSUM: {kind}({} != {given})", found.value);
        return Err(Fail::new(StatusCode::INTERNAL_SERVER_ERROR, message).tcode("ErrBadCksum"));
    }
    objects::store(&cx.cluster, object, vec![file.body], checksum, Overwrite::default(), false).await?;
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_have_four_items() {
        assert!(parse("t1|/p|xxhash2|AA==").is_some());
        assert!(parse("t1|/p|xxhash2").is_none() && parse("a|b|c|d|e").is_none());
        assert_eq!(gone("/x/y").message, "open /x/y: no such file or directory");
        assert_eq!(
            gone("/ais/mp1/1/@ais/b/%wk/append.o.x").message,
            "[fs-path] ais://b/append.o.x: work file does not exist"
        );
    }
}
