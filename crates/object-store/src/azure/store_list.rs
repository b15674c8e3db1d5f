//! Listings: of blobs, and of blocks.

use http::Method;
use longshore_blob_api::{Entry, ListOptions, ListPage, MultipartRef, PageToken, PartInfo};
use longshore_core_types::{Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Result};
use percent_encoding::percent_decode_str;

use super::{
    store::AzureStore,
    upload::Upload,
    wire::xml::{Blob, BlockList, EnumerationResults, Found, Name},
};
use crate::wire::answer::http_date;

pub(super) const OPERATION: &str = "az.container.list";
const PARTS: &str = "az.multipart.list_parts";

/// A name as the answer writes it.
fn decode(name: Name) -> Result<String> {
    if name.encoded != Some(true) {
        return Ok(name.text);
    }
    percent_decode_str(&name.text).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|error| {
        Error::new(ErrorKind::Protocol, format!("the name {:?} of a listing is not UTF-8", name.text))
            .with_source(error)
    })
}

fn object(blob: Blob) -> Result<ObjectMeta> {
    let mut meta =
        ObjectMeta::new(ObjectKey::new(decode(blob.name)?)?, blob.properties.length.unwrap_or_default());
    // Other answers have it in quotes.
    let quoted = |tag: String| if tag.starts_with('"') { tag } else { format!("\"{tag}\"") };
    meta.etag = blob.properties.etag.filter(|tag| !tag.is_empty()).map(quoted);
    meta.version = blob.version_id.filter(|version| !version.is_empty());
    meta.last_modified = blob.properties.last_modified.as_deref().and_then(http_date);
    meta.created = blob.properties.created.as_deref().and_then(http_date);
    meta.attributes.content_type = blob.properties.content_type.filter(|kind| !kind.is_empty());
    Ok(meta)
}

pub(super) async fn page(
    store: &AzureStore,
    opts: &ListOptions,
    page: Option<PageToken>,
) -> Result<ListPage> {
    let request = store
        .request(Method::GET, OPERATION, Idempotency::Idempotent)
        .query("restype", "container")
        .query("comp", "list")
        .query("prefix", &opts.prefix)
        .query_opt("delimiter", opts.delimited.then_some("/"))
        .query_opt("maxresults", opts.page_size)
        .query_opt("marker", page.as_ref().map(PageToken::as_str));
    let answer = store.client().call(request).await?;
    let call = answer.call.clone();
    let found: EnumerationResults = answer.document("a listing").await?;
    entries(found).map_err(|error| error.with_call(&call))
}

fn entries(found: EnumerationResults) -> Result<ListPage> {
    let entry = |found| match found {
        Found::Blob(blob) => object(blob).map(Entry::Object),
        Found::BlobPrefix(prefix) => decode(prefix.name).map(Entry::Prefix),
    };
    let mut entries = found.blobs.entries.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
    // The service writes prefixes first.
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(ListPage::new(entries, found.next_marker.map(PageToken::new)))
}

pub(super) async fn parts(store: &AzureStore, upload: &MultipartRef) -> Result<Vec<PartInfo>> {
    let key = &upload.key;
    let refuse = |error| store.refuse(error, PARTS, Some(key));
    store.can().check_list_parts().map_err(refuse)?;
    let begun = Upload::parse(upload).map_err(refuse)?;
    let request = store
        .on(key, Method::GET, PARTS, Idempotency::Idempotent)?
        .query("comp", "blocklist")
        .query("blocklisttype", "uncommitted");
    let answer = match store.send(Ok(request), PARTS, key).await {
        Ok(answer) => answer,
        // Neither a blob nor a block of that name: nothing was sent yet.
        Err(error) if error.code() == Some("BlobNotFound") => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let found: BlockList = answer.document("a list of blocks").await?;
    let own = |block: super::wire::xml::Block| {
        let mut info = PartInfo::new(begun.number(&block.name)?);
        info.size = block.size;
        Some(info)
    };
    let mut parts: Vec<_> = found.uncommitted_blocks.block.into_iter().filter_map(own).collect();
    parts.sort_by_key(|part| part.number);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let body = br#"<EnumerationResults><Blobs><BlobPrefix><Name>m/</Name></BlobPrefix>
            <Blob><Name Encoded="true">a%01</Name><Properties><Content-Length>7</Content-Length><Etag>0x8</Etag>
            <Creation-Time>Wed, 21 Oct 2015 07:28:00 GMT</Creation-Time></Properties></Blob>
            <Blob><Name>z%20</Name><Properties/></Blob></Blobs><NextMarker/></EnumerationResults>"#;
        let page = entries(crate::wire::xml::parse(body, "a listing").unwrap()).unwrap();
        let names: Vec<_> = page.entries.iter().map(Entry::name).collect();
        assert_eq!((names, page.next), (vec!["a\u{1}", "m/", "z%20"], None));
        let Entry::Object(meta) = &page.entries[0] else { panic!() };
        assert_eq!((meta.size, meta.etag.as_deref(), meta.created.is_some()), (7, Some("\"0x8\""), true));
    }
}
