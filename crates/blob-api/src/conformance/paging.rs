//! Listings in pages.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt};

use super::{
    Namespace,
    check::Outcome,
    listing::{fill, sorted},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, ListOptions, ListPage};

cases! { "paging" [writable, listable]:
    every_entry_once;
    pages_keep_to_their_size;
    one_level [list_delimiter];
    more_than_the_maximum_is_cut [list_max_page];
    pages_and_entries_agree;
    a_token_resumes_without_loss;
    a_token_works_twice;
    names_added_meanwhile_hide_nothing;
    names_deleted_meanwhile_hide_nothing;
}

fn many(count: u32) -> Vec<String> {
    (0..count).map(|i| format!("{}/{i:03}", i % 3)).collect()
}

async fn pages(store: &AnyStore, opts: ListOptions) -> Outcome<Vec<ListPage>> {
    Ok(store.list(opts).pages().try_collect().await?)
}

async fn every_entry_once(store: &AnyStore, ns: &Namespace) -> Outcome {
    let mut names = many(23);
    fill(store, ns, &names).await?;
    names.sort_unstable();
    for size in [1, 2, 7, 22, 23, 24] {
        let found = sorted(store, ns, ns.list("").with_page_size(size)).await?;
        ensure_eq!(found, names, "names in pages of {size}");
    }
    Ok(())
}

async fn pages_keep_to_their_size(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, many(10)).await?;
    let pages = pages(store, ns.list("").with_page_size(3)).await?;
    for page in &pages {
        ensure!(page.entries.len() <= 3, "a page of at most 3 has {} entries", page.entries.len());
    }
    ensure!(pages.len() >= 4, "10 names came in {} pages of at most 3", pages.len());
    ensure!(pages.last().is_some_and(|page| page.next.is_none()), "the last page names a next one");
    Ok(())
}

async fn one_level(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "d/1", "d/2", "d/3", "d0", "e/1", "e/2", "f/1", "z"]).await?;
    for size in [1, 2, 3, 100] {
        let found = sorted(store, ns, ns.list("").with_delimiter().with_page_size(size)).await?;
        ensure_eq!(found, ["a", "d/", "d0", "e/", "f/", "z"], "one level in pages of {size}");
    }
    Ok(())
}

async fn more_than_the_maximum_is_cut(store: &AnyStore, ns: &Namespace) -> Outcome {
    let most = store.capability().list_max_page.unwrap_or(1);
    fill(store, ns, many(5)).await?;
    let pages = pages(store, ns.list("").with_page_size(most.saturating_add(1))).await?;
    for page in &pages {
        ensure!(page.entries.len() <= most as usize, "a page has {} entries", page.entries.len());
    }
    let count: usize = pages.iter().map(|page| page.entries.len()).sum();
    ensure_eq!(count, 5, "entries in pages of more than the maximum");
    Ok(())
}

async fn pages_and_entries_agree(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, many(11)).await?;
    let opts = ns.list("").with_page_size(4);
    let pages = pages(store, opts.clone()).await?;
    let by_page: Vec<_> =
        pages.iter().flat_map(|page| &page.entries).map(|entry| ns.short(entry.name())).collect();
    ensure_eq!(by_page, ns.names(store, opts).await?, "entries by page");
    Ok(())
}

async fn a_token_resumes_without_loss(store: &AnyStore, ns: &Namespace) -> Outcome {
    let names = many(20);
    fill(store, ns, &names).await?;
    let opts = ns.list("").with_page_size(3);
    for stop in [1, 3, 4, 11] {
        let mut listing = store.list(opts.clone());
        let mut found: BTreeSet<String> = BTreeSet::new();
        for _ in 0..stop {
            let Some(entry) = listing.next().await else { break };
            found.insert(ns.short(entry?.name()));
        }
        let mut rest = store.list(opts.clone());
        if let Some(token) = listing.resume_token() {
            rest = rest.resume(token.clone());
        }
        while let Some(entry) = rest.next().await {
            found.insert(ns.short(entry?.name()));
        }
        ensure_eq!(found.len(), names.len(), "names of a listing that was resumed after {stop} entries");
    }
    Ok(())
}

async fn a_token_works_twice(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, many(9)).await?;
    let opts = ns.list("").with_page_size(4);
    let first = store.list_page(&opts, None).await?;
    ensure!(first.next.is_some(), "9 names have one page of 4");
    let second = store.list_page(&opts, first.next.clone()).await?;
    let again = store.list_page(&opts, first.next).await?;
    ensure_eq!(again.entries, second.entries, "entries of the same page");
    Ok(())
}

#[derive(Clone, Copy)]
enum Change {
    Add,
    Delete,
}

impl Change {
    /// Changes a name near each end of the listing.
    async fn apply(self, store: &AnyStore, ns: &Namespace, step: u32) -> Outcome {
        for place in [step % 20, 19 - step % 20] {
            let name = format!("{place:02}-passing");
            match self {
                Self::Add => fill(store, ns, [name]).await?,
                Self::Delete => store.delete(&ns.key(&name)?, DeleteOptions::default()).await?,
            }
        }
        Ok(())
    }
}

/// Lists while other names come or go: those that were there throughout come exactly once.
async fn changed_meanwhile(store: &AnyStore, ns: &Namespace, change: Change) -> Outcome {
    let stable: Vec<String> = (0..20).map(|i| format!("{i:02}-stable")).collect();
    fill(store, ns, &stable).await?;
    let mut listing = store.list(ns.list("").with_page_size(3));
    let (mut found, mut step) = (Vec::new(), 0);
    while let Some(entry) = listing.next().await {
        found.push(ns.short(entry?.name()));
        if found.len() % 3 == 0 {
            change.apply(store, ns, step).await?;
            step += 1;
        }
    }
    found.retain(|name| name.ends_with("-stable"));
    found.sort_unstable();
    ensure_eq!(found, stable, "names that were there throughout");
    Ok(())
}

async fn names_added_meanwhile_hide_nothing(store: &AnyStore, ns: &Namespace) -> Outcome {
    changed_meanwhile(store, ns, Change::Add).await
}

async fn names_deleted_meanwhile_hide_nothing(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, (0..20).map(|i| format!("{i:02}-passing"))).await?;
    changed_meanwhile(store, ns, Change::Delete).await
}
