//! Objects that go away.

use longshore_core_types::{ErrorKind, ObjectKey, Result};

use super::{
    Namespace,
    check::{Failure, Outcome, absent, holds},
    listing::{fill, sorted},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions};

cases! { "delete" [writable]:
    what_is_there;
    what_is_not_there;
    then_create_again;
    neighbours_stay [listable];
    many;
    many_with_missing_ones;
    none_of_many;
    more_than_one_batch;
}

async fn what_is_there(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.write(&key, "x").await?;
    store.delete(&key, DeleteOptions::default()).await?;
    absent(store, &key).await
}

async fn what_is_not_there(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    store.delete(&key, DeleteOptions::default()).await?;
    store.write(&key, "x").await?;
    store.delete(&key, DeleteOptions::default()).await?;
    store.delete(&key, DeleteOptions::default()).await?;
    absent(store, &key).await
}

async fn then_create_again(store: &AnyStore, ns: &Namespace) -> Outcome {
    let key = ns.key("object")?;
    for data in ["first", "second", "third"] {
        store.write(&key, data).await?;
        holds(store, &key, data.as_bytes()).await?;
        store.delete(&key, DeleteOptions::default()).await?;
        absent(store, &key).await?;
    }
    Ok(())
}

async fn neighbours_stay(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["d/a", "d/ab", "d/abc", "d/b", "da"]).await?;
    store.delete(&ns.key("d/ab")?, DeleteOptions::default()).await?;
    ensure_eq!(sorted(store, ns, ns.list("")).await?, ["d/a", "d/abc", "d/b", "da"], "names that stay");
    Ok(())
}

fn keys(ns: &Namespace, names: impl IntoIterator<Item = String>) -> Result<Vec<ObjectKey>> {
    names.into_iter().map(|name| ns.key(&name)).collect()
}

/// Deletes, and insists on one outcome for each name.
async fn delete_all(store: &AnyStore, keys: Vec<ObjectKey>) -> Outcome {
    let outcomes = store.delete_many(keys.clone()).await?;
    let mut reported: Vec<ObjectKey> = Vec::new();
    for outcome in outcomes {
        match outcome.result {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Err(_) => {
                return Err(Failure::new(format!(
                    "{:?} was not there, which is reported as a failure",
                    outcome.key
                )));
            }
            Ok(()) => reported.push(outcome.key),
        }
    }
    let mut expected = keys;
    expected.sort_unstable();
    reported.sort_unstable();
    ensure_eq!(reported, expected, "names that were reported as deleted");
    for key in &expected {
        absent(store, key).await?;
    }
    Ok(())
}

async fn many(store: &AnyStore, ns: &Namespace) -> Outcome {
    let names: Vec<String> = (0..12).map(|i| format!("object {i}")).collect();
    fill(store, ns, &names).await?;
    fill(store, ns, ["stays"]).await?;
    delete_all(store, keys(ns, names)?).await?;
    holds(store, &ns.key("stays")?, b"stays").await
}

async fn many_with_missing_ones(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["0", "2", "4"]).await?;
    delete_all(store, keys(ns, (0..6).map(|i| i.to_string()))?).await
}

async fn none_of_many(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["stays"]).await?;
    delete_all(store, Vec::new()).await?;
    holds(store, &ns.key("stays")?, b"stays").await
}

async fn more_than_one_batch(store: &AnyStore, ns: &Namespace) -> Outcome {
    // Every name but three is missing, so that a batch of thousands costs little.
    let count = store.capability().delete_batch.unwrap_or(20).min(5000) + 5;
    let names: Vec<String> = (0..count).map(|i| format!("{i:05}")).collect();
    let ends = [&names[0], &names[names.len() / 2], &names[names.len() - 1]];
    fill(store, ns, ends).await?;
    let outcomes = store.delete_many(keys(ns, names.iter().cloned())?).await?;
    ensure_eq!(outcomes.len(), names.len(), "outcomes of more names than one request takes");
    for name in ends {
        absent(store, &ns.key(name)?).await?;
    }
    Ok(())
}
