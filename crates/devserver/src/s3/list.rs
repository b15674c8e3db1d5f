//! Listings of buckets and of objects.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    Bucket, CommonPrefix, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    EncodingType, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, Owner,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::Shop;
use super::catalog::BucketInfo;
use super::meta;

/// Entries of a page, at most and by default.
const MAX_KEYS: i32 = 1000;

/// Everything but unreserved characters and the slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// One page of a listing.
#[derive(Debug, Default)]
struct Page {
    objects: Vec<Object>,
    prefixes: Vec<String>,
    /// The last entry, if there is more behind it.
    next: Option<String>,
}

/// What a listing asks for.
#[derive(Debug)]
struct Query<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    max: usize,
    /// Only names behind this one. If it is a common prefix of this listing, only names behind all it stands for.
    after: &'a str,
}

/// The first name that does not begin with `prefix` and lies behind all that do.
fn behind(prefix: &str) -> Option<String> {
    let mut chars = prefix.chars();
    let last = chars.next_back()?;
    let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32)?;
    Some(format!("{}{next}", chars.as_str()))
}

impl Query<'_> {
    /// The common prefix that a name belongs to.
    fn common<'n>(&self, name: &'n str) -> Option<&'n str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = name.strip_prefix(self.prefix)?;
        let at = rest.find(self.delimiter)?;
        Some(&name[..self.prefix.len() + at + self.delimiter.len()])
    }

    /// The name from which on to look.
    fn start(&self) -> Option<String> {
        if self.after.is_empty() {
            return Some(self.prefix.to_owned());
        }
        let start = if self.common(self.after) == Some(self.after) {
            behind(self.after)?
        } else {
            format!("{}\0", self.after)
        };
        Some(start.max(self.prefix.to_owned()))
    }
}

impl Shop {
    fn page(&self, bucket: &BucketInfo, query: &Query<'_>) -> S3Result<Page> {
        let mut page = Page::default();
        let walk = self.storage.snapshot()?.walk(bucket.id)?;
        let mut from = query.start();
        let mut last = None;
        'walk: while let Some(start) = from.take() {
            for entry in walk.from(&start)? {
                let (name, record) = entry?;
                if !name.starts_with(query.prefix) {
                    break 'walk;
                }
                if page.objects.len() + page.prefixes.len() == query.max {
                    page.next = last;
                    break 'walk;
                }
                if let Some(common) = query.common(&name) {
                    page.prefixes.push(common.to_owned());
                    last = Some(common.to_owned());
                    from = behind(common);
                    continue 'walk;
                }
                last = Some(name.clone());
                page.objects.push(Object {
                    e_tag: Some(meta::etag(&record)),
                    key: Some(name),
                    last_modified: Some(meta::time(record.mtime)),
                    size: i64::try_from(record.size).ok(),
                    storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                    ..Object::default()
                });
            }
        }
        Ok(page)
    }

    pub(super) fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let token = input.continuation_token.as_deref().map(read_token).transpose()?;
        let after = token.or_else(|| input.start_after.clone()).unwrap_or_default();
        let max_keys = max_keys(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            max: usize::try_from(max_keys).unwrap_or_default(),
            after: &after,
        };
        let page = if max_keys == 0 { Page::default() } else { self.page(&bucket, &query)? };
        let encode = Encoding::of(input.encoding_type.as_ref());
        let owner = input.fetch_owner.unwrap_or(false).then(owner);
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|last| BASE64_URL_SAFE_NO_PAD.encode(last)),
            contents: Some(encode.objects(page.objects, owner.as_ref())),
            common_prefixes: Some(encode.prefixes(page.prefixes)),
            prefix: Some(encode.text(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|d| encode.text(d)),
            start_after: input.start_after.map(|s| encode.text(s)),
            continuation_token: input.continuation_token,
            encoding_type: input.encoding_type,
            ..ListObjectsV2Output::default()
        }))
    }

    pub(super) fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let max_keys = max_keys(input.max_keys)?;
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            max: usize::try_from(max_keys).unwrap_or_default(),
            after: input.marker.as_deref().unwrap_or_default(),
        };
        let page = if max_keys == 0 { Page::default() } else { self.page(&bucket, &query)? };
        let encode = Encoding::of(input.encoding_type.as_ref());
        let next = page.next.clone().filter(|_| input.delimiter.is_some());
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            max_keys: Some(max_keys),
            is_truncated: Some(page.next.is_some()),
            next_marker: next.map(|n| encode.text(n)),
            contents: Some(encode.objects(page.objects, Some(&owner()))),
            common_prefixes: Some(encode.prefixes(page.prefixes)),
            prefix: Some(encode.text(input.prefix.unwrap_or_default())),
            marker: Some(encode.text(input.marker.unwrap_or_default())),
            delimiter: input.delimiter.map(|d| encode.text(d)),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        }))
    }

    pub(super) fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> ListBucketsOutput {
        let prefix = request.input.prefix.unwrap_or_default();
        let buckets = self.catalog.list().into_iter().filter(|b| b.name.starts_with(&prefix)).map(|b| {
            Bucket { creation_date: Some(meta::time(b.created)), name: Some(b.name), ..Bucket::default() }
        });
        let buckets = Some(buckets.collect());
        ListBucketsOutput { buckets, owner: Some(owner()), ..ListBucketsOutput::default() }
    }

    pub(super) async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let name = request.input.bucket;
        self.catalog.create(&name).await?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    pub(super) async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.catalog.remove(&request.input.bucket).await?;
        Ok(S3Response::with_status(DeleteBucketOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(super) fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let name = request.input.bucket;
        self.bucket(&name)?;
        Ok(S3Response::new(HeadBucketOutput {
            bucket_region: Some("us-east-1".into()),
            ..HeadBucketOutput::default()
        }))
    }

    pub(super) fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let name = request.input.bucket;
        self.bucket(&name)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }
}

pub(super) fn owner() -> Owner {
    Owner { display_name: Some("longshore".into()), id: Some("longshore".into()) }
}

pub(super) fn max_keys(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(MAX_KEYS) {
        n if n < 0 => {
            Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647"))
        }
        n => Ok(n.min(MAX_KEYS)),
    }
}

fn read_token(token: &str) -> S3Result<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|b| String::from_utf8(b).ok())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

/// How names are written into the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    pub(super) fn of(asked: Option<&EncodingType>) -> Self {
        if asked.is_some_and(|e| e.as_str() == EncodingType::URL) { Self::Url } else { Self::Plain }
    }

    pub(super) fn text(self, name: String) -> String {
        match self {
            Self::Plain => name,
            Self::Url => utf8_percent_encode(&name, ESCAPED).to_string(),
        }
    }

    fn objects(self, mut objects: Vec<Object>, owner: Option<&Owner>) -> Vec<Object> {
        for object in &mut objects {
            object.key = object.key.take().map(|key| self.text(key));
            object.owner = owner.cloned();
        }
        objects
    }

    pub(super) fn prefixes(self, prefixes: Vec<String>) -> Vec<CommonPrefix> {
        prefixes.into_iter().map(|p| CommonPrefix { prefix: Some(self.text(p)) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_listing_starts() {
        let query = |prefix, delimiter, after| Query { prefix, delimiter, max: 1, after }.start();
        assert_eq!(query("a/", "", "").as_deref(), Some("a/"));
        assert_eq!(query("a/", "", "a/b").as_deref(), Some("a/b\0"));
        assert_eq!(query("b/", "", "a/b").as_deref(), Some("b/"));
        assert_eq!(query("", "/", "a/").as_deref(), Some("a0"));
        assert_eq!(query("", "/", "a/b").as_deref(), Some("a/b\0"));
        assert_eq!(behind("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(behind("\u{10ffff}"), None);
    }

    #[test]
    fn names_in_answers() {
        assert_eq!(Encoding::Url.text("a b/ü+%".into()), "a%20b/%C3%BC%2B%25");
        assert_eq!(Encoding::Plain.text("a b".into()), "a b");
        assert_eq!(max_keys(None).unwrap(), 1000);
        assert!(max_keys(Some(-1)).is_err() && read_token("*").is_err());
    }
}
