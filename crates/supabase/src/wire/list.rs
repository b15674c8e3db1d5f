//! The two listings.

use http::Method;
use longshore_core_types::{BucketName, Error, ErrorKind, Idempotency, Result};
use longshore_transport::encode_path;
use serde::{Deserialize, Serialize};

use super::Request;
use crate::{
    model::FileObject,
    names::{bucket_resource, invalid},
};

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SortColumn {
    /// By name.
    Name,
    /// By the time of the last write.
    UpdatedAt,
    /// By the time of the first write.
    CreatedAt,
    /// By a time that is set when the object is made. Lists of folders only.
    LastAccessedAt,
}

/// In which direction a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum SortOrder {
    /// Upwards.
    #[serde(rename = "asc")]
    Ascending,
    /// Downwards.
    #[serde(rename = "desc")]
    Descending,
}

impl SortOrder {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sort {
    pub(crate) column: SortColumn,
    pub(crate) order: SortOrder,
}

/// A list of the children of a folder.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FolderParams {
    pub(crate) limit: u32,
    pub(crate) offset: u64,
    #[serde(rename = "sortBy")]
    pub(crate) sort: Sort,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) search: Option<String>,
    /// The folder; empty for the top.
    pub(crate) prefix: String,
}

impl Default for FolderParams {
    fn default() -> Self {
        let sort = Sort { column: SortColumn::Name, order: SortOrder::Ascending };
        Self { limit: 100, offset: 0, sort, search: None, prefix: String::new() }
    }
}

/// Most rows that the server gives for one request.
pub(crate) const MOST_OF_FOLDER: u32 = 1500;
pub(crate) const MOST_OF_PAGE: u32 = 1000;

pub(crate) fn folder(bucket: &BucketName, params: &FolderParams) -> Result<Request> {
    if params.limit == 0 {
        return Err(invalid("a list of zero objects cannot be asked for"));
    }
    let path = format!("/object/list/{}", encode_path(bucket.as_str()));
    Request::new(Method::POST, path, "supabase.bucket.list_objects", Idempotency::Idempotent)
        .on(bucket_resource(bucket))
        .json(params)
}

/// A page of all objects whose names start with a text, or of one level of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PageParams {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) with_delimiter: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<String>,
    #[serde(rename = "sortBy", skip_serializing_if = "Option::is_none")]
    pub(crate) sort: Option<Sort>,
}

pub(crate) fn page(bucket: &BucketName, params: &PageParams) -> Result<Request> {
    if params.limit == Some(0) {
        return Err(invalid("a page of a listing cannot have zero entries"));
    }
    if params.sort.is_some_and(|sort| sort.column == SortColumn::LastAccessedAt) {
        return Err(invalid("pages are sorted by name or by the time of the first or last write"));
    }
    let path = format!("/object/list-v2/{}", encode_path(bucket.as_str()));
    Request::new(Method::POST, path, "supabase.bucket.list_objects", Idempotency::Idempotent)
        .on(bucket_resource(bucket))
        .json(params)
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FilePage {
    /// Objects, in the order asked for, under their full names.
    pub objects: Vec<FileObject>,
    /// Folders of a listing of one level: their full names with a final `/`.
    #[serde(deserialize_with = "folder_names")]
    pub folders: Vec<String>,
    /// Whether there is another page.
    #[serde(rename = "hasNext")]
    pub has_next: bool,
    /// Where it starts. Opaque.
    #[serde(default, rename = "nextCursor")]
    pub next_cursor: Option<String>,
}

impl FilePage {
    /// Where the next page starts, of a listing whose page this is, from `cursor` on.
    ///
    /// A page that is not the last one and leads nowhere is an error: names would be missing, or come for ever.
    pub(crate) fn next(&self, cursor: Option<&str>) -> Result<Option<String>> {
        match self.next_cursor.as_deref() {
            _ if !self.has_next => Ok(None),
            Some(next) if !next.is_empty() && cursor != Some(next) => Ok(Some(next.to_owned())),
            _ => {
                Err(Error::new(ErrorKind::Protocol, "the listing goes on, but the server does not say where"))
            }
        }
    }
}

fn folder_names<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    struct Folder {
        name: String,
    }
    let folders = Vec::<Folder>::deserialize(deserializer)?;
    Ok(folders.into_iter().map(|folder| folder.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let text = br#"{"hasNext":true,"nextCursor":"bDph","nextCursorKey":"a",
            "folders":[{"key":"Dir","name":"Dir/","id":null,"metadata":null}],
            "objects":[{"key":"a","name":"a","id":"1","metadata":{"size":1}}]}"#;
        let page: FilePage = super::super::from_json(text, "a page of a listing").unwrap();
        assert_eq!(page.folders, ["Dir/"]);
        assert_eq!((page.objects[0].name.as_str(), page.next_cursor.as_deref()), ("a", Some("bDph")));
    }

    #[test]
    fn where_a_listing_goes_on() {
        let page = |has_next, next: Option<&str>| FilePage {
            has_next,
            next_cursor: next.map(str::to_owned),
            ..FilePage::default()
        };
        assert_eq!(page(true, Some("b")).next(Some("a")).unwrap().as_deref(), Some("b"));
        assert_eq!(page(false, Some("b")).next(None).unwrap(), None);
        for nowhere in [page(true, None), page(true, Some("")), page(true, Some("a"))] {
            assert_eq!(nowhere.next(Some("a")).unwrap_err().kind(), ErrorKind::Protocol, "{nowhere:?}");
        }
    }

    #[test]
    fn empty_pages_are_not_asked_for() {
        let bucket = BucketName::new("b").unwrap();
        let params = PageParams { limit: Some(0), ..PageParams::default() };
        assert!(page(&bucket, &params).is_err());
        assert!(folder(&bucket, &FolderParams { limit: 0, ..FolderParams::default() }).is_err());
        let sort = Sort { column: SortColumn::LastAccessedAt, order: SortOrder::Ascending };
        assert!(page(&bucket, &PageParams { sort: Some(sort), ..PageParams::default() }).is_err());
    }
}
