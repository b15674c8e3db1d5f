//! Listings, a page at a time.

use std::ops::Bound;

use longshore_core_types::{Attributes, Error, ErrorKind, Result};

use super::bucket::Bucket;
use crate::{Entry, ListDetail, ListOptions, ListPage, PageToken};

/// Where a page begins. A token is its first letter and a name.
enum Place {
    /// Behind this name.
    After(String),
    /// Behind all names that start with this, which ends in `/`.
    Behind(String),
}

impl Place {
    fn parse(token: &PageToken) -> Result<Self> {
        let text = token.as_str();
        match (text.strip_prefix('o'), text.strip_prefix('p')) {
            (Some(name), _) => Ok(Self::After(name.to_owned())),
            (_, Some(prefix)) if prefix.ends_with('/') => Ok(Self::Behind(prefix.to_owned())),
            _ => Err(Error::new(ErrorKind::InvalidInput, format!("{text:?} is no token of this listing"))),
        }
    }

    fn of(entry: &Entry) -> PageToken {
        PageToken::new(match entry {
            Entry::Object(meta) => format!("o{}", meta.key),
            Entry::Prefix(prefix) => format!("p{prefix}"),
        })
    }

    fn bound(self) -> Bound<String> {
        match self {
            Self::After(name) => Bound::Excluded(name),
            Self::Behind(prefix) => Bound::Included(behind(&prefix)),
        }
    }
}

/// The first text that sorts behind all that start with `prefix`, which ends in `/`.
fn behind(prefix: &str) -> String {
    let mut text = prefix.strip_suffix('/').unwrap_or(prefix).to_owned();
    text.push(char::from(b'/' + 1));
    text
}

impl Bucket {
    pub(super) fn list_page(
        &self,
        opts: &ListOptions,
        page: Option<&PageToken>,
        most: Option<u32>,
    ) -> Result<ListPage> {
        let size = opts.page_size.unwrap_or(u32::MAX).min(most.unwrap_or(u32::MAX)) as usize;
        let mut start = match (page, &opts.start_after) {
            (Some(token), _) => Place::parse(token)?.bound(),
            (None, Some(name)) if *name >= opts.prefix => Bound::Excluded(name.clone()),
            (None, _) => Bound::Included(opts.prefix.clone()),
        };
        let mut entries = Vec::new();
        loop {
            let range = (start.as_ref().map(String::as_str), Bound::Unbounded);
            let next = self.objects.range::<str, _>(range).next();
            let Some((key, object)) = next.filter(|(key, _)| key.as_str().starts_with(&opts.prefix)) else {
                return Ok(ListPage::new(entries, None));
            };
            if entries.len() >= size {
                let next = entries.last().map(Place::of);
                return Ok(ListPage::new(entries, next));
            }
            let level = key.as_str()[opts.prefix.len()..].find('/').filter(|_| opts.delimited);
            if let Some(end) = level {
                let prefix = &key.as_str()[..=opts.prefix.len() + end];
                start = Bound::Included(behind(prefix));
                entries.push(Entry::Prefix(prefix.to_owned()));
            } else {
                start = Bound::Excluded(key.as_str().to_owned());
                entries.push(Entry::Object(match opts.detail {
                    ListDetail::Basic => object.listed(key),
                    ListDetail::Full => {
                        let mut meta = object.meta(key);
                        meta.attributes = Attributes::default();
                        meta
                    }
                }));
            }
        }
    }
}
