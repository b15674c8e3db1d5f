//! A bucket as a tree of folders: patterns, folders, removal.

use std::collections::HashMap;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use longshore_blob_api::{BlobStore, BlobStoreExt, DeleteOptions, Entry, HeadOptions, ListOptions};
use longshore_core_types::{Error, ErrorKind, ObjectKey, Result};

use crate::{
    pattern::{Pattern, has_magic},
    store::Store,
};

/// What matches a pattern. After an error the stream ends.
pub type EntryStream = BoxStream<'static, Result<Entry>>;

/// The last segment of a name, without a slash at its end.
fn last(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.rsplit('/').next().unwrap_or(name)
}

impl Store {
    /// Everything below a prefix, or one level of it.
    #[doc(alias = "list_blobs")]
    pub(crate) fn entries(&self, prefix: String, recursive: bool) -> EntryStream {
        let options = ListOptions::prefix(prefix);
        let options = if recursive { options } else { options.with_delimiter() };
        let this = self.clone();
        // The listing borrows its store, so it is made anew for each page.
        let pages = stream::try_unfold((this, Some(None)), move |(this, page)| {
            let options = options.clone();
            async move {
                let Some(page) = page else { return Ok::<_, Error>(None) };
                let found = this.list_page(&options, page).await?;
                let next = found.next.map(Some);
                Ok(Some((stream::iter(found.entries.into_iter().map(Ok)), (this, next))))
            }
        });
        pages.try_flatten().boxed()
    }

    /// Objects and folders that match a pattern, as the platform's client expands globs: `*` and `?` stop at `/`, `**` as a
    /// whole segment does not, `[a-z]` is one character. A pattern without any of them finds the object or folder of that
    /// name. Folders that no pattern leads through are not listed.
    #[doc(alias = "glob_blobs")]
    pub fn glob(&self, pattern: &str) -> EntryStream {
        self.glob_below(String::new(), pattern)
    }

    fn glob_below(&self, prefix: String, pattern: &str) -> EntryStream {
        let (part, rest) = match pattern.split_once('/') {
            Some((part, rest)) => (part.to_owned(), Some(rest.to_owned())),
            None => (pattern.to_owned(), None),
        };
        if part == "**" {
            let (whole, start) = (Pattern::new(pattern), prefix.len());
            let matches = move |entry: &Entry| {
                future::ready(entry.name().get(start..).is_some_and(|name| whole.matches(name)))
            };
            return self.entries(prefix, true).try_filter(matches).boxed();
        }
        let magic = has_magic(&part);
        if let (Some(rest), false) = (&rest, magic)
            && !rest.is_empty()
        {
            return self.glob_below(format!("{prefix}{part}/"), rest);
        }
        let literal = part.split(['*', '?', '[']).next().unwrap_or_default();
        let base = format!("{prefix}{}", if magic { literal } else { &part });
        let one = Pattern::new(&part);
        let found = {
            let base = base.clone();
            let matches = move |entry: &Entry| {
                future::ready(one.matches(last(entry.name())) && (magic || entry.name() != prefix))
            };
            self.entries(base, false).try_filter(matches)
        };
        match rest.filter(|rest| !rest.is_empty()) {
            None => found.boxed(),
            Some(rest) => {
                let this = self.clone();
                let below = move |entry: Entry| match entry {
                    Entry::Prefix(folder) => this.glob_below(folder, &rest),
                    _ => stream::empty().boxed(),
                };
                found.map_ok(below).try_flatten().boxed()
            }
        }
    }

    /// Whether there is anything below a name. A name that ends in `/` is a folder without being asked about, as is none.
    #[doc(alias = "blob_is_dir")]
    pub async fn is_dir(&self, name: &str) -> Result<bool> {
        if name.is_empty() || name.ends_with('/') {
            return Ok(true);
        }
        let options = ListOptions::prefix(format!("{name}/")).with_page_size(1);
        Ok(self.list(options).try_next().await?.is_some())
    }

    /// Removes an object; or a folder with everything below it, if `recursive`, a page of the listing at a time. `removed`
    /// hears of each object that went, and of each folder once everything in it did, whether it had a marker or not.
    ///
    /// A name with a slash at its end is a folder's, and the empty name is the whole bucket.
    ///
    /// [`ErrorKind::NotFound`] if there is neither, [`ErrorKind::Conflict`] for a folder that is not to be removed as one.
    /// Of an object and a folder of the same name, `recursive` removes both. The first failure ends it.
    #[doc(alias = "blob_rm")]
    pub async fn remove(
        &self,
        name: &str,
        recursive: bool,
        mut removed: impl FnMut(Removed<'_>),
    ) -> Result<()> {
        const OPERATION: &str = "apolo.object.remove";
        let refuse = |kind, message: String| Err(Error::new(kind, message).with_operation(OPERATION));
        let object = ObjectKey::new(name).ok().filter(|_| !name.ends_with('/'));
        let is_object = match &object {
            Some(key) => match self.head(key, HeadOptions::default()).await {
                Ok(_) => true,
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            },
            None => false,
        };
        // Other slashes at the end are part of the name: what is in `a//` is not all that is in `a/`.
        let prefix = match name {
            "" => String::new(),
            folder if folder.ends_with('/') => folder.to_owned(),
            folder => format!("{folder}/"),
        };
        let mut going = Going::new(prefix.clone());
        let mut found = false;
        let mut below = self.entries(prefix, true);
        while let Some(entry) = below.try_next().await? {
            found = true;
            if !recursive {
                if is_object {
                    break;
                }
                return refuse(ErrorKind::Conflict, format!("{name:?} is a folder: remove it recursively"));
            }
            if let Entry::Object(meta) = entry {
                going.add(meta.key);
            }
            if going.steps.len() >= BATCH {
                self.carry_out(&mut going, &mut removed).await?;
            }
        }
        if found && recursive {
            going.close(None);
            self.carry_out(&mut going, &mut removed).await?;
        }
        if let Some(key) = object.filter(|_| is_object) {
            self.delete(&key, DeleteOptions::default()).await?;
            removed(Removed::Object(&key));
            found = true;
        }
        if found {
            Ok(())
        } else {
            refuse(ErrorKind::NotFound, format!("there is no object and no folder {name:?}"))
        }
    }

    /// Removes what was collected, and tells of it in its order.
    async fn carry_out(&self, going: &mut Going, removed: &mut impl FnMut(Removed<'_>)) -> Result<()> {
        let steps = std::mem::take(&mut going.steps);
        let keys = steps.iter().filter_map(|(_, key)| key.clone()).collect();
        let outcomes = self.delete_many(keys).await?;
        let mut failed: HashMap<_, _> = outcomes
            .into_iter()
            .filter_map(|outcome| outcome.result.err().map(|error| (outcome.key, error)))
            .collect();
        for (folder, key) in &steps {
            if let Some(error) = key.as_ref().and_then(|key| failed.remove(key)) {
                return Err(error);
            }
            match (folder, key) {
                (Some(folder), _) => removed(Removed::Folder(folder)),
                (None, Some(key)) => removed(Removed::Object(key)),
                (None, None) => {}
            }
        }
        Ok(())
    }
}

/// Names that go in one request, where the provider takes so many.
const BATCH: usize = 1000;

/// What [`Store::remove`] removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Removed<'a> {
    /// An object.
    Object(&'a ObjectKey),
    /// A folder with everything in it, by its name without a slash at the end.
    Folder(&'a str),
}

/// What of a folder is to go next. What is in a folder comes in a row, so a folder ends where the next name is not in it.
#[derive(Debug)]
struct Going {
    /// From the root to where the listing is: names with a slash at their end, and the markers that were found.
    open: Vec<(String, Option<ObjectKey>)>,
    /// Objects, and folders with their markers.
    steps: Vec<(Option<String>, Option<ObjectKey>)>,
}

impl Going {
    fn new(root: String) -> Self {
        let open = if root.is_empty() { Vec::new() } else { vec![(root, None)] };
        Self { open, steps: Vec::new() }
    }

    fn add(&mut self, key: ObjectKey) {
        let name = key.as_str();
        self.close(Some(name));
        let entered = self.open.last().map_or(0, |(folder, _)| folder.len());
        let further = name[entered..].match_indices('/').map(|(at, _)| entered + at + 1);
        self.open.extend(further.map(|end| (name[..end].to_owned(), None)));
        match self.open.last_mut().filter(|(folder, _)| folder == name) {
            Some((_, marker)) => *marker = Some(key),
            None => self.steps.push((None, Some(key))),
        }
    }

    /// Ends the folders that this name is not in; all of them if there is no more.
    fn close(&mut self, name: Option<&str>) {
        let ends = |(folder, _): &mut (String, _)| name.is_none_or(|name| !name.starts_with(&*folder));
        while let Some((folder, marker)) = self.open.pop_if(ends) {
            self.steps.push((folder.strip_suffix('/').map(str::to_owned), marker));
        }
    }
}
