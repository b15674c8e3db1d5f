//! Documents.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::wire::xml::Document;

/// A page of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct EnumerationResults {
    pub(in crate::azure) blobs: Blobs,
    pub(in crate::azure) next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::azure) struct Blobs {
    /// Blobs and prefixes, in any order.
    #[serde(rename = "$value")]
    pub(in crate::azure) entries: Vec<Found>,
}

#[derive(Debug, Deserialize)]
pub(in crate::azure) enum Found {
    Blob(Blob),
    BlobPrefix(Prefix),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct Blob {
    pub(in crate::azure) name: Name,
    pub(in crate::azure) version_id: Option<String>,
    pub(in crate::azure) properties: Properties,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct Prefix {
    pub(in crate::azure) name: Name,
}

/// A name, percent-encoded where the document could not hold it otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::azure) struct Name {
    #[serde(rename = "@Encoded")]
    pub(in crate::azure) encoded: Option<bool>,
    #[serde(rename = "$text")]
    pub(in crate::azure) text: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::azure) struct Properties {
    #[serde(rename = "Content-Length")]
    pub(in crate::azure) length: Option<u64>,
    #[serde(rename = "Etag")]
    pub(in crate::azure) etag: Option<String>,
    #[serde(rename = "Last-Modified")]
    pub(in crate::azure) last_modified: Option<String>,
    #[serde(rename = "Creation-Time")]
    pub(in crate::azure) created: Option<String>,
    #[serde(rename = "Content-Type")]
    pub(in crate::azure) content_type: Option<String>,
}

/// A page of an account's containers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct ContainerResults {
    pub(in crate::azure) containers: Containers,
    pub(in crate::azure) next_marker: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct Containers {
    pub(in crate::azure) container: Vec<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::azure) struct Container {
    pub(in crate::azure) name: String,
}

/// The blocks that were sent and are part of no blob yet.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct BlockList {
    pub(in crate::azure) uncommitted_blocks: Blocks,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct Blocks {
    pub(in crate::azure) block: Vec<Block>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::azure) struct Block {
    pub(in crate::azure) name: String,
    pub(in crate::azure) size: Option<u64>,
}

impl Document for EnumerationResults {
    const ROOT: &'static str = "EnumerationResults";
}

impl Document for ContainerResults {
    const ROOT: &'static str = "EnumerationResults";
}

impl Document for BlockList {
    const ROOT: &'static str = "BlockList";
}

/// The blob that these blocks are, by their ids, in order. Ids are base64, which needs no escapes.
pub(in crate::azure) fn block_list(ids: impl IntoIterator<Item = String>) -> String {
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for id in ids {
        // Repeated, a commit finds the blocks where the first one put them.
        let _ = write!(document, "<Latest>{id}</Latest>");
    }
    document.push_str("</BlockList>");
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml::parse;

    #[test]
    fn listings() {
        let body = br#"<?xml version="1.0"?><EnumerationResults ContainerName="c"><Prefix>p</Prefix><Blobs>
            <BlobPrefix><Name>dir/</Name></BlobPrefix>
            <Blob><Name Encoded="true">a%01b</Name><Properties><Content-Length>7</Content-Length><Etag>0x8</Etag>
            <Last-Modified>Wed, 21 Oct 2015 07:28:00 GMT</Last-Modified></Properties><OrMetadata/></Blob>
            <BlobPrefix><Name> z/</Name></BlobPrefix></Blobs><NextMarker>next</NextMarker></EnumerationResults>"#;
        let found: EnumerationResults = parse(body, "a listing").unwrap();
        assert_eq!(found.next_marker.as_deref(), Some("next"));
        let Found::Blob(blob) = &found.blobs.entries[1] else { panic!("{found:?}") };
        assert_eq!((blob.name.encoded, blob.name.text.as_str()), (Some(true), "a%01b"));
        assert_eq!((blob.properties.length, blob.properties.etag.as_deref()), (Some(7), Some("0x8")));
        let Found::BlobPrefix(prefix) = &found.blobs.entries[2] else { panic!("{found:?}") };
        assert_eq!(prefix.name.text, " z/");
        let empty: EnumerationResults =
            parse(b"<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>", "a listing").unwrap();
        assert!(empty.blobs.entries.is_empty() && empty.next_marker.unwrap_or_default().is_empty());
    }

    #[test]
    fn blocks() {
        let body = b"<BlockList><UncommittedBlocks><Block><Name>YQ==</Name><Size>5</Size></Block></UncommittedBlocks>\
                     </BlockList>";
        let found: BlockList = parse(body, "blocks").unwrap();
        assert_eq!(found.uncommitted_blocks.block[0].size, Some(5));
        assert!(block_list(["YQ==".to_owned()]).ends_with("<BlockList><Latest>YQ==</Latest></BlockList>"));
    }
}
