//! Removal of what only the destination has.

use std::{fs, io, path::Path};

use longshore_blob_api::{BlobStore, DeleteOptions};
use longshore_core_types::{Error, ObjectKey, Result as CoreResult};

use super::{End, Place, extras::Names};
use crate::{
    context::Context,
    error::{Result, TransferError, local},
    progress::{Direction, Item},
};

/// So many names are removed at a time where each is a request of its own.
const AT_ONCE: usize = 64;

/// The next names, and what became of each; empty at the end.
pub(super) async fn some(
    to: &Place,
    context: &Context,
    names: &mut Names,
) -> CoreResult<Vec<(String, Result<()>)>> {
    match to {
        Place::Local(root) => {
            let names = names.take(AT_ONCE)?;
            Ok(names.into_iter().map(|name| (file(root, to, &name), name)).map(|(r, n)| (n, r)).collect())
        }
        Place::Store { store, prefix } => {
            let batch = store.capability().delete_batch.map_or(1, |most| most.clamp(1, 1000));
            let names = names.take(usize::try_from(batch).unwrap_or(1))?;
            let mut keys = Vec::with_capacity(names.len());
            for name in &names {
                keys.push(ObjectKey::new(format!("{prefix}{name}"))?);
            }
            let failed = |name: &str, error| Err(TransferError::new(&item(to, name), error));
            if let ([key], [name]) = (&keys[..], &names[..]) {
                let _admission = context.admit(1, 1).await?;
                let deleted = context.within_grace(store.delete(key, DeleteOptions::default())).await;
                let result = deleted.or_else(|error| failed(name, error));
                return Ok(vec![(name.clone(), result)]);
            }
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let _admission = context.admit(1, 1).await?;
            let outcomes = context.within_grace(store.delete_many(keys)).await?;
            Ok(outcomes
                .into_iter()
                .map(|outcome| {
                    let name =
                        outcome.key.as_str().strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
                    let result = outcome.result.or_else(|error| failed(&name, error));
                    (name, result)
                })
                .collect())
        }
    }
}

/// Removes a file, and the directories that it leaves empty.
fn file(root: &Path, to: &Place, name: &str) -> Result<()> {
    let End::File(path) = to.end(name)? else { return Ok(()) };
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(TransferError::new(&item(to, name), local("remove", &path, error)));
        }
        _ => {}
    }
    for parent in path.ancestors().skip(1).take_while(|parent| *parent != root && parent.starts_with(root)) {
        // One that holds something else stays.
        if fs::remove_dir(parent).is_err() {
            break;
        }
    }
    Ok(())
}

fn item(to: &Place, name: &str) -> Item {
    match to {
        Place::Local(root) => {
            Item::new(Direction::Download, root.join(name).display().to_string(), Some(root.join(name)))
        }
        Place::Store { store, prefix } => {
            Item::new(Direction::Upload, store.url().with_key(format!("{prefix}{name}")).to_string(), None)
        }
    }
}

/// Why nothing may be removed; the first reason stays.
#[derive(Debug, Default)]
pub(super) struct Doubt(Option<String>);

impl Doubt {
    pub(super) fn because(&mut self, why: impl Into<String>) {
        self.0.get_or_insert_with(|| why.into());
    }

    pub(super) fn into_reason(self) -> Option<String> {
        self.0
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn because_of(&mut self, what: &str, error: &Error) {
        self.because(format!("{what}: {}", error.chain()));
    }
}
