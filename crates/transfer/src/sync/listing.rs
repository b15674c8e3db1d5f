//! What is in a place, in the order of the names.

use std::{collections::HashSet, path::Path, time::SystemTime};

use longshore_blob_api::{AnyStore, BlobStore, Entry as BlobEntry, ListDetail, ListOptions};
use longshore_core_types::{Checksum, Error, ErrorKind, Result};
use tokio::task::JoinSet;

use super::{Place, merge::Listing, sorted::Sorter};
use crate::{
    batches::{self, Gone},
    context::Context,
    error::local_fault,
    progress::SkipReason,
    tree::{Found, SymlinkPolicy, key_of, walk_in_order},
};

/// So many batches of entries are read ahead of the merge.
const AHEAD: usize = 2;

/// A file or object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name below the place, with `/` between the parts.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it changed last, where the place tells.
    pub modified: Option<SystemTime>,
    /// Checksums of its content, where the listing states them.
    pub checksums: Vec<Checksum>,
}

impl Entry {
    /// Whether it stands for a directory rather than a file.
    pub(super) fn is_placeholder(&self) -> bool {
        self.name.is_empty() || (self.name.ends_with('/') && self.size == 0)
    }
}

/// One line of a listing.
#[derive(Debug)]
pub(super) enum Listed {
    Entry(Entry),
    /// Something that is left out on purpose.
    Skipped {
        name: String,
        reason: SkipReason,
    },
    /// Something that cannot be looked at, so it is not known what is there.
    Failed {
        name: String,
        error: Error,
    },
    /// Objects may be missing between the entries.
    Incomplete,
    /// The listing ended before its end.
    Broken(Error),
    /// There is nothing more.
    End,
}

/// A listing that is read in the background, a little ahead.
pub(super) struct Reader {
    lines: batches::Receiver<Listed>,
    /// Owns the task that reads a store; it ends with this.
    _task: JoinSet<()>,
    ended: bool,
}

impl Reader {
    /// Begins to list a place. A directory that is to be the destination and is not there yet is empty.
    pub(super) fn open(
        place: &Place,
        context: &Context,
        links: SymlinkPolicy,
        detail: ListDetail,
        may_be_missing: bool,
    ) -> Result<Self> {
        let mut task = JoinSet::new();
        let receiver = match place {
            Place::Local(root) if may_be_missing && !root.exists() => return Ok(Self::nothing()),
            Place::Local(root) => {
                let below = root.clone();
                walk_in_order(root.clone(), links, move |found| line(&below, found))?
            }
            Place::Store { store, prefix } => {
                let (mut sender, found) = batches::channel(AHEAD);
                let (store, prefix, context) = (store.clone(), prefix.clone(), context.clone());
                task.spawn(async move {
                    let last = match objects(&store, prefix, detail, &context, &mut sender).await {
                        Ok(()) => Listed::End,
                        Err(Ended::Fault(error)) => Listed::Broken(error),
                        Err(Ended::Gone) => return,
                    };
                    if sender.send(last).await.is_ok() {
                        // Nobody listens any more, if that fails.
                        let _ = sender.flush().await;
                    }
                });
                found
            }
        };
        Ok(Self { lines: receiver, _task: task, ended: false })
    }

    /// A place that has nothing, because nobody asked what it has.
    pub(super) fn nothing() -> Self {
        let (_, lines) = batches::channel(1);
        Self { lines, _task: JoinSet::new(), ended: true }
    }
}

impl Listing for Reader {
    async fn next(&mut self) -> Listed {
        if self.ended {
            return Listed::End;
        }
        let line = self.lines.recv().await.unwrap_or_else(|| {
            // Whoever read ended without saying that this was all.
            Listed::Broken(local_fault("the listing broke off".into()))
        });
        self.ended = matches!(line, Listed::End | Listed::Broken(_));
        line
    }
}

/// What was found below a directory, as a line.
fn line(root: &Path, found: Found) -> Listed {
    let name = |path: &Path| key_of("", path.strip_prefix(root).unwrap_or(path));
    match found {
        Found::File { path, size, modified } => match name(&path) {
            Ok(name) => Listed::Entry(Entry { name, size, modified, checksums: Vec::new() }),
            Err(error) => Listed::Failed { name: path.display().to_string(), error },
        },
        Found::Skipped { path, reason } => {
            Listed::Skipped { name: name(&path).unwrap_or_else(|_| path.display().to_string()), reason }
        }
        Found::Failed { path, error } => Listed::Failed { name: path.display().to_string(), error },
        Found::End => Listed::End,
    }
}

/// Why a listing has no end.
enum Ended {
    Fault(Error),
    /// Nobody listens any more.
    Gone,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

async fn objects(
    store: &AnyStore,
    prefix: String,
    detail: ListDetail,
    context: &Context,
    lines: &mut batches::Sender<Listed>,
) -> Result<(), Ended> {
    let mut unordered = (!store.capability().list_ordered).then(Sorter::default);
    let options = ListOptions::prefix(&*prefix).with_detail(detail);
    let (mut token, mut seen) = (None, HashSet::new());
    let mut warned = false;
    loop {
        let page = context.ask(store.list_page(&options, token.clone())).await?;
        if page.incomplete && !warned {
            warned = true;
            lines.send(Listed::Incomplete).await?;
        }
        for entry in page.entries {
            let BlobEntry::Object(meta) = entry else { continue };
            let Some(name) = meta.key.as_str().strip_prefix(&*prefix) else {
                let text = format!("the listing holds a name that does not start with {prefix:?}");
                return Err(Error::new(ErrorKind::Protocol, text).into());
            };
            let entry = Entry {
                name: name.to_owned(),
                size: meta.size,
                modified: meta.last_modified,
                checksums: meta.checksums,
            };
            match &mut unordered {
                Some(sorter) => sorter.push(entry)?,
                None => lines.send(Listed::Entry(entry)).await?,
            }
        }
        // The next page may take a while.
        lines.flush().await?;
        match page.next {
            None => break,
            // Where there is an order, whoever merges notices that a listing goes back.
            next if next == token || unordered.is_some() && !seen.insert(next.clone()) => {
                let text = format!("the listing of {} repeats itself", store.url().with_key(&*prefix));
                return Err(Error::new(ErrorKind::Protocol, text).into());
            }
            next => token = next,
        }
    }
    if let Some(sorter) = unordered {
        for entry in sorter.sorted()? {
            lines.send(Listed::Entry(entry?)).await?;
        }
    }
    Ok(())
}
