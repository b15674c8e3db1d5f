//! Copies at the server.

use futures_util::{StreamExt, TryStreamExt, stream};
use http::Method;
use longshore_blob_api::{
    BlobStore, CopyOptions, HeadOptions, MultipartRef, PartNumber, PartReceipt, PutOptions, PutResult,
};
use longshore_core_types::{Attributes, Error, ErrorKind, Idempotency, ObjectKey, Payload, Result};

use super::{
    store::{LARGEST_PUT, S3Store, created_before},
    wire::{answer, request::check_key, xml::Made},
};
use crate::wire::{answer::iso_date, request::write_idempotency};

const OPERATION: &str = "s3.object.copy";
const PART: &str = "s3.multipart.copy_part";

/// Size of the parts of a copy, which costs the client nothing.
const PART_SIZE: u64 = 1 << 30;

/// Parts that are copied at a time.
const PARTS: usize = 4;

pub(super) async fn copy(
    store: &S3Store,
    bucket: &str,
    from: &ObjectKey,
    to: &ObjectKey,
    opts: CopyOptions,
) -> Result<PutResult> {
    check_key(from.as_str()).map_err(|error| store.refuse(error, OPERATION, Some(from)))?;
    // A copy onto itself with the same attributes is refused by S3, and changes nothing.
    let onto_itself = bucket == store.bucket().as_str() && from == to;
    if onto_itself && (opts.create_only || opts.attributes.is_none()) {
        let meta = store.head(from, HeadOptions::default()).await?;
        if opts.create_only {
            let error = Error::new(ErrorKind::AlreadyExists, "an object is not created as a copy of itself");
            return Err(store.refuse(error, OPERATION, Some(to)));
        }
        let mut result = PutResult::default();
        result.etag = meta.etag;
        result.version = meta.version;
        result.last_modified = meta.last_modified;
        return Ok(result);
    }
    if opts.create_only && !store.flavor().copies_have_conditions {
        return in_parts(store, bucket, from, to, opts).await;
    }
    let request = store
        .on(to, Method::PUT, OPERATION, write_idempotency(opts.create_only, None))?
        .copy_source(bucket, from.as_str())
        .and_then(|request| request.copy_attributes(opts.attributes.as_ref(), &store.flavor()))
        .and_then(|request| request.conditions(opts.create_only, None));
    let made = match store.send(request, OPERATION, Some(to)).await {
        Ok(answer) => {
            let stored = answer::stored(&answer.parts);
            answer.document::<Made>("a copy").await.map(|made| (made, stored))
        }
        Err(error) => Err(created_before(error, opts.create_only)),
    };
    match made {
        Ok((made, mut result)) => {
            result.etag = made.etag;
            result.last_modified = made.last_modified.as_deref().and_then(iso_date);
            Ok(result)
        }
        // Too large for one request. A service that copies no parts has no such limit either.
        Err(error)
            if matches!(error.code(), Some("InvalidRequest" | "EntityTooLarge"))
                && bucket == store.bucket().as_str()
                && store.flavor().copies_parts =>
        {
            let size = store.head(from, HeadOptions::default()).await?.size;
            if size <= LARGEST_PUT {
                return Err(error);
            }
            in_parts(store, bucket, from, to, opts).await
        }
        Err(error) => Err(error),
    }
}

/// A copy whose condition holds at its end: the completion of an upload in parts has one, a plain copy has none that
/// all servers know.
async fn in_parts(
    store: &S3Store,
    bucket: &str,
    from: &ObjectKey,
    to: &ObjectKey,
    opts: CopyOptions,
) -> Result<PutResult> {
    if bucket != store.bucket().as_str() {
        let message =
            "S3 does not say how large an object of another bucket is, which a copy in parts has to know";
        let error = Error::new(ErrorKind::Unsupported, message);
        return Err(store.refuse(error, OPERATION, Some(to)));
    }
    let source = store.head(from, HeadOptions::default()).await?;
    let mut put = PutOptions::default();
    put.create_only = opts.create_only;
    put.attributes = opts.attributes.unwrap_or_else(|| Attributes::clone(&source.attributes));
    if source.size == 0 {
        return store.put(to, Payload::empty(), put).await;
    }
    let id = store.create_multipart(to, put).await?;
    let upload = MultipartRef { key: to.clone(), id };
    let result = match copy_parts(store, &upload, from, source.etag.as_deref(), source.size).await {
        Ok(parts) => store.complete_multipart(&upload, parts).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(result) => Ok(result),
        Err(error) => match store.abort_multipart(&upload).await {
            Ok(()) => Err(error),
            Err(other) => Err(error.with_related(other)),
        },
    }
}

async fn copy_parts(
    store: &S3Store,
    upload: &MultipartRef,
    from: &ObjectKey,
    etag: Option<&str>,
    size: u64,
) -> Result<Vec<PartReceipt>> {
    let part = |index: u32| async move {
        let start = u64::from(index) * PART_SIZE;
        let range = start..size.min(start + PART_SIZE);
        let number = PartNumber::from_index(index);
        let request = store
            .on(&upload.key, Method::PUT, PART, Idempotency::Idempotent)?
            .query("partNumber", &number.to_string())
            .query("uploadId", super::store::server_id(upload))
            .copy_source(store.bucket().as_str(), from.as_str())
            .and_then(|request| request.copy_range(&range))
            .and_then(|request| request.copy_if(etag));
        let made: Made =
            store.send(request, PART, Some(&upload.key)).await?.document("a copied part").await?;
        let mut receipt = PartReceipt::new(number, range.end - range.start);
        receipt.etag = made.etag;
        Ok(receipt)
    };
    let count = u32::try_from(size.div_ceil(PART_SIZE)).unwrap_or(u32::MAX);
    stream::iter(0..count).map(part).buffered(PARTS).try_collect().await
}

#[cfg(test)]
mod tests {
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::super::S3Builder;
    use super::*;

    /// How a copy ends whose first request is answered with this code, and how many parts it had.
    async fn refused_with(code: &'static str, size: u64) -> (Result<PutResult>, usize) {
        let server = ScriptedService::new(move |seen| {
            let query = seen.uri.query().unwrap_or_default();
            match (seen.method.as_str(), seen.header("x-amz-copy-source-range")) {
                ("HEAD", _) => Reply::ok("").header("content-length", size.to_string().as_str()),
                ("PUT", None) => Reply::status(400).body(format!("<Error><Code>{code}</Code></Error>")),
                ("PUT", Some(_)) => Reply::ok("<CopyPartResult><ETag>\"p\"</ETag></CopyPartResult>"),
                ("POST", _) if query == "uploads=" => Reply::ok(
                    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
                ),
                _ => Reply::ok(
                    "<CompleteMultipartUploadResult><ETag>\"w\"</ETag></CompleteMultipartUploadResult>",
                ),
            }
        });
        let store =
            S3Builder::new("b").endpoint("http://h").anonymous().service(server.clone()).build().unwrap();
        let (from, to) = (ObjectKey::new("from").unwrap(), ObjectKey::new("to").unwrap());
        let result = store.copy(&from, &to, CopyOptions::default()).await;
        let ranges =
            server.requests().iter().filter(|seen| seen.header("x-amz-copy-source-range").is_some()).count();
        (result, ranges)
    }

    #[tokio::test]
    async fn what_is_too_large_for_one_request_is_copied_in_parts() {
        for code in ["InvalidRequest", "EntityTooLarge"] {
            let (result, parts) = refused_with(code, (6 << 30) + 1).await;
            assert_eq!((result.unwrap().etag.as_deref(), parts), (Some("\"w\""), 7), "{code}");
            // It was refused for something else.
            let (result, parts) = refused_with(code, 6).await;
            assert_eq!((result.unwrap_err().code(), parts), (Some(code), 0));
        }
        assert_eq!(refused_with("AccessDenied", 6 << 30).await.1, 0);
    }
}
