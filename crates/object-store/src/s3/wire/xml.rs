//! Documents.

use std::fmt::Write as _;

use longshore_blob_api::PartReceipt;
use longshore_core_types::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::wire::xml::Document;

/// A page of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct ListBucketResult {
    /// Google has written it in both ways.
    #[serde(alias = "Encoding-Type")]
    pub(in crate::s3) encoding_type: Option<String>,
    pub(in crate::s3) next_continuation_token: Option<String>,
    pub(in crate::s3) is_truncated: bool,
    pub(in crate::s3) contents: Vec<Contents>,
    pub(in crate::s3) common_prefixes: Vec<CommonPrefix>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct Contents {
    pub(in crate::s3) key: String,
    pub(in crate::s3) size: u64,
    pub(in crate::s3) last_modified: Option<String>,
    #[serde(rename = "ETag")]
    pub(in crate::s3) etag: Option<String>,
    /// Google's version of an object.
    pub(in crate::s3) generation: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct CommonPrefix {
    pub(in crate::s3) prefix: String,
}

/// A page of an account's buckets.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct ListAllMyBucketsResult {
    pub(in crate::s3) buckets: Buckets,
    pub(in crate::s3) continuation_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct Buckets {
    pub(in crate::s3) bucket: Vec<Bucket>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::s3) struct Bucket {
    pub(in crate::s3) name: String,
}

/// A page of uploads.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct ListMultipartUploadsResult {
    #[serde(alias = "Encoding-Type")]
    pub(in crate::s3) encoding_type: Option<String>,
    pub(in crate::s3) is_truncated: bool,
    pub(in crate::s3) next_key_marker: Option<String>,
    pub(in crate::s3) next_upload_id_marker: Option<String>,
    pub(in crate::s3) upload: Vec<Upload>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct Upload {
    pub(in crate::s3) key: String,
    #[serde(rename = "UploadId")]
    pub(in crate::s3) id: String,
    pub(in crate::s3) initiated: Option<String>,
}

/// A page of parts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct ListPartsResult {
    pub(in crate::s3) is_truncated: bool,
    pub(in crate::s3) next_part_number_marker: Option<u32>,
    pub(in crate::s3) part: Vec<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct Part {
    #[serde(rename = "PartNumber")]
    pub(in crate::s3) number: u32,
    pub(in crate::s3) size: Option<u64>,
    #[serde(rename = "ETag")]
    pub(in crate::s3) etag: Option<String>,
    pub(in crate::s3) last_modified: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::s3) struct InitiateMultipartUploadResult {
    pub(in crate::s3) upload_id: String,
}

/// Of a completed upload, of a copy, and of a copy into a part.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct Made {
    #[serde(rename = "ETag")]
    pub(in crate::s3) etag: Option<String>,
    pub(in crate::s3) last_modified: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct DeleteResult {
    pub(in crate::s3) error: Vec<NotDeleted>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(in crate::s3) struct NotDeleted {
    pub(in crate::s3) key: String,
    pub(in crate::s3) code: String,
    pub(in crate::s3) message: String,
}

/// Documents whose roots are called as the types are.
macro_rules! documents {
    ($($name:ident)*) => {
        $(impl Document for $name {
            const ROOT: &'static str = stringify!($name);
        })*
    };
}

documents! {
    ListBucketResult ListAllMyBucketsResult ListMultipartUploadsResult ListPartsResult InitiateMultipartUploadResult DeleteResult
}

impl Document for Made {
    const ROOT: &'static str = "CopyObjectResult";

    fn is_root(name: &str) -> bool {
        matches!(name, "CompleteMultipartUploadResult" | "CopyObjectResult" | "CopyPartResult")
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Readers would make a line feed of it.
            '\r' => escaped.push_str("&#13;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether XML can say a name at all.
pub(in crate::s3) fn can_say(name: &str) -> bool {
    name.chars().all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
        && !name.contains(['\u{fffe}', '\u{ffff}'])
}

/// The region of a new bucket.
pub(in crate::s3) fn create_bucket(region: &str) -> String {
    format!(
        "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{}\
         </LocationConstraint></CreateBucketConfiguration>",
        escape(region)
    )
}

/// The list of names to delete. Only failures are reported back.
pub(in crate::s3) fn delete<'k>(keys: impl IntoIterator<Item = &'k str>) -> String {
    let mut text =
        String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for key in keys {
        let _ = write!(text, "<Object><Key>{}</Key></Object>", escape(key));
    }
    text.push_str("</Delete>");
    text
}

/// The list of parts that make an object.
pub(in crate::s3) fn complete(parts: &[PartReceipt]) -> Result<String> {
    let mut text =
        String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for part in parts {
        let etag = part.etag.as_deref().ok_or_else(|| {
            let message =
                format!("part {} has no entity tag, which S3 wants to complete the upload", part.number);
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        let _ = write!(
            text,
            "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
            part.number,
            escape(etag)
        );
    }
    text.push_str("</CompleteMultipartUpload>");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use longshore_blob_api::PartNumber;

    use super::*;
    use crate::wire::xml::parse;

    #[test]
    fn listings() {
        let xml = br#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>
<NextContinuationToken>t</NextContinuationToken><EncodingType>url</EncodingType>
<Contents><Key>a%20b</Key><Size>3</Size><ETag>&quot;x&quot;</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>
<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>"#;
        let page: ListBucketResult = parse(xml, "a listing").unwrap();
        assert!(page.is_truncated && page.contents[0].size == 3);
        assert_eq!((page.contents[0].etag.as_deref(), page.common_prefixes.len()), (Some("\"x\""), 2));
        let google = b"<ListBucketResult><Encoding-Type>url</Encoding-Type><Contents><Key>a+b</Key><Generation>7</Generation>\
                       <Size>0</Size></Contents></ListBucketResult>";
        let google: ListBucketResult = parse(google, "a listing").unwrap();
        assert_eq!(google.encoding_type.as_deref(), Some("url"));
        assert_eq!(google.contents[0].generation.as_deref(), Some("7"));
        let empty: ListBucketResult = parse(b"<ListBucketResult/>", "a listing").unwrap();
        assert!(!empty.is_truncated && empty.contents.is_empty());
        assert_eq!(parse::<ListBucketResult>(b"<html", "a listing").unwrap_err().kind(), ErrorKind::Protocol);
    }

    #[test]
    fn names_are_read_as_they_are() {
        let found: DeleteResult =
            parse(b"<DeleteResult><Error><Key> a \n&#13;&amp; </Key></Error></DeleteResult>", "outcomes")
                .unwrap();
        assert_eq!(found.error[0].key, " a \n\r& ");
        let found: ListBucketResult =
            parse(b"<ListBucketResult><Contents><Key> a </Key></Contents></ListBucketResult>", "a listing")
                .unwrap();
        assert_eq!(found.contents[0].key, " a ");
    }

    #[test]
    fn documents_that_are_sent() {
        assert!(delete(["a<&\r"]).contains("<Key>a&lt;&amp;&#13;</Key>"));
        assert!(can_say("a\n") && !can_say("a\u{1}"));
        let part = PartReceipt::new(PartNumber::from_index(0), 1);
        assert!(complete(std::slice::from_ref(&part)).is_err());
        assert!(complete(&[part.with_etag("\"t\"")]).unwrap().contains("<ETag>&quot;t&quot;</ETag>"));
    }
}
