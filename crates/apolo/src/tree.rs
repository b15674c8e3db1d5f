//! A bucket as a tree of folders: patterns, folders, removal.

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
    fn entries(&self, prefix: String, recursive: bool) -> EntryStream {
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

    /// Removes an object; or a folder with everything below it, if `recursive`. `removed` hears of each object that went,
    /// and last of the folder's marker if there was one.
    ///
    /// [`ErrorKind::NotFound`] if there is neither, [`ErrorKind::Conflict`] for a folder that is not to be removed as one.
    /// Of an object and a folder of the same name, `recursive` removes both.
    #[doc(alias = "blob_rm")]
    pub async fn remove(
        &self,
        name: &str,
        recursive: bool,
        mut removed: impl FnMut(&ObjectKey),
    ) -> Result<()> {
        const OPERATION: &str = "apolo.object.remove";
        let refuse = |kind, message: String| Err(Error::new(kind, message).with_operation(OPERATION));
        let folder = name.trim_end_matches('/');
        let object = ObjectKey::new(folder).ok().filter(|_| !name.ends_with('/'));
        let is_object = match &object {
            Some(key) => match self.head(key, HeadOptions::default()).await {
                Ok(_) => true,
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            },
            None => false,
        };
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut marker = None;
        let mut found = false;
        let mut below = self.entries(prefix.clone(), true).try_chunks(self.batch());
        while let Some(entries) = below.try_next().await.map_err(|error| error.1)? {
            found = true;
            if !recursive {
                if is_object {
                    break;
                }
                return refuse(ErrorKind::Conflict, format!("{name:?} is a folder: remove it recursively"));
            }
            let mut keys = Vec::with_capacity(entries.len());
            for entry in entries {
                match entry {
                    Entry::Object(meta) if meta.key.as_str() == prefix => marker = Some(meta.key),
                    Entry::Object(meta) => keys.push(meta.key),
                    _ => {}
                }
            }
            for outcome in self.delete_many(keys).await? {
                outcome.result?;
                removed(&outcome.key);
            }
        }
        for key in object.filter(|_| is_object).into_iter().chain(marker) {
            self.delete(&key, DeleteOptions::default()).await?;
            removed(&key);
            found = true;
        }
        if found {
            Ok(())
        } else {
            refuse(ErrorKind::NotFound, format!("there is no object and no folder {name:?}"))
        }
    }

    fn batch(&self) -> usize {
        self.capability().delete_batch.map_or(1, |most| most.max(1) as usize)
    }
}
