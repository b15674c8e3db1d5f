//! Uploads in parts, for the neutral store.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use longshore_blob_api::{
    MultipartId, MultipartRef, PageToken, PartInfo, PartNumber, PartReceipt, PutOptions, PutResult,
    UploadPage,
};
use longshore_core_types::{
    CallInfo, Checksum, ChecksumKind, Error, ErrorKind, ObjectKey, Payload, Result, checksum::combine_crc32c,
};

use crate::{
    error::is_bucket_missing,
    object::{options::ObjectAt, props::ObjectProps},
    store::{Store, custom_checked, head_params},
    verify::Sent,
    wire::{from_text, multipart as wire, object},
};

/// Longest list of parts or uploads that is read.
const LIST_LIMIT: usize = 16 << 20;

/// Stands between the server's id and the metadata of the object to be.
///
/// AIStore takes metadata of an upload in parts only when the object exists, so it travels in the id from
/// the beginning of the upload to its end, which may be in another process.
const SEPARATOR: char = '~';

fn split_id(id: &MultipartId) -> Result<(&str, BTreeMap<String, String>)> {
    let Some((id, custom)) = id.as_str().split_once(SEPARATOR) else {
        return Ok((id.as_str(), BTreeMap::new()));
    };
    let decoded = URL_SAFE_NO_PAD.decode(custom).ok();
    let custom = decoded.and_then(|json| serde_json::from_slice(&json).ok());
    let custom = custom.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("{id:?} is not the id of an upload of this client"))
    })?;
    Ok((id, custom))
}

fn join_id(id: &str, custom: &BTreeMap<String, String>) -> MultipartId {
    if custom.is_empty() {
        return MultipartId::new(id);
    }
    // A map of strings always has a JSON form.
    let json = serde_json::to_vec(custom).unwrap_or_default();
    MultipartId::new(format!("{id}{SEPARATOR}{}", URL_SAFE_NO_PAD.encode(json)))
}

pub(crate) async fn create(store: &Store, key: &ObjectKey, opts: PutOptions) -> Result<MultipartId> {
    const OPERATION: &str = "aistore.multipart.create";
    let refuse = |error| store.refuse(error, OPERATION, Some(key));
    if opts.checksum.is_some() {
        let message = "a checksum of the whole content cannot be stated before its parts are known";
        return Err(refuse(Error::new(ErrorKind::Unsupported, message)));
    }
    let custom = custom_checked(&opts.attributes).map_err(refuse)?;
    let at = store.at_new(key, OPERATION)?;
    let answer = store.client().call(wire::create(&at)?).await?;
    let call = answer.call.clone();
    let body = answer.bytes(4096).await?;
    let id = from_text(&body, "the id of an upload").map_err(|error| error.with_call(&call))?;
    if id.is_empty() || id.contains(SEPARATOR) {
        let message = format!("the answer {id:?} is not the id of an upload");
        return Err(Error::new(ErrorKind::Protocol, message).with_call(&call));
    }
    store.client().uploads().get(&at, &id, true);
    Ok(join_id(&id, &custom))
}

/// Sends a part, unless its number was sent before.
pub(crate) async fn put_part(
    store: &Store,
    upload: &MultipartRef,
    number: PartNumber,
    body: Payload,
) -> Result<PartReceipt> {
    const OPERATION: &str = "aistore.multipart.put_part";
    let at = store.at(&upload.key, OPERATION)?;
    let refuse = |error| store.refuse(error, OPERATION, Some(&upload.key));
    let length = body.len().unwrap_or_default();
    let (body, sent) = Sent::watch(body, &[ChecksumKind::Crc32c]);
    let (id, _) = split_id(&upload.id).map_err(refuse)?;
    let request = wire::put_part(&at, id, number, body).map_err(refuse)?;

    let parts = store.client().uploads().get(&at, id, false);
    // An upload that another client began may have parts already.
    parts.ensure_complete(list_parts(store, upload)).await?;
    let claim = parts.claim(number, length, &sent).map_err(refuse)?;
    let answer = store.client().upload(&at, request).await;
    let answer = answer.map_err(|error| with_fate(error, sent.length() < length));
    claim.ended(&answer);
    answer?.done().await?;
    let receipt = PartReceipt::new(number, sent.length());
    Ok(match sent.checksum(ChecksumKind::Crc32c) {
        Some(checksum) => receipt.with_checksum(checksum),
        None => receipt,
    })
}

/// Adds to a refusal that the server did not even wait for the whole part, and so does not have it.
fn with_fate(error: Error, cut_short: bool) -> Error {
    match error.body_fully_sent() {
        None if cut_short => error.with_body_fully_sent(false),
        _ => error,
    }
}

pub(crate) async fn list_parts(store: &Store, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
    const OPERATION: &str = "aistore.multipart.list_parts";
    let at = store.at(&upload.key, OPERATION)?;
    let refuse = |error| store.refuse(error, OPERATION, Some(&upload.key));
    let (id, _) = split_id(&upload.id).map_err(refuse)?;
    let request = wire::list_parts(&at, id).map_err(refuse)?;
    let answer = store.client().call(request).await?;
    let call = answer.call.clone();
    let listed =
        wire::parse_parts(&answer.bytes(LIST_LIMIT).await?).map_err(|error| error.with_call(&call))?;
    store.client().uploads().get(&at, id, false).listed(&listed);
    Ok(listed)
}

pub(crate) async fn list_uploads(
    store: &Store,
    prefix: &str,
    page: Option<&PageToken>,
) -> Result<UploadPage> {
    let request = wire::list_uploads(store.reference(), prefix, page);
    let request = request.map_err(|error| store.refuse(error, "aistore.multipart.list_uploads", None))?;
    let answer = store.client().call(request).await?;
    let call = answer.call.clone();
    wire::parse_uploads(&answer.bytes(LIST_LIMIT).await?, prefix).map_err(|error| error.with_call(&call))
}

pub(crate) async fn complete(
    store: &Store,
    upload: &MultipartRef,
    parts: &[PartReceipt],
) -> Result<PutResult> {
    const OPERATION: &str = "aistore.multipart.complete";
    let at = store.at(&upload.key, OPERATION)?;
    let numbers: Vec<PartNumber> = parts.iter().map(|part| part.number).collect();
    let request =
        split_id(&upload.id).and_then(|(id, custom)| Ok((wire::complete(&at, id, &numbers)?, custom)));
    let (request, custom) = request.map_err(|error| store.refuse(error, OPERATION, Some(&upload.key)))?;
    let call = request.call.clone();
    store.client().call(request).await?.done().await?;
    if let Ok((id, _)) = split_id(&upload.id) {
        store.client().uploads().forget(&at, id);
    }

    let answer = store.client().call(object::head(&at, &head_params())?).await?;
    let mut props = object::parse_head(&answer.done().await?);
    check_whole(&props, parts, &call)?;
    if props.custom != custom && !store.reference().is_remote() {
        set_custom(store, &at, &custom).await?;
        props.custom = custom;
    } else if !custom.is_empty() {
        set_custom(store, &at, &custom).await?;
    }
    Ok(props.to_put_result())
}

async fn set_custom(store: &Store, at: &ObjectAt, custom: &BTreeMap<String, String>) -> Result<()> {
    // A remote object's custom metadata holds the backend's own keys too, which must stay.
    let replace = !store.reference().is_remote();
    store.client().call(object::patch_custom(at, custom, replace)?).await?.done().await.map(drop)
}

/// Compares the object with its parts: a lost part shows in the size, a changed one in the checksum.
fn check_whole(props: &ObjectProps, parts: &[PartReceipt], call: &CallInfo) -> Result<()> {
    let size: u64 = parts.iter().map(|part| part.size).sum();
    if props.size != size {
        let message = format!("the object has {} bytes, its parts have {size}", props.size);
        return Err(Error::new(ErrorKind::ChecksumMismatch, message).with_call(call));
    }
    let stated = props.checksum.as_ref().filter(|checksum| checksum.kind() == ChecksumKind::Crc32c);
    match (stated, combined(parts)) {
        (Some(stated), Some(ours)) if *stated != ours => {
            let message = format!("the object has checksum {stated}, its parts have {ours}");
            Err(Error::new(ErrorKind::ChecksumMismatch, message).with_call(call))
        }
        _ => Ok(()),
    }
}

/// The crc32c of the parts together, if it is known of each.
fn combined(parts: &[PartReceipt]) -> Option<Checksum> {
    let crc = |part: &PartReceipt| {
        let checksum = part.checksum.as_ref().filter(|c| c.kind() == ChecksumKind::Crc32c)?;
        Some(u32::from_be_bytes(checksum.as_bytes().try_into().ok()?))
    };
    let mut all = 0;
    for part in parts {
        all = combine_crc32c(all, crc(part)?, part.size);
    }
    Checksum::new(ChecksumKind::Crc32c, all.to_be_bytes().as_slice()).ok()
}

/// An upload that is not there any more is as good as aborted.
pub(crate) async fn abort(store: &Store, upload: &MultipartRef) -> Result<()> {
    const OPERATION: &str = "aistore.multipart.abort";
    let at = store.at(&upload.key, OPERATION)?;
    let refuse = |error| store.refuse(error, OPERATION, Some(&upload.key));
    let (id, _) = split_id(&upload.id).map_err(refuse)?;
    let request = wire::abort(&at, id).map_err(refuse)?;
    store.client().uploads().forget(&at, id);
    match store.client().call(request).await {
        Ok(answer) => answer.done().await.map(drop),
        Err(error) if error.kind() == ErrorKind::NotFound && !is_bucket_missing(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core_types::checksum::Hasher;
    use longshore_transport::{
        RetryConfig,
        testing::{Reply, ScriptedService},
    };

    use super::*;

    #[test]
    fn ids_carry_metadata() {
        let custom = BTreeMap::from([("content-type".to_owned(), "text/plain ~ü".to_owned())]);
        let id = join_id("AbC-_9", &custom);
        assert_eq!(split_id(&id).unwrap(), ("AbC-_9", custom));
        assert_eq!(join_id("x", &BTreeMap::new()).as_str(), "x");
        assert!(split_id(&MultipartId::new("x~nonsense!")).is_err());
    }

    fn store(server: &ScriptedService) -> Store {
        let builder = crate::Client::builder("http://gateway:1").service(server.clone());
        builder.retry(RetryConfig::off()).build().unwrap().bucket("b").unwrap().store()
    }

    async fn send(store: &Store, upload: &MultipartRef, number: u32) -> Result<PartReceipt> {
        put_part(store, upload, PartNumber::new(number)?, "data".into()).await
    }

    #[tokio::test]
    async fn a_number_is_sent_once_by_any_handle() {
        let listed = "<ListPartsResult></ListPartsResult>";
        let replies = [Reply::ok("upload-1"), Reply::ok(""), Reply::status(503), Reply::ok(listed)];
        let server = ScriptedService::replies(replies);
        let store = store(&server);
        let key = ObjectKey::new("o").unwrap();
        let id = create(&store, &key, PutOptions::default()).await.unwrap();
        let upload = MultipartRef { key, id };
        send(&store, &upload, 1).await.unwrap();
        assert_eq!(send(&store, &upload, 2).await.unwrap_err().kind(), ErrorKind::Unavailable);
        // A list without it changes nothing: all of it went out.
        list_parts(&store, &upload).await.unwrap();
        let other = store.client().bucket("b").unwrap().store();
        for number in [1, 2] {
            assert_eq!(send(&other, &upload, number).await.unwrap_err().kind(), ErrorKind::Conflict);
        }
        assert_eq!(server.requests().len(), 4, "nothing else was sent");
    }

    #[tokio::test]
    async fn what_another_client_sent_is_not_sent_again() {
        let listed = "<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>";
        let server = ScriptedService::replies([Reply::ok(listed), Reply::ok("")]);
        let store = store(&server);
        let upload = MultipartRef { key: ObjectKey::new("o").unwrap(), id: MultipartId::new("upload-1") };
        assert_eq!(send(&store, &upload, 1).await.unwrap_err().kind(), ErrorKind::Conflict);
        send(&store, &upload, 2).await.unwrap();
        let methods: Vec<_> = server.requests().iter().map(|r| r.method.to_string()).collect();
        assert_eq!(methods, ["GET", "PUT"], "the parts are listed once");
    }

    #[test]
    fn checksums_of_parts_combine() {
        let crc = |bytes: &[u8]| {
            let mut hasher = Hasher::new(ChecksumKind::Crc32c);
            hasher.update(bytes);
            hasher.finish()
        };
        let part = |number, bytes: &[u8]| {
            PartReceipt::new(PartNumber::new(number).unwrap(), bytes.len() as u64).with_checksum(crc(bytes))
        };
        let parts = [part(1, b"one "), part(2, b"two "), part(3, b"three")];
        assert_eq!(combined(&parts), Some(crc(b"one two three")));
    }
}
