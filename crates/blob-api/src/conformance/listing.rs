//! What listings say.

use futures_util::{StreamExt, TryStreamExt, stream};
use longshore_core_types::ObjectMeta;

use super::{
    Namespace,
    check::{Outcome, content, refused_unsent},
};
use crate::{AnyStore, BlobStore, BlobStoreExt, DeleteOptions, Entry, HeadOptions, ListDetail, ListOptions};

cases! { "listing" [writable, listable]:
    nothing;
    everything_once_with_sizes;
    a_prefix_is_literal;
    the_whole_name_as_prefix;
    changes_show;
    in_byte_order [list_ordered];
    one_level [list_delimiter];
    one_level_below_a_prefix [list_delimiter];
    one_level_of_a_prefix_without_slash [list_delimiter];
    start_after [list_start_after];
    start_after_a_name_that_is_not_there [list_start_after];
    start_after_with_prefix [list_start_after];
    full_detail_agrees_with_head;
    basic_detail_contradicts_nothing;
    zero_entries_per_page_are_refused;
}

/// Stores objects whose content is their name.
pub(super) async fn fill<N: AsRef<str>>(
    store: &AnyStore,
    ns: &Namespace,
    names: impl IntoIterator<Item = N>,
) -> Outcome {
    let writes: Vec<_> = names
        .into_iter()
        .map(|name| async move {
            let key = ns.key(name.as_ref())?;
            store.write(&key, name.as_ref().to_owned()).await
        })
        .collect();
    stream::iter(writes).buffer_unordered(8).try_collect::<Vec<_>>().await?;
    Ok(())
}

/// What a listing finds, sorted.
pub(super) async fn sorted(store: &AnyStore, ns: &Namespace, opts: ListOptions) -> Outcome<Vec<String>> {
    let mut names = ns.names(store, opts).await?;
    names.sort_unstable();
    Ok(names)
}

async fn objects(store: &AnyStore, opts: ListOptions) -> Outcome<Vec<ObjectMeta>> {
    let entries: Vec<Entry> = store.list(opts).try_collect().await?;
    entries
        .into_iter()
        .map(|entry| match entry {
            Entry::Object(meta) => Ok(meta),
            Entry::Prefix(prefix) => {
                Err(super::Failure::new(format!("{prefix:?} is listed, though one level was not asked for")))
            }
        })
        .collect()
}

async fn nothing(store: &AnyStore, ns: &Namespace) -> Outcome {
    let page = store.list_page(&ns.list("no such"), None).await?;
    ensure_eq!(page.entries, [], "entries of an empty listing");
    ensure_eq!(ns.names(store, ns.list("no such")).await?, Vec::<String>::new(), "an empty listing");
    Ok(())
}

async fn everything_once_with_sizes(store: &AnyStore, ns: &Namespace) -> Outcome {
    let names: Vec<String> = (0..25).map(|i| format!("{:0width$}/{i}", i % 4, width = i / 5 + 1)).collect();
    fill(store, ns, &names).await?;
    let found = objects(store, ns.list("")).await?;
    let mut found: Vec<_> = found.iter().map(|meta| (ns.short(meta.key.as_str()), meta.size)).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = names.iter().map(|name| (name.clone(), name.len() as u64)).collect();
    expected.sort_unstable();
    ensure_eq!(found, expected, "names and sizes");
    Ok(())
}

async fn a_prefix_is_literal(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "abc", "ab/x", "ab-1", "b/ab", "AB"]).await?;
    ensure_eq!(sorted(store, ns, ns.list("ab")).await?, ["ab-1", "ab/x", "abc"], "names under ab");
    ensure_eq!(sorted(store, ns, ns.list("ab/")).await?, ["ab/x"], "names under ab/");
    ensure_eq!(sorted(store, ns, ns.list("b")).await?, ["b/ab"], "names under b");
    ensure_eq!(sorted(store, ns, ns.list("ab*")).await?, Vec::<String>::new(), "names under ab*");
    Ok(())
}

async fn the_whole_name_as_prefix(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["one/name", "one/other"]).await?;
    ensure_eq!(sorted(store, ns, ns.list("one/name")).await?, ["one/name"], "names under a whole name");
    Ok(())
}

async fn changes_show(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "b", "c"]).await?;
    store.write(&ns.key("b")?, content(500, 1)).await?;
    store.delete(&ns.key("c")?, DeleteOptions::default()).await?;
    let mut found: Vec<_> = objects(store, ns.list("")).await?;
    found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let found: Vec<_> = found.iter().map(|meta| (ns.short(meta.key.as_str()), meta.size)).collect();
    ensure_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 500)], "names and sizes");
    Ok(())
}

async fn in_byte_order(store: &AnyStore, ns: &Namespace) -> Outcome {
    let mut names = vec!["b", "a0", "B", "a/z", "a.b", "a-b", "10", "9", "z", "_", "a/b/c"];
    fill(store, ns, &names).await?;
    // Not every store takes these.
    for name in ["\u{e9}", "~"] {
        match store.write(&ns.key(name)?, name).await {
            Ok(_) => names.push(name),
            refusal => refused_unsent(refusal, &format!("put of {name:?}"))?,
        }
    }
    names.sort_unstable();
    ensure_eq!(ns.names(store, ns.list("")).await?, names, "order of a listing");
    ensure_eq!(ns.names(store, ns.list("").with_page_size(2)).await?, names, "order over pages");
    Ok(())
}

const TREE: [&str; 9] = ["a", "d/1", "d/2", "d/e/3", "d0", "f/g/h/4", "f/g/i", "z", "z.d/5"];

async fn one_level(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, TREE).await?;
    let entries: Vec<Entry> = store.list(ns.list("").with_delimiter()).try_collect().await?;
    let mut found: Vec<_> =
        entries.iter().map(|entry| (ns.short(entry.name()), matches!(entry, Entry::Prefix(_)))).collect();
    found.sort_unstable();
    let expected = [("a", false), ("d/", true), ("d0", false), ("f/", true), ("z", false), ("z.d/", true)];
    let expected: Vec<_> = expected.map(|(name, prefix)| (name.to_owned(), prefix)).into();
    ensure_eq!(found, expected, "objects and prefixes of one level");
    Ok(())
}

async fn one_level_below_a_prefix(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, TREE).await?;
    let level = |prefix: &str| ns.list(prefix).with_delimiter();
    ensure_eq!(sorted(store, ns, level("d/")).await?, ["d/1", "d/2", "d/e/"], "the level below d/");
    ensure_eq!(sorted(store, ns, level("f/")).await?, ["f/g/"], "the level below f/");
    ensure_eq!(sorted(store, ns, level("f/g/")).await?, ["f/g/h/", "f/g/i"], "the level below f/g/");
    Ok(())
}

async fn one_level_of_a_prefix_without_slash(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, TREE).await?;
    let level = |prefix: &str| ns.list(prefix).with_delimiter();
    ensure_eq!(sorted(store, ns, level("d")).await?, ["d/", "d0"], "the level at d");
    ensure_eq!(sorted(store, ns, level("d/e")).await?, ["d/e/"], "the level at d/e");
    ensure_eq!(sorted(store, ns, level("z")).await?, ["z", "z.d/"], "the level at z");
    Ok(())
}

async fn start_after(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "b", "b-/c", "bb", "c"]).await?;
    let after = |name: &str| ns.list("").with_start_after(ns.name(name));
    ensure_eq!(sorted(store, ns, after("b")).await?, ["b-/c", "bb", "c"], "names after b");
    ensure_eq!(sorted(store, ns, after("c")).await?, Vec::<String>::new(), "names after c");
    let paged = after("a").with_page_size(1);
    ensure_eq!(sorted(store, ns, paged).await?, ["b", "b-/c", "bb", "c"], "names after a, one a page");
    Ok(())
}

async fn start_after_a_name_that_is_not_there(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a", "b", "c"]).await?;
    let after = |name: &str| ns.list("").with_start_after(ns.name(name));
    ensure_eq!(sorted(store, ns, after("aa")).await?, ["b", "c"], "names after aa");
    ensure_eq!(sorted(store, ns, after("")).await?, ["a", "b", "c"], "names after the common part");
    ensure_eq!(sorted(store, ns, after("zzz")).await?, Vec::<String>::new(), "names after zzz");
    Ok(())
}

async fn start_after_with_prefix(store: &AnyStore, ns: &Namespace) -> Outcome {
    fill(store, ns, ["a/1", "a/2", "a/3", "b/1"]).await?;
    let after = |name: &str| ns.list("a/").with_start_after(ns.name(name));
    ensure_eq!(sorted(store, ns, after("a/1")).await?, ["a/2", "a/3"], "names under a/ after a/1");
    ensure_eq!(sorted(store, ns, after("b")).await?, Vec::<String>::new(), "names under a/ after b");
    ensure_eq!(sorted(store, ns, after("a")).await?, ["a/1", "a/2", "a/3"], "names under a/ after a");
    Ok(())
}

/// What a listing says must be what `head` says.
async fn agrees(store: &AnyStore, ns: &Namespace, detail: ListDetail) -> Outcome {
    fill(store, ns, ["a", "b", "c"]).await?;
    store.write(&ns.key("b")?, "changed").await?;
    for listed in objects(store, ns.list("").with_detail(detail)).await? {
        let head = store.head(&listed.key, HeadOptions::default()).await?;
        let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        ensure_eq!(listed.size, head.size, "size of {:?}", listed.key);
        ensure!(same(&listed.etag, &head.etag), "listed {:?}, head {:?}", listed.etag, head.etag);
        ensure!(same(&listed.version, &head.version), "listed {:?}, head {:?}", listed.version, head.version);
        for sum in &listed.checksums {
            let other = head.checksum(sum.kind());
            ensure!(other.is_none_or(|other| other == sum), "listed {sum}, head {other:?}");
        }
    }
    Ok(())
}

async fn full_detail_agrees_with_head(store: &AnyStore, ns: &Namespace) -> Outcome {
    agrees(store, ns, ListDetail::Full).await
}

async fn basic_detail_contradicts_nothing(store: &AnyStore, ns: &Namespace) -> Outcome {
    agrees(store, ns, ListDetail::Basic).await
}

async fn zero_entries_per_page_are_refused(store: &AnyStore, ns: &Namespace) -> Outcome {
    let page = store.list_page(&ns.list("").with_page_size(0), None).await;
    refused_unsent(page, "a page of zero entries")
}
