//! Copies at the server.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, response::Parts};
use longshore_blob_api::{BlobStore, CopyOptions, HeadOptions, PutResult};
use longshore_core_types::{Attributes, Error, ErrorKind, Idempotency, ObjectKey, Result};

use super::{
    store::AzureStore,
    wire::{answer, request},
};
use crate::wire::{answer::text, request::write_idempotency};

pub(super) const OPERATION: &str = "az.object.copy";
const PROPERTIES: &str = "az.object.set_properties";
const METADATA: &str = "az.object.set_metadata";

const SOURCE: HeaderName = HeaderName::from_static("x-ms-copy-source");

/// First and longest wait between two looks at a copy that the service makes in the background.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

pub(super) async fn copy(
    store: &AzureStore,
    from: &ObjectKey,
    to: &ObjectKey,
    opts: CopyOptions,
) -> Result<PutResult> {
    let refuse = |error| store.refuse(error, OPERATION, Some(to));
    request::check_key(from.as_str()).map_err(|error| store.refuse(error, OPERATION, Some(from)))?;
    if from == to && opts.attributes.is_none() && !opts.create_only {
        // It changes nothing.
        let meta = store.head(from, HeadOptions::default()).await?;
        return Ok(unchanged(&meta));
    }
    let how = write_idempotency(opts.create_only, None);
    let mut request = store.on(to, Method::PUT, OPERATION, how)?;
    request.headers.insert(SOURCE, source(store, from).await.map_err(refuse)?);
    if let Some(attributes) = &opts.attributes {
        request = request::metadata(request, attributes).map_err(refuse)?;
    }
    let request = request::conditions(request, opts.create_only, None);
    let parts = store.send(request, OPERATION, to).await?.done().await?;
    let mut result = answer::stored(&parts);
    if text(&parts.headers, "x-ms-copy-status") == Some("pending") {
        result = finished(store, to, &parts).await?;
    }
    match &opts.attributes {
        Some(attributes) => replace(store, to, attributes, result).await,
        None => Ok(result),
    }
}

fn unchanged(meta: &longshore_core_types::ObjectMeta) -> PutResult {
    let mut result = PutResult::default();
    result.etag.clone_from(&meta.etag);
    result.version.clone_from(&meta.version);
    result.last_modified = meta.last_modified;
    result
}

/// The URL of the source, with a signature where that is how we ask.
async fn source(store: &AzureStore, from: &ObjectKey) -> Result<HeaderValue> {
    let credentials = store.credentials().await?;
    let sas = credentials.as_ref().and_then(|credentials| credentials.sas());
    let query = sas.map_or("", |sas| sas.expose().trim().trim_start_matches('?'));
    let uri = store.client().endpoint.uri(Some(from.as_str()), query)?;
    let mut value = HeaderValue::try_from(uri.to_string()).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "the source of the copy does not fit into a header")
    })?;
    value.set_sensitive(sas.is_some());
    Ok(value)
}

/// Waits for a copy that the service makes in the background.
async fn finished(store: &AzureStore, to: &ObjectKey, begun: &Parts) -> Result<PutResult> {
    let id = text(&begun.headers, "x-ms-copy-id").unwrap_or_default();
    let mut wait = LOOK.0;
    loop {
        let request = store.on(to, Method::HEAD, OPERATION, Idempotency::Idempotent);
        let parts = store.send(request, OPERATION, to).await?.done().await?;
        let fail = |kind, message: String| Err(store.refuse(Error::new(kind, message), OPERATION, Some(to)));
        if text(&parts.headers, "x-ms-copy-id") != Some(id) {
            return fail(ErrorKind::Conflict, "the blob was written by another while it was copied".into());
        }
        match text(&parts.headers, "x-ms-copy-status") {
            Some("pending") => {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LOOK.1);
            }
            Some("success") => return Ok(answer::stored(&parts)),
            other => {
                let why =
                    text(&parts.headers, "x-ms-copy-status-description").or(other).unwrap_or("no status");
                return fail(ErrorKind::Other, format!("the service did not copy the blob: {why}"));
            }
        }
    }
}

/// A copy takes content headers from its source, and metadata unless it has some of its own: the rest is set on the
/// copy, if it is still the one that was made.
async fn replace(
    store: &AzureStore,
    to: &ObjectKey,
    attributes: &Attributes,
    made: PutResult,
) -> Result<PutResult> {
    let mut result = made;
    if attributes.metadata.is_empty() {
        let request =
            store.on(to, Method::PUT, METADATA, Idempotency::NotIdempotent)?.query("comp", "metadata");
        let request = request::conditions(request, false, result.etag.as_deref());
        result = answer::stored(&store.send(request, METADATA, to).await?.done().await?);
    }
    let request =
        store.on(to, Method::PUT, PROPERTIES, Idempotency::NotIdempotent)?.query("comp", "properties");
    let request = request::content(request, attributes)
        .and_then(|request| request::conditions(request, false, result.etag.as_deref()));
    Ok(answer::stored(&store.send(request, PROPERTIES, to).await?.done().await?))
}
