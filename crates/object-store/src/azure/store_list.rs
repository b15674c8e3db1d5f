//! Listings: of blobs, and of blocks.

use futures_core::stream::BoxStream;
use http::Method;
use longshore_blob_api::{Entry, ListOptions, ListPage, MultipartRef, PageToken, PartInfo};
use longshore_core_types::{
    CallInfo, Error, ErrorKind, Idempotency, ObjectKey, ObjectMeta, Resource, Result,
};
use percent_encoding::percent_decode_str;

use super::{
    store::AzureStore,
    upload::Upload,
    wire::{
        request::versioned,
        xml::{Blob, BlockList, ContainerResults, EnumerationResults, Found, Name},
    },
};
use crate::wire::{answer::http_date, pages, request::Request};

pub(super) const OPERATION: &str = "az.container.list";
const CONTAINERS: &str = "az.container.list_all";
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
    let next = found.next_marker.clone().filter(|next| !next.is_empty()).map(PageToken::new);
    if next.is_some() && next == page {
        let error = Error::new(ErrorKind::Protocol, "the listing repeats itself");
        return Err(error.with_call(&call));
    }
    let entries = entries(found).map_err(|error| error.with_call(&call))?;
    Ok(ListPage::new(entries, next))
}

fn entries(found: EnumerationResults) -> Result<Vec<Entry>> {
    let entry = |found| match found {
        Found::Blob(blob) => object(blob).map(Entry::Object),
        Found::BlobPrefix(prefix) => decode(prefix.name).map(Entry::Prefix),
    };
    let mut entries = found.blobs.entries.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
    // The service writes prefixes first.
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(entries)
}

pub(super) fn containers(store: &AzureStore) -> BoxStream<'static, Result<String>> {
    let service = store.client().service();
    let page = move |place: Option<String>| {
        let service = service.clone();
        async move {
            let request = Request::new(Method::GET, CONTAINERS, Idempotency::Idempotent, Resource::Endpoint);
            let request = versioned(request).query("comp", "list").query_opt("marker", place);
            let found: ContainerResults =
                service.call(request).await?.document("a list of containers").await?;
            let names = found.containers.container.into_iter().map(|container| container.name).collect();
            Ok((names, found.next_marker))
        }
    };
    pages::names(CallInfo::new(CONTAINERS, Idempotency::Idempotent), page)
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
    use futures_util::TryStreamExt;
    use longshore_blob_api::{BlobStore, BlobStoreExt};
    use longshore_transport::testing::{Reply, ScriptedService};

    use super::super::AzureBuilder;
    use super::*;

    #[test]
    fn pages() {
        let body = br#"<EnumerationResults><Blobs><BlobPrefix><Name>m/</Name></BlobPrefix>
            <Blob><Name Encoded="true">a%01</Name><Properties><Content-Length>7</Content-Length><Etag>0x8</Etag>
            <Creation-Time>Wed, 21 Oct 2015 07:28:00 GMT</Creation-Time></Properties></Blob>
            <Blob><Name>z%20</Name><Properties/></Blob></Blobs><NextMarker/></EnumerationResults>"#;
        let entries = entries(crate::wire::xml::parse(body, "a listing").unwrap()).unwrap();
        let names: Vec<_> = entries.iter().map(Entry::name).collect();
        assert_eq!(names, ["a\u{1}", "m/", "z%20"]);
        let Entry::Object(meta) = &entries[0] else { panic!() };
        assert_eq!((meta.size, meta.etag.as_deref(), meta.created.is_some()), (7, Some("\"0x8\""), true));
    }

    fn store(server: &ScriptedService) -> AzureStore {
        let builder = AzureBuilder::new("none").emulator("http://h:1").service(server.clone());
        builder.build().unwrap()
    }

    #[tokio::test]
    async fn a_listing_ends_without_a_marker_and_never_repeats() {
        let page = |next: &str| Reply::ok(format!("<EnumerationResults><Blobs/>{next}</EnumerationResults>"));
        for end in ["", "<NextMarker/>", "<NextMarker></NextMarker>"] {
            let store = store(&ScriptedService::replies([page(end)]));
            let found = store.list_page(&ListOptions::default(), None).await.unwrap();
            assert_eq!(found.next, None, "{end}");
        }
        let store = store(&ScriptedService::new(move |_| page("<NextMarker>m</NextMarker>")));
        let listed: Result<Vec<_>> = store.list(ListOptions::default()).try_collect().await;
        let error = listed.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Protocol && error.to_string().contains("repeats itself"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn containers_are_listed_a_page_at_a_time() {
        let page = |name: &str, next: &str| {
            Reply::ok(format!(
                "\u{feff}<?xml version=\"1.0\"?><EnumerationResults ServiceEndpoint=\"http://h:1/\"><Containers><Container>\
                 <Name>{name}</Name><Properties><Etag>\"0x8\"</Etag></Properties></Container></Containers>{next}\
                 </EnumerationResults>"
            ))
        };
        let server = ScriptedService::replies([
            page("a", "<NextMarker>/acc/b c</NextMarker>"),
            page("b", "<NextMarker />"),
            Reply::status(403).header("x-ms-error-code", "AuthorizationFailure"),
        ]);
        let store = store(&server);
        let names: Vec<_> = store.list_containers().try_collect().await.unwrap();
        assert_eq!(names, ["a", "b"]);
        let error = store.list_containers().try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::PermissionDenied, Some("AuthorizationFailure")));
        assert!(!error.to_string().contains("none"), "nobody asked for that container: {error}");
        let seen = server.requests();
        assert_eq!(seen[0].uri.to_string(), "http://h:1/devstoreaccount1?comp=list");
        assert_eq!(seen[1].uri.query(), Some("comp=list&marker=%2Facc%2Fb%20c"));
        assert!(seen.iter().all(|seen| seen.header("authorization").is_some()));
    }
}
