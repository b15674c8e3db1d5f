//! Listings of names that a real cluster leaves out of its pages when it is asked plainly.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use libtest_mimic::{Failed, Trial};
use longshore_aistore::Bucket;
use longshore_blob_api::{BlobStore, BlobStoreExt, DeleteOptions, Entry, ListOptions};
use longshore_core_types::ObjectKey;

use super::{
    cluster::{Cluster, trial},
    settings::Missing,
};

const ALPHABET: [char; 8] = ['a', 'a', 'b', '-', '.', '/', '/', '\u{e9}'];
const NAMES: usize = 150;

pub(crate) fn trials(cluster: &Result<Arc<Cluster>, Missing>) -> Vec<Trial> {
    vec![trial("aistore::listing_misses_no_name", cluster, |cluster| {
        let bucket = cluster.client().bucket(format!("{}-names", cluster.bucket()?.name()))?;
        cluster.wait(misses_no_name(&bucket))
    })]
}

async fn misses_no_name(bucket: &Bucket) -> Result<(), Failed> {
    bucket.create().await?;
    let result = every_listing(&bucket.store()).await;
    bucket.delete().await?;
    result
}

async fn every_listing(store: &impl BlobStore) -> Result<(), Failed> {
    let mut names = fill(store, 1).await?;
    compare(store, &names).await?;
    // Directories stay on the disks when what is in them goes, and hide names just as well.
    let gone: Vec<_> = names.iter().filter(|name| name.starts_with("a/")).cloned().collect();
    for name in gone {
        store.delete(&ObjectKey::new(&name)?, DeleteOptions::default()).await?;
        names.remove(&name);
    }
    compare(store, &names).await
}

/// Stores objects of random short names.
async fn fill(store: &impl BlobStore, seed: u64) -> Result<BTreeSet<String>, Failed> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut names = BTreeSet::new();
    while names.len() < NAMES {
        let length = random.usize(1..8);
        let name: String = (0..length).map(|_| ALPHABET[random.usize(..ALPHABET.len())]).collect();
        let dots = name.split('/').any(|item| item.is_empty() || item == "." || item == "..");
        if !dots {
            names.insert(name);
        }
    }
    // A name cannot be that of a directory too, as far as the cluster's own rules go.
    let clash = |name: &String| names.iter().any(|other| other.starts_with(&format!("{name}/")));
    let names: BTreeSet<_> = names.iter().filter(|name| !clash(name)).cloned().collect();
    let writes = names.iter().map(|name| async move {
        store.write(&ObjectKey::new(name)?, name.clone()).await.map_err(Failed::from)
    });
    stream::iter(writes).buffer_unordered(8).try_for_each(|_| async { Ok(()) }).await?;
    Ok(names)
}

async fn compare(store: &impl BlobStore, names: &BTreeSet<String>) -> Result<(), Failed> {
    for prefix in ["", "a/", "a", "a-", "b/a", "."] {
        for size in [4, 10_000] {
            let opts = ListOptions::prefix(prefix).with_page_size(size);
            let expected = names.iter().filter(|name| name.starts_with(prefix)).cloned().collect();
            same(store, opts.clone(), expected).await?;
            let level = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
            let shown = |name: &String| match name[level.len()..].split_once('/') {
                Some((item, _)) => format!("{level}{item}/"),
                None => name.clone(),
            };
            let expected = names.iter().filter(|name| name.starts_with(prefix)).map(shown).collect();
            same(store, opts.with_delimiter(), expected).await?;
        }
    }
    Ok(())
}

async fn same(store: &impl BlobStore, opts: ListOptions, expected: BTreeSet<String>) -> Result<(), Failed> {
    let entries: Vec<Entry> = store.list(opts.clone()).try_collect().await?;
    let listed: Vec<_> = entries.iter().map(|entry| entry.name().to_owned()).collect();
    let found: BTreeSet<_> = listed.iter().cloned().collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    // One level shows empty directories until the cluster cleans up.
    let extra: Vec<_> = found.difference(&expected).filter(|name| !name.ends_with('/')).collect();
    if !missing.is_empty() || !extra.is_empty() {
        return Err(format!("{opts:?}: missing {missing:?}, unexpected {extra:?} of {expected:?}").into());
    }
    if !listed.is_sorted() || listed.len() != found.len() {
        return Err(format!("{opts:?}: out of order, or twice: {listed:?}").into());
    }
    Ok(())
}
